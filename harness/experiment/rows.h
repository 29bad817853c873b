// rows.h - the list below `evaluate:`, from entries to rows and back to text.

#ifndef BL_EXPERIMENT_ROWS_H
#define BL_EXPERIMENT_ROWS_H

#include "experiment/options.h"
#include "experiment/schema.h" // bl_evaluation_entry
#include "experiment/value.h"

// The cell's entries and its rows: one for each arm and share of an entry. Its views are filled. BL_MEANINGLESS as bl_keys_fill.
BL_CHECK int bl_evaluations_fill(bl_arena *arena, const bl_value *tree, bl_cell *cell);
// The list as a block of the resolved text.
void bl_evaluations_print(bl_arena *arena, const bl_cell *cell, bl_text *text);
// The row of an entry that learns from that share: its share and its steps.
bl_evaluation bl_row_of_share(const bl_evaluation_entry *entry, int share);

#endif
