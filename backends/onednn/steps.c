// What lowering is written with: buffers, values and steps of a plan being compiled.

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "backends/onednn/onednn.h"
#include "backends/onednn/rows.h" // bl_cpu_size

bl_lines bl_cpu_lines(const bl_cpu_plan *plan, const bl_tensor *tensor) {
    return bl_lines_of(&plan->strips[tensor->id], tensor);
}

size_t bl_cpu_values(const bl_cpu_plan *plan, const bl_tensor *tensor) {
    if (!plan->strips[tensor->id].places) return (size_t)bl_shape_count(&tensor->shape);
    const bl_lines lines = bl_cpu_lines(plan, tensor);
    return bl_lines_values(&lines);
}

void bl_cpu_part_images(const bl_lines *lines, void *data, bl_dtype dtype, size_t pixel, size_t count) {
    for (size_t first = pixel; lines->strips.places && first < pixel + count; first += lines->width) {
        const size_t after = bl_lines_at(lines, first) + lines->width * lines->channels;
        memset(bl_cpu_from(data, dtype, after), 0, bl_lines_zeros(lines, first) * bl_cpu_size(dtype));
    }
}

static size_t bytes_of(const bl_cpu_plan *plan, const bl_tensor *tensor) {
    return bl_cpu_values(plan, tensor) * bl_cpu_size(tensor->dtype);
}

static int add_buffer(bl_cpu_plan *plan, bl_cpu_buffer buffer, int *index) {
    if (bl_grow((void **)&plan->buffers, plan->buffer_count, &plan->buffer_capacity, sizeof buffer)) return BL_FAILED;
    *index = plan->buffer_count++;
    plan->buffers[*index] = buffer;
    return BL_OK;
}

int bl_cpu_buffer_add(bl_cpu_plan *plan, size_t bytes, int *buffer) {
    return add_buffer(plan, (bl_cpu_buffer){.bytes = bytes, .in_arena = true, .input = -1}, buffer);
}

static int input_value(bl_cpu_plan *plan, const bl_tensor *tensor, int *buffer) {
    const int index = bl_uses_input(&plan->uses, tensor);
    if (add_buffer(plan, (bl_cpu_buffer){.bytes = (size_t)bl_shape_count(&tensor->shape) * sizeof(float), .input = index}, buffer))
        return BL_FAILED;
    if (tensor->dtype == BL_F32) return BL_OK;
    const int staged = *buffer;
    if (bl_cpu_buffer_add(plan, bytes_of(plan, tensor), buffer)) return BL_FAILED;
    return bl_cpu_convert_input(plan, tensor, staged, *buffer);
}

int bl_cpu_value(bl_cpu_plan *plan, const bl_tensor *tensor, int *buffer) {
    *buffer = -1;
    if (!tensor) return BL_OK;
    int *known = &plan->buffer_of[tensor->id];
    if (*known < 0 && tensor->role == BL_ROLE_INPUT) {
        if (input_value(plan, tensor, known)) return BL_FAILED;
    } else if (*known < 0 && tensor->role == BL_ROLE_STORED) {
        size_t count;
        void *data = bl_cpu_store_at(plan->store, tensor->place, &count);
        if (!data) return bl_fail("'%s' does not exist in the store", tensor->name);
        if (add_buffer(plan, (bl_cpu_buffer){.bytes = count * sizeof(float), .data = data, .input = -1}, known)) return BL_FAILED;
    } else if (*known < 0) {
        if (bl_cpu_buffer_add(plan, bytes_of(plan, tensor), known)) return BL_FAILED;
        plan->buffers[*known].kept = bl_uses_keep(&plan->uses, tensor);
    }
    *buffer = *known;
    return BL_OK;
}

int bl_cpu_step_add(bl_cpu_plan *plan, const bl_node *node, int (*run)(const bl_cpu_plan *, const bl_cpu_step *), const int *buffers,
                    int count, const void *state, size_t state_bytes) {
    if (bl_grow((void **)&plan->steps, plan->step_count, &plan->step_capacity, sizeof *plan->steps)) return BL_FAILED;
    bl_cpu_step step = {.node = node, .run = run};
    for (int i = 0; i < BL_CPU_OPERANDS; i++) {
        step.buffers[i] = i < count ? buffers[i] : -1;
        if (step.buffers[i] >= 0) step.bytes += plan->buffers[step.buffers[i]].bytes;
    }
    if (state) {
        step.state = bl_alloc(state_bytes);
        if (!step.state) return BL_FAILED;
        memcpy(step.state, state, state_bytes);
        step.state_free = bl_free;
    }
    plan->steps[plan->step_count++] = step;
    return BL_OK;
}

void bl_cpu_note(bl_cpu_plan *plan, const bl_node *node, const char *format, ...) {
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    plan->rows[node->id].implementation = bl_arena_copy(plan->names, text);
}
