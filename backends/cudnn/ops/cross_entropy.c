// Cross-entropy, its gradient, and the largest of a row: kernels/cross_entropy.cu. Meanings: graph/ops/cross_entropy.c, graph/ops/argmax.c.

#include "backends/cudnn/gpu.h"
#include "backends/cudnn/kernels/cross_entropy.h"
#include "backends/cudnn/operators.h"

typedef struct classes {
    int64_t rows, width;
    bool is_half;
} classes;

static classes classes_of(const bl_node *node) {
    const bl_tensor *logits = node->inputs[0];
    return (classes){bl_shape_rows(&logits->shape), logits->shape.dims[logits->shape.rank - 1], bl_gpu_is_half(logits)};
}

static size_t workspace_bytes(const classes *of) {
    return 3 * (size_t)of->rows * sizeof(double);
}

// logits, labels | loss, correct | workspace
static int cross_entropy_run(const bl_lowering *plan, const bl_step *step) {
    const classes *of = step->state;
    bl_gpu_cross_entropy(bl_gpu_stream(plan), bl_step_at(plan, step, 0), bl_step_at(plan, step, 1), of->is_half, of->rows, of->width,
                         bl_step_at(plan, step, 4), bl_step_at(plan, step, 2), bl_step_at(plan, step, 3));
    return BL_OK;
}

static int lower_cross_entropy(bl_lowering *plan, const bl_node *node) {
    const classes of = classes_of(node);
    bl_tensor *tensors[] = {node->inputs[0], node->inputs[1], node->outputs[0], node->outputs[1]};
    int buffers[5];
    if (bl_lower_values(plan, tensors, 4, buffers) || bl_lower_workspace(plan, node, workspace_bytes(&of), &buffers[4])) return BL_FAILED;
    return bl_lower_step(plan, node, cross_entropy_run, buffers, 5, &of, sizeof of);
}

// logits, labels | dlogits | workspace
static int cross_entropy_backward_run(const bl_lowering *plan, const bl_step *step) {
    const classes *of = step->state;
    bl_gpu_cross_entropy_backward(bl_gpu_stream(plan), bl_step_at(plan, step, 0), bl_step_at(plan, step, 1), of->is_half, of->rows,
                                  of->width, bl_step_at(plan, step, 3), bl_step_at(plan, step, 2));
    return BL_OK;
}

static int lower_cross_entropy_backward(bl_lowering *plan, const bl_node *node) {
    const classes of = classes_of(node);
    bl_tensor *tensors[] = {node->inputs[0], node->inputs[1], node->outputs[0]};
    int buffers[4];
    // The gradient takes the place of logits that nobody reads after it.
    if (bl_lower_value(plan, tensors[0], &buffers[0])) return BL_FAILED;
    if (bl_uses_ends_at(&plan->uses, plan->base.graph, tensors[0], node) && !bl_uses_keep(&plan->uses, tensors[2]))
        plan->buffer_of[tensors[2]->id] = buffers[0];
    if (bl_lower_values(plan, tensors, 3, buffers) || bl_lower_workspace(plan, node, workspace_bytes(&of), &buffers[3])) return BL_FAILED;
    return bl_lower_step(plan, node, cross_entropy_backward_run, buffers, 4, &of, sizeof of);
}

// x | y
static int argmax_run(const bl_lowering *plan, const bl_step *step) {
    const classes *of = step->state;
    bl_gpu_argmax(bl_gpu_stream(plan), bl_step_at(plan, step, 0), of->is_half, of->rows, of->width, bl_step_at(plan, step, 1));
    return BL_OK;
}

static int lower_argmax(bl_lowering *plan, const bl_node *node) {
    const classes of = classes_of(node);
    int buffers[2];
    if (bl_lower_value(plan, node->inputs[0], &buffers[0]) || bl_lower_value(plan, node->outputs[0], &buffers[1])) return BL_FAILED;
    return bl_lower_step(plan, node, argmax_run, buffers, 2, &of, sizeof of);
}

const bl_operator bl_gpu_op_cross_entropy = {.lower = lower_cross_entropy};
const bl_operator bl_gpu_op_cross_entropy_backward = {.lower = lower_cross_entropy_backward};
const bl_operator bl_gpu_op_argmax = {.lower = lower_argmax};
