#include <math.h>

#include "backends/reference/kernels.h"

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

static double mean_of(const double *a, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += a[i];
    return sum / (double)count;
}

// |a - b|^2 of two rows as the normalization leaves them, from the sums that each kind needs.
static double distance(bl_normalization normalization, const double *a, const double *b, int64_t count) {
    const bool centers = normalization == BL_NORMALIZE_LAYER_NORM;
    const double mean_a = centers ? mean_of(a, count) : 0, mean_b = centers ? mean_of(b, count) : 0;
    double aa = 0, bb = 0, ab = 0, apart = 0;
    for (int64_t i = 0; i < count; i++) {
        const double x = a[i] - mean_a, y = b[i] - mean_b;
        aa += x * x;
        bb += y * y;
        ab += x * y;
        apart += (x - y) * (x - y);
    }
    if (normalization == BL_NORMALIZE_NONE) return apart;
    return 2 - 2 * ab / (fmax(sqrt(aa), NORM_FLOOR) * fmax(sqrt(bb), NORM_FLOOR));
}

// The rows of p that are compared, and what the mean distance of a direction is multiplied with.
static int64_t compared_rows(const bl_node *node, const rows *r) {
    return node->attributes.one_direction ? r->B : r->N;
}

static double weight(const bl_attributes *a) {
    if (a->reduction == BL_REDUCE_MEAN) return .5;
    if (a->reduction == BL_REDUCE_HALF) return a->one_direction ? .5 : .25;
    return 1;
}

void bl_reference_byol_loss(const bl_operands *operands) {
    const bl_attributes *a = &operands->node->attributes;
    const rows r = rows_of(operands->node);
    double sum = 0;
    for (int64_t i = 0, count = compared_rows(operands->node, &r); i < count; i++)
        sum += distance(a->normalization, operands->inputs[0] + i * r.D, operands->inputs[1] + partner(operands->node, &r, i) * r.D, r.D);
    operands->outputs[0][0] = weight(a) * sum / (double)r.B - (a->reduction == BL_REDUCE_HALF ? 1 : 0);
}

// da of scale |a - b|^2, both rows as the normalization leaves them. The norm of `a` is a constant below its floor, as torch's clamp
// has it.
static void distance_gradient(bl_normalization normalization, const double *a, const double *b, int64_t count, double scale, double *da) {
    if (normalization == BL_NORMALIZE_NONE) {
        for (int64_t d = 0; d < count; d++) da[d] = 2 * scale * (a[d] - b[d]);
        return;
    }
    const bool centers = normalization == BL_NORMALIZE_LAYER_NORM;
    const double mean_a = centers ? mean_of(a, count) : 0, mean_b = centers ? mean_of(b, count) : 0;
    double aa = 0, bb = 0, ab = 0;
    for (int64_t d = 0; d < count; d++) {
        aa += (a[d] - mean_a) * (a[d] - mean_a);
        bb += (b[d] - mean_b) * (b[d] - mean_b);
        ab += (a[d] - mean_a) * (b[d] - mean_b);
    }
    const double norm_a = fmax(sqrt(aa), NORM_FLOOR), norm_b = fmax(sqrt(bb), NORM_FLOOR);
    const double along = norm_a > NORM_FLOOR ? ab / (norm_a * norm_b) / (norm_a * norm_a) : 0;
    for (int64_t d = 0; d < count; d++) da[d] = -2 * scale * ((b[d] - mean_b) / (norm_a * norm_b) - along * (a[d] - mean_a));
    // Moving all values of a row alike moves nothing that was centred: both parts above sum to 0 already.
}

static void clear(double *values, int64_t count) {
    for (int64_t i = 0; i < count; i++) values[i] = 0;
}

void bl_reference_byol_loss_backward(const bl_operands *operands) {
    const bl_attributes *a = &operands->node->attributes;
    const rows r = rows_of(operands->node);
    const double scale = weight(a) / (double)r.B;
    double *dp = operands->outputs[0], *dz = operands->outputs[1];
    if (dp) clear(dp, r.N * r.D);
    if (dz) clear(dz, r.N * r.D);
    for (int64_t i = 0, count = compared_rows(operands->node, &r); i < count; i++) {
        const int64_t j = partner(operands->node, &r, i);
        const double *p = operands->inputs[0] + i * r.D, *z = operands->inputs[1] + j * r.D;
        if (dp) distance_gradient(a->normalization, p, z, r.D, scale, dp + i * r.D);
        if (dz) distance_gradient(a->normalization, z, p, r.D, scale, dz + j * r.D);
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
