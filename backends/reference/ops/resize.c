#include <math.h>

#include "backends/reference/kernels.h"

typedef struct taps { // of one pixel along one axis: two pixels of the smaller or larger image, and their weights
    int64_t at[2];
    double weight[2];
} taps;

static taps taps_of(int64_t in, int64_t out, int64_t place) {
    const double s = fmax(((double)place + 0.5) * (double)in / (double)out - 0.5, 0);
    const int64_t low = (int64_t)s, high = low + 1 < in ? low + 1 : low;
    return (taps){{low, high}, {1 - (s - (double)low), s - (double)low}};
}

// Visits each pixel of the resized image with each of its four pixels of the other, and their weight.
static void walk(const bl_shape *image, const bl_shape *resized, void (*visit)(const bl_operands *, int64_t, int64_t, double),
                 const bl_operands *operands) {
    const int64_t *from = image->dims, *to = resized->dims;
    for (int64_t n = 0, pixel = 0; n < to[0]; n++)
        for (int64_t h = 0; h < to[1]; h++)
            for (int64_t w = 0; w < to[2]; w++, pixel++) {
                const taps rows = taps_of(from[1], to[1], h), columns = taps_of(from[2], to[2], w);
                for (int i = 0; i < 2; i++)
                    for (int j = 0; j < 2; j++)
                        visit(operands, pixel, (n * from[1] + rows.at[i]) * from[2] + columns.at[j], rows.weight[i] * columns.weight[j]);
            }
}

static void clear_result(const bl_operands *operands) {
    const int64_t count = bl_shape_count(&operands->node->outputs[0]->shape);
    for (int64_t i = 0; i < count; i++) operands->outputs[0][i] = 0;
}

// A pixel of the result gets its share of one of the input, channel by channel.
static void add(const bl_operands *operands, int64_t to, int64_t from, double weight) {
    const int64_t C = operands->node->outputs[0]->shape.dims[3];
    for (int64_t c = 0; c < C; c++) operands->outputs[0][to * C + c] += weight * operands->inputs[0][from * C + c];
}

static void take(const bl_operands *operands, int64_t resized, int64_t pixel, double weight) {
    add(operands, resized, pixel, weight);
}

static void give_back(const bl_operands *operands, int64_t resized, int64_t pixel, double weight) {
    add(operands, pixel, resized, weight);
}

void bl_reference_resize(const bl_operands *operands) {
    clear_result(operands);
    walk(&operands->node->inputs[0]->shape, &operands->node->outputs[0]->shape, take, operands);
}

void bl_reference_resize_backward(const bl_operands *operands) {
    clear_result(operands);
    walk(&operands->node->outputs[0]->shape, &operands->node->inputs[0]->shape, give_back, operands);
}
