#include "datasets/loader.h"

#include <pthread.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "base/threads.h"

enum { SAMPLES_A_TASK = 8 }; // long enough (about 20 us a view of 32 pixels) that handing out tasks costs nothing

typedef struct staging {
    bl_loader *loader;
    bl_batch *batch;
    uint32_t *samples;
    int count, capacity;
    uint32_t epoch;
    float *dst;
    bool busy; // submitted and not yet waited for
} staging;

struct bl_loader {
    const bl_dataset *dataset;
    bl_split split;
    const bl_recipe *recipes;
    int views;
    uint64_t seed;
    int out; // pixels a side of every view
    bl_pool *pool;
    staging *slots;
    int slot_count;
    // Scratch is taken by a running task and put back, so that there is one a thread.
    pthread_mutex_t mutex;
    bl_view_scratch *scratch;
    int scratch_count, scratch_free; // scratch[0 .. scratch_free-1] are not in use
};

static bl_view_scratch take_scratch(bl_loader *loader) {
    pthread_mutex_lock(&loader->mutex);
    bl_view_scratch scratch = loader->scratch[--loader->scratch_free];
    pthread_mutex_unlock(&loader->mutex);
    return scratch;
}

static void put_scratch(bl_loader *loader, bl_view_scratch scratch) {
    pthread_mutex_lock(&loader->mutex);
    loader->scratch[loader->scratch_free++] = scratch;
    pthread_mutex_unlock(&loader->mutex);
}

static int fill(void *context, int task) {
    staging *slot = context;
    bl_loader *loader = slot->loader;
    size_t floats = 3 * (size_t)loader->out * loader->out;
    int size = bl_dataset_size(loader->dataset), first = task * SAMPLES_A_TASK;
    int end = first + SAMPLES_A_TASK < slot->count ? first + SAMPLES_A_TASK : slot->count;
    bl_view_scratch scratch = take_scratch(loader);
    int status = BL_OK;
    for (int v = 0; v < loader->views && !status; ++v)
        for (int i = first; i < end && !status; ++i)
            status = bl_view_make(&loader->recipes[v], loader->seed, slot->samples[i], slot->epoch, (uint32_t)v,
                                  bl_dataset_image(loader->dataset, loader->split, slot->samples[i]), size,
                                  slot->dst + ((size_t)v * slot->count + i) * floats, &scratch);
    put_scratch(loader, scratch);
    return status;
}

int bl_loader_create(bl_loader **out, const bl_dataset *dataset, bl_split split, const bl_recipe *recipes, int views, uint64_t seed,
                     int threads, int slots) {
    *out = NULL;
    int size = bl_dataset_size(dataset), view_size = bl_recipe_size(&recipes[0], size);
    for (int v = 1; v < views; ++v)
        if (bl_recipe_size(&recipes[v], size) != view_size)
            return bl_fail("views: view 0 has %d pixels a side and view %d has %d: both must have the same size", view_size, v,
                           bl_recipe_size(&recipes[v], size));
    bl_loader *loader = bl_alloc(sizeof *loader);
    if (!loader) return BL_FAILED;
    *loader = (bl_loader){.dataset = dataset, .split = split, .recipes = recipes, .views = views, .seed = seed, .out = view_size,
                          .slot_count = slots, .scratch_count = threads, .scratch_free = threads};
    pthread_mutex_init(&loader->mutex, NULL);
    loader->slots = bl_alloc((size_t)slots * sizeof *loader->slots);
    loader->scratch = bl_alloc((size_t)threads * sizeof *loader->scratch);
    if (!loader->slots || !loader->scratch || bl_pool_create(&loader->pool, threads)) goto failed;
    for (int i = 0; i < slots; ++i) {
        loader->slots[i].loader = loader;
        if (bl_batch_create(&loader->slots[i].batch)) goto failed;
    }
    *out = loader;
    return BL_OK;
failed:
    bl_loader_free(loader);
    return BL_FAILED;
}

void bl_loader_free(bl_loader *loader) {
    if (!loader) return;
    bl_pool_free(loader->pool); // waits for what runs
    for (int i = 0; loader->slots && i < loader->slot_count; ++i) {
        bl_batch_free(loader->slots[i].batch);
        bl_free(loader->slots[i].samples);
    }
    for (int i = 0; loader->scratch && i < loader->scratch_count; ++i) bl_view_scratch_free(&loader->scratch[i]);
    bl_free(loader->slots);
    bl_free(loader->scratch);
    pthread_mutex_destroy(&loader->mutex);
    bl_free(loader);
}

int bl_loader_submit(bl_loader *loader, int index, const uint32_t *samples, int count, uint32_t epoch, float *dst) {
    staging *slot = &loader->slots[index];
    int64_t available = bl_dataset_count(loader->dataset, loader->split);
    if (slot->busy) return bl_fail("loader: slot %d is filled again before it was waited for", index);
    for (int i = 0; i < count; ++i)
        if (samples[i] >= available)
            return bl_fail("loader: sample %u is past the %lld images of %s", samples[i], (long long)available,
                           bl_split_name(loader->split));
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
    slot->dst = dst;
    slot->busy = true;
    bl_pool_submit(loader->pool, slot->batch, (count + SAMPLES_A_TASK - 1) / SAMPLES_A_TASK, fill, slot);
    return BL_OK;
}

int bl_loader_wait(bl_loader *loader, int index) {
    loader->slots[index].busy = false;
    return bl_pool_wait(loader->pool, loader->slots[index].batch);
}

void bl_epoch_order(uint64_t seed, uint32_t epoch, bool shuffle, uint32_t *order, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) order[i] = i;
    if (!shuffle) return;
    bl_random random = bl_random_stream(seed, "order", 0, epoch, 0);
    bl_random_permutation(&random, order, count);
}
