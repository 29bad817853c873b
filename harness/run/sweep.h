// sweep.h - the runs of a study as one list: doing them, a part of them, and where each stands.
//
// Run number k (from 0) of the list, cell by cell and in each cell seed by seed, belongs to shard k mod n + 1 of n. Processes on one
// study need nothing but the folder they share: a lock per run keeps each run to one of them.

#ifndef BL_RUN_SWEEP_H
#define BL_RUN_SWEEP_H

#include "run/trainer.h" // bl_sink

typedef struct bl_shard { // 1 of 1: all
    int index, count;     // 1 <= index <= count
} bl_shard;
BL_CHECK int bl_shard_read(bl_shard *shard, const char *text); // "2/4"

typedef struct bl_sweep_request {
    const bl_experiment *experiment;
    const bl_cell *cell;  // that one alone; NULL: all
    bl_shard shard;
    const char *results_folder;
    int stop_after_epoch; // see bl_run_request, as of the next
    bool evaluate_only;
    bl_sink sink;
    void (*failed)(void *context, const bl_cell *cell, uint64_t seed, const char *message); // may be NULL; the sink's context
} bl_sweep_request;

// Does every run of the shard that is not finished. Where data or weights that one of them needs are not there nothing begins. One that fails does not stop the others: its message stays in
// seed-<k>.<backend>.failed until it succeeds, unless all that is wrong is that a finished run of another recipe is there. One that another process is at is passed over, and tried once more at the end.
// One that another process has seen failing meanwhile counts as failed without being repeated.
// A stop (base/stop.h) ends the run in hand and leaves the others to do.
// Succeeds when every run of the shard is finished; otherwise the message counts what is not, and names those of other processes.
BL_CHECK int bl_sweep(const bl_sweep_request *request);
// Whether every run of the shard is finished and evaluated now, whoever did it.
bool bl_sweep_is_finished(const bl_sweep_request *request);

typedef enum bl_run_state {
    BL_RUN_FINISHED,
    BL_RUN_RUNNING,      // a living process holds its lock
    BL_RUN_FAILED,       // the last attempt did, or its file cannot be used
    BL_RUN_OTHER_RECIPE, // a whole run file or checkpoint is there, of another recipe
    BL_RUN_INTERRUPTED,  // a checkpoint is there to go on from, and nobody at it
    BL_RUN_MISSING,
    BL_RUN_STATES
} bl_run_state;
const char *bl_run_state_name(bl_run_state state);

// Run files and checkpoints are read whole, and nothing is written or removed. *why: the message of FAILED and OTHER_RECIPE; of
// FINISHED which rows its file lacks; how INTERRUPTED goes on from a finished run; in the arena's memory, or NULL.
BL_CHECK int bl_run_state_of(bl_arena *arena, const bl_experiment *experiment, const bl_cell *cell, uint64_t seed,
                             const char *results_folder, bl_run_state *state, const char **why);

// One line where every run is finished ("Runs:      6 finished"); else a table by cell, what failed and why, and how far those under way
// are. Then the cells that are left out of a crossed study, and why.
BL_CHECK int bl_sweep_table(const bl_experiment *experiment, const char *results_folder, bl_text *text);

#endif
