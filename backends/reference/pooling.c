#include "backends/reference/reference.h"

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
