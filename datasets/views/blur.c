// Gaussian blur with a reflected border (the outermost pixel is not repeated), as torchvision's gaussian_blur: weights
// exp(-x^2 / (2 sigma^2)) at whole pixels, divided by their sum. Its square kernel is a product, so two passes do.

#include "datasets/views/transforms.h"

#include <math.h>
#include <string.h>

enum { MOST_TAPS = 255 };

static void weigh(int kernel, double sigma, float *weights) {
    double values[MOST_TAPS], sum = 0;
    for (int i = 0; i < kernel; ++i) {
        double x = (i - kernel / 2) / sigma;
        sum += values[i] = exp(-0.5 * x * x);
    }
    for (int i = 0; i < kernel; ++i) weights[i] = (float)(values[i] / sum);
}

static int reflect(int index, int size) {
    if (index < 0) return -index;
    return index < size ? index : 2 * size - 2 - index;
}

static void blur_rows(const float *src, bl_extent size, const float *weights, int kernel, float *restrict padded, float *dst) {
    const int half = kernel / 2, width = size.width;
    for (int y = 0; y < size.height; ++y) {
        const float *row = src + (size_t)y * width;
        float *restrict out = dst + (size_t)y * width;
        memcpy(padded + half, row, (size_t)width * sizeof *row);
        for (int i = 1; i <= half; ++i) {
            padded[half - i] = row[i];
            padded[half + width - 1 + i] = row[width - 1 - i];
        }
        for (int x = 0; x < width; ++x) out[x] = weights[0] * padded[x];
        for (int i = 1; i < kernel; ++i)
            for (int x = 0; x < width; ++x) out[x] += weights[i] * padded[x + i];
    }
}

static void blur_columns(const float *src, bl_extent size, const float *weights, int kernel, float *dst) {
    const int width = size.width;
    for (int y = 0; y < size.height; ++y) {
        float *restrict out = dst + (size_t)y * width;
        for (int i = 0; i < kernel; ++i) {
            const float *row = src + (size_t)reflect(y + i - kernel / 2, size.height) * width;
            if (i == 0)
                for (int x = 0; x < width; ++x) out[x] = weights[0] * row[x];
            else
                for (int x = 0; x < width; ++x) out[x] += weights[i] * row[x];
        }
    }
}

int bl_gaussian_blur(float *image, bl_extent size, int kernel, double sigma, bl_view_scratch *scratch) {
    if (kernel < 1 || kernel % 2 == 0 || kernel > MOST_TAPS)
        return bl_fail("gaussian blur: kernel %d: write an odd number up to %d", kernel, MOST_TAPS);
    const int least = size.width < size.height ? size.width : size.height;
    if (kernel / 2 >= least)
        return bl_fail("gaussian blur: a kernel of %d reaches past the reflected border of images of %d pixels: write at most %d",
                       kernel, least, 2 * least - 1);
    const size_t area = (size_t)size.width * size.height;
    if (!(sigma > 0)) return bl_fail("gaussian blur: sigma %g is not above 0", sigma);
    if (bl_view_scratch_reserve_work(scratch, area)) return BL_FAILED;
    float weights[MOST_TAPS];
    weigh(kernel, sigma, weights);
    for (int c = 0; c < 3; ++c) {
        float *plane = image + c * area;
        blur_rows(plane, size, weights, kernel, scratch->work[1], scratch->work[0]);
        blur_columns(scratch->work[0], size, weights, kernel, plane);
    }
    return BL_OK;
}
