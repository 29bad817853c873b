#include "protocols/evaluator.h"

#include "base/memory.h"
#include "base/stop.h"            // bl_stop_here
#include "datasets/labels.h"      // bl_labels_read
#include "datasets/view_loader.h" // bl_view_loader_create

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
    return bl_loader_submit(loader, slot, samples, BL_FEATURE_ROWS, 0, host, NULL);
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
        bl_view_loader_create(&loader, e->dataset, split, &e->cell->evaluation_view, 1, 0, e->loader_threads, BL_STAGING_SLOTS) ||
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

void bl_feature_cache_free(bl_feature_cache *cache) {
    for (int split = 0; split < BL_SPLITS; split++) {
        bl_free(cache->values[0][split]);
        bl_free(cache->values[1][split]);
        bl_free(cache->labels[split]);
    }
}
