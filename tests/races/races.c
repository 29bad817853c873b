// races.c - what byolab does on several threads at once, for the thread sanitizer: the pool, loaders of images and of scenes, label maps
// that are checked together, what is known of files' contents, and the checkpoint that is written while its run goes on. Whether the values
// are right is for the other tests.
//
// usage: races FOLDER; races is-seen: one race on purpose, which must end the program with the sanitizer's status

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/contents.h"
#include "base/file.h"
#include "base/threads.h"
#include "datasets/dataset.h"
#include "datasets/scene_loader.h"
#include "datasets/scenes/cityscapes.h"
#include "datasets/scenes/streets.h"
#include "datasets/view_loader.h"
#include "record/keeper.h"

#define MUST(call) must((call) == BL_OK, #call)

static void must(bool holds, const char *what) {
    if (holds) return;
    fprintf(stderr, "%s: %s\n", what, bl_error());
    exit(1);
}

// Each on a thread of its own, at once.
static void at_once(void *(*const what[])(void *), int count, void *context) {
    pthread_t threads[8];
    for (int i = 0; i < count; i++) must(!pthread_create(&threads[i], NULL, what[i], context), "pthread_create");
    for (int i = 0; i < count; i++) pthread_join(threads[i], NULL);
}

// ---- the pool ----

enum { TASKS = 64, BATCHES = 3 };

static int mark(void *context, int index) {
    int *marks = context;
    marks[index] += index + 1;
    return index == 40 && marks[TASKS] ? bl_fail("task %d", index) : BL_OK;
}

static void *use_pool(void *context) {
    static _Thread_local int marks[BATCHES][TASKS + 1];
    bl_pool *pool = context;
    bl_batch *batches[BATCHES];
    for (int b = 0; b < BATCHES; b++) MUST(bl_batch_create(&batches[b]));
    for (int round = 0; round < 20; round++) {
        for (int b = 0; b < BATCHES; b++) {
            marks[b][TASKS] = b == 1;
            bl_pool_submit(pool, batches[b], TASKS, mark, marks[b]);
        }
        for (int b = 0; b < BATCHES; b++) must((bl_pool_wait(pool, batches[b]) == BL_FAILED) == (b == 1), "a failing task, and it alone, is told");
    }
    for (int b = 0; b < BATCHES; b++) must(marks[b][9] == 200, "each task runs once a round");
    for (int b = 0; b < BATCHES; b++) bl_batch_free(batches[b]);
    return NULL;
}

static void share_a_pool(void) {
    bl_pool *pool;
    MUST(bl_pool_create(&pool, 4));
    at_once((void *(*const[])(void *)){use_pool, use_pool, use_pool}, 3, pool);
    bl_pool_free(pool);
}

// ---- loaders ----

enum { SLOTS = 3, COUNT = 10, SIDE = 16 };

// Slots are filled while others are waited for; every batch holds a sample twice.
static void turn(bl_loader *loader, int floats, bool is_labelled) {
    float *images[SLOTS], labels[SLOTS][COUNT * SIDE * SIDE] = {0};
    uint32_t samples[COUNT];
    for (int s = 0; s < SLOTS; s++) images[s] = malloc((size_t)floats * sizeof **images);
    for (int step = 0; step < 12; step++) {
        const int slot = step % SLOTS;
        if (step >= SLOTS) {
            MUST(bl_loader_wait(loader, slot));
            images[slot][0] = images[slot][floats - 1] + labels[slot][0]; // ours again
        }
        for (int i = 0; i < COUNT; i++) samples[i] = (uint32_t)((step + i) % (COUNT - 1)) / 2;
        MUST(bl_loader_submit(loader, slot, samples, COUNT, (uint32_t)step, images[slot], is_labelled ? labels[slot] : NULL));
        memset(samples, 0xff, sizeof samples);
    }
    bl_loader_free(loader); // while they are filled
    for (int s = 0; s < SLOTS; s++) free(images[s]);
}

static void *load_views(void *context) {
    const bl_dataset *dataset = context;
    const bl_recipe recipe = {.items = {{.kind = BL_RANDOM_RESIZED_CROP, .p = 1, .size = SIDE, .scale = {0.2, 1}, .ratio = {0.75, 4.0 / 3}, .antialias = true},
                                        {.kind = BL_COLOR_JITTER, .p = 0.8, .brightness = 0.8, .hue = 0.2},
                                        {.kind = BL_GAUSSIAN_BLUR, .p = 0.5, .kernel = 3, .sigma = {0.1, 2}}},
                              .count = 3};
    const bl_recipe recipes[2] = {recipe, recipe};
    bl_loader *loader;
    MUST(bl_view_loader_create(&loader, dataset, BL_TRAIN, recipes, 2, 7, 3, SLOTS));
    turn(loader, 2 * COUNT * 3 * SIDE * SIDE, !bl_dataset_is_decoded(dataset));
    return NULL;
}

static void share_a_dataset(const bl_dataset_options *options) {
    bl_dataset *dataset;
    MUST(bl_dataset_open(&dataset, options));
    at_once((void *(*const[])(void *)){load_views, load_views}, 2, dataset);
    bl_dataset_close(dataset);
}

static void *load_scenes(void *context) {
    const bl_scene_recipe recipe = {.width = SIDE, .height = SIDE, .scale = {0.5, 1}, .antialias = true, .flip = 0.5};
    bl_loader *loader;
    MUST(bl_scene_loader_create(&loader, context, &recipe, 7, 3, SLOTS));
    turn(loader, COUNT * 3 * SIDE * SIDE, true);
    return NULL;
}

// Drawn ones are kept by whichever thread drew them first; files are decoded each time, and what they hold is written down.
static void share_scenes(const bl_scenes_options *options) {
    bl_scenes *scenes;
    bl_pool *pool;
    MUST(bl_scenes_open(&scenes, options));
    MUST(bl_pool_create(&pool, 3));
    MUST(bl_scenes_check_labels(scenes, pool));
    at_once((void *(*const[])(void *)){load_scenes, load_scenes}, 2, scenes);
    bl_pool_free(pool);
    bl_scenes_close(scenes);
}

static void save_scenes(const char *root) {
    for (int i = 0; i < COUNT; i++) {
        bl_scene scene = {0};
        MUST(bl_streets_draw(1, BL_SCENE_TRAIN, (uint32_t)i, 48, 32, &scene));
        MUST(bl_scene_save(&scene, root, BL_SCENE_TRAIN, "aachen", i));
        bl_scene_free(&scene);
    }
    sleep(3); // of younger files nothing is kept (base/contents.h)
}

// ---- a checkpoint beside its run ----

static void keep(const char *folder) {
    enum { VALUES = 4096 };
    static double values[VALUES];
    bl_keeper *keeper;
    char path[4096];
    snprintf(path, sizeof path, "%s/run.ckpt", folder);
    MUST(bl_keeper_create(&keeper, (bl_interval){.seconds = 0.01}));
    for (int64_t step = 1; step <= 40; step++) {
        for (int i = 0; i < VALUES; i++) values[i] += (double)step;
        if (!bl_keeper_is_due(keeper, step) && step % 8) continue;
        bl_container_writer *writer;
        MUST(bl_container_writer_create(&writer));
        MUST(bl_container_put_f64(writer, "/values", values, (int64_t[]){VALUES}, 1));
        MUST(bl_keeper_write(keeper, writer, path));
        if (step % 3) continue;
        bl_container_reader *reader = NULL; // of the one before, while this one is written
        if (bl_file_exists(path)) MUST(bl_container_reader_open(&reader, path));
        bl_container_reader_close(reader);
    }
    MUST(bl_keeper_wait(keeper));
    bl_keeper_free(keeper);
}

// ---- one on purpose ----

static int unguarded;
static void *race(void *context) {
    unguarded++;
    return context;
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    if (!strcmp(argv[1], "is-seen")) {
        at_once((void *(*const[])(void *)){race, race}, 2, NULL);
        return unguarded != 2;
    }
    setenv("XDG_CACHE_HOME", argv[1], 1);
    share_a_pool();
    save_scenes(argv[1]);
    share_a_dataset(&(bl_dataset_options){.name = "shapes", .train = COUNT, .test = COUNT});
    share_a_dataset(&(bl_dataset_options){.name = "cityscapes", .root = argv[1], .scene_splits = 1u << BL_SCENE_TRAIN, .crop = 32});
    share_scenes(&(bl_scenes_options){.format = &bl_streets, .splits = 1u << BL_SCENE_TRAIN, .labelled = true, .seed = 1, .count = COUNT, .width = 48, .height = 32});
    share_scenes(&(bl_scenes_options){.format = &bl_cityscapes, .root = argv[1], .splits = 1u << BL_SCENE_TRAIN, .labelled = true});
    keep(argv[1]);
    return 0;
}
