// images.h - sets of small square images with a label each: what a format of them is, and which there are.

#ifndef BL_DATASETS_IMAGES_H
#define BL_DATASETS_IMAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"  // BL_CHECK
#include "base/memory.h" // bl_text

typedef struct bl_images {
    int size, classes; // pixels a side
    int64_t count;
    uint8_t *pixels;   // count x size x size x 3, HWC
    uint8_t *labels;   // count
    bl_text files;     // that they were read from (datasets/file_list.h); drawn ones have none
    bl_text remarks;   // what is odd about them and no fault, a line each
} bl_images;

typedef struct bl_images_options {
    const char *root; // folder of the files; drawn ones have none
    uint64_t seed;    // of drawn ones
    int train, test;  // images of drawn ones; 0: their default
} bl_images_options;

// Fills both sets whole; the splits are dataset.c's. What they hold is the caller's to free, also where it fails.
typedef int bl_images_load(const bl_images_options *options, bl_images *train, bl_images *test);

// Every set of images: a row here, and a file that defines bl_<name>_load. Images to train and to test on are 0 where they are as many
// as are asked for.
//      name      side  classes  train  test   drawn
#define BL_IMAGE_SETS(ROW)                       \
    ROW(cifar10,  32,   10,      50000, 10000, false) \
    ROW(cifar100, 32,   100,     50000, 10000, false) \
    ROW(shapes,   32,   10,      0,     0,     true)

#define BL_DECLARE_LOAD(name, ...) bl_images_load bl_##name##_load;
BL_IMAGE_SETS(BL_DECLARE_LOAD)
#undef BL_DECLARE_LOAD

#endif
