#include <math.h>

#include "backends/reference/kernels.h"

void bl_reference_global_average_pool(const bl_operands *operands) {
    const bl_shape *x = &operands->node->inputs[0]->shape;
    const int64_t N = x->dims[0], pixels = x->dims[1] * x->dims[2], C = x->dims[3];
    for (int64_t n = 0; n < N; n++)
        for (int64_t c = 0; c < C; c++) {
            double sum = 0;
            for (int64_t i = 0; i < pixels; i++) sum += operands->inputs[0][(n * pixels + i) * C + c];
            operands->outputs[0][n * C + c] = sum / (double)pixels;
        }
}

void bl_reference_global_average_pool_backward(const bl_operands *operands) {
    const bl_shape *dx = &operands->node->outputs[0]->shape;
    const int64_t N = dx->dims[0], pixels = dx->dims[1] * dx->dims[2], C = dx->dims[3];
    for (int64_t n = 0; n < N; n++)
        for (int64_t i = 0; i < pixels; i++)
            for (int64_t c = 0; c < C; c++)
                operands->outputs[0][(n * pixels + i) * C + c] = operands->inputs[0][n * C + c] / (double)pixels;
}

// Where in x the first largest value under the window of y[n, h, w, c] stands.
static int64_t winner(const bl_operands *operands, int64_t n, int64_t h, int64_t w, int64_t c) {
    const int64_t *dims = operands->node->inputs[0]->shape.dims;
    const bl_attributes *a = &operands->node->attributes;
    const double *x = operands->inputs[0];
    int64_t found = -1;
    for (int64_t i = h * a->stride - a->padding, k = 0; k < a->kernel; k++, i++)
        for (int64_t j = w * a->stride - a->padding, l = 0; l < a->kernel; l++, j++) {
            if (i < 0 || i >= dims[1] || j < 0 || j >= dims[2]) continue;
            const int64_t at = ((n * dims[1] + i) * dims[2] + j) * dims[3] + c;
            if (found < 0 || x[at] > x[found] || isnan(x[at])) found = at;
        }
    return found;
}

void bl_reference_max_pool(const bl_operands *operands) {
    const int64_t *y = operands->node->outputs[0]->shape.dims;
    for (int64_t n = 0, at = 0; n < y[0]; n++)
        for (int64_t h = 0; h < y[1]; h++)
            for (int64_t w = 0; w < y[2]; w++)
                for (int64_t c = 0; c < y[3]; c++, at++) operands->outputs[0][at] = operands->inputs[0][winner(operands, n, h, w, c)];
}

void bl_reference_max_pool_backward(const bl_operands *operands) {
    const int64_t *dy = operands->node->inputs[1]->shape.dims, count = bl_shape_count(&operands->node->outputs[0]->shape);
    for (int64_t i = 0; i < count; i++) operands->outputs[0][i] = 0;
    for (int64_t n = 0, at = 0; n < dy[0]; n++)
        for (int64_t h = 0; h < dy[1]; h++)
            for (int64_t w = 0; w < dy[2]; w++)
                for (int64_t c = 0; c < dy[3]; c++, at++) operands->outputs[0][winner(operands, n, h, w, c)] += operands->inputs[1][at];
}
