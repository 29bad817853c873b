// values.h - one key's value: from its YAML to its field, and from its field to canonical YAML.

#ifndef BL_EXPERIMENT_KEY_VALUES_H
#define BL_EXPERIMENT_KEY_VALUES_H

#include "experiment/schema.h"
#include "experiment/value.h"

// Parses and checks `value` into the key's field of `object`. `name` is the key as an error calls it.
BL_CHECK int bl_value_parse(bl_arena *arena, const bl_key *key, const char *name, const bl_value *value, void *object);
// The same for the default.
BL_CHECK int bl_value_parse_default(bl_arena *arena, const bl_key *key, void *object);

// Numbers print in the fewest digits that read back the same. `value`: as written (NULL: default); text keeps its ${VARIABLE}.
void bl_value_print(const bl_key *key, const bl_value *value, const void *object, bl_text *text);

// "random", or "{weights: ..., preprocessing: keep}" with the path as it was written; `value`: the arm's own, NULL for a default.
void bl_arm_print(const bl_value *value, const bl_arm *arm, bl_text *text);

// ${VARIABLE} replaced; a variable that is not set is an error naming it.
BL_CHECK int bl_value_expand(bl_arena *arena, const char *name, const bl_value *value, const char **text);

// Of `count` names, the one nearest to `name`; NULL where none is near.
const char *bl_nearest_name(const char *name, const char *const *names, int count);

#endif
