#include "backends/cudnn/memory.h"

#include <string.h>

#include "backends/cudnn/constants.h"
#include "backends/cudnn/device.h"
#include "backends/cudnn/weights.h"
#include "backends/lowering/memory.h"
#include "base/memory.h" // bl_alloc

// What a plan may take.
static int find_room(const bl_lowering *plan, bl_room *room) {
    const bl_gpu_backend *backend = bl_gpu_backend_of(plan);
    size_t total;
    const size_t reserve = backend->memory / 100; // for kernels, which CUDA loads when they first run
    *room = (bl_room){backend->name, backend->memory - plan->store->bytes, backend->memory};
    if (!backend->is_described && bl_gpu_cuda(cudaMemGetInfo(&room->free, &total), "asking for the free memory")) return BL_FAILED;
    room->free = room->free > reserve ? room->free - reserve : 0;
    return BL_OK;
}

static int take_staging(bl_lowering *plan) {
    const int count = BL_STAGING_SLOTS * plan->uses.input_count;
    plan->host = bl_alloc((size_t)count * sizeof *plan->host);
    plan->staged = bl_alloc((size_t)count * sizeof *plan->staged);
    if (!plan->host || !plan->staged) return BL_FAILED;
    for (int i = 0; i < count; i++) {
        const size_t bytes = bl_lower_input_bytes(plan, i % plan->uses.input_count);
        if (bl_gpu_cuda(cudaMallocHost((void **)&plan->host[i], bytes), "pinned memory for batches") ||
            bl_gpu_take((void **)&plan->staged[i], bytes))
            return BL_FAILED;
        memset(plan->host[i], 0, bytes);
    }
    return BL_OK;
}

static int take_arena(bl_lowering *plan) {
    // On the steps' stream: theirs does not wait for the default one, on which cudaMemset returns before it is done.
    return bl_gpu_take(&plan->arena, plan->arena_bytes) ||
           bl_gpu_cuda(cudaMemsetAsync(plan->arena, 0, plan->arena_bytes, bl_gpu_stream(plan)), "clearing the arena");
}

int bl_gpu_bind(bl_gpu_plan *plan, const bl_compile_options *options) {
    bl_lowering *lowering = &plan->lowering;
    bl_room room;
    lowering->packed_bytes = bl_gpu_weights_bytes(plan) + bl_gpu_constants_bytes(plan);
    if (bl_lower_place(lowering) || find_room(lowering, &room) || bl_lower_check_room(lowering, &room, options)) return BL_FAILED;
    if (lowering->is_described || options->only_report) return BL_OK;
    if (take_arena(lowering) || take_staging(lowering) || bl_gpu_weights_bind(plan) || bl_gpu_constants_bind(plan)) return BL_FAILED;
    bl_lower_bind(lowering);
    return BL_OK;
}

void bl_gpu_unbind(bl_gpu_plan *plan) {
    bl_lowering *lowering = &plan->lowering;
    for (int i = 0; lowering->staged && i < BL_STAGING_SLOTS * lowering->uses.input_count; i++) {
        if (lowering->host[i]) cudaFreeHost(lowering->host[i]);
        if (lowering->staged[i]) cudaFree(lowering->staged[i]);
    }
    bl_free(lowering->host);
    bl_free(lowering->staged);
    if (lowering->arena) cudaFree(lowering->arena);
    bl_gpu_weights_free(plan);
    bl_gpu_constants_free(plan);
}
