// The losses, their gradients and the projection's spread: kernels/loss.cu and kernels/cross_entropy.cu. Meanings: graph/ops/loss.c,
// graph/ops/cross_entropy.c, graph/ops/argmax.c.

#include "backends/cudnn/gpu.h"

// Doubles that live for one step.
static int add_workspace(bl_gpu_plan *plan, const bl_node *node, int64_t doubles, int *buffer) {
    return bl_gpu_workspace(plan, node, (size_t)doubles * sizeof(double), buffer);
}

// ---- BYOL's loss ----

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
static int loss_run(const bl_gpu_plan *plan, const bl_gpu_step *step) {
    const pairing *pairs = step->state;
    bl_gpu_byol_loss(plan->backend->stream, &pairs->of, bl_gpu_at(plan, step, 0), bl_gpu_at(plan, step, 1), pairs->is_half,
                     bl_gpu_at(plan, step, 3), bl_gpu_at(plan, step, 2));
    return BL_OK;
}

int bl_gpu_loss_node(bl_gpu_plan *plan, const bl_node *node) {
    const pairing pairs = pairing_of(node);
    bl_tensor *tensors[] = {node->inputs[0], node->inputs[1], node->outputs[0]};
    int buffers[4];
    if (bl_gpu_values(plan, tensors, 3, buffers) || add_workspace(plan, node, pairs.of.rows, &buffers[3])) return BL_FAILED;
    return bl_gpu_step_add(plan, node, loss_run, buffers, 4, &pairs, sizeof pairs);
}

// p, z | dp, dz
static int loss_backward_run(const bl_gpu_plan *plan, const bl_gpu_step *step) {
    const pairing *pairs = step->state;
    bl_gpu_byol_loss_backward(plan->backend->stream, &pairs->of, bl_gpu_at(plan, step, 0), bl_gpu_at(plan, step, 1), pairs->is_half,
                              bl_gpu_at(plan, step, 2), bl_gpu_at(plan, step, 3));
    return BL_OK;
}

int bl_gpu_loss_backward_node(bl_gpu_plan *plan, const bl_node *node) {
    const pairing pairs = pairing_of(node);
    bl_tensor *tensors[] = {node->inputs[0], node->inputs[1], node->outputs[0], node->outputs[1]};
    int buffers[4];
    if (bl_gpu_values(plan, tensors, 4, buffers)) return BL_FAILED;
    return bl_gpu_step_add(plan, node, loss_backward_run, buffers, 4, &pairs, sizeof pairs);
}

// z | std | norms of the rows, variances of the channels
static int std_run(const bl_gpu_plan *plan, const bl_gpu_step *step) {
    const pairing *pairs = step->state;
    bl_gpu_projection_std(plan->backend->stream, bl_gpu_at(plan, step, 0), pairs->is_half, pairs->of.rows, pairs->of.features,
                          pairs->of.view_rows, bl_gpu_at(plan, step, 2), bl_gpu_at(plan, step, 3), bl_gpu_at(plan, step, 1));
    return BL_OK;
}

int bl_gpu_projection_std_node(bl_gpu_plan *plan, const bl_node *node) {
    const pairing pairs = pairing_of(node);
    bl_tensor *tensors[] = {node->inputs[0], node->outputs[0]};
    int buffers[4];
    if (bl_gpu_values(plan, tensors, 2, buffers) || add_workspace(plan, node, pairs.of.rows, &buffers[2]) ||
        add_workspace(plan, node, node->attributes.groups * pairs.of.features, &buffers[3]))
        return BL_FAILED;
    return bl_gpu_step_add(plan, node, std_run, buffers, 4, &pairs, sizeof pairs);
}

// ---- cross-entropy ----

typedef struct classes {
    int64_t rows, width;
    bool is_half;
} classes;

static classes classes_of(const bl_node *node) {
    const bl_tensor *logits = node->inputs[0];
    return (classes){bl_shape_rows(&logits->shape), logits->shape.dims[logits->shape.rank - 1], bl_gpu_is_half(logits)};
}

// logits, labels | loss, correct | workspace
static int cross_entropy_run(const bl_gpu_plan *plan, const bl_gpu_step *step) {
    const classes *of = step->state;
    bl_gpu_cross_entropy(plan->backend->stream, bl_gpu_at(plan, step, 0), bl_gpu_at(plan, step, 1), of->is_half, of->rows, of->width,
                         bl_gpu_at(plan, step, 4), bl_gpu_at(plan, step, 2), bl_gpu_at(plan, step, 3));
    return BL_OK;
}

int bl_gpu_cross_entropy_node(bl_gpu_plan *plan, const bl_node *node) {
    const classes of = classes_of(node);
    bl_tensor *tensors[] = {node->inputs[0], node->inputs[1], node->outputs[0], node->outputs[1]};
    int buffers[5];
    if (bl_gpu_values(plan, tensors, 4, buffers) || add_workspace(plan, node, 3 * of.rows, &buffers[4])) return BL_FAILED;
    return bl_gpu_step_add(plan, node, cross_entropy_run, buffers, 5, &of, sizeof of);
}

// logits, labels | dlogits | workspace
static int cross_entropy_backward_run(const bl_gpu_plan *plan, const bl_gpu_step *step) {
    const classes *of = step->state;
    bl_gpu_cross_entropy_backward(plan->backend->stream, bl_gpu_at(plan, step, 0), bl_gpu_at(plan, step, 1), of->is_half, of->rows,
                                  of->width, bl_gpu_at(plan, step, 3), bl_gpu_at(plan, step, 2));
    return BL_OK;
}

int bl_gpu_cross_entropy_backward_node(bl_gpu_plan *plan, const bl_node *node) {
    const classes of = classes_of(node);
    bl_tensor *tensors[] = {node->inputs[0], node->inputs[1], node->outputs[0]};
    int buffers[4];
    // The gradient takes the place of logits that nobody reads after it.
    if (bl_gpu_value(plan, tensors[0], &buffers[0])) return BL_FAILED;
    if (bl_uses_ends_at(&plan->uses, plan->base.graph, tensors[0], node) && !bl_uses_keep(&plan->uses, tensors[2]))
        plan->buffer_of[tensors[2]->id] = buffers[0];
    if (bl_gpu_values(plan, tensors, 3, buffers) || add_workspace(plan, node, 3 * of.rows, &buffers[3])) return BL_FAILED;
    return bl_gpu_step_add(plan, node, cross_entropy_backward_run, buffers, 4, &of, sizeof of);
}

// x | y
static int argmax_run(const bl_gpu_plan *plan, const bl_gpu_step *step) {
    const classes *of = step->state;
    bl_gpu_argmax(plan->backend->stream, bl_gpu_at(plan, step, 0), of->is_half, of->rows, of->width, bl_gpu_at(plan, step, 1));
    return BL_OK;
}

int bl_gpu_argmax_node(bl_gpu_plan *plan, const bl_node *node) {
    const classes of = classes_of(node);
    int buffers[2];
    if (bl_gpu_value(plan, node->inputs[0], &buffers[0]) || bl_gpu_value(plan, node->outputs[0], &buffers[1])) return BL_FAILED;
    return bl_gpu_step_add(plan, node, argmax_run, buffers, 2, &of, sizeof of);
}
