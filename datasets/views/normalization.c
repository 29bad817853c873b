#include "datasets/views/normalization.h"

#include <stdio.h>

typedef struct range { // of what is right, and on the scale of bytes
    const char *name, *right;
    bool has_zero;
} range;

static bool is_within(const range *r, double value, double most) {
    return (r->has_zero ? value >= 0 : value > 0) && value <= most; // not NaN
}

// Of three numbers, of which at least one is wrong.
static void say(const range *r, const double values[3], double wrong, bl_normalization_fault *fault) {
    bool are_bytes = true;
    for (int c = 0; c < 3; c++) are_bytes = are_bytes && is_within(r, values[c], 255);
    if (!are_bytes) {
        snprintf(fault->what, sizeof fault->what, "a %s of %g, but pixels are values from 0 to 1", r->name, wrong);
        snprintf(fault->advice, sizeof fault->advice, "write %s", r->right);
        return;
    }
    snprintf(fault->what, sizeof fault->what, "a %s of %g is on the scale of pixels from 0 to 255, and these are from 0 to 1", r->name, wrong);
    double scaled[3];
    for (int c = 0; c < 3; c++) scaled[c] = values[c] > 1 ? values[c] / 255 : values[c];
    snprintf(fault->advice, sizeof fault->advice, "write %s: [%.4g, %.4g, %.4g] (%g / 255 = %.4g)%s", r->name, scaled[0], scaled[1], scaled[2],
             wrong, wrong / 255, r->has_zero ? ", and the std likewise where it is on that scale" : "");
}

bool bl_normalization_has_fault(const double mean[3], const double std[3], bl_normalization_fault *fault) {
    static const range means = {"mean", "numbers from 0 to 1", true}, stds = {"std", "numbers above 0, at most 1", false};
    for (int part = 0; part < 2; part++)
        for (int c = 0; c < 3; c++) {
            const double *values = part ? std : mean;
            const range *r = part ? &stds : &means;
            if (is_within(r, values[c], 1)) continue;
            fault->is_of_std = part;
            say(r, values, values[c], fault);
            return true;
        }
    return false;
}
