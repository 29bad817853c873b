#include "backends/onednn/store.h"

#include <string.h>

#include "backends/lowering/store.h"
#include "base/memory.h" // bl_alloc

// Touched now, so that what the machine then has free is what plans may take.
static int take(const bl_backend *backend, size_t bytes, float **data) {
    (void)backend;
    if (!(*data = bl_alloc(bytes))) return BL_FAILED;
    memset(*data, 0, bytes);
    return BL_OK;
}

static void release(float *data) {
    bl_free(data);
}

int bl_cpu_store_create(bl_backend *backend, const bl_layout *layout, bl_store **store) {
    bl_f32_store *made;
    if (bl_f32_store_create(backend, layout, take, release, &made)) return BL_FAILED;
    made->scalars[BL_SCALAR_FINITE] = 1;
    *store = &made->base;
    return BL_OK;
}

void bl_cpu_store_free(bl_store *store) {
    bl_f32_store_free((bl_f32_store *)store, release);
}

int bl_cpu_store_write(bl_store *store, bl_place place, const double *src) {
    size_t count;
    float *data;
    if (bl_f32_store_find(store, place, &data, &count)) return BL_FAILED;
    for (size_t i = 0; i < count; i++) data[i] = (float)src[i];
    bl_f32_store_touch(store, place);
    return BL_OK;
}

int bl_cpu_store_read(bl_store *store, bl_place place, double *dst) {
    size_t count;
    float *data;
    if (bl_f32_store_find(store, place, &data, &count)) return BL_FAILED;
    for (size_t i = 0; i < count; i++) dst[i] = (double)data[i];
    return BL_OK;
}

int bl_cpu_store_read_f32(bl_store *store, bl_place place, float *dst) {
    size_t count;
    float *data;
    if (bl_f32_store_find(store, place, &data, &count)) return BL_FAILED;
    memcpy(dst, data, count * sizeof *dst);
    return BL_OK;
}
