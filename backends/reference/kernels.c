#include "backends/reference/kernels.h"

#define KERNEL(op, name) [BL_OP_##op] = bl_reference_##name,
const bl_kernel bl_reference_kernels[BL_OP_COUNT] = {BL_OPERATORS(KERNEL)};
