// pointwise.h - kernels: casts, rows of other lengths, additions and ReLU standing alone, batch norm with known statistics, sums over rows.
//
// See kernels/launch.h for what holds for all. Meanings: the operators' files in harness/graph/ops/.

#ifndef BL_BACKENDS_CUDNN_KERNELS_POINTWISE_H
#define BL_BACKENDS_CUDNN_KERNELS_POINTWISE_H

#include "backends/cudnn/kernels/launch.h"

BL_KERNELS_BEGIN

// rows of `from` values become rows of `to` >= from, zeros at the end, or lose their end where to < from. Either type on each side.
void bl_gpu_resize_rows(cudaStream_t stream, const void *src, bool src_half, int64_t rows, int from, void *dst, bool dst_half, int to);
void bl_gpu_cast(cudaStream_t stream, const void *src, bool src_half, void *dst, bool dst_half, int64_t count);
void bl_gpu_accumulate(cudaStream_t stream, const float *src, float *sum, bool is_first, int64_t count); // sum = src, or += src
void bl_gpu_add(cudaStream_t stream, const void *a, const void *b, void *y, bool is_half, int64_t count);
void bl_gpu_relu(cudaStream_t stream, const void *x, void *y, bool is_half, int64_t count);
void bl_gpu_relu_backward(cudaStream_t stream, const void *y, const void *dy, void *dx, bool is_half, int64_t count); // 0 where y <= 0
// y = gamma (x - mean) / sqrt(variance + epsilon) + beta, then + residual (NULL: none), then ReLU. rows x channels.
void bl_gpu_normalize(cudaStream_t stream, const void *x, const float *gamma, const float *beta, const float *mean, const float *variance,
                      float epsilon, const void *residual, bool relu, void *y, bool is_half, int64_t rows, int channels);
// inverse = 1 / sqrt(variance + epsilon), and back: variance = max(0, 1 / inverse^2 - epsilon).
void bl_gpu_inverse_of_variance(cudaStream_t stream, const float *variance, float epsilon, float *inverse, int64_t count);
void bl_gpu_variance_of_inverse(cudaStream_t stream, const float *inverse, float epsilon, float *variance, int64_t count);
// sum[c] = over g of parts[g, c], in order.
void bl_gpu_sum_groups(cudaStream_t stream, const float *parts, int groups, float *sum, int64_t channels);
// sum[c] over the rows of x [rows, channels]. `partial`: bl_gpu_column_partials(rows) x channels floats of workspace.
int64_t bl_gpu_column_partials(int64_t rows);
void bl_gpu_sum_columns(cudaStream_t stream, const void *x, bool is_half, int64_t rows, int64_t channels, float *partial, float *sum);
void bl_gpu_add_row(cudaStream_t stream, const float *row, float *x, int64_t rows, int64_t channels); // x += row, each of its rows
void bl_gpu_set_scalar(cudaStream_t stream, float *scalar, float value); // the value travels in the launch: nothing to wait for

BL_KERNELS_END

#endif
