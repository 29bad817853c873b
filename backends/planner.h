// planner.h - where every tensor of a plan lives: one arena, by lifetime.
//
// The backend chooses its implementations first and states what each tensor and workspace needs; the planner places them; then
// the backend binds pointers. Two items share bytes only if their lifetimes do not touch.

#ifndef BL_BACKENDS_PLANNER_H
#define BL_BACKENDS_PLANNER_H

#include <stddef.h>

#include "base/error.h" // BL_CHECK

typedef struct bl_item {
    size_t bytes;
    int first, last; // steps of the execution order, both included; last = INT_MAX keeps it to the end
    size_t offset;   // out: a multiple of 64
} bl_item;

// Fills every offset; *arena_bytes is the length needed. First fit by falling size: within a few per cent of the peak in practice.
BL_CHECK int bl_plan_memory(bl_item *items, int count, size_t *arena_bytes);

#endif
