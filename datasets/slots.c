#include "datasets/slots.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "base/memory.h"
#include "base/threads.h"

typedef struct staging {
    bl_slots *owner;
    bl_batch *batch;
    bl_slot slot;
    uint32_t *samples;
    int capacity;
    bool busy; // submitted and not yet waited for
} staging;

struct bl_slots {
    bl_slots_options options;
    bl_pool *pool;
    staging *items;
    // A workspace is taken by a running task and put back, so that one a thread suffices.
    pthread_mutex_t mutex;
    void **spaces;
    int space_count; // spaces[0 .. space_count-1] are not in use
};

static void *take_space(bl_slots *slots) {
    pthread_mutex_lock(&slots->mutex);
    void *space = slots->spaces[--slots->space_count];
    pthread_mutex_unlock(&slots->mutex);
    return space;
}

static void put_space(bl_slots *slots, void *space) {
    pthread_mutex_lock(&slots->mutex);
    slots->spaces[slots->space_count++] = space;
    pthread_mutex_unlock(&slots->mutex);
}

static int fill(void *context, int task) {
    staging *item = context;
    const bl_slots_options *o = &item->owner->options;
    const int first = task * o->samples_a_task;
    const int end = first + o->samples_a_task < item->slot.count ? first + o->samples_a_task : item->slot.count;
    void *space = take_space(item->owner);
    const int status = o->fill(o->context, &item->slot, first, end, space);
    put_space(item->owner, space);
    return status;
}

int bl_slots_create(bl_slots **out, const bl_slots_options *options) {
    *out = NULL;
    bl_slots *slots = bl_alloc(sizeof *slots);
    if (!slots) return BL_FAILED;
    *slots = (bl_slots){.options = *options, .space_count = options->threads};
    pthread_mutex_init(&slots->mutex, NULL);
    slots->items = bl_alloc((size_t)options->slots * sizeof *slots->items);
    slots->spaces = bl_alloc((size_t)options->threads * sizeof *slots->spaces);
    if (!slots->items || !slots->spaces || bl_pool_create(&slots->pool, options->threads)) goto failed;
    for (int i = 0; i < options->threads; ++i) slots->spaces[i] = (char *)options->workspaces + (size_t)i * options->workspace_bytes;
    for (int i = 0; i < options->slots; ++i) {
        slots->items[i].owner = slots;
        if (bl_batch_create(&slots->items[i].batch)) goto failed;
    }
    *out = slots;
    return BL_OK;
failed:
    bl_slots_free(slots);
    return BL_FAILED;
}

void bl_slots_free(bl_slots *slots) {
    if (!slots) return;
    bl_pool_free(slots->pool);
    for (int i = 0; slots->items && i < slots->options.slots; ++i) {
        bl_batch_free(slots->items[i].batch);
        bl_free(slots->items[i].samples);
    }
    bl_free(slots->items);
    bl_free(slots->spaces);
    pthread_mutex_destroy(&slots->mutex);
    bl_free(slots);
}

int bl_slots_submit(bl_slots *slots, int index, const bl_slot *wanted, int64_t available) {
    staging *item = &slots->items[index];
    if (item->busy) return bl_fail("loader: slot %d is filled again before it was waited for", index);
    for (int i = 0; i < wanted->count; ++i)
        if (wanted->samples[i] >= available)
            return bl_fail("loader: sample %u is past the %lld of %s", wanted->samples[i], (long long)available, slots->options.set);
    if (wanted->count > item->capacity) {
        bl_free(item->samples);
        item->capacity = 0;
        item->samples = bl_alloc((size_t)wanted->count * sizeof *item->samples);
        if (!item->samples) return BL_FAILED;
        item->capacity = wanted->count;
    }
    memcpy(item->samples, wanted->samples, (size_t)wanted->count * sizeof *item->samples);
    item->slot = *wanted;
    item->slot.samples = item->samples;
    item->busy = true;
    const int each = slots->options.samples_a_task;
    bl_pool_submit(slots->pool, item->batch, (wanted->count + each - 1) / each, fill, item);
    return BL_OK;
}

int bl_slots_wait(bl_slots *slots, int index) {
    slots->items[index].busy = false;
    return bl_pool_wait(slots->pool, slots->items[index].batch);
}
