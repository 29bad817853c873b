// needs.h - what a cell's steps need of memory, known before anything runs: its plans are made, and nothing of them is taken.

#ifndef BL_INSPECT_NEEDS_H
#define BL_INSPECT_NEEDS_H

#include "backends/backend.h"   // bl_backend
#include "experiment/options.h" // bl_cell, bl_evaluation

typedef struct bl_needs { // bytes
    size_t arena, staging, packed; // bl_plan_report: activations and workspace, batches, packed weights
    size_t store;                  // weights, gradients, optimiser state
    size_t free;                   // beside the store; 0: not known
} bl_needs;

// Fail as the run would where it does not fit, with what would.
BL_CHECK int bl_needs_of_training(bl_backend *backend, const bl_cell *cell, bl_needs *needs);
BL_CHECK int bl_needs_of_segmentation(bl_backend *backend, const bl_cell *cell, const bl_evaluation *row, bl_needs *needs);

#endif
