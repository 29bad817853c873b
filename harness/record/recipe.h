// recipe.h - how the recipe of a run differs from a cell's: the keys of class train, each with both values.

#ifndef BL_RECORD_RECIPE_H
#define BL_RECORD_RECIPE_H

#include <stdbool.h>

#include "experiment/options.h" // bl_cell
#include "record/container.h"   // bl_container_reader

// Of a run file or a checkpoint. *same: it is of the cell's recipe; else `difference` says where not: "method.predictor.hidden: 32, was 16;
// train.epochs: 8, was 4", as the cell has it and as the file was made. *longer: nothing differs but train.epochs, which were fewer. An
// empty `difference` is asked for.
BL_CHECK int bl_recipe_compare(const bl_container_reader *reader, const bl_cell *cell, bool *same, bool *longer, bl_text *difference);

// The same of two resolved texts.
BL_CHECK int bl_recipe_differences(const char *now, const char *was, bool *longer, bl_text *text);

#endif
