// study.h - the runs of a study, read back, and what they say together: finished ones, and from their checkpoints those under way.

#ifndef BL_REPORT_STUDY_H
#define BL_REPORT_STUDY_H

#include "base/memory.h"        // bl_arena
#include "experiment/options.h" // bl_experiment, bl_cell
#include "record/history.h"     // bl_history
#include "record/standing.h"    // bl_standing
#include "record/stretches.h"   // bl_stretches
#include "report/statistics.h"  // bl_estimate

enum { BL_MOST_SEEDS = sizeof((bl_experiment *)0)->seeds / sizeof(uint64_t) };

typedef struct bl_study_run {
    int cell;              // index into the experiment's cells
    uint64_t seed;
    const char *run_id;
    const char *manifest;  // YAML: all of /manifest and /host
    const char *digest;    // of its graph
    const char *stopped;   // "collapsed" where train.stop_on ended it early; NULL
    const char *left_out;  // why it enters no average: it is unfinished, it diverged, or another graph made it; NULL: it counts
    bool mixed;            // continued on another kind of machine, another backend version or other threads
    bool is_finished;      // false: read from its checkpoint
    bl_standing standing;  // of one that is not
    bl_stretches stretches;
    bl_history history;
} bl_study_run;

typedef struct bl_study {
    const bl_experiment *experiment; // borrowed
    bl_arena *arena;
    bool counts_unfinished;          // they enter averages, as far as they are
    bl_study_run *runs;              // by cell, then by seed, as in the experiment
    int run_count;
    const char **absent;             // "crossed, seed 1: not run yet"; those left out stand here too
    int absent_count;
    const char *unreadable; // why a file that is there was not read, of the last one; NULL: all were
} bl_study;

// Runs that are missing, failed, damaged or of another recipe are named in `absent`; they are no failure. A run without a run file is
// read from its checkpoint, where it has one, and enters no average unless `counts_unfinished`. Of one cell's runs those count whose
// graph is the most frequent one, of equals the first run's. Run files of seeds that were not asked for are named in `absent` too, a
// line a cell.
BL_CHECK int bl_study_read(bl_study *study, const bl_experiment *experiment, const char *results_folder, bool counts_unfinished);
void bl_study_free(bl_study *study);

// Evaluation rows of any cell in order of first appearance, one for each name; the array is the arena's, the rows are borrowed
// from the experiment.
const bl_evaluation **bl_study_rows(const bl_study *study, int *count);
// The cell's own row of that name, or NULL: only measurements with its id count.
const bl_evaluation *bl_cell_row(const bl_cell *cell, const char *row);

const char *bl_evaluation_arm(const bl_evaluation *row);   // "pretrained" where it names none

// What follows speaks of runs that count alone.

// Runs of a cell, and how many of them are mixed (NULL: not asked).
int bl_study_runs(const bl_study *study, int cell, int *mixed);
bool bl_study_is_finished(const bl_study *study, int cell, uint64_t seed); // false too where it does not count

// Finished epochs at which any run of the cell measured `row`, ascending, in the arena's memory.
const int *bl_study_epochs(const bl_study *study, int cell, const char *row, int *count);
int bl_study_last_epoch(const bl_study *study, int cell, const char *row); // -1: never measured

// NULL where this seed's run does not count or has not measured that.
const bl_measurement *bl_study_find(const bl_study *study, int cell, uint64_t seed, const char *row, int epoch);

// The look at val that a segmentation of this seed ended with, or its best one, which is known where val was watched while it fitted:
// NULL where there is none.
const bl_look *bl_study_look(const bl_study *study, int cell, uint64_t seed, const char *row, bool best);

// Over the seeds of a cell; n = 0 where nothing was measured.
bl_estimate bl_study_value(const bl_study *study, int cell, const char *row, int epoch);
// The same over the runs that measured nothing later: runs that were stopped end at epochs of their own. *stopped: why one was.
bl_estimate bl_study_end(const bl_study *study, int cell, const char *row, int epoch, const char **stopped);
// cell - minus, over the seeds that both have.
bl_estimate bl_study_difference(const bl_study *study, int cell, int minus, const char *row, int epoch);
// The same at the last epoch at which both have measured it: *epoch. n = 0 where there is none.
bl_estimate bl_study_last_difference(const bl_study *study, int cell, int minus, const char *row, int *epoch);
// The std relative to step 0, of the last diagnosis of collapse; where there was none, of the last logged step. n = 0 where
// nothing is projected.
bl_estimate bl_study_std_ratio(const bl_study *study, int cell);

// How many runs of the cell ended with each verdict, those that diverged included; returns the sum. 0: none was diagnosed. Of
// unfinished ones those that count.
int bl_study_verdicts(const bl_study *study, int cell, int counts[BL_VERDICTS]);
// Whether its steps have a std: a supervised run projects nothing.
bool bl_run_has_std(const bl_study_run *run);
// The last diagnosis of a run, or NULL.
const bl_collapse_row *bl_run_diagnosis(const bl_study_run *run);

#endif
