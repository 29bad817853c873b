// standing.h - how far an unfinished run is, as its checkpoint tells it.

#ifndef BL_RECORD_STANDING_H
#define BL_RECORD_STANDING_H

#include "experiment/options.h" // bl_cell
#include "record/container.h"   // bl_container_reader
#include "record/history.h"     // bl_history

typedef struct bl_standing {
    int64_t step, steps; // finished updates, of so many; steps 0: not known before the first logged step
    int epoch, epochs;   // those trained and evaluated, of so many
    bool is_diagnosed;
    bl_verdict verdict;  // the last one, where it is
} bl_standing;

// `history`: the checkpoint's. How many updates there will be follows from it: the file keeps none of the data set's sizes.
BL_CHECK int bl_standing_of(bl_standing *standing, const bl_container_reader *checkpoint, const bl_history *history, const bl_cell *cell);
// From a checkpoint of the cell's recipe alone, without its weights and without checking its digest: for a line on the screen.
BL_CHECK int bl_standing_peek(bl_standing *standing, const char *checkpoint_path, const bl_cell *cell);

// "step 4000 of 19500, epoch 20 of 100, healthy"
void bl_standing_print(const bl_standing *standing, bl_text *text);

#endif
