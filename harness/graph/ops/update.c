// The writers of a step: gradients accumulate in the micro phase; the update phase checks that all is finite, lets the
// optimiser read (and clear) the gradient block, and moves the target. SGD and Adam are torch.optim's, weight decay as L2.
//   LARS (You et al. 2017) in the order of DeepMind's code, a segment at a time; |.| is a segment's l2 norm:
//     h = g + weight_decay p where the segment decays
//     where it adapts: trust = eta |p| / (|h| + epsilon), or eta |p| / (|g| + weight_decay |p| + epsilon) with decay_apart; 1 where
//     |p| or the gradient's norm in the denominator (|h|, or |g|) is 0; with clip: min(trust / (learning rate lr_scale), 1);
//     h = trust h
//     m = momentum m + h; p -= learning rate lr_scale m, or with nesterov (h + momentum m)
//   EMA: target = tau target + (1 - tau) online, in this form: at tau 0 it is exact, the lerp form is not.

#include "graph/ops/rules.h"

static int infer_accumulate(const bl_node *node, bl_shape *shapes, bl_dtype *dtypes) {
    (void)shapes;
    (void)dtypes;
    if (bl_expect_stored(node, 1)) return BL_FAILED;
    return bl_expect_same_shape(node, 0, 1);
}

static int infer_check_finite(const bl_node *node, bl_shape *shapes, bl_dtype *dtypes) {
    (void)shapes;
    (void)dtypes;
    if (bl_expect_vector(node, 0, 1) || bl_expect_vector(node, 1, 1)) return BL_FAILED;
    return bl_expect_stored(node, 1);
}

// The first `blocks` inputs are whole blocks of one length, the rest scalars of the store.
static int check_blocks(const bl_node *node, int blocks) {
    for (int i = 0; i < node->input_count; i++) {
        if (bl_expect_stored(node, i)) return BL_FAILED;
        if (i > 0 && i < blocks && bl_expect_same_shape(node, 0, i)) return BL_FAILED;
        if (i >= blocks && bl_expect_vector(node, i, 1)) return BL_FAILED;
    }
    return BL_OK;
}

static int infer_sgd(const bl_node *node, bl_shape *shapes, bl_dtype *dtypes) {
    (void)shapes;
    (void)dtypes;
    return check_blocks(node, 3);
}

static int infer_adam(const bl_node *node, bl_shape *shapes, bl_dtype *dtypes) {
    (void)shapes;
    (void)dtypes;
    return check_blocks(node, 4);
}

static int infer_lars(const bl_node *node, bl_shape *shapes, bl_dtype *dtypes) {
    (void)shapes;
    (void)dtypes;
    if (!(node->attributes.eta > 0)) return bl_op_fail(node, "eta, the trust coefficient, must be positive");
    return check_blocks(node, 3);
}

static int infer_ema(const bl_node *node, bl_shape *shapes, bl_dtype *dtypes) {
    (void)shapes;
    (void)dtypes;
    return check_blocks(node, 2);
}

const bl_op_rule bl_rule_accumulate = {"accumulate", {"g", "gradient"}, {NULL}, infer_accumulate, NULL, {2}};
const bl_op_rule bl_rule_check_finite = {"check_finite", {"loss", "finite", "values*"}, {NULL}, infer_check_finite, NULL, {2}};
const bl_op_rule bl_rule_sgd = {
        "sgd", {"parameters", "gradients", "moment1", "learning_rate", "finite"}, {NULL}, infer_sgd, NULL, {1, 2, 3}};
const bl_op_rule bl_rule_adam = {"adam", {"parameters", "gradients", "moment1", "moment2", "learning_rate", "step", "finite"},
                                 {NULL}, infer_adam, NULL, {1, 2, 3, 4}};
const bl_op_rule bl_rule_lars = {
        "lars", {"parameters", "gradients", "moment1", "learning_rate", "finite"}, {NULL}, infer_lars, NULL, {1, 2, 3}};
const bl_op_rule bl_rule_ema = {"ema", {"target", "online", "tau", "finite"}, {NULL}, infer_ema, NULL, {1}};
