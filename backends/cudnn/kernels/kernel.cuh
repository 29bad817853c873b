// kernel.cuh - what every kernel file of this backend is written with.
//
// Kernels are kept to what both nvcc and a host compiler understand (tests/stand_in runs them on the CPU): threadIdx, blockIdx,
// blockDim, gridDim, static __shared__ arrays, __syncthreads, integer atomics, C arithmetic; no warp intrinsics, no dynamic shared
// memory, no float atomics. bf16 is its 16 bits. Sums run in a fixed order: the bits do not depend on scheduling.

#ifndef BL_BACKENDS_CUDNN_KERNEL_CUH
#define BL_BACKENDS_CUDNN_KERNEL_CUH

#include <stdint.h>
#include <string.h>

// BL_LAUNCH: threads that do not wait for each other. BL_LAUNCH_BLOCKS: kernels with __syncthreads.
#ifdef __CUDACC__
#define BL_LAUNCH(kernel, blocks, threads, stream, ...) kernel<<<(blocks), (threads), 0, (stream)>>>(__VA_ARGS__)
#define BL_LAUNCH_BLOCKS BL_LAUNCH
#endif

#define BL_THREADS 256

__device__ static inline float bl_widened(uint16_t half) {
    const uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// To nearest, ties to even; a NaN stays one.
__device__ static inline uint16_t bl_narrowed(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// One value of either type.
__device__ static inline float bl_load(const float *data, int64_t i) { return data[i]; }
__device__ static inline float bl_load(const uint16_t *data, int64_t i) { return bl_widened(data[i]); }
__device__ static inline void bl_store_value(float *data, int64_t i, float value) { data[i] = value; }
__device__ static inline void bl_store_value(uint16_t *data, int64_t i, float value) { data[i] = bl_narrowed(value); }

#endif
