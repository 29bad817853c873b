// Colour jitter as DeepMind's BYOL code has it (byol/utils/augmentations.py), which follows tf.image: brightness is added, contrast
// is around each channel's mean, saturation scales the S of HSV. Each part ends by clipping to [0, 1]. Hue turns the H of HSV, as
// torchvision's does.

#include "datasets/views/transforms.h"

static float clamp(float value) {
    value = value > 0 ? value : 0;
    return value < 1 ? value : 1;
}

void bl_deepmind_brightness(float *image, size_t pixels, double summand) {
    float add = (float)summand;
    for (size_t i = 0, count = 3 * pixels; i < count; ++i) image[i] = clamp(image[i] + add);
}

// Sixteen partial sums a stretch, so that the order of additions is the same on every instruction set.
static double mean_of(const float *plane, size_t pixels) {
    enum { LANES = 16, STRETCH = 4096 };
    double total = 0;
    for (size_t start = 0; start < pixels; start += STRETCH) {
        size_t end = start + STRETCH < pixels ? start + STRETCH : pixels, i = start;
        float sums[LANES] = {0};
        for (; i + LANES <= end; i += LANES)
            for (int k = 0; k < LANES; ++k) sums[k] += plane[i + k];
        for (; i < end; ++i) sums[0] += plane[i];
        for (int k = 0; k < LANES; ++k) total += sums[k];
    }
    return total / (double)pixels;
}

void bl_deepmind_contrast(float *image, size_t pixels, double factor) {
    for (int c = 0; c < 3; ++c) {
        float *plane = image + c * pixels, mean = (float)mean_of(plane, pixels), by = (float)factor;
        for (size_t i = 0; i < pixels; ++i) plane[i] = clamp((plane[i] - mean) * by + mean);
    }
}

// V is the largest channel, S = (largest - least) / largest. Scaling S by f with V and H kept moves every channel's distance to
// the largest by f, or by as much as makes S 1.
void bl_deepmind_saturation(float *image, size_t pixels, double factor) {
    float *restrict r = image, *restrict g = r + pixels, *restrict b = g + pixels;
    float by = (float)factor;
    for (size_t i = 0; i < pixels; ++i) {
        float red = r[i], green = g[i], blue = b[i];
        float most = red > green ? red : green, least = red < green ? red : green;
        most = most > blue ? most : blue;
        least = least < blue ? least : blue;
        float range = most - least, limit = range > 0 ? most / range : 1;
        float scale = by < limit ? by : limit;
        r[i] = clamp(most - (most - red) * scale);
        g[i] = clamp(most - (most - green) * scale);
        b[i] = clamp(most - (most - blue) * scale);
    }
}
