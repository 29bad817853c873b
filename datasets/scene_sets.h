// scene_sets.h - street scenes as a data set: the sets behind dataset.h, opened together.

#ifndef BL_DATASETS_SCENE_SETS_H
#define BL_DATASETS_SCENE_SETS_H

#include "datasets/picture.h"
#include "datasets/scenes/scenes.h"

typedef enum bl_scene_role { BL_UNLABELLED, BL_LABELLED, BL_SCORED, BL_SCENE_ROLES } bl_scene_role;

typedef struct bl_scene_sets_options {
    const bl_scene_format *format;
    const char *root;
    unsigned splits;    // that the unlabelled set is made of: 1u << BL_SCENE_TRAIN | ..., without val
    bool labelled;      // the labelled set, which is train, and the scored one, which is val, are opened too
    int crop;           // pixels a side of the square that is cut out of each scene; 0: whole scenes
    // of drawn ones; 0: their default
    uint64_t seed;
    int train, test;    // scenes of each split but val, and of val
    int extra;          // of train_extra; 0: as many as of train
    int width, height;
} bl_scene_sets_options;

typedef struct bl_scene_sets {
    bl_scenes *of[BL_SCENE_ROLES]; // NULL: not asked for
    int crop;
    bl_text files;                 // a heading a set, then its list
    bl_text remarks;               // of all sets (bl_scenes_remarks), and of one beside the other
} bl_scene_sets;

// Whatever fails, close what was opened.
BL_CHECK int bl_scene_sets_open(bl_scene_sets *sets, const bl_scene_sets_options *options);
void bl_scene_sets_close(bl_scene_sets *sets);

// The square is a function of (seed, "scene_square", index, epoch).
BL_CHECK int bl_scene_sets_picture(const bl_scene_sets *sets, bl_scene_role role, uint32_t index, uint64_t seed, uint32_t epoch,
                                   bl_picture *picture);
// bl_scenes_check_labels of the labelled and the scored set. What it says joins the remarks.
BL_CHECK int bl_scene_sets_check_labels(bl_scene_sets *sets, bl_pool *pool);
BL_CHECK int bl_scene_sets_compare(const bl_scene_sets *sets, const char *list);
// bl_scenes_contents of each set below its heading, and bl_scenes_compare_contents of those that are in such a list.
void bl_scene_sets_contents(const bl_scene_sets *sets, bl_text *list);
BL_CHECK int bl_scene_sets_compare_contents(const bl_scene_sets *sets, const char *list, int64_t *unknown);
// bl_scenes_read_files of each set below its heading. bl_scene_sets_compare_part holds a list of contents against such a one.
BL_CHECK int bl_scene_sets_read_files(const bl_scene_sets *sets, bl_pool *pool, bl_text *list);
BL_CHECK int bl_scene_sets_compare_part(const char *was, const char *now);

#endif
