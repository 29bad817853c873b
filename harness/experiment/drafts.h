// drafts.h - from `cells:` or `sweep:` to one tree a cell.

#ifndef BL_EXPERIMENT_DRAFTS_H
#define BL_EXPERIMENT_DRAFTS_H

#include "experiment/value.h"

typedef struct bl_draft { // a cell before its keys are read
    const char *name;
    bl_spot spot;         // where it is named
    bl_value *tree;       // the whole file with the cell's keys over it
    bool of_product;      // where it means nothing it is left out, not refused
} bl_draft;

typedef struct bl_drafts {
    bl_draft *items;
    int count;
    const char **excluded; // combinations that the file itself leaves out: "name: sweep.exclude, file:line:column"
    int excluded_count;
} bl_drafts;

// One draft a cell or combination; a single one, "main", where the file names none. `cells` and `sweep` leave the tree.
BL_CHECK int bl_drafts_make(bl_arena *arena, bl_value *file, bl_drafts *drafts);

#endif
