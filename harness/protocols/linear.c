// linear.c - linear evaluation: how well a linear classifier on the frozen encoder's features does.
//
//   cached, L-BFGS   features of the plain images, extracted once; l2 is chosen (BYOL's transfer protocol)
//   cached, SGD      the same features; the learning rate is chosen
//   augmented        augmented images through the frozen encoder at every step; the learning rate is chosen (BYOL's on ImageNet)

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "protocols/choice.h"
#include "protocols/learner.h"
#include "protocols/protocol.h"

enum { ITERATIONS = 1000 };           // of L-BFGS
static const double TOLERANCE = 1e-5; // largest entry of the gradient of the mean loss

// ---- cached features ----

typedef struct cached {
    const bl_evaluator *evaluator;
    bl_feature_cache *cache;
    bl_features train;
    bl_logistic model;  // what was fitted last
    double l2;          // with which; a larger one has no warm start
    bl_learner learner; // SGD
    bl_loader *loader;  // of its rows of train
} cached;

// Down the grid each fit starts where the one before ended. The fit after the choice starts afresh: the other points leave no
// trace in it.
static int fit_lbfgs(void *context, const bl_trial *trial, bl_fit_place *place, bool *is_finite) {
    cached *c = context;
    const double l2 = trial->candidate;
    (void)place; // its steps are not kept
    if (!(l2 < c->l2)) bl_logistic_free(&c->model);
    c->l2 = l2;
    *is_finite = true;
    return bl_logistic_fit(&c->model, &c->train, trial->samples, trial->count, l2, ITERATIONS, TOLERANCE, c->evaluator->pool);
}

static int fit_sgd(void *context, const bl_trial *trial, bl_fit_place *place, bool *is_finite) {
    cached *c = context;
    bl_logistic_free(&c->model);
    if (bl_learner_fit(&c->learner, c->loader, trial, place, NULL, is_finite)) return BL_FAILED;
    return *is_finite ? bl_read_head(c->learner.store, "classifier", &c->model) : BL_OK;
}

static int accuracy_cached(void *context, bl_split split, const uint32_t *samples, int64_t count, double *accuracy) {
    cached *c = context;
    bl_features features;
    if (bl_cached_features(c->cache, split, false, 0, &features)) return BL_FAILED;
    return bl_logistic_accuracy(&c->model, &features, samples, samples ? count : features.rows, c->evaluator->pool, accuracy);
}

// From the largest to the smallest, evenly in the logarithm: at a tie the larger l2 is chosen.
static double *make_grid(const bl_linear_options *linear) {
    const int points = linear->l2_points;
    double *grid = bl_alloc((size_t)points * sizeof *grid);
    const double low = log(linear->l2[0]), high = log(linear->l2[1]);
    for (int i = 0; grid && i < points; i++)
        grid[i] = i == 0 ? linear->l2[1] : i == points - 1 ? linear->l2[0] : exp(high + (low - high) * i / (points - 1));
    return grid;
}

static int measure_lbfgs(cached *c, const bl_evaluation *row, bl_measurement *measurement) {
    const bl_fitter fitter = {c, NULL, fit_lbfgs, accuracy_cached};
    double *grid = make_grid(&row->linear);
    if (!grid) return BL_FAILED;
    const int status = bl_choose_and_measure(&fitter, grid, row->linear.l2_points, c->evaluator, c->cache, row, measurement);
    bl_free(grid);
    return status;
}

static int make_rows(const void *context, const bl_slot *slot, int first, int end, void *workspace) {
    const bl_features *features = context;
    const size_t width = (size_t)features->width;
    (void)workspace;
    for (int i = first; i < end; i++) {
        memcpy(slot->images + i * width, features->values + slot->samples[i] * width, width * sizeof *slot->images);
        if (slot->labels) slot->labels[i] = (float)features->labels[slot->samples[i]];
    }
    return BL_OK;
}

static int measure_sgd(cached *c, const bl_evaluation *row, bl_measurement *measurement) {
    const bl_classifier_options options = bl_classifier_of(c->evaluator->cell, row);
    // Rows that lie there already are copied sooner than a thread wakes up.
    const bl_maker rows = {.context = &c->train, .make = make_rows, .available = c->train.rows, .set = "the features",
                           .samples_a_task = row->fit.batch};
    if (bl_loader_create(&c->loader, &rows, 0, BL_STAGING_SLOTS)) return BL_FAILED;
    int status = bl_learner_create_head(&c->learner, c->evaluator, &row->fit, &options, c->train.width);
    if (status) goto done;
    const bl_fitted kept = bl_learner_fitted(&c->learner);
    const bl_fitter fitter = {c, &kept, fit_sgd, accuracy_cached};
    status = bl_choose_and_measure(&fitter, row->fit.learning_rates, row->fit.rate_count, c->evaluator, c->cache, row, measurement);
    bl_learner_free(&c->learner);
done:
    bl_loader_free(c->loader);
    return status;
}

static int measure_cached(const bl_evaluator *evaluator, bl_feature_cache *cache, const bl_evaluation *row, bl_measurement *measurement) {
    cached c = {.evaluator = evaluator, .cache = cache};
    if (bl_cached_features(cache, BL_TRAIN, false, 0, &c.train)) return BL_FAILED;
    const int status = row->linear.lbfgs ? measure_lbfgs(&c, row, measurement) : measure_sgd(&c, row, measurement);
    bl_logistic_free(&c.model);
    return status;
}

// ---- augmented images ----

int bl_protocol_linear(const bl_evaluator *evaluator, bl_feature_cache *cache, const bl_evaluation *row, bl_measurement *measurement,
                       bl_history *history) {
    (void)history;
    if (row->linear.cached) return measure_cached(evaluator, cache, row, measurement);
    const bl_classifier_options options = bl_classifier_of(evaluator->cell, row);
    bl_learner learner;
    if (bl_learner_create(&learner, evaluator, &row->fit, &options, false)) return BL_FAILED;
    const int status = bl_learner_take_encoder(&learner) || bl_learner_keep_start(&learner)
                           ? BL_FAILED
                           : bl_learner_measure(&learner, cache, row, measurement);
    bl_learner_free(&learner);
    return status;
}
