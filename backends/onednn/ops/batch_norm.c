// Batch norm in two passes over memory, each a step: the first sums (statistics; sums of the gradient), the second applies.
// What was fused (fusion.c) happens in these passes.

#include <math.h>
#include <string.h>

#include "backends/onednn/onednn.h"
#include "backends/onednn/operators.h"
#include "backends/onednn/rows.h"

typedef struct lies { // how the tensors lie that a pass may work on; y is also dx
    bl_lines x, residual, y, dy, mask, sum, dz;
} lies;

typedef struct norm {
    size_t groups, rows, channels; // rows of a group
    size_t line;                   // rows that lie side by side in every tensor; 0: all of them
    double epsilon;
    bl_dtype dtype;
    bool relu;
    lies lines;
} norm;

static norm norm_of(const bl_node *node) {
    const bl_shape *x = &node->inputs[0]->shape;
    const size_t channels = (size_t)x->dims[x->rank - 1];
    const size_t groups = node->op == BL_OP_BATCH_NORM_RUNNING ? 1 : (size_t)node->attributes.groups;
    return (norm){.groups = groups,
                  .rows = (size_t)bl_shape_count(x) / channels / groups,
                  .channels = channels,
                  .epsilon = node->attributes.epsilon,
                  .dtype = node->inputs[0]->dtype};
}

// Notes how a tensor lies that the pass works on.
static void lay(const bl_lowering *plan, norm *n, const bl_tensor *tensor, bl_lines *lines) {
    if (!tensor) return;
    *lines = bl_cpu_lines(plan, tensor);
    if (lines->strips.places) n->line = lines->width;
}

static void *row_at(const norm *n, const void *data, const bl_lines *lines, size_t row) { // NULL stays NULL
    return data ? bl_cpu_from(data, n->dtype, bl_lines_at(lines, row)) : NULL;
}

// ---- workspace: sums of every share ----

static size_t padded(size_t floats) {
    return (floats + 15) / 16 * 16;
}

static size_t share_floats(const norm *n) { // two f64 sums a group, three f32 rows
    return padded(4 * n->groups * n->channels) + 3 * padded(n->channels);
}

typedef struct workspace {
    double *sum, *other; // [groups, channels] each
    float *part, *other_part, *shift;
} workspace;

static workspace workspace_of(const norm *n, float *base, int share) {
    workspace w;
    base += (size_t)share * share_floats(n);
    w.sum = (double *)base;
    w.other = w.sum + n->groups * n->channels;
    base += padded(4 * n->groups * n->channels);
    w.part = base;
    w.other_part = w.part + padded(n->channels);
    w.shift = w.other_part + padded(n->channels);
    return w;
}

static void clear_sums(const norm *n, workspace *w) {
    memset(w->sum, 0, 2 * n->groups * n->channels * sizeof(double));
    memset(w->part, 0, n->channels * sizeof(float));
    memset(w->other_part, 0, n->channels * sizeof(float));
}

static double combined(const norm *n, float *base, int shares, size_t index, bool other) {
    double sum = 0;
    for (int share = 0; share < shares; share++) {
        const workspace w = workspace_of(n, base, share);
        sum += (other ? w.other : w.sum)[index];
    }
    return sum;
}

// One block of rows of a group, in the walk of a share; `run` of them at a time lie side by side.
typedef struct walk {
    size_t group, row, end, step, first, rows, run; // `first`: the block's first row, counted over all groups
} walk;

static bool next_block(const norm *n, walk *w, int share, int shares) {
    const size_t grain = n->line ? n->line : 4;
    if (!w->step) { // begin
        const bl_cpu_range range = bl_cpu_share(n->rows, grain, share, shares);
        w->step = bl_cpu_block_rows(n->channels);
        if (n->line) w->step = n->line < w->step ? w->step / n->line * n->line : n->line;
        w->row = range.begin;
        w->end = range.end;
    } else {
        w->row += w->rows;
    }
    if (w->row >= w->end) {
        const bl_cpu_range range = bl_cpu_share(n->rows, grain, share, shares);
        if (++w->group >= n->groups || range.begin >= range.end) return false;
        w->row = range.begin;
    }
    w->rows = w->end - w->row < w->step ? w->end - w->row : w->step;
    w->first = w->group * n->rows + w->row;
    w->run = n->line ? n->line : w->rows;
    return true;
}

static int add_workspace(bl_lowering *plan, const bl_node *node, const norm *n, int *buffer) {
    const size_t bytes = (size_t)bl_cpu_threads(plan) * share_floats(n) * sizeof(float);
    plan->rows[node->id].bytes += bytes;
    return bl_lower_buffer(plan, bytes, buffer);
}

// ---- statistics ----

typedef struct context { // what the shares of a pass work on
    const norm *n;
    const void *x, *residual, *dy, *sum, *mask;
    const bl_lines *dy_lines;
    void *y, *dz;
    const float *mean, *scale, *beta, *coefficients;
    float *base;
} context;

static void load_first_row(const context *c, size_t group, float *row) {
    const norm *n = c->n;
    const float *first = bl_cpu_load(c->x, n->dtype, bl_lines_at(&n->lines.x, group * n->rows), n->channels, row);
    if (first != row) memcpy(row, first, n->channels * sizeof(float));
}

// Sums of x - shift, where the shift is a group's first row: the variance then loses no digits to a large mean.
static void statistics_share(const void *passed, int share, int shares) {
    const context *c = passed;
    const norm *n = c->n;
    workspace w = workspace_of(n, c->base, share);
    clear_sums(n, &w);
    size_t group = SIZE_MAX;
    for (walk at = {0}; next_block(n, &at, share, shares);) {
        if (at.group != group) {
            group = at.group;
            load_first_row(c, group, w.shift);
        }
        for (size_t row = at.first; row < at.first + at.rows; row += at.run)
            bl_cpu_moments(row_at(n, c->x, &n->lines.x, row), n->dtype, w.shift, at.run, n->channels, w.part, w.other_part);
        bl_cpu_fold(w.part, w.sum + group * n->channels, n->channels);
        bl_cpu_fold(w.other_part, w.other + group * n->channels, n->channels);
    }
}

// x | mean, variance | workspace
static int statistics_run(const bl_lowering *plan, const bl_step *step) {
    const norm *n = step->state;
    const context c = {.n = n, .x = bl_step_at(plan, step, 0), .base = bl_step_at(plan, step, 3)};
    float *mean = bl_step_at(plan, step, 1), *variance = bl_step_at(plan, step, 2);
    const int shares = bl_cpu_threads(plan);
    bl_cpu_parallel(shares, statistics_share, &c);
    float *first = workspace_of(n, c.base, 0).shift;
    for (size_t g = 0; g < n->groups; g++) {
        load_first_row(&c, g, first);
        for (size_t k = 0; k < n->channels; k++) {
            const size_t i = g * n->channels + k;
            const double away = combined(n, c.base, shares, i, false) / (double)n->rows;
            const double spread = combined(n, c.base, shares, i, true) / (double)n->rows - away * away;
            mean[i] = (float)((double)first[k] + away);
            variance[i] = spread < 0 ? 0 : (float)spread; // a NaN stays
        }
    }
    return BL_OK;
}

// ---- application ----

static void apply_share(const void *passed, int share, int shares) {
    const context *c = passed;
    const norm *n = c->n;
    for (walk at = {0}; next_block(n, &at, share, shares);) {
        const size_t statistics = at.group * n->channels;
        for (size_t row = at.first; row < at.first + at.rows; row += at.run)
            bl_cpu_normalize(row_at(n, c->x, &n->lines.x, row), row_at(n, c->residual, &n->lines.residual, row),
                             row_at(n, c->y, &n->lines.y, row), n->dtype, at.run, n->channels, c->mean + statistics,
                             c->scale + statistics, c->beta, n->relu);
        bl_lines_clear(&n->lines.y, c->y, bl_cpu_size(n->dtype), at.first, at.rows);
    }
}

// x, gamma, beta, mean, variance, [residual] | y | scale
static int apply_run(const bl_lowering *plan, const bl_step *step) {
    const norm *n = step->state;
    const float *gamma = bl_step_at(plan, step, 1), *variance = bl_step_at(plan, step, 4);
    float *scale = bl_step_at(plan, step, 7);
    for (size_t i = 0; i < n->groups * n->channels; i++)
        scale[i] = (float)((double)gamma[i % n->channels] / sqrt((double)variance[i] + n->epsilon));
    const context c = {.n = n,
                       .x = bl_step_at(plan, step, 0),
                       .beta = bl_step_at(plan, step, 2),
                       .mean = bl_step_at(plan, step, 3),
                       .residual = bl_step_at(plan, step, 5),
                       .y = bl_step_at(plan, step, 6),
                       .scale = scale};
    bl_cpu_parallel(bl_cpu_threads(plan), apply_share, &c);
    return BL_OK;
}

static int apply(bl_lowering *plan, const bl_node *node) {
    const bl_fusion *fusion = &plan->uses.fusion[node->id];
    const bool is_running = node->op == BL_OP_BATCH_NORM_RUNNING;
    const bl_tensor *mean = is_running ? node->inputs[3] : node->outputs[1], *variance = is_running ? node->inputs[4] : node->outputs[2];
    const bl_tensor *residual = NULL, *y = node->outputs[0];
    norm n = norm_of(node);
    n.relu = fusion->relu != NULL;
    if (fusion->add) {
        residual = fusion->add->inputs[fusion->add->inputs[0] == y ? 1 : 0];
        y = fusion->add->outputs[0];
    }
    if (fusion->relu) y = fusion->relu->outputs[0];
    lay(plan, &n, node->inputs[0], &n.lines.x);
    lay(plan, &n, residual, &n.lines.residual);
    lay(plan, &n, y, &n.lines.y);
    const bl_tensor *tensors[] = {node->inputs[0], node->inputs[1], node->inputs[2], mean, variance, residual, y};
    int buffers[8];
    for (int i = 0; i < 7; i++)
        if (bl_lower_value(plan, tensors[i], &buffers[i])) return BL_FAILED;
    if (bl_lower_buffer(plan, n.groups * n.channels * sizeof(float), &buffers[7])) return BL_FAILED;
    return bl_lower_step(plan, node, apply_run, buffers, 8, &n, sizeof n);
}

static int lower_batch_norm(bl_lowering *plan, const bl_node *node) {
    norm n = norm_of(node);
    int buffers[4];
    lay(plan, &n, node->inputs[0], &n.lines.x);
    if (bl_lower_value(plan, node->inputs[0], &buffers[0]) || bl_lower_value(plan, node->outputs[1], &buffers[1]) ||
        bl_lower_value(plan, node->outputs[2], &buffers[2]) || add_workspace(plan, node, &n, &buffers[3]))
        return BL_FAILED;
    if (bl_lower_step(plan, node, statistics_run, buffers, 4, &n, sizeof n)) return BL_FAILED;
    const bl_fusion *fusion = &plan->uses.fusion[node->id];
    bl_lower_note(plan, node, "byolab%s%s", fusion->add ? " + add" : "", fusion->relu ? " + relu" : "");
    return fusion->add || fusion->relu ? BL_OK : apply(plan, node);
}

static int lower_batch_norm_running(bl_lowering *plan, const bl_node *node) {
    const bl_fusion *fusion = &plan->uses.fusion[node->id];
    bl_lower_note(plan, node, "byolab%s%s", fusion->add ? " + add" : "", fusion->relu ? " + relu" : "");
    return fusion->add || fusion->relu ? BL_OK : apply(plan, node);
}

// ---- backward ----
//   dz = dy, or where ReLU's y is above 0: dy [+ the other gradient]
//   dx = gamma / sd (dz - average of dz - (x - mean) / variance' * average of dz (x - mean)), variance' = variance + epsilon

static bl_cpu_gradient gradient_at(const context *c, size_t row) {
    const norm *n = c->n;
    return (bl_cpu_gradient){.dy = row_at(n, c->dy, c->dy_lines, row),
                             .other = row_at(n, c->sum, &n->lines.sum, row),
                             .y = row_at(n, c->mask, &n->lines.mask, row),
                             .dz = row_at(n, c->dz, &n->lines.dz, row)};
}

static void reduce_share(const void *passed, int share, int shares) {
    const context *c = passed;
    const norm *n = c->n;
    workspace w = workspace_of(n, c->base, share);
    clear_sums(n, &w);
    for (walk at = {0}; next_block(n, &at, share, shares);) {
        const size_t statistics = at.group * n->channels;
        for (size_t row = at.first; row < at.first + at.rows; row += at.run) {
            const bl_cpu_gradient gradient = gradient_at(c, row);
            bl_cpu_products(&gradient, row_at(n, c->x, &n->lines.x, row), n->dtype, c->mean + statistics, at.run, n->channels, w.part,
                            w.other_part);
        }
        if (c->dz) bl_lines_clear(&n->lines.dz, c->dz, bl_cpu_size(n->dtype), at.first, at.rows);
        bl_cpu_fold(w.part, w.sum + statistics, n->channels);
        bl_cpu_fold(w.other_part, w.other + statistics, n->channels);
    }
}

// Shared by both passes: x, dy, mean, gamma, variance, mask, sum, dz, coefficients, workspace
enum { X, DY, MEAN, GAMMA, VARIANCE, MASK, SUM, DZ, COEFFICIENTS, WORKSPACE, FIRST_RESULT, SECOND_RESULT, OPERANDS };

static context backward_context(const bl_lowering *plan, const bl_step *step) {
    return (context){.n = step->state,
                     .x = bl_step_at(plan, step, X),
                     .dy = bl_step_at(plan, step, DY),
                     .dy_lines = &((const norm *)step->state)->lines.dy,
                     .mean = bl_step_at(plan, step, MEAN),
                     .mask = bl_step_at(plan, step, MASK),
                     .sum = bl_step_at(plan, step, SUM),
                     .dz = bl_step_at(plan, step, DZ),
                     .coefficients = bl_step_at(plan, step, COEFFICIENTS),
                     .base = bl_step_at(plan, step, WORKSPACE)};
}

static int reduce_run(const bl_lowering *plan, const bl_step *step) {
    const norm *n = step->state;
    const context c = backward_context(plan, step);
    const float *gamma = bl_step_at(plan, step, GAMMA), *variance = bl_step_at(plan, step, VARIANCE);
    float *a = bl_step_at(plan, step, COEFFICIENTS), *b = a + n->groups * n->channels, *k = b + n->groups * n->channels;
    float *dgamma = bl_step_at(plan, step, FIRST_RESULT), *dbeta = bl_step_at(plan, step, SECOND_RESULT);
    const int shares = bl_cpu_threads(plan);
    bl_cpu_parallel(shares, reduce_share, &c);
    for (size_t channel = 0; channel < n->channels; channel++) {
        double gamma_sum = 0, beta_sum = 0;
        for (size_t g = 0; g < n->groups; g++) {
            const size_t i = g * n->channels + channel;
            const double sum = combined(n, c.base, shares, i, false), product = combined(n, c.base, shares, i, true);
            const double square = (double)variance[i] + n->epsilon;
            a[i] = (float)((double)gamma[channel] / sqrt(square));
            b[i] = (float)(sum / (double)n->rows);
            k[i] = (float)(product / (double)n->rows / square);
            gamma_sum += product / sqrt(square);
            beta_sum += sum;
        }
        if (dgamma) dgamma[channel] = (float)gamma_sum;
        if (dbeta) dbeta[channel] = (float)beta_sum;
    }
    return BL_OK;
}

static void backward_share(const void *passed, int share, int shares) {
    const context *c = passed;
    const norm *n = c->n;
    const float *a = c->coefficients, *b = a + n->groups * n->channels, *k = b + n->groups * n->channels;
    for (walk at = {0}; next_block(n, &at, share, shares);) {
        const size_t s = at.group * n->channels;
        for (size_t row = at.first; row < at.first + at.rows; row += at.run) {
            const bl_cpu_gradient gradient = gradient_at(c, row);
            bl_cpu_normalize_backward(&gradient, row_at(n, c->x, &n->lines.x, row), row_at(n, c->y, &n->lines.y, row), n->dtype, at.run,
                                      n->channels, c->mean + s, a + s, b + s, k + s);
        }
        bl_lines_clear(&n->lines.y, c->y, bl_cpu_size(n->dtype), at.first, at.rows);
    }
}

static int backward_run(const bl_lowering *plan, const bl_step *step) {
    context c = backward_context(plan, step);
    c.y = bl_step_at(plan, step, FIRST_RESULT);
    if (c.dz) { // the first pass has stored it
        c.dy = c.dz;
        c.dy_lines = &c.n->lines.dz;
        c.mask = c.sum = c.dz = NULL;
    }
    bl_cpu_parallel(bl_cpu_threads(plan), backward_share, &c);
    return BL_OK;
}

// The masked gradient is stored when someone else reads it, or when making it again would read more than it does.
static const bl_tensor *stored_dz(const bl_lowering *plan, const bl_fusion *fusion) {
    if (!fusion->relu_backward) return NULL;
    const bl_tensor *dz = fusion->relu_backward->outputs[0];
    return fusion->gradient_sum || plan->uses.readers[dz->id] > 1 || plan->uses.observed[dz->id] ? dz : NULL;
}

// The buffers of both passes, and how they lie.
static int backward_buffers(bl_lowering *plan, const bl_node *node, norm *n, int *buffers) {
    const bl_fusion *fusion = &plan->uses.fusion[node->id];
    const bl_node *relu = fusion->relu_backward, *sum = fusion->gradient_sum;
    const bl_tensor *dy = sum ? sum->inputs[0] : relu ? relu->inputs[1] : node->inputs[1];
    const bl_tensor *tensors[] = {[X] = node->inputs[0],
                                  [DY] = dy,
                                  [MEAN] = node->inputs[3],
                                  [GAMMA] = node->inputs[2],
                                  [VARIANCE] = node->inputs[4],
                                  [MASK] = relu ? relu->inputs[0] : NULL,
                                  [SUM] = sum ? sum->inputs[1] : NULL,
                                  [DZ] = stored_dz(plan, fusion)};
    for (int i = X; i <= DZ; i++)
        if (bl_lower_value(plan, tensors[i], &buffers[i])) return BL_FAILED;
    lay(plan, n, tensors[X], &n->lines.x);
    lay(plan, n, tensors[DY], &n->lines.dy);
    lay(plan, n, tensors[MASK], &n->lines.mask);
    lay(plan, n, tensors[SUM], &n->lines.sum);
    lay(plan, n, tensors[DZ], &n->lines.dz);
    lay(plan, n, node->outputs[0], &n->lines.y);
    return BL_OK;
}

static int reduce(bl_lowering *plan, const bl_node *node) {
    norm n = norm_of(node);
    int buffers[OPERANDS];
    if (backward_buffers(plan, node, &n, buffers) || add_workspace(plan, node, &n, &buffers[WORKSPACE])) return BL_FAILED;
    if (bl_lower_buffer(plan, 3 * n.groups * n.channels * sizeof(float), &buffers[COEFFICIENTS])) return BL_FAILED;
    if (bl_lower_value(plan, node->outputs[1], &buffers[FIRST_RESULT])) return BL_FAILED;
    if (bl_lower_value(plan, node->outputs[2], &buffers[SECOND_RESULT])) return BL_FAILED;
    const bl_tensor *dx = node->outputs[0]; // unwanted: there is no second pass
    if (dx && bl_lower_attach(plan, dx, "coefficients", buffers[COEFFICIENTS])) return BL_FAILED;
    return bl_lower_step(plan, node, reduce_run, buffers, OPERANDS, &n, sizeof n);
}

static int lower_batch_norm_backward(bl_lowering *plan, const bl_node *node) {
    const bl_fusion *fusion = &plan->uses.fusion[node->id];
    norm n = norm_of(node);
    int buffers[OPERANDS];
    if (!fusion->relu_backward && reduce(plan, node)) return BL_FAILED;
    bl_lower_note(plan, node, "byolab%s%s", fusion->relu_backward ? " + relu_backward" : "", fusion->gradient_sum ? " + add" : "");
    if (!node->outputs[0]) return BL_OK;
    if (backward_buffers(plan, node, &n, buffers)) return BL_FAILED;
    buffers[COEFFICIENTS] = bl_lower_attached(plan, node->outputs[0], "coefficients");
    buffers[WORKSPACE] = buffers[SECOND_RESULT] = -1;
    if (bl_lower_value(plan, node->outputs[0], &buffers[FIRST_RESULT])) return BL_FAILED;
    return bl_lower_step(plan, node, backward_run, buffers, OPERANDS, &n, sizeof n);
}

const bl_operator bl_cpu_op_batch_norm = {.lower = lower_batch_norm, .lower_fused = apply};
const bl_operator bl_cpu_op_batch_norm_running = {.lower = lower_batch_norm_running, .lower_fused = apply};
const bl_operator bl_cpu_op_batch_norm_backward = {.lower = lower_batch_norm_backward, .lower_fused = reduce};
