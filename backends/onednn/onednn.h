// onednn.h - what the files of this backend share: the backend and its plans. A plan is a lowered one (backends/lowering), run step by step
// by all threads.
//
// Own kernels are deterministic for a given thread count: a share is the same rows every time, whoever does it (team.h), and partial
// sums are combined in the order of the shares. Statistics are summed in f32 over short blocks of rows and in f64 over the blocks.

#ifndef BL_BACKENDS_ONEDNN_ONEDNN_H
#define BL_BACKENDS_ONEDNN_ONEDNN_H

#include "backends/lowering/lowering.h"
#include "backends/onednn/strips.h"
#include "backends/onednn/team.h"
#include "oneapi/dnnl/dnnl.h"

typedef struct bl_cpu_backend {
    bl_backend base;
    int threads;
    bl_cpu_team *team;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_attr_t attributes; // scratchpads are the plan's
} bl_cpu_backend;

typedef struct bl_cpu_packed bl_cpu_packed; // packing.c

typedef struct bl_cpu_plan {
    bl_lowering lowering;
    bl_strips *strips;       // per tensor: how its images lie
    bl_cpu_packed *packed;
    int packed_count, packed_capacity;
    bl_cpu_waits waits;      // while it was timed
} bl_cpu_plan;

// What touches less than this is done by one thread: a region takes as long to begin and end, a few microseconds.
#define BL_CPU_SMALL_BYTES ((size_t)64 << 10)

static inline bl_cpu_plan *bl_cpu_plan_of(bl_lowering *plan) {
    return (bl_cpu_plan *)plan;
}

static inline const bl_cpu_backend *bl_cpu_backend_of(const bl_lowering *plan) {
    return (const bl_cpu_backend *)plan->base.backend;
}

static inline int bl_cpu_threads(const bl_lowering *plan) {
    return bl_cpu_backend_of(plan)->threads;
}

static inline const bl_strips *bl_cpu_strips(const bl_lowering *plan) {
    return ((const bl_cpu_plan *)plan)->strips;
}

static inline bl_lines bl_cpu_lines(const bl_lowering *plan, const bl_tensor *tensor) {
    return bl_lines_of(&bl_cpu_strips(plan)[tensor->id], tensor);
}

#endif
