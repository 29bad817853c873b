// update.h - kernels: the update phase: running averages, what is finite, optimisers, moving averages.
//
// See kernels/launch.h for what holds for all. Meanings: the operators' files in harness/graph/ops/.

#ifndef BL_BACKENDS_CUDNN_KERNELS_UPDATE_H
#define BL_BACKENDS_CUDNN_KERNELS_UPDATE_H

#include "backends/cudnn/kernels/launch.h"

BL_KERNELS_BEGIN

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

BL_KERNELS_END

#endif
