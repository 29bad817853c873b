// keys.h - from a tree of values to typed fields and back, by the schema: all keys of one owner, and the transforms of a view, each of
// which is an owner of keys.

#ifndef BL_EXPERIMENT_KEYS_H
#define BL_EXPERIMENT_KEYS_H

#include "datasets/views/views.h" // bl_recipe
#include "experiment/schema.h"
#include "experiment/value.h"

// Refuses every key of the file that the schema does not know, suggesting the nearest one that it does; a key with dots, which --set alone
// knows; and null, but where it takes an earlier layer's value back and can mean nothing else: of many keys none and the default are two things.
BL_CHECK int bl_keys_known(bl_arena *arena, const bl_value *tree);

// Fills the fields of `owner` whose keys begin with `prefix` ("" or "evaluate[].knn.") from `tree`, which stands at the prefix;
// absent ones from their defaults. A key that has no meaning beside the others is refused with BL_MEANINGLESS, or dropped where
// a later layer made it so: a cell without predictor need not take back the predictor's width.
#define BL_MEANINGLESS 1
BL_CHECK int bl_keys_fill(bl_arena *arena, bl_key_owner owner, const char *prefix, const bl_value *tree, void *object);

// Whether a key has a meaning beside those of `tree`, which stands at the prefix.
bool bl_key_has_meaning(bl_arena *arena, const bl_key *key, const char *prefix, const bl_value *tree);

// Canonical text, in the schema's order, of the same keys that are of a class in `classes` (a mask of 1 << bl_key_class) and
// have a meaning. Block: lines "key: value", nested and indented; flow: "{key: value, ...}". With BL_ONLY_CHANGED in the mask,
// keys that stand at their default are left out: what identifies a training must not change when the schema grows.
#define BL_ONLY_CHANGED (1u << 31)
#define BL_EVERY_CLASS (~BL_ONLY_CHANGED)
void bl_keys_print_block(bl_key_owner owner, const char *top, const bl_value *tree, const void *object, unsigned classes,
                         bl_text *text);
void bl_keys_print_flow(bl_key_owner owner, const char *prefix, const bl_value *tree, const void *object, unsigned classes,
                        bl_text *text);

// Transforms as a file writes them, a map in its order: an entry below `views:`, or the `view` of an evaluation. Into an empty recipe;
// `name` is what an error calls the map.
BL_CHECK int bl_recipe_fill(bl_arena *arena, const char *name, const bl_value *map, bl_recipe *recipe);
// As an entry of a list: lines indented below "  - ".
void bl_recipe_print_entry(bl_arena *arena, const bl_value *map, const bl_recipe *recipe, unsigned classes, bl_text *text);

#endif
