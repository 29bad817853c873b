// preview.h - what the network will see: a sheet of originals beside their two views.

#ifndef BL_INSPECT_PREVIEW_H
#define BL_INSPECT_PREVIEW_H

#include "base/memory.h"        // bl_text
#include "experiment/options.h" // bl_cell

// The first train images of the cell's data and their views in epoch 0, drawn as the run with this seed draws them, normalisation
// undone for the eye. `remarks` gains what the data set says of itself (bl_dataset_remarks); free it.
BL_CHECK int bl_preview_write(const bl_cell *cell, uint64_t seed, const char *png_path, bl_text *remarks);

#endif
