// evaluate_rig.h - rows measured through bl_evaluate on a model that has not trained.

#ifndef BL_TESTS_EVALUATE_RIG_H
#define BL_TESTS_EVALUATE_RIG_H

#include <stdlib.h>

#include "backends/backend.h"
#include "models.h"
#include "protocols/evaluate.h"
#include "support.h"

enum { SEED = 5 }; // of the run

// The test's own: what was seen so far.
static void forget(void);

// ---- a cell, small ----

#define CENTER_VIEW(side) \
    {.count = 2, .items = {{.kind = BL_CENTER_CROP, .p = 1, .resize = side, .size = side}, \
                           {.kind = BL_NORMALIZE, .p = 1, .mean = {.5, .5, .5}, .std = {.25, .25, .25}}}}

#define SMALL_PROJECTOR MLP(8, 4, BL_NORM_HIDDEN)
#define SMALL_METHOD \
    {.predictor = BL_PREDICTOR_MLP, .predictor_head = MLP(8, 4, BL_NORM_NONE), .predictor_lr_scale = 1, .target = BL_TARGET_EMA, \
     .stop_gradient = true, .pairing = BL_CROSSED}

// ---- a model and its data ----

static bl_backend *measures_on;

static inline int open_backend(void **state) {
    (void)state;
    return bl_backend_open(&measures_on, bl_test_backend(), &(bl_backend_options){.threads = 1, .isa = ""});
}

static inline int close_backend(void **state) {
    (void)state;
    bl_backend_close(measures_on);
    return 0;
}

typedef struct measuring {
    bl_dataset *dataset;
    bl_pool *pool;
    bl_model model;
    bl_evaluator evaluator;
} measuring;

// `weights_seed` stands for pretraining: another seed's initial weights.
static inline void open_rig(measuring *r, const bl_cell *cell, uint64_t weights_seed, int threads) {
    *r = (measuring){0};
    assert_ok(bl_dataset_open(&r->dataset, &cell->data));
    assert_ok(bl_pool_create(&r->pool, threads));
    assert_ok(bl_model_create(&r->model, measures_on, cell, weights_seed));
    r->evaluator = (bl_evaluator){.model = &r->model, .cell = cell, .dataset = r->dataset, .pool = r->pool, .loader_threads = threads,
                                  .seed = SEED};
    forget();
}

static inline void close_rig(measuring *r) {
    bl_model_free(&r->model);
    bl_pool_free(r->pool);
    bl_dataset_close(r->dataset);
}

// Every row of the cell; freed by the caller.
static inline bl_history measure_in(measuring *r) {
    bl_history history = {0};
    assert_ok(bl_evaluate(&r->evaluator, 1, true, &history));
    assert_int_equal(history.measurement_count, r->evaluator.cell->evaluation_count);
    return history;
}

static inline bl_history measure_all(const bl_cell *cell, uint64_t weights_seed, int threads) {
    measuring r;
    open_rig(&r, cell, weights_seed, threads);
    const bl_history history = measure_in(&r);
    close_rig(&r);
    return history;
}

static inline void refuse_all(const bl_cell *cell, const char *says) {
    bl_history history = {0};
    measuring r;
    open_rig(&r, cell, 1, 1);
    assert_int_not_equal(bl_evaluate(&r.evaluator, 1, true, &history), BL_OK);
    bl_test_holds(bl_error(), says);
    bl_history_free(&history);
    close_rig(&r);
}

// A network's parameters; the values are freed by the caller.
static inline void read_network(const bl_store *store, const char *network, double **values, size_t *count) {
    const bl_place place = {bl_layout_find_network(store->layout, network), BL_PARAMETERS, BL_WHOLE_BLOCK};
    assert_true(place.network >= 0);
    *count = bl_place_count(store->layout, place);
    *values = malloc(*count * sizeof **values);
    assert_ok(bl_store_read(store, place, *values));
}

#endif
