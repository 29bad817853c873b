// unchanged.h - a finished run is passed over only where its data are what they were.

#ifndef BL_RUN_UNCHANGED_H
#define BL_RUN_UNCHANGED_H

#include "base/memory.h"      // bl_text
#include "record/container.h" // bl_container_reader
#include "record/paths.h"     // bl_run_key

// Compares the data that the cell now leads to with what the run of the file at `path` has kept of its own: names, lengths, and what is in
// the files as far as it is known (base/contents.h); sets of a few files are read where it is not. Fails naming the first file that changed,
// came or went. `said` (NULL: nobody asks) gains a line where there are none to compare, where they lie elsewhere than they did, and where files would have to be
// read to know what is in them.
BL_CHECK int bl_data_unchanged(const bl_run_key *key, const bl_container_reader *finished, const char *path, bl_text *said);

// Says where the data lie elsewhere than when the file was made.
BL_CHECK int bl_data_moved(const bl_run_key *key, const bl_container_reader *reader, bl_text *said);

#endif
