// scene_picture.h - a scene, its truth and what a network saw in it, small enough to be kept in a run file.

#ifndef BL_PROTOCOLS_SCENE_PICTURE_H
#define BL_PROTOCOLS_SCENE_PICTURE_H

#include "datasets/scenes/scenes.h" // bl_scenes
#include "record/history.h"         // bl_scene_picture

enum { BL_SCENE_PICTURE_WIDTH = 480 }; // pixels at most

// Of a labelled scene and classes of its size: the image is averaged over boxes, label maps take the nearest pixel. Row and id are the
// caller's.
BL_CHECK int bl_scene_picture_make(bl_scene_picture *picture, const bl_scenes *scenes, int64_t index, const uint8_t *predicted);

#endif
