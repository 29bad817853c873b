// longer.h - a finished run whose recipe has more epochs now.

#ifndef BL_RUN_LONGER_H
#define BL_RUN_LONGER_H

#include "record/container.h" // bl_container_reader
#include "record/paths.h"     // bl_run_key

// Whether the run of a finished file of another recipe goes on: nothing but train.epochs differs, which were fewer; no schedule looks at
// the end of training; it ended there, and the checkpoint of its last epoch was kept: *checkpoint, in the arena. *epochs: that it has.
// Fails with what differs, and why it is not so.
BL_CHECK int bl_longer(bl_arena *arena, const bl_run_key *key, const bl_container_reader *finished, const char *path,
                       const char **checkpoint, int *epochs);

// Where the checkpoint of that many finished epochs is kept.
const char *bl_kept_checkpoint(bl_arena *arena, const char *run_path, int epochs);

#endif
