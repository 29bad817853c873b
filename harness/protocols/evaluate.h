// evaluate.h - the rows under `evaluate:` of a cell, measured on a model's store as it stands. protocol.h: one file a protocol.

#ifndef BL_PROTOCOLS_EVALUATE_H
#define BL_PROTOCOLS_EVALUATE_H

#include "base/threads.h"             // bl_pool
#include "datasets/dataset.h"         // bl_dataset
#include "protocols/fit_checkpoint.h" // bl_fit_keeper
#include "record/history.h"           // bl_history
#include "train/model.h"              // bl_model

typedef struct bl_evaluator { // borrowed by the functions below
    bl_model *model;
    const bl_cell *cell;
    const bl_dataset *dataset;
    bl_pool *pool;             // for the neighbours
    int loader_threads;
    uint64_t seed;             // the run's
    // After each row; may be NULL; where it fails the evaluation ends.
    int (*measured)(void *context, const bl_evaluation *row, const bl_measurement *measurement);
    // After each update of the fit in hand, of fits->row; may be NULL.
    void (*fitting)(void *context, int64_t step, int64_t steps);
    void *context;
    bl_fit_keeper *fits;       // where fits are kept between updates; NULL: nowhere
} bl_evaluator;

// Every row due after `epoch` finished epochs that the history lacks is measured and added to it. Every row is due at the last. Where
// a stop interrupts a row (base/stop.h), the history holds nothing of it, and evaluator->fits->row names it.
BL_CHECK int bl_evaluate(const bl_evaluator *evaluator, int epoch, bool is_last, bl_history *history);

// Whether any row is due after `epoch` finished epochs that are not the last.
bool bl_evaluates(const bl_cell *cell, int epoch);

// Whether the history holds every row due at `epoch`, where training ended.
bool bl_is_evaluated(const bl_cell *cell, int epoch, const bl_history *history);

// The files that arms start from, looked at before hours are spent on what they are held against.
BL_CHECK int bl_arms_are_there(const bl_cell *cell); // refused at the path's line
// And each that a row still needs can be read, was prepared as our images are and fits the encoder; nothing is written.
BL_CHECK int bl_arms_fit(const bl_evaluator *evaluator, const bl_history *history);

// Features of the first `rows` images of a split (0: all): rows x width floats, bl_free'd by the caller. Always f32.
BL_CHECK int bl_extract_features(const bl_evaluator *evaluator, bl_split split, int64_t rows, float **values);

#endif
