// rules.h - every operator's rule, one file a family, and the checks they share.

#ifndef BL_GRAPH_OPS_RULES_H
#define BL_GRAPH_OPS_RULES_H

#include "graph/op.h"

// convolution.c
extern const bl_op_rule bl_rule_convolution, bl_rule_convolution_backward_data, bl_rule_convolution_backward_weights;
// batch_norm.c
extern const bl_op_rule bl_rule_batch_norm, bl_rule_batch_norm_backward, bl_rule_batch_norm_running, bl_rule_running_average;
// pointwise.c
extern const bl_op_rule bl_rule_relu, bl_rule_relu_backward, bl_rule_add, bl_rule_stop_gradient;
// pool.c
extern const bl_op_rule bl_rule_global_average_pool, bl_rule_global_average_pool_backward, bl_rule_max_pool, bl_rule_max_pool_backward;
// resize.c
extern const bl_op_rule bl_rule_resize, bl_rule_resize_backward;
// linear.c
extern const bl_op_rule bl_rule_linear, bl_rule_linear_backward_data, bl_rule_linear_backward_weights, bl_rule_linear_backward_bias;
// loss.c
extern const bl_op_rule bl_rule_byol_loss, bl_rule_byol_loss_backward, bl_rule_projection_std;
// cross_entropy.c
extern const bl_op_rule bl_rule_cross_entropy, bl_rule_cross_entropy_backward;
// argmax.c
extern const bl_op_rule bl_rule_argmax;
// update.c
extern const bl_op_rule bl_rule_accumulate, bl_rule_check_finite, bl_rule_sgd, bl_rule_adam, bl_rule_lars, bl_rule_ema;

BL_CHECK int bl_expect_rank(const bl_node *node, int input, int rank);
BL_CHECK int bl_expect_rows(const bl_node *node, int input); // at least two dimensions: rows of features
BL_CHECK int bl_expect_same_shape(const bl_node *node, int first, int second);
BL_CHECK int bl_expect_vector(const bl_node *node, int input, int64_t length); // f32 [length]
BL_CHECK int bl_expect_stored(const bl_node *node, int input);

// Appends `op` named "<node>.<suffix>" and returns its first output in *out.
BL_CHECK int bl_derive(bl_graph *graph, const bl_node *node, bl_op op, const char *suffix, const bl_attributes *attributes,
                       bl_tensor *const *inputs, int input_count, bl_node **out);

#endif
