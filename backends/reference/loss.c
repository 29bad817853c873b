#include <math.h>

#include "backends/reference/reference.h"

// The floor of a norm in a quotient: torch.nn.functional.cosine_similarity's eps, each norm clamped by itself.
#define NORM_FLOOR 1e-8

typedef struct rows {
    int64_t N, D; // rows of all views, features
    int64_t B;    // rows of one view
} rows;

static rows rows_of(const bl_node *node) {
    const bl_shape *shape = &node->inputs[0]->shape;
    return (rows){.N = shape->dims[0], .D = shape->dims[1], .B = shape->dims[0] / node->attributes.groups};
}

// The row of z that row i of p is compared with. Crossing two views is its own inverse.
static int64_t partner(const bl_node *node, const rows *r, int64_t i) {
    return node->attributes.pairing == BL_CROSSED ? (i + r->B) % r->N : i;
}

static double dot(const double *a, const double *b, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += a[i] * b[i];
    return sum;
}

static double floored_norm(const double *a, int64_t count) {
    return fmax(sqrt(dot(a, a, count)), NORM_FLOOR);
}

// Sum over the rows of 2 - 2 cos(p, z), divided by the rows of one view: the mean over the batch of both directions, 0 .. 8.
void bl_reference_byol_loss(const bl_operands *operands) {
    const rows r = rows_of(operands->node);
    double sum = 0;
    for (int64_t i = 0; i < r.N; i++) {
        const double *p = operands->inputs[0] + i * r.D, *z = operands->inputs[1] + partner(operands->node, &r, i) * r.D;
        sum += 2 - 2 * dot(p, z, r.D) / (floored_norm(p, r.D) * floored_norm(z, r.D));
    }
    operands->outputs[0][0] = sum / (double)r.B;
}

// da of -2 cos(a, b) / B. The norm of `a` is a constant below its floor, as torch's clamp has it.
static void add_cosine_gradient(const double *a, const double *b, const rows *r, double *da) {
    const double norm_a = floored_norm(a, r->D), norm_b = floored_norm(b, r->D);
    const double cosine = dot(a, b, r->D) / (norm_a * norm_b);
    const double along = norm_a > NORM_FLOOR ? cosine / (norm_a * norm_a) : 0;
    for (int64_t d = 0; d < r->D; d++) da[d] = -2 / (double)r->B * (b[d] / (norm_a * norm_b) - along * a[d]);
}

void bl_reference_byol_loss_backward(const bl_operands *operands) {
    const rows r = rows_of(operands->node);
    for (int64_t i = 0; i < r.N; i++) {
        const int64_t j = partner(operands->node, &r, i);
        const double *p = operands->inputs[0] + i * r.D, *z = operands->inputs[1] + j * r.D;
        if (operands->outputs[0]) add_cosine_gradient(p, z, &r, operands->outputs[0] + i * r.D);
        if (operands->outputs[1]) add_cosine_gradient(z, p, &r, operands->outputs[1] + j * r.D);
    }
}

// Of the l2-normalised rows: sqrt(D x mean over views and channels of the biased variance over a view's rows). As the rows have
// length one this is sqrt(1 - mean pairwise cosine): 0 where all images fall on one point, near 1 where they spread.
void bl_reference_projection_std(const bl_operands *operands) {
    const rows r = rows_of(operands->node);
    const double *z = operands->inputs[0];
    double variances = 0;
    for (int64_t view = 0; view < r.N; view += r.B)
        for (int64_t d = 0; d < r.D; d++) {
            double sum = 0, squares = 0;
            for (int64_t i = view; i < view + r.B; i++) sum += z[i * r.D + d] / floored_norm(z + i * r.D, r.D);
            for (int64_t i = view; i < view + r.B; i++) {
                const double away = z[i * r.D + d] / floored_norm(z + i * r.D, r.D) - sum / (double)r.B;
                squares += away * away;
            }
            variances += squares / (double)r.B;
        }
    const double views = (double)(r.N / r.B);
    operands->outputs[0][0] = sqrt((double)r.D * variances / (views * (double)r.D));
}
