#include "backends/lowering/lowering.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h" // bl_alloc

// ---- begin and end ----

// The gradient of a segment is made where the optimiser reads it, if nothing else wants it.
static int place_gradients(bl_lowering *plan) {
    const bl_graph *graph = plan->base.graph;
    for (int i = 0; i < graph->node_count; i++) {
        const bl_node *node = graph->nodes[i];
        if (bl_uses_makes_in_place(&plan->uses, node) &&
            bl_lower_value(plan, node->inputs[1], &plan->buffer_of[node->inputs[0]->id]))
            return BL_FAILED;
    }
    return BL_OK;
}

int bl_lowering_begin(bl_lowering *plan, const bl_compile_options *options) {
    const bl_graph *graph = plan->base.graph;
    plan->names = bl_arena_create();
    plan->buffer_of = bl_alloc((size_t)graph->tensor_count * sizeof *plan->buffer_of);
    plan->bytes_of = bl_alloc((size_t)graph->tensor_count * sizeof *plan->bytes_of);
    plan->rows = bl_alloc((size_t)graph->node_count * sizeof *plan->rows);
    if (!plan->buffer_of || !plan->bytes_of || !plan->rows) return BL_FAILED;
    for (int t = 0; t < graph->tensor_count; t++) {
        const bl_tensor *tensor = graph->tensors[t];
        plan->buffer_of[t] = -1;
        plan->bytes_of[t] = (size_t)bl_shape_count(&tensor->shape) * (tensor->dtype == BL_F32 ? sizeof(float) : sizeof(uint16_t));
    }
    for (int n = 0; n < graph->node_count; n++) plan->rows[n] = (bl_node_report){.node = graph->nodes[n], .implementation = "byolab"};
    plan->accumulate = options->accumulate > 1 ? options->accumulate : 1;
    return bl_uses_find(&plan->uses, graph, options) ? BL_FAILED : place_gradients(plan);
}

void bl_lowering_free(bl_lowering *plan) {
    for (int i = 0; i < plan->step_count; i++)
        if (plan->steps[i].state_free) plan->steps[i].state_free(plan->steps[i].state);
    bl_free(plan->steps);
    bl_free(plan->buffers);
    bl_free(plan->buffer_of);
    bl_free(plan->bytes_of);
    bl_free(plan->attached);
    bl_uses_free(&plan->uses);
    bl_free(plan->rows);
    bl_arena_free(plan->names);
}

// ---- buffers ----

int bl_lower_outside(bl_lowering *plan, bl_buffer made, int *buffer) {
    if (bl_grow((void **)&plan->buffers, plan->buffer_count, &plan->buffer_capacity, sizeof made)) return BL_FAILED;
    *buffer = plan->buffer_count++;
    plan->buffers[*buffer] = made;
    return BL_OK;
}

int bl_lower_buffer(bl_lowering *plan, size_t bytes, int *buffer) {
    return bl_lower_outside(plan, (bl_buffer){.bytes = bytes, .in_arena = true, .input = -1, .packed = -1}, buffer);
}

int bl_lower_workspace(bl_lowering *plan, const bl_node *node, size_t bytes, int *buffer) {
    plan->rows[node->id].bytes += bytes;
    return bl_lower_buffer(plan, bytes, buffer);
}

int bl_lower_staged(bl_lowering *plan, const bl_tensor *input, int *buffer) {
    const int index = bl_uses_input(&plan->uses, input);
    for (int i = 0; i < plan->buffer_count; i++)
        if (plan->buffers[i].input == index) return *buffer = i, BL_OK;
    const size_t bytes = (size_t)bl_shape_count(&input->shape) * sizeof(float);
    return bl_lower_outside(plan, (bl_buffer){.bytes = bytes, .input = index, .packed = -1}, buffer);
}

static int input_value(bl_lowering *plan, const bl_tensor *input, int *buffer) {
    const size_t count = (size_t)bl_shape_count(&input->shape);
    if (bl_lower_staged(plan, input, buffer)) return BL_FAILED;
    if (input->dtype == BL_F32) return BL_OK;
    const int staged = *buffer;
    if (bl_lower_buffer(plan, plan->bytes_of[input->id], buffer)) return BL_FAILED;
    return bl_lower_step(plan, NULL, plan->narrow, (int[]){staged, *buffer}, 2, &count, sizeof count);
}

static int stored_value(bl_lowering *plan, const bl_tensor *tensor, int *buffer) {
    size_t count;
    void *data = bl_f32_store_at(plan->store, tensor->place, &count);
    if (!data && !plan->is_described) return bl_fail("'%s' does not exist in the store", tensor->name);
    return bl_lower_outside(plan, (bl_buffer){.bytes = count * sizeof(float), .data = data, .input = -1, .packed = -1}, buffer);
}

static int made_value(bl_lowering *plan, const bl_tensor *tensor, int *buffer) {
    if (bl_lower_buffer(plan, plan->bytes_of[tensor->id], buffer)) return BL_FAILED;
    plan->buffers[*buffer].kept = bl_uses_keep(&plan->uses, tensor);
    return BL_OK;
}

int bl_lower_value(bl_lowering *plan, const bl_tensor *tensor, int *buffer) {
    *buffer = -1;
    if (!tensor) return BL_OK;
    int *known = &plan->buffer_of[tensor->id];
    if (*known < 0 && (tensor->role == BL_ROLE_INPUT    ? input_value(plan, tensor, known)
                       : tensor->role == BL_ROLE_STORED ? stored_value(plan, tensor, known)
                                                        : made_value(plan, tensor, known)))
        return BL_FAILED;
    *buffer = *known;
    return BL_OK;
}

int bl_lower_values(bl_lowering *plan, bl_tensor *const *tensors, int count, int *buffers) {
    for (int i = 0; i < count; i++)
        if (bl_lower_value(plan, tensors[i], &buffers[i])) return BL_FAILED;
    return BL_OK;
}

int bl_lower_attach(bl_lowering *plan, const bl_tensor *tensor, const char *what, int buffer) {
    if (bl_grow((void **)&plan->attached, plan->attached_count, &plan->attached_capacity, sizeof *plan->attached)) return BL_FAILED;
    plan->attached[plan->attached_count++] = (bl_attached){tensor, what, buffer};
    return BL_OK;
}

int bl_lower_attached(const bl_lowering *plan, const bl_tensor *tensor, const char *what) {
    for (int i = plan->attached_count - 1; i >= 0; i--)
        if (plan->attached[i].tensor == tensor && !strcmp(plan->attached[i].what, what)) return plan->attached[i].buffer;
    return -1;
}

// ---- steps ----

int bl_lower_step(bl_lowering *plan, const bl_node *node, bl_step_run *run, const int *buffers, int count, const void *state,
                  size_t state_bytes) {
    if (count > BL_STEP_BUFFERS)
        return bl_fail("%s: a step of %d buffers; it has room for %d", node ? node->name : "an input", count, BL_STEP_BUFFERS);
    if (bl_grow((void **)&plan->steps, plan->step_count, &plan->step_capacity, sizeof *plan->steps)) return BL_FAILED;
    bl_step step = {.node = node, .run = run};
    for (int i = 0; i < BL_STEP_BUFFERS; i++) {
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

int bl_lower_node(bl_lowering *plan, const bl_node *node) {
    return plan->operators[node->op]->lower(plan, node);
}

int bl_lower_alias(bl_lowering *plan, const bl_node *node) {
    const bl_tensor *x = node->inputs[0], *y = node->outputs[0];
    int *buffer = &plan->buffer_of[y->id];
    if (bl_lower_value(plan, x, buffer)) return BL_FAILED;
    if (bl_uses_keep(&plan->uses, y)) plan->buffers[*buffer].kept = true;
    bl_lower_note(plan, node, "alias of %s", x->name);
    return BL_OK;
}

void bl_lower_note(bl_lowering *plan, const bl_node *node, const char *format, ...) {
    char text[1024]; // names of nodes and implementations; what is longer is cut
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    plan->rows[node->id].implementation = bl_arena_copy(plan->names, text);
}
