// cross_entropy.h - kernels: cross-entropy, its gradient, and the largest of a row.
//
// See kernels/launch.h for what holds for all. Meanings: the operators' files in harness/graph/ops/.

#ifndef BL_BACKENDS_CUDNN_KERNELS_CROSS_ENTROPY_H
#define BL_BACKENDS_CUDNN_KERNELS_CROSS_ENTROPY_H

#include "backends/cudnn/kernels/launch.h"

BL_KERNELS_BEGIN

// `parts`: 3 N doubles of workspace. loss, correct: NULL where unwanted.
void bl_gpu_cross_entropy(cudaStream_t stream, const void *logits, const float *labels, bool is_half, int64_t rows, int64_t classes,
                          double *parts, float *loss, float *correct);
// `counted`: 3 N doubles of workspace: the first becomes the number of labelled rows.
void bl_gpu_cross_entropy_backward(cudaStream_t stream, const void *logits, const float *labels, bool is_half, int64_t rows, int64_t classes,
                                   double *counted, void *dlogits);
void bl_gpu_argmax(cudaStream_t stream, const void *x, bool is_half, int64_t rows, int64_t classes, float *places);

BL_KERNELS_END

#endif
