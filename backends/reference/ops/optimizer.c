#include <math.h>
#include <string.h>

#include "backends/reference/kernels.h"

void bl_reference_accumulate(const bl_operands *operands) {
    const int64_t count = bl_shape_count(&operands->node->inputs[0]->shape);
    for (int64_t i = 0; i < count; i++) operands->inputs[1][i] += operands->inputs[0][i];
}

void bl_reference_check_finite(const bl_operands *operands) {
    const bl_node *node = operands->node;
    double *is_finite = operands->inputs[1];
    if (!isfinite(*operands->inputs[0])) *is_finite = 0;
    for (int block = 2; block < node->input_count; block++) {
        const int64_t count = bl_shape_count(&node->inputs[block]->shape);
        for (int64_t i = 0; i < count; i++)
            if (!isfinite(operands->inputs[block][i])) *is_finite = 0;
    }
}

static const bl_segments *parameter_segments(const bl_operands *operands) {
    return bl_network_segments(&operands->layout->networks[operands->node->inputs[0]->place.network], BL_PARAMETERS);
}

// The next micro step adds to zero.
static void clear_gradients(const bl_operands *operands) {
    memset(operands->inputs[1], 0, (size_t)bl_shape_count(&operands->node->inputs[1]->shape) * sizeof(double));
}

// One value along its momentum.
static void descend(const bl_attributes *a, double rate, double gradient, double *velocity, double *parameter) {
    *velocity = a->momentum * *velocity + gradient;
    *parameter -= rate * (a->nesterov ? gradient + a->momentum * *velocity : *velocity);
}

// torch.optim.SGD. Its first step sets the momentum buffer to the gradient, which a buffer of zeros gives too (no dampening).
void bl_reference_sgd(const bl_operands *operands) {
    const bl_attributes *a = &operands->node->attributes;
    const double learning_rate = *operands->inputs[3], is_finite = *operands->inputs[4];
    if (is_finite != 1) return;
    const bl_segments *segments = parameter_segments(operands);
    for (int s = 0; s < segments->count; s++) {
        const bl_segment *segment = &segments->items[s];
        if (segment->frozen) continue;
        double *parameters = operands->inputs[0] + segment->offset;
        const double *gradients = operands->inputs[1] + segment->offset;
        double *velocities = operands->inputs[2] + segment->offset;
        for (int64_t i = 0, count = bl_shape_count(&segment->shape); i < count; i++) {
            const double gradient = gradients[i] / operands->accumulate + (segment->decay ? a->weight_decay * parameters[i] : 0);
            descend(a, learning_rate * segment->lr_scale, gradient, &velocities[i], &parameters[i]);
        }
    }
    clear_gradients(operands);
}

// torch.optim.Adam: weight decay goes into the gradient, epsilon is added outside the root of the corrected second moment.
void bl_reference_adam(const bl_operands *operands) {
    const bl_attributes *a = &operands->node->attributes;
    const double learning_rate = *operands->inputs[4], step = *operands->inputs[5], is_finite = *operands->inputs[6];
    if (is_finite != 1) return;
    const double correction1 = 1 - pow(a->beta1, step), correction2 = 1 - pow(a->beta2, step);
    const bl_segments *segments = parameter_segments(operands);
    for (int s = 0; s < segments->count; s++) {
        const bl_segment *segment = &segments->items[s];
        if (segment->frozen) continue;
        double *parameters = operands->inputs[0] + segment->offset;
        const double *gradients = operands->inputs[1] + segment->offset;
        double *first = operands->inputs[2] + segment->offset, *second = operands->inputs[3] + segment->offset;
        for (int64_t i = 0, count = bl_shape_count(&segment->shape); i < count; i++) {
            const double gradient = gradients[i] / operands->accumulate + (segment->decay ? a->weight_decay * parameters[i] : 0);
            first[i] = a->beta1 * first[i] + (1 - a->beta1) * gradient;
            second[i] = a->beta2 * second[i] + (1 - a->beta2) * gradient * gradient;
            const double denominator = sqrt(second[i]) / sqrt(correction2) + a->epsilon;
            parameters[i] -= learning_rate * segment->lr_scale / correction1 * first[i] / denominator;
        }
    }
    clear_gradients(operands);
}

static double norm(const double *values, int64_t count) {
    double squares = 0;
    for (int64_t i = 0; i < count; i++) squares += values[i] * values[i];
    return sqrt(squares);
}

// How far a segment's gradient is stretched: graph/ops/update.c. `gradient` and `decayed` are |g| and |g + decay p|.
static double trust_ratio(const bl_attributes *a, double parameters, double gradient, double decayed, double decay, double learning_rate) {
    const double against = a->decay_apart ? gradient : decayed;
    double trust = 1;
    if (parameters != 0 && against != 0)
        trust = a->eta * parameters / (a->decay_apart ? gradient + decay * parameters + a->epsilon : decayed + a->epsilon);
    return a->clip ? fmin(trust / learning_rate, 1) : trust;
}

void bl_reference_lars(const bl_operands *operands) {
    const bl_attributes *a = &operands->node->attributes;
    const double learning_rate = *operands->inputs[3], is_finite = *operands->inputs[4];
    if (is_finite != 1) return;
    const bl_segments *segments = parameter_segments(operands);
    for (int s = 0; s < segments->count; s++) {
        const bl_segment *segment = &segments->items[s];
        if (segment->frozen) continue;
        const int64_t count = bl_shape_count(&segment->shape);
        const double decay = segment->decay ? a->weight_decay : 0;
        double *parameters = operands->inputs[0] + segment->offset;
        double *gradients = operands->inputs[1] + segment->offset; // cleared at the end, so free to hold what they become
        double *velocities = operands->inputs[2] + segment->offset;
        for (int64_t i = 0; i < count; i++) gradients[i] /= operands->accumulate;
        const double gradient_norm = norm(gradients, count);
        for (int64_t i = 0; i < count; i++) gradients[i] += decay * parameters[i];
        const double trust = !segment->lars_adapt ? 1
                                                  : trust_ratio(a, norm(parameters, count), gradient_norm, norm(gradients, count), decay,
                                                                learning_rate * segment->lr_scale);
        for (int64_t i = 0; i < count; i++) {
            const double gradient = trust * gradients[i];
            descend(a, learning_rate * segment->lr_scale, gradient, &velocities[i], &parameters[i]);
        }
    }
    clear_gradients(operands);
}

// In exactly this form: with tau 0 the target is the online network bit for bit.
void bl_reference_ema(const bl_operands *operands) {
    const double tau = *operands->inputs[2], is_finite = *operands->inputs[3];
    if (is_finite != 1) return;
    double *target = operands->inputs[0];
    const double *online = operands->inputs[1];
    for (int64_t i = 0, count = bl_shape_count(&operands->node->inputs[0]->shape); i < count; i++)
        target[i] = tau * target[i] + (1 - tau) * online[i];
}
