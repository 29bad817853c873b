// Cross-entropy of logits and class numbers, its gradient, and the class with the largest logit. Rows may be the pixels of many images,
// so they go in blocks whose exponentials are taken side by side, in f32; sums over a row and over the rows are f64. Meanings:
// graph/ops/cross_entropy.c, graph/ops/argmax.c.

#include <math.h>

#include "backends/onednn/onednn.h"
#include "backends/onednn/rows.h"

typedef struct classes {
    size_t rows, width;
    bl_dtype dtype;
} classes;

typedef struct context {
    const classes *of;
    const void *logits;
    const float *labels;
    void *dlogits;
    double *losses, *hits; // of every row
    float *base;           // of the shares' workspaces
    double labelled;
} context;

static classes classes_of(const bl_node *node) {
    const bl_shape *logits = &node->inputs[0]->shape;
    return (classes){(size_t)bl_shape_rows(logits), (size_t)logits->dims[logits->rank - 1], node->inputs[0]->dtype};
}

#define BLOCK_VALUES 2048

static size_t block_rows(const classes *of) {
    return of->width < BLOCK_VALUES ? BLOCK_VALUES / of->width : 1;
}

static size_t block_floats(const classes *of) {
    return (block_rows(of) * of->width + 15) / 16 * 16;
}

static bool is_labelled(const classes *of, float label) {
    return label >= 0 && label < (float)of->width;
}

static double count_labelled(const context *c) {
    size_t count = 0;
    for (size_t row = 0; row < c->of->rows; row++) count += is_labelled(c->of, c->labels[row]);
    return (double)count;
}

static size_t first_largest(const float *x, size_t count) {
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

// e^x of x <= 0, to the last bit or two: 2^n e^r with n the nearest integer to x / log 2. A NaN stays one.
BL_CPU_WIDE static void exponentials(float *x, size_t count) {
    const float shift = 12582912; // 1.5 x 2^23: adding it rounds to an integer, which then stands in the lowest bits
    for (size_t i = 0; i < count; i++) {
        const float bounded = x[i] < -87 ? -87 : x[i]; // as good as 0
        union {
            float value;
            uint32_t bits;
        } nearest = {bounded * 1.44269504f + shift}, power;
        const float n = nearest.value - shift, r = bounded - n * 0.693359375f + n * 2.12194440e-4f;
        power.bits = (nearest.bits + 127) << 23;
        const float tail = ((((1.f / 720 * r + 1.f / 120) * r + 1.f / 24) * r + 1.f / 6) * r + .5f) * r * r;
        x[i] = (tail + r + 1) * power.value;
    }
}

typedef struct block { // rows whose exponentials stand in `powers`, relative to each row's largest value
    const float *logits;
    float *powers;
    size_t first, rows;
} block;

static block block_at(const context *c, size_t first, size_t end, float *workspace) {
    const classes *of = c->of;
    const size_t rows = end - first < block_rows(of) ? end - first : block_rows(of), width = of->width;
    float *powers = workspace + block_floats(of);
    const float *x = bl_cpu_load(c->logits, of->dtype, first * width, rows * width, workspace);
    for (size_t row = 0; row < rows; row++) {
        const float largest = x[row * width + first_largest(x + row * width, width)];
        for (size_t i = row * width; i < (row + 1) * width; i++) powers[i] = x[i] - largest;
    }
    exponentials(powers, rows * width);
    return (block){x, powers, first, rows};
}

static double sum_of(const float *values, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += (double)values[i];
    return sum;
}

static void loss_share(const void *passed, int share, int shares) {
    const context *c = passed;
    const classes *of = c->of;
    float *workspace = c->base + (size_t)share * 3 * block_floats(of);
    const bl_cpu_range range = bl_cpu_share(of->rows, 1, share, shares);
    for (size_t first = range.begin; first < range.end;) {
        const block b = block_at(c, first, range.end, workspace);
        for (size_t i = 0; i < b.rows; i++) {
            const float label = c->labels[first + i], *x = b.logits + i * of->width;
            c->losses[first + i] = c->hits[first + i] = 0;
            if (!is_labelled(of, label)) continue;
            const size_t largest = first_largest(x, of->width);
            c->losses[first + i] = log(sum_of(b.powers + i * of->width, of->width)) + ((double)x[largest] - (double)x[(size_t)label]);
            c->hits[first + i] = largest == (size_t)label;
        }
        first += b.rows;
    }
}

static double mean_of(const double *of_row, size_t rows, double labelled) {
    double sum = 0;
    for (size_t row = 0; row < rows; row++) sum += of_row[row];
    return labelled > 0 ? sum / labelled : 0;
}

// logits, labels | loss, correct | of every row, workspace
static int loss_run(const bl_cpu_plan *plan, const bl_cpu_step *step) {
    const classes *of = step->state;
    double *of_row = bl_cpu_at(plan, step, 4);
    const context c = {.of = of,
                       .logits = bl_cpu_at(plan, step, 0),
                       .labels = bl_cpu_at(plan, step, 1),
                       .losses = of_row,
                       .hits = of_row + of->rows,
                       .base = bl_cpu_at(plan, step, 5)};
    float *loss = bl_cpu_at(plan, step, 2), *correct = bl_cpu_at(plan, step, 3);
    bl_cpu_parallel(plan->backend->threads, loss_share, &c);
    const double labelled = count_labelled(&c);
    if (loss) *loss = (float)mean_of(c.losses, of->rows, labelled);
    if (correct) *correct = (float)mean_of(c.hits, of->rows, labelled);
    return BL_OK;
}

// (softmax - one at the label) / labelled rows; 0 where there is no label.
BL_CPU_WIDE static void row_gradient(const float *powers, size_t width, float label, double labelled, float *dx) {
    const double sum = sum_of(powers, width);
    const float share = (float)(1 / (sum * labelled));
    for (size_t i = 0; i < width; i++) dx[i] = powers[i] * share;
    dx[(size_t)label] = (float)(((double)powers[(size_t)label] - sum) / (sum * labelled));
}

static void gradient_share(const void *passed, int share, int shares) {
    const context *c = passed;
    const classes *of = c->of;
    float *workspace = c->base + (size_t)share * 3 * block_floats(of), *other = workspace + 2 * block_floats(of);
    const bl_cpu_range range = bl_cpu_share(of->rows, 1, share, shares);
    for (size_t first = range.begin; first < range.end;) {
        const block b = block_at(c, first, range.end, workspace);
        float *dx = bl_cpu_target(c->dlogits, of->dtype, first * of->width, other);
        for (size_t i = 0; i < b.rows; i++) {
            const float label = c->labels[first + i];
            float *row = dx + i * of->width;
            if (is_labelled(of, label))
                row_gradient(b.powers + i * of->width, of->width, label, c->labelled, row);
            else
                for (size_t k = 0; k < of->width; k++) row[k] = 0;
        }
        bl_cpu_store_rows(c->dlogits, of->dtype, first * of->width, b.rows * of->width, dx);
        first += b.rows;
    }
}

// logits, labels | dlogits | workspace
static int gradient_run(const bl_cpu_plan *plan, const bl_cpu_step *step) {
    context c = {.of = step->state,
                 .logits = bl_cpu_at(plan, step, 0),
                 .labels = bl_cpu_at(plan, step, 1),
                 .dlogits = bl_cpu_at(plan, step, 2),
                 .base = bl_cpu_at(plan, step, 3)};
    c.labelled = count_labelled(&c);
    bl_cpu_parallel(plan->backend->threads, gradient_share, &c);
    return BL_OK;
}

static int add_workspace(bl_cpu_plan *plan, const classes *of, int *buffer) {
    return bl_cpu_buffer_add(plan, (size_t)plan->backend->threads * 3 * block_floats(of) * sizeof(float), buffer);
}

int bl_cpu_cross_entropy(bl_cpu_plan *plan, const bl_node *node) {
    const classes of = classes_of(node);
    const bl_tensor *tensors[] = {node->inputs[0], node->inputs[1], node->outputs[0], node->outputs[1]};
    int buffers[6];
    for (int i = 0; i < 4; i++)
        if (bl_cpu_value(plan, tensors[i], &buffers[i])) return BL_FAILED;
    if (bl_cpu_buffer_add(plan, 2 * of.rows * sizeof(double), &buffers[4]) || add_workspace(plan, &of, &buffers[5])) return BL_FAILED;
    return bl_cpu_step_add(plan, node, loss_run, buffers, 6, &of, sizeof of);
}

int bl_cpu_cross_entropy_backward(bl_cpu_plan *plan, const bl_node *node) {
    const classes of = classes_of(node);
    int buffers[4];
    if (bl_cpu_value(plan, node->inputs[0], &buffers[0]) || bl_cpu_value(plan, node->inputs[1], &buffers[1]) ||
        bl_cpu_value(plan, node->outputs[0], &buffers[2]) || add_workspace(plan, &of, &buffers[3]))
        return BL_FAILED;
    return bl_cpu_step_add(plan, node, gradient_run, buffers, 4, &of, sizeof of);
}

// ---- the largest ----

#define LANES 16

// Of a few classes the places are found for rows side by side: each value meets the largest before it in its own row.
BL_CPU_WIDE static void largest_places(const float *restrict x, size_t rows, size_t width, float *restrict places) {
    size_t row = 0;
    for (; row + LANES <= rows; row += LANES) {
        const float *first = x + row * width;
        float best[LANES], place[LANES];
        for (size_t lane = 0; lane < LANES; lane++) {
            best[lane] = first[lane * width];
            place[lane] = 0;
        }
        for (size_t k = 1; k < width; k++)
            for (size_t lane = 0; lane < LANES; lane++) {
                const float value = first[lane * width + k];
                const bool is_larger = value > best[lane];
                best[lane] = is_larger ? value : best[lane];
                place[lane] = is_larger ? (float)k : place[lane];
            }
        for (size_t lane = 0; lane < LANES; lane++) places[row + lane] = place[lane];
    }
    for (; row < rows; row++) places[row] = (float)first_largest(x + row * width, width);
}

typedef struct choosing {
    const classes *of;
    const void *x;
    float *places, *base;
} choosing;

static void argmax_share(const void *passed, int share, int shares) {
    const choosing *c = passed;
    const classes *of = c->of;
    float *workspace = c->base + (size_t)share * block_floats(of);
    const bl_cpu_range range = bl_cpu_share(of->rows, 1, share, shares);
    for (size_t first = range.begin; first < range.end;) {
        const size_t rows = range.end - first < block_rows(of) ? range.end - first : block_rows(of);
        largest_places(bl_cpu_load(c->x, of->dtype, first * of->width, rows * of->width, workspace), rows, of->width, c->places + first);
        first += rows;
    }
}

// x | y | workspace
static int argmax_run(const bl_cpu_plan *plan, const bl_cpu_step *step) {
    const choosing c = {step->state, bl_cpu_at(plan, step, 0), bl_cpu_at(plan, step, 1), bl_cpu_at(plan, step, 2)};
    bl_cpu_parallel(plan->backend->threads, argmax_share, &c);
    return BL_OK;
}

int bl_cpu_argmax(bl_cpu_plan *plan, const bl_node *node) {
    const classes of = classes_of(node);
    int buffers[3];
    if (bl_cpu_value(plan, node->inputs[0], &buffers[0]) || bl_cpu_value(plan, node->outputs[0], &buffers[1]) ||
        bl_cpu_buffer_add(plan, (size_t)plan->backend->threads * block_floats(&of) * sizeof(float), &buffers[2]))
        return BL_FAILED;
    return bl_cpu_step_add(plan, node, argmax_run, buffers, 3, &of, sizeof of);
}
