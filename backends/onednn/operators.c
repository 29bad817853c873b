#include "backends/onednn/operators.h"

#define OPERATOR(op, name) [BL_OP_##op] = &bl_cpu_op_##name,
const bl_operator *const bl_cpu_operators[BL_OP_COUNT] = {BL_OPERATORS(OPERATOR)};
