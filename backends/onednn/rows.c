#include "backends/onednn/rows.h"

// Each kernel is written once over get and put, and compiled for each dtype and each choice of operands: `half` and the other
// booleans are constants where a kernel is called, so no loop has a choice inside.
#define KERNEL static inline __attribute__((always_inline))

// The loops work in place at most, value by value: this tells the compiler that no other overlap occurs.
#define IN_PLACE _Pragma("GCC ivdep")

typedef union word {
    uint32_t bits;
    float value;
} word;

KERNEL float widened(uint16_t half) {
    return (word){.bits = (uint32_t)half << 16}.value;
}

KERNEL uint16_t narrowed(float value) {
    const uint32_t bits = (word){.value = value}.bits;
    const uint32_t nearest = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    const uint32_t quiet = bits >> 16 | 0x40; // rounding could turn a NaN into infinity
    return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? quiet : nearest);
}

KERNEL float get(const void *data, size_t i, bool half) {
    return half ? widened(((const uint16_t *)data)[i]) : ((const float *)data)[i];
}

KERNEL void put(void *data, size_t i, bool half, float value) {
    if (half)
        ((uint16_t *)data)[i] = narrowed(value);
    else
        ((float *)data)[i] = value;
}

BL_CPU_WIDE void bl_cpu_widen(const uint16_t *restrict src, float *restrict dst, size_t count) {
    for (size_t i = 0; i < count; i++) dst[i] = widened(src[i]);
}

BL_CPU_WIDE void bl_cpu_narrow(const float *restrict src, uint16_t *restrict dst, size_t count) {
    for (size_t i = 0; i < count; i++) dst[i] = narrowed(src[i]);
}

// ---- sums over rows: four at a time, so that the sums are not loaded and stored for each ----

BL_CPU_WIDE void bl_cpu_fold(float *restrict part, double *restrict sum, size_t channels) {
    for (size_t c = 0; c < channels; c++) {
        sum[c] += (double)part[c];
        part[c] = 0;
    }
}

BL_CPU_WIDE void bl_cpu_column_sums(const float *restrict x, size_t rows, size_t channels, float *restrict sum) {
    for (size_t r = 0; r < rows; r++, x += channels)
        for (size_t c = 0; c < channels; c++) sum[c] += x[c];
}

KERNEL void moments(const void *x, bool half, const float *restrict shift, size_t rows, size_t n, float *restrict sum,
                    float *restrict square) {
    size_t row = 0;
    for (; row + 4 <= rows; row += 4) {
        const size_t i = row * n;
        IN_PLACE for (size_t c = 0; c < n; c++) {
            const float d0 = get(x, i + c, half) - shift[c], d1 = get(x, i + n + c, half) - shift[c];
            const float d2 = get(x, i + 2 * n + c, half) - shift[c], d3 = get(x, i + 3 * n + c, half) - shift[c];
            sum[c] += (d0 + d1) + (d2 + d3);
            square[c] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3);
        }
    }
    for (; row < rows; row++)
        IN_PLACE for (size_t c = 0; c < n; c++) {
            const float d = get(x, row * n + c, half) - shift[c];
            sum[c] += d;
            square[c] += d * d;
        }
}

BL_CPU_WIDE void bl_cpu_moments(const void *x, bl_dtype dtype, const float *shift, size_t rows, size_t channels, float *sum,
                                float *square) {
    if (dtype == BL_F32)
        moments(x, false, shift, rows, channels, sum, square);
    else
        moments(x, true, shift, rows, channels, sum, square);
}

// As a mask of bits: written as a choice, GCC 12 makes it a branch on AVX2, eight times slower.
KERNEL float where_positive(float y, float value) {
    word chosen = {.value = value};
    chosen.bits &= y > 0 ? 0xffffffff : 0;
    return chosen.value;
}

KERNEL float take(const bl_cpu_gradient *g, size_t i, bool half, bool masks, bool adds, bool stores) {
    float dz = get(g->dy, i, half);
    if (adds) dz += get(g->other, i, half);
    if (masks) dz = where_positive(get(g->y, i, half), dz);
    if (stores) put(g->dz, i, half, dz);
    return dz;
}

KERNEL void products(const bl_cpu_gradient *gradient, const void *x, bool half, bool masks, bool adds, bool stores,
                     const float *restrict mean, size_t rows, size_t n, float *restrict sum, float *restrict product) {
    const bl_cpu_gradient g = *gradient;
    size_t row = 0;
    for (; row + 4 <= rows; row += 4) {
        const size_t i = row * n;
        IN_PLACE for (size_t c = 0; c < n; c++) {
            const float z0 = take(&g, i + c, half, masks, adds, stores), z1 = take(&g, i + n + c, half, masks, adds, stores);
            const float z2 = take(&g, i + 2 * n + c, half, masks, adds, stores), z3 = take(&g, i + 3 * n + c, half, masks, adds, stores);
            const float p0 = z0 * (get(x, i + c, half) - mean[c]), p1 = z1 * (get(x, i + n + c, half) - mean[c]);
            const float p2 = z2 * (get(x, i + 2 * n + c, half) - mean[c]), p3 = z3 * (get(x, i + 3 * n + c, half) - mean[c]);
            sum[c] += (z0 + z1) + (z2 + z3);
            product[c] += (p0 + p1) + (p2 + p3);
        }
    }
    for (; row < rows; row++)
        IN_PLACE for (size_t c = 0; c < n; c++) {
            const float z = take(&g, row * n + c, half, masks, adds, stores);
            sum[c] += z;
            product[c] += z * (get(x, row * n + c, half) - mean[c]);
        }
}

KERNEL void products_of(const bl_cpu_gradient *g, const void *x, bool half, const float *mean, size_t rows, size_t n, float *sum,
                        float *product) {
    if (!g->y)
        products(g, x, half, false, false, false, mean, rows, n, sum, product);
    else if (!g->dz)
        products(g, x, half, true, false, false, mean, rows, n, sum, product);
    else if (!g->other)
        products(g, x, half, true, false, true, mean, rows, n, sum, product);
    else
        products(g, x, half, true, true, true, mean, rows, n, sum, product);
}

BL_CPU_WIDE void bl_cpu_products(const bl_cpu_gradient *gradient, const void *x, bl_dtype dtype, const float *mean, size_t rows,
                                 size_t channels, float *sum, float *product) {
    if (dtype == BL_F32)
        products_of(gradient, x, false, mean, rows, channels, sum, product);
    else
        products_of(gradient, x, true, mean, rows, channels, sum, product);
}

// ---- application ----

// A NaN passes through a ReLU, so that it is found.
KERNEL float rectified(float x) {
    return x < 0 ? 0 : x;
}

KERNEL void normalize(const void *x, const void *residual, void *y, bool half, bool adds, bool relu, size_t rows, size_t n,
                      const float *restrict mean, const float *restrict scale, const float *restrict beta) {
    for (size_t row = 0; row < rows; row++)
        IN_PLACE for (size_t c = 0; c < n; c++) {
            const size_t i = row * n + c;
            float value = (get(x, i, half) - mean[c]) * scale[c] + beta[c];
            if (adds) value += get(residual, i, half);
            put(y, i, half, relu ? rectified(value) : value);
        }
}

KERNEL void normalize_as(const void *x, const void *residual, void *y, bool half, size_t rows, size_t n, const float *mean,
                         const float *scale, const float *beta, bool relu) {
    if (residual && relu)
        normalize(x, residual, y, half, true, true, rows, n, mean, scale, beta);
    else if (residual)
        normalize(x, residual, y, half, true, false, rows, n, mean, scale, beta);
    else if (relu)
        normalize(x, residual, y, half, false, true, rows, n, mean, scale, beta);
    else
        normalize(x, residual, y, half, false, false, rows, n, mean, scale, beta);
}

BL_CPU_WIDE void bl_cpu_normalize(const void *x, const void *residual, void *y, bl_dtype dtype, size_t rows, size_t channels,
                                  const float *mean, const float *scale, const float *beta, bool relu) {
    if (dtype == BL_F32)
        normalize_as(x, residual, y, false, rows, channels, mean, scale, beta, relu);
    else
        normalize_as(x, residual, y, true, rows, channels, mean, scale, beta, relu);
}

KERNEL void normalize_backward(const bl_cpu_gradient *gradient, const void *x, void *dx, bool half, bool masks, size_t rows, size_t n,
                               const float *restrict mean, const float *restrict a, const float *restrict b, const float *restrict c) {
    const bl_cpu_gradient g = *gradient;
    for (size_t row = 0; row < rows; row++)
        IN_PLACE for (size_t k = 0; k < n; k++) {
            const size_t i = row * n + k;
            put(dx, i, half, a[k] * (take(&g, i, half, masks, false, false) - b[k] - (get(x, i, half) - mean[k]) * c[k]));
        }
}

BL_CPU_WIDE void bl_cpu_normalize_backward(const bl_cpu_gradient *gradient, const void *x, void *dx, bl_dtype dtype, size_t rows,
                                           size_t channels, const float *mean, const float *a, const float *b, const float *c) {
    if (dtype == BL_F32 && gradient->y)
        normalize_backward(gradient, x, dx, false, true, rows, channels, mean, a, b, c);
    else if (dtype == BL_F32)
        normalize_backward(gradient, x, dx, false, false, rows, channels, mean, a, b, c);
    else if (gradient->y)
        normalize_backward(gradient, x, dx, true, true, rows, channels, mean, a, b, c);
    else
        normalize_backward(gradient, x, dx, true, false, rows, channels, mean, a, b, c);
}

// ---- value by value ----

BL_CPU_WIDE void bl_cpu_rectify(const void *x, void *y, bl_dtype dtype, size_t count) {
    if (dtype == BL_F32)
        IN_PLACE for (size_t i = 0; i < count; i++) put(y, i, false, rectified(get(x, i, false)));
    else
        IN_PLACE for (size_t i = 0; i < count; i++) put(y, i, true, rectified(get(x, i, true)));
}

BL_CPU_WIDE void bl_cpu_mask(const void *y, const void *dy, void *dx, bl_dtype dtype, size_t count) {
    if (dtype == BL_F32)
        IN_PLACE for (size_t i = 0; i < count; i++) put(dx, i, false, where_positive(get(y, i, false), get(dy, i, false)));
    else
        IN_PLACE for (size_t i = 0; i < count; i++) put(dx, i, true, where_positive(get(y, i, true), get(dy, i, true)));
}

BL_CPU_WIDE void bl_cpu_sum(const void *a, const void *b, void *y, bl_dtype dtype, size_t count) {
    if (dtype == BL_F32)
        IN_PLACE for (size_t i = 0; i < count; i++) put(y, i, false, get(a, i, false) + get(b, i, false));
    else
        IN_PLACE for (size_t i = 0; i < count; i++) put(y, i, true, get(a, i, true) + get(b, i, true));
}

// ---- max pooling ----

// A value as it was read: nothing to round.
KERNEL void keep(void *data, size_t i, bool half, word value) {
    if (half)
        ((uint16_t *)data)[i] = (uint16_t)(value.bits >> 16);
    else
        ((float *)data)[i] = value.value;
}

// As masks of bits, like where_positive. A NaN wins, and stays.
KERNEL void larger(const void *x, void *y, int32_t *restrict winners, bool half, bool marks, int32_t place, size_t n) {
    IN_PLACE for (size_t c = 0; c < n; c++) {
        const word value = {.value = get(x, c, half)}, best = {.value = get(y, c, half)};
        const uint32_t wins = (value.value > best.value) | (value.value != value.value) ? 0xffffffff : 0;
        keep(y, c, half, (word){.bits = (value.bits & wins) | (best.bits & ~wins)});
        if (marks) winners[c] = (int32_t)(((uint32_t)place & wins) | ((uint32_t)winners[c] & ~wins));
    }
}

KERNEL void first_value(const void *x, void *y, int32_t *restrict winners, bool half, bool marks, int32_t place, size_t n) {
    IN_PLACE for (size_t c = 0; c < n; c++) {
        keep(y, c, half, (word){.value = get(x, c, half)});
        if (marks) winners[c] = place;
    }
}

KERNEL const void *at(const void *data, bool half, size_t first) {
    return (const unsigned char *)data + first * (half ? sizeof(uint16_t) : sizeof(float));
}

KERNEL void largest(const bl_cpu_windows *w, const void *image, bool half, bool marks, size_t row, void *y, int32_t *winners) {
    const size_t n = w->channels, top = row * w->stride; // places are counted from `padding` above and left of the image
    for (size_t column = 0; column < w->out_width; column++) {
        const size_t left = column * w->stride;
        void *best = (void *)at(y, half, column * n);
        int32_t *won = marks ? winners + column * n : NULL;
        bool is_first = true;
        for (size_t i = 0; i < w->kernel; i++)
            for (size_t j = 0; j < w->kernel; j++) {
                if (top + i < w->padding || top + i >= w->padding + w->height) continue;
                if (left + j < w->padding || left + j >= w->padding + w->width) continue;
                const void *x = at(image, half, ((top + i - w->padding) * w->width + left + j - w->padding) * n);
                const int32_t place = (int32_t)(i * w->kernel + j);
                if (is_first)
                    first_value(x, best, won, half, marks, place, n);
                else
                    larger(x, best, won, half, marks, place, n);
                is_first = false;
            }
    }
}

BL_CPU_WIDE void bl_cpu_largest(const bl_cpu_windows *w, const void *image, bl_dtype dtype, size_t row, void *y, int32_t *winners) {
    if (dtype == BL_F32 && !winners)
        largest(w, image, false, false, row, y, NULL);
    else if (dtype == BL_F32)
        largest(w, image, false, true, row, y, winners);
    else if (!winners)
        largest(w, image, true, false, row, y, NULL);
    else
        largest(w, image, true, true, row, y, winners);
}

KERNEL void add_won(const void *dy, const int32_t *restrict winners, bool half, int32_t place, size_t n, float *restrict sum) {
    for (size_t c = 0; c < n; c++) {
        word value = {.value = get(dy, c, half)};
        value.bits &= winners[c] == place ? 0xffffffff : 0;
        sum[c] += value.value;
    }
}

KERNEL void largest_backward(const bl_cpu_windows *w, const void *dy, bool half, const int32_t *winners, size_t row, void *dx,
                             float *restrict sum) {
    const size_t n = w->channels, k = w->kernel, bottom = row + w->padding;
    for (size_t column = 0; column < w->width; column++) {
        const size_t right = column + w->padding;
        for (size_t c = 0; c < n; c++) sum[c] = 0;
        for (size_t i = bottom < k ? 0 : (bottom - k) / w->stride + 1; i < w->out_height && i * w->stride <= bottom; i++)
            for (size_t j = right < k ? 0 : (right - k) / w->stride + 1; j < w->out_width && j * w->stride <= right; j++) {
                const size_t from = (i * w->out_width + j) * n;
                const int32_t place = (int32_t)((bottom - i * w->stride) * k + right - j * w->stride);
                add_won(at(dy, half, from), winners + from, half, place, n, sum);
            }
        for (size_t c = 0; c < n; c++) put(dx, column * n + c, half, sum[c]);
    }
}

BL_CPU_WIDE void bl_cpu_largest_backward(const bl_cpu_windows *w, const void *dy, bl_dtype dtype, const int32_t *winners, size_t row,
                                         void *dx, float *sum) {
    if (dtype == BL_F32)
        largest_backward(w, dy, false, winners, row, dx, sum);
    else
        largest_backward(w, dy, true, winners, row, dx, sum);
}
