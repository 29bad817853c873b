// Global average pooling and the gradient of a bias: sums and copies over rows.

#include <string.h>

#include "backends/onednn/onednn.h"
#include "backends/onednn/operators.h"
#include "backends/onednn/rows.h"

typedef struct planes { // images of `rows` pixels of `channels` values; or one image, for the bias gradient
    size_t images, rows, channels;
    bl_dtype dtype;
    bl_lines lines; // of the images
} planes;

typedef struct plane_operands {
    planes of;
    const void *x;
    void *y;
    float *base;
} plane_operands;

// A share's workspace: channel sums (f64, f32), and a block of rows.
static size_t plane_floats(const planes *p) {
    return (3 * p->channels + bl_cpu_block_rows(p->channels) * p->channels + 31) / 16 * 16;
}

static int add_plane_step(bl_lowering *plan, const bl_node *node, bl_step_run *run, const planes *of) {
    int buffers[3];
    const size_t bytes = (size_t)bl_cpu_threads(plan) * plane_floats(of) * sizeof(float);
    if (bl_lower_value(plan, node->inputs[0], &buffers[0]) || bl_lower_value(plan, node->outputs[0], &buffers[1])) return BL_FAILED;
    if (bl_lower_buffer(plan, bytes, &buffers[2])) return BL_FAILED;
    plan->rows[node->id].bytes += bytes;
    return bl_lower_step(plan, node, run, buffers, 3, of, sizeof *of);
}

static int run_planes(const bl_lowering *plan, const bl_step *step, void (*body)(const void *, int, int)) {
    const plane_operands o = {*(const planes *)step->state, bl_step_at(plan, step, 0), bl_step_at(plan, step, 1), bl_step_at(plan, step, 2)};
    bl_cpu_parallel(bl_cpu_threads(plan), body, &o);
    return BL_OK;
}

static void pool_share(const void *passed, int share, int shares) {
    const plane_operands *o = passed;
    const size_t rows = o->of.rows, channels = o->of.channels, step = bl_cpu_block_rows(channels);
    double *sum = (double *)(o->base + (size_t)share * plane_floats(&o->of));
    float *part = (float *)(sum + channels), *block = part + channels;
    const bl_cpu_range range = bl_cpu_share(o->of.images, 1, share, shares);
    memset(part, 0, channels * sizeof(float));
    for (size_t image = range.begin; image < range.end; image++) {
        memset(sum, 0, channels * sizeof(double));
        for (size_t row = 0, count; row < rows; row += count) {
            const size_t beside = o->of.lines.strips.places ? o->of.lines.width - row % o->of.lines.width : rows - row;
            count = beside < step ? beside : step;
            const float *x = bl_cpu_load(o->x, o->of.dtype, bl_lines_at(&o->of.lines, image * rows + row), count * channels, block);
            bl_cpu_column_sums(x, count, channels, part);
            bl_cpu_fold(part, sum, channels);
        }
        float *y = bl_cpu_target(o->y, o->of.dtype, image * channels, block);
        for (size_t c = 0; c < channels; c++) y[c] = (float)(sum[c] / (double)rows);
        bl_cpu_store_rows(o->y, o->of.dtype, image * channels, channels, y);
    }
}

static void pool_backward_share(const void *passed, int share, int shares) {
    const plane_operands *o = passed;
    const size_t rows = o->of.rows, channels = o->of.channels, bytes = channels * bl_cpu_size(o->of.dtype);
    float *block = o->base + (size_t)share * plane_floats(&o->of);
    const bl_cpu_range range = bl_cpu_share(o->of.images, 1, share, shares);
    for (size_t image = range.begin; image < range.end; image++) {
        const float *dy = bl_cpu_load(o->x, o->of.dtype, image * channels, channels, block);
        const size_t first = bl_lines_at(&o->of.lines, image * rows);
        float *dx = bl_cpu_target(o->y, o->of.dtype, first, block);
        for (size_t c = 0; c < channels; c++) dx[c] = dy[c] / (float)rows;
        bl_cpu_store_rows(o->y, o->of.dtype, first, channels, dx);
        const void *pixel = bl_cpu_from(o->y, o->of.dtype, first);
        for (size_t row = 1; row < rows; row++)
            memcpy(bl_cpu_from(o->y, o->of.dtype, bl_lines_at(&o->of.lines, image * rows + row)), pixel, bytes);
        bl_lines_clear(&o->of.lines, o->y, bl_cpu_size(o->of.dtype), image * rows, rows);
    }
}

// Shares are channels here: a head has few rows and many of them.
static void bias_share(const void *passed, int share, int shares) {
    const plane_operands *o = passed;
    const size_t rows = o->of.rows, channels = o->of.channels;
    const bl_cpu_range range = bl_cpu_share(channels, 16, share, shares);
    if (range.begin >= range.end) return;
    const size_t width = range.end - range.begin;
    double *sum = (double *)(o->base + (size_t)share * plane_floats(&o->of));
    float *part = (float *)(sum + channels), *block = part + channels;
    memset(sum, 0, width * sizeof(double));
    memset(part, 0, width * sizeof(float));
    for (size_t row = 0; row < rows; row++) {
        const float *x = bl_cpu_load(o->x, o->of.dtype, row * channels + range.begin, width, block);
        bl_cpu_column_sums(x, 1, width, part);
        if (row % 32 == 31 || row == rows - 1) bl_cpu_fold(part, sum, width);
    }
    for (size_t c = 0; c < width; c++) ((float *)o->y)[range.begin + c] = (float)sum[c];
}

static int pool_run(const bl_lowering *plan, const bl_step *step) {
    return run_planes(plan, step, pool_share);
}

static int pool_backward_run(const bl_lowering *plan, const bl_step *step) {
    return run_planes(plan, step, pool_backward_share);
}

static int bias_run(const bl_lowering *plan, const bl_step *step) {
    return run_planes(plan, step, bias_share);
}

static planes planes_of(const bl_lowering *plan, const bl_tensor *images) {
    const int64_t *dims = images->shape.dims;
    return (planes){(size_t)dims[0], (size_t)(dims[1] * dims[2]), (size_t)dims[3], images->dtype, bl_cpu_lines(plan, images)};
}

static int lower_pool(bl_lowering *plan, const bl_node *node) {
    const planes of = planes_of(plan, node->inputs[0]);
    return add_plane_step(plan, node, pool_run, &of);
}

static int lower_pool_backward(bl_lowering *plan, const bl_node *node) {
    const planes of = planes_of(plan, node->outputs[0]);
    return add_plane_step(plan, node, pool_backward_run, &of);
}

static int lower_linear_backward_bias(bl_lowering *plan, const bl_node *node) {
    const bl_tensor *dy = node->inputs[0];
    const planes of = {1, (size_t)bl_shape_rows(&dy->shape), (size_t)node->outputs[0]->shape.dims[0], dy->dtype, bl_cpu_lines(plan, dy)};
    return add_plane_step(plan, node, bias_run, &of);
}

const bl_operator bl_cpu_op_global_average_pool = {.lower = lower_pool};
const bl_operator bl_cpu_op_global_average_pool_backward = {.lower = lower_pool_backward};
const bl_operator bl_cpu_op_linear_backward_bias = {.lower = lower_linear_backward_bias};
