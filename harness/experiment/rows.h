// rows.h - the list below `evaluate:`, from entries to rows and back to text.

#ifndef BL_EXPERIMENT_ROWS_H
#define BL_EXPERIMENT_ROWS_H

#include "experiment/schema.h" // bl_evaluation_entry
#include "experiment/value.h"

typedef struct bl_protocol_options { // an entry as it stands in the file, and read
    const char *name;                // "knn"
    const bl_value *map;             // its keys; with those that follow from others
    bl_evaluation_entry entry;
} bl_protocol_options;

// One for each entry; what follows from them all (names, ids) is in the rows. BL_MEANINGLESS as bl_keys_fill.
BL_CHECK int bl_evaluations_read(bl_arena *arena, const bl_value *tree, bl_protocol_options **options, int *count);

// Rows of an entry, a row for each arm and share: `rows` has room for bl_evaluation_rows of them.
int bl_evaluation_rows(const bl_protocol_options *options);
void bl_evaluation_expand(bl_arena *arena, const bl_protocol_options *options, bl_evaluation *rows);

// All of the cell's rows.
BL_CHECK int bl_evaluations_fill(bl_arena *arena, const bl_value *tree, bl_cell *cell);
// The list as a block of the resolved text.
void bl_evaluations_print(bl_arena *arena, const bl_value *tree, bl_text *text);

#endif
