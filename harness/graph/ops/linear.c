// Linear layer: y = x w' + b, weights [out, in].

#include "graph/ops/rules.h"

static int infer(const bl_node *node, bl_shape *shapes, bl_dtype *dtypes) {
    if (bl_expect_rank(node, 0, 2) || bl_expect_rank(node, 1, 2)) return BL_FAILED;
    const bl_shape *x = &node->inputs[0]->shape, *w = &node->inputs[1]->shape;
    if (x->dims[1] != w->dims[1])
        return bl_op_fail(node, "x has %lld features, the weights expect %lld", (long long)x->dims[1], (long long)w->dims[1]);
    if (node->input_count > 2 && node->inputs[2] && bl_expect_vector(node, 2, w->dims[0])) return BL_FAILED;
    shapes[0] = (bl_shape){2, {x->dims[0], w->dims[0]}};
    dtypes[0] = node->inputs[0]->dtype;
    return BL_OK;
}

static int gradient(bl_graph *graph, const bl_node *node, bl_tensor *const *dy, const bool *wanted, bl_tensor **dx) {
    bl_tensor *x = node->inputs[0], *w = node->inputs[1];
    bl_node *made;
    if (wanted[1]) {
        if (bl_derive(graph, node, BL_OP_LINEAR_BACKWARD_WEIGHTS, "backward_weights", NULL, (bl_tensor *[]){x, dy[0]}, 2, &made))
            return BL_FAILED;
        dx[1] = made->outputs[0];
    }
    if (wanted[2]) {
        if (bl_derive(graph, node, BL_OP_LINEAR_BACKWARD_BIAS, "backward_bias", NULL, dy, 1, &made)) return BL_FAILED;
        dx[2] = made->outputs[0];
    }
    if (wanted[0]) {
        if (bl_derive(graph, node, BL_OP_LINEAR_BACKWARD_DATA, "backward_data", NULL, (bl_tensor *[]){dy[0], w}, 2, &made)) return BL_FAILED;
        dx[0] = made->outputs[0];
    }
    return BL_OK;
}

static int infer_backward_data(const bl_node *node, bl_shape *shapes, bl_dtype *dtypes) {
    if (bl_expect_rank(node, 0, 2) || bl_expect_rank(node, 1, 2)) return BL_FAILED;
    const bl_shape *dy = &node->inputs[0]->shape, *w = &node->inputs[1]->shape;
    if (dy->dims[1] != w->dims[0]) return bl_op_fail(node, "dy does not have the shape of y");
    shapes[0] = (bl_shape){2, {dy->dims[0], w->dims[1]}};
    dtypes[0] = node->inputs[0]->dtype;
    return BL_OK;
}

static int infer_backward_weights(const bl_node *node, bl_shape *shapes, bl_dtype *dtypes) {
    if (bl_expect_rank(node, 0, 2) || bl_expect_rank(node, 1, 2)) return BL_FAILED;
    const bl_shape *x = &node->inputs[0]->shape, *dy = &node->inputs[1]->shape;
    if (x->dims[0] != dy->dims[0]) return bl_op_fail(node, "x and dy differ in rows");
    shapes[0] = (bl_shape){2, {dy->dims[1], x->dims[1]}};
    dtypes[0] = BL_F32;
    return BL_OK;
}

static int infer_backward_bias(const bl_node *node, bl_shape *shapes, bl_dtype *dtypes) {
    if (bl_expect_rank(node, 0, 2)) return BL_FAILED;
    shapes[0] = (bl_shape){1, {node->inputs[0]->shape.dims[1]}};
    dtypes[0] = BL_F32;
    return BL_OK;
}

const bl_op_rule bl_rule_linear = {"linear", {"x", "w", "b?"}, {"y"}, infer, gradient, {0}};
const bl_op_rule bl_rule_linear_backward_data = {"linear_backward_data", {"dy", "w"}, {"dx"}, infer_backward_data, NULL, {0}};
const bl_op_rule bl_rule_linear_backward_weights = {"linear_backward_weights", {"x", "dy"}, {"dw"}, infer_backward_weights, NULL, {0}};
const bl_op_rule bl_rule_linear_backward_bias = {"linear_backward_bias", {"dy"}, {"db"}, infer_backward_bias, NULL, {0}};
