// yaml.h - YAML text, and JSON, to trees of values. libfyaml is known here alone.

#ifndef BL_EXPERIMENT_YAML_H
#define BL_EXPERIMENT_YAML_H

#include "experiment/value.h"

// Later layers win. --set is a line of a file over the one that was given; a cell's own keys stand above both.
enum { BL_LAYER_FILE = 16, BL_LAYER_SET, BL_LAYER_CELL };

// One file or piece of text, read to its end: UTF-8, one document, bounded in bytes, depth and values, each alias counted as all that it
// stands for. `<<` puts what it brings in its place, tags are refused. An empty one is null. `source` must live as long as the tree.
BL_CHECK int bl_yaml_parse(bl_arena *arena, const bl_source *source, const char *text, int layer, bl_value **value);
// JSON alone, `bytes` of it. A key that stands twice in an object is there twice.
BL_CHECK int bl_json_parse(bl_arena *arena, const bl_source *source, const char *text, size_t bytes, bl_value **value);

// A file merged over its `base`, and that over its own. `cells`, `sweep` and `expect` of a base are not inherited; `base` itself
// is gone.
BL_CHECK int bl_yaml_read_merged(bl_arena *arena, const char *path, bl_value **value);

#endif
