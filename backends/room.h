// room.h - whether a plan fits into what is free, asked when everything is planned and nothing taken; or the refusal that says what would.

#ifndef BL_BACKENDS_ROOM_H
#define BL_BACKENDS_ROOM_H

#include <stddef.h>

#include "base/error.h" // BL_CHECK

typedef struct bl_room { // where a plan is to live
    const char *where;   // "this machine", or a device's name
    size_t free, total;  // bytes that a plan may take; of all. 0 in all: not known, and everything fits
} bl_room;

// The memory of this machine: what the kernel calls available, and no more than any control group of this process leaves, whose files in
// the page cache count as free. `root` stands before /proc and /sys: "" but in tests.
void bl_room_of_machine(const char *root, bl_room *room);

typedef struct bl_need {
    size_t arena, staging, packed; // bytes; the first two grow with the batch
    int accumulate, batch;         // bl_compile_options
    const char *batch_key, *accumulate_key; // likewise
} bl_need;

BL_CHECK int bl_room_check(const bl_room *room, const bl_need *need);

#endif
