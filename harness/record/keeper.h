// keeper.h - when what is being computed is kept on disk, and the thread that writes it.
//
// A checkpoint is a snapshot: a container's writer that holds copies. The keeper's thread makes the file of it, so that no step waits for
// HDF5, a digest or the disk. One file is in flight at most; the next one waits for it. Where the interval is in steps, each file is on
// disk before the next step begins.

#ifndef BL_RECORD_KEEPER_H
#define BL_RECORD_KEEPER_H

#include "experiment/options.h" // bl_interval
#include "record/container.h"   // bl_container_writer

typedef struct bl_keeper bl_keeper;
BL_CHECK int bl_keeper_create(bl_keeper **keeper, bl_interval every);
void bl_keeper_free(bl_keeper *keeper); // waits; what could not be written is not told

// Whether the interval is over after `step` finished steps: of whatever is kept next, since the last bl_keeper_write.
bool bl_keeper_is_due(const bl_keeper *keeper, int64_t step);

// Owns the writer from here on. Fails where the file before this one could not be written.
BL_CHECK int bl_keeper_write(bl_keeper *keeper, bl_container_writer *writer, const char *path);

// Until everything is on disk; fails where it could not be written.
BL_CHECK int bl_keeper_wait(bl_keeper *keeper);

#endif
