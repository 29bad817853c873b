// fit_checkpoint.h - a row that learns from labels, between two of its updates: seed-<k>.<backend>.fit.ckpt beside the run's own
// checkpoint. It speaks of one row; the next row's replaces it, and it goes when the run is finished.

#ifndef BL_PROTOCOLS_FIT_CHECKPOINT_H
#define BL_PROTOCOLS_FIT_CHECKPOINT_H

#include "backends/backend.h"   // bl_store
#include "experiment/options.h" // bl_evaluation
#include "graph/optimizer.h"    // bl_optimizer_kind
#include "graph/schedule.h"     // bl_plateau
#include "record/history.h"     // bl_history
#include "record/keeper.h"      // bl_keeper

typedef struct bl_fit_place { // where a row stands: which fit, and where in it
    int trial;                // candidates that were tried; as many as there are: the fit after the choice
    double best, chosen;      // the best score so far and its candidate; best -1: none
    int64_t step;             // finished updates of the fit in hand
    bool owes_look;           // the one that is due after them was not taken yet
    bl_plateau plateau;       // of the fit in hand
} bl_fit_place;

void bl_fit_place_begin(bl_fit_place *place, int trial); // before the first update of that fit; what was chosen stays

typedef struct bl_fit_keeper {   // lent to an evaluator by whoever owns the run; everything is borrowed
    bl_keeper *keeper;
    const char *path, *run_id, *machine;
    bool *mixed;                 // set where a fit goes on that another kind of machine began
    int (*before)(void *context); // puts on disk what the fit stands on, where that is not there yet
    void *context;
    // The row in hand, filled by bl_evaluate.
    bl_history *history;
    int64_t first_look, first_picture; // of the row, in the history: the run's own checkpoint holds what was before
    const bl_evaluation *row;    // NULL: none
    int epoch;                   // finished ones, that it is measured after
} bl_fit_keeper;

typedef struct bl_fitted { // what learns, as far as it is kept; borrowed
    bl_store *store;
    bl_optimizer_kind optimizer;
    const char *graph_digest;                 // of the training step
    const char *(*start_digest)(void *start); // of the weights that every fit begins with: asked for where a file is, as it takes a while
    void *start;
} bl_fitted;

// Hands what the store holds over to the keeper. `fits` NULL: nothing is kept.
BL_CHECK int bl_fit_keep(const bl_fit_keeper *fits, const bl_fitted *fitted, const bl_fit_place *place);

// The store, the place and the row's looks as they were kept. Where no file is of this very row (its options, the epoch, the graph
// and the weights it starts from), everything stays as it is: the row begins at its beginning. `trials`: how many fits may lie before the
// one in hand.
BL_CHECK int bl_fit_restore(const bl_fit_keeper *fits, const bl_fitted *fitted, int trials, bl_fit_place *place);

#endif
