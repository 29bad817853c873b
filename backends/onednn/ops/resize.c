// Bilinear resizing: along columns first, whole rows at a time, then along the row. The backward gathers the same way, so no two threads
// write the same row and sums run in the order of the pixels. Meaning: graph/ops/resize.c.

#include <string.h>

#include "backends/onednn/onednn.h"
#include "backends/onednn/operators.h"
#include "backends/onednn/rows.h"
#include "backends/resize.h"

typedef struct resizing { // from images to resized ones; the backward goes the other way
    size_t images, height, width, out_height, out_width, channels;
    bl_dtype dtype;
    size_t row_floats, out_row_floats; // of workspace
    size_t reaches;                    // where in `tables` they begin, behind the taps; in each those of the rows, then of the columns
    unsigned char tables[];
} resizing;

typedef struct context {
    const resizing *of;
    const void *from;
    void *to;
    float *base; // of the shares' workspaces
} context;

static size_t share_floats(const resizing *of) {
    return 3 * of->row_floats + 2 * of->out_row_floats;
}

static const bl_resize_tap *row_taps(const resizing *of) {
    return (const bl_resize_tap *)of->tables;
}

static const bl_resize_reach *row_reaches(const resizing *of) {
    return (const bl_resize_reach *)(of->tables + of->reaches);
}

BL_CPU_WIDE static void mix(const float *restrict a, const float *restrict b, float part, float *restrict y, size_t count) {
    for (size_t i = 0; i < count; i++) y[i] = (1 - part) * a[i] + part * b[i];
}

BL_CPU_WIDE static void mix_along(const float *restrict x, const bl_resize_tap *taps, size_t pixels, size_t channels, float *restrict y) {
    for (size_t d = 0; d < pixels; d++) {
        const float *low = x + (size_t)taps[d].low * channels, *high = x + (size_t)taps[d].high * channels, part = taps[d].part;
        for (size_t c = 0; c < channels; c++) y[d * channels + c] = (1 - part) * low[c] + part * high[c];
    }
}

BL_CPU_WIDE static void add_weighted(const float *restrict x, float weight, float *restrict sum, size_t count) {
    for (size_t i = 0; i < count; i++) sum[i] += weight * x[i];
}

BL_CPU_WIDE static void gather_along(const float *restrict dy, const bl_resize_tap *taps, const bl_resize_reach *reaches, size_t pixels,
                                     size_t channels, float *restrict dx) {
    for (size_t place = 0; place < pixels; place++) {
        float *sum = dx + place * channels;
        for (size_t c = 0; c < channels; c++) sum[c] = 0;
        for (int32_t d = reaches[place].begin; d < reaches[place].end; d++) {
            const float weight = bl_resize_weight(&taps[d], (int32_t)place), *from = dy + (size_t)d * channels;
            for (size_t c = 0; c < channels; c++) sum[c] += weight * from[c];
        }
    }
}

static void forward_share(const void *passed, int share, int shares) {
    const context *c = passed;
    const resizing *of = c->of;
    const size_t values = of->width * of->channels, out_values = of->out_width * of->channels;
    float *block = c->base + (size_t)share * share_floats(of), *second = block + of->row_floats;
    float *mixed = second + of->row_floats, *other = mixed + of->row_floats;
    const bl_cpu_range range = bl_cpu_share(of->images * of->out_height, 1, share, shares);
    for (size_t row = range.begin; row < range.end; row++) {
        const bl_resize_tap tap = row_taps(of)[row % of->out_height];
        const size_t first = row / of->out_height * of->height;
        const float *low = bl_cpu_load(c->from, of->dtype, (first + (size_t)tap.low) * values, values, block);
        const float *high = bl_cpu_load(c->from, of->dtype, (first + (size_t)tap.high) * values, values, second);
        float *y = bl_cpu_target(c->to, of->dtype, row * out_values, other);
        mix(low, high, tap.part, mixed, values);
        mix_along(mixed, row_taps(of) + of->out_height, of->out_width, of->channels, y);
        bl_cpu_store_rows(c->to, of->dtype, row * out_values, out_values, y);
    }
}

static void backward_share(const void *passed, int share, int shares) {
    const context *c = passed;
    const resizing *of = c->of;
    const size_t values = of->width * of->channels, out_values = of->out_width * of->channels;
    float *block = c->base + (size_t)share * share_floats(of), *gathered = block + of->out_row_floats;
    float *other = gathered + of->out_row_floats;
    const bl_resize_tap *taps = row_taps(of);
    const bl_cpu_range range = bl_cpu_share(of->images * of->height, 1, share, shares);
    for (size_t row = range.begin; row < range.end; row++) {
        const size_t place = row % of->height, first = row / of->height * of->out_height;
        const bl_resize_reach reach = row_reaches(of)[place];
        memset(gathered, 0, out_values * sizeof *gathered);
        for (int32_t d = reach.begin; d < reach.end; d++)
            add_weighted(bl_cpu_load(c->from, of->dtype, (first + (size_t)d) * out_values, out_values, block),
                         bl_resize_weight(&taps[d], (int32_t)place), gathered, out_values);
        float *dx = bl_cpu_target(c->to, of->dtype, row * values, other);
        gather_along(gathered, taps + of->out_height, row_reaches(of) + of->height, of->width, of->channels, dx);
        bl_cpu_store_rows(c->to, of->dtype, row * values, values, dx);
    }
}

// from | to | workspace
static int resize_run(const bl_lowering *plan, const bl_step *step) {
    const context c = {step->state, bl_step_at(plan, step, 0), bl_step_at(plan, step, 1), bl_step_at(plan, step, 2)};
    bl_cpu_parallel(bl_cpu_threads(plan), step->node->op == BL_OP_RESIZE ? forward_share : backward_share, &c);
    return BL_OK;
}

static size_t rounded(size_t floats) {
    return (floats + 15) / 16 * 16;
}

// The shapes and tables of a node, in one allocation.
static resizing *resizing_of(const bl_tensor *image, const bl_tensor *resized, size_t *bytes) {
    const int64_t *from = image->shape.dims, *to = resized->shape.dims;
    const size_t taps = (size_t)(to[1] + to[2]) * sizeof(bl_resize_tap), reaches = (size_t)(from[1] + from[2]) * sizeof(bl_resize_reach);
    *bytes = sizeof(resizing) + taps + reaches;
    resizing *made = bl_alloc(*bytes);
    if (!made) return NULL;
    *made = (resizing){.images = (size_t)from[0], .height = (size_t)from[1], .width = (size_t)from[2], .out_height = (size_t)to[1],
                       .out_width = (size_t)to[2], .channels = (size_t)from[3], .dtype = image->dtype, .reaches = taps};
    made->row_floats = rounded(made->width * made->channels);
    made->out_row_floats = rounded(made->out_width * made->channels);
    for (int axis = 0; axis < 2; axis++) {
        bl_resize_tap *some = (bl_resize_tap *)made->tables + (axis ? to[1] : 0);
        bl_resize_taps(from[1 + axis], to[1 + axis], some);
        bl_resize_reaches(from[1 + axis], to[1 + axis], some, (bl_resize_reach *)(made->tables + made->reaches) + (axis ? from[1] : 0));
    }
    return made;
}

static int lower_resize(bl_lowering *plan, const bl_node *node) {
    const bl_tensor *from = node->inputs[0], *to = node->outputs[0];
    const bool is_forward = node->op == BL_OP_RESIZE;
    size_t bytes;
    int buffers[3];
    resizing *of = resizing_of(is_forward ? from : to, is_forward ? to : from, &bytes);
    if (!of) return BL_FAILED;
    const size_t workspace = (size_t)bl_cpu_threads(plan) * share_floats(of) * sizeof(float);
    plan->rows[node->id].bytes += workspace;
    const int status = bl_lower_value(plan, from, &buffers[0]) || bl_lower_value(plan, to, &buffers[1]) ||
                                       bl_lower_buffer(plan, workspace, &buffers[2]) ||
                                       bl_lower_step(plan, node, resize_run, buffers, 3, of, bytes)
                               ? BL_FAILED
                               : BL_OK;
    bl_free(of);
    return status;
}

const bl_operator bl_cpu_op_resize = {.lower = lower_resize};
const bl_operator bl_cpu_op_resize_backward = {.lower = lower_resize};
