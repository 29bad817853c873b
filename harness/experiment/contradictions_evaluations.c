#include "experiment/contradictions.h"

#include <math.h>
#include <string.h>

#include "datasets/facts.h"    // bl_dataset_facts
#include "experiment/cell.h"
#include "experiment/protocol_facts.h"
#include "experiment/rows.h"   // bl_row_of_share
#include "experiment/schema.h" // bl_evaluation_entry

typedef struct where { // an entry, for messages
    bl_arena *arena;
    const bl_evaluation_entry *entry;
    const char *name; // "knn"
} where;

// Of a key of the entry; the entry's own where it was left out.
static bl_spot spot_of(const where *at, const char *key) {
    return bl_value_spot(at->arena, at->entry->map, key);
}

static int check_split(const where *at, const bl_cell *cell) {
    const bl_evaluation *row = &at->entry->row;
    if (!bl_cell_images(cell, row->split))
        return bl_refuse(
            spot_of(at, "split"),
            "write `validation: 5000` below `data:`, or `split: test` (and `monitor: test` where it is watched while training)",
            "evaluate.%s.split: validation, but data.validation is 0", at->name);
    if (row->monitor && row->split != BL_TEST)
        return bl_refuse(spot_of(at, "monitor"), "leave it out, or write `split: test`", "evaluate.%s.monitor: this row does not look at test",
                         at->name);
    return BL_OK;
}

static bool looks_before_the_end(const bl_epochs *at, int epochs) {
    for (int epoch = 0; epoch < epochs; epoch++)
        if (bl_epochs_hit(at, epoch, epochs)) return true;
    return false;
}

static int check_when(const where *at, const bl_cell *cell) {
    const bl_evaluation *row = &at->entry->row;
    if (row->split == BL_TEST && !row->monitor && !row->knn.raw_pixels && looks_before_the_end(&row->at, cell->train.epochs))
        return bl_refuse(
            spot_of(at, "at"),
            "write `monitor: test` to own that, `split: validation`, or leave `at` out: then only the last epoch is evaluated",
            "evaluate.%s.at: test is looked at before training ends", at->name);
    return BL_OK;
}

static int check_knn(const where *at, const bl_cell *cell) {
    if (check_split(at, cell)) return BL_FAILED;
    const bl_evaluation *row = &at->entry->row;
    const bl_knn_options *knn = &row->knn;
    const int64_t images = bl_cell_images(cell, row->split);
    if (knn->protocol == BL_KNN_TRAIN_TO_TEST && row->split == BL_TRAIN)
        return bl_refuse(spot_of(at, "split"), "write another split, or `protocol: cross_validation`",
                         "evaluate.knn.split: every train image would find itself");
    if (knn->rows > images)
        return bl_refuse(spot_of(at, "rows"), bl_arena_format(at->arena, "write at most %lld, or 0 for all", (long long)images),
                         "evaluate.knn.rows: %lld of the %lld images of %s", (long long)knn->rows, (long long)images,
                         bl_evaluation_split(row));
    const int64_t asked = knn->rows ? knn->rows : images;
    const int64_t bank =
        knn->protocol == BL_KNN_CROSS_VALIDATION ? asked - (asked + knn->folds - 1) / knn->folds : bl_cell_images(cell, BL_TRAIN);
    if (knn->k > bank)
        return bl_refuse(spot_of(at, "k"), bl_arena_format(at->arena, "write at most %lld", (long long)bank),
                         "evaluate.knn.k: %d neighbours from a bank of %lld images", knn->k, (long long)bank);
    return check_when(at, cell);
}

int bl_share_check(bl_arena *arena, bl_spot spot, const char *name, const bl_cell *cell, double share, double held_out) {
    const double images = (double)bl_cell_images(cell, BL_TRAIN) / bl_cell_classes(cell);
    const int needed = held_out > 0 ? 2 : 1;
    if (llround(images * share / 100) >= needed) return BL_OK;
    const char *advice = bl_arena_format(arena, "write at least %.3g", ceil(1000 * (needed - 0.5) * 100 / images) / 1000);
    if (llround(images * share / 100) >= 1)
        return bl_refuse(spot, bl_arena_format(arena, "%s, or `validation: 0`", advice),
                         "%s: %.12g %% of %.0f images a class is one, and one is held out for the choice", name, share, images);
    return bl_refuse(spot, advice, "%s: %.12g %% of %.0f images a class is less than one", name, share, images);
}

static int check_solver(const where *at) {
    const bl_fit_options *fit = &at->entry->row.fit;
    const bl_linear_options *linear = &at->entry->row.linear;
    const char *name = at->name;
    if (linear->lbfgs && !linear->cached)
        return bl_refuse(spot_of(at, "solver"), "write `solver: sgd`, or `features: cached`",
                         "evaluate.linear.solver: L-BFGS sees all features at once, and augmented ones never end");
    if (linear->lbfgs) return BL_OK;
    if (fit->optimizer.momentum >= 1)
        return bl_refuse(spot_of(at, "momentum"), "write a number below 1", "evaluate.%s.momentum: 1 forgets nothing", name);
    if (fit->optimizer.nesterov && fit->optimizer.momentum <= 0)
        return bl_refuse(spot_of(at, "momentum"), "write a momentum above 0, or `nesterov: false`",
                         "evaluate.%s.nesterov: there is no momentum to look along", name);
    return BL_OK;
}

static bool is_choosing(const bl_evaluation *row) {
    return row->linear.lbfgs ? row->linear.l2_points > 1 : row->fit.rate_count > 1;
}

// What was chosen on the images that are asked about flatters.
static int check_choice(const where *at) {
    const bl_evaluation *row = &at->entry->row;
    if (row->fit.validation > 0 || row->split != BL_VALIDATION || !is_choosing(row)) return BL_OK;
    return bl_refuse(spot_of(at, "validation"), "write a part of the labelled images, such as 0.1, or `split: test`",
                     "evaluate.%s.validation: 0 chooses %s on the split validation, and that is where the row reports", at->name,
                     row->linear.lbfgs ? "l2" : "the learning rate");
}

// Fine-tuning trains the encoder's batch norms: its batches fall into the same groups.
static int check_statistics(const where *at, const bl_cell *cell) {
    const bl_fit_options *fit = &at->entry->row.fit;
    const int64_t rows = cell->model.encoder.statistics_rows;
    if (!bl_protocol_facts_of(at->entry->row.kind)->has_arms || fit->frozen || !rows || fit->batch % rows == 0) return BL_OK;
    return bl_refuse(spot_of(at, "batch"), bl_arena_format(at->arena, "write a multiple of %lld", (long long)rows),
                     "evaluate.%s.batch: a batch of %d does not fall into the groups of %lld of network.batch_norm.statistics_rows",
                     at->name, fit->batch, (long long)rows);
}

// Of each share's fit.
static int check_length(const where *at, const bl_cell *cell) {
    const bl_evaluation_entry *entry = at->entry;
    const bl_fit_options *fit = &entry->row.fit;
    if (fit->growth > 0 && !fit->steps)
        return bl_refuse(spot_of(at, "growth"), "leave it out: epochs are in proportion to the labels, or write `steps`", "evaluate.%s.growth: of no steps", at->name);
    for (int i = 0; i < entry->share_count; i++) {
        const bl_evaluation row = bl_row_of_share(entry, i);
        if (bl_fit_check_length(&row, bl_cell_learned(cell, &row, row.fit.share))) return BL_FAILED;
    }
    return BL_OK;
}

static int check_fit(const where *at, const bl_cell *cell) {
    const bl_evaluation_entry *entry = at->entry;
    const bl_fit_options *fit = &entry->row.fit;
    const char *name = at->name;
    const bl_value *view = bl_value_get(at->entry->map, "view"), *shares = bl_value_get(at->entry->map, "shares");
    if (check_split(at, cell)) return BL_FAILED;
    if (entry->row.split == BL_TRAIN)
        return bl_refuse(spot_of(at, "split"), "write `split: test` or `split: validation`",
                         "evaluate.%s.split: a classifier is not asked about the labels it was fitted to", name);
    if (fit->validation <= 0 && !cell->data.validation)
        return bl_refuse(spot_of(at, "validation"), "write a part above 0, or `validation: 5000` below `data:`",
                         "evaluate.%s.validation: 0 means the split validation, but data.validation is 0", name);
    for (int i = 0; i < entry->share_count; i++)
        if (fit->validation <= 0 && entry->shares[i] < 100)
            return bl_refuse(spot_of(at, "validation"), "write a part above 0: labels that choose count as labels",
                             "evaluate.%s.validation: a share of %.12g %% would choose by labels outside it", name, entry->shares[i]);
    for (int i = 0; i < entry->share_count; i++)
        if (bl_share_check(at->arena, shares ? shares->entries[i].value->spot : at->entry->map->spot,
                           bl_arena_format(at->arena, "evaluate.%s.shares", name), cell, entry->shares[i], fit->validation))
            return BL_FAILED;
    if (check_choice(at) || check_solver(at) || check_statistics(at, cell)) return BL_FAILED;
    if (check_length(at, cell)) return BL_FAILED;
    const int from = bl_cell_image_side(cell), side = cell->model.image_size;
    for (int i = 0; view && i < fit->view.count; i++)
        if (fit->view.items[i].kind == BL_NORMALIZE)
            return bl_refuse(view->entries[i].key_spot, "leave it out", "evaluate.%s.view.normalize: the evaluation's own is used", name);
    if (view && bl_recipe_check(at->arena, bl_arena_format(at->arena, "evaluate.%s.view", name), view, &fit->view, from, side)) return BL_FAILED;
    return check_when(at, cell);
}

static int check_segmentation(const where *at, const bl_cell *cell) {
    const bl_fit_options *fit = &at->entry->row.fit;
    const bool is_held_out = fit->rate_count > 1 || fit->watch == BL_WATCH_HELD_OUT;
    if (check_solver(at) || check_statistics(at, cell)) return BL_FAILED;
    if (is_held_out && fit->validation <= 0)
        return bl_refuse(spot_of(at, "validation"), "write a part above 0",
                         "evaluate.segmentation.validation: nothing is held out to choose a learning rate or to watch");
    if (fit->watch == BL_WATCH_HELD_OUT && fit->refit)
        return bl_refuse(spot_of(at, "watch"), "write `refit: false` beside it",
                         "evaluate.segmentation.watch: a refit trains on what is held out");
    if (fit->schedule.kind == BL_SCHEDULE_PLATEAU && fit->watch == BL_WATCH_NONE)
        return bl_refuse(spot_of(at, "schedule"), "write `watch: held_out` and `refit: false`, or `watch: val`",
                         "evaluate.segmentation.schedule: a plateau of what?");
    if (fit->schedule.kind != BL_SCHEDULE_CONSTANT && fit->schedule.least >= fit->learning_rates[0])
        return bl_refuse(spot_of(at, "least_lr"), bl_arena_format(at->arena, "write less than %.12g", fit->learning_rates[0]),
                         "evaluate.segmentation.least_lr: %.12g is not below the learning rate of %.12g", fit->schedule.least, fit->learning_rates[0]);
    if (check_length(at, cell)) return BL_FAILED;
    const int pictures = at->entry->row.segmentation.pictures;
    if (bl_dataset_facts_of(cell->data.name)->is_drawn && cell->data.test < pictures)
        return bl_refuse(spot_of(at, "pictures"), bl_arena_format(at->arena, "write at most %d", cell->data.test),
                         "evaluate.segmentation.pictures: %d of the %d scenes of val", pictures, cell->data.test);
    return BL_OK;
}

static int check_as_any(const where *at, const bl_cell *cell) {
    return check_split(at, cell) ? BL_FAILED : check_when(at, cell);
}

static int check_probe(const where *at, const bl_cell *cell) {
    if (!cell->is_probed)
        return bl_refuse(at->entry->map->spot, cell->task == BL_TASK_BYOL ? "write `probe: {kind: linear}` below `method:`" : "write `- accuracy:`",
                         "evaluate.probe: no probe trains along");
    return check_as_any(at, cell);
}

static int check_accuracy(const where *at, const bl_cell *cell) {
    if (cell->task != BL_TASK_SUPERVISED)
        return bl_refuse(at->entry->map->spot, "write `kind: supervised` below `method:`, or evaluate by `- linear:`",
                         "evaluate.accuracy: BYOL trains no classifier");
    return check_as_any(at, cell);
}

// What a protocol's own keys contradict; none here: what any row's do.
static int (*const checks[BL_PROTOCOL_COUNT])(const where *at, const bl_cell *cell) = {
    [BL_PROTOCOL_KNN] = check_knn,     [BL_PROTOCOL_LINEAR] = check_fit,        [BL_PROTOCOL_FINETUNE] = check_fit,
    [BL_PROTOCOL_PROBE] = check_probe, [BL_PROTOCOL_ACCURACY] = check_accuracy, [BL_PROTOCOL_SEGMENTATION] = check_segmentation,
};

static int check_entry(const where *at, const bl_cell *cell) {
    const bl_protocol_kind kind = at->entry->row.kind;
    const bool has_scenes = bl_dataset_facts_of(cell->data.name)->scenes != NULL;
    if (has_scenes != bl_protocol_facts_of(kind)->of_scenes)
        return bl_refuse(at->entry->map->spot,
                         has_scenes ? "write `- segmentation:`" : "write `dataset: cityscapes` or streets below `data:`, or `- finetune:`",
                         has_scenes ? "evaluate.%s: %s are scenes, which have a label a pixel, not an image" : "evaluate.%s: %s has a label an image, not a pixel",
                         at->name, cell->data.name);
    return checks[kind] ? checks[kind](at, cell) : check_as_any(at, cell);
}

int bl_evaluations_check(bl_arena *arena, const bl_cell *cell) {
    int status = BL_OK;
    for (int i = 0; !status && i < cell->entry_count; i++) {
        const bl_evaluation_entry *entry = &cell->entries[i];
        status = check_entry(&(where){arena, entry, bl_protocol_facts_of(entry->row.kind)->name}, cell);
    }
    return status;
}
