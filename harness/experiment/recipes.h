// recipes.h - transforms as a file writes them: an entry below `views:`, or the `view` of an evaluation.

#ifndef BL_EXPERIMENT_RECIPES_H
#define BL_EXPERIMENT_RECIPES_H

#include "datasets/views/views.h" // bl_recipe
#include "experiment/value.h"

// A map of transforms, in its order, into an empty recipe. `name` is what an error calls the map.
BL_CHECK int bl_recipe_fill(bl_arena *arena, const char *name, const bl_value *map, bl_recipe *recipe);

// "{flip: 0.5, normalize: {...}}"; classes as in keys.h.
void bl_recipe_print(bl_arena *arena, const bl_value *map, const bl_recipe *recipe, unsigned classes, bl_text *text);
// The same as an entry of a list: lines indented below "  - ".
void bl_recipe_print_entry(bl_arena *arena, const bl_value *map, const bl_recipe *recipe, unsigned classes, bl_text *text);

// What each transform allows, that normalize stands last, and that images of `from` pixels a side which are cropped leave with `side`.
BL_CHECK int bl_recipe_check(bl_arena *arena, const char *name, const bl_value *map, const bl_recipe *recipe, int from, int side);

#endif
