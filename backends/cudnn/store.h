// store.h - the store on the device: f32 blocks. Of a described device there is none: only its size is known. See bl_backend_table.

#ifndef BL_BACKENDS_CUDNN_STORE_H
#define BL_BACKENDS_CUDNN_STORE_H

#include "backends/backend.h"

int bl_gpu_store_create(bl_backend *backend, const bl_layout *layout, bl_store **store);
void bl_gpu_store_free(bl_store *store);
int bl_gpu_store_write(bl_store *store, bl_place place, const double *src);
int bl_gpu_store_read(bl_store *store, bl_place place, double *dst);
int bl_gpu_store_read_f32(bl_store *store, bl_place place, float *dst);

#endif
