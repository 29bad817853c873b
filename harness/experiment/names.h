// names.h - what to say of a name that nothing has.

#ifndef BL_EXPERIMENT_NAMES_H
#define BL_EXPERIMENT_NAMES_H

#include "base/memory.h" // bl_arena

// What to write instead of `name`: of `count` names the one that it is a slip of, or else all of them.
const char *bl_name_advice(bl_arena *arena, const char *name, const char *const *names, int count);
// The one that it is a slip of; NULL: none.
const char *bl_nearest_name(const char *name, const char *const *names, int count);
// ": its \u0430 (U+0430) is no letter of ours": of the first character that is not ASCII; "" where there is none.
const char *bl_strange_character(bl_arena *arena, const char *text);

#endif
