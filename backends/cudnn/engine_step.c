#include "backends/cudnn/engine_step.h"

#include "base/memory.h" // bl_arena_copy

_Static_assert(BL_GPU_PATTERN_TENSORS < BL_STEP_BUFFERS, "a step holds a pattern's tensors and its workspace");

typedef struct pattern_state {
    const bl_gpu_engine *engine;
    size_t offsets[BL_GPU_PATTERN_TENSORS];
} pattern_state;

// The pattern's tensors | its workspace
static int run_pattern(const bl_lowering *plan, const bl_step *step) {
    const pattern_state *state = step->state;
    void *data[BL_GPU_PATTERN_TENSORS] = {0};
    for (int i = 0; i < state->engine->tensors; i++) {
        unsigned char *base = bl_step_at(plan, step, i);
        if (base) data[i] = base + state->offsets[i];
    }
    return bl_gpu_engine_run(bl_gpu_backend_of(plan)->engines, state->engine, data, bl_step_at(plan, step, BL_GPU_PATTERN_TENSORS));
}

int bl_gpu_pattern_step(bl_lowering *plan, const bl_node *node, const bl_gpu_pattern *pattern, const int *buffers, const size_t *offsets) {
    pattern_state state = {0};
    int operands[BL_GPU_PATTERN_TENSORS + 1];
    if (bl_gpu_engine_find(bl_gpu_backend_of(plan)->engines, pattern, &state.engine)) {
        const char *reason = bl_arena_copy(plan->names, bl_error());
        return bl_fail("backend 'cudnn' cannot run %s: %s", node->name, reason);
    }
    for (int i = 0; i <= BL_GPU_PATTERN_TENSORS; i++) operands[i] = -1;
    for (int i = 0; i < pattern->tensor_count; i++) {
        operands[i] = buffers[i];
        state.offsets[i] = offsets ? offsets[i] : 0;
    }
    if (state.engine->workspace && bl_lower_buffer(plan, state.engine->workspace, &operands[BL_GPU_PATTERN_TENSORS])) return BL_FAILED;
    if (state.engine->workspace > plan->rows[node->id].bytes) plan->rows[node->id].bytes = state.engine->workspace;
    bl_lower_note(plan, node, "%s", state.engine->name);
    return bl_lower_step(plan, node, run_pattern, operands, BL_GPU_PATTERN_TENSORS + 1, &state, sizeof state);
}
