// watch.h - kernels: what the host reads after each step, brought together.
//
// See kernels/launch.h for what holds for all.

#ifndef BL_BACKENDS_CUDNN_KERNELS_WATCH_H
#define BL_BACKENDS_CUDNN_KERNELS_WATCH_H

#include "backends/cudnn/kernels/launch.h"

BL_KERNELS_BEGIN

#define BL_GPU_WATCHED 5 // at most: the watched scalars of a plan, and FINITE
// out[i] = *sources[i], for what the host reads after each step (sources: host array of device pointers, copied into the launch).
void bl_gpu_collect(cudaStream_t stream, const float *const *sources, int count, float *out);

BL_KERNELS_END

#endif
