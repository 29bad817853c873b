// cell.h - one cell: filled from its tree, named by what it trains, and what follows from its options.

#ifndef BL_EXPERIMENT_CELL_H
#define BL_EXPERIMENT_CELL_H

#include "experiment/options.h"
#include "experiment/value.h"

// Types, ranges, unknown keys; views, evaluations and what follows from them. BL_MEANINGLESS as bl_keys_fill. What is taken back leaves the tree.
BL_CHECK int bl_cell_fill(bl_arena *arena, bl_value *tree, bl_cell *cell);

// The resolved text and the id of what it trains.
void bl_cell_identify(bl_arena *arena, const bl_value *tree, const bl_machine *machine, bl_cell *cell);

// What is allowed, but not what it looks like: a line each, without the cell's name; nothing where there is nothing to say.
void bl_cell_warn(const bl_cell *cell, bl_text *text);

bool bl_epochs_hit(const bl_epochs *at, int epoch, int last);

// Images of a split, as far as the file tells; -1 where it does not: of a folder of scenes.
int64_t bl_cell_images(const bl_cell *cell, bl_split split);
int bl_cell_image_side(const bl_cell *cell);          // pixels a side of what views are made from; 0: whole scenes
int bl_cell_classes(const bl_cell *cell);             // of the data set
int64_t bl_cell_steps_per_epoch(const bl_cell *cell); // whole updates, by the images that count; -1: the file does not tell
int64_t bl_cell_steps(const bl_cell *cell);           // updates in all; -1
const char *bl_cell_precision(const bl_cell *cell);   // f32, bf16 or tf32

#endif
