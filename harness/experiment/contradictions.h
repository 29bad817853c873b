// contradictions.h - what each key allows and all together contradict, refused at the line that says so. A file a part of the cell.

#ifndef BL_EXPERIMENT_CONTRADICTIONS_H
#define BL_EXPERIMENT_CONTRADICTIONS_H

#include "experiment/options.h"
#include "experiment/value.h"

// All of a cell that was filled from `tree`: data and training, then the parts below.
BL_CHECK int bl_cell_check(bl_arena *arena, const bl_value *tree, const bl_machine *machine, const bl_cell *cell);

BL_CHECK int bl_views_check(bl_arena *arena, const bl_value *tree, const bl_cell *cell);       // the list below `views:`
BL_CHECK int bl_method_check(bl_arena *arena, const bl_value *tree, const bl_cell *cell);      // network and method
BL_CHECK int bl_schedule_check(bl_arena *arena, const bl_value *tree, const bl_cell *cell);    // of the learning rate
BL_CHECK int bl_evaluations_check(bl_arena *arena, const bl_cell *cell);                       // the list below `evaluate:`

// What each transform allows, that normalize stands last, and that images of `from` pixels a side which are cropped leave with `side`.
// `name` is what an error calls the map.
BL_CHECK int bl_recipe_check(bl_arena *arena, const char *name, const bl_value *map, const bl_recipe *recipe, int from, int side);
// A share of the train labels, in percent, of which the part `held_out` is kept for choices: whether each class has enough.
BL_CHECK int bl_share_check(bl_arena *arena, bl_spot spot, const char *name, const bl_cell *cell, double share, double held_out);

#endif
