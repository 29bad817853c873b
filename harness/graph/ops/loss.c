// BYOL's loss: with B images and two stacked views, row i of p is paired with row (i + B) mod 2B of z (crossed) or row i (same
// view). l1 is the mean over the rows of view 1's predictions of their distance, l2 that of view 2's, and the reduction makes one
// loss of them; the sum, l1 + l2, is DeepMind's: 0 .. 8. With one_direction l2 is 0, and rows that no prediction of view 1 is compared
// with have gradient 0. The distance is |p - z|^2 of the rows as the normalization leaves them:
//   l2: 2 - 2 cos(p, z); norms are clamped from below at 1e-8, each by itself (torch.nn.functional.cosine_similarity);
//   none: as they are;    layer norm: each minus its own mean, then as l2.
//
// Projection std: rows l2-normalised; per view the biased variance of each channel; sqrt(D x mean over views and channels). It
// equals sqrt(1 - mean pairwise cosine): 1 for directions spread evenly, 0 when all rows point the same way.

#include "graph/ops/rules.h"

static int check_views(const bl_node *node) {
    if (node->attributes.groups != 2) return bl_op_fail(node, "%d views; the loss pairs two", node->attributes.groups);
    if (node->inputs[0]->shape.dims[0] % 2) return bl_op_fail(node, "an odd number of rows cannot hold two views");
    return BL_OK;
}

static int infer(const bl_node *node, bl_shape *shapes, bl_dtype *dtypes) {
    if (bl_expect_rank(node, 0, 2) || bl_expect_same_shape(node, 0, 1) || check_views(node)) return BL_FAILED;
    shapes[0] = (bl_shape){1, {1}};
    dtypes[0] = BL_F32;
    return BL_OK;
}

static int gradient(bl_graph *graph, const bl_node *node, bl_tensor *const *dy, const bool *wanted, bl_tensor **dx) {
    (void)dy; // the loss is where autodiff starts: its own gradient is 1
    bl_node *made;
    if (bl_derive(graph, node, BL_OP_BYOL_LOSS_BACKWARD, "backward", &node->attributes, node->inputs, 2, &made)) return BL_FAILED;
    for (int i = 0; i < 2; i++) {
        dx[i] = wanted[i] ? made->outputs[i] : NULL;
        if (!wanted[i]) made->outputs[i] = NULL;
    }
    return BL_OK;
}

static int infer_backward(const bl_node *node, bl_shape *shapes, bl_dtype *dtypes) {
    if (bl_expect_rank(node, 0, 2) || bl_expect_same_shape(node, 0, 1) || check_views(node)) return BL_FAILED;
    shapes[0] = shapes[1] = node->inputs[0]->shape;
    dtypes[0] = dtypes[1] = node->inputs[0]->dtype;
    return BL_OK;
}

static int infer_std(const bl_node *node, bl_shape *shapes, bl_dtype *dtypes) {
    if (bl_expect_rank(node, 0, 2) || check_views(node)) return BL_FAILED;
    shapes[0] = (bl_shape){1, {1}};
    dtypes[0] = BL_F32;
    return BL_OK;
}

const bl_op_rule bl_rule_byol_loss = {"byol_loss", {"p", "z"}, {"loss"}, infer, gradient, {0}};
const bl_op_rule bl_rule_byol_loss_backward = {"byol_loss_backward", {"p", "z"}, {"dp", "dz"}, infer_backward, NULL, {0}};
const bl_op_rule bl_rule_projection_std = {"projection_std", {"z"}, {"std"}, infer_std, NULL, {0}};
