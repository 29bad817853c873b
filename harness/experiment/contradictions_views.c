#include "experiment/contradictions.h"

#include <string.h>

#include "datasets/views/normalization.h" // bl_normalization_has_fault
#include "experiment/cell.h"              // bl_cell_image_side

// ---- transforms ----

static int check_normalize(const char *name, const bl_entry *entry, const bl_transform *transform) {
    bl_normalization_fault fault;
    if (!bl_normalization_has_fault(transform->mean, transform->std, &fault)) return BL_OK;
    return bl_refuse(bl_value_get(entry->value, fault.is_of_std ? "std" : "mean")->spot, fault.advice, "%s.normalize: %s", name, fault.what);
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
    case BL_NORMALIZE: return check_normalize(name, entry, transform);
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

// ---- both views ----

static const bl_transform *normalisation(const bl_recipe *recipe) {
    for (int i = 0; i < recipe->count; i++)
        if (recipe->items[i].kind == BL_NORMALIZE) return &recipe->items[i];
    return NULL;
}

int bl_views_check(bl_arena *arena, const bl_value *tree, const bl_cell *cell) {
    const bl_value *list = bl_value_get(tree, "views");
    if (cell->task == BL_TASK_SUPERVISED && list->count > 1)
        return bl_refuse(bl_value_latest_spot(arena, tree, "views.1", "method.kind"), "write one entry",
                         "views: two of them, but a classifier sees one view of an image");
    const int from = bl_cell_image_side(cell), side = cell->model.image_size;
    for (int v = 0; v < list->count; v++) {
        if (bl_recipe_check(arena, "views", list->entries[v].value, &cell->views[v], from, side)) return BL_FAILED;
        const int leaving = bl_recipe_size(&cell->views[v], from);
        if (leaving != side)
            return bl_refuse(list->entries[v].value->spot, bl_arena_format(arena, "write `random_resized_crop: {size: %d}` here too", side),
                             "views: one of %d pixels a side and one of %d", side, leaving);
    }
    const bl_transform *a = normalisation(&cell->views[0]), *b = normalisation(&cell->views[1]);
    bool agree = a && b ? !memcmp(a->mean, b->mean, sizeof a->mean) && !memcmp(a->std, b->std, sizeof a->std) : a == b;
    if (!agree)
        return bl_refuse(bl_value_spot(arena, tree, "views.1"), "write the same normalize in both",
                         "views: two ways to normalise, but an evaluation sees one image");
    return BL_OK;
}
