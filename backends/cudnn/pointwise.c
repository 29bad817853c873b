// ReLU, addition and accumulation standing alone, and the conversion of inputs: kernels/pointwise.cu.

#include "backends/cudnn/gpu.h"

typedef struct values {
    int64_t count;
    bool is_half;
} values;

static int add_step(bl_gpu_plan *plan, const bl_node *node, int (*run)(const bl_gpu_plan *, const bl_gpu_step *), const bl_tensor *a,
                    const bl_tensor *b, const bl_tensor *y) {
    const values of = {bl_shape_count(&y->shape), bl_gpu_is_half(y)};
    int buffers[3];
    if (bl_gpu_value(plan, a, &buffers[0]) || bl_gpu_value(plan, b, &buffers[1]) || bl_gpu_value(plan, y, &buffers[2])) return BL_FAILED;
    return bl_gpu_step_add(plan, node, run, buffers, 3, &of, sizeof of);
}

static int relu_run(const bl_gpu_plan *plan, const bl_gpu_step *step) {
    const values *of = step->state;
    bl_gpu_relu(plan->backend->stream, bl_gpu_at(plan, step, 0), bl_gpu_at(plan, step, 2), of->is_half, of->count);
    return BL_OK;
}

static int relu_backward_run(const bl_gpu_plan *plan, const bl_gpu_step *step) {
    const values *of = step->state;
    bl_gpu_relu_backward(plan->backend->stream, bl_gpu_at(plan, step, 0), bl_gpu_at(plan, step, 1), bl_gpu_at(plan, step, 2), of->is_half,
                         of->count);
    return BL_OK;
}

static int add_run(const bl_gpu_plan *plan, const bl_gpu_step *step) {
    const values *of = step->state;
    bl_gpu_add(plan->backend->stream, bl_gpu_at(plan, step, 0), bl_gpu_at(plan, step, 1), bl_gpu_at(plan, step, 2), of->is_half, of->count);
    return BL_OK;
}

int bl_gpu_relu_node(bl_gpu_plan *plan, const bl_node *node) {
    return add_step(plan, node, relu_run, node->inputs[0], NULL, node->outputs[0]);
}

int bl_gpu_relu_backward_node(bl_gpu_plan *plan, const bl_node *node) {
    return add_step(plan, node, relu_backward_run, node->inputs[0], node->inputs[1], node->outputs[0]);
}

int bl_gpu_add_node(bl_gpu_plan *plan, const bl_node *node) {
    return add_step(plan, node, add_run, node->inputs[0], node->inputs[1], node->outputs[0]);
}

typedef struct accumulation {
    int64_t count;
    bool is_first;
} accumulation;

static int accumulate_run(const bl_gpu_plan *plan, const bl_gpu_step *step) {
    const accumulation *of = step->state;
    bl_gpu_accumulate(plan->backend->stream, bl_gpu_at(plan, step, 0), bl_gpu_at(plan, step, 1), of->is_first, of->count);
    return BL_OK;
}

int bl_gpu_accumulate_node(bl_gpu_plan *plan, const bl_node *node) {
    const accumulation of = {bl_shape_count(&node->inputs[0]->shape), plan->uses.fusion[node->id].is_first};
    int buffers[2];
    if (bl_gpu_value(plan, node->inputs[0], &buffers[0]) || bl_gpu_value(plan, node->inputs[1], &buffers[1])) return BL_FAILED;
    if (of.is_first && buffers[0] == buffers[1]) {
        bl_gpu_note(plan, node, "written in place");
        return BL_OK;
    }
    return bl_gpu_step_add(plan, node, accumulate_run, buffers, 2, &of, sizeof of);
}

static int convert_run(const bl_gpu_plan *plan, const bl_gpu_step *step) {
    const int64_t *count = step->state;
    bl_gpu_cast(plan->backend->stream, bl_gpu_at(plan, step, 0), false, bl_gpu_at(plan, step, 1), true, *count);
    return BL_OK;
}

int bl_gpu_convert_input(bl_gpu_plan *plan, const bl_tensor *input, int staged, int converted) {
    const int64_t count = bl_shape_count(&input->shape);
    return bl_gpu_step_add(plan, NULL, convert_run, (int[]){staged, converted}, 2, &count, sizeof count);
}
