// engine_step.h - a pattern's engine as a step of a plan.

#ifndef BL_BACKENDS_CUDNN_ENGINE_STEP_H
#define BL_BACKENDS_CUDNN_ENGINE_STEP_H

#include "backends/cudnn/gpu.h"

// buffers[i] and the byte offset offsets[i] (NULL: 0) are tensor i's memory; virtual and by-value tensors have -1. Adds the workspace and
// names the implementation.
BL_CHECK int bl_gpu_pattern_step(bl_lowering *plan, const bl_node *node, const bl_gpu_pattern *pattern, const int *buffers,
                                 const size_t *offsets);

#endif
