// Batch norm (Ioffe & Szegedy 2015) over all dimensions but the last. `groups` consecutive blocks of rows have statistics of
// their own: with one group a view these are BYOL's two separate forwards.
//   y = gamma (x - mean) / sqrt(variance + epsilon) + beta, variance biased.

#include "graph/ops/rules.h"

static int64_t channels(const bl_tensor *x) {
    return x->shape.dims[x->shape.rank - 1];
}

static int check_groups(const bl_node *node, const bl_tensor *x) {
    const int groups = node->attributes.groups;
    if (x->shape.rank < 2) return bl_op_fail(node, "x must have rows and channels");
    if (groups < 1 || x->shape.dims[0] % groups)
        return bl_op_fail(node, "%lld rows do not split into %d groups", (long long)x->shape.dims[0], groups);
    if (bl_shape_count(&x->shape) / channels(x) / groups < 2)
        return bl_op_fail(node, "a group of one value has no variance; use a larger batch");
    if (!(node->attributes.epsilon > 0)) return bl_op_fail(node, "epsilon must be positive");
    return BL_OK;
}

static int infer(const bl_node *node, bl_shape *shapes, bl_dtype *dtypes) {
    const bl_tensor *x = node->inputs[0];
    if (check_groups(node, x) || bl_expect_vector(node, 1, channels(x)) || bl_expect_vector(node, 2, channels(x))) return BL_FAILED;
    shapes[0] = x->shape;
    dtypes[0] = x->dtype;
    shapes[1] = shapes[2] = (bl_shape){2, {node->attributes.groups, channels(x)}};
    dtypes[1] = dtypes[2] = BL_F32;
    return BL_OK;
}

static int gradient(bl_graph *graph, const bl_node *node, bl_tensor *const *dy, const bool *wanted, bl_tensor **dx) {
    bl_node *made;
    if (!dy[0]) return BL_OK; // the statistics feed running averages only
    bl_tensor *inputs[] = {node->inputs[0], dy[0], node->inputs[1], node->outputs[1], node->outputs[2]};
    if (bl_derive(graph, node, BL_OP_BATCH_NORM_BACKWARD, "backward", &node->attributes, inputs, 5, &made)) return BL_FAILED;
    for (int i = 0; i < 3; i++) {
        dx[i] = wanted[i] ? made->outputs[i] : NULL;
        if (!wanted[i]) made->outputs[i] = NULL;
    }
    return BL_OK;
}

static int infer_backward(const bl_node *node, bl_shape *shapes, bl_dtype *dtypes) {
    const bl_tensor *x = node->inputs[0];
    const bl_shape statistics = {2, {node->attributes.groups, channels(x)}};
    if (check_groups(node, x) || bl_expect_same_shape(node, 0, 1) || bl_expect_vector(node, 2, channels(x))) return BL_FAILED;
    if (!bl_shape_equal(&node->inputs[3]->shape, &statistics) || !bl_shape_equal(&node->inputs[4]->shape, &statistics))
        return bl_op_fail(node, "mean and variance must be [groups, channels]");
    shapes[0] = x->shape;
    dtypes[0] = x->dtype;
    shapes[1] = shapes[2] = (bl_shape){1, {channels(x)}};
    dtypes[1] = dtypes[2] = BL_F32;
    return BL_OK;
}

static int infer_running(const bl_node *node, bl_shape *shapes, bl_dtype *dtypes) {
    const bl_tensor *x = node->inputs[0];
    if (x->shape.rank < 2) return bl_op_fail(node, "x must have rows and channels");
    for (int i = 1; i < 5; i++)
        if (bl_expect_vector(node, i, channels(x))) return BL_FAILED;
    shapes[0] = x->shape;
    dtypes[0] = x->dtype;
    return BL_OK;
}

// running = (1 - momentum) running + momentum new, once a group in order; the variance enters unbiased: n / (n - 1).
static int infer_average(const bl_node *node, bl_shape *shapes, bl_dtype *dtypes) {
    (void)shapes;
    (void)dtypes;
    if (bl_expect_rank(node, 0, 2) || bl_expect_same_shape(node, 0, 1)) return BL_FAILED;
    const int64_t width = channels(node->inputs[0]);
    if (bl_expect_vector(node, 2, width) || bl_expect_vector(node, 3, width)) return BL_FAILED;
    if (bl_expect_stored(node, 2) || bl_expect_stored(node, 3)) return BL_FAILED;
    if (node->attributes.rows < 2) return bl_op_fail(node, "statistics of %lld values have no unbiased variance", (long long)node->attributes.rows);
    return BL_OK;
}

const bl_op_rule bl_rule_batch_norm = {"batch_norm", {"x", "gamma", "beta"}, {"y", "mean", "variance"}, infer, gradient, {0}};
const bl_op_rule bl_rule_batch_norm_backward = {
        "batch_norm_backward", {"x", "dy", "gamma", "mean", "variance"}, {"dx", "dgamma", "dbeta"}, infer_backward, NULL, {0}};
const bl_op_rule bl_rule_batch_norm_running = {
        "batch_norm_running", {"x", "gamma", "beta", "running_mean", "running_var"}, {"y"}, infer_running, NULL, {0}};
const bl_op_rule bl_rule_running_average = {
        "running_average", {"mean", "variance", "running_mean", "running_var"}, {NULL}, infer_average, NULL, {3, 4}};
