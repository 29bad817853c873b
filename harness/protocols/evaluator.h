// evaluator.h - what a measurement is made with: a model, its data, and what protocols share of them.

#ifndef BL_PROTOCOLS_EVALUATOR_H
#define BL_PROTOCOLS_EVALUATOR_H

#include "base/threads.h"             // bl_pool
#include "datasets/dataset.h"         // bl_dataset
#include "protocols/fit_checkpoint.h" // bl_fit_keeper
#include "protocols/knn.h"            // bl_features
#include "record/history.h"           // bl_measurement
#include "train/model.h"              // bl_model

typedef struct bl_evaluator { // borrowed by the functions below
    bl_model *model;
    const bl_cell *cell;
    const bl_dataset *dataset;
    bl_pool *pool;             // for the neighbours
    int loader_threads;
    uint64_t seed;             // the run's
    // After each row; may be NULL; where it fails the evaluation ends.
    int (*measured)(void *context, const bl_evaluation *row, const bl_measurement *measurement);
    // After each update of the fit in hand, of fits->row; may be NULL.
    void (*fitting)(void *context, int64_t step, int64_t steps);
    void *context;
    bl_fit_keeper *fits;       // where fits are kept between updates; NULL: nowhere
} bl_evaluator;

// Features of the first `rows` images of a split (0: all): rows x width floats, bl_free'd by the caller. Always f32.
BL_CHECK int bl_extract_features(const bl_evaluator *evaluator, bl_split split, int64_t rows, float **values);

// Features and labels of the splits, made at most once an evaluation: a protocol asks for the splits it needs, and only those are
// read. Test labels are handed out for the final pass alone: linear.c and finetune.c ask for BL_TEST after every choice is made.
typedef struct bl_feature_cache { // start from {.evaluator = ...}
    const bl_evaluator *evaluator;
    float *values[2][BL_SPLITS]; // encoder, pixels
    uint8_t *labels[BL_SPLITS];
} bl_feature_cache;
BL_CHECK int bl_cached_features(bl_feature_cache *cache, bl_split split, bool pixels, int64_t rows, bl_features *out);
BL_CHECK int bl_cached_labels(bl_feature_cache *cache, bl_split split, const uint8_t **labels, int64_t *count);
void bl_feature_cache_free(bl_feature_cache *cache);

#endif
