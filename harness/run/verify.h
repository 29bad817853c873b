// verify.h - the files of a study's data, each read whole, held against what its runs were made from. Starting a run compares names,
// lengths and what is known of contents (run/unchanged.h); this is for who wants to know of every byte.

#ifndef BL_RUN_VERIFY_H
#define BL_RUN_VERIFY_H

#include "base/memory.h"        // bl_text
#include "experiment/options.h" // bl_experiment, bl_cell

// Of the finished runs and checkpoints of all cells, or of `only`: "crossed/0: as it was", or the first file that is not. *said gains a line
// a data set and a line a run; fails where a file cannot be read, or where a run was made from other data.
BL_CHECK int bl_data_verify(const bl_experiment *experiment, const bl_cell *only, const char *results_folder, bl_text *said);

#endif
