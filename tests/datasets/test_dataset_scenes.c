// Street scenes as a data set: what is opened, the square that views share, what a loader makes of it, and which file is named where one
// is not as it was. bl_scenes_read stands here in front of the library's own, so that decoded scenes are counted.

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "datasets/view_loader.h"
#include "scenes_rig.h"

static atomic_int decoded;

int bl_scenes_read(const bl_scenes *scenes, int64_t index, bl_scene *scene) {
    int (*next)(const bl_scenes *, int64_t, bl_scene *);
    bl_test_next("bl_scenes_read", &next);
    atomic_fetch_add(&decoded, 1);
    return next(scenes, index, scene);
}

// ---- a small folder: three scenes to train on and a larger one without labels, two to score ----

enum { SQUARE = 24, OUT = 16, FLOATS = 3 * OUT * OUT, TRAIN = 3, ALL = 4, SCORED = 2 };
static const unsigned train = 1u << BL_SCENE_TRAIN, train_and_extra = 1u << BL_SCENE_TRAIN | 1u << BL_SCENE_TRAIN_EXTRA;

#define LABELS "gtFine/val/ulm/ulm_000000_000003_gtFine_labelIds.png"

static char *make_scored_root(void) {
    char *root = make_root(WIDTH + 20, HEIGHT + 8);
    save(root, BL_SCENE_VAL, "ulm", 5, WIDTH, HEIGHT);
    return root;
}

static int make_folder(void **state) {
    *state = make_scored_root();
    return 0;
}

static bl_dataset *open_with(const bl_dataset_options *options) {
    bl_dataset *dataset;
    assert_ok(bl_dataset_open(&dataset, options));
    return dataset;
}

static bl_dataset *open_folder(const char *root, int crop, bool labelled) {
    return open_with(&(bl_dataset_options){.name = "cityscapes", .root = root, .scene_splits = train_and_extra, .crop = crop,
                                           .labelled = labelled});
}

static bl_dataset *open_streets(int crop, bool labelled) {
    return open_with(&(bl_dataset_options){.name = "streets", .seed = 5, .train = 2, .test = 3, .width = WIDTH, .height = HEIGHT,
                                           .scene_splits = train_and_extra, .crop = crop, .labelled = labelled});
}

// ---- what is opened ----

static void folder_is_trained_on_without_labels_and_scored_with_them_where_rows_ask(void **state) {
    for (int labelled = 0; labelled < 2; labelled++) {
        bl_dataset *dataset = open_folder(*state, SQUARE, labelled);
        assert_int_equal(bl_dataset_count(dataset, BL_TRAIN), ALL);
        assert_int_equal(bl_dataset_count(dataset, BL_VALIDATION), 0);
        assert_int_equal(bl_dataset_count(dataset, BL_TEST), labelled ? SCORED : 0);
        assert_int_equal(bl_dataset_classes(dataset), 19);
        assert_int_equal(bl_dataset_size(dataset), SQUARE);
        assert_int_equal(bl_dataset_labelled(dataset) != NULL, labelled);
        assert_int_equal(bl_dataset_scored(dataset) != NULL, labelled);
        if (labelled) {
            bl_scene scene = {0};
            assert_int_equal(bl_scenes_count(bl_dataset_labelled(dataset)), TRAIN);
            assert_string_equal(bl_scenes_name(bl_dataset_labelled(dataset), 2), "train/zurich/zurich_000000_000002");
            assert_string_equal(bl_scenes_name(bl_dataset_scored(dataset), 1), "val/ulm/ulm_000000_000005");
            assert_ok(bl_scenes_read(bl_dataset_scored(dataset), 0, &scene));
            assert_non_null(scene.labels);
            bl_scene_free(&scene);
        }
        bl_dataset_close(dataset);
    }
}

static void streets_are_train_scenes_of_each_split_and_test_scenes_of_val(void **state) {
    (void)state;
    int width, height;
    bl_dataset *dataset = open_streets(0, true);
    assert_int_equal(bl_dataset_count(dataset, BL_TRAIN), 4);
    assert_int_equal(bl_dataset_count(dataset, BL_TEST), 3);
    assert_int_equal(bl_dataset_size(dataset), 0);
    assert_int_equal(bl_scenes_count(bl_dataset_labelled(dataset)), 2);
    assert_int_equal(bl_scenes_count(bl_dataset_scored(dataset)), 3);
    assert_string_equal(bl_scenes_name(bl_dataset_scored(dataset), 0), "val/streets/streets_000000_000000");
    bl_scenes_size(bl_dataset_scored(dataset), 2, &width, &height);
    assert_true(width == WIDTH && height == HEIGHT);
    bl_dataset_close(dataset);
}

static void streets_may_have_more_scenes_without_labels(void **state) {
    (void)state;
    bl_dataset *dataset = open_with(&(bl_dataset_options){.name = "streets", .seed = 5, .train = 2, .extra = 5, .test = 3, .width = WIDTH, .height = HEIGHT,
                                                          .scene_splits = train_and_extra, .labelled = true});
    assert_int_equal(bl_dataset_count(dataset, BL_TRAIN), 7);
    assert_int_equal(bl_scenes_count(bl_dataset_labelled(dataset)), 2);
    assert_int_equal(bl_dataset_count(dataset, BL_TEST), 3);
    assert_non_null(strstr(bl_dataset_files(dataset), "streets train: 2 scenes of "));
    assert_non_null(strstr(bl_dataset_files(dataset), "streets train_extra: 5 scenes of "));
    bl_dataset_close(dataset);
}

static void images_have_no_scenes_and_no_files(void **state) {
    (void)state;
    bl_dataset *dataset = open_with(&(bl_dataset_options){.name = "shapes", .train = 20, .test = 10});
    bl_picture picture = {0};
    assert_false(bl_dataset_is_decoded(dataset));
    assert_true(!bl_dataset_labelled(dataset) && !bl_dataset_scored(dataset));
    assert_string_equal(bl_dataset_files(dataset), "");
    assert_ok(bl_dataset_picture(dataset, BL_TEST, 7, 1, 2, &picture));
    assert_ptr_equal(picture.pixels, bl_dataset_image(dataset, BL_TEST, 7)); // where it lies
    assert_true(picture.width == 32 && picture.height == 32);
    bl_picture_free(&picture);
    bl_dataset_close(dataset);
}

static void what_cannot_be_opened_is_refused_in_one_line(void **state) {
    const char *root = *state;
    const struct {
        bl_dataset_options options;
        const char *says;
    } cases[] = {
        {{.root = root, .scene_splits = 1u << BL_SCENE_TEST}, "leftImg8bit/test: no such folder"},
        {{.root = "/nowhere", .scene_splits = train}, "/nowhere/leftImg8bit/train: no such folder"},
        {{.scene_splits = train}, "data.root: write the folder that holds leftImg8bit/ and gtFine/"},
        {{.root = root}, "no split is named to train on: name train, train_extra or test"},
        {{.root = root, .scene_splits = train | 1u << BL_SCENE_VAL}, "val is what is scored: name train, train_extra or test"},
        {{.root = root, .scene_splits = train, .crop = -1}, "cityscapes: crop -1 is below 0"},
        {{.root = root, .scene_splits = train_and_extra, .crop = HEIGHT + 1},
         "train/aachen/aachen_000000_000000: 48 x 32 pixels hold no square of 33: the largest crop that fits into every scene is 32"},
        {{.name = "streets", .train = 3, .width = 64, .height = 40, .scene_splits = train, .crop = 41},
         "train/streets/streets_000000_000000: 64 x 40 pixels hold no square of 41: the largest crop that fits into every scene is 40"},
        {{.name = "street", .scene_splits = train}, "no data set is called 'street'; there are cifar10, cifar100, shapes, cityscapes, streets"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bl_dataset *dataset;
        bl_dataset_options options = cases[i].options;
        if (!options.name) options.name = "cityscapes";
        assert_int_equal(bl_dataset_open(&dataset, &options), BL_FAILED);
        assert_null(dataset);
        if (!strstr(bl_error(), cases[i].says)) fail_msg("'%s' does not say '%s'", bl_error(), cases[i].says);
        assert_null(strchr(bl_error(), '\n'));
    }
}

static void labels_are_looked_for_where_rows_ask_alone(void **state) {
    bl_dataset *dataset;
    assert_int_equal(unlink(path_of(*state, LABELS)), 0);
    bl_dataset_close(open_folder(*state, 0, false));
    const bl_dataset_options options = {.name = "cityscapes", .root = *state, .scene_splits = train, .labelled = true};
    assert_int_equal(bl_dataset_open(&dataset, &options), BL_FAILED);
    assert_non_null(strstr(bl_error(), LABELS " is missing"));
}

// ---- pictures ----

static void picture_is_the_square_at_the_place_that_seed_scene_and_epoch_draw(void **state) {
    bl_dataset *dataset = open_folder(*state, SQUARE, true), *whole = open_folder(*state, 0, true);
    bl_picture square = {0}, scene = {0};
    int places[3] = {0}; // of scene 0 in each epoch
    for (uint32_t epoch = 0; epoch < 3; epoch++)
        for (int k = 0; k < ALL + SCORED; k++) {
            const bl_split split = k < ALL ? BL_TRAIN : BL_TEST;
            const uint32_t sample = (uint32_t)(k < ALL ? k : k - ALL);
            assert_ok(bl_dataset_picture(dataset, split, sample, 9, epoch, &square));
            assert_ok(bl_dataset_picture(whole, split, sample, 9, epoch, &scene));
            assert_true(square.width == SQUARE && square.height == SQUARE);
            assert_int_equal(scene.width, k == ALL - 1 ? WIDTH + 20 : WIDTH); // the one of train_extra
            bl_random random = bl_random_stream(9, "scene_square", sample, epoch, 0);
            const int top = (int)bl_random_below(&random, (uint32_t)(scene.height - SQUARE + 1));
            const int left = (int)bl_random_below(&random, (uint32_t)(scene.width - SQUARE + 1));
            for (int y = 0; y < SQUARE; y++)
                assert_memory_equal(square.pixels + 3 * y * SQUARE, scene.pixels + 3 * ((top + y) * scene.width + left), 3 * SQUARE);
            if (!k) places[epoch] = top * WIDTH + left;
        }
    assert_true(places[0] != places[1] && places[1] != places[2]);
    bl_picture_free(&square), bl_picture_free(&scene);
    bl_dataset_close(dataset), bl_dataset_close(whole);
}

static void square_of_a_scored_scene_that_is_too_small_is_refused_when_it_is_asked_for(void **state) {
    save(*state, BL_SCENE_VAL, "aalen", 0, 32, 32);
    bl_dataset *dataset = open_with(&(bl_dataset_options){.name = "cityscapes", .root = *state, .scene_splits = 1u << BL_SCENE_TRAIN_EXTRA,
                                                          .crop = 40, .labelled = true});
    bl_picture picture = {0};
    assert_int_equal(bl_dataset_picture(dataset, BL_TEST, 0, 0, 0, &picture), BL_FAILED);
    assert_string_equal(bl_error(), "val/aalen/aalen_000000_000000: 32 x 32 pixels hold no square of 40");
    bl_picture_free(&picture);
    bl_dataset_close(dataset);
}

// ---- views ----

static const bl_recipe recipes[2] = {
    {.items = {{.kind = BL_RANDOM_RESIZED_CROP, .p = 1, .size = OUT, .scale = {0.3, 1}, .ratio = {0.75, 4.0 / 3}, .antialias = true},
               {.kind = BL_FLIP, .p = 0.5},
               {.kind = BL_COLOR_JITTER, .p = 0.8, .brightness = 0.4, .contrast = 0.4, .saturation = 0.2, .hue = 0.1}},
     .count = 3},
    {.items = {{.kind = BL_GAUSSIAN_BLUR, .p = 0.5, .kernel = 3, .sigma = {0.1, 2}},
               {.kind = BL_RANDOM_RESIZED_CROP, .p = 1, .size = OUT, .scale = {0.3, 1}, .ratio = {0.75, 4.0 / 3}, .antialias = true}},
     .count = 2},
};

enum { COUNT = 11 }; // samples of a batch: every scene several times
static const uint32_t samples[COUNT] = {3, 0, 1, 2, 2, 0, 3, 1, 1, 3, 0}, occurrences[COUNT] = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2};

static float *load(const bl_dataset *dataset, int threads) {
    bl_loader *loader;
    float *views = malloc(2 * COUNT * FLOATS * sizeof *views);
    assert_ok(bl_view_loader_create(&loader, dataset, BL_TRAIN, recipes, 2, 4, threads, 1));
    assert_ok(bl_loader_submit(loader, 0, samples, COUNT, 6, views, NULL));
    assert_ok(bl_loader_wait(loader, 0));
    bl_loader_free(loader);
    return views;
}

// Both views of a sample are made from one picture, which is decoded once.
static void assert_loaded(bl_dataset *dataset) {
    atomic_store(&decoded, 0);
    float *one = load(dataset, 1), view[FLOATS];
    assert_int_equal(atomic_load(&decoded), COUNT);
    bl_picture picture = {0};
    bl_view_scratch scratch = {0};
    for (int i = 0; i < COUNT; i++) {
        const uint64_t seed = bl_random_seed_again(4, occurrences[i]); // each time another square, other views
        assert_ok(bl_dataset_picture(dataset, BL_TRAIN, samples[i], seed, 6, &picture));
        for (int v = 0; v < 2; v++) {
            const bl_extent size = {picture.width, picture.height};
            assert_ok(bl_view_make(&recipes[v], seed, samples[i], 6, (uint32_t)v, picture.pixels, size, view, &scratch));
            assert_memory_equal(one + (v * COUNT + i) * FLOATS, view, sizeof view);
        }
    }
    for (int threads = 2; threads <= 4; threads += 2) {
        float *several = load(dataset, threads);
        assert_memory_equal(one, several, 2 * COUNT * FLOATS * sizeof *one);
        free(several);
    }
    free(one);
    bl_picture_free(&picture);
    bl_view_scratch_free(&scratch);
    bl_dataset_close(dataset);
}

static void views_are_of_one_decoded_picture_and_the_same_bytes_with_one_two_and_four_threads(void **state) {
    assert_loaded(open_folder(*state, SQUARE, false));
    assert_loaded(open_folder(*state, 0, true));
    assert_loaded(open_streets(SQUARE, false));
    assert_loaded(open_streets(0, true));
}

static void whole_scenes_without_a_crop_in_the_recipe_are_refused(void **state) {
    bl_dataset *whole = open_folder(*state, 0, false), *squares = open_folder(*state, SQUARE, false);
    const bl_recipe flips[2] = {{.items = {{.kind = BL_FLIP, .p = 0.5}}, .count = 1}, {.items = {{.kind = BL_FLIP, .p = 0.5}}, .count = 1}};
    bl_loader *loader;
    assert_int_equal(bl_view_loader_create(&loader, whole, BL_TRAIN, flips, 2, 0, 1, 1), BL_FAILED);
    assert_non_null(strstr(bl_error(), "views: view 0 is made from whole scenes and nothing makes them square"));
    assert_ok(bl_view_loader_create(&loader, squares, BL_TRAIN, flips, 2, 0, 1, 1)); // views as large as the square
    bl_loader_free(loader);
    bl_dataset_close(whole), bl_dataset_close(squares);
}

// ---- files that are not as they were ----

static void change_image(const char *root) { save(root, BL_SCENE_TRAIN, "aachen", 1, WIDTH, HEIGHT + 2); }
static void remove_image(const char *root) { assert_int_equal(unlink(path_of(root, IMAGE)), 0); }
static void cut_image(const char *root) { assert_int_equal(truncate(path_of(root, IMAGE), length_of(path_of(root, IMAGE)) - 9), 0); }
static void add_image(const char *root) { save(root, BL_SCENE_TRAIN, "basel", 7, WIDTH, HEIGHT); }
static void change_labels(const char *root) {
    static const uint8_t road[WIDTH * HEIGHT] = {7, 7, 7};
    assert_ok(bl_png_save(path_of(root, LABELS), road, WIDTH, HEIGHT, 1));
}
static void change_nothing(const char *root) { (void)root; }

static void file_that_changes_under_a_loader_is_named_and_the_next_batch_is_spared(void **state) {
    static const struct {
        void (*spoil)(const char *root);
        const char *says;
    } cases[] = {{change_image, "changed since it was first read"}, {remove_image, "No such file"}, {cut_image, "truncated"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *root = make_scored_root();
        bl_dataset *dataset = open_folder(root, SQUARE, false);
        bl_loader *loader;
        float *views = malloc(2 * COUNT * FLOATS * sizeof *views);
        const uint32_t others[2] = {0, 2};
        cases[i].spoil(root);
        assert_ok(bl_view_loader_create(&loader, dataset, BL_TRAIN, recipes, 2, 4, 2, 2));
        assert_ok(bl_loader_submit(loader, 0, samples, COUNT, 6, views, NULL));
        assert_int_equal(bl_loader_wait(loader, 0), BL_FAILED);
        bl_test_holds(bl_error(), IMAGE);
        bl_test_holds(bl_error(), cases[i].says);
        assert_ok(bl_loader_submit(loader, 0, others, 2, 6, views, NULL));
        assert_ok(bl_loader_wait(loader, 0));
        bl_loader_free(loader);
        free(views);
        bl_dataset_close(dataset);
        bl_test_folder_remove(root);
    }
    (void)state;
}

static void first_file_that_is_not_as_a_list_has_it_is_named(void **state) {
    (void)state;
    static const struct {
        bool was_labelled, is_labelled; // when the list was made, and now
        void (*spoil)(const char *root);
        const char *says;               // NULL: nothing
    } cases[] = {
        {true, true, change_nothing, NULL},
        {true, true, change_image, "train/aachen/aachen_000000_000001_leftImg8bit.png: changed since the run began"},
        {true, true, remove_image, "it has no image"}, // at opening
        {false, false, remove_image, "train/aachen/aachen_000000_000001_leftImg8bit.png: gone since the run began"},
        {false, false, cut_image, "aachen_000000_000001_leftImg8bit.png: truncated"}, // at opening
        {false, false, add_image, "train/basel/basel_000000_000007_leftImg8bit.png: new since the run began"},
        {true, true, change_labels, "val/ulm/ulm_000000_000003_gtFine_labelIds.png: changed since the run began"},
        // rows that ask for labels came, or went
        {false, true, change_nothing, NULL},
        {true, false, change_nothing, NULL},
        {false, true, change_labels, NULL},
        {true, false, change_labels, NULL},
        {false, true, change_image, "train/aachen/aachen_000000_000001_leftImg8bit.png: changed since the run began"},
        {true, false, change_image, "train/aachen/aachen_000000_000001_leftImg8bit.png: changed since the run began"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *root = make_scored_root(), digests[2][65];
        bl_dataset_options options = {.name = "cityscapes", .root = root, .scene_splits = train, .labelled = cases[i].was_labelled};
        bl_dataset *before = open_with(&options), *now = NULL;
        bl_dataset_digest(before, digests[0]);
        cases[i].spoil(root);
        options.labelled = cases[i].is_labelled;
        int status = bl_dataset_open(&now, &options);
        if (!status) {
            status = bl_dataset_compare(now, bl_dataset_files(before));
            bl_dataset_digest(now, digests[1]);
            const bool is_same = cases[i].spoil == change_nothing && cases[i].was_labelled == cases[i].is_labelled;
            assert_int_equal(!strcmp(digests[0], digests[1]), is_same);
        }
        if (!cases[i].says) assert_ok(status);
        else if (!status) fail_msg("case %d: nothing is said of \"%s\"", (int)i, cases[i].says);
        else bl_test_holds(bl_error(), cases[i].says);
        bl_dataset_close(before), bl_dataset_close(now);
        bl_test_folder_remove(root);
    }
}

static void list_and_digest_are_the_same_wherever_the_folder_lies_and_tell_streets_apart(void **state) {
    char *other = make_scored_root(), digests[4][65];
    bl_dataset *sets[4] = {open_folder(*state, SQUARE, true), open_folder(other, 0, true), open_streets(SQUARE, true),
                           open_streets(SQUARE, false)};
    for (int i = 0; i < 4; i++) bl_dataset_digest(sets[i], digests[i]);
    assert_string_equal(bl_dataset_files(sets[0]), bl_dataset_files(sets[1]));
    assert_string_equal(digests[0], digests[1]);
    assert_string_not_equal(digests[1], digests[2]);
    assert_string_not_equal(digests[2], digests[3]);
    assert_ok(bl_dataset_compare(sets[3], bl_dataset_files(sets[2])));
    bl_dataset *reseeded = open_with(&(bl_dataset_options){.name = "streets", .seed = 6, .train = 2, .test = 3, .width = WIDTH,
                                                           .height = HEIGHT, .scene_splits = train_and_extra});
    assert_int_equal(bl_dataset_compare(reseeded, bl_dataset_files(sets[2])), BL_FAILED);
    bl_test_holds(bl_error(), "seed 6");
    bl_test_holds(bl_error(), "seed 5");
    assert_int_equal(bl_dataset_compare(sets[0], "# labelled\n"), BL_FAILED); // what is trained on must be in it
    bl_dataset_close(reseeded);
    for (int i = 0; i < 4; i++) bl_dataset_close(sets[i]);
    bl_test_folder_remove(other);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(folder_is_trained_on_without_labels_and_scored_with_them_where_rows_ask),
        cmocka_unit_test(streets_are_train_scenes_of_each_split_and_test_scenes_of_val),
        cmocka_unit_test(streets_may_have_more_scenes_without_labels),
        cmocka_unit_test(images_have_no_scenes_and_no_files),
        WITH_FOLDER(what_cannot_be_opened_is_refused_in_one_line),
        WITH_FOLDER(labels_are_looked_for_where_rows_ask_alone),
        WITH_FOLDER(picture_is_the_square_at_the_place_that_seed_scene_and_epoch_draw),
        WITH_FOLDER(square_of_a_scored_scene_that_is_too_small_is_refused_when_it_is_asked_for),
        WITH_FOLDER(views_are_of_one_decoded_picture_and_the_same_bytes_with_one_two_and_four_threads),
        WITH_FOLDER(whole_scenes_without_a_crop_in_the_recipe_are_refused),
        cmocka_unit_test(file_that_changes_under_a_loader_is_named_and_the_next_batch_is_spared),
        cmocka_unit_test(first_file_that_is_not_as_a_list_has_it_is_named),
        WITH_FOLDER(list_and_digest_are_the_same_wherever_the_folder_lies_and_tell_streets_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
