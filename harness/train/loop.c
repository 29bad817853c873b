#include "train/loop.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

struct bl_loop {
    bl_loop_options options;
    uint32_t *order[2];      // of an even and an odd epoch: the prefetch may stand in the next one
    int64_t order_epoch[2];  // which epoch each holds; -1: none
    uint32_t *batch;         // samples of one micro step
    // Micro steps whose slot was lent to the loader, given to the plan, and whose values are known: then their slot may be filled again.
    int64_t micros_submitted, micros_given, micros_known;
    int64_t steps_per_epoch, step;
    bool is_ahead;           // the plan has `step` already
    bl_step_row ahead;       // what the host decided of it
    double scale;
};

int bl_loop_watch(const bl_step_graph *graph, bl_tensor *watch[BL_WATCHED]) {
    int count = 0;
    watch[count++] = graph->loss;
    if (graph->std) watch[count++] = graph->std;
    return count;
}

static bool is_watched(const bl_loop_options *options) {
    bl_tensor *watch[BL_WATCHED];
    const int count = bl_loop_watch(options->graph, watch);
    return options->plan->watch_count == count && !memcmp(options->plan->watch, watch, (size_t)count * sizeof *watch);
}

int bl_loop_create(bl_loop **out, const bl_loop_options *options, int64_t first_step) {
    *out = NULL;
    if (!is_watched(options)) return bl_fail("a loop needs a plan that watches what bl_loop_watch names");
    if (options->accumulate > 1 && options->sample_count < (int64_t)options->batch * options->accumulate)
        return bl_fail("%lld samples do not fill an update of %d batches of %d: write fewer or smaller ones",
                       (long long)options->sample_count, options->accumulate, options->batch);
    bl_loop *loop = bl_alloc(sizeof *loop);
    if (!loop) return BL_FAILED;
    *loop = (bl_loop){.options = *options, .step = first_step, .order_epoch = {-1, -1}, .scale = 1};
    const int64_t update = (int64_t)options->batch * options->accumulate;
    loop->steps_per_epoch = options->sample_count > update ? options->sample_count / update : 1;
    loop->micros_submitted = loop->micros_given = loop->micros_known = first_step * options->accumulate;
    loop->batch = bl_alloc((size_t)options->batch * sizeof *loop->batch);
    for (int i = 0; i < 2; i++) loop->order[i] = bl_alloc((size_t)options->sample_count * sizeof *loop->order[i]);
    if (!loop->batch || !loop->order[0] || !loop->order[1]) {
        bl_loop_free(loop);
        return BL_FAILED;
    }
    *out = loop;
    return BL_OK;
}

static int slot_of(int64_t micro) { return (int)(micro % BL_STAGING_SLOTS); }

void bl_loop_free(bl_loop *loop) {
    if (!loop) return;
    // What was lent comes back first: the loader's threads write into the plan's memory.
    for (; loop->micros_given < loop->micros_submitted; loop->micros_given++)
        if (bl_loader_wait(loop->options.loader, slot_of(loop->micros_given))) continue;
    bl_free(loop->order[0]);
    bl_free(loop->order[1]);
    bl_free(loop->batch);
    bl_free(loop);
}

int64_t bl_loop_steps_per_epoch(const bl_loop *loop) {
    return loop->steps_per_epoch;
}

bool bl_loop_is_ahead(const bl_loop *loop) { return loop->is_ahead; }

void bl_loop_scale(bl_loop *loop, double scale) {
    loop->scale = scale;
}

// ---- batches ----

static const uint32_t *epoch_order(bl_loop *loop, int64_t epoch) {
    const int parity = (int)(epoch % 2);
    if (loop->order_epoch[parity] != epoch) {
        bl_epoch_order(loop->options.seed, (uint32_t)epoch, loop->options.shuffle, loop->order[parity],
                       (uint32_t)loop->options.sample_count);
        loop->order_epoch[parity] = epoch;
    }
    return loop->order[parity];
}

// Lends the next free slot to the loader. Batches count on over epochs; what is left of an epoch after its last whole step is dropped.
static int submit_micro(bl_loop *loop) {
    const bl_loop_options *o = &loop->options;
    const int64_t micro = loop->micros_submitted, an_epoch = loop->steps_per_epoch * o->accumulate;
    const int64_t epoch = micro / an_epoch, first = micro % an_epoch * o->batch;
    const int slot = slot_of(micro);
    const uint32_t *order = epoch_order(loop, epoch);
    float *images, *labels = NULL;
    for (int i = 0; i < o->batch; i++) {
        const uint32_t drawn = order[(first + i) % o->sample_count];
        loop->batch[i] = o->samples ? o->samples[drawn] : drawn;
    }
    if (bl_plan_slot(o->plan, slot, o->graph->images, &images) ||
        (o->graph->labels && bl_plan_slot(o->plan, slot, o->graph->labels, &labels)) ||
        bl_loader_submit(o->loader, slot, loop->batch, o->batch, (uint32_t)epoch, images, labels))
        return BL_FAILED;
    loop->micros_submitted++;
    return BL_OK;
}

// A batch whose values are not known yet stays where it is: it may have to be looked at.
static int keep_filling(bl_loop *loop) {
    const int64_t end = loop->options.steps * loop->options.accumulate;
    while (loop->micros_submitted < end && loop->micros_submitted < loop->micros_known + BL_STAGING_SLOTS)
        if (submit_micro(loop)) return BL_FAILED;
    return BL_OK;
}

// ---- one step ----

static int set_scalars(bl_loop *loop, int64_t step, bl_step_row *row) {
    const bl_loop_options *o = &loop->options;
    *row = (bl_step_row){.step = step,
                         .epoch = (double)step / (double)loop->steps_per_epoch,
                         .learning_rate = bl_learning_rate(&o->schedule, step, o->steps, loop->steps_per_epoch, loop->scale),
                         .tau = bl_tau(o->tau_schedule, o->tau, step, o->steps)};
    if (bl_store_scalar(o->store, BL_SCALAR_STEP, (double)(step + 1)) ||
        bl_store_scalar(o->store, BL_SCALAR_LEARNING_RATE, row->learning_rate))
        return BL_FAILED;
    return bl_store_scalar(o->store, BL_SCALAR_TAU, row->tau);
}

static int give_micro(bl_loop *loop, int micro) {
    const bl_loop_options *o = &loop->options;
    const unsigned phases = BL_PHASE_MICRO | (micro == 0 ? BL_PHASE_BEGIN : 0) | (micro == o->accumulate - 1 ? BL_PHASE_UPDATE : 0);
    const int slot = slot_of(loop->micros_given);
    if (keep_filling(loop)) return BL_FAILED;
    loop->micros_given++; // whatever comes of it, the slot is no longer lent
    return bl_loader_wait(o->loader, slot) || bl_plan_step(o->plan, slot, phases) ? BL_FAILED : BL_OK;
}

static int begin_step(bl_loop *loop, int64_t step, bl_step_row *row) {
    return set_scalars(loop, step, row) || give_micro(loop, 0) ? BL_FAILED : BL_OK;
}

// What the oldest unknown micro step says, added to the mean over the update. What is not finite stays unknown: its slot is kept.
static int take_micro(bl_loop *loop, bl_step_row *row, bool *is_finite) {
    const bl_loop_options *o = &loop->options;
    double values[BL_WATCHED], finite;
    const int back = (int)(loop->micros_given - loop->micros_known) - 1;
    if (bl_plan_watched(o->plan, back, values, &finite)) return BL_FAILED;
    row->loss += values[0] / o->accumulate;
    if (o->graph->std) row->std += values[1] / o->accumulate;
    *is_finite = finite == 1 && isfinite(row->loss);
    loop->micros_known += *is_finite;
    return BL_OK;
}

// An update after which the caller looks must be the last one that the plan was given.
static bool may_run_ahead(const bl_loop *loop) {
    const bl_loop_options *o = &loop->options;
    return o->plan->backend->table->is_asynchronous && o->accumulate == 1 && loop->step + 1 < o->steps && o->looks_after &&
           !o->looks_after(o->looks_context, loop->step);
}

int bl_loop_step(bl_loop *loop, bl_step_row *row, int *bad_slot) {
    bool is_finite = true;
    *bad_slot = -1;
    if (loop->is_ahead)
        *row = loop->ahead;
    else if (begin_step(loop, loop->step, row))
        return BL_FAILED;
    loop->is_ahead = may_run_ahead(loop);
    if (loop->is_ahead && begin_step(loop, loop->step + 1, &loop->ahead)) return BL_FAILED;
    if (take_micro(loop, row, &is_finite)) return BL_FAILED;
    for (int micro = 1; micro < loop->options.accumulate && is_finite; micro++)
        if (give_micro(loop, micro) || take_micro(loop, row, &is_finite)) return BL_FAILED;
    if (!is_finite) { // a step that was given after it changed nothing: FINITE holds every update back
        *bad_slot = slot_of(loop->micros_known);
        return bl_fail("step %lld is not finite; no update was made. A lower learning rate or a warm-up is the usual remedy",
                       (long long)loop->step);
    }
    loop->step++;
    return BL_OK;
}
