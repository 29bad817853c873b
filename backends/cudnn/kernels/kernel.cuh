// kernel.cuh - what every kernel file of this backend is written with.
//
// Kernels are kept to what both nvcc and a host compiler understand (tests/stand_in runs them on the CPU): threadIdx, blockIdx,
// blockDim, gridDim, static __shared__ arrays, __syncthreads, integer atomics, C arithmetic; no warp intrinsics, no dynamic shared
// memory, no float atomics. bf16 is its 16 bits. Sums run in a fixed order: the bits do not depend on scheduling, and no launch on the
// number of multiprocessors. Grids have one dimension; a kernel's arguments are values, as a launch only queues it.

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

// Blocks of BL_THREADS for so many threads; one at least, as an empty grid is an error.
static inline unsigned bl_blocks(int64_t threads) {
    return threads > BL_THREADS ? (unsigned)((threads + BL_THREADS - 1) / BL_THREADS) : 1;
}

__device__ static inline int64_t bl_thread() {
    return (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
}

// ---- bf16 ----

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

// ---- several values at once ----

// n values that one access moves, at an address that is a multiple of its size (16 bytes at most).
template <typename T, int n> struct alignas(n * sizeof(T)) bl_vector {
    T at[n];
};

template <typename T> constexpr int bl_width = 16 / sizeof(T); // of the widest vector

template <int n, typename T> __device__ static inline bl_vector<T, n> bl_load_vector(const T *data) {
    return *(const bl_vector<T, n> *)data;
}

template <typename T, int n> __device__ static inline void bl_store_vector(T *data, const bl_vector<T, n> &vector) {
    *(bl_vector<T, n> *)data = vector;
}

// ---- sums over a block of BL_THREADS ----

// Each of n values over all threads: every thread gets the sums. In two strides, as each waiting of a block costs more than a few
// additions: first BL_LANES sums of every BL_LANES-th thread, then their sum. `shared`: n x BL_THREADS, free again afterwards.
#define BL_LANES 16

template <int n> __device__ static inline void bl_block_sums(double (&values)[n], double *shared) {
    const int thread = (int)threadIdx.x;
    for (int k = 0; k < n; k++) shared[k * BL_THREADS + thread] = values[k];
    __syncthreads();
    if (thread < n * BL_LANES) {
        double *lane = shared + thread / BL_LANES * BL_THREADS + thread % BL_LANES, sum = 0;
        for (int i = 0; i < BL_THREADS; i += BL_LANES) sum += lane[i];
        lane[0] = sum; // no other lane's
    }
    __syncthreads();
    for (int k = 0; k < n; k++) {
        values[k] = 0;
        for (int i = 0; i < BL_LANES; i++) values[k] += shared[k * BL_THREADS + i];
    }
    __syncthreads();
}

// The sum of an array, by one block.
__device__ static inline double bl_block_total(const double *values, int64_t count, double *shared) {
    double sum[1] = {0};
    for (int64_t i = threadIdx.x; i < count; i += BL_THREADS) sum[0] += values[i];
    bl_block_sums(sum, shared);
    return sum[0];
}

#endif
