// memory.h - addresses of a plan on the device; or the refusal that says what would fit.

#ifndef BL_BACKENDS_CUDNN_MEMORY_H
#define BL_BACKENDS_CUDNN_MEMORY_H

#include "backends/cudnn/gpu.h"

BL_CHECK int bl_gpu_bind(bl_gpu_plan *plan, const bl_compile_options *options);
void bl_gpu_unbind(bl_gpu_plan *plan);

#endif
