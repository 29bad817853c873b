// toy.h - kernels small enough to check the stand-in by (toy.cu).

#ifndef BL_STAND_IN_TOY_H
#define BL_STAND_IN_TOY_H

#include <cuda_runtime_api.h>

#ifdef __cplusplus
extern "C" {
#endif

void toy_add(cudaStream_t stream, float *values, float value, int count); // values[i] += value
// sums[b] = the sum of the 256 values of block b, by halving; largest: the index of the last block that ran.
void toy_block_sums(cudaStream_t stream, const float *values, int blocks, float *sums, int *largest);
void toy_torn_barrier(cudaStream_t stream, float *values); // half the threads of the block leave before the barrier
void toy_too_many_threads(cudaStream_t stream, float *values);

#ifdef __cplusplus
}
#endif

#endif
