// The store: flat f32 blocks on the device, one set a network. On a described device there is none: only its size is known.

#include <string.h>

#include "backends/cudnn/gpu.h"
#include "base/memory.h" // bl_alloc

static size_t block_floats(const bl_network *network, int kind) {
    return bl_network_segments(network, (bl_block_kind)kind)->floats;
}

static bool has_block(const bl_network *network, int kind) {
    return network->trainable || kind == BL_PARAMETERS || kind == BL_BUFFERS;
}

// Zeros. A block without values has an address all the same, so that NULL means "does not exist".
static int take_block(bl_gpu_store *store, float **block, size_t floats) {
    const bl_gpu_backend *backend = (const bl_gpu_backend *)store->base.backend;
    const size_t bytes = (floats ? floats : 1) * sizeof(float);
    store->bytes += bytes;
    if (backend->is_described) return BL_OK;
    if (bl_gpu_cuda(cudaMalloc((void **)block, bytes), "memory for weights and optimiser state")) return BL_FAILED;
    return bl_gpu_cuda(cudaMemsetAsync(*block, 0, bytes, backend->stream), "clearing the store");
}

int bl_gpu_store_create(bl_backend *backend, const bl_layout *layout, bl_store **store) {
    bl_gpu_store *made = bl_alloc(sizeof *made);
    if (!made) return BL_FAILED;
    made->base = (bl_store){backend, layout};
    const bl_place finite = {.network = BL_SCALAR_NETWORK, .segment = BL_SCALAR_FINITE};
    int status = take_block(made, &made->scalars, BL_SCALARS);
    for (int n = 0; n < layout->network_count; n++) {
        made->versions[n] = 1;
        for (int kind = 0; kind < BL_BLOCK_KINDS && !status; kind++)
            if (has_block(&layout->networks[n], kind))
                status = take_block(made, &made->blocks[n][kind], block_floats(&layout->networks[n], kind));
    }
    if (!status) status = bl_gpu_store_write(&made->base, finite, &(double){1});
    if (status) {
        bl_gpu_store_free(&made->base);
        return BL_FAILED;
    }
    *store = &made->base;
    return BL_OK;
}

void bl_gpu_store_free(bl_store *store) {
    bl_gpu_store *gpu = (bl_gpu_store *)store;
    if (!gpu) return;
    const bl_gpu_backend *backend = (const bl_gpu_backend *)store->backend;
    if (backend->stream) cudaStreamSynchronize(backend->stream); // a step may still be writing
    for (int n = 0; n < BL_MAX_NETWORKS; n++)
        for (int kind = 0; kind < BL_BLOCK_KINDS; kind++)
            if (gpu->blocks[n][kind]) cudaFree(gpu->blocks[n][kind]);
    if (gpu->scalars) cudaFree(gpu->scalars);
    bl_free(gpu);
}

float *bl_gpu_store_at(bl_gpu_store *store, bl_place place, size_t *count) {
    *count = bl_place_count(store->base.layout, place);
    if (place.network == BL_SCALAR_NETWORK) return store->scalars ? store->scalars + place.segment : NULL;
    float *block = store->blocks[place.network][place.block];
    if (!block || place.segment == BL_WHOLE_BLOCK) return block;
    return block + bl_network_segments(&store->base.layout->networks[place.network], place.block)->items[place.segment].offset;
}

static float *find(bl_store *store, bl_place place, size_t *count) {
    float *data = bl_gpu_store_at((bl_gpu_store *)store, place, count);
    if (!data) bl_fail("network '%s' is not trained: it has no such block", store->layout->networks[place.network].name);
    return data;
}

int bl_gpu_store_write(bl_store *store, bl_place place, const double *src) {
    bl_gpu_store *gpu = (bl_gpu_store *)store;
    const bl_gpu_backend *backend = (const bl_gpu_backend *)store->backend;
    size_t count;
    if (backend->is_described) return BL_OK; // nothing will ever read it
    float *data = find(store, place, &count);
    if (!data) return BL_FAILED;
    if (place.network == BL_SCALAR_NETWORK) { // every step: in order with the steps, without waiting for them
        bl_gpu_set_scalar(backend->stream, data, (float)*src);
        return bl_gpu_cuda(cudaGetLastError(), "setting a scalar");
    }
    if (place.block == BL_PARAMETERS) gpu->versions[place.network]++;
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
    if (backend->is_described) return bl_fail("a described device holds no values");
    const float *data = find(store, place, &count);
    return data ? bl_gpu_download(backend, dst, data, count * sizeof *dst) : BL_FAILED;
}
