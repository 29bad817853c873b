// Addresses: the arena by lifetimes, staging, packed weights and tables; or the refusal that says what would fit.

#include <limits.h>
#include <string.h>

#include "backends/cudnn/gpu.h"
#include "backends/planner.h"
#include "backends/room.h"
#include "base/memory.h" // bl_alloc

// Offsets of the arena's buffers, as bl_item.offset in `items`.
static int plan_arena(bl_gpu_plan *plan, bl_item *items) {
    for (int i = 0; i < plan->buffer_count; i++) items[i] = (bl_item){.first = INT_MAX, .last = -1};
    for (int s = 0; s < plan->step_count; s++)
        for (int k = 0; k < BL_GPU_BUFFERS; k++) {
            const int buffer = plan->steps[s].buffers[k];
            if (buffer < 0 || !plan->buffers[buffer].in_arena) continue;
            if (items[buffer].last < 0) items[buffer].first = s;
            items[buffer].last = plan->buffers[buffer].kept ? INT_MAX : s;
            items[buffer].bytes = plan->buffers[buffer].bytes;
        }
    for (int i = 0; i < plan->buffer_count; i++)
        if (items[i].last < 0) items[i].first = items[i].last = 0; // no step touches it: no bytes
    return bl_plan_memory(items, plan->buffer_count, &plan->arena_bytes);
}

static size_t input_bytes(const bl_gpu_plan *plan, int input) {
    return (size_t)bl_shape_count(&plan->uses.inputs[input]->shape) * sizeof(float);
}

static void count_the_rest(bl_gpu_plan *plan) {
    for (int i = 0; i < plan->uses.input_count; i++) plan->staging_bytes += BL_STAGING_SLOTS * input_bytes(plan, i);
    for (int i = 0; i < plan->packed_count; i++) plan->packed_bytes += plan->packed[i].bytes;
    for (int i = 0; i < plan->constant_count; i++) plan->packed_bytes += plan->constants[i].bytes;
}

// What a plan may take.
static int find_room(const bl_gpu_plan *plan, bl_room *room) {
    size_t total;
    const size_t reserve = plan->backend->memory / 100; // for kernels, which CUDA loads when they first run
    *room = (bl_room){plan->backend->name, plan->backend->memory - plan->store->bytes, plan->backend->memory};
    if (!plan->backend->is_described && bl_gpu_cuda(cudaMemGetInfo(&room->free, &total), "asking for the free memory")) return BL_FAILED;
    room->free = room->free > reserve ? room->free - reserve : 0;
    return BL_OK;
}

static int check_room(bl_gpu_plan *plan, const bl_compile_options *options) {
    bl_room room;
    if (find_room(plan, &room)) return BL_FAILED;
    plan->free_bytes = room.free;
    return bl_room_check(&room, &(bl_need){plan->arena_bytes, plan->staging_bytes, plan->packed_bytes, plan->accumulate,
                                            options->batch, options->batch_key, options->accumulate_key});
}

static int take(void **data, size_t bytes) {
    return bl_gpu_cuda(cudaMalloc(data, bytes ? bytes : 1), "memory of a plan");
}

static int take_staging(bl_gpu_plan *plan) {
    const int count = BL_STAGING_SLOTS * plan->uses.input_count;
    plan->host = bl_alloc((size_t)count * sizeof *plan->host);
    plan->staging = bl_alloc((size_t)count * sizeof *plan->staging);
    if (!plan->host || !plan->staging) return BL_FAILED;
    for (int i = 0; i < count; i++) {
        const size_t bytes = input_bytes(plan, i % plan->uses.input_count);
        if (bl_gpu_cuda(cudaMallocHost((void **)&plan->host[i], bytes), "pinned memory for batches") || take((void **)&plan->staging[i], bytes))
            return BL_FAILED;
        memset(plan->host[i], 0, bytes);
    }
    return BL_OK;
}

static int take_tables(bl_gpu_plan *plan) {
    for (int i = 0; i < plan->packed_count; i++)
        if (take(&plan->packed[i].data, plan->packed[i].bytes)) return BL_FAILED;
    for (int i = 0; i < plan->constant_count; i++) {
        const bl_gpu_constant *constant = &plan->constants[i];
        void **data = &plan->buffers[constant->buffer].data;
        if (take(data, constant->bytes) || bl_gpu_upload(plan->backend, *data, constant->data, constant->bytes)) return BL_FAILED;
    }
    return bl_gpu_cuda(cudaStreamSynchronize(NULL), "uploading tables"); // such a copy may outlast its call
}

int bl_gpu_bind(bl_gpu_plan *plan, const bl_compile_options *options) {
    bl_item *items = bl_alloc((size_t)plan->buffer_count * sizeof *items);
    int status = BL_FAILED;
    if (!items || plan_arena(plan, items)) goto done;
    count_the_rest(plan);
    if (check_room(plan, options)) goto done;
    status = BL_OK;
    if (plan->backend->is_described || options->only_report) goto done;
    status = BL_FAILED;
    // On the steps' stream: theirs does not wait for the default one, on which cudaMemset returns before it is done.
    if (take(&plan->arena, plan->arena_bytes) ||
        bl_gpu_cuda(cudaMemsetAsync(plan->arena, 0, plan->arena_bytes, plan->backend->stream), "clearing the arena") ||
        take_staging(plan) || take_tables(plan))
        goto done;
    for (int i = 0; i < plan->buffer_count; i++) {
        bl_gpu_buffer *buffer = &plan->buffers[i];
        if (buffer->in_arena) buffer->data = (unsigned char *)plan->arena + items[i].offset;
        if (buffer->packed >= 0) buffer->data = (unsigned char *)plan->packed[buffer->packed].data + buffer->offset;
    }
    status = BL_OK;
done:
    bl_free(items);
    return status;
}

void bl_gpu_unbind(bl_gpu_plan *plan) {
    for (int i = 0; plan->staging && i < BL_STAGING_SLOTS * plan->uses.input_count; i++) {
        if (plan->host[i]) cudaFreeHost(plan->host[i]);
        if (plan->staging[i]) cudaFree(plan->staging[i]);
    }
    for (int i = 0; i < plan->packed_count; i++)
        if (plan->packed[i].data) cudaFree(plan->packed[i].data);
    for (int i = 0; i < plan->constant_count; i++) {
        if (plan->buffers[plan->constants[i].buffer].data) cudaFree(plan->buffers[plan->constants[i].buffer].data);
        bl_free(plan->constants[i].data);
    }
    if (plan->arena) cudaFree(plan->arena);
    bl_free(plan->host);
    bl_free(plan->staging);
    bl_free(plan->packed);
    bl_free(plan->constants);
}
