// constants.h - tables that kernels read: made on the host with the plan, uploaded when it is bound.

#ifndef BL_BACKENDS_CUDNN_CONSTANTS_H
#define BL_BACKENDS_CUDNN_CONSTANTS_H

#include "backends/cudnn/gpu.h"

BL_CHECK int bl_gpu_constant_add(bl_lowering *plan, const void *data, size_t bytes, int *buffer); // copied
size_t bl_gpu_constants_bytes(const bl_gpu_plan *plan);
BL_CHECK int bl_gpu_constants_bind(bl_gpu_plan *plan);
void bl_gpu_constants_free(bl_gpu_plan *plan);

#endif
