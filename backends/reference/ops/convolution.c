#include <string.h>

#include "backends/reference/kernels.h"

typedef struct geometry {
    int64_t N, H, W, C;       // input
    int64_t P, Q, O;          // output rows, columns, channels
    int64_t R, S;             // kernel rows, columns
    int64_t stride, padding, dilation;
} geometry;

static geometry geometry_of(const bl_node *node, const bl_shape *x, const bl_shape *w, const bl_shape *y) {
    const bl_attributes *a = &node->attributes;
    return (geometry){.N = x->dims[0], .H = x->dims[1], .W = x->dims[2], .C = x->dims[3], .P = y->dims[1], .Q = y->dims[2],
                      .O = y->dims[3], .R = w->dims[1], .S = w->dims[2], .stride = a->stride, .padding = a->padding,
                      .dilation = a->dilation};
}

// Calls `tap` for each pair of an output position and a kernel position that falls inside the image, with the places of the
// first channel of the input pixel, of the kernel position (of output channel 0), and of the output position.
static void for_each_tap(const geometry *g, void (*tap)(const geometry *g, double *x, double *w, double *y), double *x, double *w,
                         double *y) {
    for (int64_t n = 0; n < g->N; n++)
        for (int64_t p = 0; p < g->P; p++)
            for (int64_t q = 0; q < g->Q; q++)
                for (int64_t r = 0; r < g->R; r++)
                    for (int64_t s = 0; s < g->S; s++) {
                        const int64_t row = p * g->stride - g->padding + r * g->dilation;
                        const int64_t column = q * g->stride - g->padding + s * g->dilation;
                        if (row < 0 || row >= g->H || column < 0 || column >= g->W) continue;
                        tap(g, x + ((n * g->H + row) * g->W + column) * g->C, w + (r * g->S + s) * g->C,
                            y + ((n * g->P + p) * g->Q + q) * g->O);
                    }
}

static void add_to_y(const geometry *g, double *x, double *w, double *y) {
    for (int64_t o = 0; o < g->O; o++) {
        const double *weights = w + o * g->R * g->S * g->C;
        double sum = 0;
        for (int64_t c = 0; c < g->C; c++) sum += x[c] * weights[c];
        y[o] += sum;
    }
}

static void add_to_dx(const geometry *g, double *dx, double *w, double *dy) {
    for (int64_t o = 0; o < g->O; o++) {
        const double *weights = w + o * g->R * g->S * g->C;
        for (int64_t c = 0; c < g->C; c++) dx[c] += dy[o] * weights[c];
    }
}

static void add_to_dw(const geometry *g, double *x, double *dw, double *dy) {
    for (int64_t o = 0; o < g->O; o++) {
        double *weights = dw + o * g->R * g->S * g->C;
        for (int64_t c = 0; c < g->C; c++) weights[c] += dy[o] * x[c];
    }
}

static void clear(double *values, const bl_shape *shape) {
    memset(values, 0, (size_t)bl_shape_count(shape) * sizeof *values);
}

void bl_reference_convolution(const bl_operands *operands) {
    const bl_node *node = operands->node;
    const bl_shape *y = &node->outputs[0]->shape;
    const geometry g = geometry_of(node, &node->inputs[0]->shape, &node->inputs[1]->shape, y);
    clear(operands->outputs[0], y);
    for_each_tap(&g, add_to_y, operands->inputs[0], operands->inputs[1], operands->outputs[0]);
}

void bl_reference_convolution_backward_data(const bl_operands *operands) {
    const bl_node *node = operands->node;
    const bl_shape *dx = &node->outputs[0]->shape;
    const geometry g = geometry_of(node, dx, &node->inputs[1]->shape, &node->inputs[0]->shape);
    clear(operands->outputs[0], dx);
    for_each_tap(&g, add_to_dx, operands->outputs[0], operands->inputs[1], operands->inputs[0]);
}

void bl_reference_convolution_backward_weights(const bl_operands *operands) {
    const bl_node *node = operands->node;
    const bl_shape *dw = &node->outputs[0]->shape;
    const geometry g = geometry_of(node, &node->inputs[0]->shape, dw, &node->inputs[1]->shape);
    clear(operands->outputs[0], dw);
    for_each_tap(&g, add_to_dw, operands->inputs[0], operands->outputs[0], operands->inputs[1]);
}
