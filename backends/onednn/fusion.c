// What is done together. The graph stays as it is; here each node learns which neighbour's steps do its work.
//
// A batch norm takes the ReLU behind it, or the residual addition and its ReLU, into its second pass: nothing but these reads
// the values between, as the gradient of batch norm needs x and the gradient of ReLU needs y. A batch norm's backward takes the
// ReLU's backward before it, and the sum of gradients before that, into its first pass.

#include "backends/onednn/onednn.h"

// The only node that reads `tensor`, which nobody observes; NULL otherwise.
static const bl_node *sole_reader(const bl_cpu_plan *plan, const bl_tensor *tensor) {
    if (plan->observed[tensor->id] || plan->readers[tensor->id] != 1) return NULL;
    const bl_graph *graph = plan->base.graph;
    for (int i = tensor->producer ? tensor->producer->id + 1 : 0; i < graph->node_count; i++)
        for (int k = 0; k < graph->nodes[i]->input_count; k++)
            if (graph->nodes[i]->inputs[k] == tensor) return graph->nodes[i];
    return NULL;
}

static bool stands_alone(const bl_cpu_plan *plan, const bl_node *node) {
    return !plan->fusion[node->id].into && !plan->fusion[node->id].norm;
}

static void fuse_forward(bl_cpu_plan *plan, const bl_node *norm) {
    bl_cpu_fusion *fusion = &plan->fusion[norm->id];
    const bl_node *next = sole_reader(plan, norm->outputs[0]), *last = NULL;
    if (next && next->op == BL_OP_ADD && stands_alone(plan, next)) {
        fusion->add = last = next;
        next = sole_reader(plan, next->outputs[0]);
    }
    if (next && next->op == BL_OP_RELU) fusion->relu = last = next;
    if (!last) return;
    if (fusion->add && fusion->add != last) plan->fusion[fusion->add->id].into = norm;
    plan->fusion[last->id].into = plan->fusion[last->id].norm = norm;
}

static bool is_known_before(const bl_tensor *tensor, const bl_node *node) {
    return tensor->role != BL_ROLE_VALUE || tensor->producer->id < node->id;
}

static void fuse_backward(bl_cpu_plan *plan, const bl_node *norm) {
    const bl_node *relu = norm->inputs[1]->producer;
    if (!relu || relu->op != BL_OP_RELU_BACKWARD || !stands_alone(plan, relu)) return;
    if (!is_known_before(norm->inputs[0], relu) || !is_known_before(norm->inputs[3], relu) || !is_known_before(norm->inputs[4], relu))
        return;
    bl_cpu_fusion *fusion = &plan->fusion[norm->id];
    fusion->relu_backward = relu;
    plan->fusion[relu->id].into = plan->fusion[relu->id].norm = norm;
    const bl_node *sum = relu->inputs[1]->producer;
    if (!sum || sum->op != BL_OP_ADD || !stands_alone(plan, sum) || sole_reader(plan, sum->outputs[0]) != relu) return;
    fusion->gradient_sum = sum;
    plan->fusion[sum->id].into = norm;
}

static bool has_optimizer(const bl_graph *graph, int network) {
    for (int i = 0; i < graph->node_count; i++) {
        const bl_node *node = graph->nodes[i];
        const bool is_optimizer = node->op == BL_OP_SGD || node->op == BL_OP_ADAM || node->op == BL_OP_LARS;
        if (is_optimizer && node->inputs[1]->place.network == network) return true;
    }
    return false;
}

// With one micro step an update, the first gradient of a segment overwrites the last step's.
static void overwrite_gradients(bl_cpu_plan *plan) {
    const bl_graph *graph = plan->base.graph;
    if (plan->accumulate != 1) return;
    for (int i = 0; i < graph->node_count; i++) {
        const bl_node *node = graph->nodes[i];
        if (node->op != BL_OP_ACCUMULATE) continue;
        const int network = node->inputs[1]->place.network;
        if (!plan->writes_gradients[network] && !has_optimizer(graph, network)) continue;
        plan->writes_gradients[network] = true;
        bool is_first = true;
        for (int k = 0; k < i && is_first; k++)
            is_first = graph->nodes[k]->op != BL_OP_ACCUMULATE || graph->nodes[k]->inputs[1] != node->inputs[1];
        plan->fusion[i].is_first = is_first;
    }
}

void bl_cpu_fuse(bl_cpu_plan *plan, bool observe_all) {
    const bl_graph *graph = plan->base.graph;
    overwrite_gradients(plan);
    if (observe_all) return;
    for (int i = 0; i < graph->node_count; i++) {
        const bl_node *node = graph->nodes[i];
        if (node->op == BL_OP_BATCH_NORM || node->op == BL_OP_BATCH_NORM_RUNNING) fuse_forward(plan, node);
        if (node->op == BL_OP_BATCH_NORM_BACKWARD) fuse_backward(plan, node);
    }
}
