// Pictures: a PNG holds the bytes it was given; the preview sheet shows what the data and the views are.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/scenes/png.h"
#include "datasets/scenes/streets.h"
#include "inspect/preview.h"
#include "support.h"

static uint8_t *read_png(const char *path, int *width, int *height) {
    bl_png png;
    assert_ok(bl_png_look(path, &png));
    assert_int_equal(png.channels, 3);
    uint8_t *rgb = malloc(3 * (size_t)png.width * (size_t)png.height);
    assert_ok(bl_png_read(path, &png, rgb));
    *width = png.width;
    *height = png.height;
    return rgb;
}

static void png_holds_the_bytes_it_was_given(void **state) {
    (void)state;
    enum { WIDTH = 37, HEIGHT = 19 };
    uint8_t rgb[WIDTH * HEIGHT * 3];
    for (size_t i = 0; i < sizeof rgb; i++) rgb[i] = (uint8_t)(i * 7 + i / 50);
    char *folder = bl_test_folder(), path[512];
    snprintf(path, sizeof path, "%s/picture.png", folder);
    assert_ok(bl_png_save(path, rgb, WIDTH, HEIGHT, 3));
    int width, height;
    uint8_t *back = read_png(path, &width, &height);
    assert_true(width == WIDTH && height == HEIGHT);
    assert_memory_equal(back, rgb, sizeof rgb);
    free(back);
    snprintf(path, sizeof path, "%s/absent/picture.png", folder);
    assert_int_not_equal(bl_png_save(path, rgb, WIDTH, HEIGHT, 3), BL_OK);
    assert_int_not_equal(bl_png_save(path, rgb, 0, HEIGHT, 3), BL_OK);
    bl_test_folder_remove(folder);
}

// Without augmentation the three pictures of a row are one, so normalisation is undone exactly.
static void sheet_shows_each_image_beside_its_views(void **state) {
    (void)state;
    enum { GAP = 4, MARGIN = 24, TILE = 96 };
    bl_cell cell = {.data = {.name = "shapes", .train = 40, .test = 10}};
    for (int v = 0; v < BL_VIEWS; v++) {
        cell.views[v].count = 1;
        cell.views[v].items[0] = (bl_transform){.kind = BL_NORMALIZE, .p = 1, .mean = {.4, .5, .6}, .std = {.2, .25, .3}};
    }
    char *folder = bl_test_folder(), path[512];
    snprintf(path, sizeof path, "%s/sheet.png", folder);
    bl_text remarks = {0};
    assert_ok(bl_preview_write(&cell, 0, path, &remarks));
    bl_text_free(&remarks);
    int width, height;
    uint8_t *rgb = read_png(path, &width, &height);
    bl_dataset *dataset;
    assert_ok(bl_dataset_open(&dataset, &cell.data));
    const uint8_t *second = bl_dataset_image(dataset, BL_TRAIN, 1); // the second row
    const int size = bl_dataset_size(dataset), top = MARGIN + TILE + GAP;
    for (int picture = 0; picture < 3; picture++)
        for (int y = 0; y < TILE; y++)
            for (int x = 0; x < TILE; x++)
                assert_memory_equal(rgb + 3 * ((top + y) * width + MARGIN + picture * (TILE + GAP) + x),
                                    second + 3 * (y * size / TILE * size + x * size / TILE), 3);
    assert_true(rgb[0] == 255 && rgb[3 * width * height - 1] == 255); // paper
    bl_dataset_close(dataset);
    free(rgb);
    bl_test_folder_remove(folder);
}

// Whole scenes are wider than a tile: every second pixel of them is shown. Both views are the middle of the scene, as it is.
static void sheet_of_scenes_shows_them_smaller_beside_their_views(void **state) {
    (void)state;
    enum { GAP = 4, MARGIN = 24, TILE = 96, WIDTH = 2 * TILE, HEIGHT = 120 };
    bl_cell cell = {.data = {.name = "streets", .train = 3, .test = 1, .width = WIDTH, .height = HEIGHT, .scene_splits = 1u << BL_SCENE_TRAIN}};
    for (int v = 0; v < BL_VIEWS; v++) {
        cell.views[v].count = 1;
        cell.views[v].items[0] = (bl_transform){.kind = BL_CENTER_CROP, .p = 1, .size = TILE};
    }
    char *folder = bl_test_folder(), path[512];
    snprintf(path, sizeof path, "%s/sheet.png", folder);
    bl_text remarks = {0};
    assert_ok(bl_preview_write(&cell, 0, path, &remarks));
    bl_text_free(&remarks);
    int width, height;
    uint8_t *rgb = read_png(path, &width, &height);
    bl_scene scene = {0};
    assert_ok(bl_streets_draw(0, BL_SCENE_TRAIN, 1, WIDTH, HEIGHT, &scene));
    const int top = MARGIN + TILE + GAP; // the second row
    for (int y = 0; y < HEIGHT / 2; y++)
        for (int x = 0; x < TILE; x++)
            assert_memory_equal(rgb + 3 * ((top + y) * width + MARGIN + x), scene.pixels + 3 * (2 * y * WIDTH + 2 * x), 3);
    assert_int_equal(rgb[3 * ((top + HEIGHT / 2) * width + MARGIN)], 255); // paper below it
    for (int picture = 1; picture < 3; picture++)
        for (int y = 0; y < TILE; y++)
            assert_memory_equal(rgb + 3 * ((top + y) * width + MARGIN + picture * (TILE + GAP)),
                                scene.pixels + 3 * ((y + (HEIGHT - TILE) / 2) * WIDTH + (WIDTH - TILE) / 2), 3 * TILE);
    bl_scene_free(&scene);
    free(rgb);

    cell.views[1].items[0] = (bl_transform){.kind = BL_FLIP, .p = .5};
    assert_int_not_equal(bl_preview_write(&cell, 0, path, &remarks), BL_OK);
    assert_non_null(strstr(bl_error(), "view 1 is made from whole scenes and nothing makes them square"));
    bl_test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(png_holds_the_bytes_it_was_given),
        cmocka_unit_test(sheet_shows_each_image_beside_its_views),
        cmocka_unit_test(sheet_of_scenes_shows_them_smaller_beside_their_views),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
