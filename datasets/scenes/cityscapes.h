// cityscapes.h - "cityscapes": the folders of the Cityscapes data set, read (cityscapes.c says which files) and written.

#ifndef BL_DATASETS_CITYSCAPES_H
#define BL_DATASETS_CITYSCAPES_H

#include "datasets/scenes/scene.h"

// Writes a labelled scene as Cityscapes' files: <root>/leftImg8bit/<split>/<city>/<city>_000000_<number>_leftImg8bit.png and its map of
// label ids under gtFine, where pixels of no class get id 0.
BL_CHECK int bl_scene_save(const bl_scene *scene, const char *root, bl_scene_split split, const char *city, int number);

#endif
