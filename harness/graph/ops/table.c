#include "graph/ops/rules.h"

#define RULE(op, name) [BL_OP_##op] = &bl_rule_##name,
const bl_op_rule *const bl_op_rules[BL_OP_COUNT] = {BL_OPERATORS(RULE)};
