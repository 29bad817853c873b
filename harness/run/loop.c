#include "run/loop.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "datasets/loader.h" // bl_loader, bl_epoch_order

struct bl_loop {
    bl_loop_options options;
    uint32_t *order[2];      // of an even and an odd epoch: the prefetch may stand in the next one
    int64_t order_epoch[2];  // which epoch each holds; -1: none
    uint32_t *batch;         // samples of one micro step
    int64_t micros_submitted, micros_done;
    int64_t steps_per_epoch, step;
    double scale;
};

int bl_loop_create(bl_loop **out, const bl_loop_options *options, int64_t first_step) {
    bl_loop *loop = bl_alloc(sizeof *loop);
    *out = NULL;
    if (!loop) return BL_FAILED;
    *loop = (bl_loop){.options = *options, .step = first_step, .order_epoch = {-1, -1}, .scale = 1};
    const int64_t update = (int64_t)options->batch * options->accumulate;
    loop->steps_per_epoch = options->sample_count > update ? options->sample_count / update : 1;
    loop->micros_submitted = loop->micros_done = first_step * options->accumulate;
    loop->batch = bl_alloc((size_t)options->batch * sizeof *loop->batch);
    for (int i = 0; i < 2; i++) loop->order[i] = bl_alloc((size_t)options->sample_count * sizeof *loop->order[i]);
    if (!loop->batch || !loop->order[0] || !loop->order[1]) {
        bl_loop_free(loop);
        return BL_FAILED;
    }
    *out = loop;
    return BL_OK;
}

void bl_loop_free(bl_loop *loop) {
    if (!loop) return;
    // What was lent comes back first: the feed's threads write into the plan's memory.
    for (; loop->micros_done < loop->micros_submitted; loop->micros_done++)
        if (loop->options.feed.wait(loop->options.feed.context, (int)(loop->micros_done % BL_STAGING_SLOTS))) continue;
    bl_free(loop->order[0]);
    bl_free(loop->order[1]);
    bl_free(loop->batch);
    bl_free(loop);
}

int64_t bl_loop_steps_per_epoch(const bl_loop *loop) {
    return loop->steps_per_epoch;
}

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

// Lends the next free slot to the feed. Batches count on over epochs; what is left of an epoch after its last whole step is dropped.
static int submit_micro(bl_loop *loop) {
    const bl_loop_options *o = &loop->options;
    const int64_t micro = loop->micros_submitted, an_epoch = loop->steps_per_epoch * o->accumulate;
    const int64_t epoch = micro / an_epoch, first = micro % an_epoch * o->batch;
    const int slot = (int)(micro % BL_STAGING_SLOTS);
    const uint32_t *order = epoch_order(loop, epoch);
    float *images, *labels = NULL;
    for (int i = 0; i < o->batch; i++) {
        const uint32_t drawn = order[(first + i) % o->sample_count];
        loop->batch[i] = o->samples ? o->samples[drawn] : drawn;
    }
    if (bl_plan_slot(o->plan, slot, o->graph->images, &images) ||
        (o->graph->labels && bl_plan_slot(o->plan, slot, o->graph->labels, &labels)) ||
        o->feed.submit(o->feed.context, slot, loop->batch, o->batch, (uint32_t)epoch, images, labels))
        return BL_FAILED;
    loop->micros_submitted++;
    return BL_OK;
}

static int keep_ahead(bl_loop *loop) {
    const int64_t end = loop->options.steps * loop->options.accumulate;
    while (loop->micros_submitted < end && loop->micros_submitted < loop->micros_done + BL_STAGING_SLOTS)
        if (submit_micro(loop)) return BL_FAILED;
    return BL_OK;
}

// ---- one step ----

static int set_scalars(bl_loop *loop, bl_step_row *row) {
    const bl_loop_options *o = &loop->options;
    row->learning_rate = bl_learning_rate(&o->schedule, loop->step, o->steps, loop->steps_per_epoch, loop->scale);
    row->tau = bl_tau(o->tau_schedule, o->tau, loop->step, o->steps);
    if (bl_store_scalar(o->store, BL_SCALAR_STEP, (double)(loop->step + 1)) ||
        bl_store_scalar(o->store, BL_SCALAR_LEARNING_RATE, row->learning_rate))
        return BL_FAILED;
    return bl_store_scalar(o->store, BL_SCALAR_TAU, row->tau);
}

// What a micro step says, added to the mean over the update. A tensor that the graph has not stays at 0.
static int add_part(bl_loop *loop, const bl_tensor *tensor, double *mean) {
    double part;
    if (!tensor) return BL_OK;
    if (bl_plan_read(loop->options.plan, tensor, &part)) return BL_FAILED;
    *mean += part / loop->options.accumulate;
    return BL_OK;
}

static int micro_step(bl_loop *loop, int micro, bl_step_row *row, int *slot) {
    const bl_loop_options *o = &loop->options;
    const unsigned phases = BL_PHASE_MICRO | (micro == 0 ? BL_PHASE_BEGIN : 0) | (micro == o->accumulate - 1 ? BL_PHASE_UPDATE : 0);
    *slot = (int)(loop->micros_done % BL_STAGING_SLOTS);
    if (keep_ahead(loop)) return BL_FAILED;
    loop->micros_done++; // whatever comes of it, the slot is no longer lent
    if (o->feed.wait(o->feed.context, *slot) || bl_plan_step(o->plan, *slot, phases)) return BL_FAILED;
    return add_part(loop, o->graph->loss, &row->loss) || add_part(loop, o->graph->std, &row->std) ? BL_FAILED : BL_OK;
}

int bl_loop_step(bl_loop *loop, bl_step_row *row, int *bad_slot) {
    const bl_loop_options *o = &loop->options;
    double finite;
    int slot = 0;
    *row = (bl_step_row){.step = loop->step, .epoch = (double)loop->step / (double)loop->steps_per_epoch};
    *bad_slot = -1;
    if (set_scalars(loop, row)) return BL_FAILED;
    for (int micro = 0; micro < o->accumulate && isfinite(row->loss); micro++) // the bad one's slot is the one that is named
        if (micro_step(loop, micro, row, &slot)) return BL_FAILED;
    if (bl_store_read(o->store, (bl_place){BL_SCALAR_NETWORK, BL_PARAMETERS, BL_SCALAR_FINITE}, &finite)) return BL_FAILED;
    if (finite != 1 || !isfinite(row->loss)) {
        *bad_slot = slot;
        return bl_fail("step %lld is not finite; no update was made. A lower learning rate or a warm-up is the usual remedy",
                       (long long)loop->step);
    }
    loop->step++;
    return BL_OK;
}

// ---- feeds ----

struct bl_view_feed {
    const bl_dataset *dataset;
    bl_split split;
    int views;
    bl_loader *loader;
};

static int submit_views(void *context, int slot, const uint32_t *samples, int count, uint32_t epoch, float *images, float *labels) {
    bl_view_feed *feed = context;
    for (int v = 0; labels && v < feed->views; v++)
        for (int i = 0; i < count; i++) labels[v * count + i] = (float)bl_dataset_label(feed->dataset, feed->split, samples[i]);
    return bl_loader_submit(feed->loader, slot, samples, count, epoch, images);
}

static int wait_views(void *context, int slot) {
    return bl_loader_wait(((bl_view_feed *)context)->loader, slot);
}

int bl_view_feed_create(bl_view_feed **out, const bl_dataset *dataset, bl_split split, const bl_recipe *recipes, int views, uint64_t seed,
                        int threads, bl_feed *feed) {
    bl_view_feed *made = bl_alloc(sizeof *made);
    *out = NULL;
    if (!made) return BL_FAILED;
    *made = (bl_view_feed){.dataset = dataset, .split = split, .views = views};
    if (bl_loader_create(&made->loader, dataset, split, recipes, views, seed, threads, BL_STAGING_SLOTS)) {
        bl_free(made);
        return BL_FAILED;
    }
    *out = made;
    *feed = (bl_feed){made, submit_views, wait_views};
    return BL_OK;
}

void bl_view_feed_free(bl_view_feed *feed) {
    if (!feed) return;
    bl_loader_free(feed->loader);
    bl_free(feed);
}

static int submit_rows(void *context, int slot, const uint32_t *samples, int count, uint32_t epoch, float *images, float *labels) {
    const bl_row_feed *feed = context;
    (void)slot, (void)epoch;
    for (int i = 0; i < count; i++) {
        memcpy(images + (size_t)i * feed->width, feed->values + (size_t)samples[i] * feed->width, (size_t)feed->width * sizeof *images);
        if (labels) labels[i] = (float)feed->labels[samples[i]];
    }
    return BL_OK;
}

static int wait_rows(void *context, int slot) {
    (void)context, (void)slot;
    return BL_OK;
}

bl_feed bl_row_feed_of(bl_row_feed *feed) {
    return (bl_feed){feed, submit_rows, wait_rows};
}
