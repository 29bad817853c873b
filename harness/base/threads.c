#include "base/threads.h"

#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int bl_processors(void) {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0 ? CPU_COUNT(&set) : 1;
}

struct bl_batch {
    bl_batch *next; // in the pool's queue while tasks are left to take
    bl_task task;
    void *context;
    int count, taken, finished;
    int failed; // lowest index of a failed task, INT_MAX when none
    char *message, *origin;
};

struct bl_pool {
    pthread_mutex_t mutex; // guards everything below and every submitted batch
    pthread_cond_t work;   // a batch was queued, or the pool is closing
    pthread_cond_t done;   // the last task of some batch has finished
    bl_batch *first, *last;
    bool closing;
    int threads;
    pthread_t workers[];
};

// The worker's own message, kept with the batch until its consumer waits. Called with the mutex held.
static void keep_failure(bl_batch *batch, int index) {
    if (index >= batch->failed) return;
    batch->failed = index;
    free(batch->message);
    free(batch->origin);
    batch->message = strdup(bl_error());
    batch->origin = strdup(bl_error_origin());
}

static void *work(void *argument) {
    bl_pool *pool = argument;
    pthread_mutex_lock(&pool->mutex);
    for (;;) {
        while (!pool->first && !pool->closing) pthread_cond_wait(&pool->work, &pool->mutex);
        bl_batch *batch = pool->first;
        if (!batch) break; // closing, and nothing is left
        int index = batch->taken++;
        if (batch->taken == batch->count) {
            pool->first = batch->next;
            if (!pool->first) pool->last = NULL;
        }
        pthread_mutex_unlock(&pool->mutex);
        int status = batch->task(batch->context, index);
        pthread_mutex_lock(&pool->mutex);
        if (status) keep_failure(batch, index);
        if (++batch->finished == batch->count) pthread_cond_broadcast(&pool->done);
    }
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

int bl_pool_create(bl_pool **out, int threads) {
    *out = NULL;
    if (threads < 1) return bl_fail("a thread pool needs at least one thread, not %d", threads);
    bl_pool *pool = calloc(1, sizeof *pool + (size_t)threads * sizeof pool->workers[0]);
    if (!pool) return bl_fail("out of memory for a pool of %d threads", threads);
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->done, NULL);
    for (; pool->threads < threads; ++pool->threads) {
        int reason = pthread_create(&pool->workers[pool->threads], NULL, work, pool);
        if (reason) {
            bl_fail("cannot start thread %d of %d: %s", pool->threads + 1, threads, strerror(reason));
            bl_pool_free(pool);
            return BL_FAILED;
        }
    }
    *out = pool;
    return BL_OK;
}

void bl_pool_free(bl_pool *pool) {
    if (!pool) return;
    pthread_mutex_lock(&pool->mutex);
    pool->closing = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->mutex);
    for (int i = 0; i < pool->threads; ++i) pthread_join(pool->workers[i], NULL);
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->mutex);
    free(pool);
}

int bl_pool_threads(const bl_pool *pool) {
    return pool->threads;
}

static void forget_failure(bl_batch *batch) {
    free(batch->message);
    free(batch->origin);
    batch->message = batch->origin = NULL;
    batch->failed = INT_MAX;
}

int bl_batch_create(bl_batch **batch) {
    *batch = calloc(1, sizeof **batch);
    if (!*batch) return bl_fail("out of memory for a batch of tasks");
    forget_failure(*batch);
    return BL_OK;
}

void bl_batch_free(bl_batch *batch) {
    if (!batch) return;
    forget_failure(batch);
    free(batch);
}

void bl_pool_submit(bl_pool *pool, bl_batch *batch, int count, bl_task task, void *context) {
    forget_failure(batch);
    batch->next = NULL;
    batch->task = task;
    batch->context = context;
    batch->count = count > 0 ? count : 0;
    batch->taken = batch->finished = 0;
    if (!batch->count) return; // nothing to take; a wait returns at once
    pthread_mutex_lock(&pool->mutex);
    if (pool->last) pool->last->next = batch;
    else pool->first = batch;
    pool->last = batch;
    if (count == 1) pthread_cond_signal(&pool->work);
    else pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->mutex);
}

int bl_pool_wait(bl_pool *pool, bl_batch *batch) {
    pthread_mutex_lock(&pool->mutex);
    while (batch->finished < batch->count) pthread_cond_wait(&pool->done, &pool->mutex);
    pthread_mutex_unlock(&pool->mutex);
    if (batch->failed == INT_MAX) return BL_OK;
    return bl_error_set(batch->message ? batch->message : "out of memory", batch->origin ? batch->origin : "");
}

int bl_pool_run(bl_pool *pool, int count, bl_task task, void *context) {
    bl_batch batch = {0};
    bl_pool_submit(pool, &batch, count, task, context);
    int status = bl_pool_wait(pool, &batch);
    forget_failure(&batch);
    return status;
}
