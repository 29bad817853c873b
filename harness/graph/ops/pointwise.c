// ReLU, the addition of residual joins and of gradients, and stop_gradient: the node where autodiff ends.

#include "graph/ops/rules.h"

static int infer_same(const bl_node *node, bl_shape *shapes, bl_dtype *dtypes) {
    shapes[0] = node->inputs[0]->shape;
    dtypes[0] = node->inputs[0]->dtype;
    return BL_OK;
}

static int infer_pair(const bl_node *node, bl_shape *shapes, bl_dtype *dtypes) {
    if (bl_expect_same_shape(node, 0, 1)) return BL_FAILED;
    return infer_same(node, shapes, dtypes);
}

// The gradient is 0 where y is 0, as in every framework: only y is needed, never x.
static int gradient_relu(bl_graph *graph, const bl_node *node, bl_tensor *const *dy, const bool *wanted, bl_tensor **dx) {
    bl_node *made;
    if (!wanted[0]) return BL_OK;
    if (bl_derive(graph, node, BL_OP_RELU_BACKWARD, "backward", NULL, (bl_tensor *[]){node->outputs[0], dy[0]}, 2, &made)) return BL_FAILED;
    dx[0] = made->outputs[0];
    return BL_OK;
}

static int gradient_add(bl_graph *graph, const bl_node *node, bl_tensor *const *dy, const bool *wanted, bl_tensor **dx) {
    (void)graph;
    (void)node;
    for (int i = 0; i < 2; i++)
        if (wanted[i]) dx[i] = dy[0];
    return BL_OK;
}

const bl_op_rule bl_rule_relu = {"relu", {"x"}, {"y"}, infer_same, gradient_relu, {0}};
const bl_op_rule bl_rule_relu_backward = {"relu_backward", {"y", "dy"}, {"dx"}, infer_pair, NULL, {0}};
const bl_op_rule bl_rule_add = {"add", {"a", "b"}, {"y"}, infer_pair, gradient_add, {0}};
const bl_op_rule bl_rule_stop_gradient = {"stop_gradient", {"x"}, {"y"}, infer_same, NULL, {0}};
