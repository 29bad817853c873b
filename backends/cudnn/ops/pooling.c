// Pooling, as cuDNN's resampling.
//
// Max pooling keeps where each window's largest value stood, one byte a window, if this plan has its backward. Which of several equal
// ones that is cuDNN does not document (`reference` and PyTorch take the first); behind a ReLU the ties are mostly between zeros, where
// the ReLU's backward stops the gradient in any case.

#include "backends/cudnn/engine_step.h"
#include "backends/cudnn/gpu.h"
#include "backends/cudnn/kernels/pointwise.h"
#include "backends/cudnn/operators.h"

static int image(bl_gpu_pattern *pattern, const bl_shape *shape, bl_gpu_type type) {
    const int64_t *dims = shape->dims;
    const bool is_image = shape->rank == 4; // [N, C] is an image of one pixel
    return bl_gpu_pattern_image(pattern, type, dims[0], is_image ? dims[1] : 1, is_image ? dims[2] : 1, dims[shape->rank - 1], false);
}

// ---- maximum ----

static bool has_window_of(const bl_node *node, const bl_node *other) {
    const bl_attributes *a = &node->attributes, *b = &other->attributes;
    return a->kernel == b->kernel && a->stride == b->stride && a->padding == b->padding;
}

static bool has_backward(const bl_lowering *plan, const bl_node *node) {
    const bl_graph *graph = plan->base.graph;
    for (int i = 0; i < graph->node_count; i++) {
        const bl_node *other = graph->nodes[i];
        if (other->op == BL_OP_MAX_POOL_BACKWARD && other->inputs[0] == node->inputs[0] && has_window_of(node, other)) return true;
    }
    return false;
}

static void set_window(bl_gpu_operation *operation, const bl_node *node) {
    operation->kernel = node->attributes.kernel;
    operation->stride = node->attributes.stride;
    operation->padding = node->attributes.padding;
}

// x -> y of the given shape, and the index where there is a buffer for it.
static int largest(bl_lowering *plan, const bl_node *node, const bl_shape *shape, int y, int index) {
    const bl_tensor *x = node->inputs[0];
    const bl_gpu_type type = bl_gpu_type_of(x);
    bl_gpu_pattern pattern = {0};
    int buffers[3] = {-1, y, index}, operands[3];
    if (bl_lower_value(plan, x, &buffers[0])) return BL_FAILED;
    operands[0] = image(&pattern, &x->shape, type);
    operands[1] = image(&pattern, shape, type);
    if (index >= 0) operands[2] = image(&pattern, shape, BL_GPU_INT8);
    set_window(bl_gpu_pattern_add(&pattern, BL_GPU_POOL_MAX, operands, index < 0 ? 2 : 3), node);
    return bl_gpu_pattern_step(plan, node, &pattern, buffers, NULL);
}

static int lower_max_pool(bl_lowering *plan, const bl_node *node) {
    const bl_tensor *y = node->outputs[0];
    int result, index = -1;
    if (bl_lower_value(plan, y, &result)) return BL_FAILED;
    if (has_backward(plan, node)) {
        if (bl_lower_buffer(plan, (size_t)bl_shape_count(&y->shape), &index) ||
            bl_lower_attach(plan, node->inputs[0], "index", index))
            return BL_FAILED;
    }
    return largest(plan, node, &y->shape, result, index);
}

static int lower_max_pool_backward(bl_lowering *plan, const bl_node *node) {
    const bl_tensor *x = node->inputs[0], *dy = node->inputs[1];
    const bl_gpu_type type = bl_gpu_type_of(x);
    int buffers[3], y;
    buffers[1] = bl_lower_attached(plan, x, "index");
    if (buffers[1] < 0) { // alone in its plan: find the places first
        if (bl_lower_buffer(plan, plan->bytes_of[dy->id], &y) || bl_lower_buffer(plan, (size_t)bl_shape_count(&dy->shape), &buffers[1]) ||
            largest(plan, node, &dy->shape, y, buffers[1]))
            return BL_FAILED;
    }
    if (bl_lower_value(plan, dy, &buffers[0]) || bl_lower_value(plan, node->outputs[0], &buffers[2])) return BL_FAILED;
    bl_gpu_pattern pattern = {0};
    const int operands[] = {image(&pattern, &dy->shape, type), image(&pattern, &dy->shape, BL_GPU_INT8), image(&pattern, &x->shape, type)};
    set_window(bl_gpu_pattern_add(&pattern, BL_GPU_POOL_MAX_BACKWARD, operands, 3), node);
    return bl_gpu_pattern_step(plan, node, &pattern, buffers, NULL);
}

// ---- average ----

// from | to
static int copy_run(const bl_lowering *plan, const bl_step *step) {
    const bl_tensor *from = step->node->inputs[0];
    const bool is_half = bl_gpu_is_half(from);
    bl_gpu_cast(bl_gpu_stream(plan), bl_step_at(plan, step, 0), is_half, bl_step_at(plan, step, 1), is_half, bl_shape_count(&from->shape));
    return BL_OK;
}

// One window over the whole image. Of one pixel that is the pixel: cuDNN has no backward for it.
static int average(bl_lowering *plan, const bl_node *node, bl_gpu_kind kind, const bl_shape *images) {
    const bl_tensor *from = node->inputs[0], *to = node->outputs[0];
    const int height = (int)images->dims[1], width = (int)images->dims[2];
    int buffers[2];
    if (bl_lower_value(plan, from, &buffers[0]) || bl_lower_value(plan, to, &buffers[1])) return BL_FAILED;
    if (height == 1 && width == 1) return bl_lower_step(plan, node, copy_run, buffers, 2, NULL, 0);
    bl_gpu_pattern pattern = {0};
    const bl_gpu_type type = bl_gpu_type_of(from);
    const int operands[] = {image(&pattern, &from->shape, type), image(&pattern, &to->shape, type)};
    bl_gpu_operation *operation = bl_gpu_pattern_add(&pattern, kind, operands, 2);
    operation->kernel = height;
    if (width != height) operation->kernel_width = width;
    operation->stride = 1;
    return bl_gpu_pattern_step(plan, node, &pattern, buffers, NULL);
}

static int lower_average_pool(bl_lowering *plan, const bl_node *node) {
    return average(plan, node, BL_GPU_POOL_AVERAGE, &node->inputs[0]->shape);
}

static int lower_average_pool_backward(bl_lowering *plan, const bl_node *node) {
    return average(plan, node, BL_GPU_POOL_AVERAGE_BACKWARD, &node->outputs[0]->shape);
}

const bl_operator bl_gpu_op_max_pool = {.lower = lower_max_pool};
const bl_operator bl_gpu_op_max_pool_backward = {.lower = lower_max_pool_backward};
const bl_operator bl_gpu_op_global_average_pool = {.lower = lower_average_pool};
const bl_operator bl_gpu_op_global_average_pool_backward = {.lower = lower_average_pool_backward};
