// The losses, their gradients and the projection's spread: small, so all sums in f64, a block of threads a row.

#include <math.h>

#include "backends/cudnn/kernels/loss.h"
#include "backends/cudnn/kernels/kernel.cuh"

#define SMALLEST_NORM 1e-8

// ---- BYOL's loss ----

struct compared { // two rows as the normalization leaves them, but for their lengths
    double mean_a, mean_b, norm_a, norm_b, product, apart; // apart: |a - b|^2
};

// A NaN stays one, as fmax would not let it.
__device__ static inline double clamped_norm(double squares) {
    const double norm = sqrt(squares);
    return norm < SMALLEST_NORM ? SMALLEST_NORM : norm;
}

__device__ static inline int64_t partner(const bl_gpu_loss &of, int64_t row) {
    return of.crossed ? (row + of.view_rows) % of.rows : row;
}

template <typename T> __device__ static compared compare(const bl_gpu_loss &of, const T *a, const T *b, double *shared) {
    double means[2] = {0, 0}, sums[4] = {0, 0, 0, 0};
    if (of.centers) {
        for (int64_t i = threadIdx.x; i < of.features; i += BL_THREADS) {
            means[0] += (double)bl_load(a, i);
            means[1] += (double)bl_load(b, i);
        }
        bl_block_sums(means, shared);
        means[0] /= (double)of.features;
        means[1] /= (double)of.features;
    }
    for (int64_t i = threadIdx.x; i < of.features; i += BL_THREADS) {
        const double x = (double)bl_load(a, i) - means[0], y = (double)bl_load(b, i) - means[1];
        sums[0] += x * x;
        sums[1] += y * y;
        sums[2] += x * y;
        sums[3] += (x - y) * (x - y);
    }
    bl_block_sums(sums, shared);
    return {means[0], means[1], clamped_norm(sums[0]), clamped_norm(sums[1]), sums[2], sums[3]};
}

template <typename T> __global__ void find_distances(bl_gpu_loss of, const T *p, const T *z, double *distances) {
    __shared__ double shared[4 * BL_THREADS];
    const int64_t row = blockIdx.x;
    const compared c = compare(of, p + row * of.features, z + partner(of, row) * of.features, shared);
    if (threadIdx.x) return;
    distances[row] = of.normalizes ? 2 - 2 * c.product / (c.norm_a * c.norm_b) : c.apart;
}

__global__ void reduce_distances(bl_gpu_loss of, const double *distances, float *loss) {
    __shared__ double shared[BL_THREADS];
    const double sum = bl_block_total(distances, of.compared, shared);
    if (threadIdx.x == 0) *loss = (float)((double)of.weight * sum / (double)of.view_rows + (double)of.constant);
}

void bl_gpu_byol_loss(cudaStream_t stream, const bl_gpu_loss *loss_of, const void *p, const void *z, bool is_half, double *distances,
                      float *loss) {
    const bl_gpu_loss of = *loss_of;
    const unsigned blocks = (unsigned)of.compared;
    if (is_half)
        BL_LAUNCH_BLOCKS(find_distances<uint16_t>, blocks, BL_THREADS, stream, of, (const uint16_t *)p, (const uint16_t *)z, distances);
    else
        BL_LAUNCH_BLOCKS(find_distances<float>, blocks, BL_THREADS, stream, of, (const float *)p, (const float *)z, distances);
    BL_LAUNCH_BLOCKS(reduce_distances, 1, BL_THREADS, stream, of, distances, loss);
}

// The gradient by a of the loss that a and b have a part in. A clamped norm is a constant: no part along a. Rows of mean 0 have a
// gradient of mean 0, so taking their mean away (layer norm) leaves it as it is.
template <typename T>
__device__ static void write_gradient(const bl_gpu_loss &of, const T *a, const T *b, double mean_a, double mean_b, double norm_a,
                                      double norm_b, double product, T *da) {
    const double scale = -2 * (double)of.weight / (double)of.view_rows;
    double across = scale, along = scale;
    if (of.normalizes) {
        across = scale / (norm_a * norm_b);
        along = norm_a > SMALLEST_NORM ? across * product / (norm_a * norm_a) : 0;
    }
    for (int64_t i = threadIdx.x; i < of.features; i += BL_THREADS) {
        const double x = (double)bl_load(a, i) - mean_a, y = (double)bl_load(b, i) - mean_b;
        bl_store_value(da, i, (float)(of.normalizes ? across * y - along * x : scale * (y - x)));
    }
}

template <typename T> __device__ static void write_zeros(T *values, int64_t count) {
    for (int64_t i = threadIdx.x; i < count; i += BL_THREADS) bl_store_value(values, i, 0);
}

// A block a row of p, and of its partner of z: each has one.
template <typename T> __global__ void loss_backward(bl_gpu_loss of, const T *p, const T *z, T *dp, T *dz) {
    __shared__ double shared[4 * BL_THREADS];
    const int64_t row = blockIdx.x, from_p = row * of.features, from_z = partner(of, row) * of.features;
    if (row >= of.compared) {
        if (dp) write_zeros(dp + from_p, of.features);
        if (dz) write_zeros(dz + from_z, of.features);
        return;
    }
    const compared c = compare(of, p + from_p, z + from_z, shared);
    if (dp) write_gradient(of, p + from_p, z + from_z, c.mean_a, c.mean_b, c.norm_a, c.norm_b, c.product, dp + from_p);
    if (dz) write_gradient(of, z + from_z, p + from_p, c.mean_b, c.mean_a, c.norm_b, c.norm_a, c.product, dz + from_z);
}

void bl_gpu_byol_loss_backward(cudaStream_t stream, const bl_gpu_loss *loss_of, const void *p, const void *z, bool is_half, void *dp,
                               void *dz) {
    const bl_gpu_loss of = *loss_of;
    const unsigned blocks = (unsigned)of.rows;
    if (is_half)
        BL_LAUNCH_BLOCKS(loss_backward<uint16_t>, blocks, BL_THREADS, stream, of, (const uint16_t *)p, (const uint16_t *)z,
                         (uint16_t *)dp, (uint16_t *)dz);
    else
        BL_LAUNCH_BLOCKS(loss_backward<float>, blocks, BL_THREADS, stream, of, (const float *)p, (const float *)z, (float *)dp,
                         (float *)dz);
}

// ---- the projection's spread ----

template <typename T> __global__ void find_norms(const T *z, int64_t features, double *norms) {
    __shared__ double shared[BL_THREADS];
    const T *row = z + (int64_t)blockIdx.x * features;
    double squares[1] = {0};
    for (int64_t i = threadIdx.x; i < features; i += BL_THREADS) squares[0] += (double)bl_load(row, i) * (double)bl_load(row, i);
    bl_block_sums(squares, shared);
    if (threadIdx.x == 0) norms[blockIdx.x] = clamped_norm(squares[0]);
}

// A block takes so many channels of a view, and its other threads shares of the view's rows.
#define SPREAD_CHANNELS 32
#define SPREAD_SHARES (BL_THREADS / SPREAD_CHANNELS)

// Of the threads of this one's channel, in the order of their shares.
__device__ static double channel_sum(double value, double *shared) {
    shared[threadIdx.x] = value;
    __syncthreads();
    double sum = 0;
    for (int share = 0; share < SPREAD_SHARES; share++) sum += shared[share * SPREAD_CHANNELS + threadIdx.x % SPREAD_CHANNELS];
    __syncthreads();
    return sum;
}

template <typename T>
__global__ void find_variances(const T *z, const double *norms, int64_t features, int64_t view_rows, double *variances) {
    __shared__ double shared[BL_THREADS];
    const int64_t tiles = (features + SPREAD_CHANNELS - 1) / SPREAD_CHANNELS, view = blockIdx.x / tiles;
    const int64_t channel = blockIdx.x % tiles * SPREAD_CHANNELS + threadIdx.x % SPREAD_CHANNELS;
    const int64_t share = threadIdx.x / SPREAD_CHANNELS, begin = view * view_rows + share, end = (view + 1) * view_rows;
    const bool counts = channel < features;
    double sum = 0, squares = 0;
    for (int64_t row = begin; counts && row < end; row += SPREAD_SHARES) sum += (double)bl_load(z, row * features + channel) / norms[row];
    const double mean = channel_sum(sum, shared) / (double)view_rows;
    for (int64_t row = begin; counts && row < end; row += SPREAD_SHARES) {
        const double away = (double)bl_load(z, row * features + channel) / norms[row] - mean;
        squares += away * away;
    }
    const double variance = channel_sum(squares, shared) / (double)view_rows;
    if (counts && share == 0) variances[view * features + channel] = variance;
}

// sqrt(D) times the root of the mean over views and D channels.
__global__ void reduce_variances(const double *variances, int64_t count, int64_t views, float *std) {
    __shared__ double shared[BL_THREADS];
    const double sum = bl_block_total(variances, count, shared);
    if (threadIdx.x == 0) *std = (float)sqrt(sum / (double)views);
}

template <typename T>
static void spread_of(cudaStream_t stream, const T *z, int64_t rows, int64_t features, int64_t view_rows, double *norms,
                      double *variances) {
    const int64_t tiles = (features + SPREAD_CHANNELS - 1) / SPREAD_CHANNELS;
    BL_LAUNCH_BLOCKS(find_norms<T>, (unsigned)rows, BL_THREADS, stream, z, features, norms);
    BL_LAUNCH_BLOCKS(find_variances<T>, (unsigned)(rows / view_rows * tiles), BL_THREADS, stream, z, norms, features, view_rows, variances);
}

void bl_gpu_projection_std(cudaStream_t stream, const void *z, bool is_half, int64_t rows, int64_t features, int64_t view_rows,
                           double *norms, double *variances, float *std) {
    const int64_t views = rows / view_rows, count = views * features;
    if (is_half)
        spread_of(stream, (const uint16_t *)z, rows, features, view_rows, norms, variances);
    else
        spread_of(stream, (const float *)z, rows, features, view_rows, norms, variances);
    BL_LAUNCH_BLOCKS(reduce_variances, 1, BL_THREADS, stream, variances, count, views, std);
}
