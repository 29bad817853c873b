// value.h - a YAML tree that remembers where each value was written.
//
// Files are merged and overridden as these trees, so a value from a base or from --set still speaks of its own line.
// Everything lives in the arena it was made in.

#ifndef BL_EXPERIMENT_VALUE_H
#define BL_EXPERIMENT_VALUE_H

#include <stdbool.h>

#include "base/error.h"  // BL_CHECK
#include "base/memory.h" // bl_arena

typedef struct bl_source { // a file, or one --set
    const char *name;      // "experiments/mine.yaml", "--set train.epochs=2"
    const char *text;      // all of it, for the line an error shows; of --set its name itself; NULL: there is none to show
} bl_source;

typedef struct bl_spot {   // where something was written
    const bl_source *source; // NULL: a default
    int line, column;        // from 1
} bl_spot;

typedef enum bl_value_kind { BL_VALUE_NULL, BL_VALUE_SCALAR, BL_VALUE_LIST, BL_VALUE_MAP } bl_value_kind;

typedef struct bl_value bl_value;
typedef struct bl_entry { // of a map; in a list, `key` is NULL
    const char *key;
    bl_spot key_spot;
    bl_value *value;
} bl_entry;

struct bl_value {
    bl_value_kind kind;
    bl_spot spot;
    int layer;            // who wrote it: bases first, then the file, --set, the cells; later ones win
    const char *text;     // scalar
    bool quoted;          // a quoted scalar is a string, whatever it looks like
    bool is_verbatim;     // of a variable that is not set it keeps the ${NAME} (variables.h)
    bl_entry *entries;
    int count, capacity;
};

bl_value *bl_value_new(bl_arena *arena, bl_value_kind kind, bl_spot spot, int layer);
void bl_value_append(bl_arena *arena, bl_value *container, const char *key, bl_spot key_spot, bl_value *value);
bl_value *bl_value_copy(bl_arena *arena, const bl_value *value);
void bl_value_raise(bl_value *value, int layer); // sets the layer of the value and everything below

bl_value *bl_value_get(const bl_value *map, const char *key);       // NULL when absent or no map
bl_value *bl_value_at(const bl_value *root, const char *path);      // "method.target.tau", "views.0.blur"; "" is the root
bl_spot bl_value_spot(bl_arena *arena, const bl_value *root, const char *path); // of the value there, or of the nearest map above it
// Of two paths that contradict each other, the one written last: the line that made the contradiction. `first` in doubt.
bl_spot bl_value_latest_spot(bl_arena *arena, const bl_value *root, const char *first, const char *second);
bl_value *bl_value_detach(bl_value *map, const char *key);          // removes and returns the entry; NULL when absent

// Copies `from` over `onto`: maps merge, lists and scalars replace, null deletes.
void bl_value_merge(bl_arena *arena, bl_value *onto, const bl_value *from);
// The same below `path`, which is written at `path_spot`; a number in the path is an index of a list that is there.
BL_CHECK int bl_value_assign(bl_arena *arena, bl_value *root, const char *path, bl_spot path_spot, const bl_value *value);

// "mine.yaml:14:12", without its folder: what is kept must not depend on where it was asked for; "--set train.epochs=2"; "" of a default.
const char *bl_spot_name(bl_arena *arena, bl_spot spot);

// "file:line:column: message", the line, a caret, and the advice ("write ...") below; "" for no advice. Always BL_FAILED.
#define bl_refuse(spot, advice, ...) bl_refuse_at(__FILE__, __LINE__, spot, advice, __VA_ARGS__)
int bl_refuse_at(const char *file, int line, bl_spot spot, const char *advice, const char *format, ...) BL_PRINTF(5, 6);

#endif
