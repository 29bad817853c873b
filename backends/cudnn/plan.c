#include "backends/cudnn/plan.h"

#include "backends/cudnn/kernels/pointwise.h" // bl_gpu_cast
#include "backends/cudnn/memory.h"
#include "backends/cudnn/operators.h"
#include "backends/cudnn/replay.h"
#include "base/memory.h"                      // bl_alloc
#include "base/stop.h"                        // bl_stop_here

// The node where a batch norm's one pass stands: the last that it took; itself where it took none.
static const bl_node *place_of(const bl_lowering *plan, const bl_node *norm) {
    const bl_fusion *fusion = &plan->uses.fusion[norm->id];
    if (norm->op == BL_OP_BATCH_NORM_BACKWARD) return fusion->relu_backward ? fusion->relu_backward : norm;
    return fusion->relu ? fusion->relu : fusion->add ? fusion->add : norm;
}

// The batch norm whose statistics a running average takes, where its pass stands further down than the average; NULL otherwise.
static const bl_node *later_norm(const bl_lowering *plan, const bl_node *node) {
    if (node->op != BL_OP_RUNNING_AVERAGE) return NULL;
    const bl_node *norm = node->inputs[0]->producer;
    return norm && place_of(plan, norm)->id > node->id ? norm : NULL;
}

// A batch norm at its place, and the running averages that waited for it.
static int lower_norm(bl_lowering *plan, const bl_node *norm) {
    const bl_graph *graph = plan->base.graph;
    if (bl_lower_node(plan, norm)) return BL_FAILED;
    for (int n = norm->id + 1; n < place_of(plan, norm)->id; n++)
        if (later_norm(plan, graph->nodes[n]) == norm && bl_lower_node(plan, graph->nodes[n])) return BL_FAILED;
    return BL_OK;
}

static int lower_node(bl_lowering *plan, const bl_node *node) {
    const bl_node *norm = plan->uses.fusion[node->id].norm, *into = plan->uses.fusion[node->id].into;
    if (into) bl_lower_note(plan, node, "fused into %s", into->name);
    if (norm) return lower_norm(plan, norm);
    if (into || later_norm(plan, node)) return BL_OK;
    const bool is_norm = node->op == BL_OP_BATCH_NORM || node->op == BL_OP_BATCH_NORM_RUNNING || node->op == BL_OP_BATCH_NORM_BACKWARD;
    if (is_norm && place_of(plan, node) != node) return BL_OK; // it stands where the last of what it took does
    return bl_lower_node(plan, node);
}

static int narrow_run(const bl_lowering *plan, const bl_step *step) {
    const size_t *count = step->state;
    bl_gpu_cast(bl_gpu_stream(plan), bl_step_at(plan, step, 0), false, bl_step_at(plan, step, 1), true, (int64_t)*count);
    return BL_OK;
}

int bl_gpu_compile(bl_backend *backend, bl_store *store, const bl_graph *graph, const bl_compile_options *options, bl_plan **plan) {
    bl_gpu_plan *made = bl_alloc(sizeof *made);
    if (!made) return BL_FAILED;
    bl_lowering *lowering = &made->lowering;
    lowering->base = (bl_plan){.backend = backend, .graph = graph, .store = store};
    lowering->store = (bl_f32_store *)store;
    lowering->operators = bl_gpu_operators;
    lowering->narrow = narrow_run;
    lowering->is_described = bl_gpu_backend_of(lowering)->is_described;
    made->allows_tf32 = options->tf32;
    if (bl_lowering_begin(lowering, options)) goto failed;
    for (int n = 0; n < graph->node_count; n++)
        if (bl_stop_here() || lower_node(lowering, graph->nodes[n])) goto failed;
    if (bl_gpu_bind(made, options)) goto failed;
    if (!options->only_report && bl_gpu_replay_create(made, options->watch, options->watch_count)) goto failed;
    *plan = &lowering->base;
    return BL_OK;
failed:
    bl_gpu_plan_free(&lowering->base);
    return BL_FAILED;
}

void bl_gpu_plan_free(bl_plan *plan) {
    bl_gpu_plan *self = (bl_gpu_plan *)plan;
    const cudaStream_t stream = bl_gpu_stream(&self->lowering);
    if (stream) cudaStreamSynchronize(stream);
    bl_gpu_replay_free(self);
    bl_gpu_unbind(self);
    bl_lowering_free(&self->lowering);
    bl_free(self);
}
