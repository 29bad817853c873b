// paths.h - which run, and where it lies: results/<study>/<cell>/seed-<k>.<backend>.h5 and what stands beside it.

#ifndef BL_RECORD_PATHS_H
#define BL_RECORD_PATHS_H

#include "experiment/experiment.h" // bl_experiment, bl_cell

typedef struct bl_run_key { // one run of a study; everything is borrowed
    const bl_experiment *experiment;
    const bl_cell *cell;
    uint64_t seed;
    const char *results_folder;
} bl_run_key;

// results_folder/<study>/<cell>/seed-<k>.<backend>.h5 in the arena's memory.
const char *bl_run_path(bl_arena *arena, const bl_run_key *key);
// What stands beside a run file: seed-<k>.<backend><ending>, ".ckpt" for its checkpoint.
const char *bl_run_beside(bl_arena *arena, const char *run_path, const char *ending);

#endif
