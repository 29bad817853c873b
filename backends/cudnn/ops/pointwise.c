// ReLU, addition and accumulation standing alone: kernels/pointwise.cu; and stop_gradient, which is nothing to do.

#include "backends/cudnn/gpu.h"
#include "backends/cudnn/kernels/pointwise.h"
#include "backends/cudnn/operators.h"

typedef struct values {
    int64_t count;
    bool is_half;
} values;

static int add_step(bl_lowering *plan, const bl_node *node, bl_step_run *run, const bl_tensor *a,
                    const bl_tensor *b, const bl_tensor *y) {
    const values of = {bl_shape_count(&y->shape), bl_gpu_is_half(y)};
    int buffers[3];
    if (bl_lower_value(plan, a, &buffers[0]) || bl_lower_value(plan, b, &buffers[1]) || bl_lower_value(plan, y, &buffers[2]))
        return BL_FAILED;
    return bl_lower_step(plan, node, run, buffers, 3, &of, sizeof of);
}

static int relu_run(const bl_lowering *plan, const bl_step *step) {
    const values *of = step->state;
    bl_gpu_relu(bl_gpu_stream(plan), bl_step_at(plan, step, 0), bl_step_at(plan, step, 2), of->is_half, of->count);
    return BL_OK;
}

static int relu_backward_run(const bl_lowering *plan, const bl_step *step) {
    const values *of = step->state;
    bl_gpu_relu_backward(bl_gpu_stream(plan), bl_step_at(plan, step, 0), bl_step_at(plan, step, 1), bl_step_at(plan, step, 2), of->is_half,
                         of->count);
    return BL_OK;
}

static int add_run(const bl_lowering *plan, const bl_step *step) {
    const values *of = step->state;
    bl_gpu_add(bl_gpu_stream(plan), bl_step_at(plan, step, 0), bl_step_at(plan, step, 1), bl_step_at(plan, step, 2), of->is_half, of->count);
    return BL_OK;
}

static int lower_relu(bl_lowering *plan, const bl_node *node) {
    return add_step(plan, node, relu_run, node->inputs[0], NULL, node->outputs[0]);
}

static int lower_relu_backward(bl_lowering *plan, const bl_node *node) {
    return add_step(plan, node, relu_backward_run, node->inputs[0], node->inputs[1], node->outputs[0]);
}

static int lower_add(bl_lowering *plan, const bl_node *node) {
    return add_step(plan, node, add_run, node->inputs[0], node->inputs[1], node->outputs[0]);
}

typedef struct accumulation {
    int64_t count;
    bool is_first;
} accumulation;

static int accumulate_run(const bl_lowering *plan, const bl_step *step) {
    const accumulation *of = step->state;
    bl_gpu_accumulate(bl_gpu_stream(plan), bl_step_at(plan, step, 0), bl_step_at(plan, step, 1), of->is_first, of->count);
    return BL_OK;
}

static int lower_accumulate(bl_lowering *plan, const bl_node *node) {
    const accumulation of = {bl_shape_count(&node->inputs[0]->shape), plan->uses.fusion[node->id].is_first};
    int buffers[2];
    if (bl_lower_value(plan, node->inputs[0], &buffers[0]) || bl_lower_value(plan, node->inputs[1], &buffers[1])) return BL_FAILED;
    if (of.is_first && buffers[0] == buffers[1]) {
        bl_lower_note(plan, node, "written in place");
        return BL_OK;
    }
    return bl_lower_step(plan, node, accumulate_run, buffers, 2, &of, sizeof of);
}

const bl_operator bl_gpu_op_relu = {.lower = lower_relu};
const bl_operator bl_gpu_op_relu_backward = {.lower = lower_relu_backward};
const bl_operator bl_gpu_op_add = {.lower = lower_add};
const bl_operator bl_gpu_op_accumulate = {.lower = lower_accumulate};
const bl_operator bl_gpu_op_stop_gradient = {.lower = bl_lower_alias};
