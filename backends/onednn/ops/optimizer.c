// The update phase: each is one threaded pass over whole blocks. Meanings: graph/ops/update.c.

#include <math.h>
#include <string.h>

#include "backends/onednn/onednn.h"
#include "backends/onednn/operators.h"
#include "backends/onednn/rows.h"

// ---- check_finite ----

typedef struct check {
    int count; // operands: loss, FINITE, blocks
    size_t floats[BL_MAX_INPUTS];
} check;

typedef struct check_context {
    const float *values[BL_MAX_INPUTS];
    const check *of;
    int *is_finite; // of each share
} check_context;

// Infinities and NaNs are the values whose exponent has all bits set.
BL_CPU_WIDE static int are_finite(const float *values, size_t count) {
    uint32_t worst = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        bits &= 0x7f800000;
        worst = bits > worst ? bits : worst;
    }
    return worst != 0x7f800000;
}

static void check_share(const void *passed, int share, int shares) {
    const check_context *c = passed;
    int is_finite = 1;
    for (int i = 0; i < c->of->count; i++) {
        if (i == 1) continue; // FINITE itself
        const bl_cpu_range range = bl_cpu_share(c->of->floats[i], 16, share, shares);
        if (range.begin < range.end) is_finite &= are_finite(c->values[i] + range.begin, range.end - range.begin);
    }
    c->is_finite[share * 16] = is_finite; // a cache line each
}

static int check_run(const bl_lowering *plan, const bl_step *step) {
    const check *of = step->state;
    check_context c = {.of = of, .is_finite = bl_step_at(plan, step, BL_MAX_INPUTS)};
    for (int i = 0; i < of->count; i++) c.values[i] = bl_step_at(plan, step, i);
    const int shares = bl_cpu_threads(plan);
    bl_cpu_parallel(shares, check_share, &c);
    float *finite = bl_step_at(plan, step, 1);
    for (int share = 0; share < shares; share++)
        if (!c.is_finite[share * 16]) *finite = 0;
    return BL_OK;
}

static int lower_check_finite(bl_lowering *plan, const bl_node *node) {
    check of = {.count = node->input_count};
    int buffers[BL_MAX_INPUTS + 1];
    for (int i = 0; i < BL_MAX_INPUTS; i++) {
        const bl_tensor *tensor = i < node->input_count ? node->inputs[i] : NULL;
        if (bl_lower_value(plan, tensor, &buffers[i])) return BL_FAILED;
        if (tensor) of.floats[i] = (size_t)bl_shape_count(&tensor->shape);
    }
    if (bl_lower_buffer(plan, (size_t)bl_cpu_threads(plan) * 16 * sizeof(int), &buffers[BL_MAX_INPUTS])) return BL_FAILED;
    return bl_lower_step(plan, node, check_run, buffers, BL_MAX_INPUTS + 1, &of, sizeof of);
}

// ---- SGD, Adam and LARS ----

typedef struct update {
    const bl_node *node;
    const bl_segments *segments;
    bool clears; // the gradient, for the next micro step to add to
    float share; // 1 / micro steps: the block holds a sum, the optimiser takes the mean
} update;

typedef struct update_context {
    const update *of;
    float *parameters, *gradients, *moment1, *moment2;
    double learning_rate, step;
    double *squares; // LARS: of each share, two a segment
    double *trust;   // LARS: of each segment
} update_context;

typedef struct rates { // of one segment
    float learning_rate, decay, momentum, beta1, beta2, epsilon, root_correction2;
    float rest1, rest2; // 1 - beta, rounded once: of a rounded beta2 it would be off by 1e-5
    float share, trust; // the gradient's factors: before decay is added, and after (1 but for LARS)
    bool nesterov, clears;
} rates;

static float decay_of(const update *of, const bl_segment *segment) {
    return segment->decay ? (float)of->node->attributes.weight_decay : 0;
}

BL_CPU_WIDE static void sgd(float *restrict p, float *restrict g, float *restrict v, size_t count, const rates *rate) {
    const rates r = *rate;
    for (size_t i = 0; i < count; i++) {
        const float gradient = r.trust * (r.share * g[i] + r.decay * p[i]);
        const float velocity = r.momentum * v[i] + gradient;
        p[i] -= r.learning_rate * (r.nesterov ? gradient + r.momentum * velocity : velocity);
        v[i] = velocity;
    }
    if (r.clears) memset(g, 0, count * sizeof *g);
}

BL_CPU_WIDE static void adam(float *restrict p, float *restrict g, float *restrict m, float *restrict v, size_t count, const rates *rate) {
    const rates r = *rate;
    for (size_t i = 0; i < count; i++) {
        const float gradient = r.share * g[i] + r.decay * p[i];
        const float first = r.beta1 * m[i] + r.rest1 * gradient, second = r.beta2 * v[i] + r.rest2 * (gradient * gradient);
        p[i] -= r.learning_rate * (first / (sqrtf(second) / r.root_correction2 + r.epsilon));
        m[i] = first;
        v[i] = second;
    }
    if (r.clears) memset(g, 0, count * sizeof *g);
}

static void update_share(const void *passed, int share, int shares) {
    const update_context *c = passed;
    const bl_attributes *a = &c->of->node->attributes;
    const bool is_adam = c->of->node->op == BL_OP_ADAM, is_lars = c->of->node->op == BL_OP_LARS;
    for (int s = 0; s < c->of->segments->count; s++) {
        const bl_segment *segment = &c->of->segments->items[s];
        const bl_cpu_range range = bl_cpu_share((size_t)bl_shape_count(&segment->shape), 1024, share, shares);
        if (range.begin >= range.end) continue;
        const size_t first = segment->offset + range.begin, count = range.end - range.begin;
        if (segment->frozen) {
            if (c->of->clears) memset(c->gradients + first, 0, count * sizeof(float));
            continue;
        }
        const double learning_rate = c->learning_rate * segment->lr_scale;
        rates r = {.learning_rate = (float)learning_rate,
                   .decay = decay_of(c->of, segment),
                   .momentum = (float)a->momentum,
                   .nesterov = a->nesterov,
                   .share = c->of->share,
                   .trust = is_lars ? (float)c->trust[s] : 1,
                   .clears = c->of->clears};
        if (!is_adam) {
            sgd(c->parameters + first, c->gradients + first, c->moment1 + first, count, &r);
            continue;
        }
        r.learning_rate = (float)(learning_rate / (1 - pow(a->beta1, c->step)));
        r.beta1 = (float)a->beta1;
        r.beta2 = (float)a->beta2;
        r.rest1 = (float)(1 - a->beta1);
        r.rest2 = (float)(1 - a->beta2);
        r.epsilon = (float)a->epsilon;
        r.root_correction2 = (float)sqrt(1 - pow(a->beta2, c->step));
        adam(c->parameters + first, c->gradients + first, c->moment1 + first, c->moment2 + first, count, &r);
    }
}

// ---- LARS: what every adapted segment's gradient is multiplied by, from a first pass over the blocks ----

static size_t square_row(const update *of) { // doubles of a share: whole cache lines
    return (2 * (size_t)of->segments->count + 7) / 8 * 8;
}

// sums[0] += p^2, sums[1] += (share g + decay p)^2
BL_CPU_WIDE static void add_squares(const float *restrict p, const float *restrict g, size_t count, float part, float decay, double *sums) {
    double parameters[8] = {0}, gradients[8] = {0};
    size_t i = 0;
    for (; i + 8 <= count; i += 8)
        for (size_t k = 0; k < 8; k++) {
            const double parameter = (double)p[i + k], gradient = (double)(part * g[i + k] + decay * p[i + k]);
            parameters[k] += parameter * parameter;
            gradients[k] += gradient * gradient;
        }
    for (size_t k = 0; i < count; i++, k++) {
        const double parameter = (double)p[i], gradient = (double)(part * g[i] + decay * p[i]);
        parameters[k] += parameter * parameter;
        gradients[k] += gradient * gradient;
    }
    for (size_t k = 0; k < 8; k++) {
        sums[0] += parameters[k];
        sums[1] += gradients[k];
    }
}

static bool is_adapted(const bl_segment *segment) {
    return segment->lars_adapt && !segment->frozen;
}

static void squares_share(const void *passed, int share, int shares) {
    const update_context *c = passed;
    const bool is_apart = c->of->node->attributes.decay_apart;
    double *sums = c->squares + (size_t)share * square_row(c->of);
    memset(sums, 0, square_row(c->of) * sizeof *sums);
    for (int s = 0; s < c->of->segments->count; s++) {
        const bl_segment *segment = &c->of->segments->items[s];
        const bl_cpu_range range = bl_cpu_share((size_t)bl_shape_count(&segment->shape), 1024, share, shares);
        if (!is_adapted(segment) || range.begin >= range.end) continue;
        const size_t first = segment->offset + range.begin;
        add_squares(c->parameters + first, c->gradients + first, range.end - range.begin, c->of->share,
                    is_apart ? 0 : decay_of(c->of, segment), sums + 2 * s);
    }
}

static double trust_ratio(const update_context *c, int s, int shares) {
    const bl_attributes *a = &c->of->node->attributes;
    const bl_segment *segment = &c->of->segments->items[s];
    double parameters = 0, gradients = 0;
    if (!is_adapted(segment)) return 1;
    for (int share = 0; share < shares; share++) {
        const double *sums = c->squares + (size_t)share * square_row(c->of) + 2 * s;
        parameters += sums[0];
        gradients += sums[1];
    }
    const double parameter_norm = sqrt(parameters), gradient_norm = sqrt(gradients);
    const double decay = a->decay_apart && segment->decay ? a->weight_decay : 0;
    double trust = 1;
    if (parameter_norm > 0 && gradient_norm > 0)
        trust = a->eta * parameter_norm / (gradient_norm + decay * parameter_norm + a->epsilon);
    return a->clip ? fmin(trust / (c->learning_rate * segment->lr_scale), 1) : trust;
}

static void find_trust(const bl_lowering *plan, update_context *c, double *workspace) {
    const int shares = bl_cpu_threads(plan);
    c->squares = workspace;
    c->trust = workspace + (size_t)shares * square_row(c->of);
    bl_cpu_parallel(shares, squares_share, c);
    for (int s = 0; s < c->of->segments->count; s++) c->trust[s] = trust_ratio(c, s, shares);
}

// ---- their step ----

static float scalar(const bl_lowering *plan, const bl_step *step, int operand) {
    return *(const float *)bl_step_at(plan, step, operand);
}

// The node's operands | LARS: workspace
static int update_run(const bl_lowering *plan, const bl_step *step) {
    const update *of = step->state;
    const bool is_adam = of->node->op == BL_OP_ADAM;
    if (scalar(plan, step, is_adam ? 6 : 4) != 1) return BL_OK;
    update_context c = {.of = of,
                        .parameters = bl_step_at(plan, step, 0),
                        .gradients = bl_step_at(plan, step, 1),
                        .moment1 = bl_step_at(plan, step, 2),
                        .moment2 = is_adam ? bl_step_at(plan, step, 3) : NULL,
                        .learning_rate = scalar(plan, step, is_adam ? 4 : 3),
                        .step = is_adam ? scalar(plan, step, 5) : 0};
    if (of->node->op == BL_OP_LARS) find_trust(plan, &c, bl_step_at(plan, step, of->node->input_count));
    bl_cpu_parallel(bl_cpu_threads(plan), update_share, &c);
    bl_f32_store_touch(plan->base.store, of->node->inputs[0]->place);
    return BL_OK;
}

static int lower_update(bl_lowering *plan, const bl_node *node) {
    const int network = node->inputs[0]->place.network;
    const bl_segments *segments = bl_network_segments(&plan->store->base.layout->networks[network], BL_PARAMETERS);
    const update of = {node, segments, !plan->uses.writes_gradients[network], 1.0f / (float)plan->accumulate};
    int buffers[BL_MAX_INPUTS + 1], count = 0;
    for (; count < node->input_count; count++)
        if (bl_lower_value(plan, node->inputs[count], &buffers[count])) return BL_FAILED;
    if (node->op == BL_OP_LARS) {
        const size_t bytes = ((size_t)bl_cpu_threads(plan) + 1) * square_row(&of) * sizeof(double);
        plan->rows[node->id].bytes += bytes;
        if (bl_lower_buffer(plan, bytes, &buffers[count++])) return BL_FAILED;
    }
    return bl_lower_step(plan, node, update_run, buffers, count, &of, sizeof of);
}

// ---- EMA ----

typedef struct average {
    const bl_node *node;
    size_t count;
} average;

typedef struct average_context {
    float *target;
    const float *online;
    size_t count;
    float tau;
} average_context;

// In exactly this form: at tau 0 the target is the online network bit for bit.
BL_CPU_WIDE static void move(float *restrict target, const float *restrict online, size_t count, float tau) {
    const float rest = 1 - tau;
    for (size_t i = 0; i < count; i++) target[i] = tau * target[i] + rest * online[i];
}

static void ema_share(const void *passed, int share, int shares) {
    const average_context *c = passed;
    const bl_cpu_range range = bl_cpu_share(c->count, 1024, share, shares);
    if (range.begin < range.end) move(c->target + range.begin, c->online + range.begin, range.end - range.begin, c->tau);
}

static int ema_run(const bl_lowering *plan, const bl_step *step) {
    const average *of = step->state;
    if (scalar(plan, step, 3) != 1) return BL_OK;
    const average_context c = {bl_step_at(plan, step, 0), bl_step_at(plan, step, 1), of->count, scalar(plan, step, 2)};
    bl_cpu_parallel(bl_cpu_threads(plan), ema_share, &c);
    bl_f32_store_touch(plan->base.store, of->node->inputs[0]->place);
    return BL_OK;
}

static int lower_ema(bl_lowering *plan, const bl_node *node) {
    const average of = {node, (size_t)bl_shape_count(&node->inputs[0]->shape)};
    int buffers[4];
    for (int i = 0; i < 4; i++)
        if (bl_lower_value(plan, node->inputs[i], &buffers[i])) return BL_FAILED;
    return bl_lower_step(plan, node, ema_run, buffers, 4, &of, sizeof of);
}

const bl_operator bl_cpu_op_check_finite = {.lower = lower_check_finite};
const bl_operator bl_cpu_op_ema = {.lower = lower_ema};
const bl_operator bl_cpu_op_sgd = {.lower = lower_update};
const bl_operator bl_cpu_op_adam = {.lower = lower_update};
const bl_operator bl_cpu_op_lars = {.lower = lower_update};
