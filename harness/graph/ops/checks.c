#include "graph/ops/rules.h"

static const char *slot(const bl_node *node, int input) {
    const bl_op_rule *rule = bl_op_rules[node->op];
    return input < BL_MAX_INPUTS && rule->inputs[input] ? rule->inputs[input] : "?";
}

int bl_expect_rank(const bl_node *node, int input, int rank) {
    if (node->inputs[input]->shape.rank == rank) return BL_OK;
    return bl_op_fail(node, "%s must have %d dimensions, '%s' has %d", slot(node, input), rank, node->inputs[input]->name,
                      node->inputs[input]->shape.rank);
}

int bl_expect_rows(const bl_node *node, int input) {
    if (node->inputs[input]->shape.rank >= 2) return BL_OK;
    return bl_op_fail(node, "%s must have rows of features, '%s' has %d dimensions", slot(node, input), node->inputs[input]->name,
                      node->inputs[input]->shape.rank);
}

int bl_expect_same_shape(const bl_node *node, int first, int second) {
    const bl_tensor *a = node->inputs[first], *b = node->inputs[second];
    if (bl_shape_equal(&a->shape, &b->shape) && a->dtype == b->dtype) return BL_OK;
    bl_text text = {0};
    bl_shape_print(&text, &a->shape);
    bl_text_add(&text, " %s and '%s' ", bl_dtype_name(a->dtype), b->name);
    bl_shape_print(&text, &b->shape);
    const int status = bl_op_fail(node, "'%s' %s %s must be alike", a->name, text.chars, bl_dtype_name(b->dtype));
    bl_text_free(&text);
    return status;
}

int bl_expect_vector(const bl_node *node, int input, int64_t length) {
    const bl_tensor *tensor = node->inputs[input];
    if (tensor->shape.rank == 1 && tensor->shape.dims[0] == length && tensor->dtype == BL_F32) return BL_OK;
    return bl_op_fail(node, "%s must be f32 [%lld], '%s' is not", slot(node, input), (long long)length, tensor->name);
}

int bl_expect_stored(const bl_node *node, int input) {
    if (node->inputs[input]->role == BL_ROLE_STORED) return BL_OK;
    return bl_op_fail(node, "%s must live in the store, '%s' does not", slot(node, input), node->inputs[input]->name);
}

int bl_derive(bl_graph *graph, const bl_node *node, bl_op op, const char *suffix, const bl_attributes *attributes,
              bl_tensor *const *inputs, int input_count, bl_node **out) {
    return bl_graph_node(graph, op, bl_arena_format(graph->arena, "%s.%s", node->name, suffix), attributes, inputs, input_count, out);
}
