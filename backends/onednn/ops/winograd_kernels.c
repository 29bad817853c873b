// Winograd's algorithm: transforms side by side over channels, and matrix products held in registers.

#include "backends/onednn/ops/winograd_kernels.h"

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define POINTS BL_WINOGRAD_POINTS
#define WIDE __attribute__((target("avx512f")))
#define INLINE static inline __attribute__((always_inline, target("avx512f")))
#define UNROLL _Pragma("GCC unroll 16")

enum {
    LANES = 16,
    GROUP = 14, // tiles whose products with 32 outputs stay in 28 registers
    PANEL = 32, // outputs side by side
    ROWS = 8,   // outputs a gradient's product takes with 32 inputs
};

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

bl_winograd bl_winograd_of(size_t images, size_t height, size_t width, size_t inputs, size_t outputs, bool half) {
    bl_winograd w = {images, height, width, inputs, outputs, (height + 1) / 2, (width + 1) / 2, 0, half};
    const size_t groups = (inputs + outputs) / 64;
    w.block = GROUP * (groups < 4 ? 4 : groups > 16 ? 16 : groups);
    return w;
}

size_t bl_winograd_tiles(const bl_winograd *w) {
    return w->images * w->rows * w->columns;
}

// Floats from one point to the next. Were it a multiple of 4096 bytes, all points of a tile would contend for one cache set.
static size_t apart(size_t floats) {
    return (floats + 1023) / 1024 * 1024 + 80;
}

static size_t plane(const bl_winograd *w, size_t channels) { // of a block
    return apart(w->block * channels);
}

static size_t weight_plane(const bl_winograd *w) {
    return apart(w->inputs * w->outputs);
}

size_t bl_winograd_weight_floats(const bl_winograd *w) {
    return POINTS * weight_plane(w);
}

// Workspace: transformed inputs, products (or transformed gradients), a row that stands for pixels outside.
static size_t border(const bl_winograd *w) {
    return w->inputs > w->outputs ? w->inputs : w->outputs;
}

size_t bl_winograd_workspace(const bl_winograd *w) {
    return POINTS * (plane(w, w->inputs) + plane(w, w->outputs)) + border(w);
}

// ---- where the tiles are ----

typedef struct tile {
    size_t image, row, column;
} tile;

static tile tile_at(const bl_winograd *w, size_t index) {
    const size_t column = index % w->columns, line = index / w->columns;
    return (tile){line / w->rows, line % w->rows, column};
}

static void advance(const bl_winograd *w, tile *at) {
    if (++at->column < w->columns) return;
    at->column = 0;
    if (++at->row < w->rows) return;
    at->row = 0;
    at->image++;
}

// Pixel (row, column) of an image, `outside` where there is none.
static inline const void *pixel(const bl_winograd *w, const void *x, size_t channels, size_t image, size_t row, size_t column,
                                const void *outside) {
    const bool is_inside = row < w->height && column < w->width; // -1 is large
    const size_t bytes = w->half ? sizeof(uint16_t) : sizeof(float);
    return is_inside ? (const unsigned char *)x + ((image * w->height + row) * w->width + column) * channels * bytes : outside;
}

// 16 channels of a pixel from channel c on; `half` is a constant where a transform is called.
INLINE __m512 get(const void *pixel, size_t c, const bool half) {
    if (!half) return _mm512_loadu_ps((const float *)pixel + c);
    const __m256i halves = _mm256_loadu_si256((const __m256i *)(const void *)((const uint16_t *)pixel + c));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

INLINE __m512i narrowed(__m512 value) { // to the nearest bf16, ties to even; a NaN stays one. Bits as in rows.c
    const __m512i bits = _mm512_castps_si512(value), top = _mm512_srli_epi32(bits, 16);
    const __m512i odd = _mm512_and_si512(top, _mm512_set1_epi32(1));
    const __m512i nearest = _mm512_srli_epi32(_mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff))), 16);
    const __mmask16 is_nan = _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q);
    return _mm512_mask_or_epi32(nearest, is_nan, top, _mm512_set1_epi32(0x40));
}

INLINE void put(void *pixel, size_t c, const bool half, __m512 value) {
    if (half)
        _mm256_storeu_si256((__m256i *)(void *)((uint16_t *)pixel + c), _mm512_cvtepi32_epi16(narrowed(value)));
    else
        _mm512_storeu_ps((float *)pixel + c, value);
}

// ---- transforms ----

INLINE void input_line(__m512 a, __m512 b, __m512 c, __m512 d, __m512 *out, int stride) { // B^T
    out[0] = _mm512_sub_ps(a, c);
    out[stride] = _mm512_add_ps(b, c);
    out[2 * stride] = _mm512_sub_ps(c, b);
    out[3 * stride] = _mm512_sub_ps(b, d);
}

// Tiles from `at` on: of each, 16 channels at a time, point p to to[p * plane]. A tile's lanes lie beside those of the next, 16
// channels of `group` tiles beside the next 16 channels, and groups follow each other.
INLINE void inputs_of(const bl_winograd *w, const void *x, size_t channels, tile at, size_t count, size_t group, float *to,
                      const void *outside, const bool half) {
    const size_t stride = plane(w, channels);
    for (size_t t = 0; t < count; t++, advance(w, &at)) {
        const void *from[4][4];
        for (size_t i = 0; i < 4; i++)
            for (size_t j = 0; j < 4; j++)
                from[i][j] = pixel(w, x, channels, at.image, 2 * at.row + i - 1, 2 * at.column + j - 1, outside);
        float *dst = to + t / group * group * channels + t % group * LANES;
        for (size_t c = 0; c < channels; c += LANES, dst += group * LANES) {
            __m512 rows[4][4], out[4][4];
            UNROLL for (int j = 0; j < 4; j++)
                input_line(get(from[0][j], c, half), get(from[1][j], c, half), get(from[2][j], c, half), get(from[3][j], c, half),
                           &rows[0][j], 4);
            UNROLL for (int i = 0; i < 4; i++) input_line(rows[i][0], rows[i][1], rows[i][2], rows[i][3], out[i], 1);
            UNROLL for (int p = 0; p < POINTS; p++) _mm512_store_ps(dst + (size_t)p * stride, out[p / 4][p % 4]);
        }
    }
}

WIDE static void transform_inputs(const bl_winograd *w, const void *x, size_t channels, tile at, size_t count, size_t group, float *to,
                                  const void *outside) {
    if (w->half)
        inputs_of(w, x, channels, at, count, group, to, outside, true);
    else
        inputs_of(w, x, channels, at, count, group, to, outside, false);
}

INLINE void output_line(__m512 a, __m512 b, __m512 c, __m512 d, __m512 *out, int stride) { // A^T
    out[0] = _mm512_add_ps(_mm512_add_ps(a, b), c);
    out[stride] = _mm512_sub_ps(_mm512_sub_ps(b, c), d);
}

// Products [point][tile][outputs] to pixels; those outside go to `sink`.
INLINE void outputs_of(const bl_winograd *w, const float *products, void *y, tile at, size_t count, void *sink, const bool half) {
    const size_t stride = plane(w, w->outputs), channels = w->outputs;
    for (size_t t = 0; t < count; t++, advance(w, &at)) {
        void *to[2][2];
        for (size_t i = 0; i < 2; i++)
            for (size_t j = 0; j < 2; j++)
                to[i][j] = (void *)pixel(w, y, channels, at.image, 2 * at.row + i, 2 * at.column + j, sink);
        const float *from = products + t * channels;
        for (size_t c = 0; c < channels; c += LANES) {
            __m512 rows[2][4], out[2][2];
            UNROLL for (int j = 0; j < 4; j++) {
                const float *at_column = from + (size_t)j * stride + c;
                output_line(_mm512_load_ps(at_column), _mm512_load_ps(at_column + 4 * stride), _mm512_load_ps(at_column + 8 * stride),
                            _mm512_load_ps(at_column + 12 * stride), &rows[0][j], 4);
            }
            UNROLL for (int i = 0; i < 2; i++) output_line(rows[i][0], rows[i][1], rows[i][2], rows[i][3], out[i], 1);
            UNROLL for (int p = 0; p < 4; p++) put(to[p / 2][p % 2], c, half, out[p / 2][p % 2]);
        }
    }
}

WIDE static void transform_outputs(const bl_winograd *w, const float *products, void *y, tile at, size_t count, void *sink) {
    if (w->half)
        outputs_of(w, products, y, at, count, sink, true);
    else
        outputs_of(w, products, y, at, count, sink, false);
}

INLINE void gradient_line(__m512 a, __m512 b, __m512 *out, int stride) { // A
    out[0] = a;
    out[stride] = _mm512_add_ps(a, b);
    out[2 * stride] = _mm512_sub_ps(a, b);
    out[3 * stride] = _mm512_sub_ps(_mm512_setzero_ps(), b);
}

// The output's gradient to [point][16 channels][tile].
INLINE void gradients_of(const bl_winograd *w, const void *dy, tile at, size_t count, float *to, const void *outside, const bool half) {
    const size_t stride = plane(w, w->outputs), channels = w->outputs;
    for (size_t t = 0; t < count; t++, advance(w, &at)) {
        const void *from[2][2];
        for (size_t i = 0; i < 2; i++)
            for (size_t j = 0; j < 2; j++)
                from[i][j] = pixel(w, dy, channels, at.image, 2 * at.row + i, 2 * at.column + j, outside);
        float *dst = to + t * LANES;
        for (size_t c = 0; c < channels; c += LANES, dst += w->block * LANES) {
            __m512 rows[4][2], out[4][4];
            UNROLL for (int j = 0; j < 2; j++)
                gradient_line(get(from[0][j], c, half), get(from[1][j], c, half), &rows[0][j], 2);
            UNROLL for (int i = 0; i < 4; i++) gradient_line(rows[i][0], rows[i][1], out[i], 1);
            UNROLL for (int p = 0; p < POINTS; p++) _mm512_store_ps(dst + (size_t)p * stride, out[p / 4][p % 4]);
        }
    }
}

WIDE static void transform_gradients(const bl_winograd *w, const void *dy, tile at, size_t count, float *to, const void *outside) {
    if (w->half)
        gradients_of(w, dy, at, count, to, outside, true);
    else
        gradients_of(w, dy, at, count, to, outside, false);
}

INLINE void weight_line(__m512 a, __m512 b, __m512 c, __m512 *out, int stride) { // G
    const __m512 half = _mm512_set1_ps(0.5f), ends = _mm512_mul_ps(half, _mm512_add_ps(a, c)), middle = _mm512_mul_ps(half, b);
    out[0] = a;
    out[stride] = _mm512_add_ps(ends, middle);
    out[2 * stride] = _mm512_sub_ps(ends, middle);
    out[3 * stride] = c;
}

// 16 outputs of one input, from the nine taps: to 16 neighbours of a panel.
INLINE void transform_weights(const bl_winograd *w, __m512 taps[9], float *packed, size_t input, size_t output) {
    if (w->half)
        UNROLL for (int k = 0; k < 9; k++) taps[k] = _mm512_castsi512_ps(_mm512_slli_epi32(narrowed(taps[k]), 16));
    const size_t stride = weight_plane(w), panel = output / PANEL * PANEL, width = least(PANEL, w->outputs - panel);
    __m512 rows[4][3], out[4][4];
    UNROLL for (int j = 0; j < 3; j++) weight_line(taps[j], taps[3 + j], taps[6 + j], &rows[0][j], 3);
    UNROLL for (int i = 0; i < 4; i++) weight_line(rows[i][0], rows[i][1], rows[i][2], out[i], 1);
    float *dst = packed + panel * w->inputs + input * width + (output - panel);
    UNROLL for (int p = 0; p < POINTS; p++) _mm512_store_ps(dst + (size_t)p * stride, out[p / 4][p % 4]);
}

// The master has its inputs side by side: 16 x 16 at a time are copied to where their columns can be gathered.
WIDE void bl_winograd_pack(const bl_winograd *w, const float *master, float *packed, size_t begin, size_t end) {
    float block[9][LANES][LANES] __attribute__((aligned(64)));
    const __m512i column = _mm512_setr_epi32(0, 16, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208, 224, 240);
    for (size_t o = begin; o < end; o += LANES)
        for (size_t c = 0; c < w->inputs; c += LANES) {
            for (size_t lane = 0; lane < LANES; lane++)
                for (size_t k = 0; k < 9; k++)
                    _mm512_store_ps(block[k][lane], _mm512_loadu_ps(master + ((o + lane) * 9 + k) * w->inputs + c));
            for (size_t lane = 0; lane < LANES; lane++) {
                __m512 taps[9];
                UNROLL for (int k = 0; k < 9; k++) taps[k] = _mm512_i32gather_ps(column, &block[k][0][lane], sizeof(float));
                transform_weights(w, taps, packed, c + lane, o);
            }
        }
}

WIDE void bl_winograd_pack_turned(const bl_winograd *w, const float *master, float *packed, size_t begin, size_t end) {
    for (size_t o = begin; o < end; o += LANES)
        for (size_t c = 0; c < w->inputs; c++) {
            __m512 taps[9];
            UNROLL for (size_t k = 0; k < 9; k++) taps[k] = _mm512_loadu_ps(master + (c * 9 + 8 - k) * w->outputs + o);
            transform_weights(w, taps, packed, c, o);
        }
}

// ---- convolution ----

// GROUP tiles times 16 or 32 outputs: m [tile][stride] = v [inputs / 16][tile][16] u [inputs][outputs].
INLINE void multiply(const float *v, const float *u, float *m, size_t inputs, size_t stride, const int vectors) {
    __m512 sum[GROUP][2];
    UNROLL for (int t = 0; t < GROUP; t++)
        for (int i = 0; i < vectors; i++) sum[t][i] = _mm512_setzero_ps();
    for (size_t c = 0; c < inputs; c += LANES, v += GROUP * LANES)
        for (size_t k = 0; k < LANES; k++, u += vectors * LANES) {
            const __m512 first = _mm512_load_ps(u), second = vectors > 1 ? _mm512_load_ps(u + LANES) : first;
            UNROLL for (int t = 0; t < GROUP; t++) {
                const __m512 value = _mm512_set1_ps(v[t * LANES + (int)k]);
                sum[t][0] = _mm512_fmadd_ps(value, first, sum[t][0]);
                if (vectors > 1) sum[t][1] = _mm512_fmadd_ps(value, second, sum[t][1]);
            }
        }
    UNROLL for (int t = 0; t < GROUP; t++)
        for (int i = 0; i < vectors; i++) _mm512_store_ps(m + (size_t)t * stride + i * LANES, sum[t][i]);
}

WIDE static void multiply_point(const bl_winograd *w, const float *v, const float *u, float *m, size_t count) {
    for (size_t o = 0; o < w->outputs; o += PANEL)
        for (size_t t = 0; t < count; t += GROUP) {
            if (w->outputs - o >= PANEL)
                multiply(v + t * w->inputs, u + o * w->inputs, m + t * w->outputs + o, w->inputs, w->outputs, 2);
            else
                multiply(v + t * w->inputs, u + o * w->inputs, m + t * w->outputs + o, w->inputs, w->outputs, 1);
        }
}

void bl_winograd_convolve(const bl_winograd *w, const void *x, const float *packed, void *y, float *workspace, size_t begin, size_t end) {
    float *v = workspace, *m = v + POINTS * plane(w, w->inputs), *outside = m + POINTS * plane(w, w->outputs);
    for (size_t first = begin; first < end; first += w->block) {
        const size_t count = least(w->block, end - first);
        memset(outside, 0, border(w) * sizeof(float)); // the last block's sink
        transform_inputs(w, x, w->inputs, tile_at(w, first), count, GROUP, v, outside);
        for (size_t p = 0; p < POINTS; p++)
            multiply_point(w, v + p * plane(w, w->inputs), packed + p * weight_plane(w), m + p * plane(w, w->outputs), count);
        transform_outputs(w, m, y, tile_at(w, first), count, outside);
    }
}

// ---- the gradient of the weights ----

// ROWS outputs times 16 or 32 inputs over `count` tiles, added to sum [output][stride]. Each block begins at zero: shorter sums
// round less.
INLINE void multiply_tiles(const float *z, const float *v, size_t next, size_t count, float *sum, size_t stride, const int vectors) {
    __m512 part[ROWS][2];
    UNROLL for (int o = 0; o < ROWS; o++)
        for (int i = 0; i < vectors; i++) part[o][i] = _mm512_setzero_ps();
    for (size_t t = 0; t < count; t++, z += LANES, v += LANES) {
        const __m512 first = _mm512_load_ps(v), second = vectors > 1 ? _mm512_load_ps(v + next) : first;
        UNROLL for (int o = 0; o < ROWS; o++) {
            const __m512 value = _mm512_set1_ps(z[o]);
            part[o][0] = _mm512_fmadd_ps(value, first, part[o][0]);
            if (vectors > 1) part[o][1] = _mm512_fmadd_ps(value, second, part[o][1]);
        }
    }
    UNROLL for (int o = 0; o < ROWS; o++)
        for (int i = 0; i < vectors; i++) {
            float *to = sum + (size_t)o * stride + i * LANES;
            _mm512_store_ps(to, _mm512_add_ps(_mm512_load_ps(to), part[o][i]));
        }
}

WIDE static void gradient_point(const bl_winograd *w, const float *z, const float *v, float *sum, size_t count) {
    const size_t chunk = w->block * LANES; // 16 channels of all tiles
    for (size_t c = 0; c < w->inputs; c += PANEL)
        for (size_t o = 0; o < w->outputs; o += ROWS) {
            const float *from = z + o / LANES * chunk + o % LANES;
            float *to = sum + o * w->inputs + c;
            if (w->inputs - c >= PANEL)
                multiply_tiles(from, v + c / LANES * chunk, chunk, count, to, w->inputs, 2);
            else
                multiply_tiles(from, v + c / LANES * chunk, chunk, count, to, w->inputs, 1);
        }
}

void bl_winograd_products(const bl_winograd *w, const void *x, const void *dy, float *sum, float *workspace, size_t begin, size_t end) {
    float *v = workspace, *z = v + POINTS * plane(w, w->inputs), *outside = z + POINTS * plane(w, w->outputs);
    memset(outside, 0, border(w) * sizeof(float));
    memset(sum, 0, bl_winograd_weight_floats(w) * sizeof(float));
    for (size_t first = begin; first < end; first += w->block) {
        const size_t count = least(w->block, end - first);
        transform_inputs(w, x, w->inputs, tile_at(w, first), count, w->block, v, outside);
        transform_gradients(w, dy, tile_at(w, first), count, z, outside);
        for (size_t p = 0; p < POINTS; p++)
            gradient_point(w, z + p * plane(w, w->outputs), v + p * plane(w, w->inputs), sum + p * weight_plane(w), count);
    }
}

INLINE void weight_gradient_line(__m512 a, __m512 b, __m512 c, __m512 d, __m512 *out, int stride) { // G^T
    const __m512 half = _mm512_set1_ps(0.5f), sum = _mm512_mul_ps(half, _mm512_add_ps(b, c));
    out[0] = _mm512_add_ps(a, sum);
    out[stride] = _mm512_mul_ps(half, _mm512_sub_ps(b, c));
    out[2 * stride] = _mm512_add_ps(sum, d);
}

WIDE void bl_winograd_weights(const bl_winograd *w, const float *sums, size_t count, float *dw, size_t begin, size_t end) {
    const size_t stride = weight_plane(w);
    for (size_t o = begin; o < end; o++)
        for (size_t c = 0; c < w->inputs; c += LANES) {
            __m512 points[4][4], rows[3][4], out[3][3];
            UNROLL for (int p = 0; p < POINTS; p++) {
                const float *from = sums + (size_t)p * stride + o * w->inputs + c;
                __m512 sum = _mm512_load_ps(from);
                for (size_t s = 1; s < count; s++) sum = _mm512_add_ps(sum, _mm512_load_ps(from + s * bl_winograd_weight_floats(w)));
                points[p / 4][p % 4] = sum;
            }
            UNROLL for (int j = 0; j < 4; j++)
                weight_gradient_line(points[0][j], points[1][j], points[2][j], points[3][j], &rows[0][j], 4);
            UNROLL for (int i = 0; i < 3; i++) weight_gradient_line(rows[i][0], rows[i][1], rows[i][2], rows[i][3], out[i], 1);
            UNROLL for (int k = 0; k < 9; k++) _mm512_storeu_ps(dw + (o * 9 + (size_t)k) * w->inputs + c, out[k / 3][k % 3]);
        }
}
