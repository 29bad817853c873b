#include <string.h>

#include "backends/reference/kernels.h"

void bl_reference_linear(const bl_operands *operands) {
    const bl_shape *w = &operands->node->inputs[1]->shape;
    const int64_t N = bl_shape_rows(&operands->node->inputs[0]->shape), O = w->dims[0], I = w->dims[1];
    const double *bias = operands->inputs[2];
    for (int64_t n = 0; n < N; n++)
        for (int64_t o = 0; o < O; o++) {
            const double *x = operands->inputs[0] + n * I, *weights = operands->inputs[1] + o * I;
            double sum = bias ? bias[o] : 0;
            for (int64_t i = 0; i < I; i++) sum += x[i] * weights[i];
            operands->outputs[0][n * O + o] = sum;
        }
}

void bl_reference_linear_backward_data(const bl_operands *operands) {
    const bl_shape *w = &operands->node->inputs[1]->shape;
    const int64_t N = bl_shape_rows(&operands->node->inputs[0]->shape), O = w->dims[0], I = w->dims[1];
    const double *dy = operands->inputs[0];
    memset(operands->outputs[0], 0, (size_t)(N * I) * sizeof(double));
    for (int64_t n = 0; n < N; n++)
        for (int64_t o = 0; o < O; o++) {
            const double *weights = operands->inputs[1] + o * I;
            double *dx = operands->outputs[0] + n * I;
            for (int64_t i = 0; i < I; i++) dx[i] += dy[n * O + o] * weights[i];
        }
}

void bl_reference_linear_backward_weights(const bl_operands *operands) {
    const int64_t *dw_dims = operands->node->outputs[0]->shape.dims;
    const int64_t N = bl_shape_rows(&operands->node->inputs[0]->shape), O = dw_dims[0], I = dw_dims[1];
    const double *dy = operands->inputs[1];
    memset(operands->outputs[0], 0, (size_t)(O * I) * sizeof(double));
    for (int64_t n = 0; n < N; n++)
        for (int64_t o = 0; o < O; o++) {
            const double *x = operands->inputs[0] + n * I;
            double *dw = operands->outputs[0] + o * I;
            for (int64_t i = 0; i < I; i++) dw[i] += dy[n * O + o] * x[i];
        }
}

void bl_reference_linear_backward_bias(const bl_operands *operands) {
    const int64_t N = bl_shape_rows(&operands->node->inputs[0]->shape), O = operands->node->outputs[0]->shape.dims[0];
    for (int64_t o = 0; o < O; o++) {
        double sum = 0;
        for (int64_t n = 0; n < N; n++) sum += operands->inputs[0][n * O + o];
        operands->outputs[0][o] = sum;
    }
}
