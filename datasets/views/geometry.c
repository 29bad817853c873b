// What moves pixels: crops, resampled as torch.nn.functional.interpolate(mode="bilinear" or "bicubic", align_corners=False) defines it,
// and the mirror image.
//
// Both axes are resampled by the same routine, which adds whole lines: the crop is first turned so that its columns are
// lines, then back. Whole lines vectorise; picking two pixels per output pixel does not.

#include "datasets/views/transforms.h"

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

// The crop turned, [width, 3, height]; narrowed, [out.width, 3, height]; and a plane of that turned back, [height, out.width].
static size_t work_pixels(bl_extent box, bl_extent out) {
    const size_t narrowed = (size_t)out.width * box.height, turned = (size_t)box.width * box.height, end = (size_t)out.width * out.height;
    const size_t more = narrowed > turned ? narrowed : turned;
    return end > more ? end : more;
}

int bl_resized_crop(const float *src, bl_extent size, int top, int left, int height, int width, bl_extent out, bool antialias,
                    bl_interpolation interpolation, float *dst, bl_view_scratch *scratch) {
    const filter by = {antialias, interpolation};
    if (bl_view_scratch_reserve_work(scratch, work_pixels((bl_extent){width, height}, out))) return BL_FAILED;
    float *turned = scratch->work[0], *narrowed = scratch->work[1];
    size_t column = 3 * (size_t)height;
    for (int c = 0; c < 3; ++c)
        transpose(src + ((size_t)c * size.height + top) * size.width + left, height, width, size.width, turned + c * height, column);
    resample_lines(turned, width, column, narrowed, out.width, by);
    for (int c = 0; c < 3; ++c) {
        float *plane = turned;
        transpose(narrowed + c * height, out.width, height, column, plane, out.width);
        resample_lines(plane, height, out.width, dst + (size_t)c * out.width * out.height, out.height, by);
    }
    return BL_OK;
}

// torchvision's center_crop: a half pixel goes to the even side.
int bl_center_crop(const float *src, bl_extent size, int out, float *dst) {
    const int most = size.width < size.height ? size.width : size.height;
    if (out > most) return bl_fail("center crop: %d pixels from an image of %d: write at most %d, or a `resize` before it", out, most, most);
    const int top = (int)rint((size.height - out) / 2.0), left = (int)rint((size.width - out) / 2.0);
    for (int c = 0; c < 3; ++c)
        for (int y = 0; y < out; ++y)
            memcpy(dst + ((size_t)c * out + y) * out, src + ((size_t)c * size.height + top + y) * size.width + left, (size_t)out * sizeof *dst);
    return BL_OK;
}

void bl_flip_horizontal(float *image, bl_extent size) {
    for (int y = 0; y < 3 * size.height; ++y) {
        float *row = image + (size_t)y * size.width;
        for (int x = 0; x < size.width / 2; ++x) {
            float left = row[x];
            row[x] = row[size.width - 1 - x];
            row[size.width - 1 - x] = left;
        }
    }
}
