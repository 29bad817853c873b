#include <string.h>

#include "backends/reference/kernels.h"

static int64_t count_of(const bl_operands *operands) {
    return bl_shape_count(&operands->node->outputs[0]->shape);
}

// A NaN passes through, so that it is found.
void bl_reference_relu(const bl_operands *operands) {
    const double *x = operands->inputs[0];
    for (int64_t i = 0, count = count_of(operands); i < count; i++) operands->outputs[0][i] = x[i] < 0 ? 0 : x[i];
}

void bl_reference_relu_backward(const bl_operands *operands) {
    const double *y = operands->inputs[0], *dy = operands->inputs[1];
    for (int64_t i = 0, count = count_of(operands); i < count; i++) operands->outputs[0][i] = y[i] > 0 ? dy[i] : 0;
}

void bl_reference_add(const bl_operands *operands) {
    const double *a = operands->inputs[0], *b = operands->inputs[1];
    for (int64_t i = 0, count = count_of(operands); i < count; i++) operands->outputs[0][i] = a[i] + b[i];
}

void bl_reference_stop_gradient(const bl_operands *operands) {
    memcpy(operands->outputs[0], operands->inputs[0], (size_t)count_of(operands) * sizeof(double));
}
