// rules.h - every operator's rule, one file a family, and the checks they share.

#ifndef BL_GRAPH_OPS_RULES_H
#define BL_GRAPH_OPS_RULES_H

#include "graph/op.h"

#define BL_RULE(op, name) extern const bl_op_rule bl_rule_##name;
BL_OPERATORS(BL_RULE)
#undef BL_RULE

BL_CHECK int bl_expect_rank(const bl_node *node, int input, int rank);
BL_CHECK int bl_expect_rows(const bl_node *node, int input); // at least two dimensions: rows of features
BL_CHECK int bl_expect_same_shape(const bl_node *node, int first, int second);
BL_CHECK int bl_expect_vector(const bl_node *node, int input, int64_t length); // f32 [length]
BL_CHECK int bl_expect_stored(const bl_node *node, int input);

// Appends `op` named "<node>.<suffix>" and returns its first output in *out.
BL_CHECK int bl_derive(bl_graph *graph, const bl_node *node, bl_op op, const char *suffix, const bl_attributes *attributes,
                       bl_tensor *const *inputs, int input_count, bl_node **out);

#endif
