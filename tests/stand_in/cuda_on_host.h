// cuda_on_host.h - included before a .cu file that is compiled as C++: its kernels become functions that the stand-in runs.

#ifndef BL_STAND_IN_CUDA_ON_HOST_H
#define BL_STAND_IN_CUDA_ON_HOST_H

#include <algorithm>
#include <cuda_runtime_api.h>
#include <math.h>

#include "blocks.h"

#undef __global__
#undef __device__
#undef __host__
#undef __shared__
#undef __constant__
#undef __launch_bounds__
#undef __forceinline__
#define __global__
#define __device__
#define __host__
#define __shared__ static // blocks run one after the other, so one is enough
#define __constant__ static
#define __launch_bounds__(...)
#define __forceinline__ inline

#define threadIdx stand_in_thread
#define blockIdx stand_in_block
#define blockDim stand_in_block_size
#define gridDim stand_in_grid_size
#define __syncthreads stand_in_barrier

using std::max;
using std::min;

static inline float rsqrtf(float x) { return 1 / sqrtf(x); }

// One thread runs at a time: an atomic is what it does, no more.
static inline int atomicAdd(int *at, int value) { return (*at += value) - value; }
static inline unsigned atomicAdd(unsigned *at, unsigned value) { return (*at += value) - value; }

template <class Integer> static Integer stand_in_exchange(Integer *at, Integer value) {
    const Integer before = *at;
    *at = value;
    return before;
}
static inline int atomicExch(int *at, int value) { return stand_in_exchange(at, value); }
static inline unsigned atomicExch(unsigned *at, unsigned value) { return stand_in_exchange(at, value); }
static inline int atomicMax(int *at, int value) { return stand_in_exchange(at, max(*at, value)); }
static inline unsigned atomicMax(unsigned *at, unsigned value) { return stand_in_exchange(at, max(*at, value)); }

// The arguments are evaluated now and copied, as a launch does; the kernel runs when the stream does.
template <class Kernel, class... Arguments>
static void stand_in_launch(bool waits, dim3 blocks, dim3 threads, cudaStream_t stream, Kernel kernel, Arguments... arguments) {
    stand_in_launch_blocks(stream, blocks, threads, waits, [=] { kernel(arguments...); });
}

#define STAND_IN_LAUNCH(waits, kernel, blocks, threads, stream, ...) \
    stand_in_launch(waits, dim3(blocks), dim3(threads), stream, [](auto... launched_with) { kernel(launched_with...); }, __VA_ARGS__)
#define BL_LAUNCH(...) STAND_IN_LAUNCH(false, __VA_ARGS__)
#define BL_LAUNCH_BLOCKS(...) STAND_IN_LAUNCH(true, __VA_ARGS__)

#endif
