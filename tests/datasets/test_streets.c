#include "support.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "datasets/scenes/scenes.h"
#include "datasets/scenes/streets.h"

enum { WIDTH = 96, HEIGHT = 64, AREA = WIDTH * HEIGHT };

static bl_scenes_options options_of(unsigned splits, int count) {
    return (bl_scenes_options){.format = &bl_streets, .splits = splits, .labelled = true, .seed = 5, .count = count, .width = WIDTH, .height = HEIGHT};
}

static bl_scene drawn(uint64_t seed, bl_scene_split split, uint32_t number, int width, int height) {
    bl_scene scene = {0};
    assert_ok(bl_streets_draw(seed, split, number, width, height, &scene));
    return scene;
}

static void scene_is_a_function_of_seed_split_and_number(void **state) {
    (void)state;
    bl_scene first = drawn(5, BL_SCENE_TRAIN, 2, WIDTH, HEIGHT), again = drawn(5, BL_SCENE_TRAIN, 2, WIDTH, HEIGHT);
    assert_memory_equal(first.pixels, again.pixels, 4 * AREA);
    const bl_scene others[3] = {drawn(6, BL_SCENE_TRAIN, 2, WIDTH, HEIGHT), drawn(5, BL_SCENE_VAL, 2, WIDTH, HEIGHT),
                                drawn(5, BL_SCENE_TRAIN, 3, WIDTH, HEIGHT)};
    for (int i = 0; i < 3; ++i) {
        assert_memory_not_equal(first.pixels, others[i].pixels, 3 * AREA);
        assert_memory_not_equal(first.labels, others[i].labels, AREA);
        bl_free(others[i].pixels);
    }
    bl_scene_free(&first), bl_scene_free(&again);
}

// A change of how scenes are drawn is a change of every result on them.
static void first_scenes_of_seed_0_are_these_bytes(void **state) {
    (void)state;
    bl_digest digest;
    unsigned char sum[32];
    char hex[65];
    bl_digest_begin(&digest);
    for (uint32_t i = 0; i < 4; ++i) {
        bl_scene scene = drawn(0, BL_SCENE_TRAIN, i, WIDTH, HEIGHT);
        bl_digest_add(&digest, scene.pixels, 4 * AREA);
        bl_scene_free(&scene);
    }
    bl_digest_end(&digest, sum);
    for (int i = 0; i < 32; ++i) snprintf(hex + 2 * i, 3, "%02x", sum[i]);
    assert_string_equal(hex, "9c6e0f320874b6eb9e2611875ec621af5dae9debbf63c13cfe037885e26b87f3");
}

static void scenes_have_any_size(void **state) {
    (void)state;
    static const int sizes[][2] = {{32, 32}, {33, 47}, {200, 40}, {40, 120}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
        bl_scene scene = drawn(1, BL_SCENE_TRAIN, 0, sizes[i][0], sizes[i][1]);
        assert_true(scene.width == sizes[i][0] && scene.height == sizes[i][1]);
        bl_scene_free(&scene);
    }
    bl_scenes *scenes;
    bl_scenes_options options = options_of(1u << BL_SCENE_TRAIN, 1);
    options.width = 31;
    assert_int_equal(bl_scenes_open(&scenes, &options), BL_FAILED);
    bl_test_holds(bl_error(), "streets: 31 x 64 pixels");
    options = options_of(1u << BL_SCENE_TRAIN, 0);
    assert_int_equal(bl_scenes_open(&scenes, &options), BL_FAILED);
    bl_test_holds(bl_error(), "streets: 0 scenes: write at least 1");
}

// All but train and motorcycle; and pixels of no class.
static void a_few_dozen_scenes_show_17_classes_and_no_other(void **state) {
    (void)state;
    int64_t seen[256] = {0};
    for (uint32_t i = 0; i < 48; ++i) {
        bl_scene scene = drawn(0, BL_SCENE_TRAIN, i, WIDTH, HEIGHT);
        for (int p = 0; p < AREA; ++p) ++seen[scene.labels[p]];
        bl_scene_free(&scene);
    }
    for (int c = 0; c < 256; ++c)
        if ((seen[c] > 0) != ((c < BL_SCENE_CLASSES && c != 16 && c != 17) || c == BL_SCENE_IGNORED))
            fail_msg("class %d has %lld pixels", c, (long long)seen[c]);
}

typedef struct prototype {
    double sums[3], count;
} prototype;

static int nearest_prototype(const prototype *prototypes, const uint8_t *pixel) {
    int best = 0;
    double least = 1e30;
    for (int k = 0; k < BL_SCENE_CLASSES; ++k) {
        double distance = 0;
        if (prototypes[k].count == 0) continue;
        for (int c = 0; c < 3; ++c) {
            double off = pixel[c] - prototypes[k].sums[c] / prototypes[k].count;
            distance += off * off;
        }
        if (distance < least) least = distance, best = k;
    }
    return best;
}

// Whoever knows each class's mean colour and nothing else names fewer than one pixel in four.
static void colour_alone_does_not_tell_the_class(void **state) {
    (void)state;
    prototype prototypes[BL_SCENE_CLASSES] = {0};
    int64_t right = 0, all = 0;
    for (uint32_t i = 0; i < 48; ++i) {
        bl_scene scene = drawn(0, i < 24 ? BL_SCENE_TRAIN : BL_SCENE_VAL, i, WIDTH, HEIGHT);
        for (int p = 0; p < AREA; ++p) {
            int label = scene.labels[p];
            if (label == BL_SCENE_IGNORED) continue;
            if (i < 24) {
                for (int c = 0; c < 3; ++c) prototypes[label].sums[c] += scene.pixels[3 * p + c];
                ++prototypes[label].count;
            } else {
                right += nearest_prototype(prototypes, scene.pixels + 3 * p) == label;
                ++all;
            }
        }
        bl_scene_free(&scene);
    }
    print_message("by colour alone: %.3f\n", (double)right / (double)all);
    assert_true((double)right < 0.25 * (double)all);
}

static void set_of_streets_reads_what_is_drawn(void **state) {
    (void)state;
    bl_scenes *scenes;
    bl_scene scene = {0}, direct = drawn(5, BL_SCENE_VAL, 1, WIDTH, HEIGHT);
    bl_scenes_options options = options_of(1u << BL_SCENE_TRAIN | 1u << BL_SCENE_VAL, 3);
    assert_ok(bl_scenes_open(&scenes, &options));
    assert_int_equal(bl_scenes_count(scenes), 6);
    assert_string_equal(bl_scenes_name(scenes, 4), "val/streets/streets_000000_000001");
    for (int time = 0; time < 2; ++time) { // drawn, then kept
        assert_ok(bl_scenes_read(scenes, 4, &scene));
        assert_memory_equal(scene.pixels, direct.pixels, 3 * AREA);
        assert_memory_equal(scene.labels, direct.labels, AREA);
        memset(scene.pixels, 0, 4 * AREA);
    }
    bl_scenes_close(scenes);
    options.labelled = false;
    assert_ok(bl_scenes_open(&scenes, &options));
    assert_ok(bl_scenes_read(scenes, 4, &scene));
    assert_null(scene.labels);
    bl_scenes_close(scenes);
    bl_scene_free(&scene), bl_scene_free(&direct);
}

static void another_seed_is_another_set_and_said(void **state) {
    (void)state;
    bl_scenes *scenes, *others;
    bl_text list = {0};
    char digest[65], other[65];
    bl_scenes_options options = options_of(1u << BL_SCENE_TRAIN, 3);
    assert_ok(bl_scenes_open(&scenes, &options));
    options.seed = 6;
    assert_ok(bl_scenes_open(&others, &options));
    assert_ok(bl_scenes_digest(scenes, digest));
    assert_ok(bl_scenes_digest(others, other));
    assert_string_not_equal(digest, other);
    assert_ok(bl_scenes_list(scenes, &list));
    assert_ok(bl_scenes_compare(scenes, list.chars));
    assert_int_equal(bl_scenes_compare(others, list.chars), BL_FAILED);
    bl_test_holds(bl_error(), "seed 6");
    bl_test_holds(bl_error(), "seed 5");
    bl_text_free(&list);
    bl_scenes_close(scenes), bl_scenes_close(others);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scene_is_a_function_of_seed_split_and_number),
        cmocka_unit_test(first_scenes_of_seed_0_are_these_bytes),
        cmocka_unit_test(scenes_have_any_size),
        cmocka_unit_test(a_few_dozen_scenes_show_17_classes_and_no_other),
        cmocka_unit_test(colour_alone_does_not_tell_the_class),
        cmocka_unit_test(set_of_streets_reads_what_is_drawn),
        cmocka_unit_test(another_seed_is_another_set_and_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
