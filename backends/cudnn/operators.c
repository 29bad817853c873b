#include "backends/cudnn/operators.h"

#define OPERATOR(op, name) [BL_OP_##op] = &bl_gpu_op_##name,
const bl_operator *const bl_gpu_operators[BL_OP_COUNT] = {BL_OPERATORS(OPERATOR)};
