// Max pooling. The backward finds each window's winner again, then each pixel gathers from the windows that it won: no two threads
// write the same row, and sums run in the windows' order.

#include "backends/onednn/onednn.h"
#include "backends/onednn/operators.h"
#include "backends/onednn/rows.h"

typedef struct pooling {
    bl_cpu_windows windows; // of each image
    size_t images;
    bl_dtype dtype;
    size_t share_floats;    // of workspace
} pooling;

typedef struct operands {
    pooling of;
    const void *x, *dy;
    void *result;     // y, dx
    int32_t *winners; // of every window
    float *base;      // of the shares' workspaces
} operands;

static pooling pooling_of(const bl_node *node, const bl_shape *y) {
    const bl_tensor *x = node->inputs[0];
    const bl_attributes *a = &node->attributes;
    const bl_cpu_windows windows = {(size_t)x->shape.dims[1], (size_t)x->shape.dims[2], (size_t)x->shape.dims[3], (size_t)y->dims[1],
                                    (size_t)y->dims[2],       (size_t)a->kernel,        (size_t)a->stride,        (size_t)a->padding};
    return (pooling){windows, (size_t)x->shape.dims[0], x->dtype, (windows.out_width * windows.channels + 15) / 16 * 16};
}

static const void *image_of(const operands *o, size_t image) {
    const bl_cpu_windows *w = &o->of.windows;
    return bl_cpu_from(o->x, o->of.dtype, image * w->height * w->width * w->channels);
}

static void forward_share(const void *passed, int share, int shares) {
    const operands *o = passed;
    const bl_cpu_windows *w = &o->of.windows;
    const size_t row_values = w->out_width * w->channels;
    const bl_cpu_range range = bl_cpu_share(o->of.images * w->out_height, 1, share, shares);
    for (size_t row = range.begin; row < range.end; row++)
        bl_cpu_largest(w, image_of(o, row / w->out_height), o->of.dtype, row % w->out_height,
                       bl_cpu_from(o->result, o->of.dtype, row * row_values), NULL);
}

static void winners_share(const void *passed, int share, int shares) {
    const operands *o = passed;
    const bl_cpu_windows *w = &o->of.windows;
    float *y = o->base + (size_t)share * o->of.share_floats;
    const bl_cpu_range range = bl_cpu_share(o->of.images * w->out_height, 1, share, shares);
    for (size_t row = range.begin; row < range.end; row++)
        bl_cpu_largest(w, image_of(o, row / w->out_height), o->of.dtype, row % w->out_height, y,
                       o->winners + row * w->out_width * w->channels);
}

static void gather_share(const void *passed, int share, int shares) {
    const operands *o = passed;
    const bl_cpu_windows *w = &o->of.windows;
    const size_t windows = w->out_height * w->out_width * w->channels;
    float *sum = o->base + (size_t)share * o->of.share_floats;
    const bl_cpu_range range = bl_cpu_share(o->of.images * w->height, 1, share, shares);
    for (size_t row = range.begin; row < range.end; row++) {
        const size_t image = row / w->height;
        bl_cpu_largest_backward(w, bl_cpu_from(o->dy, o->of.dtype, image * windows), o->of.dtype, o->winners + image * windows,
                                row % w->height, bl_cpu_from(o->result, o->of.dtype, row * w->width * w->channels), sum);
    }
}

static int forward_run(const bl_lowering *plan, const bl_step *step) {
    const operands o = {.of = *(const pooling *)step->state, .x = bl_step_at(plan, step, 0), .result = bl_step_at(plan, step, 1)};
    bl_cpu_parallel(bl_cpu_threads(plan), forward_share, &o);
    return BL_OK;
}

static int backward_run(const bl_lowering *plan, const bl_step *step) {
    const operands o = {*(const pooling *)step->state,  bl_step_at(plan, step, 0), bl_step_at(plan, step, 1), bl_step_at(plan, step, 2),
                        bl_step_at(plan, step, 3),       bl_step_at(plan, step, 4)};
    bl_cpu_parallel(bl_cpu_threads(plan), winners_share, &o);
    bl_cpu_parallel(bl_cpu_threads(plan), gather_share, &o);
    return BL_OK;
}

static int lower_max_pool(bl_lowering *plan, const bl_node *node) {
    const pooling of = pooling_of(node, &node->outputs[0]->shape);
    int buffers[2];
    if (bl_lower_value(plan, node->inputs[0], &buffers[0]) || bl_lower_value(plan, node->outputs[0], &buffers[1])) return BL_FAILED;
    return bl_lower_step(plan, node, forward_run, buffers, 2, &of, sizeof of);
}

static int lower_max_pool_backward(bl_lowering *plan, const bl_node *node) {
    const bl_tensor *x = node->inputs[0], *dy = node->inputs[1];
    const pooling of = pooling_of(node, &dy->shape);
    const size_t winners = (size_t)bl_shape_count(&dy->shape) * sizeof(int32_t);
    const size_t rows = (size_t)bl_cpu_threads(plan) * of.share_floats * sizeof(float);
    int buffers[5];
    if (bl_lower_value(plan, x, &buffers[0]) || bl_lower_value(plan, dy, &buffers[1]) || bl_lower_value(plan, node->outputs[0], &buffers[2]) ||
        bl_lower_buffer(plan, winners, &buffers[3]) || bl_lower_buffer(plan, rows, &buffers[4]))
        return BL_FAILED;
    plan->rows[node->id].bytes += winners + rows;
    return bl_lower_step(plan, node, backward_run, buffers, 5, &of, sizeof of);
}

const bl_operator bl_cpu_op_max_pool = {.lower = lower_max_pool};
const bl_operator bl_cpu_op_max_pool_backward = {.lower = lower_max_pool_backward};
