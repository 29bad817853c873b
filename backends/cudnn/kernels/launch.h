// launch.h - what holds for every kernel of this backend's own: what cuDNN has not, or what is not worth an engine.
//
// A launcher each, in the .cu of the header's name. All pointers are of the device unless said; every call only queues work on `stream`.
// Activations are f32 or bf16 (`is_half`), sums and statistics f32 or f64, in a fixed order: the same inputs give the same bits.

#ifndef BL_BACKENDS_CUDNN_KERNELS_LAUNCH_H
#define BL_BACKENDS_CUDNN_KERNELS_LAUNCH_H

#include <cuda_runtime_api.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus // kernels are C++, what calls them is C
#define BL_KERNELS_BEGIN extern "C" {
#define BL_KERNELS_END }
#else
#define BL_KERNELS_BEGIN
#define BL_KERNELS_END
#endif

#endif
