#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/random.h"
#include "datasets/dataset.h"
#include "datasets/views/views.h"

// The blog's recipe on 32 pixels: what speed and distributions are stated for.
static bl_recipe blog_recipe(void) {
    return (bl_recipe){
        .items =
            {
                {.kind = BL_RANDOM_RESIZED_CROP, .p = 1, .size = 32, .scale = {0.08, 1}, .ratio = {0.75, 4.0 / 3}, .antialias = true},
                {.kind = BL_FLIP, .p = 0.5},
                {.kind = BL_COLOR_JITTER, .p = 0.8, .brightness = 0.8, .contrast = 0.8, .saturation = 0.8, .hue = 0.2},
                {.kind = BL_GAUSSIAN_BLUR, .p = 0.5, .kernel = 3, .sigma = {0.1, 2}},
                {.kind = BL_GRAYSCALE, .p = 0.2},
                {.kind = BL_NORMALIZE, .p = 1, .mean = {0.485, 0.456, 0.406}, .std = {0.229, 0.224, 0.225}},
            },
        .count = 6,
    };
}

static void remove_item(bl_recipe *recipe, int index) {
    --recipe->count;
    memmove(&recipe->items[index], &recipe->items[index + 1], (size_t)(recipe->count - index) * sizeof *recipe->items);
}

// ---- fixed parameters, against torchvision ----

#define GOLDEN "views.h5"
static const double TOLERANCE = 1e-5;

static float *golden_image(int *size) {
    int64_t count;
    double *values = bl_test_golden(GOLDEN, "image", &count);
    float *image = malloc((size_t)count * sizeof *image);
    for (int64_t i = 0; i < count; ++i) image[i] = (float)values[i];
    free(values);
    *size = (int)lrint(sqrt((double)count / 3));
    return image;
}

static void assert_near(const char *what, const float *ours, const double *theirs, int64_t count) {
    double worst = 0;
    for (int64_t i = 0; i < count; ++i) worst = fmax(worst, fabs(ours[i] - theirs[i]));
    if (!(worst <= TOLERANCE)) fail_msg("%s: largest difference %g", what, worst);
}

typedef void (*adjustment)(float *image, size_t pixels, double parameter);

static void assert_adjustment(const char *name, adjustment adjust) {
    int size;
    int64_t parameters, values;
    char path[64];
    float *src = golden_image(&size);
    size_t count = 3 * (size_t)size * size;
    float *image = malloc(count * sizeof *image);
    snprintf(path, sizeof path, "%s/parameters", name);
    double *parameter = bl_test_golden(GOLDEN, path, &parameters);
    snprintf(path, sizeof path, "%s/out", name);
    double *out = bl_test_golden(GOLDEN, path, &values);
    assert_int_equal(values, parameters * (int64_t)count);
    for (int64_t i = 0; i < parameters; ++i) {
        memcpy(image, src, count * sizeof *image);
        adjust(image, count / 3, parameter[i]);
        snprintf(path, sizeof path, "%s by %g", name, parameter[i]);
        assert_near(path, image, out + i * (int64_t)count, (int64_t)count);
    }
    free(src), free(image), free(parameter), free(out);
}

static void brightness_is_torchvisions(void **state) { (void)state, assert_adjustment("brightness", bl_adjust_brightness); }
static void contrast_is_torchvisions(void **state) { (void)state, assert_adjustment("contrast", bl_adjust_contrast); }
static void saturation_is_torchvisions(void **state) { (void)state, assert_adjustment("saturation", bl_adjust_saturation); }
static void hue_is_torchvisions(void **state) { (void)state, assert_adjustment("hue", bl_adjust_hue); }

static void solarize_is_torchvisions(void **state) { (void)state, assert_adjustment("solarize", bl_solarize); }

static void assert_crops(const char *group, bl_interpolation interpolation) {
    int size;
    int64_t count;
    char path[64];
    bl_view_scratch scratch = {0};
    float *src = golden_image(&size);
    snprintf(path, sizeof path, "%s/parameters", group);
    double *parameters = bl_test_golden(GOLDEN, path, &count);
    for (int64_t i = 0; i < count / 6; ++i) {
        const double *box = parameters + 6 * i;
        int out = (int)box[4];
        int64_t values;
        snprintf(path, sizeof path, "%s/%d", group, (int)i);
        double *theirs = bl_test_golden(GOLDEN, path, &values);
        assert_int_equal(values, 3 * out * out);
        float *dst = malloc((size_t)values * sizeof *dst);
        assert_ok(bl_resized_crop(src, bl_square(size), (int)box[0], (int)box[1], (int)box[2], (int)box[3], bl_square(out), box[5] != 0,
                                  interpolation, dst, &scratch));
        assert_near(path, dst, theirs, values);
        free(theirs), free(dst);
    }
    free(src), free(parameters);
    bl_view_scratch_free(&scratch);
}

static void resized_crop_is_torchvisions_with_and_without_antialias(void **state) { (void)state, assert_crops("crop", BL_BILINEAR); }
static void bicubic_crop_is_torchvisions_with_and_without_antialias(void **state) { (void)state, assert_crops("cubic", BL_BICUBIC); }

static void center_crop_is_torchvisions_with_and_without_resize(void **state) {
    (void)state;
    int size;
    int64_t count;
    float *src = golden_image(&size), whole[3 * 32 * 32], dst[3 * 32 * 32];
    bl_view_scratch scratch = {0};
    double *parameters = bl_test_golden(GOLDEN, "center/parameters", &count);
    for (int64_t i = 0; i < count / 3; ++i) {
        int resize = (int)parameters[3 * i], out = (int)parameters[3 * i + 1];
        char path[64];
        int64_t values;
        snprintf(path, sizeof path, "center/%d", (int)i);
        double *theirs = bl_test_golden(GOLDEN, path, &values);
        assert_int_equal(values, 3 * out * out);
        if (resize)
            assert_ok(bl_resized_crop(src, bl_square(size), 0, 0, size, size, bl_square(resize), true, parameters[3 * i + 2] != 0, whole,
                                      &scratch));
        assert_ok(bl_center_crop(resize ? whole : src, bl_square(resize ? resize : size), out, dst));
        assert_near(path, dst, theirs, values);
        free(theirs);
    }
    assert_int_equal(bl_center_crop(src, bl_square(size), 21, dst), BL_FAILED);
    assert_string_equal(bl_error(), "center crop: 21 pixels from an image of 20: write at most 20, or a `resize` before it");
    free(src), free(parameters);
    bl_view_scratch_free(&scratch);
}

static void gaussian_blur_is_torchvisions(void **state) {
    (void)state;
    int size;
    int64_t count, values;
    bl_view_scratch scratch = {0};
    float *src = golden_image(&size);
    int64_t floats = 3 * (int64_t)size * size;
    float *image = malloc((size_t)floats * sizeof *image);
    double *parameters = bl_test_golden(GOLDEN, "blur/parameters", &count), *theirs = bl_test_golden(GOLDEN, "blur/out", &values);
    assert_int_equal(values, count / 2 * floats);
    for (int64_t i = 0; i < count / 2; ++i) {
        char name[64];
        snprintf(name, sizeof name, "blur, kernel %g, sigma %g", parameters[2 * i], parameters[2 * i + 1]);
        memcpy(image, src, (size_t)floats * sizeof *image);
        assert_ok(bl_gaussian_blur(image, bl_square(size), (int)parameters[2 * i], parameters[2 * i + 1], &scratch));
        assert_near(name, image, theirs + i * floats, floats);
    }
    free(src), free(image), free(parameters), free(theirs);
    bl_view_scratch_free(&scratch);
}

static void grayscale_flip_and_normalize_are_torchvisions(void **state) {
    (void)state;
    static const char *const names[] = {"grayscale", "flip", "normalize"};
    for (int i = 0; i < 3; ++i) {
        int size;
        int64_t values;
        float *image = golden_image(&size);
        double *theirs = bl_test_golden(GOLDEN, names[i], &values);
        if (i == 0) bl_to_grayscale(image, (size_t)size * size);
        if (i == 1) bl_flip_horizontal(image, bl_square(size));
        if (i == 2) bl_normalize(image, (size_t)size * size, (double[]){0.485, 0.456, 0.406}, (double[]){0.229, 0.224, 0.225});
        assert_near(names[i], image, theirs, values);
        free(image), free(theirs);
    }
}

// ---- DeepMind's jitter, worked by hand ----

// Two pixels a side, so twelve values: four of red, four of green, four of blue.
static void assert_pixels(const char *what, const float *ours, const double *worked) {
    for (int i = 0; i < 12; ++i)
        if (!(fabs(ours[i] - worked[i]) < 1e-6)) fail_msg("%s: value %d is %.9g, worked by hand %g", what, i, ours[i], worked[i]);
}

static void deepmind_parts_are_what_they_are_by_hand(void **state) {
    (void)state;
    static const float src[12] = {0, 0.2f, 0.4f, 1, 0.5f, 0.5f, 0.5f, 0.5f, 1, 0.6f, 0.4f, 0};
    static const struct {
        const char *name;
        adjustment adjust;
        double parameter, worked[12];
    } cases[] = {
        {"brightness + 0.3", bl_deepmind_brightness, 0.3, {0.3, 0.5, 0.7, 1, 0.8, 0.8, 0.8, 0.8, 1, 0.9, 0.7, 0.3}},
        {"brightness - 0.3", bl_deepmind_brightness, -0.3, {0, 0, 0.1, 0.7, 0.2, 0.2, 0.2, 0.2, 0.7, 0.3, 0.1, 0}},
        // Channel means 0.4, 0.5, 0.5: a channel of one value does not move, whatever the others hold.
        {"contrast x 0.5", bl_deepmind_contrast, 0.5, {0.2, 0.3, 0.4, 0.7, 0.5, 0.5, 0.5, 0.5, 0.75, 0.55, 0.45, 0.25}},
        {"contrast x 1.5", bl_deepmind_contrast, 1.5, {0, 0.1, 0.4, 1, 0.5, 0.5, 0.5, 0.5, 1, 0.65, 0.35, 0}},
        // Pixels (0, .5, 1), (.2, .5, .6), (.4, .5, .4), (1, .5, 0): V 1, .6, .5, 1 and S 1, 2/3, 1/5, 1.
        {"saturation x 0.5", bl_deepmind_saturation, 0.5, {0.5, 0.4, 0.45, 1, 0.75, 0.55, 0.5, 0.75, 1, 0.6, 0.45, 0.5}},
        // S becomes 1 (held there), 1, 2/5, 1.
        {"saturation x 2", bl_deepmind_saturation, 2, {0, 0, 0.3, 1, 0.5, 0.45, 0.5, 0.5, 1, 0.6, 0.3, 0}},
        {"hue + 1/3", bl_adjust_hue, 1.0 / 3, {1, 0.6, 0.4, 0, 0, 0.2, 0.4, 1, 0.5, 0.5, 0.5, 0.5}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        float image[12];
        memcpy(image, src, sizeof image);
        cases[i].adjust(image, 4, cases[i].parameter);
        assert_pixels(cases[i].name, image, cases[i].worked);
    }
}

// Brightness first clips what contrast then sees: the order of the draw decides, and each part clips.
static void deepmind_jitter_clips_between_its_parts(void **state) {
    (void)state;
    const bl_recipe recipe = {.items = {{.kind = BL_COLOR_JITTER, .p = 1, .brightness = 0.8, .contrast = 0.8, .rule = BL_JITTER_DEEPMIND}},
                              .count = 1};
    static const uint8_t image[12] = {0, 255, 51, 102, 204, 51, 255, 0, 51, 51, 102, 51};
    bl_view_scratch scratch = {0};
    int contrast_first = 0;
    for (uint32_t sample = 0; sample < 64; ++sample) {
        bl_draw draw = bl_transform_draw(&recipe, 0, bl_square(2), 1, sample, 0, 0);
        bool first = false, seen = false;
        for (int i = 0; i < 4; ++i) {
            if (draw.order[i] == 1 && !seen) first = true;
            if (draw.order[i] == 0) seen = true;
        }
        contrast_first += first;
        float view[12];
        assert_ok(bl_view_make(&recipe, 1, sample, 0, 0, image, bl_square(2), view, &scratch));
        for (int c = 0; c < 3; ++c) {
            double x[4];
            for (int i = 0; i < 4; ++i) x[i] = image[3 * i + c] / 255.0;
            for (int part = 0; part < 2; ++part) {
                double mean = (x[0] + x[1] + x[2] + x[3]) / 4;
                for (int i = 0; i < 4; ++i) {
                    x[i] = (part == 0) == first ? (x[i] - mean) * draw.contrast + mean : x[i] + draw.brightness;
                    x[i] = fmin(fmax(x[i], 0), 1);
                }
            }
            for (int i = 0; i < 4; ++i) assert_true(fabs(view[3 * i + c] - x[i]) < 1e-6);
        }
    }
    assert_in_range(contrast_first, 16, 48);
    bl_view_scratch_free(&scratch);
}

static void blur_that_reaches_past_the_reflected_border_is_refused(void **state) {
    (void)state;
    float image[3 * 4 * 4] = {0};
    bl_view_scratch scratch = {0};
    assert_ok(bl_gaussian_blur(image, bl_square(4), 7, 1, &scratch));
    assert_int_equal(bl_gaussian_blur(image, bl_square(4), 9, 1, &scratch), BL_FAILED);
    assert_string_equal(bl_error(),
                        "gaussian blur: a kernel of 9 reaches past the reflected border of images of 4 pixels: write at most 7");
    assert_int_equal(bl_gaussian_blur(image, bl_square(4), 2, 1, &scratch), BL_FAILED);
    assert_non_null(strstr(bl_error(), "write an odd number"));
    bl_view_scratch_free(&scratch);
}

// ---- what chance decides ----

enum { DRAWS = 20000 };

// `mean` of DRAWS independent draws with this standard deviation lies within five standard errors of `expected`.
static void assert_mean(const char *what, double sum, double expected, double deviation) {
    double mean = sum / DRAWS, bound = 5 * deviation / sqrt(DRAWS);
    if (fabs(mean - expected) > bound) fail_msg("%s: mean %g is further than %g from %g", what, mean, bound, expected);
}

static void crop_has_uniform_area_log_uniform_ratio_and_uniform_position(void **state) {
    (void)state;
    // Every box of these shares and ratios fits, and 2000 pixels make rounding small.
    enum { SIZE = 2000 };
    bl_recipe recipe = {.items = {{.kind = BL_RANDOM_RESIZED_CROP, .scale = {0.2, 0.5}, .ratio = {3.0 / 4, 4.0 / 3}}}, .count = 1};
    double area = 0, log_ratio = 0, log_ratio_squared = 0, top = 0, left = 0, widest = log(4.0 / 3), rounding = 2e-3;
    for (uint32_t i = 0; i < DRAWS; ++i) {
        bl_draw draw = bl_transform_draw(&recipe, 0, bl_square(SIZE), 3, i, 0, 0);
        double share = (double)draw.width * draw.height / SIZE / SIZE, ratio = log((double)draw.width / draw.height);
        assert_true(draw.top >= 0 && draw.left >= 0 && draw.top + draw.height <= SIZE && draw.left + draw.width <= SIZE);
        assert_true(share > 0.2 - rounding && share < 0.5 + rounding && fabs(ratio) < widest + rounding);
        area += share;
        log_ratio += ratio;
        log_ratio_squared += ratio * ratio;
        top += (double)draw.top / (SIZE - draw.height);
        left += (double)draw.left / (SIZE - draw.width);
    }
    assert_mean("area", area, 0.35, 0.3 / sqrt(12));
    assert_mean("log ratio", log_ratio, 0, widest / sqrt(3));
    assert_mean("log ratio squared", log_ratio_squared, widest * widest / 3, widest * widest * sqrt(4.0 / 45));
    assert_mean("top", top, 0.5, 1 / sqrt(12));
    assert_mean("left", left, 0.5, 1 / sqrt(12));
}

static void crop_that_never_fits_takes_the_largest_centred_box_of_an_allowed_ratio(void **state) {
    (void)state;
    static const struct {
        double ratio[2];
        int top, left, height, width;
    } cases[] = {{{0.5, 2}, 0, 0, 32, 32}, {{2, 4}, 8, 0, 16, 32}, {{0.25, 0.5}, 0, 8, 32, 16}};
    for (int i = 0; i < 3; ++i) {
        bl_recipe recipe = {.items = {{.kind = BL_RANDOM_RESIZED_CROP, .scale = {2, 3}}}, .count = 1};
        memcpy(recipe.items[0].ratio, cases[i].ratio, sizeof cases[i].ratio);
        if (i > 0) recipe.items[0].scale[0] = recipe.items[0].scale[1] = 9;
        bl_draw draw = bl_transform_draw(&recipe, 0, bl_square(32), 0, 0, 0, 0);
        if (i == 0) assert_true(draw.width <= 32 && draw.height <= 32);
        assert_int_equal(draw.top, cases[i].top);
        assert_int_equal(draw.left, cases[i].left);
        assert_int_equal(draw.height, cases[i].height);
        assert_int_equal(draw.width, cases[i].width);
    }
}

static void jitter_draws_every_order_equally_often_and_factors_in_their_ranges(void **state) {
    (void)state;
    bl_recipe recipe = {
        .items = {{.kind = BL_COLOR_JITTER, .p = 0.8, .brightness = 0.8, .contrast = 0.4, .saturation = 1.5, .hue = 0.2}}, .count = 1};
    double brightness = 0, contrast = 0, saturation = 0, hue = 0, applied = 0;
    int orders[256] = {0}, seen = 0;
    for (uint32_t i = 0; i < DRAWS; ++i) {
        bl_draw draw = bl_transform_draw(&recipe, 0, bl_square(32), 3, i, 0, 0);
        applied += draw.apply;
        ++orders[draw.order[0] | draw.order[1] << 2 | draw.order[2] << 4 | draw.order[3] << 6];
        assert_true(draw.brightness >= 0.2 && draw.brightness < 1.8);
        assert_true(draw.contrast >= 0.6 && draw.contrast < 1.4);
        assert_true(draw.saturation >= 0 && draw.saturation < 2.5); // 1 - 1.5 is cut at 0
        assert_true(draw.hue >= -0.2 && draw.hue < 0.2);
        brightness += draw.brightness;
        contrast += draw.contrast;
        saturation += draw.saturation;
        hue += draw.hue;
    }
    assert_mean("applied", applied, 0.8, 0.4);
    assert_mean("brightness", brightness, 1, 1.6 / sqrt(12));
    assert_mean("contrast", contrast, 1, 0.8 / sqrt(12));
    assert_mean("saturation", saturation, 1.25, 2.5 / sqrt(12));
    assert_mean("hue", hue, 0, 0.4 / sqrt(12));
    for (int i = 0; i < 256; ++i) {
        if (!orders[i]) continue;
        ++seen;
        assert_mean("an order", orders[i], 1.0 / 24, sqrt(23.0) / 24);
    }
    assert_int_equal(seen, 24);
}

static void deepmind_jitter_adds_brightness_and_draws_the_rest_as_torchvisions(void **state) {
    (void)state;
    bl_transform jitter = {.kind = BL_COLOR_JITTER, .p = 0.8, .brightness = 0.4, .contrast = 0.4, .saturation = 0.2, .hue = 0.1};
    bl_recipe factors = {.items = {jitter}, .count = 1}, summand = factors;
    summand.items[0].rule = BL_JITTER_DEEPMIND;
    double sum = 0;
    for (uint32_t i = 0; i < DRAWS; ++i) {
        bl_draw a = bl_transform_draw(&factors, 0, bl_square(32), 3, i, 0, 0), b = bl_transform_draw(&summand, 0, bl_square(32), 3, i, 0, 0);
        assert_true(b.brightness >= -0.4 && b.brightness < 0.4);
        sum += b.brightness;
        a.brightness = b.brightness;
        assert_memory_equal(&a, &b, sizeof a);
    }
    assert_mean("brightness", sum, 0, 0.8 / sqrt(12));
}

static void transforms_are_applied_with_their_probability(void **state) {
    (void)state;
    static const bl_transform_kind kinds[] = {BL_FLIP, BL_GRAYSCALE, BL_GAUSSIAN_BLUR, BL_SOLARIZE};
    static const double chances[] = {0, 0.2, 0.5, 1};
    for (int k = 0; k < 4; ++k) {
        for (int c = 0; c < 4; ++c) {
            bl_recipe recipe = {.items = {{.kind = kinds[k], .p = chances[c], .kernel = 3, .sigma = {0.1, 2}}}, .count = 1};
            double applied = 0, sigma = 0;
            for (uint32_t i = 0; i < DRAWS; ++i) {
                bl_draw draw = bl_transform_draw(&recipe, 0, bl_square(32), 3, i, 0, 0);
                applied += draw.apply;
                sigma += draw.sigma;
                if (kinds[k] == BL_GAUSSIAN_BLUR) assert_true(draw.sigma >= 0.1 && draw.sigma < 2);
            }
            assert_mean("applied", applied, chances[c], sqrt(chances[c] * (1 - chances[c])));
            if (kinds[k] == BL_GAUSSIAN_BLUR) assert_mean("sigma", sigma, 1.05, 1.9 / sqrt(12));
        }
    }
}

static void removing_any_transform_changes_no_other_draw(void **state) {
    (void)state;
    bl_recipe whole = blog_recipe();
    for (int removed = 0; removed < whole.count; ++removed) {
        bl_recipe rest = whole;
        remove_item(&rest, removed);
        for (int i = 0; i < rest.count; ++i) {
            for (uint32_t sample = 0; sample < 50; ++sample) {
                bl_draw a = bl_transform_draw(&whole, i < removed ? i : i + 1, bl_square(32), 1, sample, 2, 1);
                bl_draw b = bl_transform_draw(&rest, i, bl_square(32), 1, sample, 2, 1);
                assert_memory_equal(&a, &b, sizeof a);
            }
        }
    }
}

static void draws_differ_by_seed_sample_epoch_view_and_repetition(void **state) {
    (void)state;
    bl_transform blur = {.kind = BL_GAUSSIAN_BLUR, .p = 0.5, .kernel = 3, .sigma = {0.1, 2}};
    bl_recipe recipe = {.items = {blur, blur}, .count = 2};
    double first = bl_transform_draw(&recipe, 0, bl_square(32), 1, 2, 3, 0).sigma;
    assert_true(first == bl_transform_draw(&recipe, 0, bl_square(32), 1, 2, 3, 0).sigma);
    assert_true(first != bl_transform_draw(&recipe, 0, bl_square(32), 2, 2, 3, 0).sigma);
    assert_true(first != bl_transform_draw(&recipe, 0, bl_square(32), 1, 3, 3, 0).sigma);
    assert_true(first != bl_transform_draw(&recipe, 0, bl_square(32), 1, 2, 4, 0).sigma);
    assert_true(first != bl_transform_draw(&recipe, 0, bl_square(32), 1, 2, 3, 1).sigma);
    assert_true(first != bl_transform_draw(&recipe, 1, bl_square(32), 1, 2, 3, 0).sigma);
}

// ---- whole views ----

static void recipe_without_transforms_gives_the_bytes_divided_by_255(void **state) {
    (void)state;
    enum { SIZE = 6, COUNT = 3 * SIZE * SIZE };
    uint8_t image[COUNT];
    float view[COUNT];
    for (int i = 0; i < COUNT; ++i) image[i] = (uint8_t)(i * 7);
    bl_view_scratch scratch = {0};
    assert_ok(bl_view_make(&(bl_recipe){0}, 0, 0, 0, 0, image, bl_square(SIZE), view, &scratch));
    for (int i = 0; i < COUNT; ++i) assert_true(view[i] == (float)image[i] / 255.0f);
    bl_view_scratch_free(&scratch);
}

// The same view from the public pieces: the draws and the transforms of fixed parameters, one after the other.
static void view_is_its_draws_applied_in_the_recipes_order(void **state) {
    (void)state;
    enum { SIZE = 24, OUT = 32, COUNT = 3 * OUT * OUT };
    uint8_t image[3 * SIZE * SIZE];
    for (int i = 0; i < 3 * SIZE * SIZE; ++i) image[i] = (uint8_t)(i * i * 31 >> 3);
    bl_recipe recipe = blog_recipe();
    bl_view_scratch scratch = {0};
    for (uint32_t sample = 0; sample < 40; ++sample) {
        static float view[COUNT], planes[COUNT], src[3 * SIZE * SIZE];
        bl_draw draws[6];
        for (int i = 0; i < 6; ++i) draws[i] = bl_transform_draw(&recipe, i, bl_square(i ? OUT : SIZE), 9, sample, 1, 0);
        for (int i = 0; i < SIZE * SIZE; ++i)
            for (int c = 0; c < 3; ++c) src[c * SIZE * SIZE + i] = (float)image[3 * i + c] / 255.0f;
        const bl_draw *crop = &draws[0];
        assert_ok(bl_resized_crop(src, bl_square(SIZE), crop->top, crop->left, crop->height, crop->width, bl_square(OUT), true, BL_BILINEAR,
                                  planes, &scratch));
        if (draws[1].apply) bl_flip_horizontal(planes, bl_square(OUT));
        for (int i = 0; draws[2].apply && i < 4; ++i) {
            if (draws[2].order[i] == 0) bl_adjust_brightness(planes, OUT * OUT, draws[2].brightness);
            if (draws[2].order[i] == 1) bl_adjust_contrast(planes, OUT * OUT, draws[2].contrast);
            if (draws[2].order[i] == 2) bl_adjust_saturation(planes, OUT * OUT, draws[2].saturation);
            if (draws[2].order[i] == 3) bl_adjust_hue(planes, OUT * OUT, draws[2].hue);
        }
        if (draws[3].apply) assert_ok(bl_gaussian_blur(planes, bl_square(OUT), 3, draws[3].sigma, &scratch));
        if (draws[4].apply) bl_to_grayscale(planes, OUT * OUT);
        bl_normalize(planes, OUT * OUT, recipe.items[5].mean, recipe.items[5].std);

        assert_int_equal(bl_recipe_size(&recipe, SIZE), OUT);
        assert_ok(bl_view_make(&recipe, 9, sample, 1, 0, image, bl_square(SIZE), view, &scratch));
        for (int i = 0; i < OUT * OUT; ++i)
            for (int c = 0; c < 3; ++c) assert_true(view[3 * i + c] == planes[c * OUT * OUT + i]);
    }
    bl_view_scratch_free(&scratch);
}

static void solarize_follows_its_own_stream_and_changes_nothing_before_it(void **state) {
    (void)state;
    enum { SIZE = 8, COUNT = 3 * SIZE * SIZE };
    bl_recipe plain = {.items = {{.kind = BL_FLIP, .p = 0.5}, {.kind = BL_GRAYSCALE, .p = 0.2}}, .count = 2}, solarized = plain;
    solarized.items[solarized.count++] = (bl_transform){.kind = BL_SOLARIZE, .p = 0.5, .threshold = 0.5};
    uint8_t image[COUNT];
    for (int i = 0; i < COUNT; ++i) image[i] = (uint8_t)(i * 37);
    bl_view_scratch scratch = {0};
    int applied = 0;
    for (uint32_t sample = 0; sample < 40; ++sample) {
        float before[COUNT], after[COUNT];
        assert_ok(bl_view_make(&plain, 2, sample, 0, 1, image, bl_square(SIZE), before, &scratch));
        assert_ok(bl_view_make(&solarized, 2, sample, 0, 1, image, bl_square(SIZE), after, &scratch));
        bool is_applied = bl_transform_draw(&solarized, 2, bl_square(SIZE), 2, sample, 0, 1).apply;
        applied += is_applied;
        for (int i = 0; i < COUNT; ++i) assert_true(after[i] == (is_applied && before[i] >= 0.5f ? 1 - before[i] : before[i]));
    }
    assert_in_range(applied, 8, 32);
    bl_view_scratch_free(&scratch);
}

static void center_crop_in_a_recipe_resizes_then_takes_the_middle(void **state) {
    (void)state;
    enum { SIZE = 10 };
    bl_recipe recipe = {.items = {{.kind = BL_CENTER_CROP, .size = 6}}, .count = 1};
    uint8_t image[3 * SIZE * SIZE];
    float view[3 * 16 * 16];
    for (int i = 0; i < 3 * SIZE * SIZE; ++i) image[i] = (uint8_t)(i % 251);
    bl_view_scratch scratch = {0};
    assert_int_equal(bl_recipe_size(&recipe, SIZE), 6);
    assert_ok(bl_view_make(&recipe, 0, 0, 0, 0, image, bl_square(SIZE), view, &scratch));
    for (int y = 0; y < 6; ++y)
        for (int x = 0; x < 18; ++x) assert_true(view[18 * y + x] == (float)image[3 * SIZE * (y + 2) + 6 + x] / 255.0f);

    recipe.items[0].resize = 20; // larger than the image and than the crop: the scratch holds it
    recipe.items[0].size = 16;
    memset(image, 51, sizeof image);
    bl_view_scratch fresh = {0};
    assert_ok(bl_view_make(&recipe, 0, 0, 0, 0, image, bl_square(SIZE), view, &fresh));
    for (int i = 0; i < 3 * 16 * 16; ++i) assert_float_equal(view[i], 0.2f, 1e-6);

    recipe.items[0] = (bl_transform){.kind = BL_CENTER_CROP, .size = 12};
    assert_int_equal(bl_view_make(&recipe, 0, 0, 0, 0, image, bl_square(SIZE), view, &scratch), BL_FAILED);
    assert_non_null(strstr(bl_error(), "center crop: 12 pixels from an image of 10"));
    bl_view_scratch_free(&scratch), bl_view_scratch_free(&fresh);
}

static void two_crops_in_a_row_change_size_twice(void **state) {
    (void)state;
    bl_recipe recipe = {
        .items = {{.kind = BL_RANDOM_RESIZED_CROP, .size = 40, .scale = {1, 1}, .ratio = {1, 1}, .antialias = true},
                  {.kind = BL_RANDOM_RESIZED_CROP, .size = 5, .scale = {1, 1}, .ratio = {1, 1}, .antialias = true}},
        .count = 2,
    };
    uint8_t image[3 * 12 * 12];
    float view[3 * 5 * 5];
    memset(image, 51, sizeof image);
    bl_view_scratch scratch = {0};
    assert_ok(bl_view_make(&recipe, 0, 0, 0, 0, image, bl_square(12), view, &scratch));
    for (int i = 0; i < 75; ++i) assert_float_equal(view[i], 0.2f, 1e-6);
    bl_view_scratch_free(&scratch);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(brightness_is_torchvisions),
        cmocka_unit_test(contrast_is_torchvisions),
        cmocka_unit_test(saturation_is_torchvisions),
        cmocka_unit_test(hue_is_torchvisions),
        cmocka_unit_test(resized_crop_is_torchvisions_with_and_without_antialias),
        cmocka_unit_test(bicubic_crop_is_torchvisions_with_and_without_antialias),
        cmocka_unit_test(center_crop_is_torchvisions_with_and_without_resize),
        cmocka_unit_test(solarize_is_torchvisions),
        cmocka_unit_test(gaussian_blur_is_torchvisions),
        cmocka_unit_test(grayscale_flip_and_normalize_are_torchvisions),
        cmocka_unit_test(deepmind_parts_are_what_they_are_by_hand),
        cmocka_unit_test(deepmind_jitter_clips_between_its_parts),
        cmocka_unit_test(blur_that_reaches_past_the_reflected_border_is_refused),
        cmocka_unit_test(crop_has_uniform_area_log_uniform_ratio_and_uniform_position),
        cmocka_unit_test(crop_that_never_fits_takes_the_largest_centred_box_of_an_allowed_ratio),
        cmocka_unit_test(jitter_draws_every_order_equally_often_and_factors_in_their_ranges),
        cmocka_unit_test(deepmind_jitter_adds_brightness_and_draws_the_rest_as_torchvisions),
        cmocka_unit_test(transforms_are_applied_with_their_probability),
        cmocka_unit_test(removing_any_transform_changes_no_other_draw),
        cmocka_unit_test(draws_differ_by_seed_sample_epoch_view_and_repetition),
        cmocka_unit_test(recipe_without_transforms_gives_the_bytes_divided_by_255),
        cmocka_unit_test(view_is_its_draws_applied_in_the_recipes_order),
        cmocka_unit_test(solarize_follows_its_own_stream_and_changes_nothing_before_it),
        cmocka_unit_test(center_crop_in_a_recipe_resizes_then_takes_the_middle),
        cmocka_unit_test(two_crops_in_a_row_change_size_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
