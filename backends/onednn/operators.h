// operators.h - how this backend does each operator: a bl_operator of every row of graph/operators.h, in a file of ops/ a family.

#ifndef BL_BACKENDS_ONEDNN_OPERATORS_H
#define BL_BACKENDS_ONEDNN_OPERATORS_H

#include "backends/lowering/lowering.h"

extern const bl_operator *const bl_cpu_operators[BL_OP_COUNT];

#define BL_CPU_OPERATOR(op, name) extern const bl_operator bl_cpu_op_##name;
BL_OPERATORS(BL_CPU_OPERATOR)
#undef BL_CPU_OPERATOR

#endif
