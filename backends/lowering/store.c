#include "backends/lowering/store.h"

#include "base/memory.h" // bl_alloc

static bool has_block(const bl_network *network, int kind) {
    return network->trainable || kind == BL_PARAMETERS || kind == BL_BUFFERS;
}

// A block without values has an address all the same, so that NULL means "does not exist".
static int take_block(bl_f32_store *store, bl_f32_take *take, size_t floats, float **block) {
    const size_t bytes = (floats ? floats : 1) * sizeof(float);
    store->bytes += bytes;
    return take(store->base.backend, bytes, block);
}

static int take_blocks(bl_f32_store *store, bl_f32_take *take) {
    const bl_layout *layout = store->base.layout;
    if (take_block(store, take, BL_SCALARS, &store->scalars)) return BL_FAILED;
    for (int n = 0; n < layout->network_count; n++) {
        const bl_network *network = &layout->networks[n];
        store->versions[n] = 1;
        for (int kind = 0; kind < BL_BLOCK_KINDS; kind++)
            if (has_block(network, kind) &&
                take_block(store, take, bl_network_segments(network, (bl_block_kind)kind)->floats, &store->blocks[n][kind]))
                return BL_FAILED;
    }
    return BL_OK;
}

int bl_f32_store_create(bl_backend *backend, const bl_layout *layout, bl_f32_take *take, bl_f32_release *release, bl_f32_store **store) {
    bl_f32_store *made = bl_alloc(sizeof *made);
    if (!made) return BL_FAILED;
    made->base = (bl_store){backend, layout};
    if (take_blocks(made, take)) {
        bl_f32_store_free(made, release);
        return BL_FAILED;
    }
    *store = made;
    return BL_OK;
}

void bl_f32_store_free(bl_f32_store *store, bl_f32_release *release) {
    for (int n = 0; n < BL_MAX_NETWORKS; n++)
        for (int kind = 0; kind < BL_BLOCK_KINDS; kind++)
            if (store->blocks[n][kind]) release(store->blocks[n][kind]);
    if (store->scalars) release(store->scalars);
    bl_free(store);
}

float *bl_f32_store_at(const bl_f32_store *store, bl_place place, size_t *count) {
    *count = bl_place_count(store->base.layout, place);
    if (place.network == BL_SCALAR_NETWORK) return store->scalars ? store->scalars + place.segment : NULL;
    float *block = store->blocks[place.network][place.block];
    if (!block || place.segment == BL_WHOLE_BLOCK) return block;
    return block + bl_network_segments(&store->base.layout->networks[place.network], place.block)->items[place.segment].offset;
}

int bl_f32_store_find(const bl_store *store, bl_place place, float **data, size_t *count) {
    *data = bl_f32_store_at((const bl_f32_store *)store, place, count);
    return *data ? BL_OK : bl_fail("network '%s' is not trained: it has no such block", store->layout->networks[place.network].name);
}

void bl_f32_store_touch(bl_store *store, bl_place place) {
    if (place.network != BL_SCALAR_NETWORK && place.block == BL_PARAMETERS) ((bl_f32_store *)store)->versions[place.network]++;
}
