// weights.h - parameters as layers want them, made from the master when that has changed.

#ifndef BL_BACKENDS_CUDNN_WEIGHTS_H
#define BL_BACKENDS_CUDNN_WEIGHTS_H

#include "backends/cudnn/gpu.h"

// In the precision of the node, rows of `from` values padded to `to`.
BL_CHECK int bl_gpu_weights(bl_lowering *plan, const bl_tensor *tensor, bool is_half, int from, int to, int *buffer);
size_t bl_gpu_weights_bytes(const bl_gpu_plan *plan);
BL_CHECK int bl_gpu_weights_bind(bl_gpu_plan *plan);
BL_CHECK int bl_gpu_weights_refresh(bl_gpu_plan *plan); // before the micro phase, after what moves in the begin phase
void bl_gpu_weights_free(bl_gpu_plan *plan);

#endif
