// step_rig.h - one BYOL step on one backend, as tests drive it: build, write by name, step, read by name.

#ifndef BL_TESTS_STEP_RIG_H
#define BL_TESTS_STEP_RIG_H

#include <stdlib.h>

#include "backends/backend.h"
#include "base/memory.h"
#include "graph/byol.h"
#include "models.h"
#include "support.h"

typedef struct bl_rig {
    bl_layout *layout;
    bl_step_graph step;
    bl_backend *backend;
    bl_store *store;
    bl_plan *plan;
} bl_rig;

static inline bl_rig rig_open(const char *backend, const bl_model_options *model, int64_t batch, int accumulate) {
    bl_rig rig = {0};
    assert_ok(bl_layout_create(&rig.layout));
    assert_ok(bl_byol_build(&rig.step, rig.layout, model, batch));
    assert_ok(bl_backend_open(&rig.backend, backend, &(bl_backend_options){.threads = 2, .isa = ""}));
    assert_ok(bl_store_create(rig.backend, rig.layout, &rig.store));
    bl_tensor *observe[] = {rig.step.loss, rig.step.std};
    assert_ok(bl_plan_compile(rig.store, rig.step.graph,
                              &(bl_compile_options){.accumulate = accumulate, .observe = observe, .observe_count = 2}, &rig.plan));
    return rig;
}

static inline void rig_close(bl_rig *rig) {
    bl_plan_free(rig->plan);
    bl_store_free(rig->store);
    bl_backend_close(rig->backend);
    bl_graph_free(rig->step.graph);
    bl_layout_free(rig->layout);
}

// Whether every node of this model's step can run on the backend.
static inline bool rig_can_run(const char *backend, const bl_model_options *model, int64_t batch) {
    bl_rig rig = {0};
    assert_ok(bl_layout_create(&rig.layout));
    assert_ok(bl_byol_build(&rig.step, rig.layout, model, batch));
    const bool can = bl_test_can_run(backend, rig.step.graph);
    bl_graph_free(rig.step.graph);
    bl_layout_free(rig.layout);
    return can;
}

static inline int rig_network(const bl_rig *rig, const char *name) {
    const int network = bl_layout_find_network(rig->layout, name);
    if (network < 0) fail_msg("there is no network '%s'", name);
    return network;
}

static inline bl_place rig_place(const bl_rig *rig, const char *network, bl_block_kind block, const char *segment) {
    const int n = rig_network(rig, network);
    const int s = bl_segments_find(bl_network_segments(&rig->layout->networks[n], block), segment);
    if (s < 0) fail_msg("network '%s' has no segment '%s'", network, segment);
    return (bl_place){n, block, s};
}

static inline bl_place rig_block(const bl_rig *rig, const char *network, bl_block_kind block) {
    return (bl_place){rig_network(rig, network), block, BL_WHOLE_BLOCK};
}

// malloc'ed; *count may be NULL.
static inline double *rig_read(const bl_rig *rig, bl_place place, int64_t *count) {
    const size_t values = bl_place_count(rig->layout, place);
    double *dst = malloc(values * sizeof *dst);
    assert_non_null(dst);
    assert_ok(bl_store_read(rig->store, place, dst));
    if (count) *count = (int64_t)values;
    return dst;
}

static inline double rig_value(const bl_rig *rig, const bl_tensor *tensor) {
    double value;
    assert_ok(bl_plan_read(rig->plan, tensor, &value));
    return value;
}

static inline void rig_scalars(bl_rig *rig, double learning_rate, double tau, int step) {
    assert_ok(bl_store_scalar(rig->store, BL_SCALAR_LEARNING_RATE, learning_rate));
    assert_ok(bl_store_scalar(rig->store, BL_SCALAR_TAU, tau));
    assert_ok(bl_store_scalar(rig->store, BL_SCALAR_STEP, step + 1));
}

static inline void rig_run(bl_rig *rig, const double *images, unsigned phases) {
    assert_ok(bl_plan_write(rig->plan, rig->step.images, images));
    assert_ok(bl_plan_step(rig->plan, 0, phases));
}

#endif
