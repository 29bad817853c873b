#include "backends/fusion.h"

typedef struct fuser {
    const bl_graph *graph;
    const bool *observed;
    const int *readers;
    bl_fusion *fusion;
} fuser;

// The only node that reads `tensor`, which nobody observes; NULL otherwise.
static const bl_node *sole_reader(const fuser *f, const bl_tensor *tensor) {
    if (f->observed[tensor->id] || f->readers[tensor->id] != 1) return NULL;
    const bl_graph *graph = f->graph;
    for (int i = tensor->producer ? tensor->producer->id + 1 : 0; i < graph->node_count; i++)
        for (int k = 0; k < graph->nodes[i]->input_count; k++)
            if (graph->nodes[i]->inputs[k] == tensor) return graph->nodes[i];
    return NULL;
}

static bool stands_alone(const fuser *f, const bl_node *node) {
    return !f->fusion[node->id].into && !f->fusion[node->id].norm;
}

static void fuse_forward(fuser *f, const bl_node *norm) {
    bl_fusion *fusion = &f->fusion[norm->id];
    const bl_node *next = sole_reader(f, norm->outputs[0]), *last = NULL;
    if (next && next->op == BL_OP_ADD && stands_alone(f, next)) {
        fusion->add = last = next;
        next = sole_reader(f, next->outputs[0]);
    }
    if (next && next->op == BL_OP_RELU) fusion->relu = last = next;
    if (!last) return;
    if (fusion->add && fusion->add != last) f->fusion[fusion->add->id].into = norm;
    f->fusion[last->id].into = f->fusion[last->id].norm = norm;
}

static bool is_known_before(const bl_tensor *tensor, const bl_node *node) {
    return tensor->role != BL_ROLE_VALUE || tensor->producer->id < node->id;
}

static void fuse_backward(fuser *f, const bl_node *norm) {
    const bl_node *relu = norm->inputs[1]->producer;
    if (!relu || relu->op != BL_OP_RELU_BACKWARD || !stands_alone(f, relu)) return;
    if (!is_known_before(norm->inputs[0], relu) || !is_known_before(norm->inputs[3], relu) || !is_known_before(norm->inputs[4], relu))
        return;
    bl_fusion *fusion = &f->fusion[norm->id];
    fusion->relu_backward = relu;
    f->fusion[relu->id].into = f->fusion[relu->id].norm = norm;
    const bl_node *sum = relu->inputs[1]->producer;
    if (!sum || sum->op != BL_OP_ADD || !stands_alone(f, sum) || sole_reader(f, sum->outputs[0]) != relu) return;
    fusion->gradient_sum = sum;
    f->fusion[sum->id].into = norm;
}

static bool has_optimizer(const bl_graph *graph, int network) {
    for (int i = 0; i < graph->node_count; i++) {
        const bl_node *node = graph->nodes[i];
        const bool is_optimizer = node->op == BL_OP_SGD || node->op == BL_OP_ADAM || node->op == BL_OP_LARS;
        if (is_optimizer && node->inputs[1]->place.network == network) return true;
    }
    return false;
}

void bl_fuse(const bl_graph *graph, const bool *observed, const int *readers, bl_fusion *fusion) {
    fuser made = {graph, observed, readers, fusion};
    for (int i = 0; i < graph->node_count; i++) {
        const bl_node *node = graph->nodes[i];
        if (node->op == BL_OP_BATCH_NORM || node->op == BL_OP_BATCH_NORM_RUNNING) fuse_forward(&made, node);
        if (node->op == BL_OP_BATCH_NORM_BACKWARD) fuse_backward(&made, node);
    }
}

void bl_fuse_gradients(const bl_graph *graph, bl_fusion *fusion, bool writes[BL_MAX_NETWORKS]) {
    for (int i = 0; i < graph->node_count; i++) {
        const bl_node *node = graph->nodes[i];
        if (node->op != BL_OP_ACCUMULATE) continue;
        const int network = node->inputs[1]->place.network;
        if (!writes[network] && !has_optimizer(graph, network)) continue;
        writes[network] = true;
        bool is_first = true;
        for (int k = 0; k < i && is_first; k++)
            is_first = graph->nodes[k]->op != BL_OP_ACCUMULATE || graph->nodes[k]->inputs[1] != node->inputs[1];
        fusion[i].is_first = is_first;
    }
}
