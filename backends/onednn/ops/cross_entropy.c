// Cross-entropy of logits and class numbers, and its gradient. Rows may be the pixels of many images, so they go in blocks that are
// turned: the rows of a block lie side by side, class by class, and arithmetic runs along them. Exponentials are f32; sums over a row
// and over the rows are f64, the rows' in the order of the threads. Meanings: graph/ops/cross_entropy.c.

#include <math.h>
#include <string.h>

#include "backends/onednn/onednn.h"
#include "backends/onednn/operators.h"
#include "backends/onednn/rows.h"

typedef struct classes {
    size_t rows, width;
    bl_dtype dtype;
} classes;

typedef struct totals { // of a share's rows
    double loss;
    size_t hits, labelled;
} totals;

typedef struct context {
    const classes *of;
    const void *logits;
    const float *labels;
    void *dlogits;
    totals *totals; // of every share
    float *base;    // of the shares' workspaces
    double labelled;
} context;

static classes classes_of(const bl_node *node) {
    const bl_shape *logits = &node->inputs[0]->shape;
    return (classes){(size_t)bl_shape_rows(logits), (size_t)logits->dims[logits->rank - 1], node->inputs[0]->dtype};
}

enum { LANES = 32 }; // rows of a block

static size_t block_floats(const classes *of) {
    return LANES * of->width;
}

static bool is_labelled(const classes *of, float label) {
    return label >= 0 && label < (float)of->width;
}

typedef struct block {
    size_t rows;
    float largest[LANES];  // of each row; the first of them
    int32_t place[LANES];
    double sum[LANES];     // of the row's exponentials, relative to the largest
} block;

static void turn(const float *restrict x, size_t rows, size_t width, float *restrict turned) {
    if (rows < LANES) memset(turned, 0, LANES * width * sizeof *turned);
    for (size_t row = 0; row < rows; row++)
        for (size_t i = 0; i < width; i++) turned[i * LANES + row] = x[row * width + i];
}

BL_CPU_WIDE static void find_largest(const float *restrict turned, size_t width, float *restrict largest, int32_t *restrict place) {
    for (size_t lane = 0; lane < LANES; lane++) {
        largest[lane] = turned[lane];
        place[lane] = 0;
    }
    for (size_t i = 1; i < width; i++)
        for (size_t lane = 0; lane < LANES; lane++) {
            const float value = turned[i * LANES + lane];
            const bool wins = value > largest[lane];
            largest[lane] = wins ? value : largest[lane];
            place[lane] = wins ? (int32_t)i : place[lane];
        }
}

// e^x of x <= 0, to the last bit or two: 2^n e^r with n the nearest integer to x / log 2. A NaN stays one.
static inline __attribute__((always_inline)) float exponential(float x) {
    const float shift = 12582912; // 1.5 x 2^23: adding it rounds to an integer, which then stands in the lowest bits
    const float bounded = x < -87 ? -87 : x; // as good as 0
    union {
        float value;
        uint32_t bits;
    } nearest = {bounded * 1.44269504f + shift}, power;
    const float n = nearest.value - shift, r = bounded - n * 0.693359375f + n * 2.12194440e-4f;
    power.bits = (nearest.bits + 127) << 23;
    const float tail = ((((1.f / 720 * r + 1.f / 120) * r + 1.f / 24) * r + 1.f / 6) * r + .5f) * r * r;
    return (tail + r + 1) * power.value;
}

// Relative to each row's largest, in place; and their sums.
BL_CPU_WIDE static void exponentials(float *restrict turned, size_t width, const float *restrict largest, double *restrict sum) {
    for (size_t lane = 0; lane < LANES; lane++) sum[lane] = 0;
    for (size_t i = 0; i < width; i++, turned += LANES) {
        for (size_t lane = 0; lane < LANES; lane++) turned[lane] = exponential(turned[lane] - largest[lane]);
        for (size_t lane = 0; lane < LANES; lane++) sum[lane] += (double)turned[lane];
    }
}

// `rows` rows of `x`; their exponentials are left in `turned`.
static block take_block(const classes *of, const float *x, size_t rows, float *turned) {
    block b = {.rows = rows};
    turn(x, rows, of->width, turned);
    find_largest(turned, of->width, b.largest, b.place);
    exponentials(turned, of->width, b.largest, b.sum);
    return b;
}

static size_t rows_from(size_t first, size_t end) {
    return end - first < LANES ? end - first : LANES;
}

static void loss_share(const void *passed, int share, int shares) {
    const context *c = passed;
    const classes *of = c->of;
    float *loaded = c->base + (size_t)share * 2 * block_floats(of), *turned = loaded + block_floats(of);
    const bl_cpu_range range = bl_cpu_share(of->rows, LANES, share, shares);
    totals made = {0};
    for (size_t first = range.begin; first < range.end; first += LANES) {
        const size_t rows = rows_from(first, range.end);
        const float *x = bl_cpu_load(c->logits, of->dtype, first * of->width, rows * of->width, loaded);
        const block b = take_block(of, x, rows, turned);
        for (size_t row = 0; row < rows; row++) {
            const float label = c->labels[first + row];
            if (!is_labelled(of, label)) continue;
            made.loss += log(b.sum[row]) + ((double)b.largest[row] - (double)x[row * of->width + (size_t)label]);
            made.hits += b.place[row] == (int32_t)label;
            made.labelled++;
        }
    }
    c->totals[share] = made;
}

// logits, labels | loss, correct | totals, workspace
static int loss_run(const bl_lowering *plan, const bl_step *step) {
    const context c = {.of = step->state,
                       .logits = bl_step_at(plan, step, 0),
                       .labels = bl_step_at(plan, step, 1),
                       .totals = bl_step_at(plan, step, 4),
                       .base = bl_step_at(plan, step, 5)};
    float *loss = bl_step_at(plan, step, 2), *correct = bl_step_at(plan, step, 3);
    totals all = {0};
    bl_cpu_parallel(bl_cpu_threads(plan), loss_share, &c);
    for (int share = 0; share < bl_cpu_threads(plan); share++) {
        all.loss += c.totals[share].loss;
        all.hits += c.totals[share].hits;
        all.labelled += c.totals[share].labelled;
    }
    const double labelled = all.labelled ? (double)all.labelled : 1;
    if (loss) *loss = (float)(all.loss / labelled);
    if (correct) *correct = (float)((double)all.hits / labelled);
    return BL_OK;
}

BL_CPU_WIDE static double count_labelled(const classes *of, const float *labels) {
    const float width = (float)of->width;
    uint32_t count = 0;
    for (size_t row = 0; row < of->rows; row++) count += (labels[row] >= 0) & (labels[row] < width);
    return count;
}

// (softmax - one at the label) / labelled rows; 0 where there is no label.
static void turn_back(const classes *of, const block *b, const float *restrict powers, const float *labels, double labelled,
                      float *restrict dx) {
    for (size_t row = 0; row < b->rows; row++, dx += of->width) {
        if (!is_labelled(of, labels[row])) {
            memset(dx, 0, of->width * sizeof *dx);
            continue;
        }
        const size_t label = (size_t)labels[row];
        const double scale = b->sum[row] * labelled;
        const float part = (float)(1 / scale);
        for (size_t i = 0; i < of->width; i++) dx[i] = powers[i * LANES + row] * part;
        dx[label] = (float)(((double)powers[label * LANES + row] - b->sum[row]) / scale);
    }
}

static void gradient_share(const void *passed, int share, int shares) {
    const context *c = passed;
    const classes *of = c->of;
    float *loaded = c->base + (size_t)share * 2 * block_floats(of), *turned = loaded + block_floats(of);
    const bl_cpu_range range = bl_cpu_share(of->rows, LANES, share, shares);
    for (size_t first = range.begin; first < range.end; first += LANES) {
        const size_t rows = rows_from(first, range.end), from = first * of->width, count = rows * of->width;
        const block b = take_block(of, bl_cpu_load(c->logits, of->dtype, from, count, loaded), rows, turned);
        float *dx = bl_cpu_target(c->dlogits, of->dtype, from, loaded);
        turn_back(of, &b, turned, c->labels + first, c->labelled, dx);
        bl_cpu_store_rows(c->dlogits, of->dtype, from, count, dx);
    }
}

// logits, labels | dlogits | workspace
static int gradient_run(const bl_lowering *plan, const bl_step *step) {
    context c = {.of = step->state,
                 .logits = bl_step_at(plan, step, 0),
                 .labels = bl_step_at(plan, step, 1),
                 .dlogits = bl_step_at(plan, step, 2),
                 .base = bl_step_at(plan, step, 3)};
    c.labelled = count_labelled(c.of, c.labels);
    bl_cpu_parallel(bl_cpu_threads(plan), gradient_share, &c);
    return BL_OK;
}

static int add_workspace(bl_lowering *plan, const classes *of, int *buffer) {
    return bl_lower_buffer(plan, (size_t)bl_cpu_threads(plan) * 2 * block_floats(of) * sizeof(float), buffer);
}

static int lower_cross_entropy(bl_lowering *plan, const bl_node *node) {
    const classes of = classes_of(node);
    const bl_tensor *tensors[] = {node->inputs[0], node->inputs[1], node->outputs[0], node->outputs[1]};
    int buffers[6];
    for (int i = 0; i < 4; i++)
        if (bl_lower_value(plan, tensors[i], &buffers[i])) return BL_FAILED;
    if (bl_lower_buffer(plan, (size_t)bl_cpu_threads(plan) * sizeof(totals), &buffers[4]) || add_workspace(plan, &of, &buffers[5]))
        return BL_FAILED;
    return bl_lower_step(plan, node, loss_run, buffers, 6, &of, sizeof of);
}

// The gradient takes the place of logits that nobody reads after it: of a segmentation both are as large as the images, times the classes.
static int lower_cross_entropy_backward(bl_lowering *plan, const bl_node *node) {
    const classes of = classes_of(node);
    const bl_tensor *logits = node->inputs[0], *dlogits = node->outputs[0];
    int buffers[4];
    if (bl_lower_value(plan, logits, &buffers[0])) return BL_FAILED;
    if (bl_uses_ends_at(&plan->uses, plan->base.graph, logits, node) && !bl_uses_keep(&plan->uses, dlogits))
        plan->buffer_of[dlogits->id] = buffers[0];
    if (bl_lower_value(plan, node->inputs[1], &buffers[1]) || bl_lower_value(plan, dlogits, &buffers[2]) ||
        add_workspace(plan, &of, &buffers[3]))
        return BL_FAILED;
    return bl_lower_step(plan, node, gradient_run, buffers, 4, &of, sizeof of);
}

// ---- the largest ----

typedef struct choosing {
    const classes *of;
    const void *x;
    float *places, *base;
} choosing;

static void argmax_share(const void *passed, int share, int shares) {
    const choosing *c = passed;
    const classes *of = c->of;
    float *loaded = c->base + (size_t)share * 2 * block_floats(of), *turned = loaded + block_floats(of), largest[LANES];
    int32_t place[LANES];
    const bl_cpu_range range = bl_cpu_share(of->rows, LANES, share, shares);
    for (size_t first = range.begin; first < range.end; first += LANES) {
        const size_t rows = rows_from(first, range.end);
        turn(bl_cpu_load(c->x, of->dtype, first * of->width, rows * of->width, loaded), rows, of->width, turned);
        find_largest(turned, of->width, largest, place);
        for (size_t row = 0; row < rows; row++) c->places[first + row] = (float)place[row];
    }
}

// x | y | workspace
static int argmax_run(const bl_lowering *plan, const bl_step *step) {
    const choosing c = {step->state, bl_step_at(plan, step, 0), bl_step_at(plan, step, 1), bl_step_at(plan, step, 2)};
    bl_cpu_parallel(bl_cpu_threads(plan), argmax_share, &c);
    return BL_OK;
}

static int lower_argmax(bl_lowering *plan, const bl_node *node) {
    const classes of = classes_of(node);
    int buffers[3];
    if (bl_lower_value(plan, node->inputs[0], &buffers[0]) || bl_lower_value(plan, node->outputs[0], &buffers[1]) ||
        add_workspace(plan, &of, &buffers[2]))
        return BL_FAILED;
    return bl_lower_step(plan, node, argmax_run, buffers, 3, &of, sizeof of);
}

const bl_operator bl_cpu_op_cross_entropy = {.lower = lower_cross_entropy};
const bl_operator bl_cpu_op_cross_entropy_backward = {.lower = lower_cross_entropy_backward};
const bl_operator bl_cpu_op_argmax = {.lower = lower_argmax};
