// normalization.h - means and standard deviations of colours: pixels are values from 0 to 1, as torchvision's ToTensor makes them.

#ifndef BL_DATASETS_VIEWS_NORMALIZATION_H
#define BL_DATASETS_VIEWS_NORMALIZATION_H

#include <stdbool.h>

typedef struct bl_normalization_fault {
    bool is_of_std;    // else of the mean
    char what[128];    // "a mean of 123.675 is on the scale of pixels from 0 to 255"
    char advice[192];  // "write mean: [0.485, 0.456, 0.406]: 123.675 / 255 = 0.485"
} bl_normalization_fault;

// Whether a mean lies outside 0 to 1, or a std is not above 0 and at most 1 (which leaves the scale as it is): then what is wrong,
// of the first that is.
bool bl_normalization_has_fault(const double mean[3], const double std[3], bl_normalization_fault *fault);

#endif
