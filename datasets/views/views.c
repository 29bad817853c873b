#include "datasets/views/views.h"

#include <math.h>
#include <stdio.h>

#include "base/random.h"

// ---- draws ----

static bl_random transform_stream(const bl_recipe *recipe, int index, uint64_t seed, uint32_t sample, uint32_t epoch, uint32_t view) {
    static const char *const names[] = {
        [BL_RANDOM_RESIZED_CROP] = "random_resized_crop", [BL_FLIP] = "flip",
        [BL_COLOR_JITTER] = "color_jitter", [BL_GRAYSCALE] = "grayscale",
        [BL_GAUSSIAN_BLUR] = "gaussian_blur", [BL_SOLARIZE] = "solarize",
        [BL_CENTER_CROP] = "center_crop", [BL_NORMALIZE] = "normalize",
    };
    const char *name = names[recipe->items[index].kind];
    int occurrence = 1;
    for (int i = 0; i < index; ++i) occurrence += recipe->items[i].kind == recipe->items[index].kind;
    char numbered[40];
    if (occurrence > 1) {
        snprintf(numbered, sizeof numbered, "%s %d", name, occurrence);
        name = numbered;
    }
    return bl_random_stream(seed, name, sample, epoch, view);
}

// torchvision's RandomResizedCrop: ten tries of an area and a ratio (uniform in its logarithm), sides rounded to whole
// pixels (halves to even), then the largest centred box whose ratio is allowed.
static void draw_crop(const bl_transform *transform, bl_extent size, bl_random *random, bl_draw *draw) {
    double area = (double)size.width * size.height, low = log(transform->ratio[0]), high = log(transform->ratio[1]);
    for (int i = 0; i < 10; ++i) {
        double share = area * bl_random_between(random, transform->scale[0], transform->scale[1]);
        double ratio = exp(bl_random_between(random, low, high));
        double width = rint(sqrt(share * ratio)), height = rint(sqrt(share / ratio));
        if (width < 1 || height < 1 || width > size.width || height > size.height) continue;
        draw->width = (int)width;
        draw->height = (int)height;
        draw->top = (int)bl_random_below(random, (uint32_t)(size.height - draw->height + 1));
        draw->left = (int)bl_random_below(random, (uint32_t)(size.width - draw->width + 1));
        return;
    }
    const double ratio = (double)size.width / size.height;
    draw->width = size.width;
    draw->height = size.height;
    if (ratio < transform->ratio[0]) draw->height = (int)rint(size.width / transform->ratio[0]);
    if (ratio > transform->ratio[1]) draw->width = (int)rint(size.height * transform->ratio[1]);
    draw->top = (size.height - draw->height) / 2;
    draw->left = (size.width - draw->width) / 2;
}

static double draw_factor(bl_random *random, double spread) {
    return bl_random_between(random, spread < 1 ? 1 - spread : 0, 1 + spread);
}

static void draw_jitter(const bl_transform *transform, bl_random *random, bl_draw *draw) {
    bl_random_permutation(random, draw->order, 4);
    if (transform->rule == BL_JITTER_DEEPMIND)
        draw->brightness = bl_random_between(random, -transform->brightness, transform->brightness);
    else
        draw->brightness = draw_factor(random, transform->brightness);
    draw->contrast = draw_factor(random, transform->contrast);
    draw->saturation = draw_factor(random, transform->saturation);
    draw->hue = bl_random_between(random, -transform->hue, transform->hue);
}

bl_draw bl_transform_draw(const bl_recipe *recipe, int index, bl_extent size, uint64_t seed, uint32_t sample, uint32_t epoch,
                          uint32_t view) {
    const bl_transform *transform = &recipe->items[index];
    bl_draw draw = {.apply = true};
    if (transform->kind == BL_NORMALIZE || transform->kind == BL_CENTER_CROP) return draw;
    bl_random random = transform_stream(recipe, index, seed, sample, epoch, view);
    if (transform->kind == BL_RANDOM_RESIZED_CROP) {
        draw_crop(transform, size, &random, &draw);
        return draw;
    }
    draw.apply = bl_random_uniform(&random) < transform->p;
    if (transform->kind == BL_COLOR_JITTER) draw_jitter(transform, &random, &draw);
    if (transform->kind == BL_GAUSSIAN_BLUR) draw.sigma = bl_random_between(&random, transform->sigma[0], transform->sigma[1]);
    return draw;
}

// ---- application ----

typedef void (*adjustment)(float *image, size_t pixels, double parameter);

// A part whose range is 0 is left out, as torchvision does: even a neutral factor would clamp and round.
static void jitter(const bl_transform *transform, const bl_draw *draw, float *image, size_t pixels) {
    static const adjustment parts[][4] = {
        [BL_JITTER_TORCHVISION] = {bl_adjust_brightness, bl_adjust_contrast, bl_adjust_saturation, bl_adjust_hue},
        [BL_JITTER_DEEPMIND] = {bl_deepmind_brightness, bl_deepmind_contrast, bl_deepmind_saturation, bl_adjust_hue},
    };
    const double ranges[] = {transform->brightness, transform->contrast, transform->saturation, transform->hue};
    const double drawn[] = {draw->brightness, draw->contrast, draw->saturation, draw->hue};
    for (int i = 0; i < 4; ++i) {
        uint32_t part = draw->order[i];
        if (ranges[part] > 0) parts[transform->rule][part](image, pixels, drawn[part]);
    }
}

// What a transform of another size has put into scratch->next becomes the image.
static void swap_images(bl_view_scratch *scratch) {
    float *image = scratch->image;
    scratch->image = scratch->next;
    scratch->next = image;
}

// torchvision's Resize: the shorter side gets `side` pixels, the longer one as many as keep the ratio, rounded down.
static bl_extent resized(bl_extent size, int side) {
    const int64_t shorter = size.width < size.height ? size.width : size.height;
    return (bl_extent){(int)(side * (int64_t)size.width / shorter), (int)(side * (int64_t)size.height / shorter)};
}

static int resize_and_crop(const bl_transform *transform, bl_extent *size, bl_view_scratch *scratch) {
    if (transform->resize) {
        const bl_extent out = resized(*size, transform->resize);
        if (bl_resized_crop(scratch->image, *size, 0, 0, size->height, size->width, out, true, transform->interpolation, scratch->next,
                            scratch))
            return BL_FAILED;
        swap_images(scratch);
        *size = out;
    }
    if (bl_center_crop(scratch->image, *size, transform->size, scratch->next)) return BL_FAILED;
    swap_images(scratch);
    *size = bl_square(transform->size);
    return BL_OK;
}

static bool is_colour(bl_transform_kind kind) {
    return kind == BL_COLOR_JITTER || kind == BL_GRAYSCALE || kind == BL_SOLARIZE || kind == BL_NORMALIZE;
}

static void apply_colour(const bl_transform *transform, const bl_draw *draw, float *image, size_t pixels) {
    if (transform->kind == BL_COLOR_JITTER) jitter(transform, draw, image, pixels);
    if (transform->kind == BL_GRAYSCALE) bl_to_grayscale(image, pixels);
    if (transform->kind == BL_SOLARIZE) bl_solarize(image, pixels, transform->threshold);
    if (transform->kind == BL_NORMALIZE) bl_normalize(image, pixels, transform->mean, transform->std);
}

bool bl_recipe_is_colours(const bl_recipe *recipe) {
    for (int i = 0; i < recipe->count; ++i)
        if (!is_colour(recipe->items[i].kind)) return false;
    return true;
}

void bl_colours_apply(const bl_recipe *recipe, uint64_t seed, uint32_t sample, uint32_t epoch, uint32_t view, float *image,
                      size_t pixels) {
    for (int i = 0; i < recipe->count; ++i) {
        bl_draw draw = bl_transform_draw(recipe, i, bl_square(0), seed, sample, epoch, view);
        if (draw.apply) apply_colour(&recipe->items[i], &draw, image, pixels);
    }
}

// Changes scratch->image, and *size with it.
static int apply(const bl_transform *transform, const bl_draw *draw, bl_extent *size, bl_view_scratch *scratch) {
    float *image = scratch->image;
    switch (transform->kind) {
    case BL_RANDOM_RESIZED_CROP:
        if (bl_resized_crop(image, *size, draw->top, draw->left, draw->height, draw->width, bl_square(transform->size),
                            transform->antialias, transform->interpolation, scratch->next, scratch))
            return BL_FAILED;
        swap_images(scratch);
        *size = bl_square(transform->size);
        break;
    case BL_FLIP: bl_flip_horizontal(image, *size); break;
    case BL_GAUSSIAN_BLUR: return bl_gaussian_blur(image, *size, transform->kernel, draw->sigma, scratch);
    case BL_CENTER_CROP: return resize_and_crop(transform, size, scratch);
    default: apply_colour(transform, draw, image, (size_t)size->width * size->height);
    }
    return BL_OK;
}

static bool is_crop(const bl_transform *transform) {
    return transform->kind == BL_RANDOM_RESIZED_CROP || transform->kind == BL_CENTER_CROP;
}

int bl_recipe_size(const bl_recipe *recipe, int size) {
    for (int i = 0; i < recipe->count; ++i)
        if (is_crop(&recipe->items[i])) size = recipe->items[i].size;
    return size;
}

// Pixels of the largest image on the way, from one of `size`.
static size_t most_pixels(const bl_recipe *recipe, bl_extent size) {
    size_t most = (size_t)size.width * size.height;
    for (int i = 0; i < recipe->count; ++i) {
        const bl_transform *transform = &recipe->items[i];
        if (!is_crop(transform)) continue;
        if (transform->kind == BL_CENTER_CROP && transform->resize) {
            const bl_extent out = resized(size, transform->resize);
            const size_t pixels = (size_t)out.width * out.height;
            most = pixels > most ? pixels : most;
        }
        size = bl_square(transform->size);
        const size_t pixels = (size_t)size.width * size.height;
        most = pixels > most ? pixels : most;
    }
    return most;
}

// The planes of a box of the image, in [0, 1].
static void take_box(const uint8_t *image, int width, const bl_draw *box, float *planes) {
    const size_t area = (size_t)box->width * box->height;
    for (int y = 0; y < box->height; ++y) {
        const uint8_t *row = image + 3 * ((size_t)(box->top + y) * width + box->left);
        for (int c = 0; c < 3; ++c) {
            float *plane = planes + c * area + (size_t)y * box->width;
            for (int x = 0; x < box->width; ++x) plane[x] = (float)row[3 * x + c] / 255.0f;
        }
    }
}

int bl_view_make(const bl_recipe *recipe, uint64_t seed, uint32_t sample, uint32_t epoch, uint32_t view, const uint8_t *image,
                 bl_extent size, float *dst, bl_view_scratch *scratch) {
    if (size.width != size.height && !bl_recipe_size(recipe, 0))
        return bl_fail("views: %d x %d pixels, and nothing makes them square: write random_resized_crop or center_crop", size.width, size.height);
    // Of an image that is cropped first, the crop alone is looked at.
    bl_draw box = {.width = size.width, .height = size.height};
    const bool is_cut = recipe->count && recipe->items[0].kind == BL_RANDOM_RESIZED_CROP;
    if (is_cut) box = bl_transform_draw(recipe, 0, size, seed, sample, epoch, view);
    const int width = size.width;
    size = (bl_extent){box.width, box.height};
    if (bl_view_scratch_reserve_images(scratch, most_pixels(recipe, size))) return BL_FAILED;
    take_box(image, width, &box, scratch->image);
    box.top = box.left = 0;
    for (int i = 0; i < recipe->count; ++i) {
        bl_draw draw = is_cut && !i ? box : bl_transform_draw(recipe, i, size, seed, sample, epoch, view);
        if (draw.apply && apply(&recipe->items[i], &draw, &size, scratch)) return BL_FAILED;
    }
    const size_t area = (size_t)size.width * size.height;
    for (size_t i = 0; i < area; ++i)
        for (int c = 0; c < 3; ++c) dst[3 * i + c] = scratch->image[c * area + i];
    return BL_OK;
}
