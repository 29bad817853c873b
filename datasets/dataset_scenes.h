// dataset_scenes.h - street scenes as a data set: the sets behind dataset.h, opened together.

#ifndef BL_DATASETS_DATASET_SCENES_H
#define BL_DATASETS_DATASET_SCENES_H

#include "datasets/dataset.h"

// Unlabelled is what BL_TRAIN is; scored what BL_TEST is.
typedef enum bl_scene_role { BL_UNLABELLED, BL_LABELLED, BL_SCORED, BL_SCENE_ROLES } bl_scene_role;

typedef struct bl_scene_sets {
    bl_scenes *of[BL_SCENE_ROLES]; // NULL: not asked for
    int crop;
    bl_text files;                 // a heading a set, then its list
} bl_scene_sets;

// Whatever fails, close what was opened.
BL_CHECK int bl_scene_sets_open(bl_scene_sets *sets, const bl_dataset_options *options);
void bl_scene_sets_close(bl_scene_sets *sets);

int64_t bl_scene_sets_count(const bl_scene_sets *sets, bl_split split);
BL_CHECK int bl_scene_sets_picture(const bl_scene_sets *sets, bl_split split, uint32_t index, uint64_t seed, uint32_t epoch,
                                   bl_picture *picture);
BL_CHECK int bl_scene_sets_compare(const bl_scene_sets *sets, const char *list);

#endif
