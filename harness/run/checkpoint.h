// checkpoint.h - a run between two steps: every block of the store that training moves, the trainer's place, the history.
//
// A checkpoint is a run file (record/container.h) whose status is "incomplete". What it restores continues bit for bit on the same
// machine kind (a CPU's model too), threads and backend; elsewhere the run is marked mixed.

#ifndef BL_RUN_CHECKPOINT_H
#define BL_RUN_CHECKPOINT_H

#include "protocols/evaluate.h" // bl_evaluator
#include "record/history.h"     // bl_history
#include "record/identity.h"    // bl_identity
#include "record/stretches.h"   // bl_stretches
#include "train/collapse.h"     // bl_collapse

typedef struct bl_progress { // where a run stands
    int64_t step;            // finished updates
    double seconds;          // spent training so far, over all starts of the run
    bool mixed;              // parts of the run were made by different machines or thread counts
    bool stopped;            // training ended before its time: collapsed
    int epoch;               // epochs that are finished: trained and evaluated
    double epoch_loss;       // sum of the losses of the epoch in progress: what a plateau on "loss" looks at
    bl_plateau plateau;
    bl_stretches stretches;  // who made them
} bl_progress;

typedef struct bl_run_length { // what no file of a run may go beyond
    int64_t steps, steps_per_epoch;
    int epochs;
} bl_run_length;

// A snapshot, to be written by the keeper (keeper.h). `collapse`: NULL where nothing is diagnosed.
BL_CHECK int bl_checkpoint_take(bl_container_writer **writer, const bl_identity *identity, const bl_run_key *key, const bl_model *model,
                                const bl_progress *progress, const bl_collapse *collapse, const bl_history *history);

// `collapse` (NULL: nothing is diagnosed) keeps its open window there. The file is known to be of this recipe (bl_identity_check); one
// that tells of more than the run has is refused.
BL_CHECK int bl_checkpoint_read(const char *path, const bl_container_reader *reader, const bl_identity *identity, const bl_cell *cell,
                                const bl_run_length *run, bl_model *model, bl_progress *progress, bl_collapse *collapse, bl_history *history);

// The end of training that a run file tells of, from its file alone.
BL_CHECK int bl_run_file_epoch(const bl_container_reader *reader, const bl_cell *cell, int *epoch);

// The final run file: manifest, history, weights by torchvision's names, features where the cell saves them, timing.
BL_CHECK int bl_run_file_write(const char *path, const bl_identity *identity, const bl_run_key *key, const bl_evaluator *evaluator,
                               const bl_progress *progress, const bl_history *history);

// The weights of a final run file into the store, and where its training stood.
BL_CHECK int bl_run_file_restore(const char *path, const bl_container_reader *reader, const bl_run_length *run, bl_model *model,
                                 bl_progress *progress);

#endif
