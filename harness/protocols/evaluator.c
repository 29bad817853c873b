#include "protocols/evaluator.h"

#include "base/memory.h"
#include "datasets/labels.h"      // bl_labels_read
#include "datasets/view_loader.h" // bl_view_loader_create
#include "protocols/pass.h"

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

typedef struct extraction { // of features, in the making
    const bl_evaluator *evaluator;
    double *block;          // of a step, as read
    float *values;
} extraction;

static int take_features(void *context, int64_t first, int rows, int slot) {
    const extraction *x = context;
    const bl_model *model = x->evaluator->model;
    const int64_t width = model->features.features->shape.dims[1];
    (void)slot;
    if (bl_plan_read(model->extraction, model->features.features, x->block)) return BL_FAILED;
    for (int64_t i = 0; i < rows * width; i++) x->values[first * width + i] = (float)x->block[i];
    return BL_OK;
}

int bl_extract_features(const bl_evaluator *e, bl_split split, int64_t rows, float **values) {
    const size_t width = (size_t)e->model->features.features->shape.dims[1];
    bl_pass pass = {.plan = e->model->extraction, .images = e->model->features.images, .count = rows_of(e, split, rows),
                    .batch = BL_FEATURE_ROWS, .see = take_features};
    extraction x = {.evaluator = e, .block = bl_alloc(BL_FEATURE_ROWS * width * sizeof *x.block),
                    .values = bl_alloc((size_t)pass.count * width * sizeof *x.values)};
    pass.context = &x;
    const int status = !x.block || !x.values ||
                               bl_view_loader_create(&pass.loader, e->dataset, split, &e->cell->evaluation_view, 1, 0, e->loader_threads,
                                                     BL_STAGING_SLOTS) ||
                               bl_pass_run(&pass)
                           ? BL_FAILED
                           : BL_OK;
    bl_loader_free(pass.loader);
    bl_free(x.block);
    if (status) bl_free(x.values);
    *values = status ? NULL : x.values;
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
