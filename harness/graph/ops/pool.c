// Global average pooling: the mean over the image of each channel.

#include "graph/ops/rules.h"

static int infer(const bl_node *node, bl_shape *shapes, bl_dtype *dtypes) {
    if (bl_expect_rank(node, 0, 4)) return BL_FAILED;
    const bl_tensor *x = node->inputs[0];
    shapes[0] = (bl_shape){2, {x->shape.dims[0], x->shape.dims[3]}};
    dtypes[0] = x->dtype;
    return BL_OK;
}

static int gradient(bl_graph *graph, const bl_node *node, bl_tensor *const *dy, const bool *wanted, bl_tensor **dx) {
    bl_node *made;
    if (!wanted[0]) return BL_OK;
    const bl_attributes attributes = {.shape = node->inputs[0]->shape};
    if (bl_derive(graph, node, BL_OP_GLOBAL_AVERAGE_POOL_BACKWARD, "backward", &attributes, dy, 1, &made)) return BL_FAILED;
    dx[0] = made->outputs[0];
    return BL_OK;
}

static int infer_backward(const bl_node *node, bl_shape *shapes, bl_dtype *dtypes) {
    if (bl_expect_rank(node, 0, 2)) return BL_FAILED;
    const bl_shape *x = &node->attributes.shape, *dy = &node->inputs[0]->shape;
    if (x->rank != 4 || x->dims[0] != dy->dims[0] || x->dims[3] != dy->dims[1]) return bl_op_fail(node, "dy does not have the shape of y");
    shapes[0] = *x;
    dtypes[0] = node->inputs[0]->dtype;
    return BL_OK;
}

const bl_op_rule bl_rule_global_average_pool = {"global_average_pool", {"x"}, {"y"}, infer, gradient, {0}};
const bl_op_rule bl_rule_global_average_pool_backward = {"global_average_pool_backward", {"dy"}, {"dx"}, infer_backward, NULL, {0}};
