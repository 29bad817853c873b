// scene_views.h - augmentation of a scene: one crop of the image and of its label map, moved alike.
//
// In this order: both sides are scaled by one factor, a crop of fixed size is cut (to the right of and below an image that is smaller
// the crop is padding), it is mirrored or not, colours are changed. The image is resampled bilinearly, the label map takes the nearest
// pixel, both by pixel centres; padding is BL_SCENE_IGNORED in labels. What the crop leaves out is never computed.
//
// Draws are functions of (seed, sample, epoch) as in views.h, each from a stream of its own: "scene_scale" (the factor), "scene_crop"
// (top, left; where there is room), "flip" (applied?), and those of the colours as view 0.

#ifndef BL_DATASETS_SCENE_VIEWS_H
#define BL_DATASETS_SCENE_VIEWS_H

#include "datasets/scenes/scene.h"
#include "datasets/views/views.h"

// Whole images are the recipe with their size, scale 1 to 1 and no flip: then nothing is left to chance.
typedef struct bl_scene_recipe {
    int width, height;  // of the crop
    double scale[2];    // the factor, uniform
    bool antialias;     // of an image that shrinks
    double flip;        // probability
    bl_recipe colours;  // of the image alone: jitter, grayscale, solarize, normalize
    float padding[3];   // what the image's padding holds in the end: the mean, which is 0 where the colours end by normalize
} bl_scene_recipe;

BL_CHECK int bl_scene_recipe_check(const bl_scene_recipe *recipe);

// What chance decides about one view of a scene of width x height.
typedef struct bl_scene_draw {
    int width, height; // of the whole scaled image
    int left, top;     // of the crop in it
    bool flip;
} bl_scene_draw;
bl_scene_draw bl_scene_view_draw(const bl_scene_recipe *recipe, uint64_t seed, uint32_t sample, uint32_t epoch, int width, int height);

// Scratch of one thread; grows as needed. Start from {0}.
typedef struct bl_scene_scratch {
    float *memory;
    size_t capacity; // floats
} bl_scene_scratch;
void bl_scene_scratch_free(bl_scene_scratch *scratch);

// image: [height, width, 3] of the recipe; labels: [height, width], classes or BL_SCENE_IGNORED as floats; NULL: not wanted.
BL_CHECK int bl_scene_view_make(const bl_scene_recipe *recipe, uint64_t seed, uint32_t sample, uint32_t epoch, const bl_scene *scene,
                                float *image, float *labels, bl_scene_scratch *scratch);

#endif
