// transforms.h - the deterministic transforms, with their parameters given. Definitions follow torchvision.transforms.v2 on float
// tensors; each transform names its rule in its file (geometry.c, color.c, jitter.c, blur.c).
//
// Images are three planes, [3, height, width] or [3, pixels] floats, changed in place but for the crops, whose `dst` is
// [3, out.height, out.width]. An image may lie in the scratch's `image` or `next`: a transform takes the scratch's `work` alone.

#ifndef BL_DATASETS_TRANSFORMS_H
#define BL_DATASETS_TRANSFORMS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h" // BL_CHECK
#include "datasets/views/scratch.h"

typedef struct bl_extent { // pixels
    int width, height;
} bl_extent;
static inline bl_extent bl_square(int size) { return (bl_extent){size, size}; }

// Bicubic: a = -0.5 with antialias (Pillow), -0.75 without (torch). It overshoots, and torchvision leaves float tensors so: a view
// may hold values below 0 and above 1 until a colour transform clips them.
typedef enum bl_interpolation { BL_BILINEAR, BL_BICUBIC } bl_interpolation;

// ---- geometry ----
BL_CHECK int bl_resized_crop(const float *src, bl_extent size, int top, int left, int height, int width, bl_extent out, bool antialias,
                             bl_interpolation interpolation, float *dst, bl_view_scratch *scratch);
BL_CHECK int bl_center_crop(const float *src, bl_extent size, int out, float *dst); // dst: [3, out, out]
void bl_flip_horizontal(float *image, bl_extent size);

// ---- colours ----
void bl_adjust_brightness(float *image, size_t pixels, double factor);
void bl_adjust_contrast(float *image, size_t pixels, double factor);
void bl_adjust_saturation(float *image, size_t pixels, double factor);
void bl_adjust_hue(float *image, size_t pixels, double turns);
void bl_deepmind_brightness(float *image, size_t pixels, double summand);
void bl_deepmind_contrast(float *image, size_t pixels, double factor);
void bl_deepmind_saturation(float *image, size_t pixels, double factor); // its hue is bl_adjust_hue
void bl_to_grayscale(float *image, size_t pixels);
void bl_solarize(float *image, size_t pixels, double threshold);
void bl_normalize(float *image, size_t pixels, const double mean[3], const double std[3]);

BL_CHECK int bl_gaussian_blur(float *image, bl_extent size, int kernel, double sigma, bl_view_scratch *scratch);

#endif
