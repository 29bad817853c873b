// The loss, its gradient and the projection's spread: small, so all in f64. Meanings: graph/ops/loss.c.

#include <math.h>
#include <string.h>

#include "backends/onednn/onednn.h"
#include "backends/onednn/operators.h"
#include "backends/onednn/rows.h"

#define SMALLEST_NORM 1e-8

typedef struct pairing {
    size_t rows, width, batch; // batch: rows of a view
    size_t compared;           // rows of p that count: all, or those of view 1
    bool crossed;
    bl_normalization normalization;
    double divisor, offset;    // loss = sum of the rows' distances / divisor + offset
    bl_dtype dtype;
} pairing;

typedef struct context {
    const pairing *pairs;
    const void *p, *z;
    void *dp, *dz;
    double *of_row;
    float *base; // three rows a share
} context;

static pairing pairing_of(const bl_node *node) {
    const bl_attributes *a = &node->attributes;
    const bl_tensor *p = node->inputs[0];
    const size_t rows = (size_t)p->shape.dims[0], batch = rows / (size_t)a->groups;
    // Halves are of two directions each: one alone is halved once.
    const double parts = a->reduction == BL_REDUCE_SUM ? 1 : a->reduction == BL_REDUCE_MEAN || a->one_direction ? 2 : 4;
    return (pairing){.rows = rows,
                     .width = (size_t)p->shape.dims[1],
                     .batch = batch,
                     .compared = a->one_direction ? batch : rows,
                     .crossed = a->pairing == BL_CROSSED,
                     .normalization = a->normalization,
                     .divisor = parts * (double)batch,
                     .offset = a->reduction == BL_REDUCE_HALF ? -1 : 0,
                     .dtype = p->dtype};
}

static size_t row_floats(const pairing *pairs) {
    return (pairs->width + 15) / 16 * 16;
}

static size_t partner(const pairing *pairs, size_t row) {
    return pairs->crossed ? (row + pairs->batch) % pairs->rows : row;
}

static double dot(const float *a, const float *b, size_t count) {
    double lanes[8] = {0}, sum = 0;
    size_t i = 0;
    for (; i + 8 <= count; i += 8)
        for (size_t k = 0; k < 8; k++) lanes[k] += (double)a[i + k] * (double)b[i + k];
    for (; i < count; i++) sum += (double)a[i] * (double)b[i];
    for (size_t k = 0; k < 8; k++) sum += lanes[k];
    return sum;
}

// A NaN stays one, as fmax would not let it.
static double clamped_norm(const float *a, size_t count) {
    const double norm = sqrt(dot(a, a, count));
    return norm < SMALLEST_NORM ? SMALLEST_NORM : norm;
}

// A row as its distance is taken: layer norm without its length is the row minus its mean.
static const float *load_row(const pairing *pairs, const void *data, size_t row, float *block) {
    const float *x = bl_cpu_load(data, pairs->dtype, row * pairs->width, pairs->width, block);
    if (pairs->normalization != BL_NORMALIZE_LAYER_NORM) return x;
    double sum = 0;
    for (size_t i = 0; i < pairs->width; i++) sum += (double)x[i];
    const double mean = sum / (double)pairs->width;
    for (size_t i = 0; i < pairs->width; i++) block[i] = (float)((double)x[i] - mean);
    return block;
}

static double squared_distance(const float *a, const float *b, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sum;
}

static double distance(const pairing *pairs, const float *p, const float *z) {
    if (pairs->normalization == BL_NORMALIZE_NONE) return squared_distance(p, z, pairs->width);
    return 2 - 2 * dot(p, z, pairs->width) / (clamped_norm(p, pairs->width) * clamped_norm(z, pairs->width));
}

static void loss_share(const void *passed, int share, int shares) {
    const context *c = passed;
    const pairing *pairs = c->pairs;
    float *block = c->base + (size_t)share * 3 * row_floats(pairs), *other = block + row_floats(pairs);
    const bl_cpu_range range = bl_cpu_share(pairs->compared, 1, share, shares);
    for (size_t row = range.begin; row < range.end; row++)
        c->of_row[row] = distance(pairs, load_row(pairs, c->p, row, block), load_row(pairs, c->z, partner(pairs, row), other));
}

// p, z | loss | of every row, workspace
static int loss_run(const bl_lowering *plan, const bl_step *step) {
    const pairing *pairs = step->state;
    const context c = {.pairs = pairs,
                       .p = bl_step_at(plan, step, 0),
                       .z = bl_step_at(plan, step, 1),
                       .of_row = bl_step_at(plan, step, 3),
                       .base = bl_step_at(plan, step, 4)};
    bl_cpu_parallel(bl_cpu_threads(plan), loss_share, &c);
    double sum = 0;
    for (size_t row = 0; row < pairs->compared; row++) sum += c.of_row[row];
    *(float *)bl_step_at(plan, step, 2) = (float)(sum / pairs->divisor + pairs->offset);
    return BL_OK;
}

static int add_workspace(bl_lowering *plan, const pairing *pairs, int *buffer) {
    return bl_lower_buffer(plan, (size_t)bl_cpu_threads(plan) * 3 * row_floats(pairs) * sizeof(float), buffer);
}

static int lower_loss(bl_lowering *plan, const bl_node *node) {
    const pairing pairs = pairing_of(node);
    int buffers[5];
    if (bl_lower_value(plan, node->inputs[0], &buffers[0]) || bl_lower_value(plan, node->inputs[1], &buffers[1]) ||
        bl_lower_value(plan, node->outputs[0], &buffers[2]) || bl_lower_buffer(plan, pairs.rows * sizeof(double), &buffers[3]) ||
        add_workspace(plan, &pairs, &buffers[4]))
        return BL_FAILED;
    return bl_lower_step(plan, node, loss_run, buffers, 5, &pairs, sizeof pairs);
}

// The gradient by a of distance(a, b) / divisor. A clamped norm is a constant: no part along a. Rows of mean 0 have a gradient of
// mean 0, so taking their mean away (layer norm) leaves it as it is.
static void distance_gradient(const float *a, const float *b, const pairing *pairs, float *da) {
    const double scale = -2 / pairs->divisor;
    if (pairs->normalization == BL_NORMALIZE_NONE) {
        for (size_t i = 0; i < pairs->width; i++) da[i] = (float)(scale * ((double)b[i] - (double)a[i]));
        return;
    }
    const double norm_a = clamped_norm(a, pairs->width), norm_b = clamped_norm(b, pairs->width);
    const double across = scale / (norm_a * norm_b);
    const double cosine = dot(a, b, pairs->width) / (norm_a * norm_b);
    const double along = norm_a > SMALLEST_NORM ? scale * cosine / (norm_a * norm_a) : 0;
    for (size_t i = 0; i < pairs->width; i++) da[i] = (float)(across * (double)b[i] - along * (double)a[i]);
}

// Row `row` of a gradient; NULL arguments: zeros.
static void write_gradient(const pairing *pairs, void *dst, size_t row, const float *a, const float *b, float *block) {
    float *da = bl_cpu_target(dst, pairs->dtype, row * pairs->width, block);
    if (a)
        distance_gradient(a, b, pairs, da);
    else
        memset(da, 0, pairs->width * sizeof *da);
    bl_cpu_store_rows(dst, pairs->dtype, row * pairs->width, pairs->width, da);
}

static void loss_backward_share(const void *passed, int share, int shares) {
    const context *c = passed;
    const pairing *pairs = c->pairs;
    float *blocks[3];
    for (int i = 0; i < 3; i++) blocks[i] = c->base + ((size_t)share * 3 + (size_t)i) * row_floats(pairs);
    const bl_cpu_range range = bl_cpu_share(pairs->rows, 1, share, shares);
    for (size_t row = range.begin; row < range.end; row++) {
        const bool counts = row < pairs->compared;
        const size_t other = partner(pairs, row);
        const float *p = counts ? load_row(pairs, c->p, row, blocks[0]) : NULL;
        const float *z = counts ? load_row(pairs, c->z, other, blocks[1]) : NULL;
        if (c->dp) write_gradient(pairs, c->dp, row, p, z, blocks[2]);
        if (c->dz) write_gradient(pairs, c->dz, other, z, p, blocks[2]);
    }
}

// p, z | dp, dz | workspace
static int loss_backward_run(const bl_lowering *plan, const bl_step *step) {
    const context c = {.pairs = step->state,
                       .p = bl_step_at(plan, step, 0),
                       .z = bl_step_at(plan, step, 1),
                       .dp = bl_step_at(plan, step, 2),
                       .dz = bl_step_at(plan, step, 3),
                       .base = bl_step_at(plan, step, 4)};
    bl_cpu_parallel(bl_cpu_threads(plan), loss_backward_share, &c);
    return BL_OK;
}

static int lower_loss_backward(bl_lowering *plan, const bl_node *node) {
    const pairing pairs = pairing_of(node);
    int buffers[5];
    if (bl_lower_value(plan, node->inputs[0], &buffers[0]) || bl_lower_value(plan, node->inputs[1], &buffers[1]) ||
        bl_lower_value(plan, node->outputs[0], &buffers[2]) || bl_lower_value(plan, node->outputs[1], &buffers[3]) ||
        add_workspace(plan, &pairs, &buffers[4]))
        return BL_FAILED;
    return bl_lower_step(plan, node, loss_backward_run, buffers, 5, &pairs, sizeof pairs);
}

// Adds each l2-normalised row of a view, or its squared distance from the mean, to `sum`.
static void add_rows(const context *c, size_t view, const double *mean, double *sum) {
    const pairing *pairs = c->pairs;
    memset(sum, 0, pairs->width * sizeof *sum);
    for (size_t row = view * pairs->batch; row < (view + 1) * pairs->batch; row++) {
        const float *z = bl_cpu_load(c->p, pairs->dtype, row * pairs->width, pairs->width, c->base);
        for (size_t i = 0; i < pairs->width; i++) {
            const double value = (double)z[i] / c->of_row[row];
            sum[i] += mean ? (value - mean[i]) * (value - mean[i]) : value;
        }
    }
}

// z | std | norms of the rows, means and squares of the channels, workspace
static int std_run(const bl_lowering *plan, const bl_step *step) {
    const pairing *pairs = step->state;
    const context c = {
            .pairs = pairs, .p = bl_step_at(plan, step, 0), .of_row = bl_step_at(plan, step, 2), .base = bl_step_at(plan, step, 4)};
    double *mean = bl_step_at(plan, step, 3), *square = mean + pairs->width, total = 0;
    for (size_t row = 0; row < pairs->rows; row++)
        c.of_row[row] = clamped_norm(bl_cpu_load(c.p, pairs->dtype, row * pairs->width, pairs->width, c.base), pairs->width);
    const size_t views = pairs->rows / pairs->batch;
    for (size_t view = 0; view < views; view++) {
        add_rows(&c, view, NULL, mean);
        for (size_t i = 0; i < pairs->width; i++) mean[i] /= (double)pairs->batch;
        add_rows(&c, view, mean, square);
        for (size_t i = 0; i < pairs->width; i++) total += square[i] / (double)pairs->batch;
    }
    *(float *)bl_step_at(plan, step, 1) = (float)sqrt(total / (double)views); // sqrt(D) times the root of the mean over D channels
    return BL_OK;
}

static int lower_projection_std(bl_lowering *plan, const bl_node *node) {
    const pairing pairs = pairing_of(node);
    int buffers[5];
    if (bl_lower_value(plan, node->inputs[0], &buffers[0]) || bl_lower_value(plan, node->outputs[0], &buffers[1]) ||
        bl_lower_buffer(plan, pairs.rows * sizeof(double), &buffers[2]) ||
        bl_lower_buffer(plan, 2 * pairs.width * sizeof(double), &buffers[3]) || add_workspace(plan, &pairs, &buffers[4]))
        return BL_FAILED;
    return bl_lower_step(plan, node, std_run, buffers, 5, &pairs, sizeof pairs);
}

const bl_operator bl_cpu_op_byol_loss = {.lower = lower_loss};
const bl_operator bl_cpu_op_byol_loss_backward = {.lower = lower_loss_backward};
const bl_operator bl_cpu_op_projection_std = {.lower = lower_projection_std};
