#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scenes_rig.h"

enum { AREA = WIDTH * HEIGHT, TRAIN = 3 };

static int make_folder(void **state) {
    *state = make_root(WIDTH, HEIGHT);
    return 0;
}

#define LABELS "gtFine/train/aachen/aachen_000000_000001_gtFine_labelIds.png"
#define CLASSES "gtFine/train/aachen/aachen_000000_000001_gtFine_labelTrainIds.png"

static bl_scenes_options options_of(const char *root, unsigned splits, bool labelled) {
    return (bl_scenes_options){.format = &bl_cityscapes, .root = root, .splits = splits, .labelled = labelled};
}

static bl_scenes *open_train(const char *root) {
    bl_scenes *scenes;
    bl_scenes_options options = options_of(root, 1u << BL_SCENE_TRAIN, true);
    assert_ok(bl_scenes_open(&scenes, &options));
    return scenes;
}

static void scenes_come_back_as_they_were_saved_in_the_order_of_their_names(void **state) {
    static const char *const names[TRAIN] = {"train/aachen/aachen_000000_000000", "train/aachen/aachen_000000_000001",
                                             "train/zurich/zurich_000000_000002"};
    bl_scenes *scenes = open_train(*state);
    bl_scene scene = {0};
    assert_int_equal(bl_scenes_count(scenes), TRAIN);
    for (uint32_t i = 0; i < TRAIN; ++i) {
        int width, height;
        bl_scene saved = drawn(BL_SCENE_TRAIN, (int)i, WIDTH, HEIGHT);
        assert_string_equal(bl_scenes_name(scenes, i), names[i]);
        bl_scenes_size(scenes, i, &width, &height);
        assert_true(width == WIDTH && height == HEIGHT);
        assert_ok(bl_scenes_read(scenes, i, &scene));
        assert_memory_equal(scene.pixels, saved.pixels, 3 * AREA);
        assert_memory_equal(scene.labels, saved.labels, AREA);
        bl_scene_free(&saved);
    }
    bl_scene_free(&scene);
    bl_scenes_close(scenes);
}

static void several_splits_make_one_set_and_labels_need_not_be_there_where_they_are_not_wanted(void **state) {
    bl_scenes *scenes;
    bl_scene scene = {0};
    bl_scenes_options options = options_of(*state, 1u << BL_SCENE_TRAIN | 1u << BL_SCENE_TRAIN_EXTRA, false);
    assert_ok(bl_scenes_open(&scenes, &options));
    assert_int_equal(bl_scenes_count(scenes), TRAIN + 1);
    assert_string_equal(bl_scenes_name(scenes, TRAIN), "train_extra/bonn/bonn_000000_000004");
    assert_ok(bl_scenes_read(scenes, 0, &scene));
    assert_null(scene.labels);
    bl_scene_free(&scene);
    bl_scenes_close(scenes);
}

// ---- label ids ----

// The table of the data set's own scripts: what each id is trained as.
static const int trained_as[34] = {255, 255, 255, 255, 255, 255, 255, 0,   1,   255, 255, 2,  3,  4,  255, 255, 255,
                                   5,   255, 6,   7,   8,   9,   10,  11,  12,  13,  14,  15, 255, 255, 16, 17, 18};

static void write_labels(const char *root, const char *file, int first, int count) {
    uint8_t labels[AREA];
    for (int i = 0; i < AREA; ++i) labels[i] = (uint8_t)(first + i % count);
    assert_ok(bl_png_save(path_of(root, file), labels, WIDTH, HEIGHT, 1));
}

static void label_ids_become_the_19_classes_and_the_rest_is_ignored(void **state) {
    write_labels(*state, LABELS, 0, 34);
    bl_scenes *scenes = open_train(*state);
    bl_scene scene = {0};
    assert_ok(bl_scenes_read(scenes, 1, &scene));
    for (int i = 0; i < AREA; ++i) assert_int_equal(scene.labels[i], trained_as[i % 34]);
    bl_scenes_close(scenes);

    write_labels(*state, LABELS, 255, 1); // a licence plate
    scenes = open_train(*state);
    assert_ok(bl_scenes_read(scenes, 1, &scene));
    assert_int_equal(scene.labels[0], 255);
    bl_scene_free(&scene);
    bl_scenes_close(scenes);
}

static void maps_of_classes_are_taken_where_they_are(void **state) {
    write_labels(*state, CLASSES, 0, 19);
    bl_scenes *scenes = open_train(*state);
    bl_scene scene = {0};
    assert_ok(bl_scenes_read(scenes, 1, &scene));
    for (int i = 0; i < AREA; ++i) assert_int_equal(scene.labels[i], i % 19);
    bl_scene_free(&scene);
    bl_scenes_close(scenes);
}

// ---- what is refused ----

static void change_byte(const char *path, long offset, unsigned char byte) {
    int descriptor = open(path, O_WRONLY);
    assert_true(descriptor >= 0 && pwrite(descriptor, &byte, 1, offset) == 1);
    close(descriptor);
}

static void without_labels(const char *root) { assert_int_equal(unlink(path_of(root, LABELS)), 0); }
static void without_image(const char *root) { assert_int_equal(unlink(path_of(root, IMAGE)), 0); }
static void labels_of_another_size(const char *root) {
    static const uint8_t labels[AREA];
    assert_ok(bl_png_save(path_of(root, LABELS), labels, HEIGHT, WIDTH, 1));
}
static void flat_labels(const char *root) {
    static const uint8_t labels[AREA];
    assert_ok(bl_png_save(path_of(root, LABELS), labels, WIDTH, HEIGHT / 2, 1));
}
static void half_an_image(const char *root) { assert_int_equal(truncate(path_of(root, IMAGE), length_of(path_of(root, IMAGE)) / 2), 0); }
static void labels_without_end(const char *root) { assert_int_equal(truncate(path_of(root, LABELS), length_of(path_of(root, LABELS)) - 1), 0); }
static void empty_image(const char *root) { assert_int_equal(truncate(path_of(root, IMAGE), 0), 0); }
static void grey_image(const char *root) {
    static const uint8_t image[AREA];
    assert_ok(bl_png_save(path_of(root, IMAGE), image, WIDTH, HEIGHT, 1));
}
static void coloured_labels(const char *root) {
    static const uint8_t labels[3 * AREA];
    assert_ok(bl_png_save(path_of(root, LABELS), labels, WIDTH, HEIGHT, 3));
}
static void sixteen_bits(const char *root) { change_byte(path_of(root, IMAGE), 24, 16); }
static void palette(const char *root) { change_byte(path_of(root, LABELS), 25, 3); }
static void no_png(const char *root) { change_byte(path_of(root, IMAGE), 1, 'J'); }
static void no_pixels(const char *root) { change_byte(path_of(root, IMAGE), 19, 0); }

static void what_is_wrong_with_a_file_is_named_before_any_is_decoded(void **state) {
    static const struct {
        void (*spoil)(const char *root);
        const char *file, *says;
    } cases[] = {
        {without_labels, IMAGE, "it has no label map"},
        {without_image, LABELS, "it has no image"},
        {labels_of_another_size, LABELS, "32 x 48 pixels, and its image has 48 x 32"},
        {flat_labels, LABELS, "48 x 16 pixels, and its image has 48 x 32"},
        {half_an_image, IMAGE, "truncated"},
        {labels_without_end, LABELS, "truncated"},
        {empty_image, IMAGE, "0 bytes are too few for a PNG file"},
        {grey_image, IMAGE, "a grey PNG: images are 8-bit RGB"},
        {coloured_labels, LABELS, "an RGB PNG: label maps are 8-bit grey"},
        {sixteen_bits, IMAGE, "a 16-bit RGB PNG"},
        {palette, LABELS, "an 8-bit palette PNG"},
        {no_png, IMAGE, "not a PNG file"},
        {no_pixels, IMAGE, "0 x 32 pixels"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        void *root;
        bl_scenes *scenes;
        make_folder(&root);
        cases[i].spoil(root);
        bl_scenes_options options = options_of(root, 1u << BL_SCENE_TRAIN, true);
        assert_int_equal(bl_scenes_open(&scenes, &options), BL_FAILED);
        assert_null(scenes);
        bl_test_holds(bl_error(), cases[i].file);
        bl_test_holds(bl_error(), cases[i].says);
        remove_folder(&root);
    }
}

static void empty_split_and_missing_folder_are_refused(void **state) {
    bl_scenes *scenes;
    bl_scenes_options options = options_of(*state, 1u << BL_SCENE_TEST, false);
    assert_int_equal(bl_scenes_open(&scenes, &options), BL_FAILED);
    bl_test_holds(bl_error(), "leftImg8bit/test: no such folder: data.root must be");
    assert_int_equal(mkdir(path_of(*state, "leftImg8bit/test"), 0700), 0);
    assert_int_equal(bl_scenes_open(&scenes, &options), BL_FAILED);
    bl_test_holds(bl_error(), "leftImg8bit/test: empty: no image <city>/*_leftImg8bit.png in it");
}

static void assert_unreadable(const bl_scenes *scenes, const char *file, const char *says) {
    bl_scene scene = {0};
    assert_int_equal(bl_scenes_read(scenes, 1, &scene), BL_FAILED);
    bl_test_holds(bl_error(), file);
    bl_test_holds(bl_error(), says);
    bl_scene_free(&scene);
}

static void unknown_ids_are_named_with_their_place_as_they_are_decoded(void **state) {
    uint8_t labels[AREA] = {0};
    labels[2 * WIDTH + 5] = 34;
    assert_ok(bl_png_save(path_of(*state, LABELS), labels, WIDTH, HEIGHT, 1));
    bl_scenes *scenes = open_train(*state);
    assert_unreadable(scenes, LABELS, "the pixel in column 5, row 2 holds 34, which is no label id");
    bl_scenes_close(scenes);
    labels[2 * WIDTH + 5] = 19;
    assert_ok(bl_png_save(path_of(*state, CLASSES), labels, WIDTH, HEIGHT, 1));
    scenes = open_train(*state);
    assert_unreadable(scenes, CLASSES, "the pixel in column 5, row 2 holds 19, which is no class");
    bl_scenes_close(scenes);
}

static void damage_inside_a_file_is_found_as_it_is_decoded(void **state) {
    change_byte(path_of(*state, IMAGE), length_of(path_of(*state, IMAGE)) / 2, 0x5a);
    bl_scenes *scenes = open_train(*state);
    assert_unreadable(scenes, IMAGE, "damaged");
    bl_scenes_close(scenes);
}

static void file_that_changes_after_opening_is_refused(void **state) {
    bl_scenes *scenes = open_train(*state);
    bl_scene other = drawn(BL_SCENE_TRAIN, 9, WIDTH, HEIGHT);
    assert_ok(bl_scene_save(&other, *state, BL_SCENE_TRAIN, "aachen", 1));
    assert_unreadable(scenes, IMAGE, "changed since it was first read");
    without_image(*state);
    assert_unreadable(scenes, IMAGE, "cannot read");
    bl_scene_free(&other);
    bl_scenes_close(scenes);
}

// ---- identity ----

static void digest_is_of_the_files_and_not_of_where_they_lie(void **state) {
    void *copy;
    char here[65], there[65], changed[65];
    bl_scenes *scenes = open_train(*state), *copied;
    make_folder(&copy);
    copied = open_train(copy);
    assert_ok(bl_scenes_digest(scenes, here));
    assert_ok(bl_scenes_digest(copied, there));
    assert_string_equal(here, there);
    bl_scenes_close(copied);
    write_labels(copy, LABELS, 7, 2);
    copied = open_train(copy);
    assert_ok(bl_scenes_digest(copied, changed));
    assert_string_not_equal(here, changed);
    bl_scenes_close(copied);
    bl_scenes_close(scenes);
    remove_folder(&copy);
}

static void compare_with(const char *root, const char *list, const char *says) {
    bl_scenes *scenes = open_train(root);
    assert_int_equal(bl_scenes_compare(scenes, list), BL_FAILED);
    bl_test_holds(bl_error(), says);
    bl_scenes_close(scenes);
}

static void first_file_that_is_not_as_it_was_is_named(void **state) {
    bl_scenes *scenes = open_train(*state);
    bl_text list = {0};
    assert_ok(bl_scenes_list(scenes, &list));
    assert_ok(bl_scenes_compare(scenes, list.chars));
    bl_scenes_close(scenes);

    save(*state, BL_SCENE_TRAIN, "zurich", 7, WIDTH, HEIGHT);
    compare_with(*state, list.chars, "train/zurich/zurich_000000_000007_leftImg8bit.png: new since the run began");
    save(*state, BL_SCENE_TRAIN, "aachen", 7, WIDTH, HEIGHT);
    compare_with(*state, list.chars, "train/aachen/aachen_000000_000007_leftImg8bit.png: new since the run began");
    write_labels(*state, LABELS, 7, 2);
    compare_with(*state, list.chars, "train/aachen/aachen_000000_000001_gtFine_labelIds.png: changed since the run began");
    without_image(*state), without_labels(*state);
    compare_with(*state, list.chars, "train/aachen/aachen_000000_000001_leftImg8bit.png: gone since the run began");
    bl_text_free(&list);
}

static void change_that_keeps_the_length_of_a_file_is_noticed(void **state) {
    write_labels(*state, LABELS, 7, 1);
    long length = length_of(path_of(*state, LABELS));
    bl_scenes *scenes = open_train(*state);
    bl_text list = {0};
    assert_ok(bl_scenes_list(scenes, &list));
    write_labels(*state, LABELS, 8, 1);
    assert_int_equal(length_of(path_of(*state, LABELS)), length);
    compare_with(*state, list.chars, "aachen_000000_000001_gtFine_labelIds.png: changed since the run began");
    assert_unreadable(scenes, LABELS, "changed since it was first read");
    bl_text_free(&list);
    bl_scenes_close(scenes);
}

// ---- real scenes ----

static void real_scenes_in_this_format_are_read(void **state) {
    (void)state;
    const char *data = getenv("BYOLAB_DATA");
    const char *root = path_of(data ? data : "", "camvid_cityscapes");
    if (!data || access(root, R_OK)) {
        print_message("$BYOLAB_DATA/camvid_cityscapes is not here\n");
        skip();
    }
    // Of the 19 classes: road, sidewalk, building, fence, pole, traffic sign, vegetation, sky, person, rider, car.
    static const uint8_t present[] = {0, 1, 2, 4, 5, 7, 8, 10, 11, 12, 13, 255};
    static const int counts[] = {133, 51};
    for (int s = BL_SCENE_TRAIN; s <= BL_SCENE_VAL; ++s) {
        bl_scenes *scenes;
        bl_scene scene = {0};
        bl_scenes_options options = options_of(root, 1u << s, true);
        assert_ok(bl_scenes_open(&scenes, &options));
        assert_int_equal(bl_scenes_count(scenes), counts[s]);
        for (int64_t i = 0; i < counts[s]; i += 25) {
            assert_ok(bl_scenes_read(scenes, i, &scene));
            assert_true(scene.width == 480 && scene.height == 360);
            for (int p = 0; p < 480 * 360; ++p) assert_non_null(memchr(present, scene.labels[p], sizeof present));
        }
        bl_scene_free(&scene);
        bl_scenes_close(scenes);
    }
}

int main(void) {
#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(scenes_come_back_as_they_were_saved_in_the_order_of_their_names),
        WITH_FOLDER(several_splits_make_one_set_and_labels_need_not_be_there_where_they_are_not_wanted),
        WITH_FOLDER(label_ids_become_the_19_classes_and_the_rest_is_ignored),
        WITH_FOLDER(maps_of_classes_are_taken_where_they_are),
        cmocka_unit_test(what_is_wrong_with_a_file_is_named_before_any_is_decoded),
        WITH_FOLDER(empty_split_and_missing_folder_are_refused),
        WITH_FOLDER(unknown_ids_are_named_with_their_place_as_they_are_decoded),
        WITH_FOLDER(damage_inside_a_file_is_found_as_it_is_decoded),
        WITH_FOLDER(file_that_changes_after_opening_is_refused),
        WITH_FOLDER(digest_is_of_the_files_and_not_of_where_they_lie),
        WITH_FOLDER(first_file_that_is_not_as_it_was_is_named),
        WITH_FOLDER(change_that_keeps_the_length_of_a_file_is_noticed),
        cmocka_unit_test(real_scenes_in_this_format_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
