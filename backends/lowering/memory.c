#include "backends/lowering/memory.h"

#include <limits.h>

#include "backends/planner.h" // bl_plan_memory
#include "base/memory.h"      // bl_alloc

size_t bl_lower_input_bytes(const bl_lowering *plan, int input) {
    return (size_t)bl_shape_count(&plan->uses.inputs[input]->shape) * sizeof(float);
}

static void find_lifetimes(const bl_lowering *plan, bl_item *items) {
    for (int i = 0; i < plan->buffer_count; i++) items[i] = (bl_item){.first = INT_MAX, .last = -1};
    for (int s = 0; s < plan->step_count; s++)
        for (int k = 0; k < BL_STEP_BUFFERS; k++) {
            const int index = plan->steps[s].buffers[k];
            if (index < 0 || !plan->buffers[index].in_arena) continue;
            const bl_buffer *buffer = &plan->buffers[index];
            if (items[index].last < 0) items[index].first = s;
            items[index].last = buffer->kept ? INT_MAX : s;
            items[index].bytes = buffer->bytes + buffer->offset;
        }
    for (int i = 0; i < plan->buffer_count; i++)
        if (items[i].last < 0) items[i].first = items[i].last = 0; // no step touches it: no bytes
}

int bl_lower_place(bl_lowering *plan) {
    bl_item *items = bl_alloc((size_t)plan->buffer_count * sizeof *items);
    if (!items) return BL_FAILED;
    find_lifetimes(plan, items);
    const int status = bl_plan_memory(items, plan->buffer_count, &plan->arena_bytes);
    for (int i = 0; i < plan->buffer_count && !status; i++)
        if (plan->buffers[i].in_arena) plan->buffers[i].offset += items[i].offset;
    bl_free(items);
    return status;
}

int bl_lower_check_room(bl_lowering *plan, const bl_room *room, const bl_compile_options *options) {
    plan->free_bytes = room->free;
    for (int i = 0; i < plan->uses.input_count; i++) plan->staging_bytes += BL_STAGING_SLOTS * bl_lower_input_bytes(plan, i);
    return bl_room_check(room, &(bl_need){plan->arena_bytes, plan->staging_bytes, plan->packed_bytes, plan->accumulate, options->batch,
                                          options->batch_key, options->accumulate_key});
}

void bl_lower_bind(bl_lowering *plan) {
    for (int i = 0; i < plan->buffer_count; i++)
        if (plan->buffers[i].in_arena) plan->buffers[i].data = (unsigned char *)plan->arena + plan->buffers[i].offset;
}
