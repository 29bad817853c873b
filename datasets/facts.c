#include "datasets/facts.h"

#include <string.h>

#define IMAGES(name, ...) {#name, __VA_ARGS__, .load = bl_##name##_load},
#define SCENES(name, is_drawn) {#name, 0, BL_SCENE_CLASSES, 0, 0, is_drawn, .scenes = &bl_##name},

static const bl_dataset_facts sets[] = {BL_IMAGE_SETS(IMAGES) BL_SCENE_SETS(SCENES)};
enum { SETS = sizeof sets / sizeof *sets };

const bl_dataset_facts *bl_dataset_facts_at(int index) { return index < SETS ? &sets[index] : NULL; }

const bl_dataset_facts *bl_dataset_facts_of(const char *name) {
    for (int i = 0; i < SETS; ++i)
        if (!strcmp(sets[i].name, name)) return &sets[i];
    return NULL;
}
