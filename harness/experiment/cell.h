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

// Whether warm-up and milestones have room in the steps that are trained, of which an epoch has so many (-1: the file does not tell).
// Asked when the file is read, and again by the run, which has opened the folder. Refused at the key's line.
BL_CHECK int bl_cell_check_length(const bl_cell *cell, int64_t steps_per_epoch);
// The same of a row's fit, which learns from so many images or scenes; -1: the file does not tell.
BL_CHECK int bl_fit_check_length(const bl_evaluation *row, int64_t learned);

bool bl_epochs_hit(const bl_epochs *at, int epoch, int last);

// Images of a split, as far as the file tells; -1 where it does not: of a folder of scenes.
int64_t bl_cell_images(const bl_cell *cell, bl_split split);
int bl_cell_image_side(const bl_cell *cell);          // pixels a side of what views are made from; 0: whole scenes
int bl_cell_classes(const bl_cell *cell);             // of the data set
int64_t bl_cell_steps_per_epoch(const bl_cell *cell); // whole updates, by the images that count; -1: the file does not tell
int64_t bl_cell_steps(const bl_cell *cell);           // updates in all; -1
bool bl_cell_has_average(const bl_cell *cell);        // whether a target moves after the online network: then there is a tau
bool bl_cell_asks(const bl_cell *cell, bl_split split); // whether a row asks about images of the split, learns or chooses by them
// Labelled images or scenes of a share of the train labels; and those of them that a fit of the row learns from at least, without what
// it holds out. -1: the file does not tell.
int64_t bl_cell_labels(const bl_cell *cell, const bl_evaluation *row, double share);
int64_t bl_cell_learned(const bl_cell *cell, const bl_evaluation *row, double share);
int64_t bl_fit_steps_per_pass(const bl_fit_options *fit, int64_t learned); // whole updates, at least one; -1
int64_t bl_fit_steps(const bl_fit_options *fit, int64_t learned);          // updates in all; -1
const char *bl_cell_precision(const bl_cell *cell);   // f32, bf16 or tf32

#endif
