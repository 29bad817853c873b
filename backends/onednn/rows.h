// rows.h - loops over rows of channels: what the own kernels are made of.
//
// All arithmetic is f32; bf16 values are widened as they are read and rounded to the nearest as they are written. Loops run over
// channels side by side, so that wider vectors give the same numbers.

#ifndef BL_BACKENDS_ONEDNN_ROWS_H
#define BL_BACKENDS_ONEDNN_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "graph/graph.h" // bl_dtype

// Compiles a loop for AVX-512 too and chooses when the module is opened. Rounding is that of single operations either way (no
// contraction, no reassociation), so the numbers are the same.
#if defined(__x86_64__) && !defined(__AVX512F__) && !defined(__SANITIZE_ADDRESS__)
#define BL_CPU_WIDE __attribute__((target_clones("arch=x86-64-v4", "default")))
#else
#define BL_CPU_WIDE
#endif

typedef struct bl_cpu_range {
    size_t begin, end;
} bl_cpu_range;

// The part of `count` that is share `share`'s; a multiple of `grain` where it begins.
static inline bl_cpu_range bl_cpu_share(size_t count, size_t grain, int share, int shares) {
    const size_t grains = (count + grain - 1) / grain;
    const size_t begin = grains * (size_t)share / (size_t)shares * grain, end = grains * (size_t)(share + 1) / (size_t)shares * grain;
    return (bl_cpu_range){begin, end < count ? end : count};
}

static inline size_t bl_cpu_size(bl_dtype dtype) { // bytes of a value
    return dtype == BL_F32 ? sizeof(float) : sizeof(uint16_t);
}

static inline void *bl_cpu_from(const void *data, bl_dtype dtype, size_t first) { // NULL stays NULL
    return data ? (unsigned char *)data + first * bl_cpu_size(dtype) : NULL;
}

void bl_cpu_widen(const uint16_t *src, float *dst, size_t count);
void bl_cpu_narrow(const float *src, uint16_t *dst, size_t count); // to nearest, ties to even

// `count` values from `first` on as f32: in place, or widened into `block`.
static inline const float *bl_cpu_load(const void *data, bl_dtype dtype, size_t first, size_t count, float *block) {
    if (dtype == BL_F32) return (const float *)data + first;
    bl_cpu_widen((const uint16_t *)data + first, block, count);
    return block;
}

// Where to write `count` values from `first` on; bl_cpu_store_rows narrows them when they are not in place.
static inline float *bl_cpu_target(void *data, bl_dtype dtype, size_t first, float *block) {
    return dtype == BL_F32 ? (float *)data + first : block;
}

static inline void bl_cpu_store_rows(void *data, bl_dtype dtype, size_t first, size_t count, const float *block) {
    if (dtype != BL_F32) bl_cpu_narrow(block, (uint16_t *)data + first, count);
}

// ---- sums over rows: f32 over one block of rows, f64 over the blocks ----

static inline size_t bl_cpu_block_rows(size_t channels) {
    const size_t rows = 4096 / channels;
    return rows < 8 ? 8 : rows > 64 ? 64 : rows;
}

void bl_cpu_fold(float *part, double *sum, size_t channels); // sum += part, part = 0
void bl_cpu_column_sums(const float *x, size_t rows, size_t channels, float *sum);

// sum += x - shift, square += (x - shift)^2
void bl_cpu_moments(const void *x, bl_dtype dtype, const float *shift, size_t rows, size_t channels, float *sum, float *square);

// The gradient that enters a batch norm: dy alone, or where y > 0 dy [+ other]; [written to dz].
typedef struct bl_cpu_gradient {
    const void *dy, *other, *y;
    void *dz;
} bl_cpu_gradient;

// sum += dz, product += dz (x - mean)
void bl_cpu_products(const bl_cpu_gradient *gradient, const void *x, bl_dtype dtype, const float *mean, size_t rows, size_t channels,
                     float *sum, float *product);

// ---- application ----

// y = (x - mean) scale + beta [+ residual], through a ReLU or not.
void bl_cpu_normalize(const void *x, const void *residual, void *y, bl_dtype dtype, size_t rows, size_t channels, const float *mean,
                      const float *scale, const float *beta, bool relu);
// dx = a (dz - b - (x - mean) c); of the gradient only dy and y are used.
void bl_cpu_normalize_backward(const bl_cpu_gradient *gradient, const void *x, void *dx, bl_dtype dtype, size_t rows, size_t channels,
                               const float *mean, const float *a, const float *b, const float *c);
void bl_cpu_rectify(const void *x, void *y, bl_dtype dtype, size_t count);
void bl_cpu_mask(const void *y, const void *dy, void *dx, bl_dtype dtype, size_t count);
void bl_cpu_sum(const void *a, const void *b, void *y, bl_dtype dtype, size_t count);

// ---- max pooling ----

typedef struct bl_cpu_windows { // over one image
    size_t height, width, channels, out_height, out_width, kernel, stride, padding;
} bl_cpu_windows;

// Row `row` of y: the largest value under each window of the image; [winners: which of the window's pixels that is, the first one,
// counted row by row].
void bl_cpu_largest(const bl_cpu_windows *w, const void *image, bl_dtype dtype, size_t row, void *y, int32_t *winners);
// Row `row` of dx: of each pixel the sum of dy over the windows that it won. `winners` and `dy` are the image's; `sum` has a value a channel.
void bl_cpu_largest_backward(const bl_cpu_windows *w, const void *dy, bl_dtype dtype, const int32_t *winners, size_t row, void *dx,
                             float *sum);

#endif
