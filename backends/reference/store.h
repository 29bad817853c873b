// store.h - what persists, in f64: a block is one allocation. See bl_backend_table.

#ifndef BL_BACKENDS_REFERENCE_STORE_H
#define BL_BACKENDS_REFERENCE_STORE_H

#include "backends/backend.h"

int bl_reference_store_create(bl_backend *backend, const bl_layout *layout, bl_store **store);
void bl_reference_store_free(bl_store *store);
int bl_reference_store_write(bl_store *store, bl_place place, const double *src);
int bl_reference_store_read(bl_store *store, bl_place place, double *dst);
double *bl_reference_store_values(bl_store *store, bl_place place); // where the values of a place lie

#endif
