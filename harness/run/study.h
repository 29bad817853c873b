// study.h - the finished runs of a study, read back, and what they say together.

#ifndef BL_RUN_STUDY_H
#define BL_RUN_STUDY_H

#include "base/memory.h"    // bl_arena
#include "run/experiment.h" // bl_experiment, bl_cell
#include "run/history.h"    // bl_history
#include "run/statistics.h" // bl_estimate

typedef struct bl_finished_run {
    int cell;              // index into the experiment's cells
    uint64_t seed;
    const char *run_id;
    const char *manifest;  // YAML: all of /manifest and /host
    bl_history history;
} bl_finished_run;

typedef struct bl_study {
    const bl_experiment *experiment; // borrowed
    bl_arena *arena;
    bl_finished_run *runs;           // by cell, then by seed, as in the experiment
    int run_count;
    const char **absent;             // "crossed, seed 1: not run yet"
    int absent_count;
} bl_study;

// Runs that are missing, unfinished, damaged or of another recipe are named in `absent`; they are no failure.
BL_CHECK int bl_study_read(bl_study *study, const bl_experiment *experiment, const char *results_folder);
void bl_study_free(bl_study *study);

// Evaluation rows of any cell in order of first appearance, one for each name; borrowed from the experiment. Returns the
// count, at most `room`.
int bl_study_rows(const bl_study *study, const bl_evaluation **rows, int room);
// The cell's own row of that name, or NULL: only measurements with its id count.
const bl_evaluation *bl_cell_row(const bl_cell *cell, const char *row);

// Finished epochs at which any run of the cell measured `row`, ascending, in the arena's memory.
const int *bl_study_epochs(const bl_study *study, int cell, const char *row, int *count);

// Over the seeds of a cell; n = 0 where nothing was measured.
bl_estimate bl_study_value(const bl_study *study, int cell, const char *row, int epoch);
// cell - minus, over the seeds that both have.
bl_estimate bl_study_difference(const bl_study *study, int cell, int minus, const char *row, int epoch);
// The last logged std relative to step 0.
bl_estimate bl_study_std_ratio(const bl_study *study, int cell);

#endif
