#include "experiment/keys.h"

#include <string.h>

#include "experiment/key_values.h"
#include "experiment/names.h"

// Error messages say "views.color_jitter.p" and "evaluate.knn.k".
static const char *spoken(bl_arena *arena, const char *path) {
    char *name = bl_arena_copy(arena, path), *to = name;
    for (const char *from = path; *from; from++)
        if (*from != '[' && *from != ']') *to++ = *from;
    *to = 0;
    return name;
}

// ---- unknown keys ----

static bool is_in(const char *const *names, int count, const char *name) {
    for (int i = 0; i < count; i++)
        if (!strcmp(names[i], name)) return true;
    return false;
}

// The names that may stand directly below `prefix` ("method.target.").
static int siblings(bl_arena *arena, const char *prefix, const char ***out) {
    const char **names = *out = bl_arena_take(arena, (size_t)bl_schema_count * sizeof *names);
    int count = 0;
    size_t length = strlen(prefix);
    for (int i = 0; i < bl_schema_count; i++) {
        const char *path = bl_schema[i].path;
        if (strncmp(path, prefix, length) || !path[length]) continue;
        const char *name = bl_arena_format(arena, "%.*s", (int)strcspn(path + length, ".["), path + length);
        if (!is_in(names, count, name)) names[count++] = name;
    }
    return count;
}

static int unknown(bl_arena *arena, const bl_entry *entry, const char *prefix, const char *full) {
    const char **names, *colon = strchr(entry->key, ':');
    int count = siblings(arena, prefix, &names);
    const char *advice = bl_name_advice(arena, entry->key, names, count);
    if (!*entry->key) return bl_refuse(entry->key_spot, advice, "a key without a name");
    if (colon) advice = bl_arena_format(arena, "write `%.*s: %s`, with a space", (int)(colon - entry->key), entry->key, colon + 1);
    return bl_refuse(entry->key_spot, advice, "%s: no such key%s", spoken(arena, full), bl_strange_character(arena, entry->key));
}

// "method.stop_gradient" is what --set calls it.
static int dotted(bl_arena *arena, const bl_entry *entry, const char *full) {
    const char *advice = "write the keys below each other, a list's with its entries", *nested = entry->value->text;
    if (!nested || entry->value->quoted) nested = nested ? bl_arena_format(arena, "\"%s\"", nested) : "...";
    char *rest = bl_arena_copy(arena, entry->key);
    bool names_all = !strpbrk(rest, "[]");
    for (char *dot; (dot = strrchr(rest, '.')); *dot = '\0') {
        names_all &= dot[1] && !(dot[1] >= '0' && dot[1] <= '9');
        nested = bl_arena_format(arena, "{%s: %s}", dot + 1, nested);
    }
    if (names_all && *rest) advice = bl_arena_format(arena, "write `%s: %s`", rest, nested);
    return bl_refuse(entry->key_spot, advice, "%s: a key with dots or brackets, which --set alone knows", spoken(arena, full));
}

static bool has_below(const char *path, const char *ending) {
    size_t length = strlen(path), rest = strlen(ending);
    for (int i = 0; i < bl_schema_count; i++)
        if (!strncmp(bl_schema[i].path, path, length) && !strncmp(bl_schema[i].path + length, ending, rest)) return true;
    return false;
}

// ---- null ----

static bool has_choice(const bl_key *key, const char *name) {
    for (const bl_choice *choice = key ? key->choices : NULL; choice && choice->name; choice++)
        if (!strcmp(choice->name, name)) return true;
    return false;
}

static bool is_number(const bl_key *key) {
    return key->type == BL_TYPE_INT || key->type == BL_TYPE_INT64 || key->type == BL_TYPE_UINT64 || key->type == BL_TYPE_NUMBER ||
           key->type == BL_TYPE_INTERVAL;
}

// How a key says none; NULL: it has no such thing.
static const char *none_of(const bl_key *key) {
    if (is_number(key)) return key->low <= 0 && key->high >= 0 ? "0" : NULL;
    switch (key->type) {
    case BL_TYPE_BOOL: return "false";
    case BL_TYPE_TEXT: return key->default_text && !strcmp(key->default_text, "\"\"") ? "\"\"" : NULL;
    case BL_TYPE_EPOCHS:
    case BL_TYPE_EPOCH_LIST: return "[]";
    case BL_TYPE_NAME:
    case BL_TYPE_CHOICE:
    case BL_TYPE_CHOICE_BOOL: return has_choice(key, "none") ? "none" : NULL;
    default: return NULL;
    }
}

static bool is_directly_below(const char *full, const char *list) {
    return !strncmp(full, list, strlen(list)) && !strchr(full + strlen(list), '.');
}

// Where none and the default are one, or there is but one of them, null over an earlier layer's value can only mean one thing: that it is
// taken back.
static bool can_be_taken_back(const char *full) {
    const bl_key *key = bl_schema_find(full);
    if (!strcmp(full, "sweep") || !strcmp(full, "views") || is_directly_below(full, "views[].")) return true;
    if (!key) return false;
    if (key->type == BL_TYPE_STRUCTURE || !key->default_text) return true;
    const char *none = none_of(key);
    return none ? !strcmp(none, key->default_text) : is_number(key);
}

static const char *range_of(bl_arena *arena, const bl_key *key) {
    bl_text range = {0};
    bl_key_range(key, &range);
    const char *copy = bl_arena_copy(arena, range.chars);
    bl_text_free(&range);
    return copy;
}

// What stands below it: "{kind: none}" where there is such a kind, else what its first key can be.
static const char *instead_of_map(bl_arena *arena, const char *name, const char *full) {
    const bl_key *kind = bl_schema_find(bl_arena_format(arena, "%s.kind", full)), *first = kind;
    if (kind && has_choice(kind, "none"))
        return bl_arena_format(arena, "write `%s: {kind: none}` for none, or leave the key out for the default, {kind: %s}", name,
                               kind->default_text);
    for (int i = 0; !first && i < bl_schema_count; i++)
        if (!strncmp(bl_schema[i].path, full, strlen(full)) && bl_schema[i].path[strlen(full)] == '.') first = &bl_schema[i];
    const char *below = first->path + strlen(full) + 1;
    return bl_arena_format(arena, "write `%s: {%.*s: ...}`%s, or leave the key out for the defaults", name, (int)strcspn(below, "."), below,
                           strchr(below, '.') ? "" : bl_arena_format(arena, " (%s)", range_of(arena, first)));
}

static const char *instead_of_null(bl_arena *arena, const char *name, const char *full) {
    const bl_key *key = bl_schema_find(full);
    const char *none = key ? none_of(key) : NULL;
    const char *by_default = "";
    if (key && key->default_text)
        by_default = none && !strcmp(none, key->default_text)
                         ? ", or leave the key out: that is the default"
                         : bl_arena_format(arena, ", or leave the key out for the default, %s", key->default_text);
    if (!strcmp(full, "views")) return "write `views:` and one list entry for both views, or two";
    if (has_below(full, "[].")) return bl_arena_format(arena, "write `%s: []` for none, or leave the key out", name);
    if (!strcmp(full, "cells")) return "write `cells: {name: {key: value}}`, or leave the key out";
    if (!strcmp(full, "sweep") || (key && key->type == BL_TYPE_STRUCTURE)) return "write what belongs there, or leave the key out";
    if (is_directly_below(full, "views[].") && key)
        return bl_arena_format(arena, "write `%s:` followed by %s, or leave the key out for none", name, range_of(arena, key));
    if (is_directly_below(full, "views[].") || is_directly_below(full, "evaluate[]."))
        return bl_arena_format(arena, "write `%s: {}` for its defaults, or leave it out for none", name);
    if (!key) return instead_of_map(arena, name, full);
    if (none) return bl_arena_format(arena, "write `%s: %s` for none%s", name, none, by_default);
    return bl_arena_format(arena, "write `%s:` followed by %s%s", name, range_of(arena, key), by_default);
}

static int check_null(bl_arena *arena, const bl_entry *entry, const char *full) {
    const bl_key *key = bl_schema_find(full);
    if (entry->value->takes_back && can_be_taken_back(full)) return BL_OK;
    const char *advice = instead_of_null(arena, entry->key, full), *name = spoken(arena, full);
    if ((key && key->type != BL_TYPE_STRUCTURE && !key->default_text && !is_directly_below(full, "views[].")) || !strcmp(full, "views"))
        return bl_refuse(entry->value->spot, advice, "%s is missing: nothing is written there", name);
    if (can_be_taken_back(full)) return bl_refuse(entry->value->spot, advice, "%s: null takes back what was written before, and nothing was", name);
    return bl_refuse(entry->value->spot, advice, "%s: null, or nothing at all, does not say whether none or the default is meant", name);
}

// ---- known keys ----

// What to write where a map is expected: the key of which the value is a choice ("{kind: none}"), else the first.
static const char *instead_of(bl_arena *arena, const bl_value *value, const char *prefix) {
    const char **names;
    const int count = siblings(arena, prefix, &names);
    if (value->kind != BL_VALUE_SCALAR) return bl_arena_format(arena, "write {%s: ...}", names[0]);
    for (int i = 0; i < count; i++)
        if (has_choice(bl_schema_find(bl_arena_format(arena, "%s%s", prefix, names[i])), value->text))
            return bl_arena_format(arena, "write {%s: %s}", names[i], value->text);
    return !value->quoted && strchr(value->text, ':') ? "write a space behind the colon" : bl_arena_format(arena, "write {%s: ...}", names[0]);
}

static int known_below(bl_arena *arena, const bl_value *map, const char *prefix) {
    for (int i = 0; i < map->count; i++) {
        const bl_entry *entry = &map->entries[i];
        const bl_value *value = entry->value;
        const char *full = bl_arena_format(arena, "%s%s", prefix, entry->key);
        const bl_key *key = bl_schema_find(full);
        if (strpbrk(entry->key, ".[]")) return dotted(arena, entry, full);
        if (!key && (!*entry->key || (!has_below(full, "[].") && !has_below(full, ".")))) return unknown(arena, entry, prefix, full);
        if (value->kind == BL_VALUE_NULL) {
            if (check_null(arena, entry, full)) return BL_FAILED;
            continue;
        }
        if (key && key->type == BL_TYPE_VIEW && value->kind == BL_VALUE_MAP && known_below(arena, value, "views[].")) return BL_FAILED;
        if (key) continue; // its value is looked at when it is parsed
        if (has_below(full, "[].")) {
            if (value->kind != BL_VALUE_LIST)
                return bl_refuse(value->spot, bl_arena_format(arena, "write `%s:` and entries that begin with `-`", entry->key),
                                 "%s: expected a list", spoken(arena, full));
            for (int k = 0; k < value->count; k++) {
                const bl_value *item = value->entries[k].value;
                if (item->kind != BL_VALUE_MAP)
                    return bl_refuse(item->spot, "write {key: value, ...}", "%s: expected a map of keys in each entry",
                                     spoken(arena, full));
                if (known_below(arena, item, bl_arena_format(arena, "%s[].", full))) return BL_FAILED;
            }
        } else {
            if (value->kind != BL_VALUE_MAP) {
                return bl_refuse(value->spot, instead_of(arena, value, bl_arena_format(arena, "%s.", full)), "%s: expected a map of keys",
                                 spoken(arena, full));
            }
            if (known_below(arena, value, bl_arena_format(arena, "%s.", full))) return BL_FAILED;
        }
    }
    return BL_OK;
}

int bl_keys_known(bl_arena *arena, const bl_value *tree) {
    return known_below(arena, tree, "");
}

// ---- keys that have no meaning beside the others ----

// The key's path below the prefix; NULL when it is not below it. "views[].flip" is below "views[].flip" as "".
static const char *below(const bl_key *key, const char *prefix) {
    size_t length = strlen(prefix);
    return strncmp(key->path, prefix, length) ? NULL : key->path + length;
}

typedef struct condition { // "path=name|name", looked up
    bool holds;
    const bl_value *by; // what decided, NULL: the default
    const char *path;
    const char *value;  // that stands there
    const char *wanted; // the first name that would do
} condition;

static condition condition_of(bl_arena *arena, const bl_key *key, const char *prefix, const bl_value *tree) {
    condition out = {.holds = true};
    if (!key->when) return out;
    bl_text text = {0};
    bl_key_when(key, &text);
    const char *when = bl_arena_copy(arena, text.chars);
    bl_text_free(&text);
    const size_t length = strcspn(when, "=");
    const char *path = bl_arena_format(arena, "%.*s", (int)length, when);
    const bl_key *decider = bl_schema_find(path);
    out = condition_of(arena, decider, prefix, tree);
    if (!out.holds) return out; // what has no meaning itself decides nothing
    out.path = path;
    out.wanted = NULL;
    out.by = bl_value_at(tree, below(decider, prefix));
    out.value = out.by && out.by->kind == BL_VALUE_SCALAR ? out.by->text : decider->default_text;
    out.holds = false;
    for (const char *name = when + length; *name;) {
        size_t size = strcspn(++name, "|");
        if (!out.wanted) out.wanted = bl_arena_format(arena, "%.*s", (int)size, name);
        if (out.value && strlen(out.value) == size && !strncmp(name, out.value, size)) out.holds = true;
        name += size;
    }
    return out;
}

bool bl_key_has_meaning(bl_arena *arena, const bl_key *key, const char *prefix, const bl_value *tree) {
    return condition_of(arena, key, prefix, tree).holds;
}

static int idle(bl_arena *arena, const char *name, const bl_value *value, const condition *reason) {
    const char *switch_name = strrchr(reason->path, '.') + 1;
    const char *advice = bl_arena_format(arena, "write `%s: %s`, or leave this key out", switch_name, reason->wanted);
    bl_refuse(value->spot, advice, "%s has no meaning where %s is %s", name, spoken(arena, reason->path),
              reason->value ? reason->value : "not set");
    return BL_MEANINGLESS;
}

// ---- filling ----

static const struct {
    const char *name;
    bl_transform_kind kind;
} transforms[] = {
    {"random_resized_crop", BL_RANDOM_RESIZED_CROP},
    {"center_crop", BL_CENTER_CROP},
    {"flip", BL_FLIP},
    {"color_jitter", BL_COLOR_JITTER},
    {"grayscale", BL_GRAYSCALE},
    {"blur", BL_GAUSSIAN_BLUR},
    {"solarize", BL_SOLARIZE},
    {"normalize", BL_NORMALIZE},
};

_Static_assert(sizeof transforms / sizeof *transforms <= BL_MAX_TRANSFORMS, "a view may hold each transform");

// "views[].flip" is a key itself, "views[].blur." leads to keys.
static const char *prefix_of(bl_arena *arena, const bl_entry *entry) {
    const char *whole = bl_arena_format(arena, "views[].%s", entry->key);
    return bl_schema_find(whole) ? whole : bl_arena_format(arena, "%s.", whole);
}

int bl_recipe_fill(bl_arena *arena, const char *name, const bl_value *map, bl_recipe *recipe) {
    if (map->kind != BL_VALUE_MAP) return bl_refuse(map->spot, "write {flip: 0.5, ...}", "%s: expected a map of transforms", name);
    for (int i = 0; i < map->count; i++) {
        const bl_entry *entry = &map->entries[i];
        bl_transform *transform = &recipe->items[recipe->count++]; // a map's keys are distinct, and known: there is room for each
        for (size_t k = 0; k < sizeof transforms / sizeof *transforms; k++)
            if (!strcmp(transforms[k].name, entry->key)) transform->kind = transforms[k].kind;
        transform->p = 1;
        if (bl_keys_fill(arena, BL_OF_TRANSFORM, prefix_of(arena, entry), entry->value, transform)) return BL_FAILED;
    }
    return BL_OK;
}

static int fill_key(bl_arena *arena, const bl_key *key, const char *name, const bl_value *value, void *object) {
    if (key->type != BL_TYPE_VIEW) return bl_key_parse(arena, key, name, value, object);
    return bl_recipe_fill(arena, name, value, (bl_recipe *)((char *)object + key->offset));
}

int bl_keys_fill(bl_arena *arena, bl_key_owner owner, const char *prefix, const bl_value *tree, void *object) {
    for (int i = 0; i < bl_schema_count; i++) {
        const bl_key *key = &bl_schema[i];
        const char *relative = key->owner == owner && key->type != BL_TYPE_STRUCTURE ? below(key, prefix) : NULL;
        if (!relative) continue;
        const bl_value *value = bl_value_at(tree, relative);
        const char *name = spoken(arena, key->path);
        condition reason = condition_of(arena, key, prefix, tree);
        if (value && !reason.holds) {
            if (!reason.by || reason.by->layer <= value->layer) return idle(arena, name, value, &reason);
            value = NULL; // made idle by a later layer
        }
        if (!value && key->default_text) value = bl_key_default(arena, key);
        if (value) {
            if (fill_key(arena, key, name, value, object)) return BL_FAILED;
        } else if (reason.holds) {
            const char *dot = strrchr(name, '.');
            const char *advice = bl_arena_format(arena, "write `%s:` followed by %s", dot ? dot + 1 : name, range_of(arena, key));
            return bl_refuse(bl_value_spot(arena, tree, relative), advice, "%s is missing", name);
        }
    }
    return BL_OK;
}

// ---- canonical text ----

static void print_transform(bl_arena *arena, const bl_entry *entry, const bl_transform *transform, unsigned classes, bl_text *text) {
    bl_text_add(text, "%s: ", entry->key);
    bl_keys_print_flow(BL_OF_TRANSFORM, prefix_of(arena, entry), entry->value, transform, classes, text);
}

static void print_recipe(bl_arena *arena, const bl_value *map, const bl_recipe *recipe, unsigned classes, bl_text *text) {
    bl_text_add(text, "{");
    for (int i = 0; i < recipe->count; i++) {
        bl_text_add(text, "%s", i ? ", " : "");
        print_transform(arena, &map->entries[i], &recipe->items[i], classes, text);
    }
    bl_text_add(text, "}");
}

static void print_value(bl_arena *arena, const bl_key *key, const bl_value *value, const void *object, unsigned classes, bl_text *text) {
    if (key->type != BL_TYPE_VIEW)
        bl_key_print(key, value, object, text);
    else // transforms are of class train: below `evaluate` they are all the view's own
        print_recipe(arena, value ? value : bl_key_default(arena, key), (const bl_recipe *)((const char *)object + key->offset),
                     1u << BL_KEY_TRAIN | (classes & BL_ONLY_CHANGED), text);
}

// Says nothing that its absence would not say.
static bool is_default(bl_arena *arena, const bl_key *key, const bl_value *value, const void *object) {
    static const size_t sizes[] = {[BL_OF_CELL] = sizeof(bl_cell),             [BL_OF_MACHINE] = sizeof(bl_machine),
                                   [BL_OF_STUDY] = sizeof(bl_experiment),      [BL_OF_TRANSFORM] = sizeof(bl_transform),
                                   [BL_OF_EVALUATION] = sizeof(bl_evaluation_entry), [BL_OF_EXPECTATION] = sizeof(bl_expectation)};
    if (!key->default_text) return false;
    if (!value) return true;
    void *fresh = bl_arena_take(arena, sizes[key->owner]);
    if (fill_key(arena, key, key->path, bl_key_default(arena, key), fresh)) return false;
    bl_text ours = {0}, theirs = {0};
    print_value(arena, key, value, object, BL_EVERY_CLASS, &ours);
    print_value(arena, key, NULL, fresh, BL_EVERY_CLASS, &theirs);
    const bool equal = ours.size == theirs.size && (!ours.size || !memcmp(ours.chars, theirs.chars, ours.size));
    bl_text_free(&ours);
    bl_text_free(&theirs);
    return equal;
}

static bool is_printed(bl_arena *arena, const bl_key *key, bl_key_owner owner, const char *prefix, const bl_value *tree,
                       const void *object, unsigned classes) {
    const char *relative = below(key, prefix);
    if (key->owner != owner || key->type == BL_TYPE_STRUCTURE || key->type == BL_TYPE_SEEDS || !relative) return false;
    if (!(classes & 1u << key->key_class) || !bl_key_has_meaning(arena, key, prefix, tree)) return false;
    return !(classes & BL_ONLY_CHANGED) || !is_default(arena, key, bl_value_at(tree, relative), object);
}

void bl_keys_print_block(bl_key_owner owner, const char *top, const bl_value *tree, const void *object, unsigned classes,
                         bl_text *text) {
    bl_arena *arena = bl_arena_create();
    const char *previous = "";
    size_t length = strlen(top);
    for (int i = 0; i < bl_schema_count; i++) {
        const bl_key *key = &bl_schema[i];
        if (strncmp(key->path, top, length) || key->path[length] != '.') continue;
        if (!is_printed(arena, key, owner, "", tree, object, classes)) continue;
        int depth = 0;
        for (const char *part = key->path; *part; depth++) { // a heading for every map the line before was not in
            size_t size = strcspn(part, ".");
            size_t end = (size_t)(part - key->path) + size;
            bool is_leaf = !part[size], is_open = !strncmp(previous, key->path, end) && previous[end] == '.';
            if (!is_leaf && !is_open) bl_text_add(text, "%*s%.*s:\n", 2 * depth, "", (int)size, part);
            if (is_leaf) bl_text_add(text, "%*s%s: ", 2 * depth, "", part);
            part += size + !is_leaf;
        }
        print_value(arena, key, bl_value_at(tree, key->path), object, classes, text);
        bl_text_add(text, "\n");
        previous = key->path;
    }
    bl_arena_free(arena);
}

void bl_keys_print_flow(bl_key_owner owner, const char *prefix, const bl_value *tree, const void *object, unsigned classes,
                        bl_text *text) {
    bl_arena *arena = bl_arena_create();
    int count = 0;
    bool is_map = true;
    for (int i = 0; i < bl_schema_count; i++) {
        const bl_key *key = &bl_schema[i];
        if (!is_printed(arena, key, owner, prefix, tree, object, classes)) continue;
        const char *relative = below(key, prefix);
        is_map = *relative != 0;
        if (is_map) bl_text_add(text, "%s%s: ", count++ ? ", " : "{", relative);
        print_value(arena, key, bl_value_at(tree, relative), object, classes, text);
    }
    if (is_map) bl_text_add(text, count ? "}" : "{}");
    bl_arena_free(arena);
}

void bl_recipe_print_entry(bl_arena *arena, const bl_value *map, const bl_recipe *recipe, unsigned classes, bl_text *text) {
    for (int i = 0; i < recipe->count; i++) {
        bl_text_add(text, "%s", i ? "    " : "  - ");
        print_transform(arena, &map->entries[i], &recipe->items[i], classes, text);
        bl_text_add(text, "\n");
    }
    if (!recipe->count) bl_text_add(text, "  - {}\n");
}
