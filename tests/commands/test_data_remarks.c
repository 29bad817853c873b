// What a data set says of itself reaches the user: in check, in data preview and as a run begins, once.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "scenes_rig.h"

#define README "data: leftImg8bit/train: passed over: 1 file or folder that is no scene (aachen/README)\n"

static const char recipe[] =
        "data: {dataset: cityscapes, root: %s, splits: [train]}\n"
        "views:\n"
        "  - {random_resized_crop: {size: 16, scale: [0.3, 1]}, flip: 0.5, normalize: imagenet}\n"
        "network: {encoder: resnet18, stem: cifar, width: 4, projector: {hidden: 8, out: 4}}\n"
        "method: {predictor: {kind: mlp, hidden: 8}, target: {source: ema, tau: 0.9}}\n"
        "train: {epochs: 1, batch: 2, optimizer: {kind: sgd, lr: 0.05}, precision: f32, seeds: [0, 1]}\n"
        "machine: {backend: %s}\n";

static int byolab(const char *verb, const char *file, const char *rest, char says[8192]) {
    char words[8192];
    snprintf(words, sizeof words, "%s %s %s", verb, file, rest);
    return bl_test_byolab(words, says, 8192);
}

static int times_in(const char *text, const char *part) {
    int count = 0;
    for (; (text = strstr(text, part)); text += strlen(part)) count++;
    return count;
}

static void files_that_are_passed_over_are_said_wherever_the_folder_is_opened(void **state) {
    (void)state;
    char *root = make_root(WIDTH, HEIGHT), *file = strdup(path_of(bl_test_here(), "recipe.yaml")), rest[4096], says[8192], text[4096];
    snprintf(text, sizeof text, recipe, root, bl_test_backend());
    assert_ok(bl_atomic_write(file, text, strlen(text)));
    assert_ok(bl_atomic_write(path_of(root, "leftImg8bit/train/aachen/README"), "x", 1));

    assert_int_equal(byolab("check", file, "", says), 0);
    bl_test_holds(says, README);
    snprintf(rest, sizeof rest, "--out %s/sheet.png", bl_test_here());
    assert_int_equal(byolab("data preview", file, rest, says), 0);
    bl_test_holds(says, README);
    snprintf(rest, sizeof rest, "--results %s/results", bl_test_here());
    if (byolab("run", file, rest, says)) fail_msg("%s", says);
    assert_int_equal(times_in(says, README), 1); // of two runs on the same data

    assert_int_equal(symlink("/mnt/not/there", path_of(root, "leftImg8bit/train/ulm")), 0);
    assert_int_equal(byolab("check", file, "", says), 0); // data may come before the run does
    bl_test_holds(says, "data: warning: ");
    bl_test_holds(says, "leftImg8bit/train/ulm: a link to /mnt/not/there, where nothing is");
    free(file);
    bl_test_folder_remove(root);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_that_are_passed_over_are_said_wherever_the_folder_is_opened),
    };
    return cmocka_run_group_tests(tests, NULL, bl_test_leave);
}
