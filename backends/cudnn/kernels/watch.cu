// What the host reads after each step, brought together.

#include "backends/cudnn/kernels/watch.h"
#include "backends/cudnn/kernels/kernel.cuh"

struct watched {
    const float *sources[BL_GPU_WATCHED];
};

__global__ void collect(watched of, int count, float *out) {
    for (int i = 0; i < BL_GPU_WATCHED; i++) // all of them: constant indices stay in registers
        if (i < count) out[i] = *of.sources[i];
}

void bl_gpu_collect(cudaStream_t stream, const float *const *sources, int count, float *out) {
    watched of = {};
    for (int i = 0; i < count; i++) of.sources[i] = sources[i];
    BL_LAUNCH(collect, 1, 1, stream, of, count, out);
}
