#include <math.h>

#include "backends/reference/kernels.h"

// A batch norm's input as [V groups][M values a channel][C]: rows N are V equal blocks of consecutive images, and the C channels
// are the last dimension, so a group's values lie in one stretch.
typedef struct groups {
    int64_t V, M, C;
} groups;

static groups groups_of(const bl_node *node) {
    const bl_shape *x = &node->inputs[0]->shape;
    const int64_t V = node->attributes.groups, C = x->dims[x->rank - 1];
    return (groups){.V = V, .M = bl_shape_count(x) / (V * C), .C = C};
}

void bl_reference_batch_norm(const bl_operands *operands) {
    const groups g = groups_of(operands->node);
    const double epsilon = operands->node->attributes.epsilon;
    const double *gamma = operands->inputs[1], *beta = operands->inputs[2];
    for (int64_t v = 0; v < g.V; v++) {
        const double *x = operands->inputs[0] + v * g.M * g.C;
        double *y = operands->outputs[0] + v * g.M * g.C;
        double *mean = operands->outputs[1] + v * g.C, *variance = operands->outputs[2] + v * g.C;
        for (int64_t c = 0; c < g.C; c++) {
            double sum = 0, squares = 0;
            for (int64_t i = 0; i < g.M; i++) sum += x[i * g.C + c];
            mean[c] = sum / (double)g.M;
            for (int64_t i = 0; i < g.M; i++) squares += (x[i * g.C + c] - mean[c]) * (x[i * g.C + c] - mean[c]);
            variance[c] = squares / (double)g.M;
            for (int64_t i = 0; i < g.M; i++)
                y[i * g.C + c] = gamma[c] * (x[i * g.C + c] - mean[c]) / sqrt(variance[c] + epsilon) + beta[c];
        }
    }
}

// With h = (x - mean) / sd of a group: dgamma = sum dy h, dbeta = sum dy, and
// dx = gamma / sd * (dy - average of dy - h * average of dy h), since mean and variance move with every x.
void bl_reference_batch_norm_backward(const bl_operands *operands) {
    const groups g = groups_of(operands->node);
    const double epsilon = operands->node->attributes.epsilon;
    const double *gamma = operands->inputs[2];
    double *dgamma = operands->outputs[1], *dbeta = operands->outputs[2];
    for (int64_t c = 0; c < g.C; c++) {
        double dgamma_sum = 0, dbeta_sum = 0;
        for (int64_t v = 0; v < g.V; v++) {
            const double *x = operands->inputs[0] + v * g.M * g.C + c, *dy = operands->inputs[1] + v * g.M * g.C + c;
            const double mean = operands->inputs[3][v * g.C + c], sd = sqrt(operands->inputs[4][v * g.C + c] + epsilon);
            double sum = 0, product = 0;
            for (int64_t i = 0; i < g.M; i++) {
                sum += dy[i * g.C];
                product += dy[i * g.C] * (x[i * g.C] - mean) / sd;
            }
            dbeta_sum += sum;
            dgamma_sum += product;
            if (!operands->outputs[0]) continue;
            double *dx = operands->outputs[0] + v * g.M * g.C + c;
            for (int64_t i = 0; i < g.M; i++) {
                const double h = (x[i * g.C] - mean) / sd;
                dx[i * g.C] = gamma[c] / sd * (dy[i * g.C] - sum / (double)g.M - h * product / (double)g.M);
            }
        }
        if (dgamma) dgamma[c] = dgamma_sum;
        if (dbeta) dbeta[c] = dbeta_sum;
    }
}

void bl_reference_batch_norm_running(const bl_operands *operands) {
    const bl_shape *shape = &operands->node->inputs[0]->shape;
    const int64_t count = bl_shape_count(shape), C = shape->dims[shape->rank - 1];
    const double epsilon = operands->node->attributes.epsilon;
    const double *x = operands->inputs[0], *gamma = operands->inputs[1], *beta = operands->inputs[2];
    const double *mean = operands->inputs[3], *variance = operands->inputs[4];
    double *y = operands->outputs[0];
    for (int64_t i = 0; i < count; i++) {
        const int64_t c = i % C;
        y[i] = gamma[c] * (x[i] - mean[c]) / sqrt(variance[c] + epsilon) + beta[c];
    }
}

// As torch.nn.BatchNorm2d called once a group, in order: the new value has weight `momentum`, and the variance is made unbiased.
void bl_reference_running_average(const bl_operands *operands) {
    const bl_attributes *a = &operands->node->attributes;
    const int64_t V = operands->node->inputs[0]->shape.dims[0], C = operands->node->inputs[0]->shape.dims[1];
    const double unbiased = (double)a->rows / ((double)a->rows - 1);
    for (int64_t v = 0; v < V; v++)
        for (int64_t c = 0; c < C; c++) {
            const double mean = operands->inputs[0][v * C + c], variance = operands->inputs[1][v * C + c];
            double *running_mean = &operands->inputs[2][c], *running_variance = &operands->inputs[3][c];
            *running_mean = (1 - a->momentum) * *running_mean + a->momentum * mean;
            *running_variance = (1 - a->momentum) * *running_variance + a->momentum * variance * unbiased;
        }
}
