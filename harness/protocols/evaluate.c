#include "protocols/evaluate.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/stop.h"           // bl_stop_here
#include "datasets/loader.h"     // bl_loader
#include "experiment/cell.h"     // bl_epochs_hit
#include "experiment/protocol_facts.h"
#include "protocols/evaluator.h" // bl_protocol
#include "run/labels.h"          // bl_labels_read

static const bl_protocol *const protocols[] = {
        [BL_PROTOCOL_KNN] = &bl_protocol_knn,     [BL_PROTOCOL_LINEAR] = &bl_protocol_linear,     [BL_PROTOCOL_FINETUNE] = &bl_protocol_finetune,
        [BL_PROTOCOL_PROBE] = &bl_protocol_probe, [BL_PROTOCOL_ACCURACY] = &bl_protocol_accuracy,
        [BL_PROTOCOL_SEGMENTATION] = &bl_protocol_segmentation,
};

static int64_t rows_of(const bl_evaluator *e, bl_split split, int64_t rows) {
    const int64_t count = bl_dataset_count(e->dataset, split);
    return rows && rows < count ? rows : count;
}

// The evaluation image itself, flattened.
static int extract_pixels(const bl_evaluator *e, bl_split split, int64_t rows, float *values) {
    const int size = bl_dataset_size(e->dataset), out = bl_recipe_size(&e->cell->evaluation_view, size);
    bl_view_scratch scratch = {0};
    int status = BL_OK;
    for (int64_t i = 0; i < rows && status == BL_OK; i++)
        status = bl_view_make(&e->cell->evaluation_view, 0, (uint32_t)i, 0, 0, bl_dataset_image(e->dataset, split, i), bl_square(size),
                              values + i * out * out * 3, &scratch);
    bl_view_scratch_free(&scratch);
    return status;
}

static int submit(const bl_evaluator *e, bl_loader *loader, int64_t block, int64_t rows) {
    uint32_t samples[BL_FEATURE_ROWS];
    float *host;
    const int slot = (int)(block % BL_STAGING_SLOTS);
    // The tail repeats the last image; its features are ignored.
    for (int i = 0; i < BL_FEATURE_ROWS; i++) {
        const int64_t row = block * BL_FEATURE_ROWS + i;
        samples[i] = (uint32_t)(row < rows ? row : rows - 1);
    }
    if (bl_plan_slot(e->model->extraction, slot, e->model->features.images, &host)) return BL_FAILED;
    return bl_loader_submit(loader, slot, samples, BL_FEATURE_ROWS, 0, host);
}

static int extract_blocks(const bl_evaluator *e, bl_loader *loader, int64_t rows, int64_t width, double *block_values, float *values) {
    const int64_t blocks = (rows + BL_FEATURE_ROWS - 1) / BL_FEATURE_ROWS;
    for (int64_t block = 0; block < blocks && block < BL_STAGING_SLOTS - 1; block++)
        if (submit(e, loader, block, rows)) return BL_FAILED;
    for (int64_t block = 0; block < blocks; block++) {
        const int slot = (int)(block % BL_STAGING_SLOTS);
        if (bl_stop_here()) return BL_FAILED;
        if (block + BL_STAGING_SLOTS - 1 < blocks && submit(e, loader, block + BL_STAGING_SLOTS - 1, rows)) return BL_FAILED;
        if (bl_loader_wait(loader, slot) || bl_plan_step(e->model->extraction, slot, BL_PHASE_MICRO) ||
            bl_plan_read(e->model->extraction, e->model->features.features, block_values))
            return BL_FAILED;
        for (int64_t i = 0; i < BL_FEATURE_ROWS && block * BL_FEATURE_ROWS + i < rows; i++)
            for (int64_t c = 0; c < width; c++) values[(block * BL_FEATURE_ROWS + i) * width + c] = (float)block_values[i * width + c];
    }
    return BL_OK;
}

int bl_extract_features(const bl_evaluator *e, bl_split split, int64_t rows, float **values) {
    const int64_t width = e->model->features.features->shape.dims[1];
    bl_loader *loader = NULL;
    double *block = NULL;
    int status = BL_FAILED;
    rows = rows_of(e, split, rows);
    *values = NULL;
    if (!(*values = bl_alloc((size_t)(rows * width) * sizeof **values)) ||
        !(block = bl_alloc((size_t)(BL_FEATURE_ROWS * width) * sizeof *block)) ||
        bl_loader_create(&loader, e->dataset, split, &e->cell->evaluation_view, 1, 0, e->loader_threads, BL_STAGING_SLOTS) ||
        extract_blocks(e, loader, rows, width, block, *values))
        goto done;
    status = BL_OK;
done:
    bl_loader_free(loader);
    bl_free(block);
    if (status) {
        bl_free(*values);
        *values = NULL;
    }
    return status;
}

// ---- what protocols share ----

struct bl_feature_cache { // made at most once an evaluation
    const bl_evaluator *evaluator;
    float *values[2][BL_SPLITS]; // encoder, pixels
    uint8_t *labels[BL_SPLITS];
};

int bl_cached_labels(bl_feature_cache *cache, bl_split split, const uint8_t **labels, int64_t *count) {
    const bl_dataset *dataset = cache->evaluator->dataset;
    *count = bl_dataset_count(dataset, split);
    if (!cache->labels[split] && bl_labels_read(dataset, split, &cache->labels[split])) return BL_FAILED;
    *labels = cache->labels[split];
    return BL_OK;
}

int bl_cached_features(bl_feature_cache *cache, bl_split split, bool pixels, int64_t rows, bl_features *out) {
    const bl_evaluator *e = cache->evaluator;
    const int side = bl_recipe_size(&e->cell->evaluation_view, bl_dataset_size(e->dataset));
    const int width = pixels ? side * side * 3 : (int)e->model->features.features->shape.dims[1];
    const uint8_t *labels;
    int64_t count;
    if (bl_cached_labels(cache, split, &labels, &count)) return BL_FAILED;
    float **values = &cache->values[pixels][split];
    if (!*values && pixels) {
        if (!(*values = bl_alloc((size_t)(count * width) * sizeof **values)) || extract_pixels(e, split, count, *values)) return BL_FAILED;
    } else if (!*values && bl_extract_features(e, split, 0, values)) {
        return BL_FAILED;
    }
    *out = (bl_features){*values, labels, rows_of(e, split, rows), width, bl_dataset_classes(e->dataset)};
    return BL_OK;
}

static void free_cache(bl_feature_cache *cache) {
    for (int split = 0; split < BL_SPLITS; split++) {
        bl_free(cache->values[0][split]);
        bl_free(cache->values[1][split]);
        bl_free(cache->labels[split]);
    }
}

// ---- the rows ----

// Pixel rows are measured once, as epoch 0: nothing that trains can change them, so that a finished run can add them too.
static int epoch_of(const bl_evaluation *row, int epoch) {
    return row->knn.raw_pixels ? 0 : epoch;
}

// Arms are fine-tuned after training.
static bool is_due(const bl_evaluation *row, int epoch, int last) {
    if (row->knn.raw_pixels) return epoch == 0 || epoch == last;
    if (bl_protocol_facts_of(row->kind)->has_arms) return epoch == last;
    return bl_epochs_hit(&row->at, epoch, last);
}

bool bl_evaluates(const bl_cell *cell, int epoch) {
    for (int i = 0; i < cell->evaluation_count; i++)
        if (is_due(&cell->evaluations[i], epoch, INT_MAX)) return true;
    return false;
}

bool bl_is_evaluated(const bl_cell *cell, int epoch, const bl_history *history) {
    for (int i = 0; i < cell->evaluation_count; i++) {
        const bl_evaluation *row = &cell->evaluations[i];
        if (is_due(row, epoch, epoch) && !bl_history_find(history, row->row, row->id, epoch_of(row, epoch))) return false;
    }
    return true;
}

static int measure(const bl_evaluator *e, bl_feature_cache *cache, const bl_evaluation *row, int epoch, bl_history *history) {
    const int64_t looks = history->look_count, pictures = history->picture_count;
    bl_measurement measurement = {.epoch = epoch, .chosen = NAN, .validation = NAN};
    snprintf(measurement.row, sizeof measurement.row, "%s", row->row);
    snprintf(measurement.id, sizeof measurement.id, "%s", row->id);
    if (e->fits) {
        e->fits->history = history;
        e->fits->first_look = looks;
        e->fits->first_picture = pictures;
        e->fits->row = row;
        e->fits->epoch = epoch;
    }
    if (protocols[row->kind]->measure(e, cache, row, &measurement, history)) {
        bl_history_forget(history, looks, pictures);
        return BL_FAILED;
    }
    if (e->fits) e->fits->row = NULL;
    if (bl_history_add_measurement(history, &measurement)) return BL_FAILED;
    return e->measured ? e->measured(e->context, row, &measurement) : BL_OK;
}

int bl_evaluate(const bl_evaluator *e, int epoch, bool is_last, bl_history *history) {
    bl_feature_cache cache = {.evaluator = e};
    int status = BL_OK;
    for (int i = 0; !status && i < e->cell->evaluation_count; i++) {
        const bl_evaluation *row = &e->cell->evaluations[i];
        const int at = epoch_of(row, epoch);
        if (!is_due(row, epoch, is_last ? epoch : INT_MAX) || bl_history_find(history, row->row, row->id, at)) continue;
        status = measure(e, &cache, row, at, history);
    }
    free_cache(&cache);
    return status;
}
