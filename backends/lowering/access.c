#include "backends/lowering/access.h"

#include <string.h>

int bl_lowered_write(bl_plan *plan, const bl_tensor *tensor, const double *src) {
    const int64_t count = bl_shape_count(&tensor->shape);
    for (int slot = 0; slot < BL_STAGING_SLOTS; slot++) {
        float *dst;
        if (plan->backend->table->slot(plan, slot, tensor, &dst)) return BL_FAILED;
        for (int64_t i = 0; i < count; i++) dst[i] = (float)src[i];
    }
    return BL_OK;
}

void bl_lowered_timing(bl_plan *plan, bool on) {
    ((bl_lowering *)plan)->is_timed = on;
}

void bl_lowered_report(const bl_plan *plan, bl_plan_report *report) {
    const bl_lowering *self = (const bl_lowering *)plan;
    *report = (bl_plan_report){.rows = self->rows,
                               .count = plan->graph->node_count,
                               .arena_bytes = self->arena_bytes,
                               .packed_bytes = self->packed_bytes,
                               .staging_bytes = self->staging_bytes,
                               .free_bytes = self->free_bytes};
}

void bl_lowered_read_input(const bl_lowering *plan, const bl_tensor *input, double *dst) {
    const int64_t count = bl_shape_count(&input->shape);
    const float *src = plan->host[plan->slot * plan->uses.input_count + bl_uses_input(&plan->uses, input)];
    for (int64_t i = 0; i < count; i++) dst[i] = bl_round_to(input->dtype, (double)src[i]);
}

int bl_lowered_find(const bl_lowering *plan, const bl_tensor *tensor, int *buffer) {
    *buffer = plan->buffer_of[tensor->id];
    if (!bl_uses_keep(&plan->uses, tensor) || *buffer < 0) return bl_fail("'%s' is not observed by this plan", tensor->name);
    return BL_OK;
}

static double widened(uint16_t half) {
    const uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

void bl_lowered_widen(const void *data, bl_dtype dtype, size_t first, size_t count, double *dst) {
    for (size_t i = first; i < first + count; i++)
        *dst++ = dtype == BL_F32 ? (double)((const float *)data)[i] : widened(((const uint16_t *)data)[i]);
}
