#include "protocols/pass.h"

#include <string.h>

#include "base/memory.h"
#include "base/stop.h" // bl_stop_here

static int slot_of(int64_t step) { return (int)(step % BL_STAGING_SLOTS); }

static int rows_of(const bl_pass *pass, int64_t step) {
    const int64_t left = pass->count - step * pass->batch;
    return (int)(left < pass->batch ? left : pass->batch);
}

// Lends the step's slot to the loader, but for the tail of a short batch.
static int submit(const bl_pass *pass, int64_t step, uint32_t *samples) {
    const int slot = slot_of(step), rows = rows_of(pass, step);
    const size_t pixels = (size_t)bl_shape_count(&pass->images->shape) / (size_t)pass->batch;
    float *images, *labels = NULL;
    for (int i = 0; i < rows; i++) {
        const int64_t at = step * pass->batch + i;
        samples[i] = pass->samples ? pass->samples[at] : (uint32_t)at;
    }
    if (bl_plan_slot(pass->plan, slot, pass->images, &images) || (pass->labels && bl_plan_slot(pass->plan, slot, pass->labels, &labels)))
        return BL_FAILED;
    memset(images + rows * pixels, 0, (size_t)(pass->batch - rows) * pixels * sizeof *images);
    if (labels) {
        const int64_t count = bl_shape_count(&pass->labels->shape);
        for (int64_t i = count / pass->batch * rows; i < count; i++) labels[i] = pass->no_label;
    }
    return bl_loader_submit(pass->loader, slot, samples, rows, 0, images, labels);
}

static int run(const bl_pass *pass, uint32_t *samples) {
    const int64_t steps = (pass->count + pass->batch - 1) / pass->batch;
    int64_t submitted = 0;
    for (int64_t step = 0; step < steps; step++) {
        for (; submitted < steps && submitted < step + BL_STAGING_SLOTS; submitted++)
            if (submit(pass, submitted, samples)) return BL_FAILED;
        if (bl_stop_here() || bl_loader_wait(pass->loader, slot_of(step)) || bl_plan_step(pass->plan, slot_of(step), BL_PHASE_MICRO) ||
            pass->see(pass->context, step * pass->batch, rows_of(pass, step), slot_of(step)))
            return BL_FAILED;
    }
    return BL_OK;
}

int bl_pass_run(const bl_pass *pass) {
    uint32_t *samples = bl_alloc((size_t)pass->batch * sizeof *samples);
    if (!samples) return BL_FAILED;
    const int status = run(pass, samples);
    bl_free(samples);
    return status;
}
