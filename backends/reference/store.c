#include "backends/reference/store.h"

#include <string.h>

#include "base/memory.h" // bl_alloc

typedef struct reference_store {
    bl_store base;
    double *blocks[BL_MAX_NETWORKS][BL_BLOCK_KINDS]; // NULL where the network has no such block
    double scalars[BL_SCALARS];
} reference_store;

int bl_reference_store_create(bl_backend *backend, const bl_layout *layout, bl_store **store) {
    reference_store *made = bl_alloc(sizeof *made);
    if (!made) return BL_FAILED;
    made->base = (bl_store){.backend = backend, .layout = layout};
    made->scalars[BL_SCALAR_FINITE] = 1;
    for (int n = 0; n < layout->network_count; n++) {
        for (int kind = 0; kind < BL_BLOCK_KINDS; kind++) {
            const bool learns = kind == BL_GRADIENTS || kind == BL_MOMENT1 || kind == BL_MOMENT2;
            if (learns && !layout->networks[n].trainable) continue;
            const size_t floats = bl_network_segments(&layout->networks[n], (bl_block_kind)kind)->floats;
            if (!(made->blocks[n][kind] = bl_alloc(floats * sizeof(double)))) {
                bl_reference_store_free(&made->base);
                return BL_FAILED;
            }
        }
    }
    *store = &made->base;
    return BL_OK;
}

void bl_reference_store_free(bl_store *store) {
    reference_store *self = (reference_store *)store;
    for (int n = 0; n < BL_MAX_NETWORKS; n++)
        for (int kind = 0; kind < BL_BLOCK_KINDS; kind++) bl_free(self->blocks[n][kind]);
    bl_free(self);
}

double *bl_reference_store_values(bl_store *store, bl_place place) {
    reference_store *self = (reference_store *)store;
    if (place.network == BL_SCALAR_NETWORK) return &self->scalars[place.segment];
    double *block = self->blocks[place.network][place.block];
    if (place.segment == BL_WHOLE_BLOCK) return block;
    return block + bl_network_segments(&store->layout->networks[place.network], place.block)->items[place.segment].offset;
}

int bl_reference_store_write(bl_store *store, bl_place place, const double *src) {
    memcpy(bl_reference_store_values(store, place), src, bl_place_count(store->layout, place) * sizeof *src);
    return BL_OK;
}

int bl_reference_store_read(bl_store *store, bl_place place, double *dst) {
    memcpy(dst, bl_reference_store_values(store, place), bl_place_count(store->layout, place) * sizeof *dst);
    return BL_OK;
}
