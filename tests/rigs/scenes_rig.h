// scenes_rig.h - small folders of street scenes, laid out as Cityscapes is.

#ifndef BL_TESTS_SCENES_RIG_H
#define BL_TESTS_SCENES_RIG_H

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "datasets/scenes/cityscapes.h"
#include "datasets/scenes/scenes.h"
#include "datasets/scenes/streets.h"
#include "support.h"

enum { WIDTH = 48, HEIGHT = 32 };

#define IMAGE "leftImg8bit/train/aachen/aachen_000000_000001_leftImg8bit.png"
#define EXTRA_LABELS "gtFine/train_extra/bonn/bonn_000000_000004_gtFine_labelIds.png"

static inline bl_scene drawn(bl_scene_split split, int number, int width, int height) {
    bl_scene scene = {0};
    assert_ok(bl_streets_draw(1, split, (uint32_t)number, width, height, &scene));
    return scene;
}

static inline void save(const char *root, bl_scene_split split, const char *city, int number, int width, int height) {
    bl_scene scene = drawn(split, number, width, height);
    assert_ok(bl_scene_save(&scene, root, split, city, number));
    bl_scene_free(&scene);
}

// Until it is called again.
static inline const char *path_of(const char *root, const char *rest) {
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", root, rest);
    return path;
}

static inline long length_of(const char *path) {
    struct stat facts;
    assert_int_equal(stat(path, &facts), 0);
    return (long)facts.st_size;
}

// Three scenes to train on in two cities, one of val, and one without labels of this size.
static inline char *make_root(int extra_width, int extra_height) {
    char *root = bl_test_folder();
    save(root, BL_SCENE_TRAIN, "zurich", 2, WIDTH, HEIGHT);
    save(root, BL_SCENE_TRAIN, "aachen", 1, WIDTH, HEIGHT);
    save(root, BL_SCENE_TRAIN, "aachen", 0, WIDTH, HEIGHT);
    save(root, BL_SCENE_VAL, "ulm", 3, WIDTH, HEIGHT);
    save(root, BL_SCENE_TRAIN_EXTRA, "bonn", 4, extra_width, extra_height);
    assert_int_equal(unlink(path_of(root, EXTRA_LABELS)), 0);
    return root;
}

static inline int remove_folder(void **state) {
    bl_test_folder_remove(*state);
    return 0;
}

#endif
