// store.h - a store as flat blocks of f32: where places lie in it. The memory is the backend's.

#ifndef BL_BACKENDS_LOWERING_STORE_H
#define BL_BACKENDS_LOWERING_STORE_H

#include <stdint.h>

#include "backends/backend.h"

typedef struct bl_f32_store {
    bl_store base;
    float *blocks[BL_MAX_NETWORKS][BL_BLOCK_KINDS]; // NULL: the network has no such block, or the device is only described
    float *scalars;
    uint64_t versions[BL_MAX_NETWORKS]; // of the parameters: raised by whatever may write them, so that plans know what to pack again
    size_t bytes;                       // of all that was taken
} bl_f32_store;

// Gives `bytes` of zeros, or leaves NULL where the device is only described.
typedef int bl_f32_take(const bl_backend *backend, size_t bytes, float **data);
typedef void bl_f32_release(float *data); // never of NULL

BL_CHECK int bl_f32_store_create(bl_backend *backend, const bl_layout *layout, bl_f32_take *take, bl_f32_release *release,
                                 bl_f32_store **store);
void bl_f32_store_free(bl_f32_store *store, bl_f32_release *release);

float *bl_f32_store_at(const bl_f32_store *store, bl_place place, size_t *count); // NULL when the block does not exist
BL_CHECK int bl_f32_store_find(const bl_store *store, bl_place place, float **data, size_t *count); // that is an error

// What was written to the place may be packed somewhere.
void bl_f32_store_touch(bl_store *store, bl_place place);

#endif
