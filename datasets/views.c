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
        [BL_GAUSSIAN_BLUR] = "gaussian_blur", [BL_NORMALIZE] = "normalize",
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
    draw->brightness = draw_factor(random, transform->brightness);
    draw->contrast = draw_factor(random, transform->contrast);
    draw->saturation = draw_factor(random, transform->saturation);
    draw->hue = bl_random_between(random, -transform->hue, transform->hue);
}

bl_draw bl_transform_draw(const bl_recipe *recipe, int index, int size, uint64_t seed, uint32_t sample, uint32_t epoch,
                          uint32_t view) {
    const bl_transform *transform = &recipe->items[index];
    bl_draw draw = {.apply = true};
    if (transform->kind == BL_NORMALIZE) return draw;
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

// A part whose range is 0 is left out, as torchvision does: even a neutral factor would clamp and round.
static void jitter(const bl_transform *transform, const bl_draw *draw, float *image, int size) {
    for (int i = 0; i < 4; ++i) {
        if (draw->order[i] == 0 && transform->brightness > 0) bl_adjust_brightness(image, size, draw->brightness);
        if (draw->order[i] == 1 && transform->contrast > 0) bl_adjust_contrast(image, size, draw->contrast);
        if (draw->order[i] == 2 && transform->saturation > 0) bl_adjust_saturation(image, size, draw->saturation);
        if (draw->order[i] == 3 && transform->hue > 0) bl_adjust_hue(image, size, draw->hue);
    }
}

// Changes scratch->image, and *size with it.
static int apply(const bl_transform *transform, const bl_draw *draw, int *size, bl_view_scratch *scratch) {
    float *image = scratch->image;
    switch (transform->kind) {
    case BL_RANDOM_RESIZED_CROP:
        if (bl_resized_crop(image, *size, draw->top, draw->left, draw->height, draw->width, transform->size, transform->antialias,
                            scratch->next, scratch))
            return BL_FAILED;
        scratch->image = scratch->next;
        scratch->next = image;
        *size = transform->size;
        break;
    case BL_FLIP: bl_flip_horizontal(image, *size); break;
    case BL_COLOR_JITTER: jitter(transform, draw, image, *size); break;
    case BL_GRAYSCALE: bl_to_grayscale(image, *size); break;
    case BL_GAUSSIAN_BLUR: return bl_gaussian_blur(image, *size, transform->kernel, draw->sigma, scratch);
    case BL_NORMALIZE: bl_normalize(image, *size, transform->mean, transform->std); break;
    }
    return BL_OK;
}

int bl_recipe_size(const bl_recipe *recipe, int size) {
    for (int i = 0; i < recipe->count; ++i)
        if (recipe->items[i].kind == BL_RANDOM_RESIZED_CROP) size = recipe->items[i].size;
    return size;
}

int bl_view_make(const bl_recipe *recipe, uint64_t seed, uint32_t sample, uint32_t epoch, uint32_t view, const uint8_t *image,
                 int size, float *dst, bl_view_scratch *scratch) {
    int largest = size;
    for (int i = 0; i < recipe->count; ++i)
        if (recipe->items[i].kind == BL_RANDOM_RESIZED_CROP && recipe->items[i].size > largest) largest = recipe->items[i].size;
    if (bl_view_scratch_reserve(scratch, largest)) return BL_FAILED;

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
