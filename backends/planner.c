#include "backends/planner.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/memory.h" // bl_alloc

#define ALIGNMENT ((size_t)64)

static size_t rounded(size_t bytes) {
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static bool lives_meet(const bl_item *a, const bl_item *b) {
    return a->first <= b->last && b->first <= a->last;
}

// Larger first; equal sizes in the caller's order, so that a plan is the same every time.
static int by_falling_size(const void *a, const void *b) {
    const bl_item *left = *(bl_item *const *)a, *right = *(bl_item *const *)b;
    if (left->bytes != right->bytes) return left->bytes < right->bytes ? 1 : -1;
    return left < right ? -1 : 1;
}

// `placed` is sorted by offset. The lowest offset at which `item` meets none of them.
static size_t lowest_gap(const bl_item *item, bl_item *const *placed, int count) {
    size_t offset = 0;
    for (int i = 0; i < count; i++) {
        if (!lives_meet(item, placed[i])) continue;
        if (offset + item->bytes <= placed[i]->offset) break;
        const size_t end = placed[i]->offset + rounded(placed[i]->bytes);
        if (end > offset) offset = end;
    }
    return offset;
}

int bl_plan_memory(bl_item *items, int count, size_t *arena_bytes) {
    *arena_bytes = 0;
    for (int i = 0; i < count; i++)
        if (items[i].last < items[i].first)
            return bl_fail("item %d of a plan ends in step %d before it begins in step %d", i, items[i].last, items[i].first);

    bl_item **order = bl_alloc((size_t)count * sizeof *order);
    bl_item **placed = bl_alloc((size_t)count * sizeof *placed);
    if (!order || !placed) {
        bl_free(order);
        bl_free(placed);
        return BL_FAILED;
    }
    for (int i = 0; i < count; i++) order[i] = &items[i];
    qsort(order, (size_t)count, sizeof *order, by_falling_size);

    int placed_count = 0;
    for (int i = 0; i < count; i++) {
        bl_item *item = order[i];
        item->offset = 0;
        if (!item->bytes) continue; // takes no room and bars no one
        item->offset = lowest_gap(item, placed, placed_count);
        const size_t end = item->offset + rounded(item->bytes);
        if (end > *arena_bytes) *arena_bytes = end;

        int at = placed_count++;
        for (; at > 0 && placed[at - 1]->offset > item->offset; at--) placed[at] = placed[at - 1];
        placed[at] = item;
    }
    bl_free(order);
    bl_free(placed);
    return BL_OK;
}
