// loader.h - threads that fill staging slots with views.
//
// The trainer decides the order and lends slots; the loader writes in place. What is written is a function of (seed, sample,
// epoch, view) alone: the same bytes with 1, 2 or 4 threads. An error of a worker waits in its slot for bl_loader_wait.

#ifndef BL_DATASETS_LOADER_H
#define BL_DATASETS_LOADER_H

#include <stdbool.h>

#include "datasets/dataset.h"
#include "datasets/views.h"

typedef struct bl_loader bl_loader;

// `recipes[v]` makes view v; `views` of them. Dataset and recipes are borrowed.
BL_CHECK int bl_loader_create(bl_loader **loader, const bl_dataset *dataset, bl_split split, const bl_recipe *recipes, int views,
                              uint64_t seed, int threads, int slots);
void bl_loader_free(bl_loader *loader);

// Begins to fill `dst` ([views * count, out, out, 3]: all of view 0, then view 1) with samples[0 .. count-1]. `samples` is copied.
BL_CHECK int bl_loader_submit(bl_loader *loader, int slot, const uint32_t *samples, int count, uint32_t epoch, float *dst);
BL_CHECK int bl_loader_wait(bl_loader *loader, int slot);

// The order of an epoch: 0 .. count-1, or a permutation drawn from (seed, "order", epoch).
void bl_epoch_order(uint64_t seed, uint32_t epoch, bool shuffle, uint32_t *order, uint32_t count);

#endif
