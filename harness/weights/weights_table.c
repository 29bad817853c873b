#include "weights/weights_table.h"

#include <stdlib.h>
#include <string.h>

void bl_weights_begin(bl_weights *weights, const char *path) {
    *weights = (bl_weights){.arena = bl_arena_create()};
    weights->path = bl_arena_copy(weights->arena, path);
}

static bl_weight *next_item(bl_weights_table *table, const char *name, const bl_shape *shape) {
    bl_weights *weights = table->weights;
    if (weights->count == table->capacity) {
        const int capacity = table->capacity ? 2 * table->capacity : 128;
        bl_weight *items = bl_arena_take(weights->arena, (size_t)capacity * sizeof *items);
        if (weights->count) memcpy(items, weights->items, (size_t)weights->count * sizeof *items);
        weights->items = items;
        table->capacity = capacity;
    }
    bl_weight *item = &weights->items[weights->count++];
    *item = (bl_weight){.name = bl_arena_copy(weights->arena, name), .shape = *shape};
    return item;
}

void bl_weights_note(bl_weights_table *table, const char *name, const bl_shape *shape, const char *dtype) {
    next_item(table, name, shape)->dtype = bl_arena_copy(table->weights->arena, dtype);
}

int bl_weights_add(bl_weights_table *table, const char *name, const bl_shape *shape, float **values) {
    bl_weights *weights = table->weights;
    const size_t count = (size_t)bl_shape_count(shape);
    if (!weights->data || count > table->room - table->used) {
        const size_t room = 2 * table->used + count + 1024;
        float *data = bl_alloc(room * sizeof *data);
        if (!data) return BL_FAILED;
        if (table->used) memcpy(data, weights->data, table->used * sizeof *data);
        bl_free(weights->data);
        weights->data = data;
        table->room = room;
    }
    next_item(table, name, shape);
    *values = (float *)weights->data + table->used;
    table->used += count;
    return BL_OK;
}

static int by_name(const void *a, const void *b) { return strcmp(((const bl_weight *)a)->name, ((const bl_weight *)b)->name); }

void bl_weights_finish(bl_weights_table *table) {
    bl_weights *weights = table->weights;
    const float *values = weights->data;
    for (int i = 0; i < weights->count; i++) {
        if (weights->items[i].dtype) continue;
        weights->items[i].values = values;
        values += bl_shape_count(&weights->items[i].shape);
    }
    if (weights->count) qsort(weights->items, (size_t)weights->count, sizeof *weights->items, by_name);
}
