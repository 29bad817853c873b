// Cross-entropy, its gradient, and the class with the largest logit; sums in f64. Many classes: a block of threads a row of logits; few,
// as of the pixels of a segmentation: a thread a row. Meanings: graph/ops/cross_entropy.c, graph/ops/argmax.c.

#include <math.h>

#include "backends/cudnn/kernels/cross_entropy.h"
#include "backends/cudnn/kernels/kernel.cuh"

#define FEW_CLASSES 64

__device__ static inline bool is_labelled(float label, int64_t classes) {
    return label >= 0 && label < (float)classes;
}

struct largest { // and where it first stands
    float value;
    int64_t place;
};

__device__ static inline largest larger(largest a, largest b) {
    return b.value > a.value || (b.value == a.value && b.place < a.place) ? b : a;
}

// Of a row of logits, by a block. One that is not a number is the largest if it is the first of all, and never else.
template <typename T> __device__ static largest find_largest(const T *x, int64_t classes, largest *shared) {
    const int thread = (int)threadIdx.x;
    largest found = {-INFINITY, classes};
    if (thread == 0) found = {bl_load(x, 0), 0};
    for (int64_t i = thread; i < classes; i += BL_THREADS) found = larger(found, {bl_load(x, i), i});
    shared[thread] = found;
    __syncthreads();
    if (thread < BL_LANES) {
        for (int i = thread + BL_LANES; i < BL_THREADS; i += BL_LANES) found = larger(found, shared[i]);
        shared[thread] = found;
    }
    __syncthreads();
    found = shared[0];
    for (int i = 1; i < BL_LANES; i++) found = larger(found, shared[i]);
    return found;
}

// log of the sum of exp(x), safe from overflow by the largest.
template <typename T> __device__ static double find_log_sum(const T *x, int64_t classes, float above, double *shared) {
    double sum[1] = {0};
    for (int64_t i = threadIdx.x; i < classes; i += BL_THREADS) sum[0] += exp((double)bl_load(x, i) - (double)above);
    bl_block_sums(sum, shared);
    return (double)above + log(sum[0]);
}

// ---- the loss ----

// Of every row, a block each: its loss, whether it is met, whether it is labelled.
template <typename T> __global__ void find_entropies(const T *logits, const float *labels, int64_t rows, int64_t classes, double *parts) {
    __shared__ double shared[BL_THREADS];
    __shared__ largest found[BL_THREADS];
    const int64_t row = blockIdx.x;
    const T *x = logits + row * classes;
    const float label = labels[row];
    const bool counts = is_labelled(label, classes);
    double entropy = 0, hit = 0;
    if (counts) {
        const largest most = find_largest(x, classes, found);
        entropy = find_log_sum(x, classes, most.value, shared) - (double)bl_load(x, (int64_t)label);
        hit = most.place == (int64_t)label;
    }
    if (threadIdx.x) return;
    parts[row] = entropy;
    parts[rows + row] = hit;
    parts[2 * rows + row] = counts;
}

template <typename T> __device__ static largest find_largest_alone(const T *x, int64_t classes) {
    largest found = {bl_load(x, 0), 0};
    for (int64_t i = 1; i < classes; i++) found = larger(found, {bl_load(x, i), i});
    return found;
}

template <typename T> __device__ static double find_log_sum_alone(const T *x, int64_t classes, float above) {
    double sum = 0;
    for (int64_t i = 0; i < classes; i++) sum += exp((double)bl_load(x, i) - (double)above);
    return (double)above + log(sum);
}

// The same of few classes, a thread a row, summed over each block's rows.
template <typename T>
__global__ void sum_entropies(const T *logits, const float *labels, int64_t rows, int64_t classes, double *parts) {
    __shared__ double shared[3 * BL_THREADS];
    const int64_t row = bl_thread();
    double sums[3] = {0, 0, 0};
    if (row < rows && is_labelled(labels[row], classes)) {
        const T *x = logits + row * classes;
        const int64_t label = (int64_t)labels[row];
        const largest most = find_largest_alone(x, classes);
        sums[0] = find_log_sum_alone(x, classes, most.value) - (double)bl_load(x, label);
        sums[1] = most.place == label;
        sums[2] = 1;
    }
    bl_block_sums(sums, shared);
    if (threadIdx.x) return;
    for (int k = 0; k < 3; k++) parts[(int64_t)k * gridDim.x + blockIdx.x] = sums[k];
}

__global__ void reduce_entropies(const double *parts, int64_t count, float *loss, float *correct) {
    __shared__ double shared[3 * BL_THREADS];
    double sums[3] = {0, 0, 0};
    for (int64_t part = threadIdx.x; part < count; part += BL_THREADS)
        for (int k = 0; k < 3; k++) sums[k] += parts[k * count + part];
    bl_block_sums(sums, shared);
    if (threadIdx.x) return;
    if (loss) *loss = sums[2] > 0 ? (float)(sums[0] / sums[2]) : 0;
    if (correct) *correct = sums[2] > 0 ? (float)(sums[1] / sums[2]) : 0;
}

template <typename T>
static void cross_entropy(cudaStream_t stream, const T *logits, const float *labels, int64_t rows, int64_t classes, double *parts,
                          float *loss, float *correct) {
    const int64_t blocks = classes <= FEW_CLASSES ? bl_blocks(rows) : rows;
    if (classes <= FEW_CLASSES)
        BL_LAUNCH_BLOCKS(sum_entropies<T>, (unsigned)blocks, BL_THREADS, stream, logits, labels, rows, classes, parts);
    else
        BL_LAUNCH_BLOCKS(find_entropies<T>, (unsigned)blocks, BL_THREADS, stream, logits, labels, rows, classes, parts);
    BL_LAUNCH_BLOCKS(reduce_entropies, 1, BL_THREADS, stream, parts, blocks, loss, correct);
}

void bl_gpu_cross_entropy(cudaStream_t stream, const void *logits, const float *labels, bool is_half, int64_t rows, int64_t classes,
                          double *parts, float *loss, float *correct) {
    if (is_half)
        cross_entropy(stream, (const uint16_t *)logits, labels, rows, classes, parts, loss, correct);
    else
        cross_entropy(stream, (const float *)logits, labels, rows, classes, parts, loss, correct);
}

// ---- the gradient: (softmax - one at the label) / labelled rows; 0 where there is no label ----

__global__ void count_labelled(const float *labels, int64_t rows, int64_t classes, double *counts) { // of each block of rows
    __shared__ double shared[BL_THREADS];
    const int64_t row = bl_thread();
    double count[1] = {(double)(row < rows && is_labelled(labels[row], classes))};
    bl_block_sums(count, shared);
    if (threadIdx.x == 0) counts[blockIdx.x] = count[0];
}

__global__ void sum_counts(const double *counts, int64_t blocks, double *counted) {
    __shared__ double shared[BL_THREADS];
    const double count = bl_block_total(counts, blocks, shared);
    if (threadIdx.x == 0) *counted = count;
}

template <typename T>
__global__ void entropy_backward(const T *logits, const float *labels, int64_t classes, const double *counted, T *dlogits) {
    __shared__ double shared[BL_THREADS];
    __shared__ largest found[BL_THREADS];
    const T *x = logits + (int64_t)blockIdx.x * classes;
    T *dx = dlogits + (int64_t)blockIdx.x * classes;
    const float label = labels[blockIdx.x];
    if (!is_labelled(label, classes)) {
        for (int64_t i = threadIdx.x; i < classes; i += BL_THREADS) bl_store_value(dx, i, 0);
        return;
    }
    const double log_sum = find_log_sum(x, classes, find_largest(x, classes, found).value, shared);
    for (int64_t i = threadIdx.x; i < classes; i += BL_THREADS) {
        const double away = exp((double)bl_load(x, i) - log_sum) - (i == (int64_t)label);
        bl_store_value(dx, i, (float)(away / *counted));
    }
}

template <typename T>
__global__ void entropy_backward_alone(const T *logits, const float *labels, int64_t rows, int64_t classes, const double *counted,
                                       T *dlogits) {
    const int64_t row = bl_thread();
    if (row >= rows) return;
    const T *x = logits + row * classes;
    T *dx = dlogits + row * classes;
    const bool counts = is_labelled(labels[row], classes);
    const double log_sum = counts ? find_log_sum_alone(x, classes, find_largest_alone(x, classes).value) : 0;
    for (int64_t i = 0; i < classes; i++) {
        const double away = counts ? exp((double)bl_load(x, i) - log_sum) - (i == (int64_t)labels[row]) : 0;
        bl_store_value(dx, i, counts ? (float)(away / *counted) : 0);
    }
}

template <typename T>
static void cross_entropy_backward(cudaStream_t stream, const T *logits, const float *labels, int64_t rows, int64_t classes,
                                   double *counted, T *dlogits) {
    const unsigned blocks = bl_blocks(rows);
    BL_LAUNCH_BLOCKS(count_labelled, blocks, BL_THREADS, stream, labels, rows, classes, counted + 1);
    BL_LAUNCH_BLOCKS(sum_counts, 1, BL_THREADS, stream, counted + 1, (int64_t)blocks, counted);
    if (classes <= FEW_CLASSES)
        BL_LAUNCH(entropy_backward_alone<T>, blocks, BL_THREADS, stream, logits, labels, rows, classes, counted, dlogits);
    else
        BL_LAUNCH_BLOCKS(entropy_backward<T>, (unsigned)rows, BL_THREADS, stream, logits, labels, classes, counted, dlogits);
}

void bl_gpu_cross_entropy_backward(cudaStream_t stream, const void *logits, const float *labels, bool is_half, int64_t rows,
                                   int64_t classes, double *counted, void *dlogits) {
    if (is_half)
        cross_entropy_backward(stream, (const uint16_t *)logits, labels, rows, classes, counted, (uint16_t *)dlogits);
    else
        cross_entropy_backward(stream, (const float *)logits, labels, rows, classes, counted, (float *)dlogits);
}

// ---- the largest ----

template <typename T> __global__ void find_places(const T *x, int64_t classes, float *places) {
    __shared__ largest found[BL_THREADS];
    const largest most = find_largest(x + (int64_t)blockIdx.x * classes, classes, found);
    if (threadIdx.x == 0) places[blockIdx.x] = (float)most.place;
}

template <typename T> __global__ void find_places_alone(const T *x, int64_t rows, int64_t classes, float *places) {
    const int64_t row = bl_thread();
    if (row < rows) places[row] = (float)find_largest_alone(x + row * classes, classes).place;
}

template <typename T> static void find_all_places(cudaStream_t stream, const T *x, int64_t rows, int64_t classes, float *places) {
    if (classes <= FEW_CLASSES)
        BL_LAUNCH(find_places_alone<T>, bl_blocks(rows), BL_THREADS, stream, x, rows, classes, places);
    else
        BL_LAUNCH_BLOCKS(find_places<T>, (unsigned)rows, BL_THREADS, stream, x, classes, places);
}

void bl_gpu_argmax(cudaStream_t stream, const void *x, bool is_half, int64_t rows, int64_t classes, float *places) {
    if (is_half)
        find_all_places(stream, (const uint16_t *)x, rows, classes, places);
    else
        find_all_places(stream, (const float *)x, rows, classes, places);
}
