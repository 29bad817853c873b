// Linear layer: y = x w' + b, weights [out, in]. Rows are images, or their pixels: a convolution of 1 x 1 with a bias.

#include "graph/ops/rules.h"

static int64_t features_of(const bl_shape *shape) {
    return shape->dims[shape->rank - 1];
}

static bl_shape with_features(bl_shape shape, int64_t features) {
    shape.dims[shape.rank - 1] = features;
    return shape;
}

static int infer(const bl_node *node, bl_shape *shapes, bl_dtype *dtypes) {
    if (bl_expect_rows(node, 0) || bl_expect_rank(node, 1, 2)) return BL_FAILED;
    const bl_shape *x = &node->inputs[0]->shape, *w = &node->inputs[1]->shape;
    if (features_of(x) != w->dims[1])
        return bl_op_fail(node, "x has %lld features, the weights expect %lld", (long long)features_of(x), (long long)w->dims[1]);
    if (node->input_count > 2 && node->inputs[2] && bl_expect_vector(node, 2, w->dims[0])) return BL_FAILED;
    shapes[0] = with_features(*x, w->dims[0]);
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
    if (bl_expect_rows(node, 0) || bl_expect_rank(node, 1, 2)) return BL_FAILED;
    const bl_shape *dy = &node->inputs[0]->shape, *w = &node->inputs[1]->shape;
    if (features_of(dy) != w->dims[0]) return bl_op_fail(node, "dy does not have the shape of y");
    shapes[0] = with_features(*dy, w->dims[1]);
    dtypes[0] = node->inputs[0]->dtype;
    return BL_OK;
}

static int infer_backward_weights(const bl_node *node, bl_shape *shapes, bl_dtype *dtypes) {
    if (bl_expect_rows(node, 0) || bl_expect_rows(node, 1)) return BL_FAILED;
    const bl_shape *x = &node->inputs[0]->shape, *dy = &node->inputs[1]->shape;
    if (bl_shape_rows(x) != bl_shape_rows(dy)) return bl_op_fail(node, "x and dy differ in rows");
    shapes[0] = (bl_shape){2, {features_of(dy), features_of(x)}};
    dtypes[0] = BL_F32;
    return BL_OK;
}

static int infer_backward_bias(const bl_node *node, bl_shape *shapes, bl_dtype *dtypes) {
    if (bl_expect_rows(node, 0)) return BL_FAILED;
    shapes[0] = (bl_shape){1, {features_of(&node->inputs[0]->shape)}};
    dtypes[0] = BL_F32;
    return BL_OK;
}

const bl_op_rule bl_rule_linear = {"linear", {"x", "w", "b?"}, {"y"}, infer, gradient, {0}};
const bl_op_rule bl_rule_linear_backward_data = {"linear_backward_data", {"dy", "w"}, {"dx"}, infer_backward_data, NULL, {0}};
const bl_op_rule bl_rule_linear_backward_weights = {"linear_backward_weights", {"x", "dy"}, {"dw"}, infer_backward_weights, NULL, {0}};
const bl_op_rule bl_rule_linear_backward_bias = {"linear_backward_bias", {"dy"}, {"db"}, infer_backward_bias, NULL, {0}};
