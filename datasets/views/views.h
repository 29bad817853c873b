// views.h - augmentation: from one 8-bit image to one view, float, NHWC, normalised.
//
// Views are square; images need not be where a crop makes them so.
//
// A recipe is a list of transforms in the order in which they run, on floats in [0, 1] (torchvision's ToTensor first). Every
// transform draws from a stream of its own, f(seed, transform name, sample, epoch, view): removing one changes no other draw.
// What each transform does is said in transforms.h.
//
// Draws of a transform, in order (a second transform of the same kind draws from "flip 2", a third from "flip 3", ...):
//   random_resized_crop  up to ten times: area, log ratio; once they fit: top, left
//   flip, grayscale, solarize   applied?
//   color_jitter         applied?, order, brightness, contrast, saturation, hue (all four, also those whose range is 0)
//   gaussian_blur        applied?, sigma
//   center_crop, normalize      none

#ifndef BL_DATASETS_VIEWS_H
#define BL_DATASETS_VIEWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "datasets/views/transforms.h" // bl_extent, bl_interpolation, bl_view_scratch

typedef enum bl_transform_kind {
    BL_RANDOM_RESIZED_CROP, // area and log-uniform ratio, 10 tries, then the centre; bilinear, antialias as stated
    BL_FLIP,                // horizontal
    BL_COLOR_JITTER,        // brightness, contrast, saturation, hue in random order
    BL_GRAYSCALE,           // to three equal channels, .2989 .587 .114
    BL_GAUSSIAN_BLUR,       // kernel x kernel, sigma uniform, reflected border
    BL_SOLARIZE,            // values at or above the threshold are inverted: x -> 1 - x
    BL_CENTER_CROP,         // resize the shorter side to `resize` (0: not), antialiased, then the middle `size`: evaluation at another size
    BL_NORMALIZE,           // (x - mean) / std a channel
    BL_TRANSFORMS
} bl_transform_kind;

// torchvision: brightness and contrast by factors, contrast around the mean gray. deepmind: brightness additive, uniform in
// [-v, v]; contrast around each channel's mean; saturation and hue in HSV; values clipped to [0, 1] after each part (the BYOL
// code's jitter, which follows TensorFlow's).
typedef enum bl_jitter_rule { BL_JITTER_TORCHVISION, BL_JITTER_DEEPMIND } bl_jitter_rule;

typedef struct bl_transform {
    bl_transform_kind kind;
    double p;                // probability of being applied (random_resized_crop and normalize: 1)
    // random_resized_crop
    int size;                // pixels a side of the output
    double scale[2];         // share of the area
    double ratio[2];         // width / height
    bool antialias;
    bl_interpolation interpolation;
    int resize;              // center_crop
    double threshold;        // solarize
    // color_jitter: factors uniform in [max(0, 1 - v), 1 + v]; hue in [-v, v] turns
    double brightness, contrast, saturation, hue;
    bl_jitter_rule rule;
    // gaussian_blur
    int kernel;              // odd
    double sigma[2];
    // normalize
    double mean[3], std[3];
} bl_transform;

#define BL_MAX_TRANSFORMS 12
typedef struct bl_recipe {
    bl_transform items[BL_MAX_TRANSFORMS];
    int count;
} bl_recipe;

// Side of the recipe's output for square inputs of `size`; 0: for any others. It is 0 where no crop makes these square.
int bl_recipe_size(const bl_recipe *recipe, int size);

// image: height x width x 3 bytes. dst: out x out x 3 floats, HWC, out = bl_recipe_size. `view` 0 or 1; sample is the index in its split.
BL_CHECK int bl_view_make(const bl_recipe *recipe, uint64_t seed, uint32_t sample, uint32_t epoch, uint32_t view, const uint8_t *image,
                          bl_extent size, float *dst, bl_view_scratch *scratch);

// What chance decides about one transform of one view. Only the fields of its kind are set.
typedef struct bl_draw {
    bool apply;
    int top, left, height, width;                   // random_resized_crop
    uint32_t order[4];                              // color_jitter: 0 brightness, 1 contrast, 2 saturation, 3 hue
    double brightness, contrast, saturation, hue;   // factors; hue in turns; deepmind: brightness as a summand
    double sigma;                                   // gaussian_blur
} bl_draw;
bl_draw bl_transform_draw(const bl_recipe *recipe, int index, bl_extent size, uint64_t seed, uint32_t sample, uint32_t epoch, uint32_t view);

// Transforms that move nothing: jitter, grayscale, solarize, normalize. They see pixels, whatever rectangle these make: `image` is
// [3, pixels] floats, changed in place.
bool bl_recipe_is_colours(const bl_recipe *recipe); // whether a recipe has no others
void bl_colours_apply(const bl_recipe *recipe, uint64_t seed, uint32_t sample, uint32_t epoch, uint32_t view, float *image,
                      size_t pixels);

#endif
