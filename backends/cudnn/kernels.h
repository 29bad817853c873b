// kernels.h - this backend's own kernels: what cuDNN has not, or what is not worth an engine. One launcher each, in kernels/*.cu.
//
// All pointers are of the device unless said; every call only queues work on `stream`. Activations are f32 or bf16 (`is_half`), sums and
// statistics f32 or f64, in a fixed order: the same inputs give the same bits. Meanings: the operators' files in harness/graph/ops/.

#ifndef BL_BACKENDS_CUDNN_KERNELS_H
#define BL_BACKENDS_CUDNN_KERNELS_H

#include <cuda_runtime_api.h>
#include <stdbool.h>
#include <stdint.h>

#include "backends/resize.h" // tables of bilinear resizing

#ifdef __cplusplus
extern "C" {
#endif

// ---- kernels/pointwise.cu ----
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

// ---- kernels/loss.cu ----
typedef struct bl_gpu_loss { // of a BYOL_LOSS node
    int64_t rows, features, view_rows; // N, D, B
    int64_t compared;                  // rows of p that are compared: N, or B with one direction
    bool crossed;                      // row i of p has row (i + B) mod N of z; row i otherwise
    bool centers, normalizes;          // each row: minus its mean; then divided by its norm
    float weight, constant;            // loss = weight x sum of distances / B + constant
} bl_gpu_loss;
// `distances`: N doubles of workspace.
void bl_gpu_byol_loss(cudaStream_t stream, const bl_gpu_loss *of, const void *p, const void *z, bool is_half, double *distances, float *loss);
// dp, dz: NULL where unwanted; all N rows are written.
void bl_gpu_byol_loss_backward(cudaStream_t stream, const bl_gpu_loss *of, const void *p, const void *z, bool is_half, void *dp, void *dz);
// `norms`: N doubles, `variances`: views x D doubles of workspace.
void bl_gpu_projection_std(cudaStream_t stream, const void *z, bool is_half, int64_t rows, int64_t features, int64_t view_rows,
                           double *norms, double *variances, float *std);

// ---- kernels/cross_entropy.cu ----
// `parts`: 3 N doubles of workspace. loss, correct: NULL where unwanted.
void bl_gpu_cross_entropy(cudaStream_t stream, const void *logits, const float *labels, bool is_half, int64_t rows, int64_t classes,
                          double *parts, float *loss, float *correct);
// `counted`: 3 N doubles of workspace: the first becomes the number of labelled rows.
void bl_gpu_cross_entropy_backward(cudaStream_t stream, const void *logits, const float *labels, bool is_half, int64_t rows, int64_t classes,
                                   double *counted, void *dlogits);
void bl_gpu_argmax(cudaStream_t stream, const void *x, bool is_half, int64_t rows, int64_t classes, float *places);

// ---- kernels/resize.cu ----
typedef struct bl_gpu_resizing { // host struct, passed by value; the tables lie on the device: of the rows, then of the columns
    int64_t images;
    int height, width, out_height, out_width, channels;
    const bl_resize_tap *taps;
    const bl_resize_reach *reaches;
} bl_gpu_resizing;
void bl_gpu_resize(cudaStream_t stream, const bl_gpu_resizing *of, const void *x, bool is_half, void *y);
void bl_gpu_resize_backward(cudaStream_t stream, const bl_gpu_resizing *of, const void *dy, bool is_half, void *dx);

// ---- kernels/update.cu ----
// running = (1 - momentum) running + momentum new, a group after the other; the variance made unbiased by `unbiased` = n / (n - 1).
void bl_gpu_running_average(cudaStream_t stream, const float *mean, const float *variance, int groups, int64_t channels, double momentum,
                            double unbiased, float *running_mean, float *running_variance);
// *finite becomes 0 where a value is not finite. Called for the loss and each block.
void bl_gpu_check_finite(cudaStream_t stream, const float *values, int64_t count, float *finite);
void bl_gpu_ema(cudaStream_t stream, float *target, const float *online, int64_t count, const float *tau, const float *finite);

// A block of parameters cut into pieces of one segment each, at most BL_GPU_PIECE values: what one block of threads works on. The table
// is made on the host (update.c) and lies on the device.
#define BL_GPU_PIECE 4096
typedef struct bl_gpu_piece {
    int64_t offset;        // in the block
    int count, segment;
} bl_gpu_piece;
typedef struct bl_gpu_segment {
    double lr_scale;
    float decay;           // weight decay; 0 where the segment does not decay
    int adapts, is_frozen; // LARS; no optimiser moves it
    int first_piece, pieces;
} bl_gpu_segment;

typedef struct bl_gpu_update { // host struct, passed by value
    const bl_gpu_piece *pieces;
    const bl_gpu_segment *segments;
    int piece_count, segment_count;
    float *parameters, *gradients, *moment1, *moment2;
    const float *learning_rate, *step, *finite; // scalars of the store
    float share;           // 1 / micro steps: the block holds a sum, the optimiser takes the mean
    bool clears;           // the gradient, for the next micro step to add to
    // bl_attributes
    double momentum, beta1, beta2, epsilon, eta;
    bool nesterov, clip, decay_apart;
} bl_gpu_update;
void bl_gpu_sgd(cudaStream_t stream, const bl_gpu_update *update);
void bl_gpu_adam(cudaStream_t stream, const bl_gpu_update *update);
// `sums`: 2 x pieces doubles, `trust`: segments doubles of workspace.
void bl_gpu_lars(cudaStream_t stream, const bl_gpu_update *update, double *sums, double *trust);

// ---- kernels/watch.cu ----
#define BL_GPU_WATCHED 5 // the watched scalars of a plan, and FINITE
// out[i] = *sources[i], for what the host reads after each step (sources: host array of device pointers, copied into the launch).
void bl_gpu_collect(cudaStream_t stream, const float *const *sources, int count, float *out);

#ifdef __cplusplus
}
#endif

#endif
