// scene_loader.h - a loader of labelled scenes, decoded and cropped as a recipe says.

#ifndef BL_DATASETS_SCENE_LOADER_H
#define BL_DATASETS_SCENE_LOADER_H

#include "datasets/loader.h"
#include "datasets/scenes/scene_views.h"
#include "datasets/scenes/scenes.h"

// A slot's images are [count, height, width, 3] and its labels [count, height, width], of the recipe's size. Every one is a function of
// (seed, sample, epoch, occurrence). Scenes are borrowed, the recipe is copied.
BL_CHECK int bl_scene_loader_create(bl_loader **loader, const bl_scenes *scenes, const bl_scene_recipe *recipe, uint64_t seed, int threads,
                                    int slots);

#endif
