#include "datasets/scenes/scene_views.h"

#include <math.h>
#include <string.h>

#include "base/random.h"

int bl_scene_recipe_check(const bl_scene_recipe *recipe) {
    if (recipe->width < 1 || recipe->height < 1 || recipe->width > BL_PNG_SIDE || recipe->height > BL_PNG_SIDE)
        return bl_fail("crop: %d x %d pixels: write between 1 and %d a side", recipe->width, recipe->height, BL_PNG_SIDE);
    if (!(recipe->scale[0] >= 0.05 && recipe->scale[0] <= recipe->scale[1] && recipe->scale[1] <= 20))
        return bl_fail("scale: [%g, %g]: write two factors between 0.05 and 20, the smaller one first", recipe->scale[0], recipe->scale[1]);
    if (!(recipe->flip >= 0 && recipe->flip <= 1)) return bl_fail("flip: %g is no probability", recipe->flip);
    if (!bl_recipe_is_colours(&recipe->colours))
        return bl_fail("colours: only color_jitter, grayscale, solarize and normalize leave every pixel where its label is");
    return BL_OK;
}

static int scaled(int side, double factor) {
    double length = rint(side * factor);
    return length < 1 ? 1 : (int)length;
}

bl_scene_draw bl_scene_view_draw(const bl_scene_recipe *recipe, uint64_t seed, uint32_t sample, uint32_t epoch, int width, int height) {
    bl_random scale = bl_random_stream(seed, "scene_scale", sample, epoch, 0);
    bl_random crop = bl_random_stream(seed, "scene_crop", sample, epoch, 0);
    bl_random flip = bl_random_stream(seed, "flip", sample, epoch, 0);
    double factor = bl_random_between(&scale, recipe->scale[0], recipe->scale[1]);
    bl_scene_draw draw = {.width = scaled(width, factor), .height = scaled(height, factor)};
    if (draw.height > recipe->height) draw.top = (int)bl_random_below(&crop, (uint32_t)(draw.height - recipe->height + 1));
    if (draw.width > recipe->width) draw.left = (int)bl_random_below(&crop, (uint32_t)(draw.width - recipe->width + 1));
    draw.flip = bl_random_uniform(&flip) < recipe->flip;
    return draw;
}

// ---- resampling ----

// Along one side: output pixel o is the sum of weights[o * most + k] times source pixel first[o] + k. Weights that have no pixel are 0.
typedef struct taps {
    int *first;
    float *weights;
    int most;       // taps a pixel
    int begin, end; // source pixels that are read by any
} taps;

static double reach_of(int in, int out, bool antialias) { return antialias && in > out ? (double)in / out : 1; }
static int taps_at_most(int in, int out, bool antialias) { return 2 * (int)ceil(reach_of(in, out, antialias)) + 1; }

// The triangle filter of torch.nn.functional.interpolate (bilinear, align_corners=False), for output pixels from .. from + count - 1
// of a side of `in` pixels that becomes `out`.
static void make_taps(int in, int out, bool antialias, int from, int count, taps *along) {
    double scale = (double)in / out, reach = reach_of(in, out, antialias);
    along->most = taps_at_most(in, out, antialias);
    along->begin = in;
    along->end = 0;
    for (int o = 0; o < count; ++o) {
        double centre = scale * (from + o + 0.5), sum = 0;
        int first = (int)fmax(centre - reach + 0.5, 0), end = (int)fmin(centre + reach + 0.5, in);
        float *weights = along->weights + (size_t)o * along->most;
        for (int i = first; i < end; ++i) sum += fmax(1 - fabs((i + 0.5 - centre) / reach), 0);
        for (int k = 0; k < along->most; ++k)
            weights[k] = first + k < end ? (float)(fmax(1 - fabs((first + k + 0.5 - centre) / reach), 0) / sum) : 0;
        along->first[o] = first;
        if (first < along->begin) along->begin = first;
        if (end > along->end) along->end = end;
    }
}

static void add_line(float *restrict line, const uint8_t *restrict pixels, size_t count, float weight, bool add) {
    if (add)
        for (size_t i = 0; i < count; ++i) line[i] += weight * pixels[i];
    else
        for (size_t i = 0; i < count; ++i) line[i] = weight * pixels[i];
}

// One output row, from the weighted sum of source rows: three planes of `count` values in [0, 1].
static void resample_row(const taps *across, int count, const float *line, float *red, float *green, float *blue) {
    for (int o = 0; o < count; ++o) {
        const float *pixel = line + 3 * (size_t)(across->first[o] - across->begin), *weights = across->weights + (size_t)o * across->most;
        float r = 0, g = 0, b = 0;
        for (int k = 0; k < across->most && (!k || weights[k] != 0); ++k) {
            r += weights[k] * pixel[3 * k];
            g += weights[k] * pixel[3 * k + 1];
            b += weights[k] * pixel[3 * k + 2];
        }
        red[o] = r / 255;
        green[o] = g / 255;
        blue[o] = b / 255;
    }
}

static void resample(const bl_scene *scene, const taps *down, const taps *across, int width, int height, float *line, float *planes) {
    size_t area = (size_t)width * height, floats = 3 * (size_t)(across->end - across->begin);
    for (int o = 0; o < height; ++o) {
        const float *weights = down->weights + (size_t)o * down->most;
        bool add = false;
        for (int k = 0; k < down->most; ++k) {
            if (weights[k] == 0) continue;
            const uint8_t *row = scene->pixels + 3 * ((size_t)(down->first[o] + k) * scene->width + across->begin);
            add_line(line, row, floats, weights[k], add);
            add = true;
        }
        float *red = planes + (size_t)o * width;
        resample_row(across, width, line, red, red + area, red + 2 * area);
    }
}

// ---- one view ----

static int reserve(bl_scene_scratch *scratch, size_t floats) {
    if (floats <= scratch->capacity) return BL_OK;
    bl_scene_scratch_free(scratch);
    if (!(scratch->memory = bl_alloc(floats * sizeof *scratch->memory))) return BL_FAILED;
    scratch->capacity = floats;
    return BL_OK;
}

void bl_scene_scratch_free(bl_scene_scratch *scratch) {
    bl_free(scratch->memory);
    *scratch = (bl_scene_scratch){0};
}

// The part of the crop that is image, placed in it; the rest is padding.
static void place_image(const bl_scene_recipe *recipe, const float *planes, int width, int height, bool flip, float *image) {
    size_t area = (size_t)width * height;
    for (int y = 0; y < recipe->height; ++y) {
        float *row = image + 3 * (size_t)y * recipe->width;
        const float *from = planes + (size_t)y * width;
        for (int x = 0; x < recipe->width; ++x) {
            float *pixel = row + 3 * (flip ? recipe->width - 1 - x : x);
            bool inside = y < height && x < width;
            for (int c = 0; c < 3; ++c) pixel[c] = inside ? from[c * area + x] : recipe->padding[c];
        }
    }
}

static void place_labels(const bl_scene_recipe *recipe, const bl_scene *scene, const bl_scene_draw *draw, int width, int height,
                         int *columns, float *labels) {
    for (int x = 0; x < width; ++x) columns[x] = (int)((draw->left + x + 0.5) * scene->width / draw->width);
    for (int y = 0; y < recipe->height; ++y) {
        float *row = labels + (size_t)y * recipe->width;
        const uint8_t *from = scene->labels;
        if (y < height) from += (size_t)((draw->top + y + 0.5) * scene->height / draw->height) * scene->width;
        for (int x = 0; x < recipe->width; ++x)
            row[draw->flip ? recipe->width - 1 - x : x] = y < height && x < width ? from[columns[x]] : BL_SCENE_IGNORED;
    }
}

int bl_scene_view_make(const bl_scene_recipe *recipe, uint64_t seed, uint32_t sample, uint32_t epoch, const bl_scene *scene, float *image,
                       float *labels, bl_scene_scratch *scratch) {
    if (labels && !scene->labels) return bl_fail("scene %u: labels are wanted of a set that was opened without", sample);
    bl_scene_draw draw = bl_scene_view_draw(recipe, seed, sample, epoch, scene->width, scene->height);
    int width = draw.width < recipe->width ? draw.width : recipe->width;
    int height = draw.height < recipe->height ? draw.height : recipe->height;
    size_t area = (size_t)width * height, line = 3 * (size_t)scene->width;
    size_t down_most = (size_t)taps_at_most(scene->height, draw.height, recipe->antialias);
    size_t across_most = (size_t)taps_at_most(scene->width, draw.width, recipe->antialias);
    if (reserve(scratch, 3 * area + line + (down_most + 1) * (size_t)height + (across_most + 1) * (size_t)width)) return BL_FAILED;

    float *planes = scratch->memory, *sums = planes + 3 * area;
    taps down = {.weights = sums + line}, across = {.weights = down.weights + down_most * (size_t)height};
    down.first = (int *)(across.weights + across_most * (size_t)width);
    across.first = down.first + height;
    make_taps(scene->height, draw.height, recipe->antialias, draw.top, height, &down);
    make_taps(scene->width, draw.width, recipe->antialias, draw.left, width, &across);
    resample(scene, &down, &across, width, height, sums, planes);
    bl_colours_apply(&recipe->colours, seed, sample, epoch, 0, planes, area);
    place_image(recipe, planes, width, height, draw.flip, image);
    if (labels) place_labels(recipe, scene, &draw, width, height, across.first, labels);
    return BL_OK;
}
