// loss.h - kernels: BYOL's loss, its gradient, and the projection's spread.
//
// See kernels/launch.h for what holds for all. Meanings: the operators' files in harness/graph/ops/.

#ifndef BL_BACKENDS_CUDNN_KERNELS_LOSS_H
#define BL_BACKENDS_CUDNN_KERNELS_LOSS_H

#include "backends/cudnn/kernels/launch.h"

BL_KERNELS_BEGIN

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

BL_KERNELS_END

#endif
