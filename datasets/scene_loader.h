// scene_loader.h - threads that decode scenes and fill staging slots with their views.
//
// As loader.h: the trainer decides the order and lends slots; what is written is a function of (seed, sample, epoch) alone. An error
// of a worker (a file that changed, an unknown id) waits in its slot for bl_scene_loader_wait.

#ifndef BL_DATASETS_SCENE_LOADER_H
#define BL_DATASETS_SCENE_LOADER_H

#include "datasets/scene_views.h"

typedef struct bl_scene_loader bl_scene_loader;

// Scenes are borrowed, the recipe is copied.
BL_CHECK int bl_scene_loader_create(bl_scene_loader **loader, const bl_scenes *scenes, const bl_scene_recipe *recipe, uint64_t seed,
                                    int threads, int slots);
void bl_scene_loader_free(bl_scene_loader *loader);

// Begins to fill images ([count, height, width, 3]) and labels ([count, height, width]; NULL: not wanted) with samples[0 .. count-1],
// which are indices into the scenes and copied.
BL_CHECK int bl_scene_loader_submit(bl_scene_loader *loader, int slot, const uint32_t *samples, int count, uint32_t epoch, float *images,
                                    float *labels);
BL_CHECK int bl_scene_loader_wait(bl_scene_loader *loader, int slot);

#endif
