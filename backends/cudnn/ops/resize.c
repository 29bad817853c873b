// Bilinear resizing: kernels/resize.cu, with tables made here. Meaning: graph/ops/resize.c.

#include "backends/cudnn/constants.h"
#include "backends/cudnn/gpu.h"
#include "backends/cudnn/kernels/resize.h"
#include "backends/cudnn/operators.h"
#include "base/memory.h" // bl_alloc

static bl_gpu_resizing resizing_of(const bl_shape *image, const bl_shape *resized) {
    return (bl_gpu_resizing){.images = image->dims[0],
                             .height = (int)image->dims[1],
                             .width = (int)image->dims[2],
                             .out_height = (int)resized->dims[1],
                             .out_width = (int)resized->dims[2],
                             .channels = (int)image->dims[3]};
}

// from | to | taps, reaches
static int resize_run(const bl_lowering *plan, const bl_step *step) {
    bl_gpu_resizing of = *(const bl_gpu_resizing *)step->state;
    const bool is_half = bl_gpu_is_half(step->node->inputs[0]);
    of.taps = bl_step_at(plan, step, 2);
    of.reaches = bl_step_at(plan, step, 3);
    if (step->node->op == BL_OP_RESIZE)
        bl_gpu_resize(bl_gpu_stream(plan), &of, bl_step_at(plan, step, 0), is_half, bl_step_at(plan, step, 1));
    else
        bl_gpu_resize_backward(bl_gpu_stream(plan), &of, bl_step_at(plan, step, 0), is_half, bl_step_at(plan, step, 1));
    return BL_OK;
}

// Both axes' tables as constants of the plan, the rows' first.
static int add_tables(bl_lowering *plan, const bl_gpu_resizing *of, int *taps_buffer, int *reaches_buffer) {
    const size_t tap_bytes = (size_t)(of->out_height + of->out_width) * sizeof(bl_resize_tap);
    const size_t reach_bytes = (size_t)(of->height + of->width) * sizeof(bl_resize_reach);
    bl_resize_tap *taps = bl_alloc(tap_bytes);
    bl_resize_reach *reaches = bl_alloc(reach_bytes);
    int status = BL_FAILED;
    if (taps && reaches) {
        bl_resize_taps(of->height, of->out_height, taps);
        bl_resize_taps(of->width, of->out_width, taps + of->out_height);
        bl_resize_reaches(of->height, of->out_height, taps, reaches);
        bl_resize_reaches(of->width, of->out_width, taps + of->out_height, reaches + of->height);
        if (!bl_gpu_constant_add(plan, taps, tap_bytes, taps_buffer))
            status = bl_gpu_constant_add(plan, reaches, reach_bytes, reaches_buffer);
    }
    bl_free(taps);
    bl_free(reaches);
    return status;
}

static int lower_resize(bl_lowering *plan, const bl_node *node) {
    const bl_tensor *from = node->inputs[0], *to = node->outputs[0];
    const bool is_forward = node->op == BL_OP_RESIZE;
    const bl_gpu_resizing of = resizing_of(is_forward ? &from->shape : &to->shape, is_forward ? &to->shape : &from->shape);
    int buffers[4];
    if (bl_lower_value(plan, from, &buffers[0]) || bl_lower_value(plan, to, &buffers[1]) || add_tables(plan, &of, &buffers[2], &buffers[3]))
        return BL_FAILED;
    return bl_lower_step(plan, node, resize_run, buffers, 4, &of, sizeof of);
}

const bl_operator bl_gpu_op_resize = {.lower = lower_resize};
const bl_operator bl_gpu_op_resize_backward = {.lower = lower_resize};
