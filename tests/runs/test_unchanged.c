// A finished run, or a row of it, is passed over only where the data and the weights that it was made from are what they were: by names,
// lengths and what is known of contents at a start, and byte for byte by `byolab data FILE --verify`.

#include <fcntl.h>
#include <sys/stat.h>

#include "encoder_file.h"
#include "run_rig.h"
#include "scenes_rig.h"

enum { SIDE = 320 }; // of a picture: its file is longer than what a start looks at

static char *picture; // one that is trained on
static char said[16384];

static const char recipe[] =
        "data: {dataset: cityscapes, root: '%s', splits: [train], crop: 32}\n"
        "views: [{random_resized_crop: {size: 16, scale: [0.3, 1]}, flip: 0.5, normalize: imagenet}]\n"
        "network: {encoder: resnet18, stem: cifar, width: 2, projector: {hidden: 8, out: 4}}\n"
        "method: {predictor: {hidden: 8}, target: {tau: 0.9}}\n"
        "train: {epochs: 2, batch: 2, optimizer: {kind: adam, lr: 1.0e-3}, seeds: [7], collapse_every: 0}\n"
        "machine: {threads: 1, loader_threads: 1, backend: reference}\n";

static int set_up(void **state) {
    (void)state;
    char *text, *root = joined(bl_test_here(), "data");
    for (int i = 0; i < 4; i++) save(root, BL_SCENE_TRAIN, "aachen", i, SIDE, SIDE);
    sleep(3); // younger files may change within a tick of the clock: nothing is kept of them
    picture = strdup(path_of(root, IMAGE));
    assert_true(asprintf(&text, recipe, root) > 0);
    write_recipe(text);
    setenv("XDG_CACHE_HOME", bl_test_here(), 1);
    setenv("HERE", bl_test_here(), 1);
    free(text), free(root);
    return 0;
}

static int tear_down(void **state) {
    free(picture);
    return bl_test_leave(state);
}

// `byolab WORDS` in the test's folder, which must end so and say that.
static void assert_byolab(const char *words, int ends, const char *says) {
    char *line;
    assert_true(asprintf(&line, "%s --results \"$HERE/results\"", words) > 0);
    const int ended = bl_test_byolab(line, said, sizeof said);
    if (ended != ends) fail_msg("%s: ended with %d: %s", words, ended, said);
    bl_test_holds(said, says);
    free(line);
}

static void flip_a_byte(const char *path) {
    void *bytes;
    size_t size;
    struct stat before;
    assert_int_equal(stat(path, &before), 0);
    assert_ok(bl_read_file(path, &bytes, &size));
    ((char *)bytes)[size / 2] ^= 1;
    FILE *file = fopen(path, "r+b");
    assert_true(file && fwrite(bytes, 1, size, file) == size);
    fclose(file);
    bl_free(bytes);
    assert_int_equal(utimensat(AT_FDCWD, path, (const struct timespec[]){before.st_atim, before.st_mtim}, 0), 0); // as a failing disk leaves them
}

#define RUN "run \"$HERE/recipe.yaml\""
#define VERIFY "data \"$HERE/recipe.yaml\" --verify"
#define NAME "train/aachen/aachen_000000_000001_leftImg8bit.png"

static void run_of_scenes_is_passed_over_while_its_pictures_are_what_they_were(void **state) {
    (void)state;
    assert_byolab(RUN, 0, "Runs:      1 finished");
    assert_byolab(RUN, 0, "main/7: finished before, skipped\n");
    assert_null(strstr(said, "was not read"));
    assert_byolab(VERIFY, 0, "4 files read, digest ");
    bl_test_holds(said, "main/7: as it was\n");

    flip_a_byte(picture); // of the middle: names, lengths, heads and tails are alike
    assert_byolab(RUN, 0, "main/7: of 1 data file names, lengths and checksums are as they were, and the rest was not read: `byolab data FILE --verify` does\n");
    assert_byolab(VERIFY, 1, "main/7: " NAME ": changed since the run began: put the old file back, or begin a new run\n");
    bl_test_holds(said, "byolab data: 1 of 1 runs were made from other data than are there now, or cannot be read\n");
    sleep(3);
    assert_byolab(VERIFY, 1, NAME); // which now knows what the file holds, and so does a start
    assert_byolab(RUN, 1, "it is finished, and data.root (");
    bl_test_holds(said, "does not hold what it was made from: " NAME ": changed since the run began");
    flip_a_byte(picture);
    assert_byolab(VERIFY, 0, "main/7: as it was\n");
}

static void data_that_moved_or_are_gone_are_said(void **state) {
    (void)state;
    char *root = joined(bl_test_here(), "data"), *moved = joined(bl_test_here(), "moved");
    assert_byolab(RUN, 0, "finished");
    assert_int_equal(rename(root, moved), 0);
    assert_byolab(RUN, 0, "main/7: its data could not be compared: data.root (");
    bl_test_holds(said, "main/7: finished before, skipped\n");
    assert_byolab(RUN " --set data.root=\"$HERE/moved\"", 0, "main/7: its data lie in ");
    bl_test_holds(said, "/moved now, and lay in ");
    assert_int_equal(unlink(path_of(moved, IMAGE)), 0);
    assert_byolab(RUN " --set data.root=\"$HERE/moved\"", 1, NAME ": gone since the run began");
    assert_byolab(VERIFY " --set data.root=\"$HERE/moved\"", 1, "main/7: " NAME ": gone since the run began");
    free(root), free(moved);
}

// ---- weights ----

static const char fine_tuned[] =
        "data: {dataset: shapes, train: 20, test: 10}\n"
        "views: [{random_resized_crop: {size: 32}, flip: 0.5, normalize: imagenet}]\n"
        "network: {encoder: resnet18, stem: cifar, width: 2, projector: {hidden: 8, out: 4}}\n"
        "method: {predictor: {hidden: 8}, target: {tau: 0.9}}\n"
        "train: {epochs: 1, batch: 10, optimizer: {kind: adam, lr: 1.0e-3}, seeds: [7], collapse_every: 0}\n"
        "evaluate: [{finetune: {split: test, arms: {w: {weights: '%s/w.safetensors'}}, shares: [100], steps: 2, batch: 10, lr: [0.01]}}]\n"
        "machine: {threads: 1, loader_threads: 1, backend: reference}\n";

#define FIT "run \"$HERE/fit.yaml\""
#define ROW "finetune/w/test"

static void row_of_weights_that_were_replaced_is_measured_anew(void **state) {
    (void)state;
    const bl_encoder_options encoder = {.name = "resnet18", .stem = BL_STEM_CIFAR, .stem_padding = 1, .width = 2, .init = {BL_INIT_KAIMING_FAN_OUT, BL_INIT_UNIFORM_FAN_IN}};
    const bl_preprocessing none = {0};
    char *weights = joined(bl_test_here(), "w.safetensors"), *path = joined(bl_test_here(), "fit.yaml"), *text;
    assert_true(asprintf(&text, fine_tuned, bl_test_here()) > 0);
    write_text(path, text);
    write_encoder(&encoder, 1, weights, none);
    assert_byolab(FIT, 0, ROW);
    assert_byolab(FIT, 0, "main/7: finished before, skipped\n");
    write_encoder(&encoder, 2, weights, none);
    assert_byolab(FIT, 0, ROW ": ");
    bl_test_holds(said, "w.safetensors has changed since: measured anew\n");
    bl_test_holds(said, "1 measurements were made with other options than the file's evaluations now have, or from other files of their arms");
    assert_byolab(FIT, 0, "main/7: finished before, skipped\n");
    write_encoder(&encoder, 1, weights, none);
    assert_byolab(FIT, 0, "it is what it was once before, and that measurement counts again\n");
    assert_int_equal(unlink(weights), 0);
    assert_byolab(FIT, 0, "not there, so that what was measured from it could not be compared");
    free(weights), free(path), free(text);
}

// ---- two files of one name ----

static void runs_of_another_file_of_one_name_are_said(void **state) {
    (void)state;
    static const char *const cells[2] = {"{a: {}, b: {train: {batch: 5}}}", "{c: {train: {batch: 4}}, a: {}}"}, *const folders[2] = {"one", "other"};
    const int length = (int)(strstr(fine_tuned, "evaluate:") - fine_tuned);
    for (int i = 0; i < 2; i++) {
        char *folder = joined(bl_test_here(), folders[i]), *path = joined(folder, "shared.yaml"), *text;
        assert_true(asprintf(&text, "%.*scells: %s\nmachine: {threads: 1, loader_threads: 1, backend: reference}\n", length, fine_tuned, cells[i]) > 0);
        assert_ok(bl_make_folders(folder));
        write_text(path, text);
        free(folder), free(path), free(text);
    }
    assert_byolab("run \"$HERE/one/shared.yaml\"", 0, "Runs:      2 finished");
    assert_null(strstr(said, "Of another file"));
    assert_byolab("status \"$HERE/other/shared.yaml\"", 0, "Others:    the results of shared hold runs of cells that this file has not: b. Another file is called so too");
    assert_byolab("run \"$HERE/other/shared.yaml\"", 0, "byolab: warning: ");
    bl_test_holds(said, "## Of another file");
    assert_byolab("report \"$HERE/one/shared.yaml\"", 0, "cells that this file has not: c.");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_of_scenes_is_passed_over_while_its_pictures_are_what_they_were),
        cmocka_unit_test(data_that_moved_or_are_gone_are_said),
        cmocka_unit_test(row_of_weights_that_were_replaced_is_measured_anew),
        cmocka_unit_test(runs_of_another_file_of_one_name_are_said),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
