#include "run/cell.h"

#include <string.h>

#include "base/digest.h"
#include "run/keys.h"

int bl_cell_image_side(const bl_cell *cell) {
    (void)cell;
    return 32; // cifar10 and shapes
}

int bl_cell_classes(const bl_cell *cell) {
    return !strcmp(cell->data.name, "cifar100") ? 100 : 10;
}

int64_t bl_cell_images(const bl_cell *cell, bl_split split) {
    bool is_cifar = !strcmp(cell->data.name, "cifar10");
    if (split == BL_TEST) return is_cifar ? 10000 : cell->data.test;
    if (split == BL_VALIDATION) return cell->data.validation;
    int64_t left = (is_cifar ? 50000 : cell->data.train) - cell->data.validation;
    return cell->data.limit && cell->data.limit < left ? cell->data.limit : left;
}

// ---- views ----

static const struct {
    const char *name;
    bl_transform_kind kind;
} transforms[] = {
    {"random_resized_crop", BL_RANDOM_RESIZED_CROP},
    {"flip", BL_FLIP},
    {"color_jitter", BL_COLOR_JITTER},
    {"grayscale", BL_GRAYSCALE},
    {"blur", BL_GAUSSIAN_BLUR},
    {"normalize", BL_NORMALIZE},
};

static int fill_recipe(bl_arena *arena, const bl_value *map, bl_recipe *recipe) {
    for (int i = 0; i < map->count; i++) {
        const bl_entry *entry = &map->entries[i];
        bl_transform *transform = &recipe->items[recipe->count++]; // keys are distinct: there are fewer than BL_MAX_TRANSFORMS
        for (size_t k = 0; k < sizeof transforms / sizeof *transforms; k++)
            if (!strcmp(transforms[k].name, entry->key)) transform->kind = transforms[k].kind;
        transform->p = 1;
        const char *whole = bl_arena_format(arena, "views[].%s", entry->key);
        const char *prefix = bl_schema_find(whole) ? whole : bl_arena_format(arena, "%s.", whole);
        if (bl_keys_fill(arena, BL_OF_TRANSFORM, prefix, entry->value, transform)) return BL_FAILED;
    }
    return BL_OK;
}

static int fill_views(bl_arena *arena, const bl_value *tree, bl_cell *cell) {
    const bl_value *list = bl_value_get(tree, "views");
    if (!list) return bl_refuse(tree->spot, "write `views:` and one list entry for both views, or two", "views is missing");
    if (list->count < 1 || list->count > BL_VIEWS)
        return bl_refuse(list->spot, "write one entry for both views, or one each", "views: %d entries", list->count);
    for (int v = 0; v < list->count; v++)
        if (fill_recipe(arena, list->entries[v].value, &cell->views[v])) return BL_FAILED;
    if (list->count == 1) cell->views[1] = cell->views[0];
    for (int i = 0; i < cell->views[0].count; i++)
        if (cell->views[0].items[i].kind == BL_NORMALIZE)
            cell->evaluation_view.items[cell->evaluation_view.count++] = cell->views[0].items[i];
    cell->model.image_size = bl_cell_image_side(cell);
    for (int i = 0; i < cell->views[0].count; i++)
        if (cell->views[0].items[i].kind == BL_RANDOM_RESIZED_CROP) cell->model.image_size = cell->views[0].items[i].size;
    return BL_OK;
}

static void print_recipe(bl_arena *arena, const bl_value *map, const bl_recipe *recipe, unsigned classes, bl_text *text) {
    for (int i = 0; i < recipe->count; i++) {
        const bl_entry *entry = &map->entries[i];
        const char *whole = bl_arena_format(arena, "views[].%s", entry->key);
        const char *prefix = bl_schema_find(whole) ? whole : bl_arena_format(arena, "%s.", whole);
        bl_text_add(text, "%s%s: ", i ? "    " : "  - ", entry->key);
        bl_keys_print_flow(BL_OF_TRANSFORM, prefix, entry->value, &recipe->items[i], classes, text);
        bl_text_add(text, "\n");
    }
    if (!recipe->count) bl_text_add(text, "  - {}\n");
}

// Two equal entries are written as one.
static void print_views(bl_arena *arena, const bl_value *tree, const bl_cell *cell, unsigned classes, bl_text *text) {
    const bl_value *list = bl_value_get(tree, "views");
    bl_text entries[BL_VIEWS] = {{0}};
    for (int v = 0; v < list->count; v++) print_recipe(arena, list->entries[v].value, &cell->views[v], classes, &entries[v]);
    bl_text_add(text, "views:\n%s", entries[0].chars);
    if (list->count == 2 && strcmp(entries[0].chars, entries[1].chars)) bl_text_add(text, "%s", entries[1].chars);
    for (int v = 0; v < BL_VIEWS; v++) bl_text_free(&entries[v]);
}

// ---- evaluations ----

#define KNN "evaluate[].knn."

// "knn/k1_cv/test", "knn/k200/test", "pixels/k1_cv/test"
static void name_evaluation(bl_arena *arena, const bl_value *tree, bl_evaluation *evaluation) {
    static const char *const splits[] = {[BL_TRAIN] = "train", [BL_VALIDATION] = "validation", [BL_TEST] = "test"};
    const char *folded = evaluation->protocol == BL_KNN_CROSS_VALIDATION ? "_cv" : "";
    evaluation->row = bl_arena_format(arena, "%s/k%d%s/%s", evaluation->raw_pixels ? "pixels" : "knn", evaluation->k, folded,
                                      splits[evaluation->split]);
    bl_text options = {0};
    char digest[65];
    bl_keys_print_flow(BL_OF_EVALUATION, KNN, tree, evaluation, 1u << BL_KEY_EVALUATE | BL_ONLY_CHANGED, &options);
    bl_digest_hex(options.chars, options.size, digest);
    evaluation->id = bl_arena_format(arena, "%.16s", digest);
    bl_text_free(&options);
}

static int fill_evaluations(bl_arena *arena, const bl_value *tree, bl_cell *cell) {
    const bl_value *list = bl_value_get(tree, "evaluate");
    if (!list) return BL_OK;
    cell->evaluations = bl_arena_take(arena, (size_t)(list->count + 1) * sizeof *cell->evaluations);
    for (int i = 0; i < list->count; i++) {
        const bl_value *knn = bl_value_get(list->entries[i].value, "knn");
        bl_evaluation *evaluation = &cell->evaluations[cell->evaluation_count];
        if (!knn)
            return bl_refuse(list->entries[i].value->spot, "write `- knn: {k: 200, ...}`", "evaluate: an entry without a protocol");
        int status = bl_keys_fill(arena, BL_OF_EVALUATION, KNN, knn, evaluation);
        if (status) return status;
        if (evaluation->raw_pixels) evaluation->at = (bl_epochs){.list_count = 1}; // they never change: epoch 0
        if (evaluation->protocol == BL_KNN_CROSS_VALIDATION) evaluation->temperature = 0;
        name_evaluation(arena, knn, evaluation);
        for (int k = 0; k < cell->evaluation_count; k++)
            if (!strcmp(cell->evaluations[k].row, evaluation->row))
                return bl_refuse(knn->spot, "write one of them, or give them another k or split", "evaluate: two rows are called %s",
                                 evaluation->row);
        cell->evaluation_count++;
    }
    return BL_OK;
}

static void print_evaluations(const bl_value *tree, const bl_cell *cell, bl_text *text) {
    const bl_value *list = bl_value_get(tree, "evaluate");
    if (cell->evaluation_count) bl_text_add(text, "evaluate:\n");
    for (int i = 0; i < cell->evaluation_count; i++) {
        bl_text_add(text, "  - knn: ");
        bl_keys_print_flow(BL_OF_EVALUATION, KNN, bl_value_get(list->entries[i].value, "knn"), &cell->evaluations[i], BL_EVERY_CLASS,
                           text);
        bl_text_add(text, "\n");
    }
}

// ---- the cell ----

int bl_cell_fill(bl_arena *arena, const bl_value *tree, bl_cell *cell) {
    if (bl_keys_known(arena, tree)) return BL_FAILED;
    int status = bl_keys_fill(arena, BL_OF_CELL, "", tree, cell);
    cell->model.method.predictor_head.out = cell->model.projector.out;
    if (!status) status = fill_views(arena, tree, cell);
    if (!status) status = fill_evaluations(arena, tree, cell);
    return status;
}

void bl_cell_identify(bl_arena *arena, const bl_value *tree, const bl_machine *machine, bl_cell *cell) {
    bl_text all = {0}, training = {0};
    char digest[65];
    for (int pass = 0; pass < 2; pass++) {
        bl_text *text = pass ? &training : &all;
        unsigned classes = pass ? 1u << BL_KEY_TRAIN | BL_ONLY_CHANGED : BL_EVERY_CLASS;
        bl_keys_print_block(BL_OF_CELL, "data", tree, cell, classes, text);
        print_views(arena, tree, cell, classes, text);
        bl_keys_print_block(BL_OF_CELL, "network", tree, cell, classes, text);
        bl_keys_print_block(BL_OF_CELL, "method", tree, cell, classes, text);
        bl_keys_print_block(BL_OF_CELL, "train", tree, cell, classes, text);
        if (pass) continue;
        print_evaluations(tree, cell, text);
        bl_keys_print_block(BL_OF_CELL, "save", tree, cell, classes, text);
        bl_keys_print_block(BL_OF_MACHINE, "machine", tree, machine, classes, text);
    }
    bl_digest_hex(training.chars, training.size, digest);
    cell->resolved = bl_arena_copy(arena, all.chars);
    cell->train_id = bl_arena_copy(arena, digest);
    bl_text_free(&all);
    bl_text_free(&training);
}
