// resize.h - where bilinear resizing takes from and gives back to along one axis: tables for the backends that are fast.
//
// Meaning: graph/ops/resize.c. Places are exact: s = ((2 d + 1) in - out) / (2 out) is a ratio of integers.

#ifndef BL_BACKENDS_RESIZE_H
#define BL_BACKENDS_RESIZE_H

#include <stdint.h>

typedef struct bl_resize_tap { // of a pixel of the resized image: (1 - part) x[low] + part x[high]
    int32_t low, high;
    float part;
} bl_resize_tap;

typedef struct bl_resize_reach { // of a pixel of the image: those of the resized one that take from it, begin .. end - 1
    int32_t begin, end;
} bl_resize_reach;

void bl_resize_taps(int64_t in, int64_t out, bl_resize_tap *taps);                                    // out of them
void bl_resize_reaches(int64_t in, int64_t out, const bl_resize_tap *taps, bl_resize_reach *reaches); // in of them

// What pixel `place` of the image gives to a pixel of the resized one.
static inline float bl_resize_weight(const bl_resize_tap *tap, int32_t place) {
    return (tap->low == place ? 1 - tap->part : 0) + (tap->high == place ? tap->part : 0);
}

#endif
