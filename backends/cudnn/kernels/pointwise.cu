// Casts, rows of other lengths, additions and ReLU standing alone, batch norm with known statistics, sums over rows.

#include "backends/cudnn/kernels/pointwise.h"
#include "backends/cudnn/kernels/kernel.cuh"

// ---- casts ----

#define CAST_VALUES 4 // of a thread

template <typename From, typename To> __global__ void cast(const From *src, To *dst, int64_t count) {
    const int64_t first = bl_thread() * CAST_VALUES;
    if (first + CAST_VALUES > count) { // the end, less than a vector
        for (int64_t i = first; i < count; i++) bl_store_value(dst, i, bl_load(src, i));
        return;
    }
    const bl_vector<From, CAST_VALUES> from = bl_load_vector<CAST_VALUES>(src + first);
    bl_vector<To, CAST_VALUES> to;
    for (int k = 0; k < CAST_VALUES; k++) bl_store_value(to.at, k, bl_load(from.at, k));
    bl_store_vector(dst + first, to);
}

template <typename From> static void cast_from(cudaStream_t stream, const From *src, void *dst, bool dst_half, int64_t count) {
    const unsigned blocks = bl_blocks((count + CAST_VALUES - 1) / CAST_VALUES);
    if (dst_half)
        BL_LAUNCH((cast<From, uint16_t>), blocks, BL_THREADS, stream, src, (uint16_t *)dst, count);
    else
        BL_LAUNCH((cast<From, float>), blocks, BL_THREADS, stream, src, (float *)dst, count);
}

void bl_gpu_cast(cudaStream_t stream, const void *src, bool src_half, void *dst, bool dst_half, int64_t count) {
    if (src_half)
        cast_from(stream, (const uint16_t *)src, dst, dst_half, count);
    else
        cast_from(stream, (const float *)src, dst, dst_half, count);
}

// ---- rows of another length: images and weights of a stem, so a thread a short row ----

template <typename From, typename To> __global__ void resize_rows(const From *src, int64_t rows, int from, To *dst, int to) {
    const int64_t row = bl_thread();
    if (row >= rows) return;
    constexpr int n = bl_width<To>;
    src += row * from;
    dst += row * to;
    if (to % n) {
        for (int c = 0; c < to; c++) bl_store_value(dst, c, c < from ? bl_load(src, c) : 0);
        return;
    }
    for (int first = 0; first < to; first += n) {
        bl_vector<To, n> made;
        for (int k = 0; k < n; k++) bl_store_value(made.at, k, first + k < from ? bl_load(src, first + k) : 0);
        bl_store_vector(dst + first, made);
    }
}

template <typename From>
static void resize_rows_from(cudaStream_t stream, const From *src, int64_t rows, int from, void *dst, bool dst_half, int to) {
    if (dst_half)
        BL_LAUNCH((resize_rows<From, uint16_t>), bl_blocks(rows), BL_THREADS, stream, src, rows, from, (uint16_t *)dst, to);
    else
        BL_LAUNCH((resize_rows<From, float>), bl_blocks(rows), BL_THREADS, stream, src, rows, from, (float *)dst, to);
}

void bl_gpu_resize_rows(cudaStream_t stream, const void *src, bool src_half, int64_t rows, int from, void *dst, bool dst_half, int to) {
    if (from == to)
        bl_gpu_cast(stream, src, src_half, dst, dst_half, rows * to);
    else if (src_half)
        resize_rows_from(stream, (const uint16_t *)src, rows, from, dst, dst_half, to);
    else
        resize_rows_from(stream, (const float *)src, rows, from, dst, dst_half, to);
}

// ---- one value of each operand makes one ----

struct sum_of {
    __device__ float operator()(float a, float b) const { return a + b; }
};
struct rectified { // a NaN passes through, so that it is found
    __device__ float operator()(float x, float) const { return x < 0 ? 0 : x; }
};
struct where_positive {
    __device__ float operator()(float y, float dy) const { return y > 0 ? dy : 0; }
};

template <typename T, typename F> __global__ void combine(const T *a, const T *b, T *y, int64_t count, F of) {
    constexpr int n = bl_width<T>;
    const int64_t first = bl_thread() * n;
    if (first + n > count) { // the end, less than a vector
        for (int64_t i = first; i < count; i++) bl_store_value(y, i, of(bl_load(a, i), bl_load(b, i)));
        return;
    }
    const bl_vector<T, n> from_a = bl_load_vector<n>(a + first), from_b = bl_load_vector<n>(b + first);
    bl_vector<T, n> made;
    for (int k = 0; k < n; k++) bl_store_value(made.at, k, of(bl_load(from_a.at, k), bl_load(from_b.at, k)));
    bl_store_vector(y + first, made);
}

template <typename T, typename F> static void launch_combine(cudaStream_t stream, const T *a, const T *b, T *y, int64_t count, F of) {
    const unsigned blocks = bl_blocks((count + bl_width<T> - 1) / bl_width<T>);
    BL_LAUNCH((combine<T, F>), blocks, BL_THREADS, stream, a, b, y, count, of);
}

template <typename F>
static void combine_either(cudaStream_t stream, const void *a, const void *b, void *y, bool is_half, int64_t count, F of) {
    if (is_half)
        launch_combine(stream, (const uint16_t *)a, (const uint16_t *)b, (uint16_t *)y, count, of);
    else
        launch_combine(stream, (const float *)a, (const float *)b, (float *)y, count, of);
}

void bl_gpu_add(cudaStream_t stream, const void *a, const void *b, void *y, bool is_half, int64_t count) {
    combine_either(stream, a, b, y, is_half, count, sum_of());
}

void bl_gpu_relu(cudaStream_t stream, const void *x, void *y, bool is_half, int64_t count) {
    combine_either(stream, x, x, y, is_half, count, rectified());
}

void bl_gpu_relu_backward(cudaStream_t stream, const void *y, const void *dy, void *dx, bool is_half, int64_t count) {
    combine_either(stream, y, dy, dx, is_half, count, where_positive());
}

void bl_gpu_accumulate(cudaStream_t stream, const float *src, float *sum, bool is_first, int64_t count) {
    if (is_first)
        bl_gpu_cast(stream, src, false, sum, false, count);
    else
        bl_gpu_add(stream, sum, src, sum, false, count);
}

// ---- batch norm by known statistics ----

#define NORMALIZE_ROWS 8 // of a thread: it finds its channels' factors once

template <typename T, int n>
__global__ void normalize(const T *x, const float *gamma, const float *beta, const float *mean, const float *variance, float epsilon,
                          const T *residual, bool relu, T *y, int64_t rows, int channels) {
    const int64_t columns = channels / n, first_row = bl_thread() / columns * NORMALIZE_ROWS;
    const int first = (int)(bl_thread() % columns) * n;
    if (first_row >= rows) return;
    float scale[n], middle[n], shift[n];
    for (int k = 0; k < n; k++) {
        scale[k] = gamma[first + k] / sqrtf(variance[first + k] + epsilon);
        middle[k] = mean[first + k];
        shift[k] = beta[first + k];
    }
    const int64_t end = first_row + NORMALIZE_ROWS < rows ? first_row + NORMALIZE_ROWS : rows;
    for (int64_t row = first_row; row < end; row++) {
        const int64_t at = row * channels + first;
        const bl_vector<T, n> from = bl_load_vector<n>(x + at);
        const bl_vector<T, n> other = residual ? bl_load_vector<n>(residual + at) : from;
        bl_vector<T, n> made;
        for (int k = 0; k < n; k++) {
            float value = (bl_load(from.at, k) - middle[k]) * scale[k] + shift[k];
            if (residual) value += bl_load(other.at, k);
            bl_store_value(made.at, k, relu && value < 0 ? 0 : value);
        }
        bl_store_vector(y + at, made);
    }
}

template <typename T, int n>
static void launch_normalize(cudaStream_t stream, const void *x, const float *gamma, const float *beta, const float *mean,
                             const float *variance, float epsilon, const void *residual, bool relu, void *y, int64_t rows, int channels) {
    const int64_t threads = (rows + NORMALIZE_ROWS - 1) / NORMALIZE_ROWS * (channels / n);
    BL_LAUNCH((normalize<T, n>), bl_blocks(threads), BL_THREADS, stream, (const T *)x, gamma, beta, mean, variance, epsilon,
              (const T *)residual, relu, (T *)y, rows, channels);
}

template <typename T>
static void normalize_of(cudaStream_t stream, const void *x, const float *gamma, const float *beta, const float *mean,
                         const float *variance, float epsilon, const void *residual, bool relu, void *y, int64_t rows, int channels) {
    if (channels % bl_width<T>)
        launch_normalize<T, 1>(stream, x, gamma, beta, mean, variance, epsilon, residual, relu, y, rows, channels);
    else
        launch_normalize<T, bl_width<T>>(stream, x, gamma, beta, mean, variance, epsilon, residual, relu, y, rows, channels);
}

void bl_gpu_normalize(cudaStream_t stream, const void *x, const float *gamma, const float *beta, const float *mean, const float *variance,
                      float epsilon, const void *residual, bool relu, void *y, bool is_half, int64_t rows, int channels) {
    if (is_half)
        normalize_of<uint16_t>(stream, x, gamma, beta, mean, variance, epsilon, residual, relu, y, rows, channels);
    else
        normalize_of<float>(stream, x, gamma, beta, mean, variance, epsilon, residual, relu, y, rows, channels);
}

__global__ void inverse_of_variance(const float *variance, float epsilon, float *inverse, int64_t count) {
    const int64_t i = bl_thread();
    if (i < count) inverse[i] = (float)(1 / sqrt((double)variance[i] + (double)epsilon));
}

void bl_gpu_inverse_of_variance(cudaStream_t stream, const float *variance, float epsilon, float *inverse, int64_t count) {
    BL_LAUNCH(inverse_of_variance, bl_blocks(count), BL_THREADS, stream, variance, epsilon, inverse, count);
}

// In f64: no rounding but the inverse's own, which is all that a variance near epsilon can bear.
__global__ void variance_of_inverse(const float *inverse, float epsilon, float *variance, int64_t count) {
    const int64_t i = bl_thread();
    if (i >= count) return;
    const double value = 1 / ((double)inverse[i] * (double)inverse[i]) - (double)epsilon;
    variance[i] = value < 0 ? 0 : (float)value;
}

void bl_gpu_variance_of_inverse(cudaStream_t stream, const float *inverse, float epsilon, float *variance, int64_t count) {
    BL_LAUNCH(variance_of_inverse, bl_blocks(count), BL_THREADS, stream, inverse, epsilon, variance, count);
}

// ---- sums over rows ----

__global__ void sum_groups(const float *parts, int64_t groups, float *sum, int64_t channels) {
    const int64_t c = bl_thread();
    if (c >= channels) return;
    double total = 0;
    for (int64_t g = 0; g < groups; g++) total += (double)parts[g * channels + c];
    sum[c] = (float)total;
}

static void launch_sum_groups(cudaStream_t stream, const float *parts, int64_t groups, float *sum, int64_t channels) {
    BL_LAUNCH(sum_groups, bl_blocks(channels), BL_THREADS, stream, parts, groups, sum, channels);
}

void bl_gpu_sum_groups(cudaStream_t stream, const float *parts, int groups, float *sum, int64_t channels) {
    launch_sum_groups(stream, parts, groups, sum, channels);
}

#define COLUMN_ROWS 32 // that a thread sums of its column

int64_t bl_gpu_column_partials(int64_t rows) {
    return (rows + COLUMN_ROWS - 1) / COLUMN_ROWS;
}

template <typename T> __global__ void sum_column_parts(const T *x, int64_t rows, int64_t channels, float *partial) {
    const int64_t part = bl_thread() / channels, c = bl_thread() % channels, first = part * COLUMN_ROWS;
    if (first >= rows) return;
    const int64_t end = first + COLUMN_ROWS < rows ? first + COLUMN_ROWS : rows;
    double sum = 0;
    for (int64_t row = first; row < end; row++) sum += (double)bl_load(x, row * channels + c);
    partial[part * channels + c] = (float)sum;
}

void bl_gpu_sum_columns(cudaStream_t stream, const void *x, bool is_half, int64_t rows, int64_t channels, float *partial, float *sum) {
    const int64_t parts = bl_gpu_column_partials(rows);
    const unsigned blocks = bl_blocks(parts * channels);
    if (is_half)
        BL_LAUNCH(sum_column_parts<uint16_t>, blocks, BL_THREADS, stream, (const uint16_t *)x, rows, channels, partial);
    else
        BL_LAUNCH(sum_column_parts<float>, blocks, BL_THREADS, stream, (const float *)x, rows, channels, partial);
    launch_sum_groups(stream, partial, parts, sum, channels);
}

__global__ void add_row(const float *row, float *x, int64_t count, int64_t channels) {
    const int64_t i = bl_thread();
    if (i < count) x[i] += row[i % channels];
}

void bl_gpu_add_row(cudaStream_t stream, const float *row, float *x, int64_t rows, int64_t channels) {
    BL_LAUNCH(add_row, bl_blocks(rows * channels), BL_THREADS, stream, row, x, rows * channels, channels);
}

__global__ void set_scalar(float *scalar, float value) {
    *scalar = value;
}

void bl_gpu_set_scalar(cudaStream_t stream, float *scalar, float value) {
    BL_LAUNCH(set_scalar, 1, 1, stream, scalar, value);
}
