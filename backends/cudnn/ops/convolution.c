// Convolutions by cuDNN: NHWC images, weights as the store keeps them (OHWI is cuDNN's KRSC).
//
// Images have three channels, and tensor cores want eight: where they are used, a convolution that reads a graph input works on a copy
// with zeros behind (one copy, whoever reads it), on weights padded alike, and drops those channels of the weights' gradient. The
// zeros change no sum. Nothing needs the gradient of an image.

#include "backends/cudnn/engine_step.h"
#include "backends/cudnn/gpu.h"
#include "backends/cudnn/kernels/pointwise.h"
#include "backends/cudnn/operators.h"
#include "backends/cudnn/weights.h"

#define CHANNELS 8 // what the tensor cores' engines take at once

typedef struct convolution {
    const bl_shape *x, *w, *y;
    bl_gpu_type type;
    bool is_half;
    int from, to; // channels of x: as it is, as cuDNN sees it
} convolution;

static bool wants_padding(const bl_lowering *plan, const bl_tensor *x) {
    return x->role == BL_ROLE_INPUT && x->shape.dims[3] % CHANNELS && (bl_gpu_is_half(x) || bl_gpu_allows_tf32(plan));
}

static convolution convolution_of(const bl_lowering *plan, const bl_node *node) {
    const bl_tensor *first = node->inputs[0], *second = node->inputs[1];
    const bl_shape *given = &node->attributes.shape;
    convolution c = {.type = bl_gpu_type_of(first), .is_half = bl_gpu_is_half(first)};
    switch (node->op) {
    case BL_OP_CONVOLUTION: c.x = &first->shape, c.w = &second->shape, c.y = &node->outputs[0]->shape; break;
    case BL_OP_CONVOLUTION_BACKWARD_DATA: c.x = given, c.w = &second->shape, c.y = &first->shape; break;
    default: c.x = &first->shape, c.w = given, c.y = &second->shape; break;
    }
    c.from = c.to = (int)c.x->dims[3];
    if (node->op != BL_OP_CONVOLUTION_BACKWARD_DATA && wants_padding(plan, first)) c.to = (c.from + CHANNELS - 1) / CHANNELS * CHANNELS;
    return c;
}

// buffers: in the order of the kind's operands.
static int convolution_step(bl_lowering *plan, const bl_node *node, const convolution *c, bl_gpu_kind kind, const int buffers[3]) {
    const bl_shape *shapes[3] = {c->x, c->w, c->y};
    if (kind == BL_GPU_CONVOLUTION_DATA) shapes[0] = c->y, shapes[2] = c->x;
    if (kind == BL_GPU_CONVOLUTION_WEIGHTS) shapes[1] = c->y, shapes[2] = c->w;
    bl_gpu_pattern pattern = {.allows_tf32 = bl_gpu_allows_tf32(plan)};
    int operands[3];
    for (int i = 0; i < 3; i++) {
        const int64_t *dims = shapes[i]->dims;
        operands[i] = bl_gpu_pattern_image(&pattern, c->type, dims[0], dims[1], dims[2], shapes[i] == c->y ? dims[3] : c->to, false);
    }
    bl_gpu_operation *operation = bl_gpu_pattern_add(&pattern, kind, operands, 3);
    operation->kernel = node->attributes.kernel;
    operation->stride = node->attributes.stride;
    operation->padding = node->attributes.padding;
    operation->dilation = node->attributes.dilation;
    return bl_gpu_pattern_step(plan, node, &pattern, buffers, NULL);
}

// ---- channels ----

typedef struct rows {
    int64_t count;
    int from, to; // values of a row
    bool from_half, to_half;
} rows;

// from | to
static int resize_run(const bl_lowering *plan, const bl_step *step) {
    const rows *r = step->state;
    const void *from = bl_step_at(plan, step, 0);
    bl_gpu_resize_rows(bl_gpu_stream(plan), from, r->from_half, r->count, r->from, bl_step_at(plan, step, 1), r->to_half, r->to);
    return BL_OK;
}

// x, or its padded copy: made once, from the staged f32 batch itself.
static int images(bl_lowering *plan, const bl_tensor *x, const convolution *c, int *buffer) {
    if (c->from == c->to) return bl_lower_value(plan, x, buffer);
    *buffer = bl_lower_attached(plan, x, "padded");
    if (*buffer >= 0) return BL_OK;
    const rows r = {bl_shape_count(&x->shape) / c->from, c->from, c->to, false, c->is_half};
    const size_t bytes = (size_t)(r.count * r.to) * (c->is_half ? sizeof(uint16_t) : sizeof(float));
    int staged;
    if (bl_lower_staged(plan, x, &staged) || bl_lower_buffer(plan, bytes, buffer) || bl_lower_attach(plan, x, "padded", *buffer))
        return BL_FAILED;
    return bl_lower_step(plan, NULL, resize_run, (int[]){staged, *buffer}, 2, &r, sizeof r);
}

// ---- nodes ----

static int lower_convolution(bl_lowering *plan, const bl_node *node) {
    const convolution c = convolution_of(plan, node);
    int buffers[3];
    if (images(plan, node->inputs[0], &c, &buffers[0]) || bl_gpu_weights(plan, node->inputs[1], c.is_half, c.from, c.to, &buffers[1]) ||
        bl_lower_value(plan, node->outputs[0], &buffers[2]))
        return BL_FAILED;
    return convolution_step(plan, node, &c, BL_GPU_CONVOLUTION, buffers);
}

static int lower_convolution_backward_data(bl_lowering *plan, const bl_node *node) {
    const convolution c = convolution_of(plan, node);
    int buffers[3];
    if (bl_lower_value(plan, node->inputs[0], &buffers[0]) ||
        bl_gpu_weights(plan, node->inputs[1], c.is_half, c.from, c.to, &buffers[1]) || bl_lower_value(plan, node->outputs[0], &buffers[2]))
        return BL_FAILED;
    return convolution_step(plan, node, &c, BL_GPU_CONVOLUTION_DATA, buffers);
}

// From bf16 images cuDNN makes bf16 gradients: its fast engines sum in f32 and write bf16, as under PyTorch's autocast, and f32 results
// come only from slower engines compiled at run time. They are widened into the f32 tensor, which may lie in the gradient block.
static int lower_convolution_backward_weights(bl_lowering *plan, const bl_node *node) {
    const convolution c = convolution_of(plan, node);
    const rows r = {bl_shape_count(c.w) / c.from, c.to, c.from, c.is_half, false};
    const bool is_direct = !c.is_half && c.from == c.to;
    const size_t bytes = (size_t)(r.count * r.from) * (c.is_half ? sizeof(uint16_t) : sizeof(float));
    int buffers[3], dw;
    if (images(plan, node->inputs[0], &c, &buffers[0]) || bl_lower_value(plan, node->inputs[1], &buffers[1]) ||
        bl_lower_value(plan, node->outputs[0], &dw))
        return BL_FAILED;
    buffers[2] = dw;
    if (!is_direct && bl_lower_buffer(plan, bytes, &buffers[2])) return BL_FAILED;
    if (convolution_step(plan, node, &c, BL_GPU_CONVOLUTION_WEIGHTS, buffers)) return BL_FAILED;
    if (is_direct) return BL_OK;
    plan->rows[node->id].bytes += bytes;
    return bl_lower_step(plan, node, resize_run, (int[]){buffers[2], dw}, 2, &r, sizeof r);
}

const bl_operator bl_gpu_op_convolution = {.lower = lower_convolution};
const bl_operator bl_gpu_op_convolution_backward_data = {.lower = lower_convolution_backward_data};
const bl_operator bl_gpu_op_convolution_backward_weights = {.lower = lower_convolution_backward_weights};
