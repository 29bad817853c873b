// Reverse-mode differentiation as an edit of the graph: backward nodes are appended, nothing is computed here.

#include <string.h>

#include "graph/op.h"

typedef struct reverse {
    bl_graph *graph;
    bool *reaches;        // tensor depends on a trainable parameter along a path with gradients
    bl_tensor **gradient; // of each tensor so far
    const bl_node **first_reader; // of each tensor, among nodes with a gradient
} reverse;

static bool is_trainable(const bl_graph *graph, const bl_tensor *tensor) {
    if (tensor->role != BL_ROLE_STORED || tensor->place.network == BL_SCALAR_NETWORK || tensor->place.block != BL_PARAMETERS) return false;
    const bl_network *network = &graph->layout->networks[tensor->place.network];
    return network->trainable && tensor->place.segment != BL_WHOLE_BLOCK && !network->parameters.items[tensor->place.segment].frozen;
}

static void mark_reaching(reverse *r) {
    for (int i = 0; i < r->graph->tensor_count; i++) r->reaches[i] = is_trainable(r->graph, r->graph->tensors[i]);
    for (int i = 0; i < r->graph->node_count; i++) {
        const bl_node *node = r->graph->nodes[i];
        if (!bl_op_rules[node->op]->gradient) continue;
        bool any = false;
        for (int k = 0; k < node->input_count; k++) {
            const bl_tensor *input = node->inputs[k];
            if (!input) continue;
            any = any || r->reaches[input->id];
            if (!r->first_reader[input->id]) r->first_reader[input->id] = node;
        }
        // Only the first output carries gradients onwards: a batch norm's statistics feed running averages.
        if (node->output_count) r->reaches[node->outputs[0]->id] = any;
    }
}

// Adds a contribution to the gradient of a tensor.
static int contribute(reverse *r, const bl_tensor *tensor, bl_tensor *gradient) {
    bl_tensor **sum = &r->gradient[tensor->id];
    if (!*sum) {
        *sum = gradient;
        return BL_OK;
    }
    bl_node *node;
    const char *name = bl_arena_format(r->graph->arena, "%s.gradient_sum", tensor->name);
    for (int n = 2; bl_graph_find(r->graph, name); n++) name = bl_arena_format(r->graph->arena, "%s.gradient_sum%d", tensor->name, n);
    if (bl_graph_node(r->graph, BL_OP_ADD, name, NULL, (bl_tensor *[]){*sum, gradient}, 2, &node)) return BL_FAILED;
    *sum = node->outputs[0];
    return BL_OK;
}

static int accumulate(reverse *r, const bl_tensor *parameter) {
    bl_tensor *stored, *gradient = r->gradient[parameter->id];
    const bl_place place = {parameter->place.network, BL_GRADIENTS, parameter->place.segment};
    if (bl_graph_stored(r->graph, place, &stored)) return BL_FAILED;
    return bl_graph_node(r->graph, BL_OP_ACCUMULATE, bl_arena_format(r->graph->arena, "%s.accumulate", parameter->name), NULL,
                         (bl_tensor *[]){gradient, stored}, 2, NULL);
}

static int reverse_node(reverse *r, const bl_node *node, const bl_tensor *loss) {
    bl_tensor *dy[BL_MAX_OUTPUTS] = {0}, *dx[BL_MAX_INPUTS] = {0};
    bool wanted[BL_MAX_INPUTS] = {0}, any = false;
    for (int k = 0; k < node->output_count; k++)
        if (node->outputs[k]) dy[k] = r->gradient[node->outputs[k]->id];
    if (node->outputs[0] != loss && !dy[0]) return BL_OK;
    for (int k = 0; k < node->input_count; k++) {
        wanted[k] = node->inputs[k] && r->reaches[node->inputs[k]->id];
        any = any || wanted[k];
    }
    if (!any) return BL_OK;
    if (bl_op_rules[node->op]->gradient(r->graph, node, dy, wanted, dx)) return BL_FAILED;
    for (int k = 0; k < node->input_count; k++) {
        if (dx[k] && contribute(r, node->inputs[k], dx[k])) return BL_FAILED;
        // Walking backwards, a parameter's first reader is the last to contribute: its gradient is complete here.
        if (dx[k] && is_trainable(r->graph, node->inputs[k]) && r->first_reader[node->inputs[k]->id] == node &&
            accumulate(r, node->inputs[k]))
            return BL_FAILED;
    }
    return BL_OK;
}

int bl_graph_backward(bl_graph *graph, bl_tensor *loss) {
    // Gradients are kept for the tensors that exist now; those appended on the way need none.
    const int tensors = graph->tensor_count, nodes = graph->node_count;
    reverse r = {graph, bl_alloc((size_t)tensors * sizeof *r.reaches), bl_alloc((size_t)tensors * sizeof *r.gradient),
                 bl_alloc((size_t)tensors * sizeof *r.first_reader)};
    int status = BL_FAILED;
    if (!r.reaches || !r.gradient || !r.first_reader) goto done;
    mark_reaching(&r);
    if (!r.reaches[loss->id]) {
        bl_fail("no trainable parameter reaches the loss '%s'", loss->name);
        goto done;
    }
    graph->deriving = true;
    for (int i = nodes - 1; i >= 0; i--)
        if (bl_op_rules[graph->nodes[i]->op]->gradient && reverse_node(&r, graph->nodes[i], loss)) goto done;
    status = BL_OK;
done:
    graph->deriving = false;
    bl_free(r.reaches);
    bl_free(r.gradient);
    bl_free(r.first_reader);
    return status;
}
