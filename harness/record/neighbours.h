// neighbours.h - runs that lie in a study's folder and are of no cell of its file: those of another experiment file of the same name,
// or of cells that went or were renamed. What is written of the whole study, its report above all, is then written over.

#ifndef BL_RECORD_NEIGHBOURS_H
#define BL_RECORD_NEIGHBOURS_H

#include "base/memory.h"        // bl_arena
#include "experiment/options.h" // bl_experiment

// "the results of quick hold runs of cells that this file has not: a, b. ..." in the arena's memory; NULL: there are none, or no folder.
const char *bl_neighbours(bl_arena *arena, const bl_experiment *experiment, const char *results_folder);

#endif
