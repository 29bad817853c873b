// cell.h - the steps from a merged file to checked cells; experiment.c runs them in order.

#ifndef BL_EXPERIMENT_CELL_H
#define BL_EXPERIMENT_CELL_H

#include "experiment/experiment.h"
#include "experiment/value.h"

typedef struct bl_draft { // a cell before its keys are read
    const char *name;
    bl_spot spot;         // where it is named
    bl_value *tree;       // the whole file with the cell's keys over it
    bool of_product;      // where it means nothing it is skipped, not refused
} bl_draft;

// One draft a cell or combination; a single one, "main", where the file names none. `cells` and `sweep` leave the tree.
BL_CHECK int bl_drafts_make(bl_arena *arena, bl_value *file, bl_draft **drafts, int *count);

// Types, ranges, unknown keys; views, evaluations and what follows from them. BL_MEANINGLESS as bl_keys_fill.
BL_CHECK int bl_cell_fill(bl_arena *arena, const bl_value *tree, bl_cell *cell);

// What each key allows and all together contradict, refused at the line that says so.
BL_CHECK int bl_cell_check(bl_arena *arena, const bl_value *tree, const bl_machine *machine, const bl_cell *cell);
BL_CHECK int bl_method_check(bl_arena *arena, const bl_value *tree, const bl_cell *cell);      // of it: network and method
BL_CHECK int bl_evaluations_check(bl_arena *arena, const bl_value *tree, const bl_cell *cell); // of it: the list below `evaluate:`
// A share of the train labels, in percent, of which the part `held_out` is kept for choices: whether each class has enough.
BL_CHECK int bl_share_check(bl_arena *arena, bl_spot spot, const char *name, const bl_cell *cell, double share, double held_out);

// What is allowed, but not what it looks like: a line each, without the cell's name; nothing where there is nothing to say.
void bl_cell_warn(const bl_cell *cell, bl_text *text);

// The resolved text and the id of what it trains.
void bl_cell_identify(bl_arena *arena, const bl_value *tree, const bl_machine *machine, bl_cell *cell);

// Images of a split, as far as the file tells; -1 where it does not: of a folder of scenes.
int64_t bl_cell_images(const bl_cell *cell, bl_split split);
int bl_cell_image_side(const bl_cell *cell);          // pixels a side of what views are made from; 0: whole scenes
int bl_cell_classes(const bl_cell *cell);             // of the data set
int64_t bl_cell_steps_per_epoch(const bl_cell *cell); // whole updates, by the images that count; -1: the file does not tell
int64_t bl_cell_steps(const bl_cell *cell);           // updates in all; -1
const char *bl_cell_precision(const bl_cell *cell);   // f32, bf16 or tf32

#endif
