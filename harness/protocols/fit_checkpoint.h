// fit_checkpoint.h - a row that learns from labels, between two of its updates: seed-<k>.<backend>.fit.ckpt beside the run's own
// checkpoint. It speaks of one row; the next row's replaces it, and it goes when the run is finished.

#ifndef BL_PROTOCOLS_FIT_CHECKPOINT_H
#define BL_PROTOCOLS_FIT_CHECKPOINT_H

#include "experiment/options.h" // bl_evaluation
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

struct bl_learner;

// Hands what the learner holds over to the keeper. Nothing where its evaluator keeps no fits.
BL_CHECK int bl_fit_keep(struct bl_learner *learner, const bl_fit_place *place);

// The learner, the place and the row's looks as they were kept. Where no file is of this very row (its options, the epoch, the graph
// and the weights it starts from), everything stays as it is: the row begins at its beginning.
BL_CHECK int bl_fit_restore(struct bl_learner *learner, bl_fit_place *place);

#endif
