#include "datasets/views.h"

#include <math.h>
#include <stdio.h>

#include "base/memory.h"
#include "base/random.h"

// ---- scratch ----

int bl_view_scratch_reserve(bl_view_scratch *scratch, int size) {
    size_t floats = 3 * (size_t)size * size;
    if (floats <= scratch->capacity) return BL_OK;
    bl_view_scratch_free(scratch);
    float *all = bl_alloc(4 * floats * sizeof *all);
    if (!all) return BL_FAILED;
    *scratch = (bl_view_scratch){all, all + floats, {all + 2 * floats, all + 3 * floats}, all, floats};
    return BL_OK;
}

void bl_view_scratch_free(bl_view_scratch *scratch) {
    bl_free(scratch->memory);
    *scratch = (bl_view_scratch){0};
}

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
static void draw_crop(const bl_transform *transform, int size, bl_random *random, bl_draw *draw) {
    double area = (double)size * size, low = log(transform->ratio[0]), high = log(transform->ratio[1]);
    for (int i = 0; i < 10; ++i) {
        double share = area * bl_random_between(random, transform->scale[0], transform->scale[1]);
        double ratio = exp(bl_random_between(random, low, high));
        double width = rint(sqrt(share * ratio)), height = rint(sqrt(share / ratio));
        if (width < 1 || height < 1 || width > size || height > size) continue;
        draw->width = (int)width;
        draw->height = (int)height;
        draw->top = (int)bl_random_below(random, (uint32_t)(size - draw->height + 1));
        draw->left = (int)bl_random_below(random, (uint32_t)(size - draw->width + 1));
        return;
    }
    draw->width = draw->height = size; // the image is square: ratio 1
    if (1 < transform->ratio[0]) draw->height = (int)rint(size / transform->ratio[0]);
    if (1 > transform->ratio[1]) draw->width = (int)rint(size * transform->ratio[1]);
    draw->top = (size - draw->height) / 2;
    draw->left = (size - draw->width) / 2;
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

bl_draw bl_transform_draw(const bl_recipe *recipe, int index, int size, uint64_t seed, uint32_t sample, uint32_t epoch,
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

void bl_flip_horizontal(float *image, int size) {
    for (int y = 0; y < 3 * size; ++y) {
        float *row = image + (size_t)y * size;
        for (int x = 0; x < size / 2; ++x) {
            float left = row[x];
            row[x] = row[size - 1 - x];
            row[size - 1 - x] = left;
        }
    }
}

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

static int resize_and_crop(const bl_transform *transform, int *size, bl_view_scratch *scratch) {
    if (transform->resize) {
        if (bl_resized_crop(scratch->image, *size, 0, 0, *size, *size, transform->resize, true, transform->interpolation, scratch->next,
                            scratch))
            return BL_FAILED;
        swap_images(scratch);
        *size = transform->resize;
    }
    if (bl_center_crop(scratch->image, *size, transform->size, scratch->next)) return BL_FAILED;
    swap_images(scratch);
    *size = transform->size;
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
        bl_draw draw = bl_transform_draw(recipe, i, 0, seed, sample, epoch, view);
        if (draw.apply) apply_colour(&recipe->items[i], &draw, image, pixels);
    }
}

// Changes scratch->image, and *size with it.
static int apply(const bl_transform *transform, const bl_draw *draw, int *size, bl_view_scratch *scratch) {
    float *image = scratch->image;
    switch (transform->kind) {
    case BL_RANDOM_RESIZED_CROP:
        if (bl_resized_crop(image, *size, draw->top, draw->left, draw->height, draw->width, transform->size, transform->antialias,
                            transform->interpolation, scratch->next, scratch))
            return BL_FAILED;
        swap_images(scratch);
        *size = transform->size;
        break;
    case BL_FLIP: bl_flip_horizontal(image, *size); break;
    case BL_GAUSSIAN_BLUR: return bl_gaussian_blur(image, *size, transform->kernel, draw->sigma, scratch);
    case BL_CENTER_CROP: return resize_and_crop(transform, size, scratch);
    default: apply_colour(transform, draw, image, (size_t)*size * *size);
    }
    return BL_OK;
}

int bl_recipe_size(const bl_recipe *recipe, int size) {
    for (int i = 0; i < recipe->count; ++i)
        if (recipe->items[i].kind == BL_RANDOM_RESIZED_CROP || recipe->items[i].kind == BL_CENTER_CROP) size = recipe->items[i].size;
    return size;
}

// Side of the largest image on the way from `size`.
static int largest_size(const bl_recipe *recipe, int size) {
    int largest = size;
    for (int i = 0; i < recipe->count; ++i) {
        const bl_transform *transform = &recipe->items[i];
        bool is_crop = transform->kind == BL_RANDOM_RESIZED_CROP || transform->kind == BL_CENTER_CROP;
        if (is_crop && transform->size > largest) largest = transform->size;
        if (transform->kind == BL_CENTER_CROP && transform->resize > largest) largest = transform->resize;
    }
    return largest;
}

int bl_view_make(const bl_recipe *recipe, uint64_t seed, uint32_t sample, uint32_t epoch, uint32_t view, const uint8_t *image,
                 int size, float *dst, bl_view_scratch *scratch) {
    if (bl_view_scratch_reserve(scratch, largest_size(recipe, size))) return BL_FAILED;

    size_t area = (size_t)size * size;
    for (int c = 0; c < 3; ++c)
        for (size_t i = 0; i < area; ++i) scratch->image[c * area + i] = (float)image[3 * i + c] / 255.0f;
    for (int i = 0; i < recipe->count; ++i) {
        bl_draw draw = bl_transform_draw(recipe, i, size, seed, sample, epoch, view);
        if (draw.apply && apply(&recipe->items[i], &draw, &size, scratch)) return BL_FAILED;
    }
    area = (size_t)size * size;
    for (size_t i = 0; i < area; ++i)
        for (int c = 0; c < 3; ++c) dst[3 * i + c] = scratch->image[c * area + i];
    return BL_OK;
}
