// kernels.h - every operator in f64, one plain loop nest each: the oracle. One file of ops/ a family.
//
// They are written to be read and believed, not to be fast. Sums run in one fixed order, nothing is rounded to the graph's dtypes.

#ifndef BL_BACKENDS_REFERENCE_KERNELS_H
#define BL_BACKENDS_REFERENCE_KERNELS_H

#include "graph/graph.h"

typedef struct bl_operands { // what a kernel works on; shapes and attributes are the node's
    const bl_node *node;
    const bl_layout *layout;         // segment tables, for the operators that take whole blocks
    int accumulate;                  // micro steps behind the gradient blocks: optimisers take the mean
    double *inputs[BL_MAX_INPUTS];   // NULL: absent. A writer changes its stored inputs in place
    double *outputs[BL_MAX_OUTPUTS]; // NULL: unwanted
} bl_operands;

typedef void (*bl_kernel)(const bl_operands *operands);

extern const bl_kernel bl_reference_kernels[BL_OP_COUNT];

#define BL_KERNEL(op, name) void bl_reference_##name(const bl_operands *operands);
BL_OPERATORS(BL_KERNEL)
#undef BL_KERNEL

#endif
