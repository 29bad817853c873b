#include "datasets/scene_loader.h"

#include <pthread.h>
#include <string.h>

#include "base/threads.h"

typedef struct staging {
    bl_scene_loader *loader;
    bl_batch *batch;
    uint32_t *samples;
    int count, capacity;
    uint32_t epoch;
    float *images, *labels;
    bool busy; // submitted and not yet waited for
} staging;

typedef struct workspace {
    bl_scene scene;
    bl_scene_scratch scratch;
} workspace;

struct bl_scene_loader {
    const bl_scenes *scenes;
    bl_scene_recipe recipe;
    uint64_t seed;
    bl_pool *pool;
    staging *slots;
    int slot_count;
    // A workspace is taken by a running task and put back, so that there is one a thread.
    pthread_mutex_t mutex;
    workspace *spaces;
    int space_count, space_free; // spaces[0 .. space_free-1] are not in use
};

static workspace take_space(bl_scene_loader *loader) {
    pthread_mutex_lock(&loader->mutex);
    workspace space = loader->spaces[--loader->space_free];
    pthread_mutex_unlock(&loader->mutex);
    return space;
}

static void put_space(bl_scene_loader *loader, workspace space) {
    pthread_mutex_lock(&loader->mutex);
    loader->spaces[loader->space_free++] = space;
    pthread_mutex_unlock(&loader->mutex);
}

static int fill(void *context, int i) {
    staging *slot = context;
    bl_scene_loader *loader = slot->loader;
    const bl_scene_recipe *recipe = &loader->recipe;
    size_t area = (size_t)recipe->width * recipe->height;
    workspace space = take_space(loader);
    int status = bl_scenes_read(loader->scenes, slot->samples[i], &space.scene);
    if (!status)
        status = bl_scene_view_make(recipe, loader->seed, slot->samples[i], slot->epoch, &space.scene, slot->images + 3 * area * (size_t)i,
                                    slot->labels ? slot->labels + area * (size_t)i : NULL, &space.scratch);
    put_space(loader, space);
    return status;
}

int bl_scene_loader_create(bl_scene_loader **out, const bl_scenes *scenes, const bl_scene_recipe *recipe, uint64_t seed, int threads,
                           int slots) {
    *out = NULL;
    if (bl_scene_recipe_check(recipe)) return BL_FAILED;
    bl_scene_loader *loader = bl_alloc(sizeof *loader);
    if (!loader) return BL_FAILED;
    *loader = (bl_scene_loader){.scenes = scenes, .recipe = *recipe, .seed = seed, .slot_count = slots, .space_count = threads,
                                .space_free = threads};
    pthread_mutex_init(&loader->mutex, NULL);
    loader->slots = bl_alloc((size_t)slots * sizeof *loader->slots);
    loader->spaces = bl_alloc((size_t)threads * sizeof *loader->spaces);
    if (!loader->slots || !loader->spaces || bl_pool_create(&loader->pool, threads)) goto failed;
    for (int i = 0; i < slots; ++i) {
        loader->slots[i].loader = loader;
        if (bl_batch_create(&loader->slots[i].batch)) goto failed;
    }
    *out = loader;
    return BL_OK;
failed:
    bl_scene_loader_free(loader);
    return BL_FAILED;
}

void bl_scene_loader_free(bl_scene_loader *loader) {
    if (!loader) return;
    bl_pool_free(loader->pool); // waits for what runs
    for (int i = 0; loader->slots && i < loader->slot_count; ++i) {
        bl_batch_free(loader->slots[i].batch);
        bl_free(loader->slots[i].samples);
    }
    for (int i = 0; loader->spaces && i < loader->space_count; ++i) {
        bl_scene_free(&loader->spaces[i].scene);
        bl_scene_scratch_free(&loader->spaces[i].scratch);
    }
    bl_free(loader->slots);
    bl_free(loader->spaces);
    pthread_mutex_destroy(&loader->mutex);
    bl_free(loader);
}

int bl_scene_loader_submit(bl_scene_loader *loader, int index, const uint32_t *samples, int count, uint32_t epoch, float *images,
                           float *labels) {
    staging *slot = &loader->slots[index];
    int64_t available = bl_scenes_count(loader->scenes);
    if (slot->busy) return bl_fail("loader: slot %d is filled again before it was waited for", index);
    for (int i = 0; i < count; ++i)
        if (samples[i] >= available) return bl_fail("loader: scene %u is past the %lld of the set", samples[i], (long long)available);
    if (count > slot->capacity) {
        bl_free(slot->samples);
        slot->capacity = 0;
        slot->samples = bl_alloc((size_t)count * sizeof *slot->samples);
        if (!slot->samples) return BL_FAILED;
        slot->capacity = count;
    }
    memcpy(slot->samples, samples, (size_t)count * sizeof *samples);
    slot->count = count;
    slot->epoch = epoch;
    slot->images = images;
    slot->labels = labels;
    slot->busy = true;
    bl_pool_submit(loader->pool, slot->batch, count, fill, slot);
    return BL_OK;
}

int bl_scene_loader_wait(bl_scene_loader *loader, int index) {
    loader->slots[index].busy = false;
    return bl_pool_wait(loader->pool, loader->slots[index].batch);
}
