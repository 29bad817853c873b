#include "run/needed.h"

#include <string.h>

#include "base/file.h"             // bl_file_exists
#include "datasets/facts.h"        // bl_dataset_facts
#include "experiment/variables.h"  // bl_variables_tell

static int refuse_data(const bl_cell *cell) {
    bl_text advice = {0}, variables = {0};
    const char *error = bl_error();
    bl_arena *arena = bl_arena_create();
    bl_variables_tell(cell->data_root->text, &variables);
    bl_text_add(&advice, "data.root is where they are looked for%s%s", variables.size ? "; " : "", variables.size ? variables.chars : "");
    const int status = bl_refuse(cell->data_root->spot, advice.chars, "%s", bl_arena_copy(arena, error));
    bl_arena_free(arena);
    bl_text_free(&advice);
    bl_text_free(&variables);
    return status;
}

int bl_open_data(const bl_cell *cell, bl_dataset **dataset) {
    return bl_dataset_open(dataset, &cell->data) && (!cell->data_root || refuse_data(cell)) ? BL_FAILED : BL_OK;
}

int bl_data_are_there(const bl_cell *cell) {
    bl_dataset *dataset;
    if (bl_dataset_facts_of(cell->data.name)->is_drawn) return BL_OK;
    if (bl_open_data(cell, &dataset)) return BL_FAILED;
    bl_dataset_close(dataset);
    return BL_OK;
}

int bl_weights_are_there(const bl_cell *cell) {
    for (int i = 0; i < cell->evaluation_count; i++) {
        const bl_arm *arm = &cell->evaluations[i].fit.arm;
        if (arm->source == BL_ARM_WEIGHTS && arm->path && !bl_file_exists(arm->path))
            return bl_refuse(arm->spot, "write a path from the folder where byolab is started, or make the file first", "%s: no such file", arm->path);
    }
    return BL_OK;
}

bool bl_same_data(const bl_cell *a, const bl_cell *b) {
    const bl_dataset_options *x = &a->data, *y = &b->data;
    return !strcmp(x->name, y->name) && !strcmp(x->root ? x->root : "", y->root ? y->root : "") && x->scene_splits == y->scene_splits &&
           x->labelled == y->labelled;
}
