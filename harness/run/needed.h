// needed.h - the files that the runs of a cell need before their first step.

#ifndef BL_RUN_NEEDED_H
#define BL_RUN_NEEDED_H

#include "datasets/dataset.h"   // bl_dataset
#include "experiment/options.h" // bl_cell

// Opens the data; fails with where data.root is written, and what its ${NAME} are.
BL_CHECK int bl_open_data(const bl_cell *cell, bl_dataset **dataset);
// Whether the data are there and can be opened; fails likewise.
BL_CHECK int bl_data_are_there(const bl_cell *cell);
// Whether they are the same files.
bool bl_same_data(const bl_cell *a, const bl_cell *b);
// Whether the weights files are there that arms start from. Those of other runs may still be made.
BL_CHECK int bl_weights_are_there(const bl_cell *cell);

#endif
