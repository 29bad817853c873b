// Which convolutions are done by Winograd's algorithm, and their steps.
//
// Tiles are split over the threads; each transforms and multiplies a block of them at a time, so that what it writes it reads back
// from its own cache.

#include "backends/onednn/ops/winograd.h"

#include "backends/onednn/ops/winograd_kernels.h"
#include "backends/onednn/packing.h"
#include "backends/onednn/rows.h" // bl_cpu_share

#define NAME "winograd_2x2"

// Of the node's own direction: the gradient of the data reads dy and writes dx.
static bl_winograd geometry_of(const bl_node *node) {
    const bl_shape *x = &node->inputs[0]->shape, *w = &node->attributes.shape;
    if (node->op != BL_OP_CONVOLUTION_BACKWARD_WEIGHTS) w = &node->inputs[1]->shape;
    const bool turned = node->op == BL_OP_CONVOLUTION_BACKWARD_DATA;
    return bl_winograd_of((size_t)x->dims[0], (size_t)x->dims[1], (size_t)x->dims[2], (size_t)w->dims[turned ? 0 : 3],
                          (size_t)w->dims[turned ? 3 : 0], node->inputs[0]->dtype == BL_BF16);
}

// With fewer tiles, transforming and reading the weights costs more than the products saved: 512 channels, 4x4 pixels, one thread,
// against oneDNN's direct convolution: 0.7 times as fast with 32 tiles, 1.5 with 512.
#define LEAST_TILES 64 // a thread

// Whether f32 products are at least as fast as bf16 ones: without bf16 instructions, and on Intel's cores whose AMX is not there, which
// are those with fp16 instructions (two Emerald Rapids cores: a large product 216 GFLOP/s in f32, 144 in bf16). Zen 4 and 5 do twice as
// many bf16 products, AMX eight times as many: there oneDNN's direct convolutions stay.
static bool has_slow_bf16(void) {
    switch (dnnl_get_effective_cpu_isa()) {
    case dnnl_cpu_isa_avx512_core:
    case dnnl_cpu_isa_avx512_core_vnni:
    case dnnl_cpu_isa_avx512_core_fp16: return true;
    default: return false;
    }
}

bool bl_cpu_winograd_suits(const bl_cpu_backend *backend, const bl_node *node) {
    const bl_attributes *a = &node->attributes;
    const bool is_wide = (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core;
    if (!is_wide || (node->inputs[0]->dtype == BL_BF16 && !has_slow_bf16())) return false;
    if (a->kernel != 3 || a->stride != 1 || a->padding != 1 || a->dilation != 1) return false;
    const bl_winograd w = geometry_of(node);
    if (w.inputs % 16 || w.outputs % 16) return false;
    return bl_winograd_tiles(&w) >= LEAST_TILES * (size_t)backend->threads;
}

// ---- weights ----

typedef struct packing {
    bl_winograd w;
    bool turned;
    const float *master;
    float *packed;
} packing;

static void pack_share(const void *passed, int share, int shares) {
    const packing *p = passed;
    const bl_cpu_range outputs = bl_cpu_share(p->w.outputs, 16, share, shares);
    (p->turned ? bl_winograd_pack_turned : bl_winograd_pack)(&p->w, p->master, p->packed, outputs.begin, outputs.end);
}

static void pack(const bl_lowering *plan, const bl_node *node, const float *master, float *packed) {
    const packing p = {geometry_of(node), node->op == BL_OP_CONVOLUTION_BACKWARD_DATA, master, packed};
    bl_cpu_parallel(bl_cpu_threads(plan), pack_share, &p);
}

// master | packed
static int pack_run(const bl_lowering *plan, const bl_step *step) {
    packing p = *(const packing *)step->state;
    p.master = bl_step_at(plan, step, 0);
    p.packed = bl_step_at(plan, step, 1);
    bl_cpu_parallel(bl_cpu_threads(plan), pack_share, &p);
    return BL_OK;
}

// With every run of the micro phase.
static bool weights_move(const bl_lowering *plan) {
    const bl_graph *graph = plan->base.graph;
    bool has_update = false;
    for (int n = 0; n < graph->node_count; n++) has_update |= graph->nodes[n]->phase == BL_PHASE_UPDATE;
    return has_update && plan->accumulate == 1;
}

// Packed weights are 16 / 9 of the master's size. Where they are made anew for every step anyway they are made just before they are
// read, and their memory is free again after it; else they are kept.
static int packed_weights(bl_lowering *plan, const bl_node *node, const bl_winograd *w, int *packed) {
    const size_t bytes = bl_winograd_weight_floats(w) * sizeof(float);
    const packing of = {*w, node->op == BL_OP_CONVOLUTION_BACKWARD_DATA, NULL, NULL}; // whose memory is known when it runs
    int master;
    if (!weights_move(plan)) return bl_cpu_pack_by(plan, node, node->inputs[1], pack, bytes, packed);
    if (bl_lower_value(plan, node->inputs[1], &master) || bl_lower_buffer(plan, bytes, packed)) return BL_FAILED;
    plan->rows[node->id].bytes += bytes;
    return bl_lower_step(plan, node, pack_run, (int[]){master, *packed}, 2, &of, sizeof of);
}

// ---- steps ----

typedef struct context { // what the shares of a step work on
    bl_winograd w;
    const void *x, *dy;
    const float *packed;
    void *y;
    float *sums, *workspace;
} context;

static void convolve_share(const void *passed, int share, int shares) {
    const context *c = passed;
    const bl_cpu_range tiles = bl_cpu_share(bl_winograd_tiles(&c->w), 1, share, shares);
    bl_winograd_convolve(&c->w, c->x, c->packed, c->y, c->workspace + (size_t)share * bl_winograd_workspace(&c->w), tiles.begin,
                         tiles.end);
}

// x, packed weights | y | workspace
static int convolve_run(const bl_lowering *plan, const bl_step *step) {
    const context c = {.w = *(const bl_winograd *)step->state,
                       .x = bl_step_at(plan, step, 0),
                       .packed = bl_step_at(plan, step, 1),
                       .y = bl_step_at(plan, step, 2),
                       .workspace = bl_step_at(plan, step, 3)};
    bl_cpu_parallel(bl_cpu_threads(plan), convolve_share, &c);
    return BL_OK;
}

static void products_share(const void *passed, int share, int shares) {
    const context *c = passed;
    const bl_cpu_range tiles = bl_cpu_share(bl_winograd_tiles(&c->w), 1, share, shares);
    bl_winograd_products(&c->w, c->x, c->dy, c->sums + (size_t)share * bl_winograd_weight_floats(&c->w),
                         c->workspace + (size_t)share * bl_winograd_workspace(&c->w), tiles.begin, tiles.end);
}

static void weights_share(const void *passed, int share, int shares) {
    const context *c = passed;
    const bl_cpu_range outputs = bl_cpu_share(c->w.outputs, 1, share, shares);
    bl_winograd_weights(&c->w, c->sums, (size_t)shares, c->y, outputs.begin, outputs.end);
}

// x, dy | dw | workspace, a sum of each thread
static int weights_run(const bl_lowering *plan, const bl_step *step) {
    const context c = {.w = *(const bl_winograd *)step->state,
                       .x = bl_step_at(plan, step, 0),
                       .dy = bl_step_at(plan, step, 1),
                       .y = bl_step_at(plan, step, 2),
                       .workspace = bl_step_at(plan, step, 3),
                       .sums = bl_step_at(plan, step, 4)};
    bl_cpu_parallel(bl_cpu_threads(plan), products_share, &c);
    bl_cpu_parallel(bl_cpu_threads(plan), weights_share, &c);
    return BL_OK;
}

// A buffer of `floats` for each thread.
static int add_workspace(bl_lowering *plan, const bl_node *node, size_t floats, int *buffer) {
    const size_t bytes = (size_t)bl_cpu_threads(plan) * floats * sizeof(float);
    plan->rows[node->id].bytes += bytes;
    return bl_lower_buffer(plan, bytes, buffer);
}

int bl_cpu_winograd(bl_lowering *plan, const bl_node *node) {
    const bl_winograd w = geometry_of(node);
    const bool is_of_weights = node->op == BL_OP_CONVOLUTION_BACKWARD_WEIGHTS;
    int buffers[5];
    bl_lower_note(plan, node, NAME);
    if (bl_lower_value(plan, node->inputs[0], &buffers[0]) || bl_lower_value(plan, node->outputs[0], &buffers[2])) return BL_FAILED;
    if (add_workspace(plan, node, bl_winograd_workspace(&w), &buffers[3])) return BL_FAILED;
    if (is_of_weights) {
        if (bl_lower_value(plan, node->inputs[1], &buffers[1])) return BL_FAILED;
        if (add_workspace(plan, node, bl_winograd_weight_floats(&w), &buffers[4])) return BL_FAILED;
        return bl_lower_step(plan, node, weights_run, buffers, 5, &w, sizeof w);
    }
    if (packed_weights(plan, node, &w, &buffers[1])) return BL_FAILED;
    return bl_lower_step(plan, node, convolve_run, buffers, 4, &w, sizeof w);
}
