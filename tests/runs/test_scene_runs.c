// Runs that pretrain on street scenes: what they are fed, that they continue bit for bit, and that a folder which is not as it was when
// the run began stops them with the file's name.

#include "datasets/labels.h"
#include "datasets/scenes/cityscapes.h"
#include "datasets/scenes/streets.h"
#include "datasets/view_loader.h"
#include "run_rig.h"
#include "train/loop.h"

enum { WIDTH = 48, HEIGHT = 32, SQUARE = 32, OUT = 16, FLOATS = 3 * OUT * OUT };

static char *root; // three scenes of train, one of train_extra, one of val

static void save(bl_scene_split split, const char *city, int number) {
    bl_scene scene = {0};
    assert_ok(bl_streets_draw(1, split, (uint32_t)number, WIDTH, HEIGHT, &scene));
    assert_ok(bl_scene_save(&scene, root, split, city, number));
    bl_scene_free(&scene);
}

static const char recipe[] =
        "data: {dataset: cityscapes, root: %s, splits: [train, train_extra], crop: 32}\n"
        "views:\n"
        "  - {random_resized_crop: {size: 16, scale: [0.3, 1]}, flip: 0.5, color_jitter: {p: 0.8, brightness: 0.4}, normalize: imagenet}\n"
        "network: {encoder: resnet18, stem: cifar, width: 4, projector: {hidden: 8, out: 4}}\n"
        "method: {predictor: {kind: mlp, hidden: 8}, target: {source: ema, tau: 0.9}}\n"
        "train: {epochs: 3, batch: 2, optimizer: {kind: sgd, lr: 0.05, momentum: 0.9}, precision: f32, log_every: 1, checkpoint_every: 1,\n"
        "        collapse_every: 0}\n";

static int set_up(void **state) {
    (void)state;
    char *text;
    root = bl_test_folder();
    for (int i = 0; i < 3; i++) save(BL_SCENE_TRAIN, i < 2 ? "aachen" : "zurich", i);
    save(BL_SCENE_TRAIN_EXTRA, "bonn", 3);
    save(BL_SCENE_VAL, "ulm", 4);
    assert_true(asprintf(&text, recipe, root) > 0);
    write_recipe(text);
    free(text);
    return 0;
}

static int tear_down(void **state) {
    bl_test_folder_remove(root);
    return bl_test_leave(state);
}

// ---- what a run is fed ----

static const bl_recipe views[BL_VIEWS] = {
    {.items = {{.kind = BL_RANDOM_RESIZED_CROP, .p = 1, .size = OUT, .scale = {0.3, 1}, .ratio = {0.75, 4.0 / 3}, .antialias = true}},
     .count = 1},
    {.items = {{.kind = BL_CENTER_CROP, .p = 1, .resize = OUT, .size = OUT}}, .count = 1},
};

static void feed_gives_both_views_of_each_scene_from_one_square(void **state) {
    (void)state;
    enum { COUNT = 3 };
    const bl_dataset_options sets[2] = {
        {.name = "cityscapes", .root = root, .scene_splits = 1u << BL_SCENE_TRAIN, .crop = SQUARE},
        {.name = "streets", .train = 3, .test = 1, .width = WIDTH, .height = HEIGHT, .scene_splits = 1u << BL_SCENE_TRAIN, .crop = SQUARE},
    };
    static const uint32_t samples[COUNT] = {2, 0, 1};
    for (int s = 0; s < 2; s++) {
        float images[2 * COUNT * FLOATS], view[FLOATS];
        bl_dataset *dataset;
        bl_loader *loader;
        bl_picture picture = {0};
        bl_view_scratch scratch = {0};
        assert_ok(bl_dataset_open(&dataset, &sets[s]));
        assert_ok(bl_view_loader_create(&loader, dataset, BL_TRAIN, views, BL_VIEWS, 7, 2, BL_STAGING_SLOTS));
        assert_ok(bl_loader_submit(loader, 1, samples, COUNT, 5, images, NULL));
        assert_ok(bl_loader_wait(loader, 1));
        for (int i = 0; i < COUNT; i++) {
            assert_ok(bl_dataset_picture(dataset, BL_TRAIN, samples[i], 7, 5, &picture));
            for (int v = 0; v < BL_VIEWS; v++) {
                assert_ok(bl_view_make(&views[v], 7, samples[i], 5, (uint32_t)v, picture.pixels, bl_square(SQUARE), view, &scratch));
                assert_memory_equal(images + (v * COUNT + i) * FLOATS, view, sizeof view);
            }
        }
        bl_loader_free(loader);
        bl_picture_free(&picture);
        bl_view_scratch_free(&scratch);
        bl_dataset_close(dataset);
    }
}

// ---- a folder that changes ----

#define NAME "train/aachen/aachen_000000_000001_leftImg8bit.png"

static void change(const char *path) {
    static const uint8_t black[3 * WIDTH * HEIGHT];
    assert_ok(bl_png_save(path, black, WIDTH, HEIGHT, 3));
}
static void take_away(const char *path) { assert_int_equal(unlink(path), 0); }
static void cut(const char *path) { assert_int_equal(truncate(path, 100), 0); }

static const struct {
    void (*spoil)(const char *path);
    const char *says;
} wrongs[] = {{change, NAME ": changed since the run began"}, {take_away, NAME ": gone since the run began"}, {cut, NAME ": truncated"}};

static void continue_refused(plan_of_run plan, const char *image) {
    void *bytes;
    size_t size;
    char says[512];
    assert_ok(bl_read_file(image, &bytes, &size));
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
        wrongs[i].spoil(image);
        assert_int_equal(run_child(plan, says), 1);
        bl_test_holds(says, wrongs[i].says);
        assert_ok(bl_atomic_write(image, bytes, size));
    }
    bl_free(bytes);
}

static void killed_run_names_the_file_that_is_not_as_it_was_and_continues_bit_for_bit_once_it_is(void **state) {
    (void)state;
    char *whole = joined(bl_test_here(), "whole"), *broken = joined(bl_test_here(), "broken"), *image = joined(root, "/leftImg8bit/" NAME), says[512];
    plan_of_run plan = {.backend = bl_test_backend(), .results = whole};
    if (run_child(plan, says)) fail_msg("%s", says);
    plan.results = broken;
    plan.kill_at = 3; // of 6, in the second epoch
    assert_int_equal(run_child(plan, says), SIGKILL);
    plan.kill_at = 0;
    continue_refused(plan, image);
    if (run_child(plan, says)) fail_msg("%s", says);
    char *a = run_file(whole, plan.backend), *b = run_file(broken, plan.backend);
    assert_same_run(a, b);
    free(a), free(b), free(whole), free(broken), free(image);
}

#define ROWS "[{segmentation: {arms: [random], shares: [100], steps: 1, batch: 1, crop: 32, pictures: 0}}]"

// The labels were not there when it was trained: what was is compared.
static void finished_run_is_given_rows_with_labels_where_its_own_scenes_are_as_they_were(void **state) {
    (void)state;
    char *results = joined(bl_test_here(), "later"), *image = joined(root, "/leftImg8bit/" NAME), says[512];
    plan_of_run plan = {.backend = bl_test_backend(), .results = results};
    if (run_child(plan, says)) fail_msg("%s", says);
    plan.more[0] = (bl_override){"evaluate", ROWS};
    char *path = run_file(results, plan.backend), *files[2] = {text_in(path, "/data/files")};

    void *bytes;
    size_t size;
    assert_ok(bl_read_file(image, &bytes, &size));
    change(image);
    assert_int_equal(run_child(plan, says), 1);
    bl_test_holds(says, wrongs[0].says);
    assert_ok(bl_atomic_write(image, bytes, size));
    if (run_child(plan, says)) fail_msg("%s", says);

    bl_history history = history_in(path);
    files[1] = text_in(path, "/data/files");
    assert_int_equal(history.measurement_count, 1);
    assert_int_equal(history.step_count, 6);
    assert_null(strstr(files[0], "ulm"));
    assert_int_equal(strncmp(files[1], files[0], strlen(files[0])), 0);
    bl_test_holds(files[1], "# scored\nval/ulm/ulm_000000_000004_leftImg8bit.png ");
    bl_history_free(&history);
    for (int i = 0; i < 2; i++) bl_free(files[i]);
    bl_free(bytes);
    free(path), free(image), free(results);
}

// Of val, which is read last: training takes hours, and must not end there.
static void unknown_id_is_named_before_the_first_step(void **state) {
    (void)state;
    char *results = joined(bl_test_here(), "ids"), *labels = joined(root, "/gtFine/val/ulm/ulm_000000_000004_gtFine_labelIds.png"), says[512];
    plan_of_run plan = {.backend = bl_test_backend(), .results = results, .more = {{"evaluate", ROWS}}};
    char *path = run_file(results, plan.backend), *checkpoint;
    uint8_t ids[WIDTH * HEIGHT] = {7, 34};
    void *bytes;
    size_t size;
    assert_true(asprintf(&checkpoint, "%.*s.ckpt", (int)(strlen(path) - strlen(".h5")), path) > 0);
    assert_ok(bl_read_file(labels, &bytes, &size));
    assert_ok(bl_png_save(labels, ids, WIDTH, HEIGHT, 1));
    assert_int_equal(run_child(plan, says), 1);
    bl_test_holds(says, "ulm_000000_000004_gtFine_labelIds.png: the pixel in column 1, row 0 holds 34, which is no label id");
    assert_ok(bl_atomic_write(labels, bytes, size));
    assert_false(bl_file_exists(path));
    assert_false(bl_file_exists(checkpoint));
    bl_free(bytes);
    free(path), free(checkpoint), free(labels), free(results);
}

// Which scene is held out is drawn: the map of that one is emptied. Listed, the first one is what a third of three is.
static void share_without_a_pixel_of_a_class_is_refused_before_the_first_step(void **state) {
    (void)state;
    static const char *const maps[3] = {"aachen/aachen_000000_000000", "aachen/aachen_000000_000001", "zurich/zurich_000000_000002"};
    static const uint8_t unlabelled[WIDTH * HEIGHT];
    bl_labelled labelled;
    assert_ok(bl_labels_choose_scenes(&labelled, 3, 100, false, .3, 7));
    assert_int_equal(labelled.held_out_count, 1);
    const struct {
        uint32_t emptied;
        const char *rows, *says;
    } cases[] = {
        {0, "[{segmentation: {arms: [random], shares: [34], labels: listed, steps: 1, batch: 1, crop: 32, pictures: 0}}]",
         "no pixel is of a class in the 1 scene that it learns from (train/aachen/aachen_000000_000000): write a larger share"},
        {labelled.held_out[0], "[{segmentation: {arms: [random], shares: [100], validation: 0.3, lr: [0.1, 0.2], steps: 1, batch: 1, crop: 32, pictures: 0}}]",
         "no pixel is of a class in the 1 scene that it holds out (train/"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *results = joined(bl_test_here(), "empty"), *map, says[512];
        plan_of_run plan = {.backend = bl_test_backend(), .results = results, .more = {{"evaluate", cases[i].rows}}};
        char *path = run_file(results, plan.backend);
        void *bytes;
        size_t size;
        assert_true(asprintf(&map, "%s/gtFine/train/%s_gtFine_labelIds.png", root, maps[cases[i].emptied]) > 0);
        assert_ok(bl_read_file(map, &bytes, &size));
        assert_ok(bl_png_save(map, unlabelled, WIDTH, HEIGHT, 1));
        assert_int_equal(run_child(plan, says), 1);
        bl_test_holds(says, cases[i].says);
        assert_ok(bl_atomic_write(map, bytes, size));
        assert_false(bl_file_exists(path));
        bl_free(bytes);
        free(path), free(map), free(results);
    }
    bl_labelled_free(&labelled);
}

// How many steps an epoch has is known once the folder is opened: two, here.
static void schedule_without_room_is_refused_at_its_key_before_the_first_step(void **state) {
    (void)state;
    static const struct {
        const char *key, *value, *says;
    } cases[] = {
        {"train.warmup", "0.2", "train.warmup: 0.2 epochs are less than a step"},
        {"train", "{schedule: step, milestones: [2.8]}", "train.milestones: 2.8 is never passed, 6 steps of 6"},
        {"evaluate", "[{segmentation: {arms: [random], crop: 32, batch: 2, epochs: 2, warmup_steps: 4, shares: [100], pictures: 0}}]",
         "evaluate.segmentation.warmup_steps: 4 of 2"},
    };
    char *results = joined(bl_test_here(), "lengths"), says[512];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const plan_of_run plan = {.backend = bl_test_backend(), .results = results, .more = {{cases[i].key, cases[i].value}}};
        char *path = run_file(results, plan.backend);
        assert_int_equal(run_child(plan, says), 1);
        bl_test_holds(says, cases[i].says);
        assert_false(bl_file_exists(path));
        free(path);
    }
    free(results);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(feed_gives_both_views_of_each_scene_from_one_square),
        cmocka_unit_test(killed_run_names_the_file_that_is_not_as_it_was_and_continues_bit_for_bit_once_it_is),
        cmocka_unit_test(finished_run_is_given_rows_with_labels_where_its_own_scenes_are_as_they_were),
        cmocka_unit_test(unknown_id_is_named_before_the_first_step),
        cmocka_unit_test(share_without_a_pixel_of_a_class_is_refused_before_the_first_step),
        cmocka_unit_test(schedule_without_room_is_refused_at_its_key_before_the_first_step),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
