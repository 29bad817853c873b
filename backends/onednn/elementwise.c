// ReLU, addition and accumulation standing alone, pooling, the bias gradient, and the conversion of inputs.

#include <string.h>

#include "backends/onednn/onednn.h"
#include "backends/onednn/rows.h"

typedef struct values {
    size_t count;
    bl_dtype dtype;
} values;

typedef struct operands {
    values of;
    const void *a, *b;
    void *y;
} operands;

static int add_step(bl_cpu_plan *plan, const bl_node *node, int (*run)(const bl_cpu_plan *, const bl_cpu_step *), const bl_tensor *a,
                    const bl_tensor *b, const bl_tensor *y) {
    const values of = {bl_cpu_values(plan, y), y->dtype};
    int buffers[3];
    if (bl_cpu_value(plan, a, &buffers[0]) || bl_cpu_value(plan, b, &buffers[1]) || bl_cpu_value(plan, y, &buffers[2])) return BL_FAILED;
    return bl_cpu_step_add(plan, node, run, buffers, 3, &of, sizeof of);
}

static int run_shares(const bl_cpu_plan *plan, const bl_cpu_step *step, void (*body)(const void *, int, int)) {
    const operands o = {*(const values *)step->state, bl_cpu_at(plan, step, 0), bl_cpu_at(plan, step, 1), bl_cpu_at(plan, step, 2)};
    bl_cpu_parallel(plan->backend->threads, body, &o);
    return BL_OK;
}

// A share's part of the operands.
static operands part_of(const void *passed, int share, int shares) {
    const operands *o = passed;
    const bl_cpu_range range = bl_cpu_share(o->of.count, 64, share, shares);
    return (operands){{range.end > range.begin ? range.end - range.begin : 0, o->of.dtype},
                      bl_cpu_from(o->a, o->of.dtype, range.begin),
                      bl_cpu_from(o->b, o->of.dtype, range.begin),
                      bl_cpu_from(o->y, o->of.dtype, range.begin)};
}

static void relu_share(const void *passed, int share, int shares) {
    const operands o = part_of(passed, share, shares);
    bl_cpu_rectify(o.a, o.y, o.of.dtype, o.of.count);
}

static void relu_backward_share(const void *passed, int share, int shares) {
    const operands o = part_of(passed, share, shares);
    bl_cpu_mask(o.a, o.b, o.y, o.of.dtype, o.of.count);
}

static void add_share(const void *passed, int share, int shares) {
    const operands o = part_of(passed, share, shares);
    bl_cpu_sum(o.a, o.b, o.y, o.of.dtype, o.of.count);
}

static void copy_share(const void *passed, int share, int shares) {
    const operands o = part_of(passed, share, shares);
    memcpy(o.y, o.a, o.of.count * sizeof(float));
}

static void narrow_share(const void *passed, int share, int shares) {
    const operands *o = passed;
    const bl_cpu_range range = bl_cpu_share(o->of.count, 64, share, shares);
    if (range.begin < range.end) bl_cpu_narrow((const float *)o->a + range.begin, (uint16_t *)o->y + range.begin, range.end - range.begin);
}

static int relu_run(const bl_cpu_plan *plan, const bl_cpu_step *step) {
    return run_shares(plan, step, relu_share);
}

static int relu_backward_run(const bl_cpu_plan *plan, const bl_cpu_step *step) {
    return run_shares(plan, step, relu_backward_share);
}

static int add_run(const bl_cpu_plan *plan, const bl_cpu_step *step) {
    return run_shares(plan, step, add_share);
}

static int narrow_run(const bl_cpu_plan *plan, const bl_cpu_step *step) {
    return run_shares(plan, step, narrow_share);
}

static int copy_run(const bl_cpu_plan *plan, const bl_cpu_step *step) {
    return run_shares(plan, step, copy_share);
}

int bl_cpu_relu(bl_cpu_plan *plan, const bl_node *node) {
    return add_step(plan, node, relu_run, node->inputs[0], NULL, node->outputs[0]);
}

int bl_cpu_relu_backward(bl_cpu_plan *plan, const bl_node *node) {
    return add_step(plan, node, relu_backward_run, node->inputs[0], node->inputs[1], node->outputs[0]);
}

int bl_cpu_add(bl_cpu_plan *plan, const bl_node *node) {
    return add_step(plan, node, add_run, node->inputs[0], node->inputs[1], node->outputs[0]);
}

int bl_cpu_accumulate(bl_cpu_plan *plan, const bl_node *node) {
    const bl_tensor *made = node->inputs[0], *gradient = node->inputs[1];
    int from, to;
    if (!plan->uses.fusion[node->id].is_first) return add_step(plan, node, add_run, gradient, made, gradient);
    if (bl_cpu_value(plan, made, &from) || bl_cpu_value(plan, gradient, &to)) return BL_FAILED;
    if (from != to) return add_step(plan, node, copy_run, made, NULL, gradient);
    bl_cpu_note(plan, node, "written in place");
    return BL_OK;
}

int bl_cpu_convert_input(bl_cpu_plan *plan, const bl_tensor *input, int staged, int converted) {
    const values of = {(size_t)bl_shape_count(&input->shape), input->dtype};
    return bl_cpu_step_add(plan, NULL, narrow_run, (int[]){staged, -1, converted}, 3, &of, sizeof of);
}

// ---- sums and copies over rows ----

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

static int add_plane_step(bl_cpu_plan *plan, const bl_node *node, int (*run)(const bl_cpu_plan *, const bl_cpu_step *), const planes *of) {
    int buffers[3];
    const size_t bytes = (size_t)plan->backend->threads * plane_floats(of) * sizeof(float);
    if (bl_cpu_value(plan, node->inputs[0], &buffers[0]) || bl_cpu_value(plan, node->outputs[0], &buffers[1])) return BL_FAILED;
    if (bl_cpu_buffer_add(plan, bytes, &buffers[2])) return BL_FAILED;
    plan->rows[node->id].bytes += bytes;
    return bl_cpu_step_add(plan, node, run, buffers, 3, of, sizeof *of);
}

static int run_planes(const bl_cpu_plan *plan, const bl_cpu_step *step, void (*body)(const void *, int, int)) {
    const plane_operands o = {*(const planes *)step->state, bl_cpu_at(plan, step, 0), bl_cpu_at(plan, step, 1), bl_cpu_at(plan, step, 2)};
    bl_cpu_parallel(plan->backend->threads, body, &o);
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
        bl_cpu_part_images(&o->of.lines, o->y, o->of.dtype, image * rows, rows);
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

static int pool_run(const bl_cpu_plan *plan, const bl_cpu_step *step) {
    return run_planes(plan, step, pool_share);
}

static int pool_backward_run(const bl_cpu_plan *plan, const bl_cpu_step *step) {
    return run_planes(plan, step, pool_backward_share);
}

static int bias_run(const bl_cpu_plan *plan, const bl_cpu_step *step) {
    return run_planes(plan, step, bias_share);
}

static planes planes_of(const bl_cpu_plan *plan, const bl_tensor *images) {
    const int64_t *dims = images->shape.dims;
    return (planes){(size_t)dims[0], (size_t)(dims[1] * dims[2]), (size_t)dims[3], images->dtype, bl_cpu_lines(plan, images)};
}

int bl_cpu_pool(bl_cpu_plan *plan, const bl_node *node) {
    const planes of = planes_of(plan, node->inputs[0]);
    return add_plane_step(plan, node, pool_run, &of);
}

int bl_cpu_pool_backward(bl_cpu_plan *plan, const bl_node *node) {
    const planes of = planes_of(plan, node->outputs[0]);
    return add_plane_step(plan, node, pool_backward_run, &of);
}

int bl_cpu_linear_backward_bias(bl_cpu_plan *plan, const bl_node *node) {
    const bl_tensor *dy = node->inputs[0];
    const planes of = {1, (size_t)bl_shape_rows(&dy->shape), (size_t)node->outputs[0]->shape.dims[0], dy->dtype, bl_cpu_lines(plan, dy)};
    return add_plane_step(plan, node, bias_run, &of);
}
