// packing.h - weights in the layout and precision that a primitive or a kernel asks for, made from the master when that has changed.

#ifndef BL_BACKENDS_ONEDNN_PACKING_H
#define BL_BACKENDS_ONEDNN_PACKING_H

#include "backends/onednn/onednn.h"

// The buffer of parameters `tensor` (plain layout `plain`) in layout `wanted`.
BL_CHECK int bl_cpu_pack(bl_lowering *plan, const bl_node *node, const bl_tensor *tensor, const_dnnl_memory_desc_t plain,
                         const_dnnl_memory_desc_t wanted, int *buffer);

// The same by an own kernel: `bytes` that `pack` makes for nodes of this operator.
typedef void (*bl_cpu_pack_function)(const bl_lowering *plan, const bl_node *node, const float *master, float *packed);
BL_CHECK int bl_cpu_pack_by(bl_lowering *plan, const bl_node *node, const bl_tensor *tensor, bl_cpu_pack_function pack, size_t bytes,
                            int *buffer);

BL_CHECK int bl_cpu_pack_bind(bl_cpu_plan *plan);  // takes the memory of all that are packed
BL_CHECK int bl_cpu_pack_stale(bl_cpu_plan *plan); // before the micro phase, after what moves in the begin phase
void bl_cpu_pack_free(bl_cpu_plan *plan);

#endif
