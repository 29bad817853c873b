// slots.h - what loaders share: staging slots lent by the trainer, filled by threads in tasks of a few samples each.
//
// An error of a worker waits in its slot for bl_slots_wait.

#ifndef BL_DATASETS_SLOTS_H
#define BL_DATASETS_SLOTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h" // BL_CHECK

typedef struct bl_slot {      // what was submitted
    const uint32_t *samples;  // count of them
    int count;
    uint32_t epoch;
    float *images, *labels;
} bl_slot;

// Makes samples first .. end-1 of a slot in the workspace, which no other thread uses meanwhile.
typedef int (*bl_slot_fill)(void *context, const bl_slot *slot, int first, int end, void *workspace);

typedef struct bl_slots_options {
    int threads, slots, samples_a_task;
    bl_slot_fill fill;
    void *context;
    void *workspaces;         // `threads` of them, borrowed
    size_t workspace_bytes;   // of each
    const char *set;          // what samples are indices into, for messages: "train"
} bl_slots_options;

typedef struct bl_slots bl_slots;

BL_CHECK int bl_slots_create(bl_slots **slots, const bl_slots_options *options);
void bl_slots_free(bl_slots *slots); // waits for what runs

// Begins to fill a slot, whose samples must be below `available`; they are copied.
BL_CHECK int bl_slots_submit(bl_slots *slots, int index, const bl_slot *wanted, int64_t available);
BL_CHECK int bl_slots_wait(bl_slots *slots, int index);

#endif
