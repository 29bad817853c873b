// weights_table.h - filling a bl_weights tensor by tensor, for those who read one.

#ifndef BL_WEIGHTS_WEIGHTS_TABLE_H
#define BL_WEIGHTS_WEIGHTS_TABLE_H

#include "weights/weights.h"

typedef struct bl_weights_table { // start from {.weights = fresh}
    bl_weights *weights;
    int capacity;
    size_t used, room;            // floats
} bl_weights_table;

void bl_weights_begin(bl_weights *weights, const char *path); // an arena, a path, nothing else
// Room for the values of one more tensor, to be filled at once: the next call may move them.
BL_CHECK int bl_weights_add(bl_weights_table *table, const char *name, const bl_shape *shape, float **values);
// One whose values are of no use here: its name is known, and its `dtype` is what the file calls it.
void bl_weights_note(bl_weights_table *table, const char *name, const bl_shape *shape, const char *dtype);
void bl_weights_finish(bl_weights_table *table);              // ascending by name; from now on values stay where they are

#endif
