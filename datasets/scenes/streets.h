// streets.h - "streets": an embedded set of labelled street scenes, drawn from a seed at any size.

#ifndef BL_DATASETS_STREETS_H
#define BL_DATASETS_STREETS_H

#include "datasets/scenes/scene.h"

// Scenes of a set are drawn once where all of them together fit in so many bytes, else each time.
#define BL_STREETS_KEPT ((int64_t)1 << 29)

// Scene `number` of a split; pixels and labels are a function of the arguments alone.
BL_CHECK int bl_streets_draw(uint64_t seed, bl_scene_split split, uint32_t number, int width, int height, bl_scene *scene);

#endif
