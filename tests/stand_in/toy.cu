#include "toy.h"

#include "backends/cudnn/kernels/kernel.cuh"

template <class T> __global__ static void add_value(T *values, T value, int count) {
    const int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < count) values[i] += value;
}

extern "C" void toy_add(cudaStream_t stream, float *values, float value, int count) {
    BL_LAUNCH(add_value<float>, (count + 63) / 64, 64, stream, values, value, count);
}

__global__ static void block_sums(const float *values, float *sums, int *largest) {
    __shared__ float shared[BL_THREADS];
    const unsigned t = threadIdx.x;
    shared[t] = values[blockIdx.x * BL_THREADS + t];
    for (unsigned half = BL_THREADS / 2; half; half /= 2) {
        __syncthreads();
        if (t < half) shared[t] += shared[t + half];
    }
    if (t) return;
    sums[blockIdx.x] = shared[0];
    atomicMax(largest, (int)blockIdx.x);
}

extern "C" void toy_block_sums(cudaStream_t stream, const float *values, int blocks, float *sums, int *largest) {
    BL_LAUNCH_BLOCKS(block_sums, blocks, BL_THREADS, stream, values, sums, largest);
}

__global__ static void torn_barrier(float *values) {
    if (threadIdx.x % 2) return;
    __syncthreads();
    values[0] = 1;
}

extern "C" void toy_torn_barrier(cudaStream_t stream, float *values) { BL_LAUNCH_BLOCKS(torn_barrier, 1, 32, stream, values); }
extern "C" void toy_too_many_threads(cudaStream_t stream, float *values) { BL_LAUNCH(add_value<float>, 1, 2048, stream, values, 1.f, 1); }
