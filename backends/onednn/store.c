// The store: flat f32 blocks, 64-byte aligned, one set a network.

#include <string.h>

#include "backends/onednn/onednn.h"

int bl_cpu_store_create(bl_backend *backend, const bl_layout *layout, bl_store **store) {
    bl_cpu_store *made = bl_alloc(sizeof *made);
    if (!made) return BL_FAILED;
    made->base = (bl_store){backend, layout};
    made->scalars[BL_SCALAR_FINITE] = 1;
    for (int n = 0; n < layout->network_count; n++) {
        const bl_network *network = &layout->networks[n];
        made->versions[n] = 1;
        for (int kind = 0; kind < BL_BLOCK_KINDS; kind++) {
            if (!network->trainable && kind != BL_PARAMETERS && kind != BL_BUFFERS) continue;
            const size_t floats = bl_network_segments(network, (bl_block_kind)kind)->floats;
            made->blocks[n][kind] = bl_alloc(floats * sizeof(float));
            if (!made->blocks[n][kind]) {
                bl_cpu_store_free(&made->base);
                return BL_FAILED;
            }
            // Touched now, so that what the machine then has free is what plans may take.
            memset(made->blocks[n][kind], 0, floats * sizeof(float));
            made->bytes += floats * sizeof(float);
        }
    }
    *store = &made->base;
    return BL_OK;
}

void bl_cpu_store_free(bl_store *store) {
    bl_cpu_store *cpu = (bl_cpu_store *)store;
    if (!cpu) return;
    for (int n = 0; n < BL_MAX_NETWORKS; n++)
        for (int kind = 0; kind < BL_BLOCK_KINDS; kind++) bl_free(cpu->blocks[n][kind]);
    bl_free(cpu);
}

float *bl_cpu_store_at(bl_cpu_store *store, bl_place place, size_t *count) {
    *count = bl_place_count(store->base.layout, place);
    if (place.network == BL_SCALAR_NETWORK) return &store->scalars[place.segment];
    float *block = store->blocks[place.network][place.block];
    if (!block || place.segment == BL_WHOLE_BLOCK) return block;
    return block + bl_network_segments(&store->base.layout->networks[place.network], place.block)->items[place.segment].offset;
}

static float *find(bl_store *store, bl_place place, size_t *count) {
    float *data = bl_cpu_store_at((bl_cpu_store *)store, place, count);
    if (!data) bl_fail("network '%s' is not trained: it has no such block", store->layout->networks[place.network].name);
    return data;
}

int bl_cpu_store_write(bl_store *store, bl_place place, const double *src) {
    size_t count;
    float *data = find(store, place, &count);
    if (!data) return BL_FAILED;
    for (size_t i = 0; i < count; i++) data[i] = (float)src[i];
    if (place.network != BL_SCALAR_NETWORK && place.block == BL_PARAMETERS) ((bl_cpu_store *)store)->versions[place.network]++;
    return BL_OK;
}

int bl_cpu_store_read(bl_store *store, bl_place place, double *dst) {
    size_t count;
    const float *data = find(store, place, &count);
    if (!data) return BL_FAILED;
    for (size_t i = 0; i < count; i++) dst[i] = data[i];
    return BL_OK;
}

int bl_cpu_store_read_f32(bl_store *store, bl_place place, float *dst) {
    size_t count;
    const float *data = find(store, place, &count);
    if (!data) return BL_FAILED;
    memcpy(dst, data, count * sizeof *dst);
    return BL_OK;
}
