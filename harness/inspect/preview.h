// preview.h - what the network will see: a sheet of originals beside their two views.

#ifndef BL_INSPECT_PREVIEW_H
#define BL_INSPECT_PREVIEW_H

#include "experiment/options.h" // bl_cell

// The first train images of the cell's data and their views in epoch 0, drawn as the run with this seed draws them, normalisation
// undone for the eye.
BL_CHECK int bl_preview_write(const bl_cell *cell, uint64_t seed, const char *png_path);

#endif
