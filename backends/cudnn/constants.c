#include "backends/cudnn/constants.h"

#include <string.h>

#include "backends/cudnn/device.h"
#include "base/memory.h" // bl_alloc

struct bl_gpu_constant {
    int buffer;
    void *host, *device;
    size_t bytes;
};

int bl_gpu_constant_add(bl_lowering *lowering, const void *data, size_t bytes, int *buffer) {
    bl_gpu_plan *plan = bl_gpu_plan_of(lowering);
    if (bl_grow((void **)&plan->constants, plan->constant_count, &plan->constant_capacity, sizeof *plan->constants)) return BL_FAILED;
    void *copy = bl_alloc(bytes);
    if (!copy || bl_lower_outside(lowering, (bl_buffer){.bytes = bytes, .input = -1, .packed = -1}, buffer)) {
        bl_free(copy);
        return BL_FAILED;
    }
    memcpy(copy, data, bytes);
    plan->constants[plan->constant_count++] = (bl_gpu_constant){.buffer = *buffer, .host = copy, .bytes = bytes};
    return BL_OK;
}

size_t bl_gpu_constants_bytes(const bl_gpu_plan *plan) {
    size_t bytes = 0;
    for (int i = 0; i < plan->constant_count; i++) bytes += plan->constants[i].bytes;
    return bytes;
}

int bl_gpu_constants_bind(bl_gpu_plan *plan) {
    for (int i = 0; i < plan->constant_count; i++) {
        bl_gpu_constant *constant = &plan->constants[i];
        if (bl_gpu_take(&constant->device, constant->bytes) ||
            bl_gpu_upload(bl_gpu_backend_of(&plan->lowering), constant->device, constant->host, constant->bytes))
            return BL_FAILED;
        plan->lowering.buffers[constant->buffer].data = constant->device;
    }
    return bl_gpu_cuda(cudaStreamSynchronize(NULL), "uploading tables"); // such a copy may outlast its call
}

void bl_gpu_constants_free(bl_gpu_plan *plan) {
    for (int i = 0; i < plan->constant_count; i++) {
        if (plan->constants[i].device) cudaFree(plan->constants[i].device);
        bl_free(plan->constants[i].host);
    }
    bl_free(plan->constants);
}
