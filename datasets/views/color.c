// Colour transforms on floats in [0, 1], as torchvision.transforms.v2.functional defines them for float tensors.
//
// Everything here is one pass over three planes without branches, so that it vectorises.

#include "datasets/views/transforms.h"

static float clamp(float value) {
    value = value > 0 ? value : 0;
    return value < 1 ? value : 1;
}

// ITU-R BT.601 weights, rounded as torchvision rounds them.
static float gray(float r, float g, float b) {
    return 0.2989f * r + 0.587f * g + 0.114f * b;
}

void bl_adjust_brightness(float *image, size_t pixels, double factor) {
    float by = (float)factor;
    for (size_t i = 0, count = 3 * pixels; i < count; ++i) image[i] = clamp(image[i] * by);
}

// Sixteen partial sums a stretch, so that the order of additions is the same on every instruction set.
static double gray_mean(const float *image, size_t pixels) {
    enum { LANES = 16, STRETCH = 4096 };
    const float *r = image, *g = r + pixels, *b = g + pixels;
    double total = 0;
    for (size_t start = 0; start < pixels; start += STRETCH) {
        size_t end = start + STRETCH < pixels ? start + STRETCH : pixels, i = start;
        float sums[LANES] = {0};
        for (; i + LANES <= end; i += LANES)
            for (int k = 0; k < LANES; ++k) sums[k] += gray(r[i + k], g[i + k], b[i + k]);
        for (; i < end; ++i) sums[0] += gray(r[i], g[i], b[i]);
        for (int k = 0; k < LANES; ++k) total += sums[k];
    }
    return total / (double)pixels;
}

void bl_adjust_contrast(float *image, size_t pixels, double factor) {
    float by = (float)factor, rest = (float)gray_mean(image, pixels) * (float)(1 - factor);
    for (size_t i = 0, count = 3 * pixels; i < count; ++i) image[i] = clamp(image[i] * by + rest);
}

void bl_adjust_saturation(float *image, size_t pixels, double factor) {
    float *restrict r = image, *restrict g = r + pixels, *restrict b = g + pixels;
    float by = (float)factor, other = (float)(1 - factor);
    for (size_t i = 0; i < pixels; ++i) {
        float rest = gray(r[i], g[i], b[i]) * other;
        r[i] = clamp(r[i] * by + rest);
        g[i] = clamp(g[i] * by + rest);
        b[i] = clamp(b[i] * by + rest);
    }
}

// One channel of HSV to RGB: value - range * clamp(min(k, 4 - k), 0, 1) with k = (n + 6 hue) mod 6 and n = 5, 3, 1 for red,
// green, blue; the same function as torchvision's table of six sectors.
static float channel(float n, float sixths, float value, float range) {
    float k = n + sixths;
    k = k < 6 ? k : k - 6;
    float fall = 4 - k;
    fall = k < fall ? k : fall;
    return clamp(value - range * clamp(fall));
}

void bl_adjust_hue(float *image, size_t pixels, double turns) {
    float *restrict r = image, *restrict g = r + pixels, *restrict b = g + pixels;
    float shift = (float)(6 * turns); // in [-3, 3]
    for (size_t i = 0; i < pixels; ++i) {
        float red = r[i], green = g[i], blue = b[i];
        float most = red > green ? red : green, least = red < green ? red : green;
        most = most > blue ? most : blue;
        least = least < blue ? least : blue;
        float range = most - least, divisor = range > 0 ? range : 1;
        float from_blue = 4 + (red - green) / divisor, from_green = 2 + (blue - red) / divisor, from_red = (green - blue) / divisor;
        float sixths = most == green ? from_green : from_blue;
        sixths = (most == red ? from_red : sixths) + shift; // in [-4, 8]
        sixths = sixths < 0 ? sixths + 6 : sixths;
        sixths = sixths < 6 ? sixths : sixths - 6;
        r[i] = channel(5, sixths, most, range);
        g[i] = channel(3, sixths, most, range);
        b[i] = channel(1, sixths, most, range);
    }
}

void bl_solarize(float *image, size_t pixels, double threshold) {
    float from = (float)threshold;
    for (size_t i = 0, count = 3 * pixels; i < count; ++i) image[i] = image[i] >= from ? 1 - image[i] : image[i];
}

void bl_to_grayscale(float *image, size_t pixels) {
    float *restrict r = image, *restrict g = r + pixels, *restrict b = g + pixels;
    for (size_t i = 0; i < pixels; ++i) r[i] = g[i] = b[i] = gray(r[i], g[i], b[i]);
}

void bl_normalize(float *image, size_t pixels, const double mean[3], const double std[3]) {
    for (int c = 0; c < 3; ++c) {
        float *plane = image + c * pixels, centre = (float)mean[c], width = (float)std[c];
        for (size_t i = 0; i < pixels; ++i) plane[i] = (plane[i] - centre) / width;
    }
}
