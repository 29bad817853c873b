#include "datasets/loader.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "base/threads.h"

typedef struct staging {
    bl_loader *owner;
    bl_batch *batch;
    bl_slot slot;
    uint32_t *samples, *occurrences;
    uint64_t *order; // of the samples; in each the sample stands above its place
    int capacity;
    bool busy; // submitted and not yet waited for
} staging;

struct bl_loader {
    bl_maker maker;
    bl_pool *pool; // NULL: the caller's thread makes samples
    staging *items;
    int item_count;
    // A workspace is taken by a running task and put back, so that one a thread suffices.
    pthread_mutex_t mutex;
    char *workspaces;
    void **free_spaces; // free_spaces[0 .. free_count-1] are not in use
    int space_count, free_count;
};

static void *take_space(bl_loader *loader) {
    pthread_mutex_lock(&loader->mutex);
    void *space = loader->free_spaces[--loader->free_count];
    pthread_mutex_unlock(&loader->mutex);
    return space;
}

static void put_space(bl_loader *loader, void *space) {
    pthread_mutex_lock(&loader->mutex);
    loader->free_spaces[loader->free_count++] = space;
    pthread_mutex_unlock(&loader->mutex);
}

static int run_task(void *context, int task) {
    staging *item = context;
    const bl_maker *maker = &item->owner->maker;
    const int first = task * maker->samples_a_task, left = item->slot.count - first;
    const int end = left < maker->samples_a_task ? item->slot.count : first + maker->samples_a_task;
    void *space = take_space(item->owner);
    const int status = maker->make(maker->context, &item->slot, first, end, space);
    put_space(item->owner, space);
    return status;
}

static int create(bl_loader *loader, int threads, int slots) {
    if (!(loader->items = bl_alloc((size_t)slots * sizeof *loader->items)) ||
        !(loader->workspaces = bl_alloc((size_t)loader->space_count * loader->maker.workspace_bytes)) ||
        !(loader->free_spaces = bl_alloc((size_t)loader->space_count * sizeof *loader->free_spaces)) ||
        (threads && bl_pool_create(&loader->pool, threads)))
        return BL_FAILED;
    for (int i = 0; i < loader->space_count; ++i) put_space(loader, loader->workspaces + (size_t)i * loader->maker.workspace_bytes);
    for (loader->item_count = 0; loader->item_count < slots; ++loader->item_count) {
        staging *item = &loader->items[loader->item_count];
        item->owner = loader;
        if (bl_batch_create(&item->batch)) return BL_FAILED;
    }
    return BL_OK;
}

int bl_loader_create(bl_loader **out, const bl_maker *maker, int threads, int slots) {
    *out = NULL;
    bl_loader *loader = bl_alloc(sizeof *loader);
    if (!loader) {
        if (maker->free) maker->free(maker->context);
        return BL_FAILED;
    }
    *loader = (bl_loader){.maker = *maker, .space_count = threads ? threads : 1};
    pthread_mutex_init(&loader->mutex, NULL);
    if (create(loader, threads, slots)) {
        bl_loader_free(loader);
        return BL_FAILED;
    }
    *out = loader;
    return BL_OK;
}

static void forget_samples(staging *item) {
    bl_free(item->samples);
    bl_free(item->occurrences);
    bl_free(item->order);
    item->samples = item->occurrences = NULL;
    item->order = NULL;
    item->capacity = 0;
}

void bl_loader_free(bl_loader *loader) {
    if (!loader) return;
    bl_pool_free(loader->pool); // before what its threads work in
    for (int i = 0; i < loader->item_count; ++i) {
        bl_batch_free(loader->items[i].batch);
        forget_samples(&loader->items[i]);
    }
    for (int i = 0; loader->maker.free_workspace && i < loader->free_count; ++i) loader->maker.free_workspace(loader->free_spaces[i]);
    bl_free(loader->items);
    bl_free(loader->workspaces);
    bl_free(loader->free_spaces);
    pthread_mutex_destroy(&loader->mutex);
    if (loader->maker.free) loader->maker.free(loader->maker.context);
    bl_free(loader);
}

static int reserve_samples(staging *item, int count) {
    if (count <= item->capacity) return BL_OK;
    forget_samples(item);
    if (!(item->samples = bl_alloc((size_t)count * sizeof *item->samples)) ||
        !(item->occurrences = bl_alloc((size_t)count * sizeof *item->occurrences)) ||
        !(item->order = bl_alloc((size_t)count * sizeof *item->order)))
        return BL_FAILED;
    item->capacity = count;
    return BL_OK;
}

static int compare_places(const void *a, const void *b) {
    const uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;
    return one < other ? -1 : one > other;
}

static int keep_samples(staging *item, const uint32_t *samples, int count) {
    if (reserve_samples(item, count)) return BL_FAILED;
    memcpy(item->samples, samples, (size_t)count * sizeof *samples);
    for (int i = 0; i < count; ++i) item->order[i] = (uint64_t)samples[i] << 32 | (uint32_t)i;
    qsort(item->order, (size_t)count, sizeof *item->order, compare_places);
    for (int i = 0; i < count; ++i) {
        const uint32_t at = (uint32_t)item->order[i];
        const bool again = i && samples[(uint32_t)item->order[i - 1]] == samples[at];
        item->occurrences[at] = again ? item->occurrences[(uint32_t)item->order[i - 1]] + 1 : 0;
    }
    return BL_OK;
}

int bl_loader_submit(bl_loader *loader, int slot, const uint32_t *samples, int count, uint32_t epoch, float *images, float *labels) {
    staging *item = &loader->items[slot];
    if (item->busy) return bl_fail("loader: slot %d is filled again before it was waited for", slot);
    for (int i = 0; i < count; ++i)
        if (samples[i] >= loader->maker.available)
            return bl_fail("loader: sample %u is past the %lld of %s", samples[i], (long long)loader->maker.available, loader->maker.set);
    if (keep_samples(item, samples, count)) return BL_FAILED;
    item->slot = (bl_slot){item->samples, item->occurrences, count, epoch, images, labels};
    item->busy = true;
    const int each = loader->maker.samples_a_task, tasks = (count + each - 1) / each;
    if (loader->pool) {
        bl_pool_submit(loader->pool, item->batch, tasks, run_task, item);
        return BL_OK;
    }
    for (int task = 0; task < tasks; ++task)
        if (run_task(item, task)) return BL_FAILED;
    return BL_OK;
}

int bl_loader_wait(bl_loader *loader, int slot) {
    loader->items[slot].busy = false;
    return loader->pool ? bl_pool_wait(loader->pool, loader->items[slot].batch) : BL_OK;
}

void bl_epoch_order(uint64_t seed, uint32_t epoch, bool shuffle, uint32_t *order, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) order[i] = i;
    if (!shuffle) return;
    bl_random random = bl_random_stream(seed, "order", 0, epoch, 0);
    bl_random_permutation(&random, order, count);
}
