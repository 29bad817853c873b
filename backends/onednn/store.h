// store.h - the store in this machine's memory: f32 blocks, 64-byte aligned. See bl_backend_table.

#ifndef BL_BACKENDS_ONEDNN_STORE_H
#define BL_BACKENDS_ONEDNN_STORE_H

#include "backends/backend.h"

int bl_cpu_store_create(bl_backend *backend, const bl_layout *layout, bl_store **store);
void bl_cpu_store_free(bl_store *store);
int bl_cpu_store_write(bl_store *store, bl_place place, const double *src);
int bl_cpu_store_read(bl_store *store, bl_place place, double *dst);
int bl_cpu_store_read_f32(bl_store *store, bl_place place, float *dst);

#endif
