// A plan: compiling a graph into steps.

#include <string.h>

#include "backends/cudnn/gpu.h"
#include "base/memory.h" // bl_alloc
#include "base/stop.h"   // bl_stop_here

static int alias(bl_gpu_plan *plan, const bl_node *node) {
    const bl_tensor *x = node->inputs[0], *y = node->outputs[0];
    int *buffer = &plan->buffer_of[y->id];
    if (bl_gpu_value(plan, x, buffer)) return BL_FAILED;
    if (bl_uses_keep(&plan->uses, y)) plan->buffers[*buffer].kept = true;
    bl_gpu_note(plan, node, "alias of %s", x->name);
    return BL_OK;
}

static int (*const lower[BL_OP_COUNT])(bl_gpu_plan *, const bl_node *) = {
        [BL_OP_CONVOLUTION] = bl_gpu_convolution,
        [BL_OP_CONVOLUTION_BACKWARD_DATA] = bl_gpu_convolution_backward_data,
        [BL_OP_CONVOLUTION_BACKWARD_WEIGHTS] = bl_gpu_convolution_backward_weights,
        [BL_OP_BATCH_NORM] = bl_gpu_batch_norm,
        [BL_OP_BATCH_NORM_BACKWARD] = bl_gpu_batch_norm_backward,
        [BL_OP_BATCH_NORM_RUNNING] = bl_gpu_batch_norm_running,
        [BL_OP_RELU] = bl_gpu_relu_node,
        [BL_OP_RELU_BACKWARD] = bl_gpu_relu_backward_node,
        [BL_OP_ADD] = bl_gpu_add_node,
        [BL_OP_GLOBAL_AVERAGE_POOL] = bl_gpu_average_pool,
        [BL_OP_GLOBAL_AVERAGE_POOL_BACKWARD] = bl_gpu_average_pool_backward,
        [BL_OP_MAX_POOL] = bl_gpu_max_pool,
        [BL_OP_MAX_POOL_BACKWARD] = bl_gpu_max_pool_backward,
        [BL_OP_RESIZE] = bl_gpu_resize_node,
        [BL_OP_RESIZE_BACKWARD] = bl_gpu_resize_node,
        [BL_OP_LINEAR] = bl_gpu_linear,
        [BL_OP_LINEAR_BACKWARD_DATA] = bl_gpu_linear_backward_data,
        [BL_OP_LINEAR_BACKWARD_WEIGHTS] = bl_gpu_linear_backward_weights,
        [BL_OP_LINEAR_BACKWARD_BIAS] = bl_gpu_linear_backward_bias,
        [BL_OP_STOP_GRADIENT] = alias,
        [BL_OP_CROSS_ENTROPY] = bl_gpu_cross_entropy_node,
        [BL_OP_CROSS_ENTROPY_BACKWARD] = bl_gpu_cross_entropy_backward_node,
        [BL_OP_ARGMAX] = bl_gpu_argmax_node,
        [BL_OP_BYOL_LOSS] = bl_gpu_loss_node,
        [BL_OP_BYOL_LOSS_BACKWARD] = bl_gpu_loss_backward_node,
        [BL_OP_PROJECTION_STD] = bl_gpu_projection_std_node,
        [BL_OP_ACCUMULATE] = bl_gpu_accumulate_node,
        [BL_OP_RUNNING_AVERAGE] = bl_gpu_running_average_node,
        [BL_OP_CHECK_FINITE] = bl_gpu_check_finite_node,
        [BL_OP_SGD] = bl_gpu_update_node,
        [BL_OP_ADAM] = bl_gpu_update_node,
        [BL_OP_LARS] = bl_gpu_update_node,
        [BL_OP_EMA] = bl_gpu_ema_node,
};

// The node where a batch norm's one pass stands: the last that it took; itself where it took none.
static const bl_node *place_of(const bl_gpu_plan *plan, const bl_node *norm) {
    const bl_fusion *fusion = &plan->uses.fusion[norm->id];
    if (norm->op == BL_OP_BATCH_NORM_BACKWARD) return fusion->relu_backward ? fusion->relu_backward : norm;
    return fusion->relu ? fusion->relu : fusion->add ? fusion->add : norm;
}

// The batch norm whose statistics a running average takes, where its pass stands further down than the average; NULL otherwise.
static const bl_node *later_norm(const bl_gpu_plan *plan, const bl_node *node) {
    if (node->op != BL_OP_RUNNING_AVERAGE) return NULL;
    const bl_node *norm = node->inputs[0]->producer;
    return norm && place_of(plan, norm)->id > node->id ? norm : NULL;
}

// A batch norm at its place, and the running averages that waited for it.
static int lower_norm(bl_gpu_plan *plan, const bl_node *norm) {
    const bl_graph *graph = plan->base.graph;
    if (lower[norm->op](plan, norm)) return BL_FAILED;
    for (int n = norm->id + 1; n < place_of(plan, norm)->id; n++)
        if (later_norm(plan, graph->nodes[n]) == norm && bl_gpu_running_average_node(plan, graph->nodes[n])) return BL_FAILED;
    return BL_OK;
}

static int lower_node(bl_gpu_plan *plan, const bl_node *node) {
    const bl_node *norm = plan->uses.fusion[node->id].norm, *into = plan->uses.fusion[node->id].into;
    if (into) bl_gpu_note(plan, node, "fused into %s", into->name);
    if (norm) return lower_norm(plan, norm);
    if (into || later_norm(plan, node)) return BL_OK;
    const bool is_norm = node->op == BL_OP_BATCH_NORM || node->op == BL_OP_BATCH_NORM_RUNNING || node->op == BL_OP_BATCH_NORM_BACKWARD;
    if (is_norm && place_of(plan, node) != node) return BL_OK; // it stands where the last of what it took does
    return lower[node->op](plan, node);
}

// The gradient of a segment is made where the optimiser reads it, if nothing else wants it.
static int place_gradients(bl_gpu_plan *plan) {
    const bl_graph *graph = plan->base.graph;
    for (int i = 0; i < graph->node_count; i++) {
        const bl_node *node = graph->nodes[i];
        if (bl_uses_makes_in_place(&plan->uses, node) &&
            bl_gpu_value(plan, node->inputs[1], &plan->buffer_of[node->inputs[0]->id]))
            return BL_FAILED;
    }
    return BL_OK;
}

// One index a tensor, all -1.
static int take_indices(int **indices, int count) {
    *indices = bl_alloc((size_t)count * sizeof **indices);
    for (int i = 0; *indices && i < count; i++) (*indices)[i] = -1;
    return *indices ? BL_OK : BL_FAILED;
}

static int take_tables(bl_gpu_plan *plan, const bl_compile_options *options) {
    const bl_graph *graph = plan->base.graph;
    plan->names = bl_arena_create();
    plan->rows = bl_alloc((size_t)graph->node_count * sizeof *plan->rows);
    if (!plan->rows) return BL_FAILED;
    int **const indices[] = {&plan->buffer_of, &plan->padded_of, &plan->inverse_of, &plan->mask_of, &plan->index_of};
    for (size_t i = 0; i < sizeof indices / sizeof *indices; i++)
        if (take_indices(indices[i], graph->tensor_count)) return BL_FAILED;
    for (int n = 0; n < graph->node_count; n++) plan->rows[n] = (bl_node_report){.node = graph->nodes[n], .implementation = "byolab"};
    plan->accumulate = options->accumulate > 1 ? options->accumulate : 1;
    plan->allows_tf32 = options->tf32;
    return bl_uses_find(&plan->uses, graph, options);
}

int bl_gpu_compile(bl_backend *backend, bl_store *store, const bl_graph *graph, const bl_compile_options *options, bl_plan **plan) {
    bl_gpu_plan *made = bl_alloc(sizeof *made);
    if (!made) return BL_FAILED;
    made->base = (bl_plan){.backend = backend, .graph = graph, .store = store};
    made->backend = (bl_gpu_backend *)backend;
    made->store = (bl_gpu_store *)store;
    if (take_tables(made, options)) goto failed;
    if (place_gradients(made)) goto failed;
    for (int n = 0; n < graph->node_count; n++)
        if (bl_stop_here() || lower_node(made, graph->nodes[n])) goto failed;
    if (bl_gpu_bind(made, options)) goto failed;
    if (!options->only_report && bl_gpu_replay_create(made, options->watch, options->watch_count)) goto failed;
    *plan = &made->base;
    return BL_OK;
failed:
    bl_gpu_plan_free(&made->base);
    return BL_FAILED;
}

void bl_gpu_plan_free(bl_plan *plan) {
    bl_gpu_plan *self = (bl_gpu_plan *)plan;
    if (self->backend->stream) cudaStreamSynchronize(self->backend->stream);
    bl_gpu_replay_free(self);
    bl_gpu_unbind(self);
    for (int i = 0; i < self->step_count; i++) bl_free(self->steps[i].state);
    bl_free(self->steps);
    bl_free(self->buffers);
    bl_free(self->buffer_of);
    bl_free(self->padded_of);
    bl_free(self->inverse_of);
    bl_free(self->mask_of);
    bl_free(self->index_of);
    bl_uses_free(&self->uses);
    bl_free(self->rows);
    bl_arena_free(self->names);
    bl_free(self);
}

void bl_gpu_report(const bl_plan *plan, bl_plan_report *report) {
    const bl_gpu_plan *self = (const bl_gpu_plan *)plan;
    *report = (bl_plan_report){.rows = self->rows,
                               .count = plan->graph->node_count,
                               .arena_bytes = self->arena_bytes,
                               .packed_bytes = self->packed_bytes,
                               .staging_bytes = self->staging_bytes,
                               .free_bytes = self->free_bytes};
}
