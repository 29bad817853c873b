// gpu.h - what the files of this backend share: the backend and its plans.
//
// A plan is a lowered one (backends/lowering) whose steps only queue work on the backend's stream. Each combination of phases is captured
// once a staging slot as a CUDA graph and replayed; run eagerly, one step after the other, the same work gives the same bits (replay.h).
//
// A backend may be opened for a device that is only described (module.h): it compiles plans to the end, engines and memory included,
// and owns nothing that could run.

#ifndef BL_BACKENDS_CUDNN_GPU_H
#define BL_BACKENDS_CUDNN_GPU_H

#include <cublas_v2.h>
#include <cuda_runtime_api.h>

#include "backends/cudnn/engine.h"
#include "backends/lowering/lowering.h"

typedef struct bl_gpu_backend {
    bl_backend base;
    bool is_described, is_eager;
    cudnnHandle_t cudnn;
    cublasHandle_t cublas;
    void *cublas_workspace;       // given once: cuBLAS may not allocate while a graph is captured
    cudaStream_t stream, copies;  // what computes; what brings batches, beside it
    bl_gpu_engines *engines;
    char name[256], version[128]; // "NVIDIA H200"; "cuDNN 9.19.0, CUDA 13.0, driver 13.0"
    int major, minor;             // compute capability
    size_t memory;                // bytes of the device in all
} bl_gpu_backend;

typedef struct bl_gpu_packed bl_gpu_packed;     // weights.c
typedef struct bl_gpu_constant bl_gpu_constant; // constants.c
typedef struct bl_gpu_replay bl_gpu_replay;     // replay.c: captured graphs, events and what the host reads after steps

typedef struct bl_gpu_plan {
    bl_lowering lowering;    // `host` is pinned memory of the host, `staged` its image on the device
    bool allows_tf32;
    bl_gpu_packed *packed;
    int packed_count, packed_capacity;
    bl_gpu_constant *constants;
    int constant_count, constant_capacity;
    bl_gpu_replay *replay;
} bl_gpu_plan;

static inline bl_gpu_plan *bl_gpu_plan_of(bl_lowering *plan) {
    return (bl_gpu_plan *)plan;
}

static inline bool bl_gpu_allows_tf32(const bl_lowering *plan) {
    return ((const bl_gpu_plan *)plan)->allows_tf32;
}

static inline const bl_gpu_backend *bl_gpu_backend_of(const bl_lowering *plan) {
    return (const bl_gpu_backend *)plan->base.backend;
}

static inline cudaStream_t bl_gpu_stream(const bl_lowering *plan) {
    return bl_gpu_backend_of(plan)->stream;
}

static inline bool bl_gpu_is_half(const bl_tensor *tensor) {
    return tensor->dtype == BL_BF16;
}

static inline bl_gpu_type bl_gpu_type_of(const bl_tensor *tensor) {
    return bl_gpu_is_half(tensor) ? BL_GPU_BF16 : BL_GPU_F32;
}

#endif
