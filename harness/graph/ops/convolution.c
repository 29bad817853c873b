// Convolution without bias: cross-correlation as in every framework. Square kernels, the same padding on all sides.
// Output side: (side + 2 padding - dilation (kernel - 1) - 1) / stride + 1, rounded down.

#include "graph/ops/rules.h"

static int64_t out_side(const bl_attributes *a, int64_t side) {
    return (side + 2 * a->padding - a->dilation * (a->kernel - 1) - 1) / a->stride + 1;
}

// x against weights [O, k, k, C] and the attributes.
static int check(const bl_node *node, const bl_shape *x, const bl_shape *w) {
    const bl_attributes *a = &node->attributes;
    if (a->kernel < 1 || a->stride < 1 || a->dilation < 1 || a->padding < 0)
        return bl_op_fail(node, "kernel %d, stride %d, dilation %d must be at least 1, padding %d at least 0", a->kernel, a->stride,
                          a->dilation, a->padding);
    if (w->dims[1] != a->kernel || w->dims[2] != a->kernel) return bl_op_fail(node, "weights are not %d x %d", a->kernel, a->kernel);
    if (w->dims[3] != x->dims[3])
        return bl_op_fail(node, "x has %lld channels, the weights expect %lld", (long long)x->dims[3], (long long)w->dims[3]);
    if (out_side(a, x->dims[1]) < 1 || out_side(a, x->dims[2]) < 1) return bl_op_fail(node, "the image is smaller than the kernel");
    return BL_OK;
}

static bl_shape out_shape(const bl_attributes *a, const bl_shape *x, const bl_shape *w) {
    return (bl_shape){4, {x->dims[0], out_side(a, x->dims[1]), out_side(a, x->dims[2]), w->dims[0]}};
}

static int infer(const bl_node *node, bl_shape *shapes, bl_dtype *dtypes) {
    if (bl_expect_rank(node, 0, 4) || bl_expect_rank(node, 1, 4)) return BL_FAILED;
    const bl_shape *x = &node->inputs[0]->shape, *w = &node->inputs[1]->shape;
    if (check(node, x, w)) return BL_FAILED;
    shapes[0] = out_shape(&node->attributes, x, w);
    dtypes[0] = node->inputs[0]->dtype;
    return BL_OK;
}

static int gradient(bl_graph *graph, const bl_node *node, bl_tensor *const *dy, const bool *wanted, bl_tensor **dx) {
    bl_tensor *x = node->inputs[0], *w = node->inputs[1];
    bl_attributes attributes = node->attributes;
    bl_node *made;
    if (wanted[1]) {
        attributes.shape = w->shape;
        if (bl_derive(graph, node, BL_OP_CONVOLUTION_BACKWARD_WEIGHTS, "backward_weights", &attributes,
                      (bl_tensor *[]){x, dy[0]}, 2, &made))
            return BL_FAILED;
        dx[1] = made->outputs[0];
    }
    if (wanted[0]) {
        attributes.shape = x->shape;
        if (bl_derive(graph, node, BL_OP_CONVOLUTION_BACKWARD_DATA, "backward_data", &attributes, (bl_tensor *[]){dy[0], w}, 2, &made))
            return BL_FAILED;
        dx[0] = made->outputs[0];
    }
    return BL_OK;
}

static int infer_backward_data(const bl_node *node, bl_shape *shapes, bl_dtype *dtypes) {
    if (bl_expect_rank(node, 0, 4) || bl_expect_rank(node, 1, 4)) return BL_FAILED;
    const bl_shape *x = &node->attributes.shape, *w = &node->inputs[1]->shape;
    if (x->rank != 4) return bl_op_fail(node, "the shape of dx is missing");
    if (check(node, x, w)) return BL_FAILED;
    const bl_shape y = out_shape(&node->attributes, x, w);
    if (!bl_shape_equal(&y, &node->inputs[0]->shape)) return bl_op_fail(node, "dy does not have the shape of y");
    shapes[0] = *x;
    dtypes[0] = node->inputs[0]->dtype;
    return BL_OK;
}

static int infer_backward_weights(const bl_node *node, bl_shape *shapes, bl_dtype *dtypes) {
    if (bl_expect_rank(node, 0, 4) || bl_expect_rank(node, 1, 4)) return BL_FAILED;
    const bl_shape *x = &node->inputs[0]->shape, *w = &node->attributes.shape;
    if (w->rank != 4) return bl_op_fail(node, "the shape of dw is missing");
    if (check(node, x, w)) return BL_FAILED;
    const bl_shape y = out_shape(&node->attributes, x, w);
    if (!bl_shape_equal(&y, &node->inputs[1]->shape)) return bl_op_fail(node, "dy does not have the shape of y");
    shapes[0] = *w;
    dtypes[0] = BL_F32;
    return BL_OK;
}

const bl_op_rule bl_rule_convolution = {"convolution", {"x", "w"}, {"y"}, infer, gradient, {0}};
const bl_op_rule bl_rule_convolution_backward_data = {
        "convolution_backward_data", {"dy", "w"}, {"dx"}, infer_backward_data, NULL, {0}};
const bl_op_rule bl_rule_convolution_backward_weights = {
        "convolution_backward_weights", {"x", "dy"}, {"dw"}, infer_backward_weights, NULL, {0}};
