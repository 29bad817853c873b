// BYOL's loss, its gradient and the projection's spread: kernels/loss.cu. Meanings: graph/ops/loss.c.

#include "backends/cudnn/gpu.h"
#include "backends/cudnn/kernels/loss.h"
#include "backends/cudnn/operators.h"

// Doubles that live for one step.
static int add_workspace(bl_lowering *plan, const bl_node *node, int64_t doubles, int *buffer) {
    return bl_lower_workspace(plan, node, (size_t)doubles * sizeof(double), buffer);
}

typedef struct pairing {
    bl_gpu_loss of;
    bool is_half;
} pairing;

// What the sum of the distances over the rows of a view is multiplied with: halves are of two directions each, one alone is halved once.
static float weight(const bl_attributes *a) {
    if (a->reduction == BL_REDUCE_SUM) return 1;
    return a->reduction == BL_REDUCE_MEAN || a->one_direction ? .5f : .25f;
}

static pairing pairing_of(const bl_node *node) {
    const bl_attributes *a = &node->attributes;
    const bl_tensor *p = node->inputs[0];
    const int64_t rows = p->shape.dims[0], view_rows = rows / a->groups;
    return (pairing){{.rows = rows,
                      .features = p->shape.dims[1],
                      .view_rows = view_rows,
                      .compared = a->one_direction ? view_rows : rows,
                      .crossed = a->pairing == BL_CROSSED,
                      .centers = a->normalization == BL_NORMALIZE_LAYER_NORM,
                      .normalizes = a->normalization != BL_NORMALIZE_NONE,
                      .weight = weight(a),
                      .constant = a->reduction == BL_REDUCE_HALF ? -1 : 0},
                     bl_gpu_is_half(p)};
}

// p, z | loss | workspace
static int loss_run(const bl_lowering *plan, const bl_step *step) {
    const pairing *pairs = step->state;
    bl_gpu_byol_loss(bl_gpu_stream(plan), &pairs->of, bl_step_at(plan, step, 0), bl_step_at(plan, step, 1), pairs->is_half,
                     bl_step_at(plan, step, 3), bl_step_at(plan, step, 2));
    return BL_OK;
}

static int lower_loss(bl_lowering *plan, const bl_node *node) {
    const pairing pairs = pairing_of(node);
    bl_tensor *tensors[] = {node->inputs[0], node->inputs[1], node->outputs[0]};
    int buffers[4];
    if (bl_lower_values(plan, tensors, 3, buffers) || add_workspace(plan, node, pairs.of.rows, &buffers[3])) return BL_FAILED;
    return bl_lower_step(plan, node, loss_run, buffers, 4, &pairs, sizeof pairs);
}

// p, z | dp, dz
static int loss_backward_run(const bl_lowering *plan, const bl_step *step) {
    const pairing *pairs = step->state;
    bl_gpu_byol_loss_backward(bl_gpu_stream(plan), &pairs->of, bl_step_at(plan, step, 0), bl_step_at(plan, step, 1), pairs->is_half,
                              bl_step_at(plan, step, 2), bl_step_at(plan, step, 3));
    return BL_OK;
}

static int lower_loss_backward(bl_lowering *plan, const bl_node *node) {
    const pairing pairs = pairing_of(node);
    bl_tensor *tensors[] = {node->inputs[0], node->inputs[1], node->outputs[0], node->outputs[1]};
    int buffers[4];
    if (bl_lower_values(plan, tensors, 4, buffers)) return BL_FAILED;
    return bl_lower_step(plan, node, loss_backward_run, buffers, 4, &pairs, sizeof pairs);
}

// z | std | norms of the rows, variances of the channels
static int std_run(const bl_lowering *plan, const bl_step *step) {
    const pairing *pairs = step->state;
    bl_gpu_projection_std(bl_gpu_stream(plan), bl_step_at(plan, step, 0), pairs->is_half, pairs->of.rows, pairs->of.features,
                          pairs->of.view_rows, bl_step_at(plan, step, 2), bl_step_at(plan, step, 3), bl_step_at(plan, step, 1));
    return BL_OK;
}

static int lower_projection_std(bl_lowering *plan, const bl_node *node) {
    const pairing pairs = pairing_of(node);
    bl_tensor *tensors[] = {node->inputs[0], node->outputs[0]};
    int buffers[4];
    if (bl_lower_values(plan, tensors, 2, buffers) || add_workspace(plan, node, pairs.of.rows, &buffers[2]) ||
        add_workspace(plan, node, node->attributes.groups * pairs.of.features, &buffers[3]))
        return BL_FAILED;
    return bl_lower_step(plan, node, std_run, buffers, 4, &pairs, sizeof pairs);
}

const bl_operator bl_gpu_op_byol_loss = {.lower = lower_loss};
const bl_operator bl_gpu_op_byol_loss_backward = {.lower = lower_loss_backward};
const bl_operator bl_gpu_op_projection_std = {.lower = lower_projection_std};
