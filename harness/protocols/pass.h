// pass.h - samples through a plan, once and in order, a batch a step, the next ones loaded meanwhile.

#ifndef BL_PROTOCOLS_PASS_H
#define BL_PROTOCOLS_PASS_H

#include "backends/backend.h" // bl_plan
#include "datasets/loader.h"  // bl_loader

typedef struct bl_pass { // everything is borrowed
    bl_plan *plan;
    const bl_tensor *images, *labels; // inputs of the plan's graph; labels NULL: it asks for none
    bl_loader *loader;          // with BL_STAGING_SLOTS slots
    const uint32_t *samples;    // NULL: 0 .. count - 1
    int64_t count;
    int batch;                  // samples a step
    float no_label;             // of what fills the last batch, whose images are black
    // After a step: samples first .. first + rows - 1 went through; plan and `slot` may be read.
    int (*see)(void *context, int64_t first, int rows, int slot);
    void *context;
} bl_pass;

// Ends with the failure of a sample, a step or `see`, or where a stop is asked for (base/stop.h).
BL_CHECK int bl_pass_run(const bl_pass *pass);

#endif
