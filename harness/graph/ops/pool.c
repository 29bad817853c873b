// Global average pooling: the mean over the image of each channel.
//
// Max pooling: the largest value under a square window, as torch.nn.MaxPool2d: padding never wins, a NaN always does. Output side:
// (side + 2 padding - kernel) / stride + 1, rounded down. The gradient of a window goes to its first largest value in row-major
// order, as PyTorch's kernels for CPU and CUDA send it: behind a ReLU many windows hold nothing but equal zeros. A pixel under several
// windows gets their sum.

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

// ---- max pooling ----

static int64_t out_side(const bl_attributes *a, int64_t side) {
    return (side + 2 * a->padding - a->kernel) / a->stride + 1;
}

// Padding of at most half the kernel leaves no window without a pixel of the image.
static int infer_max(const bl_node *node, bl_shape *shapes, bl_dtype *dtypes) {
    if (bl_expect_rank(node, 0, 4)) return BL_FAILED;
    const bl_attributes *a = &node->attributes;
    const bl_tensor *x = node->inputs[0];
    const int64_t *dims = x->shape.dims;
    if (a->kernel < 1 || a->stride < 1 || a->padding < 0 || a->padding > a->kernel / 2)
        return bl_op_fail(node, "kernel %d and stride %d must be at least 1, padding %d from 0 to half the kernel", a->kernel, a->stride,
                          a->padding);
    if (dims[1] + 2 * a->padding < a->kernel || dims[2] + 2 * a->padding < a->kernel)
        return bl_op_fail(node, "the image is smaller than the kernel");
    shapes[0] = (bl_shape){4, {dims[0], out_side(a, dims[1]), out_side(a, dims[2]), dims[3]}};
    dtypes[0] = x->dtype;
    return BL_OK;
}

static int gradient_max(bl_graph *graph, const bl_node *node, bl_tensor *const *dy, const bool *wanted, bl_tensor **dx) {
    bl_tensor *x = node->inputs[0];
    bl_attributes attributes = node->attributes;
    bl_node *made;
    if (!wanted[0]) return BL_OK;
    attributes.shape = x->shape;
    if (bl_derive(graph, node, BL_OP_MAX_POOL_BACKWARD, "backward", &attributes, (bl_tensor *[]){x, dy[0]}, 2, &made)) return BL_FAILED;
    dx[0] = made->outputs[0];
    return BL_OK;
}

static int infer_max_backward(const bl_node *node, bl_shape *shapes, bl_dtype *dtypes) {
    const bl_tensor *x = node->inputs[0], *dy = node->inputs[1];
    if (infer_max(node, shapes, dtypes)) return BL_FAILED;
    if (!bl_shape_equal(&node->attributes.shape, &x->shape)) return bl_op_fail(node, "the shape of dx is not that of x");
    if (!bl_shape_equal(&shapes[0], &dy->shape) || x->dtype != dy->dtype) return bl_op_fail(node, "dy is not like y");
    shapes[0] = x->shape;
    return BL_OK;
}

const bl_op_rule bl_rule_max_pool = {"max_pool", {"x"}, {"y"}, infer_max, gradient_max, {0}};
const bl_op_rule bl_rule_max_pool_backward = {"max_pool_backward", {"x", "dy"}, {"dx"}, infer_max_backward, NULL, {0}};
