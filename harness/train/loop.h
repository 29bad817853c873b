// loop.h - the one training loop: batches into staging slots, scalars, micro steps and updates.
//
// Pretraining, supervised training, fine-tuning and linear evaluation by SGD are this loop over other graphs and loaders. A loop
// owns nothing of its model; what it does is a function of (seed, step): it can start at any step.

#ifndef BL_TRAIN_LOOP_H
#define BL_TRAIN_LOOP_H

#include "backends/backend.h" // bl_plan, bl_store
#include "datasets/loader.h"  // bl_loader
#include "graph/byol.h"       // bl_step_graph
#include "graph/schedule.h"   // bl_schedule
#include "record/history.h"   // bl_step_row

typedef struct bl_loop_options {
    const bl_step_graph *graph;  // what is fed and read
    bl_plan *plan;
    bl_store *store;
    bl_loader *loader;           // that fills the plan's slots
    const uint32_t *samples;     // what is trained on: indices into what the loader makes; borrowed. NULL: 0 .. sample_count-1
    int64_t sample_count;
    uint64_t seed;               // of the order
    bool shuffle;
    int batch, accumulate;
    int64_t steps;               // in all
    bl_schedule schedule;
    double tau;
    bl_schedule_kind tau_schedule;
    // Whether the caller looks at store or plan after `step`, or may change what the next one does. Where it does not, an asynchronous
    // backend is given the next step before this one's row is known. NULL: it always looks.
    bool (*looks_after)(void *context, int64_t step);
    void *looks_context;
} bl_loop_options;

// What a loop reads of each step, in the order in which its plan must watch it. Returns how many.
int bl_loop_watch(const bl_step_graph *graph, bl_tensor *watch[BL_WATCHED]);

typedef struct bl_loop bl_loop;

// An epoch is as many whole updates as the samples give, at least one: a labelled part smaller than a batch is repeated until it
// fills one, in the order of that epoch, and drawn anew each time (loader.h). One that does not fill several micro steps is refused: what
// comes again must come in one batch. `first_step` is where it continues.
BL_CHECK int bl_loop_create(bl_loop **loop, const bl_loop_options *options, int64_t first_step);
void bl_loop_free(bl_loop *loop);
int64_t bl_loop_steps_per_epoch(const bl_loop *loop);

// One update. *row describes the network before it; *bad_slot is the slot of a step that was not finite (then the call fails, and the
// slot still holds its batch), else -1.
BL_CHECK int bl_loop_step(bl_loop *loop, bl_step_row *row, int *bad_slot);

// Whether the plan was given the next step already: what the store holds is of no step's end.
bool bl_loop_is_ahead(const bl_loop *loop);

// PLATEAU: what the schedule is multiplied with from now on.
void bl_loop_scale(bl_loop *loop, double scale);

#endif
