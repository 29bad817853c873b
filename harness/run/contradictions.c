// What each key allows and all together contradict.

#include <string.h>

#include "run/cell.h"

// Where `path` was written, or the nearest map above it.
static bl_spot spot_of(bl_arena *arena, const bl_value *tree, const char *path) {
    char *shorter = bl_arena_copy(arena, path);
    for (;;) {
        const bl_value *value = bl_value_at(tree, shorter);
        if (value) return value->spot;
        char *dot = strrchr(shorter, '.');
        if (!dot) return tree->spot;
        *dot = 0;
    }
}

// Of two keys that contradict each other, the one written last: the line that made the contradiction. `first` in doubt.
static bl_spot spot_of_latest(bl_arena *arena, const bl_value *tree, const char *first, const char *second) {
    const bl_value *a = bl_value_at(tree, first), *b = bl_value_at(tree, second);
    return b && (!a || b->layer > a->layer) ? b->spot : spot_of(arena, tree, first);
}

static int check_data(bl_arena *arena, const bl_value *tree, const bl_cell *cell) {
    const int64_t all = bl_cell_images(cell, BL_TRAIN);
    const int64_t update = (int64_t)cell->train.batch * cell->train.accumulate;
    if (all < 1)
        return bl_refuse(spot_of(arena, tree, "data.validation"), "write fewer", "data.validation: %d images leave none to train on",
                         cell->data.validation);
    if (update > all) {
        const char *first = cell->train.batch > all ? "train.batch" : "train.accumulate";
        return bl_refuse(spot_of_latest(arena, tree, first, "data.limit"),
                         bl_arena_format(arena, "write a batch times accumulate of at most %lld", (long long)all),
                         "train.batch: an update of %lld images from %lld would never happen", (long long)update, (long long)all);
    }
    bool heads_normalise =
        cell->model.projector.batch_norm == BL_NORM_HIDDEN ||
        (cell->model.method.predictor == BL_PREDICTOR_MLP && cell->model.method.predictor_head.batch_norm == BL_NORM_HIDDEN);
    if (cell->train.batch == 1 && heads_normalise)
        return bl_refuse(spot_of(arena, tree, "train.batch"), "write 2 or more, or `batch_norm: none` in the heads",
                         "train.batch: batch norm over one row makes every row 0");
    return BL_OK;
}

// ---- views ----

static int check_recipe(bl_arena *arena, const bl_value *map, const bl_cell *cell, const bl_recipe *recipe) {
    const int side = bl_cell_image_side(cell);
    for (int i = 0; i < recipe->count; i++) {
        const bl_transform *transform = &recipe->items[i];
        const bl_entry *entry = &map->entries[i];
        if (i && recipe->items[i - 1].kind == BL_NORMALIZE)
            return bl_refuse(entry->key_spot, "write normalize last: the others expect values from 0 to 1", "views: %s after normalize",
                             entry->key);
        if (transform->kind == BL_RANDOM_RESIZED_CROP && transform->size != side)
            return bl_refuse(spot_of(arena, map, "random_resized_crop.size"), bl_arena_format(arena, "write `size: %d`", side),
                             "views.random_resized_crop.size: %d, but the images are evaluated at %d pixels", transform->size, side);
        if (transform->kind == BL_GAUSSIAN_BLUR && transform->kernel % 2 == 0)
            return bl_refuse(spot_of(arena, map, "blur.kernel"),
                             bl_arena_format(arena, "write %d or %d", transform->kernel - 1, transform->kernel + 1),
                             "views.blur.kernel: %d has no middle", transform->kernel);
        if (transform->kind == BL_GAUSSIAN_BLUR && transform->kernel / 2 >= side)
            return bl_refuse(spot_of(arena, map, "blur.kernel"), "write a smaller one",
                             "views.blur.kernel: %d does not fit images of %d pixels", transform->kernel, side);
    }
    return BL_OK;
}

static const bl_transform *normalisation(const bl_recipe *recipe) {
    for (int i = 0; i < recipe->count; i++)
        if (recipe->items[i].kind == BL_NORMALIZE) return &recipe->items[i];
    return NULL;
}

static int check_views(bl_arena *arena, const bl_value *tree, const bl_cell *cell) {
    const bl_value *list = bl_value_get(tree, "views");
    for (int v = 0; v < list->count; v++)
        if (check_recipe(arena, list->entries[v].value, cell, &cell->views[v])) return BL_FAILED;
    const bl_transform *a = normalisation(&cell->views[0]), *b = normalisation(&cell->views[1]);
    bool agree = a && b ? !memcmp(a->mean, b->mean, sizeof a->mean) && !memcmp(a->std, b->std, sizeof a->std) : a == b;
    if (!agree)
        return bl_refuse(spot_of(arena, tree, "views.1"), "write the same normalize in both",
                         "views: two ways to normalise, but an evaluation sees one image");
    return BL_OK;
}

// ---- method ----

static int check_method(bl_arena *arena, const bl_value *tree, const bl_cell *cell) {
    const bl_method_options *method = &cell->model.method;
    const char *source = method->target == BL_TARGET_EMA ? "ema" : method->target == BL_TARGET_FROZEN ? "frozen" : "online";
    bool own_target = method->target != BL_TARGET_ONLINE;
    if (own_target && !method->stop_gradient)
        return bl_refuse(
            spot_of_latest(arena, tree, "method.stop_gradient", "method.target.source"),
            own_target && method->target == BL_TARGET_EMA
                ? "write `stop_gradient: true`, or `source: online` and `stop_gradient: false` for a target that is trained"
                : "write `stop_gradient: true`",
            "method.stop_gradient: no optimiser updates a target of source %s, so the gradient has nowhere to go", source);
    if (method->target == BL_TARGET_EMA && cell->train.tau >= 1)
        return bl_refuse(spot_of(arena, tree, "method.target.tau"), "write `source: frozen` for a target that stays, or tau below 1",
                         "method.target.tau: 1 would never move the target");
    bool starts_equal = !own_target || method->target_init == BL_TARGET_COPY;
    if (method->pairing == BL_SAME_VIEW && method->predictor == BL_PREDICTOR_NONE && starts_equal)
        return bl_refuse(spot_of_latest(arena, tree, "method.pairing", "method.predictor.kind"),
                         "write `pairing: crossed`, `predictor: {kind: mlp}`, or `init: independent` for the target",
                         "method: the same view through equal networks without a predictor: the loss is 0 before the first step");
    return BL_OK;
}

// ---- train ----

static int check_train(bl_arena *arena, const bl_value *tree, const bl_cell *cell) {
    const bl_optimizer_options *optimizer = &cell->model.optimizer;
    if (cell->train.warmup_epochs > cell->train.epochs)
        return bl_refuse(spot_of_latest(arena, tree, "train.warmup", "train.epochs"), "write fewer epochs of warmup",
                         "train.warmup: %g epochs of %d", cell->train.warmup_epochs, cell->train.epochs);
    if (optimizer->kind == BL_OPTIMIZER_SGD && optimizer->nesterov && optimizer->momentum <= 0)
        return bl_refuse(spot_of(arena, tree, "train.optimizer.nesterov"), "write a momentum above 0",
                         "train.optimizer.nesterov: there is no momentum to look along");
    if (optimizer->kind == BL_OPTIMIZER_SGD && optimizer->momentum >= 1)
        return bl_refuse(spot_of(arena, tree, "train.optimizer.momentum"), "write a number below 1",
                         "train.optimizer.momentum: 1 forgets nothing");
    if (optimizer->kind == BL_OPTIMIZER_ADAM && (optimizer->beta1 >= 1 || optimizer->beta2 >= 1))
        return bl_refuse(spot_of(arena, tree, optimizer->beta1 >= 1 ? "train.optimizer.beta1" : "train.optimizer.beta2"),
                         "write a number below 1", "train.optimizer: a moment that never moves");
    return BL_OK;
}

// ---- evaluations ----

static bool looks_before_the_end(const bl_epochs *at, int epochs) {
    for (int epoch = 0; epoch < epochs; epoch++)
        if (bl_epochs_hit(at, epoch, epochs)) return true;
    return false;
}

static int check_evaluation(bl_arena *arena, const bl_value *tree, const bl_cell *cell, int index) {
    static const char *const names[] = {[BL_TRAIN] = "train", [BL_VALIDATION] = "validation", [BL_TEST] = "test"};
    const bl_evaluation *row = &cell->evaluations[index];
    const char *knn = bl_arena_format(arena, "evaluate.%d.knn", index);
    const char *split = bl_arena_format(arena, "%s.split", knn);
    const int64_t images = bl_cell_images(cell, row->split);
    if (!images)
        return bl_refuse(
            spot_of(arena, tree, split),
            "write `validation: 5000` below `data:`, or `split: test` (and `monitor: test` where it is watched while training)",
            "evaluate.knn.split: validation, but data.validation is 0");
    if (row->protocol == BL_KNN_TRAIN_TO_TEST && row->split == BL_TRAIN)
        return bl_refuse(spot_of(arena, tree, split), "write another split, or `protocol: cross_validation`",
                         "evaluate.knn.split: every train image would find itself");
    if (row->rows > images)
        return bl_refuse(spot_of(arena, tree, bl_arena_format(arena, "%s.rows", knn)),
                         bl_arena_format(arena, "write at most %lld, or 0 for all", (long long)images),
                         "evaluate.knn.rows: %lld of the %lld images of %s", (long long)row->rows, (long long)images,
                         names[row->split]);
    const int64_t asked = row->rows ? row->rows : images;
    const int64_t bank =
        row->protocol == BL_KNN_CROSS_VALIDATION ? asked - (asked + row->folds - 1) / row->folds : bl_cell_images(cell, BL_TRAIN);
    if (row->k > bank)
        return bl_refuse(spot_of(arena, tree, bl_arena_format(arena, "%s.k", knn)),
                         bl_arena_format(arena, "write at most %lld", (long long)bank),
                         "evaluate.knn.k: %d neighbours from a bank of %lld images", row->k, (long long)bank);
    if (row->monitor && row->split != BL_TEST)
        return bl_refuse(spot_of(arena, tree, bl_arena_format(arena, "%s.monitor", knn)), "leave it out, or write `split: test`",
                         "evaluate.knn.monitor: this row does not look at test");
    if (row->split == BL_TEST && !row->monitor && !row->raw_pixels && looks_before_the_end(&row->at, cell->train.epochs))
        return bl_refuse(
            spot_of(arena, tree, bl_arena_format(arena, "%s.at", knn)),
            "write `monitor: test` to own that, `split: validation`, or leave `at` out: then only the last epoch is evaluated",
            "evaluate.knn.at: test is looked at before training ends");
    return BL_OK;
}

int bl_cell_check(bl_arena *arena, const bl_value *tree, const bl_cell *cell) {
    if (check_data(arena, tree, cell) || check_views(arena, tree, cell) || check_method(arena, tree, cell) ||
        check_train(arena, tree, cell))
        return BL_FAILED;
    for (int i = 0; i < cell->evaluation_count; i++)
        if (check_evaluation(arena, tree, cell, i)) return BL_FAILED;
    return BL_OK;
}
