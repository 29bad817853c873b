// Cross-entropy of a softmax: a row of logits an image, or a pixel. labels holds class numbers 0 .. K - 1; a row labelled otherwise (-1,
// 255) counts for nothing.
//   loss = mean over the labelled rows of -log softmax(logits)[label]; correct = the share of them whose first largest logit is the
//   label's. Both are 0 where no row is labelled.

#include "graph/ops/rules.h"

static int check(const bl_node *node) {
    if (bl_expect_rows(node, 0)) return BL_FAILED;
    bl_shape rows = node->inputs[0]->shape;
    rows.rank--;
    if (bl_shape_equal(&rows, &node->inputs[1]->shape) && node->inputs[1]->dtype == BL_F32) return BL_OK;
    return bl_op_fail(node, "labels must be f32, one a row of logits");
}

static int infer(const bl_node *node, bl_shape *shapes, bl_dtype *dtypes) {
    if (check(node)) return BL_FAILED;
    shapes[0] = shapes[1] = (bl_shape){1, {1}};
    dtypes[0] = dtypes[1] = BL_F32;
    return BL_OK;
}

static int gradient(bl_graph *graph, const bl_node *node, bl_tensor *const *dy, const bool *wanted, bl_tensor **dx) {
    (void)dy; // the loss is where autodiff starts: its own gradient is 1
    bl_node *made;
    if (!wanted[0]) return BL_OK;
    if (bl_derive(graph, node, BL_OP_CROSS_ENTROPY_BACKWARD, "backward", NULL, node->inputs, 2, &made)) return BL_FAILED;
    dx[0] = made->outputs[0];
    return BL_OK;
}

static int infer_backward(const bl_node *node, bl_shape *shapes, bl_dtype *dtypes) {
    if (check(node)) return BL_FAILED;
    shapes[0] = node->inputs[0]->shape;
    dtypes[0] = node->inputs[0]->dtype;
    return BL_OK;
}

const bl_op_rule bl_rule_cross_entropy = {"cross_entropy", {"logits", "labels"}, {"loss", "correct"}, infer, gradient, {0}};
const bl_op_rule bl_rule_cross_entropy_backward = {
        "cross_entropy_backward", {"logits", "labels"}, {"dlogits"}, infer_backward, NULL, {0}};
