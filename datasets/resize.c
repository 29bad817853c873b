// Bilinear resampling of a crop, as torch.nn.functional.interpolate(mode="bilinear", align_corners=False) defines it.
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

// dst[i] = weight * src[i], added to dst[i] where `add`.
static void take_line(float *restrict dst, const float *restrict src, size_t count, float weight, bool add) {
    if (add)
        for (size_t i = 0; i < count; ++i) dst[i] += weight * src[i];
    else
        for (size_t i = 0; i < count; ++i) dst[i] = weight * src[i];
}

// src: `in` lines of `length` floats; dst: `out` lines, each a weighted sum of lines of src.
static void resample_lines(const float *src, int in, size_t length, float *dst, int out, bool antialias) {
    double scale = (double)in / out;
    // With antialias the triangle widens with the shrinking; without, it always spans two lines (and the first and the
    // last one are repeated outwards, which is what dropping the outer line and dividing by the sum gives).
    double stretch = antialias && scale > 1 ? scale : 1;
    for (int o = 0; o < out; ++o) {
        double centre = scale * (o + 0.5);
        int first = (int)fmax(centre - stretch + 0.5, 0);
        int end = (int)fmin(centre + stretch + 0.5, in);
        double sum = 0;
        for (int i = first; i < end; ++i) sum += triangle((i + 0.5 - centre) / stretch);
        bool add = false;
        for (int i = first; i < end; ++i) {
            float weight = (float)(triangle((i + 0.5 - centre) / stretch) / sum);
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

int bl_resized_crop(const float *src, int size, int top, int left, int height, int width, int out, bool antialias, float *dst,
                    bl_view_scratch *scratch) {
    if (bl_view_scratch_reserve(scratch, out > size ? out : size)) return BL_FAILED;
    float *turned = scratch->work[0], *narrowed = scratch->work[1]; // [width, 3, height], [out, 3, height]
    size_t column = 3 * (size_t)height;
    for (int c = 0; c < 3; ++c)
        transpose(src + ((size_t)c * size + top) * size + left, height, width, size, turned + c * height, column);
    resample_lines(turned, width, column, narrowed, out, antialias);
    for (int c = 0; c < 3; ++c) {
        float *plane = turned; // [height, out]
        transpose(narrowed + c * height, out, height, column, plane, out);
        resample_lines(plane, height, out, dst + (size_t)c * out * out, out, antialias);
    }
    return BL_OK;
}
