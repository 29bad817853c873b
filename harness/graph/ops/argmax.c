// The largest of a row: y = the index of the largest of its C values, the first of equal ones. One that is not a number is the largest if
// it is the first of all, and never else. Nothing flows back through a choice.

#include "graph/ops/rules.h"

static int infer(const bl_node *node, bl_shape *shapes, bl_dtype *dtypes) {
    if (bl_expect_rows(node, 0)) return BL_FAILED;
    shapes[0] = node->inputs[0]->shape;
    shapes[0].rank--;
    dtypes[0] = BL_F32;
    return BL_OK;
}

const bl_op_rule bl_rule_argmax = {"argmax", {"x"}, {"y"}, infer, NULL, {0}};
