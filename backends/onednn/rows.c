#include "backends/onednn/rows.h"

#include <omp.h>

void bl_cpu_parallel(int shares, void (*body)(const void *context, int share, int shares), const void *context) {
    if (shares == 1) {
        body(context, 0, 1);
        return;
    }
#pragma omp parallel num_threads(shares)
    for (int share = omp_get_thread_num(); share < shares; share += omp_get_num_threads()) body(context, share, shares);
}

typedef union word {
    uint32_t bits;
    float value;
} word;

BL_CPU_WIDE void bl_cpu_widen(const uint16_t *restrict src, float *restrict dst, size_t count) {
    for (size_t i = 0; i < count; i++) dst[i] = (word){.bits = (uint32_t)src[i] << 16}.value;
}

BL_CPU_WIDE void bl_cpu_narrow(const float *restrict src, uint16_t *restrict dst, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const uint32_t bits = (word){.value = src[i]}.bits;
        const uint32_t nearest = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
        const uint32_t quiet = bits >> 16 | 0x40; // rounding could turn a NaN into infinity
        dst[i] = (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? quiet : nearest);
    }
}

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

// Four rows at a time, so that the sums are not loaded and stored for each.
BL_CPU_WIDE void bl_cpu_column_moments(const float *restrict x, const float *restrict shift, size_t rows, size_t channels, float *restrict sum,
                                float *restrict square) {
    for (; rows >= 4; rows -= 4, x += 4 * channels)
        for (size_t c = 0; c < channels; c++) {
            const float d0 = x[c] - shift[c], d1 = x[channels + c] - shift[c];
            const float d2 = x[2 * channels + c] - shift[c], d3 = x[3 * channels + c] - shift[c];
            sum[c] += (d0 + d1) + (d2 + d3);
            square[c] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3);
        }
    for (; rows; rows--, x += channels)
        for (size_t c = 0; c < channels; c++) {
            const float d = x[c] - shift[c];
            sum[c] += d;
            square[c] += d * d;
        }
}

BL_CPU_WIDE void bl_cpu_column_products(const float *restrict dz, const float *restrict x, const float *restrict mean, size_t rows, size_t channels,
                                 float *restrict sum, float *restrict product) {
    for (; rows >= 4; rows -= 4, x += 4 * channels, dz += 4 * channels)
        for (size_t c = 0; c < channels; c++) {
            const float z0 = dz[c], z1 = dz[channels + c], z2 = dz[2 * channels + c], z3 = dz[3 * channels + c];
            const float p0 = z0 * (x[c] - mean[c]), p1 = z1 * (x[channels + c] - mean[c]);
            const float p2 = z2 * (x[2 * channels + c] - mean[c]), p3 = z3 * (x[3 * channels + c] - mean[c]);
            sum[c] += (z0 + z1) + (z2 + z3);
            product[c] += (p0 + p1) + (p2 + p3);
        }
    for (; rows; rows--, x += channels, dz += channels)
        for (size_t c = 0; c < channels; c++) {
            sum[c] += dz[c];
            product[c] += dz[c] * (x[c] - mean[c]);
        }
}

// The loops below may work in place, value by value: IN_PLACE tells the compiler that no other overlap occurs.
#define IN_PLACE _Pragma("GCC ivdep")

// A NaN passes through a ReLU, so that it is found.
static inline float rectified(float x) {
    return x < 0 ? 0 : x;
}

BL_CPU_WIDE void bl_cpu_normalize(const float *x, const float *residual, float *y, size_t rows, size_t channels, const float *restrict mean,
                           const float *restrict scale, const float *restrict beta, bool relu) {
    for (size_t r = 0; r < rows; r++, x += channels, y += channels) {
        if (residual && relu)
            IN_PLACE for (size_t c = 0; c < channels; c++) y[c] = rectified((x[c] - mean[c]) * scale[c] + beta[c] + residual[c]);
        else if (residual)
            IN_PLACE for (size_t c = 0; c < channels; c++) y[c] = (x[c] - mean[c]) * scale[c] + beta[c] + residual[c];
        else if (relu)
            IN_PLACE for (size_t c = 0; c < channels; c++) y[c] = rectified((x[c] - mean[c]) * scale[c] + beta[c]);
        else
            IN_PLACE for (size_t c = 0; c < channels; c++) y[c] = (x[c] - mean[c]) * scale[c] + beta[c];
        if (residual) residual += channels;
    }
}

BL_CPU_WIDE void bl_cpu_normalize_backward(const float *dz, const float *x, float *dx, size_t rows, size_t channels, const float *restrict mean,
                                    const float *restrict a, const float *restrict b, const float *restrict c) {
    for (size_t r = 0; r < rows; r++, dz += channels, x += channels, dx += channels)
        IN_PLACE for (size_t k = 0; k < channels; k++) dx[k] = a[k] * (dz[k] - b[k] - (x[k] - mean[k]) * c[k]);
}

BL_CPU_WIDE void bl_cpu_rectify(const float *x, float *y, size_t count) {
    IN_PLACE for (size_t i = 0; i < count; i++) y[i] = rectified(x[i]);
}

BL_CPU_WIDE void bl_cpu_sum(const float *a, const float *b, float *y, size_t count) {
    IN_PLACE for (size_t i = 0; i < count; i++) y[i] = a[i] + b[i];
}

// As a mask of bits: written as a choice, GCC 12 makes it a branch on AVX2, eight times slower.
static inline float where_positive(float y, float value) {
    word chosen = {.value = value};
    chosen.bits &= y > 0 ? 0xffffffff : 0;
    return chosen.value;
}

BL_CPU_WIDE void bl_cpu_mask(const float *y, const float *a, const float *b, float *dz, size_t count) {
    if (b)
        IN_PLACE for (size_t i = 0; i < count; i++) dz[i] = where_positive(y[i], a[i] + b[i]);
    else
        IN_PLACE for (size_t i = 0; i < count; i++) dz[i] = where_positive(y[i], a[i]);
}
