// Resampling of a crop, as torch.nn.functional.interpolate(mode="bilinear" or "bicubic", align_corners=False) defines it.
//
// Both axes are resampled by the same routine, which adds whole lines: the crop is first turned so that its columns are
// lines, then back. Whole lines vectorise; picking two pixels per output pixel does not.

#include "datasets/views.h"

#include <math.h>
#include <string.h>

static double triangle(double x) {
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

// Keys 1981. Pillow's filter and torch's antialiased one have a = -0.5, torch's other one -0.75.
static double cubic(double x, double a) {
    x = fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? a * (((x - 5) * x + 8) * x - 4) : 0;
}

static double weigh(double x, bool is_cubic) { return is_cubic ? cubic(x, -0.5) : triangle(x); }

// dst[i] = weight * src[i], added to dst[i] where `add`.
static void take_line(float *restrict dst, const float *restrict src, size_t count, float weight, bool add) {
    if (add)
        for (size_t i = 0; i < count; ++i) dst[i] += weight * src[i];
    else
        for (size_t i = 0; i < count; ++i) dst[i] = weight * src[i];
}

typedef struct filter {
    bool antialias;
    bl_interpolation interpolation;
} filter;

// Four lines around each place; beyond the ends the first and the last line stand in.
static void resample_cubic(const float *src, int in, size_t length, float *dst, int out) {
    double scale = (double)in / out;
    for (int o = 0; o < out; ++o) {
        double place = scale * (o + 0.5) - 0.5, whole = floor(place);
        for (int k = -1; k <= 2; ++k) {
            int i = (int)whole + k;
            i = i < 0 ? 0 : i < in ? i : in - 1;
            take_line(dst + (size_t)o * length, src + (size_t)i * length, length, (float)cubic(whole + k - place, -0.75), k > -1);
        }
    }
}

// src: `in` lines of `length` floats; dst: `out` lines, each a weighted sum of lines of src.
static void resample_lines(const float *src, int in, size_t length, float *dst, int out, filter by) {
    bool is_cubic = by.interpolation == BL_BICUBIC;
    if (is_cubic && !by.antialias) {
        resample_cubic(src, in, length, dst, out);
        return;
    }
    double scale = (double)in / out;
    // With antialias the filter widens with the shrinking. Without, the triangle always spans two lines (and the first and the
    // last one are repeated outwards, which is what dropping the outer line and dividing by the sum gives).
    double stretch = by.antialias && scale > 1 ? scale : 1, reach = is_cubic ? 2 * stretch : stretch;
    for (int o = 0; o < out; ++o) {
        double centre = scale * (o + 0.5);
        int first = (int)fmax(centre - reach + 0.5, 0);
        int end = (int)fmin(centre + reach + 0.5, in);
        double sum = 0;
        for (int i = first; i < end; ++i) sum += weigh((i + 0.5 - centre) / stretch, is_cubic);
        bool add = false;
        for (int i = first; i < end; ++i) {
            float weight = (float)(weigh((i + 0.5 - centre) / stretch, is_cubic) / sum);
            if (weight == 0) continue;
            take_line(dst + (size_t)o * length, src + (size_t)i * length, length, weight, add);
            add = true;
        }
    }
}

// src: `rows` x `columns` with `stride` floats a row; dst: its transpose, with `dst_stride` floats a row.
static void transpose(const float *restrict src, int rows, int columns, size_t stride, float *restrict dst, size_t dst_stride) {
    for (int x = 0; x < columns; ++x)
        for (int y = 0; y < rows; ++y) dst[x * dst_stride + y] = src[y * stride + x];
}

int bl_resized_crop(const float *src, int size, int top, int left, int height, int width, int out, bool antialias,
                    bl_interpolation interpolation, float *dst, bl_view_scratch *scratch) {
    const filter by = {antialias, interpolation};
    if (bl_view_scratch_reserve(scratch, out > size ? out : size)) return BL_FAILED;
    float *turned = scratch->work[0], *narrowed = scratch->work[1]; // [width, 3, height], [out, 3, height]
    size_t column = 3 * (size_t)height;
    for (int c = 0; c < 3; ++c)
        transpose(src + ((size_t)c * size + top) * size + left, height, width, size, turned + c * height, column);
    resample_lines(turned, width, column, narrowed, out, by);
    for (int c = 0; c < 3; ++c) {
        float *plane = turned; // [height, out]
        transpose(narrowed + c * height, out, height, column, plane, out);
        resample_lines(plane, height, out, dst + (size_t)c * out * out, out, by);
    }
    return BL_OK;
}

// torchvision's center_crop: a half pixel goes to the even side.
int bl_center_crop(const float *src, int size, int out, float *dst) {
    if (out > size) return bl_fail("center crop: %d pixels from an image of %d: write at most %d, or a `resize` before it", out, size, size);
    int start = (int)rint((size - out) / 2.0);
    for (int c = 0; c < 3; ++c)
        for (int y = 0; y < out; ++y)
            memcpy(dst + ((size_t)c * out + y) * out, src + ((size_t)c * size + start + y) * size + start, (size_t)out * sizeof *dst);
    return BL_OK;
}
