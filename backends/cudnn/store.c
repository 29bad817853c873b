#include "backends/cudnn/store.h"

#include "backends/cudnn/device.h"
#include "backends/cudnn/kernels/pointwise.h" // bl_gpu_set_scalar
#include "base/memory.h"                      // bl_alloc

static int take(const bl_backend *backend, size_t bytes, float **data) {
    const bl_gpu_backend *self = (const bl_gpu_backend *)backend;
    if (self->is_described) return BL_OK;
    if (bl_gpu_cuda(cudaMalloc((void **)data, bytes), "memory for weights and optimiser state")) return BL_FAILED;
    return bl_gpu_cuda(cudaMemsetAsync(*data, 0, bytes, self->stream), "clearing the store");
}

static void release(float *data) {
    cudaFree(data);
}

int bl_gpu_store_create(bl_backend *backend, const bl_layout *layout, bl_store **store) {
    const bl_place finite = {.network = BL_SCALAR_NETWORK, .segment = BL_SCALAR_FINITE};
    bl_f32_store *made;
    if (bl_f32_store_create(backend, layout, take, release, &made)) return BL_FAILED;
    if (bl_gpu_store_write(&made->base, finite, &(double){1})) {
        bl_gpu_store_free(&made->base);
        return BL_FAILED;
    }
    *store = &made->base;
    return BL_OK;
}

void bl_gpu_store_free(bl_store *store) {
    const bl_gpu_backend *backend = (const bl_gpu_backend *)store->backend;
    if (backend->stream) cudaStreamSynchronize(backend->stream); // a step may still be writing
    bl_f32_store_free((bl_f32_store *)store, release);
}

int bl_gpu_store_write(bl_store *store, bl_place place, const double *src) {
    const bl_gpu_backend *backend = (const bl_gpu_backend *)store->backend;
    size_t count;
    float *data;
    if (backend->is_described) return BL_OK; // nothing will ever read it
    if (bl_f32_store_find(store, place, &data, &count)) return BL_FAILED;
    if (place.network == BL_SCALAR_NETWORK) { // every step: in order with the steps, without waiting for them
        bl_gpu_set_scalar(backend->stream, data, (float)*src);
        return bl_gpu_cuda(cudaGetLastError(), "setting a scalar");
    }
    bl_f32_store_touch(store, place);
    float *values = bl_alloc(count * sizeof *values);
    if (!values) return BL_FAILED;
    for (size_t i = 0; i < count; i++) values[i] = (float)src[i];
    const int status = bl_gpu_upload(backend, data, values, count * sizeof *values);
    bl_free(values);
    return status;
}

int bl_gpu_store_read(bl_store *store, bl_place place, double *dst) {
    const size_t count = bl_place_count(store->layout, place);
    float *values = bl_alloc(count * sizeof *values);
    if (!values) return BL_FAILED;
    const int status = bl_gpu_store_read_f32(store, place, values);
    for (size_t i = 0; i < count && !status; i++) dst[i] = values[i];
    bl_free(values);
    return status;
}

int bl_gpu_store_read_f32(bl_store *store, bl_place place, float *dst) {
    const bl_gpu_backend *backend = (const bl_gpu_backend *)store->backend;
    size_t count;
    float *data;
    if (backend->is_described) return bl_fail("a described device holds no values");
    return bl_f32_store_find(store, place, &data, &count) ? BL_FAILED : bl_gpu_download(backend, dst, data, count * sizeof *dst);
}
