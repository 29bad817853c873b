// Bilinear resizing: a thread a value of the result, so the backward gathers and needs no atomics. Meaning: graph/ops/resize.c.

#include "backends/cudnn/kernels/resize.h"
#include "backends/cudnn/kernels/kernel.cuh"

struct place { // of a value of a batch of images
    int64_t image;
    int row, column, channel;
};

__device__ static inline place place_of(int64_t value, int height, int width, int channels) {
    const int64_t pixel = value / channels, row = pixel / width;
    return {row / height, (int)(row % height), (int)(pixel % width), (int)(value % channels)};
}

__device__ static inline float mixed(float low, float high, float part) {
    return (1 - part) * low + part * high;
}

// What a pixel gives to one of the resized image.
__device__ static inline float weight(const bl_resize_tap &tap, int at) {
    return (tap.low == at ? 1 - tap.part : 0) + (tap.high == at ? tap.part : 0);
}

template <typename T> __global__ void resize(bl_gpu_resizing of, const T *x, T *y) {
    const int64_t value = bl_thread();
    if (value >= of.images * of.out_height * of.out_width * of.channels) return;
    const place to = place_of(value, of.out_height, of.out_width, of.channels);
    const bl_resize_tap row = of.taps[to.row], column = of.taps[of.out_height + to.column];
    const int64_t low = (to.image * of.height + row.low) * of.width, high = (to.image * of.height + row.high) * of.width;
    const int64_t left = (int64_t)column.low * of.channels + to.channel, right = (int64_t)column.high * of.channels + to.channel;
    const float before = mixed(bl_load(x, low * of.channels + left), bl_load(x, high * of.channels + left), row.part);
    const float after = mixed(bl_load(x, low * of.channels + right), bl_load(x, high * of.channels + right), row.part);
    bl_store_value(y, value, mixed(before, after, column.part));
}

template <typename T> __global__ void resize_backward(bl_gpu_resizing of, const T *dy, T *dx) {
    const int64_t value = bl_thread();
    if (value >= of.images * of.height * of.width * of.channels) return;
    const place to = place_of(value, of.height, of.width, of.channels);
    const bl_resize_reach rows = of.reaches[to.row], columns = of.reaches[of.height + to.column];
    float sum = 0;
    for (int row = rows.begin; row < rows.end; row++) {
        const T *from = dy + (to.image * of.out_height + row) * of.out_width * of.channels + to.channel;
        float along = 0;
        for (int column = columns.begin; column < columns.end; column++)
            along += weight(of.taps[of.out_height + column], to.column) * bl_load(from, (int64_t)column * of.channels);
        sum += weight(of.taps[row], to.row) * along;
    }
    bl_store_value(dx, value, sum);
}

void bl_gpu_resize(cudaStream_t stream, const bl_gpu_resizing *of, const void *x, bool is_half, void *y) {
    const unsigned blocks = bl_blocks(of->images * of->out_height * of->out_width * of->channels);
    if (is_half)
        BL_LAUNCH(resize<uint16_t>, blocks, BL_THREADS, stream, *of, (const uint16_t *)x, (uint16_t *)y);
    else
        BL_LAUNCH(resize<float>, blocks, BL_THREADS, stream, *of, (const float *)x, (float *)y);
}

void bl_gpu_resize_backward(cudaStream_t stream, const bl_gpu_resizing *of, const void *dy, bool is_half, void *dx) {
    const unsigned blocks = bl_blocks(of->images * of->height * of->width * of->channels);
    if (is_half)
        BL_LAUNCH(resize_backward<uint16_t>, blocks, BL_THREADS, stream, *of, (const uint16_t *)dy, (uint16_t *)dx);
    else
        BL_LAUNCH(resize_backward<float>, blocks, BL_THREADS, stream, *of, (const float *)dy, (float *)dx);
}
