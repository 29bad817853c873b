// scratch.h - memory of one thread that makes views. It grows as needed, and what it holds of an image is never moved by a transform.

#ifndef BL_DATASETS_SCRATCH_H
#define BL_DATASETS_SCRATCH_H

#include <stddef.h>

#include "base/error.h" // BL_CHECK

// Start from {0}.
typedef struct bl_view_scratch {
    float *image, *next;                  // the view in the making, and where a change of size puts it
    float *work[2];                       // of the transform that runs
    size_t image_capacity, work_capacity; // pixels of three floats in each of them
} bl_view_scratch;
void bl_view_scratch_free(bl_view_scratch *scratch);

// Make room for so many pixels: in image and next, and in both of work. What lay in those is lost where they grow; the others stay.
BL_CHECK int bl_view_scratch_reserve_images(bl_view_scratch *scratch, size_t pixels);
BL_CHECK int bl_view_scratch_reserve_work(bl_view_scratch *scratch, size_t pixels);

#endif
