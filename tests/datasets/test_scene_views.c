#include "support.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/random.h"
#include "datasets/scene_loader.h"
#include "datasets/scenes/cityscapes.h"
#include "datasets/scenes/streets.h"

enum { WIDTH = 40, HEIGHT = 36, OUT_WIDTH = 28, OUT_HEIGHT = 24, OUT = OUT_WIDTH * OUT_HEIGHT };

static bl_scene drawn(uint32_t number) {
    bl_scene scene = {0};
    assert_ok(bl_streets_draw(2, BL_SCENE_TRAIN, number, WIDTH, HEIGHT, &scene));
    return scene;
}

static bl_scene_recipe recipe_of(double low, double high, bool antialias) {
    return (bl_scene_recipe){.width = OUT_WIDTH, .height = OUT_HEIGHT, .scale = {low, high}, .antialias = antialias, .flip = 0.5,
                             .padding = {0.25f, 0.5f, 0.75f}};
}

static const bl_recipe colours = {.items = {{.kind = BL_COLOR_JITTER, .p = 0.8, .brightness = 0.4, .contrast = 0.4, .saturation = 0.4, .hue = 0.1},
                                            {.kind = BL_NORMALIZE, .p = 1, .mean = {0.5, 0.4, 0.3}, .std = {0.2, 0.3, 0.4}}},
                                  .count = 2};

// ---- against the definition ----

// How much source pixel i gives to output pixel o of a side of `in` pixels that becomes `out`.
static double share(int in, int out, bool antialias, int o, int i) {
    double scale = (double)in / out, reach = antialias && scale > 1 ? scale : 1, centre = scale * (o + 0.5);
    double own = fmax(1 - fabs(i + 0.5 - centre) / reach, 0), sum = 0;
    for (int k = 0; k < in; ++k) sum += fmax(1 - fabs(k + 0.5 - centre) / reach, 0);
    return own / sum;
}

static double resampled(const bl_scene *scene, const bl_scene_draw *draw, bool antialias, int x, int y, int c) {
    double value = 0;
    for (int j = 0; j < scene->height; ++j) {
        double down = share(scene->height, draw->height, antialias, y, j);
        for (int i = 0; i < scene->width && down > 0; ++i)
            value += down * share(scene->width, draw->width, antialias, x, i) * scene->pixels[3 * (j * scene->width + i) + c];
    }
    return value / 255;
}

static void assert_view(const bl_scene *scene, const bl_scene_recipe *recipe, uint32_t sample, int *padded, int *flipped) {
    static float image[3 * OUT], labels[OUT];
    bl_scene_scratch scratch = {0};
    assert_ok(bl_scene_view_make(recipe, 7, sample, 1, scene, image, labels, &scratch));
    bl_scene_draw draw = bl_scene_view_draw(recipe, 7, sample, 1, scene->width, scene->height);
    *flipped += draw.flip;
    *padded += draw.width < OUT_WIDTH || draw.height < OUT_HEIGHT;
    for (int p = 0; p < OUT; ++p) {
        int column = p % OUT_WIDTH, y = draw.top + p / OUT_WIDTH, x = draw.left + (draw.flip ? OUT_WIDTH - 1 - column : column);
        bool inside = x < draw.width && y < draw.height;
        int from_x = (int)floor((x + 0.5) * scene->width / draw.width), from_y = (int)floor((y + 0.5) * scene->height / draw.height);
        assert_int_equal((int)labels[p], inside ? scene->labels[from_y * scene->width + from_x] : BL_SCENE_IGNORED);
        for (int c = 0; c < 3; ++c) {
            double wanted = inside ? resampled(scene, &draw, recipe->antialias, x, y, c) : recipe->padding[c];
            if (!(fabs(image[3 * p + c] - wanted) < 1e-6)) fail_msg("sample %u, pixel %d: %g, not %g", sample, p, image[3 * p + c], wanted);
        }
    }
    bl_scene_scratch_free(&scratch);
}

static void image_is_bilinear_labels_nearest_and_both_move_alike(void **state) {
    (void)state;
    static const struct {
        double low, high;
        bool antialias;
    } cases[] = {{1, 2.5, false}, {0.35, 1, false}, {0.35, 1, true}};
    bl_scene scene = drawn(0);
    int padded = 0, flipped = 0, views = 0;
    for (int i = 0; i < 3; ++i) {
        bl_scene_recipe recipe = recipe_of(cases[i].low, cases[i].high, cases[i].antialias);
        for (uint32_t sample = 0; sample < 8; ++sample, ++views) assert_view(&scene, &recipe, sample, &padded, &flipped);
    }
    assert_true(padded > 3 && flipped > 3 && flipped < views - 3);
    bl_scene_free(&scene);
}

static void whole_image_at_scale_1_is_the_image(void **state) {
    (void)state;
    bl_scene scene = drawn(1);
    bl_scene_recipe recipe = {.width = WIDTH, .height = HEIGHT, .scale = {1, 1}};
    bl_scene_scratch scratch = {0};
    static float image[3 * WIDTH * HEIGHT], labels[WIDTH * HEIGHT];
    for (uint32_t epoch = 0; epoch < 3; ++epoch) {
        assert_ok(bl_scene_view_make(&recipe, epoch, 0, epoch, &scene, image, labels, &scratch));
        for (int i = 0; i < 3 * WIDTH * HEIGHT; ++i) assert_true(image[i] == (float)scene.pixels[i] / 255);
        for (int i = 0; i < WIDTH * HEIGHT; ++i) assert_true(labels[i] == (float)scene.labels[i]);
    }
    bl_scene_scratch_free(&scratch);
    bl_scene_free(&scene);
}

// ---- colours ----

static void colours_change_the_image_alone_and_leave_padding(void **state) {
    (void)state;
    bl_scene scene = drawn(2);
    bl_scene_recipe plain = recipe_of(0.5, 0.55, true), coloured = plain;
    coloured.colours = colours;
    bl_scene_scratch scratch = {0};
    static float images[2][3 * OUT], labels[2][OUT];
    for (uint32_t sample = 0; sample < 6; ++sample) {
        assert_ok(bl_scene_view_make(&plain, 7, sample, 0, &scene, images[0], labels[0], &scratch));
        assert_ok(bl_scene_view_make(&coloured, 7, sample, 0, &scene, images[1], labels[1], &scratch));
        assert_memory_equal(labels[0], labels[1], sizeof labels[0]);
        // The image's part as planes, through the colours.
        bl_scene_draw draw = bl_scene_view_draw(&plain, 7, sample, 0, WIDTH, HEIGHT);
        size_t area = (size_t)draw.width * (size_t)draw.height;
        assert_true(draw.width < OUT_WIDTH && draw.height < OUT_HEIGHT);
        float *planes = malloc(3 * area * sizeof *planes);
        for (int back = 0; back < 2; ++back) {
            for (int y = 0; y < OUT_HEIGHT; ++y)
                for (int x = 0; x < OUT_WIDTH; ++x)
                    for (int c = 0; c < 3; ++c) {
                        float *pixel = &images[back][3 * (y * OUT_WIDTH + (draw.flip ? OUT_WIDTH - 1 - x : x)) + c];
                        float *place = &planes[(size_t)c * area + (size_t)y * draw.width + x];
                        if (x >= draw.width || y >= draw.height) assert_true(*pixel == plain.padding[c]);
                        else if (!back) *place = *pixel;
                        else assert_true(*place == *pixel);
                    }
            if (!back) bl_colours_apply(&colours, 7, sample, 0, 0, planes, area);
        }
        free(planes);
    }
    bl_scene_scratch_free(&scratch);
    bl_scene_free(&scene);
}

// ---- draws ----

static void draws_stay_in_their_ranges_and_take_all_of_them(void **state) {
    (void)state;
    bl_scene_recipe recipe = recipe_of(0.5, 2, false);
    double least = 9, most = 0, left = 9, right = 0;
    for (uint32_t sample = 0; sample < 400; ++sample) {
        bl_scene_draw draw = bl_scene_view_draw(&recipe, 1, sample, 0, 400, 360);
        double factor = draw.width / 400.0, place = (double)draw.left / (draw.width - OUT_WIDTH);
        assert_true(factor >= 0.5 && factor <= 2 && fabs(draw.height - factor * 360) <= 1);
        assert_true(draw.left >= 0 && draw.left + OUT_WIDTH <= draw.width && draw.top >= 0 && draw.top + OUT_HEIGHT <= draw.height);
        least = fmin(least, factor), most = fmax(most, factor);
        left = fmin(left, place), right = fmax(right, place);
    }
    assert_true(least < 0.52 && most > 1.98 && left < 0.02 && right > 0.98);
}

static void draws_differ_by_sample_and_epoch_and_one_moves_no_other(void **state) {
    (void)state;
    bl_scene_recipe recipe = recipe_of(0.5, 2, false), still = recipe;
    still.flip = 0;
    int alike = 0;
    for (uint32_t sample = 0; sample < 100; ++sample) {
        bl_scene_draw draw = bl_scene_view_draw(&recipe, 1, sample, 0, 400, 360), unflipped = bl_scene_view_draw(&still, 1, sample, 0, 400, 360);
        bl_scene_draw later = bl_scene_view_draw(&recipe, 1, sample, 1, 400, 360), next = bl_scene_view_draw(&recipe, 1, sample + 1, 0, 400, 360);
        assert_true(draw.width == unflipped.width && draw.left == unflipped.left && draw.top == unflipped.top && !unflipped.flip);
        alike += (draw.left == later.left && draw.top == later.top) + (draw.left == next.left && draw.top == next.top);
    }
    assert_true(alike < 3);
}

static void recipes_that_would_part_image_and_labels_are_refused(void **state) {
    (void)state;
    static const struct {
        bl_scene_recipe recipe;
        const char *says;
    } cases[] = {
        {{.width = 0, .height = 8, .scale = {1, 1}}, "crop: 0 x 8 pixels"},
        {{.width = 8, .height = 8, .scale = {2, 1}}, "scale: [2, 1]"},
        {{.width = 8, .height = 8, .scale = {0, 1}}, "scale: [0, 1]"},
        {{.width = 8, .height = 8, .scale = {1, 1}, .flip = 1.5}, "flip: 1.5"},
        {{.width = 8, .height = 8, .scale = {1, 1}, .colours = {.items = {{.kind = BL_FLIP, .p = 1}}, .count = 1}}, "colours: only"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        assert_int_equal(bl_scene_recipe_check(&cases[i].recipe), BL_FAILED);
        bl_test_holds(bl_error(), cases[i].says);
    }
}

// ---- threads ----

enum { SCENES = 9 };

static bl_scenes *streets(bool labelled) {
    bl_scenes *scenes;
    bl_scenes_options options = {.format = &bl_streets, .splits = 1u << BL_SCENE_TRAIN, .labelled = labelled, .seed = 2, .count = SCENES,
                                 .width = WIDTH, .height = HEIGHT};
    assert_ok(bl_scenes_open(&scenes, &options));
    return scenes;
}

static void batches_are_the_same_bytes_with_one_two_and_four_threads(void **state) {
    (void)state;
    bl_scenes *scenes = streets(true);
    bl_scene_recipe recipe = recipe_of(0.5, 2, true);
    recipe.colours = colours;
    static float images[4][SCENES][3 * OUT], labels[4][SCENES][OUT];
    bl_scene_scratch scratch = {0};
    for (uint32_t i = 0; i < SCENES; ++i) { // in the order of the batch: 8, 7, ...
        bl_scene scene = drawn(SCENES - 1 - i);
        assert_ok(bl_scene_view_make(&recipe, 3, SCENES - 1 - i, 4, &scene, images[0][i], labels[0][i], &scratch));
        bl_scene_free(&scene);
    }
    for (int t = 1; t < 4; ++t) {
        bl_loader *loader;
        uint32_t samples[SCENES];
        assert_ok(bl_scene_loader_create(&loader, scenes, &recipe, 3, 1 << (t - 1), 2));
        for (int slot = 0; slot < 2; ++slot) {
            for (uint32_t i = 0; i < SCENES; ++i) samples[i] = SCENES - 1 - i;
            assert_ok(bl_loader_submit(loader, slot, samples, SCENES, 4, images[t][0], slot ? NULL : labels[t][0]));
            memset(samples, 0xff, sizeof samples); // the loader keeps a copy
            assert_ok(bl_loader_wait(loader, slot));
            assert_memory_equal(images[0], images[t], sizeof images[0]);
            assert_memory_equal(labels[0], labels[t], sizeof labels[0]);
        }
        bl_loader_free(loader);
    }
    bl_scene_scratch_free(&scratch);
    bl_scenes_close(scenes);
}

// Two scenes in one batch of eight: the first of each is what it is alone, the others are drawn anew.
static void scene_that_comes_again_in_a_batch_is_drawn_anew(void **state) {
    (void)state;
    enum { BATCH = 8 };
    bl_scenes *scenes = streets(true);
    const bl_scene_recipe recipe = recipe_of(0.5, 2, true);
    static const uint32_t samples[BATCH] = {3, 5, 3, 5, 5, 5, 3, 3}, occurrences[BATCH] = {0, 0, 1, 1, 2, 3, 2, 3};
    static float images[BATCH][3 * OUT], labels[BATCH][OUT], image[3 * OUT], map[OUT];
    bl_scene_scratch scratch = {0};
    bl_loader *loader;
    assert_ok(bl_scene_loader_create(&loader, scenes, &recipe, 3, 2, 1));
    for (uint32_t epoch = 0; epoch < 3; ++epoch) {
        assert_ok(bl_loader_submit(loader, 0, samples, BATCH, epoch, images[0], labels[0]));
        assert_ok(bl_loader_wait(loader, 0));
        for (int i = 0; i < BATCH; ++i) {
            bl_scene scene = drawn(samples[i]);
            const uint64_t seed = occurrences[i] ? bl_random_seed_again(3, occurrences[i]) : 3;
            assert_ok(bl_scene_view_make(&recipe, seed, samples[i], epoch, &scene, image, map, &scratch));
            assert_memory_equal(images[i], image, sizeof image);
            assert_memory_equal(labels[i], map, sizeof map);
            for (int j = 0; j < i; ++j) assert_memory_not_equal(images[i], images[j], sizeof image);
            bl_scene_free(&scene);
        }
    }
    bl_loader_free(loader);
    bl_scene_scratch_free(&scratch);
    bl_scenes_close(scenes);
}

static void errors_of_workers_come_with_their_slot(void **state) {
    (void)state;
    char *root = bl_test_folder(), path[4096];
    for (int i = 0; i < 3; ++i) {
        bl_scene scene = drawn((uint32_t)i);
        assert_ok(bl_scene_save(&scene, root, BL_SCENE_TRAIN, "ulm", i));
        bl_scene_free(&scene);
    }
    bl_scenes *scenes;
    bl_scenes_options options = {.format = &bl_cityscapes, .root = root, .splits = 1u << BL_SCENE_TRAIN, .labelled = true};
    bl_scene_recipe recipe = recipe_of(1, 1, false);
    bl_loader *loader;
    static float images[3 * 3 * OUT], labels[3 * OUT];
    assert_ok(bl_scenes_open(&scenes, &options));
    assert_ok(bl_scene_loader_create(&loader, scenes, &recipe, 0, 2, 1));
    assert_ok(bl_loader_submit(loader, 0, (uint32_t[]){2, 1, 0}, 3, 0, images, labels));
    assert_int_equal(bl_loader_submit(loader, 0, (uint32_t[]){0}, 1, 0, images, labels), BL_FAILED);
    bl_test_holds(bl_error(), "slot 0 is filled again");
    assert_ok(bl_loader_wait(loader, 0));
    assert_int_equal(bl_loader_submit(loader, 0, (uint32_t[]){3}, 1, 0, images, labels), BL_FAILED);
    bl_test_holds(bl_error(), "sample 3 is past the 3 of the scenes");

    snprintf(path, sizeof path, "%s/gtFine/train/ulm/ulm_000000_000001_gtFine_labelIds.png", root);
    assert_int_equal(truncate(path, 100), 0);
    assert_ok(bl_loader_submit(loader, 0, (uint32_t[]){2, 1, 0}, 3, 1, images, labels));
    assert_int_equal(bl_loader_wait(loader, 0), BL_FAILED);
    bl_test_holds(bl_error(), "ulm_000000_000001_gtFine_labelIds.png: truncated");
    assert_ok(bl_loader_submit(loader, 0, (uint32_t[]){2, 0}, 2, 1, images, labels));
    assert_ok(bl_loader_wait(loader, 0));
    bl_loader_free(loader);
    bl_scenes_close(scenes);
    bl_test_folder_remove(root);
}

static void labels_of_a_set_without_any_are_refused(void **state) {
    (void)state;
    bl_scenes *scenes = streets(false);
    bl_scene_recipe recipe = recipe_of(1, 1, false);
    bl_loader *loader;
    static float image[3 * OUT], labels[OUT];
    assert_ok(bl_scene_loader_create(&loader, scenes, &recipe, 0, 1, 1));
    assert_ok(bl_loader_submit(loader, 0, (uint32_t[]){0}, 1, 0, image, labels));
    assert_int_equal(bl_loader_wait(loader, 0), BL_FAILED);
    bl_test_holds(bl_error(), "labels are wanted of a set that was opened without");
    assert_ok(bl_loader_submit(loader, 0, (uint32_t[]){0}, 1, 0, image, NULL));
    assert_ok(bl_loader_wait(loader, 0));
    bl_loader_free(loader);
    bl_scenes_close(scenes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(image_is_bilinear_labels_nearest_and_both_move_alike),
        cmocka_unit_test(whole_image_at_scale_1_is_the_image),
        cmocka_unit_test(colours_change_the_image_alone_and_leave_padding),
        cmocka_unit_test(draws_stay_in_their_ranges_and_take_all_of_them),
        cmocka_unit_test(draws_differ_by_sample_and_epoch_and_one_moves_no_other),
        cmocka_unit_test(recipes_that_would_part_image_and_labels_are_refused),
        cmocka_unit_test(batches_are_the_same_bytes_with_one_two_and_four_threads),
        cmocka_unit_test(scene_that_comes_again_in_a_batch_is_drawn_anew),
        cmocka_unit_test(errors_of_workers_come_with_their_slot),
        cmocka_unit_test(labels_of_a_set_without_any_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
