#include "experiment/recipes.h"

#include <string.h>

#include "experiment/keys.h"

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

// "views[].flip" is a key itself, "views[].blur." leads to keys.
static const char *prefix_of(bl_arena *arena, const bl_entry *entry) {
    const char *whole = bl_arena_format(arena, "views[].%s", entry->key);
    return bl_schema_find(whole) ? whole : bl_arena_format(arena, "%s.", whole);
}

int bl_recipe_fill(bl_arena *arena, const char *name, const bl_value *map, bl_recipe *recipe) {
    if (map->kind != BL_VALUE_MAP) return bl_refuse(map->spot, "write {flip: 0.5, ...}", "%s: expected a map of transforms", name);
    for (int i = 0; i < map->count; i++) {
        const bl_entry *entry = &map->entries[i];
        bl_transform *transform = &recipe->items[recipe->count++]; // keys are distinct: there are fewer than BL_MAX_TRANSFORMS
        for (size_t k = 0; k < sizeof transforms / sizeof *transforms; k++)
            if (!strcmp(transforms[k].name, entry->key)) transform->kind = transforms[k].kind;
        transform->p = 1;
        if (bl_keys_fill(arena, BL_OF_TRANSFORM, prefix_of(arena, entry), entry->value, transform)) return BL_FAILED;
    }
    return BL_OK;
}

static void print_transform(bl_arena *arena, const bl_entry *entry, const bl_transform *transform, unsigned classes, bl_text *text) {
    bl_text_add(text, "%s: ", entry->key);
    bl_keys_print_flow(BL_OF_TRANSFORM, prefix_of(arena, entry), entry->value, transform, classes, text);
}

void bl_recipe_print(bl_arena *arena, const bl_value *map, const bl_recipe *recipe, unsigned classes, bl_text *text) {
    bl_text_add(text, "{");
    for (int i = 0; i < recipe->count; i++) {
        bl_text_add(text, "%s", i ? ", " : "");
        print_transform(arena, &map->entries[i], &recipe->items[i], classes, text);
    }
    bl_text_add(text, "}");
}

void bl_recipe_print_entry(bl_arena *arena, const bl_value *map, const bl_recipe *recipe, unsigned classes, bl_text *text) {
    for (int i = 0; i < recipe->count; i++) {
        bl_text_add(text, "%s", i ? "    " : "  - ");
        print_transform(arena, &map->entries[i], &recipe->items[i], classes, text);
        bl_text_add(text, "\n");
    }
    if (!recipe->count) bl_text_add(text, "  - {}\n");
}

static int check_transform(bl_arena *arena, const char *name, const bl_entry *entry, const bl_transform *transform, int from, int side) {
    const bl_value *kernel = bl_value_get(entry->value, "kernel"), *size = bl_value_get(entry->value, "size");
    const bl_value *resize = bl_value_get(entry->value, "resize");
    switch (transform->kind) {
    case BL_RANDOM_RESIZED_CROP:
    case BL_CENTER_CROP:
        if (transform->size != side)
            return bl_refuse(size->spot, bl_arena_format(arena, "write `size: %d`", side),
                             "%s.%s.size: %d, but the images are evaluated at %d pixels", name, entry->key, transform->size, side);
        if (transform->kind == BL_CENTER_CROP && transform->resize && transform->resize < transform->size)
            return bl_refuse(resize->spot, bl_arena_format(arena, "write %d or more", transform->size),
                             "%s.center_crop.resize: images of %d pixels have no middle of %d", name, transform->resize, transform->size);
        return BL_OK;
    case BL_GAUSSIAN_BLUR:
        if (transform->kernel % 2 == 0)
            return bl_refuse(kernel->spot, bl_arena_format(arena, "write %d or %d", transform->kernel - 1, transform->kernel + 1),
                             "%s.blur.kernel: %d has no middle", name, transform->kernel);
        if (transform->kernel / 2 >= from)
            return bl_refuse(kernel ? kernel->spot : entry->key_spot, "write a smaller one",
                             "%s.blur.kernel: %d does not fit images of %d pixels", name, transform->kernel, from);
        return BL_OK;
    default: return BL_OK;
    }
}

int bl_recipe_check(bl_arena *arena, const char *name, const bl_value *map, const bl_recipe *recipe, int from, int side) {
    for (int i = 0; i < recipe->count; i++) {
        const bl_entry *entry = &map->entries[i];
        if (i && recipe->items[i - 1].kind == BL_NORMALIZE)
            return bl_refuse(entry->key_spot, "write normalize last: the others expect values from 0 to 1", "%s: %s after normalize", name,
                             entry->key);
        if (check_transform(arena, name, entry, &recipe->items[i], from, side)) return BL_FAILED;
        if (recipe->items[i].kind == BL_RANDOM_RESIZED_CROP || recipe->items[i].kind == BL_CENTER_CROP) from = recipe->items[i].size;
    }
    return BL_OK;
}
