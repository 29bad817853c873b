// picture.h - what a view is made from: an image as it is, or a decoded scene or a square of it.

#ifndef BL_DATASETS_PICTURE_H
#define BL_DATASETS_PICTURE_H

#include "datasets/scenes/scene.h"

// Start from {0}; the next picture of the same data set reuses its memory.
typedef struct bl_picture {
    const uint8_t *pixels;  // height x width x 3; the data set's own memory, or this picture's
    int width, height;
    bl_scene scene;         // behind a scene
    uint8_t *square;        // cut out of it
} bl_picture;
void bl_picture_free(bl_picture *picture);

#endif
