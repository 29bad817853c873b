// What lowering is written with: buffers, values, packed weights and steps of a plan being compiled.

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "backends/cudnn/gpu.h"
#include "base/memory.h" // bl_alloc

size_t bl_gpu_bytes(const bl_tensor *tensor) {
    return (size_t)bl_shape_count(&tensor->shape) * (bl_gpu_is_half(tensor) ? sizeof(uint16_t) : sizeof(float));
}

static int add_buffer(bl_gpu_plan *plan, bl_gpu_buffer buffer, int *index) {
    if (bl_grow((void **)&plan->buffers, plan->buffer_count, &plan->buffer_capacity, sizeof buffer)) return BL_FAILED;
    *index = plan->buffer_count++;
    plan->buffers[*index] = buffer;
    return BL_OK;
}

int bl_gpu_buffer_add(bl_gpu_plan *plan, size_t bytes, int *buffer) {
    return add_buffer(plan, (bl_gpu_buffer){.bytes = bytes, .in_arena = true, .input = -1, .packed = -1}, buffer);
}

int bl_gpu_constant_add(bl_gpu_plan *plan, const void *data, size_t bytes, int *buffer) {
    if (bl_grow((void **)&plan->constants, plan->constant_count, &plan->constant_capacity, sizeof *plan->constants)) return BL_FAILED;
    void *copy = bl_alloc(bytes);
    if (!copy || add_buffer(plan, (bl_gpu_buffer){.bytes = bytes, .input = -1, .packed = -1}, buffer)) {
        bl_free(copy);
        return BL_FAILED;
    }
    memcpy(copy, data, bytes);
    plan->constants[plan->constant_count++] = (bl_gpu_constant){*buffer, copy, bytes};
    return BL_OK;
}

int bl_gpu_staged(bl_gpu_plan *plan, const bl_tensor *input, int *buffer) {
    const int index = bl_uses_input(&plan->uses, input);
    for (int i = 0; i < plan->buffer_count; i++)
        if (plan->buffers[i].input == index) return *buffer = i, BL_OK;
    const size_t bytes = (size_t)bl_shape_count(&input->shape) * sizeof(float);
    return add_buffer(plan, (bl_gpu_buffer){.bytes = bytes, .input = index, .packed = -1}, buffer);
}

static int input_value(bl_gpu_plan *plan, const bl_tensor *tensor, int *buffer) {
    if (bl_gpu_staged(plan, tensor, buffer)) return BL_FAILED;
    if (!bl_gpu_is_half(tensor)) return BL_OK;
    const int staged = *buffer;
    if (bl_gpu_buffer_add(plan, bl_gpu_bytes(tensor), buffer)) return BL_FAILED;
    return bl_gpu_convert_input(plan, tensor, staged, *buffer);
}

int bl_gpu_value(bl_gpu_plan *plan, const bl_tensor *tensor, int *buffer) {
    *buffer = -1;
    if (!tensor) return BL_OK;
    int *known = &plan->buffer_of[tensor->id];
    if (*known < 0 && tensor->role == BL_ROLE_INPUT) {
        if (input_value(plan, tensor, known)) return BL_FAILED;
    } else if (*known < 0 && tensor->role == BL_ROLE_STORED) {
        size_t count;
        void *data = bl_gpu_store_at(plan->store, tensor->place, &count);
        if (!data && !plan->backend->is_described) return bl_fail("'%s' does not exist in the store", tensor->name);
        if (add_buffer(plan, (bl_gpu_buffer){.bytes = count * sizeof(float), .data = data, .input = -1, .packed = -1}, known)) return BL_FAILED;
    } else if (*known < 0) {
        if (bl_gpu_buffer_add(plan, bl_gpu_bytes(tensor), known)) return BL_FAILED;
        plan->buffers[*known].kept = bl_uses_keep(&plan->uses, tensor);
    }
    *buffer = *known;
    return BL_OK;
}

int bl_gpu_values(bl_gpu_plan *plan, bl_tensor *const *tensors, int count, int *buffers) {
    for (int i = 0; i < count; i++)
        if (bl_gpu_value(plan, tensors[i], &buffers[i])) return BL_FAILED;
    return BL_OK;
}

int bl_gpu_workspace(bl_gpu_plan *plan, const bl_node *node, size_t bytes, int *buffer) {
    plan->rows[node->id].bytes += bytes;
    return bl_gpu_buffer_add(plan, bytes, buffer);
}

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

int bl_gpu_weights(bl_gpu_plan *plan, const bl_tensor *tensor, bool is_half, int from, int to, int *buffer) {
    if (!is_half && from == to) return bl_gpu_value(plan, tensor, buffer); // the master itself
    const size_t value = is_half ? sizeof(uint16_t) : sizeof(float);
    const bl_segments *segments = &plan->base.graph->layout->networks[tensor->place.network].parameters;
    bl_gpu_packed packed = {.place = tensor->place, .from = from, .to = to, .is_half = is_half};
    bl_gpu_buffer made = {.input = -1};
    if (from == to) { // the whole block at once, for all its layers
        packed.place.segment = BL_WHOLE_BLOCK;
        packed.rows = (int64_t)segments->floats;
        packed.from = packed.to = 1;
        made.offset = segments->items[tensor->place.segment].offset * value;
    } else {
        packed.rows = bl_shape_count(&tensor->shape) / from;
    }
    packed.bytes = (size_t)packed.rows * (size_t)packed.to * value;
    if (find_packed(plan, packed, &made.packed)) return BL_FAILED;
    made.bytes = (size_t)bl_shape_count(&tensor->shape) / (size_t)from * (size_t)to * value;
    return add_buffer(plan, made, buffer);
}

int bl_gpu_step_add(bl_gpu_plan *plan, const bl_node *node, int (*run)(const bl_gpu_plan *, const bl_gpu_step *), const int *buffers,
                    int count, const void *state, size_t state_bytes) {
    if (bl_grow((void **)&plan->steps, plan->step_count, &plan->step_capacity, sizeof *plan->steps)) return BL_FAILED;
    bl_gpu_step step = {.node = node, .run = run};
    for (int i = 0; i < BL_GPU_BUFFERS; i++) step.buffers[i] = i < count ? buffers[i] : -1;
    if (state) {
        step.state = bl_alloc(state_bytes);
        if (!step.state) return BL_FAILED;
        memcpy(step.state, state, state_bytes);
    }
    plan->steps[plan->step_count++] = step;
    return BL_OK;
}

typedef struct pattern_state {
    const bl_gpu_engine *engine;
    size_t offsets[BL_GPU_PATTERN_TENSORS];
} pattern_state;

// The pattern's tensors | its workspace
static int run_pattern(const bl_gpu_plan *plan, const bl_gpu_step *step) {
    const pattern_state *state = step->state;
    void *data[BL_GPU_PATTERN_TENSORS] = {0};
    for (int i = 0; i < state->engine->tensors; i++) {
        unsigned char *base = bl_gpu_at(plan, step, i);
        if (base) data[i] = base + state->offsets[i];
    }
    return bl_gpu_engine_run(plan->backend->engines, state->engine, data, bl_gpu_at(plan, step, BL_GPU_PATTERN_TENSORS));
}

int bl_gpu_pattern_step(bl_gpu_plan *plan, const bl_node *node, const bl_gpu_pattern *pattern, const int *buffers, const size_t *offsets) {
    pattern_state state = {0};
    int operands[BL_GPU_PATTERN_TENSORS + 1];
    if (bl_gpu_engine_find(plan->backend->engines, pattern, &state.engine)) {
        const char *reason = bl_arena_copy(plan->names, bl_error());
        return bl_fail("backend 'cudnn' cannot run %s: %s", node->name, reason);
    }
    for (int i = 0; i <= BL_GPU_PATTERN_TENSORS; i++) operands[i] = -1;
    for (int i = 0; i < pattern->tensor_count; i++) {
        operands[i] = buffers[i];
        state.offsets[i] = offsets ? offsets[i] : 0;
    }
    if (state.engine->workspace && bl_gpu_buffer_add(plan, state.engine->workspace, &operands[BL_GPU_PATTERN_TENSORS])) return BL_FAILED;
    if (state.engine->workspace > plan->rows[node->id].bytes) plan->rows[node->id].bytes = state.engine->workspace;
    bl_gpu_note(plan, node, "%s", state.engine->name);
    return bl_gpu_step_add(plan, node, run_pattern, operands, BL_GPU_PATTERN_TENSORS + 1, &state, sizeof state);
}

void bl_gpu_note(bl_gpu_plan *plan, const bl_node *node, const char *format, ...) {
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    plan->rows[node->id].implementation = bl_arena_copy(plan->names, text);
}
