// Cross-entropy of logits and class numbers, and its gradient: small, so all in f64. Meanings: graph/ops/cross_entropy.c.

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
    float *base;           // two rows a share
    double labelled;
} context;

static classes classes_of(const bl_node *node) {
    const bl_tensor *logits = node->inputs[0];
    return (classes){(size_t)logits->shape.dims[0], (size_t)logits->shape.dims[1], logits->dtype};
}

static size_t row_floats(const classes *of) {
    return (of->width + 15) / 16 * 16;
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

// log of the sum of exp(x), safe from overflow by its largest value.
static double log_sum(const float *x, size_t count) {
    const double largest = (double)x[first_largest(x, count)];
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += exp((double)x[i] - largest);
    return largest + log(sum);
}

static void loss_share(const void *passed, int share, int shares) {
    const context *c = passed;
    const classes *of = c->of;
    float *block = c->base + (size_t)share * 2 * row_floats(of);
    const bl_cpu_range range = bl_cpu_share(of->rows, 1, share, shares);
    for (size_t row = range.begin; row < range.end; row++) {
        const float label = c->labels[row];
        c->losses[row] = c->hits[row] = 0;
        if (!is_labelled(of, label)) continue;
        const float *x = bl_cpu_load(c->logits, of->dtype, row * of->width, of->width, block);
        c->losses[row] = log_sum(x, of->width) - (double)x[(size_t)label];
        c->hits[row] = (float)first_largest(x, of->width) == label;
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
static void gradient_share(const void *passed, int share, int shares) {
    const context *c = passed;
    const classes *of = c->of;
    float *block = c->base + (size_t)share * 2 * row_floats(of), *other = block + row_floats(of);
    const bl_cpu_range range = bl_cpu_share(of->rows, 1, share, shares);
    for (size_t row = range.begin; row < range.end; row++) {
        const float label = c->labels[row];
        const size_t first = row * of->width;
        const float *x = bl_cpu_load(c->logits, of->dtype, first, of->width, block);
        float *dx = bl_cpu_target(c->dlogits, of->dtype, first, other);
        const double log_of_sum = log_sum(x, of->width);
        for (size_t i = 0; i < of->width; i++) {
            const double away = exp((double)x[i] - log_of_sum) - ((float)i == label);
            dx[i] = is_labelled(of, label) ? (float)(away / c->labelled) : 0;
        }
        bl_cpu_store_rows(c->dlogits, of->dtype, first, of->width, dx);
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
    return bl_cpu_buffer_add(plan, (size_t)plan->backend->threads * 2 * row_floats(of) * sizeof(float), buffer);
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
