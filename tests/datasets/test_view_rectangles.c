// Views of images that are not square: crops, resizing and draws are torchvision's for height x width.

#include "support.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/views/views.h"

#define GOLDEN "rectangles.h5"
enum { WIDTH = 24, HEIGHT = 11, AREA = WIDTH * HEIGHT };

// The golden image; upright: its transpose.
static float *image_of(bool upright) {
    int64_t count;
    double *wide = bl_test_golden(GOLDEN, "wide", &count);
    assert_int_equal(count, 3 * AREA);
    float *image = malloc(3 * AREA * sizeof *image);
    for (int c = 0; c < 3; c++)
        for (int y = 0; y < HEIGHT; y++)
            for (int x = 0; x < WIDTH; x++)
                image[c * AREA + (upright ? x * HEIGHT + y : y * WIDTH + x)] = (float)wide[c * AREA + y * WIDTH + x];
    free(wide);
    return image;
}

static bl_extent extent_of(bool upright) { return upright ? (bl_extent){HEIGHT, WIDTH} : (bl_extent){WIDTH, HEIGHT}; }

static void assert_golden(const char *group, int upright, int i, const float *ours, int64_t values) {
    char path[64];
    int64_t count;
    snprintf(path, sizeof path, i < 0 ? "%s/%d" : "%s/%d/%d", group, upright, i);
    double *theirs = bl_test_golden(GOLDEN, path, &count);
    assert_int_equal(count, values);
    for (int64_t k = 0; k < count; k++)
        if (!(fabs(ours[k] - theirs[k]) < 1e-5)) fail_msg("%s: value %d is %g, not %g", path, (int)k, ours[k], theirs[k]);
    free(theirs);
}

static void crop_of_a_rectangle_is_torchvisions(void **state) {
    (void)state;
    int64_t count;
    bl_view_scratch scratch = {0};
    double *parameters = bl_test_golden(GOLDEN, "crop/parameters", &count);
    for (int upright = 0; upright < 2; upright++) {
        float *src = image_of(upright), dst[3 * 32 * 32];
        for (int i = 0; i < count / 6; i++) {
            const double *p = parameters + 6 * i;
            const int box[4] = {(int)p[upright], (int)p[!upright], (int)p[2 + upright], (int)p[2 + !upright]}, out = (int)p[4];
            assert_ok(bl_resized_crop(src, extent_of(upright), box[0], box[1], box[2], box[3], bl_square(out), p[5] != 0, BL_BILINEAR, dst,
                                      &scratch));
            assert_golden("crop", upright, i, dst, 3 * out * out);
        }
        free(src);
    }
    free(parameters);
    bl_view_scratch_free(&scratch);
}

// In a recipe, from bytes: what torchvision makes of the same bytes is the golden file's where these lie on the grid of 1 / 255.
static void center_crop_of_a_rectangle_resizes_its_shorter_side(void **state) {
    (void)state;
    int64_t count;
    double *parameters = bl_test_golden(GOLDEN, "center/parameters", &count);
    for (int upright = 0; upright < 2; upright++) {
        float *src = image_of(upright), view[3 * 16 * 16], planes[3 * 16 * 16];
        uint8_t bytes[3 * AREA];
        for (int i = 0; i < AREA; i++)
            for (int c = 0; c < 3; c++) bytes[3 * i + c] = (uint8_t)lrintf(255 * src[c * AREA + i]);
        for (int i = 0; i < count / 2; i++) {
            const int out = (int)parameters[2 * i + 1];
            const bl_transform crop = {.kind = BL_CENTER_CROP, .p = 1, .resize = (int)parameters[2 * i], .size = out};
            const bl_recipe recipe = {.items = {crop}, .count = 1};
            bl_view_scratch fresh = {0};
            assert_ok(bl_view_make(&recipe, 0, 0, 0, 0, bytes, extent_of(upright), view, &fresh));
            for (int k = 0; k < out * out; k++)
                for (int c = 0; c < 3; c++) planes[c * out * out + k] = view[3 * k + c];
            assert_golden("center", upright, i, planes, 3 * out * out);
            bl_view_scratch_free(&fresh);
        }
        free(src);
    }
    free(parameters);
}

static void blur_and_flip_of_a_rectangle_are_torchvisions(void **state) {
    (void)state;
    int64_t count;
    bl_view_scratch scratch = {0};
    double *parameters = bl_test_golden(GOLDEN, "blur/parameters", &count);
    for (int upright = 0; upright < 2; upright++) {
        for (int i = 0; i < count / 2; i++) {
            float *image = image_of(upright);
            assert_ok(bl_gaussian_blur(image, extent_of(upright), (int)parameters[2 * i], parameters[2 * i + 1], &scratch));
            assert_golden("blur", upright, i, image, 3 * AREA);
            free(image);
        }
        float *image = image_of(upright);
        bl_flip_horizontal(image, extent_of(upright));
        assert_golden("flip", upright, -1, image, 3 * AREA);
        assert_int_equal(bl_gaussian_blur(image, extent_of(upright), 23, 1, &scratch), BL_FAILED);
        assert_non_null(strstr(bl_error(), "images of 11 pixels: write at most 21"));
        free(image);
    }
    free(parameters);
    bl_view_scratch_free(&scratch);
}

static bl_recipe crop_recipe(double low, double high, int out) {
    return (bl_recipe){.items = {{.kind = BL_RANDOM_RESIZED_CROP, .p = 1, .size = out, .scale = {low, high}, .ratio = {0.75, 4.0 / 3},
                                  .antialias = true}},
                       .count = 1};
}

// Shares of the whole area, places everywhere: both are seen by their means and ends.
static void crop_is_drawn_from_the_whole_rectangle(void **state) {
    (void)state;
    enum { DRAWS = 4000 };
    const bl_recipe recipe = crop_recipe(0.1, 0.3, 8);
    for (int upright = 0; upright < 2; upright++) {
        const bl_extent size = upright ? (bl_extent){100, 200} : (bl_extent){200, 100};
        double share = 0, across = 0, down = 0;
        int right = 0, bottom = 0;
        for (uint32_t sample = 0; sample < DRAWS; sample++) {
            const bl_draw draw = bl_transform_draw(&recipe, 0, size, 3, sample, 0, 0);
            assert_true(draw.left >= 0 && draw.top >= 0 && draw.left + draw.width <= size.width && draw.top + draw.height <= size.height);
            const double ratio = (double)draw.width / draw.height;
            assert_true(ratio > 0.72 && ratio < 1.38); // of whole pixels
            share += (double)draw.width * draw.height / (size.width * size.height) / DRAWS;
            across += (double)draw.left / (size.width - draw.width) / DRAWS;
            down += (double)draw.top / (size.height - draw.height) / DRAWS;
            right += draw.left + draw.width == size.width;
            bottom += draw.top + draw.height == size.height;
        }
        assert_true(fabs(share - 0.2) < 0.005);
        assert_true(fabs(across - 0.5) < 0.02 && fabs(down - 0.5) < 0.02);
        assert_true(right > 0 && bottom > 0);
    }
}

static void crop_that_never_fits_is_the_largest_centred_box_of_an_allowed_ratio(void **state) {
    (void)state;
    static const struct {
        bl_extent size;
        bl_draw box;
    } cases[] = {
        {{40, 10}, {.top = 0, .left = 13, .height = 10, .width = 13}},
        {{10, 40}, {.top = 13, .left = 0, .height = 13, .width = 10}},
        {{7, 21}, {.top = 6, .left = 0, .height = 9, .width = 7}},
    };
    const bl_recipe recipe = crop_recipe(1, 1, 8);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const bl_draw draw = bl_transform_draw(&recipe, 0, cases[i].size, 0, 0, 0, 0), *box = &cases[i].box;
        assert_int_equal(draw.top, box->top);
        assert_int_equal(draw.left, box->left);
        assert_int_equal(draw.height, box->height);
        assert_int_equal(draw.width, box->width);
    }
}

// What a crop leaves out is never looked at: the view is what the public pieces make of the whole image.
static void view_of_a_rectangle_is_its_draws_applied_in_the_recipes_order(void **state) {
    (void)state;
    enum { OUT = 16 };
    bl_recipe recipe = crop_recipe(0.2, 0.8, OUT);
    recipe.items[recipe.count++] = (bl_transform){.kind = BL_FLIP, .p = 0.5};
    bl_view_scratch scratch = {0};
    uint8_t bytes[3 * AREA];
    float src[3 * AREA], planes[3 * OUT * OUT], view[3 * OUT * OUT];
    for (int i = 0; i < 3 * AREA; i++) bytes[i] = (uint8_t)(i * i * 31 >> 3);
    for (int i = 0; i < AREA; i++)
        for (int c = 0; c < 3; c++) src[c * AREA + i] = (float)bytes[3 * i + c] / 255.0f;
    for (uint32_t sample = 0; sample < 20; sample++) {
        const bl_draw crop = bl_transform_draw(&recipe, 0, extent_of(false), 9, sample, 1, 1);
        assert_ok(bl_resized_crop(src, extent_of(false), crop.top, crop.left, crop.height, crop.width, bl_square(OUT), true, BL_BILINEAR,
                                  planes, &scratch));
        if (bl_transform_draw(&recipe, 1, bl_square(OUT), 9, sample, 1, 1).apply) bl_flip_horizontal(planes, bl_square(OUT));
        assert_ok(bl_view_make(&recipe, 9, sample, 1, 1, bytes, extent_of(false), view, &scratch));
        for (int i = 0; i < OUT * OUT; i++)
            for (int c = 0; c < 3; c++) assert_true(view[3 * i + c] == planes[c * OUT * OUT + i]);
    }
    bl_view_scratch_free(&scratch);
}

// Flip and blur keep what they are given; the crop behind them makes it square.
static void what_comes_before_the_crop_works_on_the_rectangle(void **state) {
    (void)state;
    bl_recipe recipe = {.items = {{.kind = BL_FLIP, .p = 1}, {.kind = BL_GAUSSIAN_BLUR, .p = 1, .kernel = 3, .sigma = {0.7, 0.7}},
                                  {.kind = BL_CENTER_CROP, .p = 1, .size = 8}},
                        .count = 3};
    bl_view_scratch scratch = {0};
    uint8_t bytes[3 * AREA];
    float planes[3 * AREA], middle[3 * 64], view[3 * 64];
    for (int i = 0; i < AREA; i++)
        for (int c = 0; c < 3; c++) {
            bytes[3 * i + c] = (uint8_t)(i * 37 + 11 * c);
            planes[c * AREA + i] = (float)bytes[3 * i + c] / 255.0f;
        }
    assert_int_equal(bl_recipe_size(&recipe, 0), 8);
    assert_ok(bl_view_make(&recipe, 0, 0, 0, 0, bytes, extent_of(false), view, &scratch));
    bl_flip_horizontal(planes, extent_of(false));
    assert_ok(bl_gaussian_blur(planes, extent_of(false), 3, 0.7, &scratch));
    assert_ok(bl_center_crop(planes, extent_of(false), 8, middle));
    for (int i = 0; i < 64; i++)
        for (int c = 0; c < 3; c++) assert_true(view[3 * i + c] == middle[c * 64 + i]);

    recipe.count = 2; // without the crop
    assert_int_equal(bl_recipe_size(&recipe, 0), 0);
    assert_int_equal(bl_view_make(&recipe, 0, 0, 0, 0, bytes, extent_of(false), view, &scratch), BL_FAILED);
    assert_string_equal(bl_error(), "views: 24 x 11 pixels, and nothing makes them square: write random_resized_crop or center_crop");
    assert_int_equal(bl_center_crop(planes, extent_of(false), 12, middle), BL_FAILED);
    assert_non_null(strstr(bl_error(), "12 pixels from an image of 11"));
    bl_view_scratch_free(&scratch);
}

// An image that lies in the scratch stays where it is, however much work its transform takes.
static void image_in_the_scratch_outlives_the_transforms_that_it_goes_through(void **state) {
    (void)state;
    enum { SIDE = 4, OUT = 64 };
    const bl_extent size = bl_square(SIDE);
    float src[3 * SIDE * SIDE], expected[3 * OUT * OUT], dst[3 * OUT * OUT];
    bl_view_scratch own = {0}, holding = {0};
    for (int i = 0; i < 3 * SIDE * SIDE; i++) src[i] = (float)(i * 7 % 48) / 48;
    assert_ok(bl_view_scratch_reserve_images(&holding, SIDE * SIDE));
    memcpy(holding.image, src, sizeof src);
    for (int i = 0; i < 2; i++) {
        assert_ok(bl_resized_crop(i ? holding.image : src, size, 0, 0, SIDE, SIDE, bl_square(OUT), true, BL_BILINEAR, i ? dst : expected,
                                  i ? &holding : &own));
        assert_ok(bl_gaussian_blur(i ? holding.image : src, size, 3, 1, i ? &holding : &own));
    }
    assert_memory_equal(dst, expected, sizeof dst);
    assert_memory_equal(holding.image, src, sizeof src);
    bl_view_scratch_free(&own);
    bl_view_scratch_free(&holding);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crop_of_a_rectangle_is_torchvisions),
        cmocka_unit_test(center_crop_of_a_rectangle_resizes_its_shorter_side),
        cmocka_unit_test(blur_and_flip_of_a_rectangle_are_torchvisions),
        cmocka_unit_test(crop_is_drawn_from_the_whole_rectangle),
        cmocka_unit_test(crop_that_never_fits_is_the_largest_centred_box_of_an_allowed_ratio),
        cmocka_unit_test(view_of_a_rectangle_is_its_draws_applied_in_the_recipes_order),
        cmocka_unit_test(what_comes_before_the_crop_works_on_the_rectangle),
        cmocka_unit_test(image_in_the_scratch_outlives_the_transforms_that_it_goes_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
