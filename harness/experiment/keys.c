#include "experiment/keys.h"

#include <string.h>

#include "experiment/key_values.h"

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
    const char **names;
    int count = siblings(arena, prefix, &names);
    const char *near = bl_nearest_name(entry->key, names, count);
    if (near) return bl_refuse(entry->key_spot, bl_arena_format(arena, "write `%s`", near), "%s: no such key", spoken(arena, full));
    bl_text list = {0};
    bl_text_add(&list, "write one of ");
    for (int i = 0; i < count; i++) bl_text_add(&list, "%s%s", i ? ", " : "", names[i]);
    const char *advice = bl_arena_copy(arena, list.chars);
    bl_text_free(&list);
    return bl_refuse(entry->key_spot, advice, "%s: no such key", spoken(arena, full));
}

static bool has_below(const char *path, const char *ending) {
    size_t length = strlen(path), rest = strlen(ending);
    for (int i = 0; i < bl_schema_count; i++)
        if (!strncmp(bl_schema[i].path, path, length) && !strncmp(bl_schema[i].path + length, ending, rest)) return true;
    return false;
}

static int known_below(bl_arena *arena, const bl_value *map, const char *prefix) {
    for (int i = 0; i < map->count; i++) {
        const bl_entry *entry = &map->entries[i];
        const bl_value *value = entry->value;
        const char *full = bl_arena_format(arena, "%s%s", prefix, entry->key);
        const bl_key *key = bl_schema_find(full);
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
        } else if (has_below(full, ".")) {
            if (value->kind != BL_VALUE_MAP) {
                const char **names;
                siblings(arena, bl_arena_format(arena, "%s.", full), &names);
                return bl_refuse(value->spot, bl_arena_format(arena, "write {%s: ...}", names[0]), "%s: expected a map of keys",
                                 spoken(arena, full));
            }
            if (known_below(arena, value, bl_arena_format(arena, "%s.", full))) return BL_FAILED;
        } else {
            return unknown(arena, entry, prefix, full);
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
            bl_text range = {0};
            bl_key_range(key, &range);
            const char *dot = strrchr(name, '.');
            const char *advice = bl_arena_format(arena, "write `%s:` followed by %s", dot ? dot + 1 : name, range.chars);
            bl_text_free(&range);
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
