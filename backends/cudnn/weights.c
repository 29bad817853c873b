#include "backends/cudnn/weights.h"

#include "backends/cudnn/device.h"
#include "backends/cudnn/kernels/pointwise.h" // bl_gpu_cast
#include "base/memory.h"                      // bl_grow

// A network's whole block in bf16, or one segment whose rows are padded with zeros (a stem's channels).
struct bl_gpu_packed {
    bl_place place;      // of the master: a whole block, or a segment
    int64_t rows;
    int from, to;        // values of a row before and after; equal for a block
    bool is_half;
    size_t bytes;
    void *data;
    uint64_t version;    // of the network's parameters when it was made; 0: never
};

// The packed parameters of a place, added when missing.
static int find_packed(bl_gpu_plan *plan, bl_gpu_packed wanted, int *index) {
    for (*index = 0; *index < plan->packed_count; ++*index) {
        const bl_gpu_packed *known = &plan->packed[*index];
        if (known->place.network == wanted.place.network && known->place.segment == wanted.place.segment &&
            known->is_half == wanted.is_half && known->to == wanted.to)
            return BL_OK;
    }
    if (bl_grow((void **)&plan->packed, plan->packed_count, &plan->packed_capacity, sizeof *plan->packed)) return BL_FAILED;
    plan->packed[plan->packed_count++] = wanted;
    return BL_OK;
}

int bl_gpu_weights(bl_lowering *plan, const bl_tensor *tensor, bool is_half, int from, int to, int *buffer) {
    if (!is_half && from == to) return bl_lower_value(plan, tensor, buffer); // the master itself
    const size_t value = is_half ? sizeof(uint16_t) : sizeof(float);
    const bl_segments *segments = &plan->base.graph->layout->networks[tensor->place.network].parameters;
    bl_gpu_packed packed = {.place = tensor->place, .from = from, .to = to, .is_half = is_half};
    bl_buffer made = {.input = -1};
    if (from == to) { // the whole block at once, for all its layers
        packed.place.segment = BL_WHOLE_BLOCK;
        packed.rows = (int64_t)segments->floats;
        packed.from = packed.to = 1;
        made.offset = segments->items[tensor->place.segment].offset * value;
    } else {
        packed.rows = bl_shape_count(&tensor->shape) / from;
    }
    packed.bytes = (size_t)packed.rows * (size_t)packed.to * value;
    if (find_packed(bl_gpu_plan_of(plan), packed, &made.packed)) return BL_FAILED;
    made.bytes = (size_t)bl_shape_count(&tensor->shape) / (size_t)from * (size_t)to * value;
    return bl_lower_outside(plan, made, buffer);
}

size_t bl_gpu_weights_bytes(const bl_gpu_plan *plan) {
    size_t bytes = 0;
    for (int i = 0; i < plan->packed_count; i++) bytes += plan->packed[i].bytes;
    return bytes;
}

int bl_gpu_weights_bind(bl_gpu_plan *plan) {
    for (int i = 0; i < plan->packed_count; i++)
        if (bl_gpu_take(&plan->packed[i].data, plan->packed[i].bytes)) return BL_FAILED;
    for (int i = 0; i < plan->lowering.buffer_count; i++) {
        bl_buffer *buffer = &plan->lowering.buffers[i];
        if (buffer->packed >= 0) buffer->data = (unsigned char *)plan->packed[buffer->packed].data + buffer->offset;
    }
    return BL_OK;
}

int bl_gpu_weights_refresh(bl_gpu_plan *plan) {
    const cudaStream_t stream = bl_gpu_stream(&plan->lowering);
    for (int i = 0; i < plan->packed_count; i++) {
        bl_gpu_packed *packed = &plan->packed[i];
        const uint64_t version = plan->lowering.store->versions[packed->place.network];
        size_t count;
        if (packed->version == version) continue;
        const float *master = bl_f32_store_at(plan->lowering.store, packed->place, &count);
        if (packed->from == packed->to)
            bl_gpu_cast(stream, master, false, packed->data, packed->is_half, packed->rows);
        else
            bl_gpu_resize_rows(stream, master, false, packed->rows, packed->from, packed->data, packed->is_half, packed->to);
        packed->version = version;
    }
    return bl_gpu_cuda(cudaGetLastError(), "packing weights");
}

void bl_gpu_weights_free(bl_gpu_plan *plan) {
    for (int i = 0; i < plan->packed_count; i++)
        if (plan->packed[i].data) cudaFree(plan->packed[i].data);
    bl_free(plan->packed);
}
