// A scene, its truth and a prediction, made small for a run file.

#include <stdlib.h>

#include "datasets/scenes/streets.h"
#include "protocols/scene_picture.h"
#include "support.h"

static void a_picture_is_small_averages_colours_and_keeps_classes(void **state) {
    (void)state;
    enum { LARGE = 960, TALL = 100 };
    bl_scenes *scenes;
    bl_scene scene = {0};
    bl_scene_picture picture;
    assert_ok(bl_scenes_open(&scenes, &(bl_scenes_options){.format = &bl_streets, .splits = 1u << BL_SCENE_VAL, .labelled = true, .seed = 1,
                                                           .count = 1, .width = LARGE, .height = TALL}));
    assert_ok(bl_scenes_read(scenes, 0, &scene));
    uint8_t *predicted = malloc(LARGE * TALL);
    for (int i = 0; i < LARGE * TALL; i++) predicted[i] = (uint8_t)(i % BL_SCENE_CLASSES);
    assert_ok(bl_scene_picture_make(&picture, scenes, 0, predicted));
    assert_true(picture.width == 480 && picture.height == 50);
    assert_string_equal(picture.scene, "val/streets/streets_000000_000000");
    for (int y = 0; y < 50; y++)
        for (int x = 0; x < 480; x++) {
            const int at = y * 480 + x, corner = 2 * y * LARGE + 2 * x, nearest = corner + LARGE + 1;
            assert_int_equal(picture.truth[at], scene.labels[nearest]);
            assert_int_equal(picture.prediction[at], predicted[nearest]);
            for (int c = 0; c < 3; c++) {
                const uint8_t *p = scene.pixels + c;
                const int sum = p[3 * corner] + p[3 * (corner + 1)] + p[3 * (corner + LARGE)] + p[3 * nearest];
                assert_int_equal(picture.image[3 * at + c], (sum + 2) / 4);
            }
        }
    free(predicted);
    bl_scene_picture_free(&picture);
    bl_scene_free(&scene);
    bl_scenes_close(scenes);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_picture_is_small_averages_colours_and_keeps_classes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
