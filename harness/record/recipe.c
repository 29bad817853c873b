#include "record/recipe.h"

#include <stdlib.h>
#include <string.h>

#include "experiment/key_values.h" // bl_key_default
#include "experiment/yaml.h"

enum { MOST = 5, LONGEST = 80 }; // differences that are told, letters of a value

typedef struct telling {
    bl_arena *arena;
    bl_text *text;
    int count;
    bool other;   // than train.epochs
    bool grown;   // train.epochs has
    bool present; // what stands in both texts; then what stands in one
    bool silent;
} telling;

// ---- values ----

static void print_flow(const bl_value *value, bl_text *text) {
    const char *separator = "";
    if (value->kind == BL_VALUE_NULL) bl_text_add(text, "null");
    if (value->kind == BL_VALUE_SCALAR) bl_text_add(text, "%s", value->text);
    if (value->kind == BL_VALUE_LIST || value->kind == BL_VALUE_MAP) {
        bl_text_add(text, value->kind == BL_VALUE_LIST ? "[" : "{");
        for (int i = 0; i < value->count; i++) {
            bl_text_add(text, "%s", separator);
            if (value->kind == BL_VALUE_MAP) bl_text_add(text, "%s: ", value->entries[i].key);
            print_flow(value->entries[i].value, text);
            separator = ", ";
        }
        bl_text_add(text, value->kind == BL_VALUE_LIST ? "]" : "}");
    }
}

static const char *spoken(bl_arena *arena, const bl_value *value) {
    bl_text text = {0};
    if (!value) return "not there";
    print_flow(value, &text);
    const char *flow = text.size <= LONGEST ? bl_arena_copy(arena, text.chars ? text.chars : "") : bl_arena_format(arena, "%.*s ...", LONGEST, text.chars);
    bl_text_free(&text);
    return *flow ? flow : "\"\"";
}

// The keys of a map, whose order means something.
static const char *names_of(bl_arena *arena, const bl_value *map) {
    const char *names = "";
    for (int i = 0; i < map->count; i++) names = bl_arena_format(arena, "%s%s%s", names, i ? ", then " : "", map->entries[i].key);
    return names;
}

static bool is_same_text(const char *a, const char *b) {
    char *end_a, *end_b;
    const double x = strtod(a, &end_a), y = strtod(b, &end_b);
    return !strcmp(a, b) || (end_a != a && end_b != b && !*end_a && !*end_b && x == y);
}

static bool is_same(const bl_value *a, const bl_value *b) {
    if (a->kind != b->kind || a->count != b->count) return false;
    if (a->kind == BL_VALUE_SCALAR) return is_same_text(a->text, b->text);
    for (int i = 0; i < a->count; i++)
        if ((a->kind == BL_VALUE_MAP && strcmp(a->entries[i].key, b->entries[i].key) != 0) || !is_same(a->entries[i].value, b->entries[i].value))
            return false;
    return true;
}

// ---- differences ----

static void tell(telling *t, const char *path, const char *now, const char *was) {
    if (strcmp(path, "train.epochs") != 0) t->other = true;
    else t->grown = atoi(now) > atoi(was);
    if (!t->silent && t->count++ < MOST) bl_text_add(t->text, "%s%s: %s, was %s", t->count > 1 ? "; " : "", path, now, was);
}

// Says of what stands in one text alone what its absence says in the other: a version that did not know the key, or one beside which it
// had no meaning.
static void compare_absent(telling *t, const bl_key *key, const char *path, const bl_value *now, const bl_value *was) {
    const bl_value *by_default = key && key->default_text ? bl_key_default(t->arena, key) : NULL;
    if (t->present || (by_default && is_same(now ? now : was, by_default))) return;
    tell(t, path, spoken(t->arena, now ? now : by_default), spoken(t->arena, was ? was : by_default));
}

// `pattern` is the path with [] for an index, as the schema has it.
static void compare(telling *t, const char *path, const char *pattern, const bl_value *now, const bl_value *was) {
    const bl_key *key = bl_schema_find(pattern);
    if (key && key->key_class != BL_KEY_TRAIN) return;
    if (!now || !was) {
        const bl_value *there = now ? now : was;
        for (int i = 0; !key && there->kind == BL_VALUE_MAP && i < there->count; i++) {
            const bl_entry *entry = &there->entries[i];
            compare(t, bl_arena_format(t->arena, "%s.%s", path, entry->key), bl_arena_format(t->arena, "%s.%s", pattern, entry->key),
                    now ? entry->value : NULL, now ? NULL : entry->value);
        }
        if (key || there->kind != BL_VALUE_MAP) compare_absent(t, key, path, now, was);
        return;
    }
    if (is_same(now, was)) return;
    const bool other = t->other;
    if (!key && now->kind == BL_VALUE_MAP && was->kind == BL_VALUE_MAP) {
        for (int i = 0; i < now->count; i++)
            compare(t, bl_arena_format(t->arena, "%s.%s", path, now->entries[i].key), bl_arena_format(t->arena, "%s.%s", pattern, now->entries[i].key),
                    now->entries[i].value, bl_value_get(was, now->entries[i].key));
        for (int i = 0; i < was->count; i++)
            if (!bl_value_get(now, was->entries[i].key))
                compare(t, bl_arena_format(t->arena, "%s.%s", path, was->entries[i].key),
                        bl_arena_format(t->arena, "%s.%s", pattern, was->entries[i].key), NULL, was->entries[i].value);
        const bool is_view = !strcmp(pattern, "views[]");
        if (is_view && !t->present && !t->count && t->other == other) tell(t, path, names_of(t->arena, now), names_of(t->arena, was));
    } else if (!key && now->kind == BL_VALUE_LIST && was->kind == BL_VALUE_LIST && now->count == was->count) {
        for (int i = 0; i < now->count; i++)
            compare(t, bl_arena_format(t->arena, "%s.%d", path, i), bl_arena_format(t->arena, "%s[]", pattern), now->entries[i].value, was->entries[i].value);
    } else if (t->present)
        tell(t, path, spoken(t->arena, now), spoken(t->arena, was));
}

int bl_recipe_differences(const char *now, const char *was, bool *longer, bl_text *text) {
    static const char *const blocks[] = {"data", "views", "network", "method", "train"};
    static const bl_source source = {"the recipe in a run file", NULL};
    telling t = {.arena = bl_arena_create(), .text = text};
    bl_value *ours, *theirs;
    *longer = false;
    int status = bl_yaml_parse(t.arena, &source, now, BL_LAYER_FILE, &ours);
    if (!status) status = bl_yaml_parse(t.arena, &source, was, BL_LAYER_FILE, &theirs);
    // What only one of them has is mostly there, or not, because of a key that both have: it is told where all those are alike.
    for (int pass = 0; !status && pass < 2; pass++) {
        t.present = pass == 0;
        t.silent = t.count > 0;
        for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
            const bl_value *a = bl_value_get(ours, blocks[i]), *b = bl_value_get(theirs, blocks[i]);
            if (a || b) compare(&t, blocks[i], blocks[i], a, b);
        }
    }
    if (t.count > MOST) bl_text_add(text, "; and %d more", t.count - MOST);
    *longer = t.grown && !t.other;
    bl_arena_free(t.arena);
    return status;
}

// A text of another version, or one that was tampered with, may be none that we can read: the ids differ all the same.
static void compare_texts(const bl_container_reader *reader, const bl_cell *cell, bool *longer, bl_text *difference) {
    char *resolved = NULL;
    bl_text text = {0};
    if (cell->resolved && bl_container_get_text(reader, "/manifest/resolved", &resolved) == BL_OK &&
        bl_recipe_differences(cell->resolved, resolved, longer, &text) == BL_OK && text.size)
        bl_text_add(difference, "%s", text.chars);
    bl_text_free(&text);
    bl_free(resolved);
}

int bl_recipe_compare(const bl_container_reader *reader, const bl_cell *cell, bool *same, bool *longer, bl_text *difference) {
    char *train_id;
    *longer = false;
    if (bl_container_get_text(reader, "/manifest/train_id", &train_id)) return BL_FAILED;
    *same = !strcmp(train_id, cell->train_id);
    if (!*same) compare_texts(reader, cell, longer, difference);
    if (!*same && !difference->size) bl_text_add(difference, "train id %.12s, was %.12s", cell->train_id, train_id);
    bl_free(train_id);
    return BL_OK;
}
