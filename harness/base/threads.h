// threads.h - a pool of worker threads and a parallel loop. OpenMP lives in backends/onednn alone; all other host code uses this.

#ifndef BL_BASE_THREADS_H
#define BL_BASE_THREADS_H

#include "base/error.h" // BL_CHECK

typedef struct bl_pool bl_pool;

int bl_processors(void); // that this process may run on; at least 1

static inline void bl_relax(void) { // between two looks of a thread that spins
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

// A job for one worker. A failing task leaves its message in the pool; bl_pool_wait hands the first one (by task number) over.
typedef int (*bl_task)(void *context, int index);

BL_CHECK int bl_pool_create(bl_pool **pool, int threads); // threads >= 1 workers, idle without spinning
void bl_pool_free(bl_pool *pool);                         // waits for what runs
int bl_pool_threads(const bl_pool *pool);

// A batch of tasks 0 .. count-1 that workers take in order. Submitting returns at once; the batch belongs to the caller
// and must be waited for before it is used again. Several batches may be in flight; they are served in order of submission.
typedef struct bl_batch bl_batch;
BL_CHECK int bl_batch_create(bl_batch **batch);
void bl_batch_free(bl_batch *batch);
void bl_pool_submit(bl_pool *pool, bl_batch *batch, int count, bl_task task, void *context);
BL_CHECK int bl_pool_wait(bl_pool *pool, bl_batch *batch); // the failed task with the lowest index speaks

// Submits and waits; for code without anything else to do meanwhile.
BL_CHECK int bl_pool_run(bl_pool *pool, int count, bl_task task, void *context);

#endif
