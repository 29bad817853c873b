// key_values.h - one key's value: from its YAML to its field, and from its field to canonical YAML.

#ifndef BL_EXPERIMENT_KEY_VALUES_H
#define BL_EXPERIMENT_KEY_VALUES_H

#include "experiment/schema.h"
#include "experiment/value.h"

// Parses and checks `value` into the key's field of `object`. `name` is the key as an error calls it. Text has its ${VARIABLE} replaced;
// one that is not set is an error naming it. Views are filled by bl_keys_fill.
BL_CHECK int bl_key_parse(bl_arena *arena, const bl_key *key, const char *name, const bl_value *value, void *object);
// Its default as the tree it would be in a file, for keys that have one.
const bl_value *bl_key_default(bl_arena *arena, const bl_key *key);

// Numbers print in the fewest digits that read back the same. `value`: as written (NULL: default); text keeps its ${VARIABLE}.
void bl_key_print(const bl_key *key, const bl_value *value, const void *object, bl_text *text);

// "random", or "{weights: ..., prefix: ..., preprocessing: keep}" with the path as it was written; `value`: the arm's own, NULL for a default.
void bl_arm_print(const bl_value *value, const bl_arm *arm, bl_text *text);

#endif
