// loader.h - threads that fill staging slots with samples: pixels, and the labels beside them.
//
// The caller decides the order and lends slots; the loader writes in place. What a sample is made of is the maker's affair
// (view_loader.h, scene_loader.h), a function of (sample, epoch, occurrence) alone: the same bytes with 1, 2 or 4 threads. A sample that
// comes several times in one batch occurs for the 0th, 1st, ... time, and is drawn anew each time. An error of a worker waits in its slot
// for bl_loader_wait.

#ifndef BL_DATASETS_LOADER_H
#define BL_DATASETS_LOADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h" // BL_CHECK

typedef struct bl_loader bl_loader;
void bl_loader_free(bl_loader *loader); // waits for what runs

// Begins to fill `images` and `labels` (NULL: not wanted) with samples[0 .. count-1], which are copied.
BL_CHECK int bl_loader_submit(bl_loader *loader, int slot, const uint32_t *samples, int count, uint32_t epoch, float *images,
                              float *labels);
// Until then the slot's memory is the loader's.
BL_CHECK int bl_loader_wait(bl_loader *loader, int slot);

// The order of an epoch: 0 .. count-1, or a permutation drawn from (seed, "order", epoch).
void bl_epoch_order(uint64_t seed, uint32_t epoch, bool shuffle, uint32_t *order, uint32_t count);

// ---- for those who make samples ----

typedef struct bl_slot { // what was submitted
    const uint32_t *samples, *occurrences; // occurrences: how often each came before it in this batch
    int count;
    uint32_t epoch;
    float *images, *labels;
} bl_slot;

typedef struct bl_maker {
    void *context;
    void (*free)(void *context); // NULL: the context is borrowed. Else it is the loader's, also where no loader comes of it
    // Makes samples first .. end-1 of a slot in a workspace that no other thread uses meanwhile.
    int (*make)(const void *context, const bl_slot *slot, int first, int end, void *workspace);
    size_t workspace_bytes; // of a thread; zeroed
    void (*free_workspace)(void *workspace); // what it holds; NULL: nothing
    int64_t available;      // samples are below it,
    const char *set;        // and indices into this, for messages: "train"
    int samples_a_task;     // that one thread makes in a row
} bl_maker;
// threads 0: bl_loader_submit makes them itself, where that is quicker than to hand them over, and fails as the maker does.
BL_CHECK int bl_loader_create(bl_loader **loader, const bl_maker *maker, int threads, int slots);

#endif
