#include "run/keeper.h"

#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"    // bl_seconds
#include "base/threads.h" // bl_pool

enum { NICEST = 19 }; // what computes has the processors first

struct bl_keeper {
    bl_interval every;
    double kept_at;        // when the last snapshot was handed over
    bl_pool *pool;         // of one thread
    bl_batch *batch;       // the file in flight
    bl_run_writer *writer; // of it
    char *path;
};

int bl_keeper_create(bl_keeper **out, bl_interval every) {
    bl_keeper *keeper = bl_alloc(sizeof *keeper);
    *out = NULL;
    if (!keeper) return BL_FAILED;
    *keeper = (bl_keeper){.every = every, .kept_at = bl_seconds()};
    if (bl_pool_create(&keeper->pool, 1) || bl_batch_create(&keeper->batch)) {
        bl_keeper_free(keeper);
        return BL_FAILED;
    }
    *out = keeper;
    return BL_OK;
}

int bl_keeper_wait(bl_keeper *keeper) {
    if (!keeper->writer) return BL_OK;
    const int status = bl_pool_wait(keeper->pool, keeper->batch);
    bl_run_writer_free(keeper->writer);
    bl_free(keeper->path);
    keeper->writer = NULL;
    keeper->path = NULL;
    return status;
}

void bl_keeper_free(bl_keeper *keeper) {
    if (!keeper) return;
    if (bl_keeper_wait(keeper)) (void)0; // whoever wanted to know has waited
    bl_pool_free(keeper->pool);
    bl_batch_free(keeper->batch);
    bl_free(keeper);
}

bool bl_keeper_is_due(const bl_keeper *keeper, int64_t step) {
    if (keeper->every.steps) return step % keeper->every.steps == 0;
    return bl_seconds() - keeper->kept_at >= keeper->every.seconds;
}

static int write_file(void *context, int index) {
    const bl_keeper *keeper = context;
    (void)index;
    setpriority(PRIO_PROCESS, (id_t)gettid(), NICEST); // on Linux of this thread alone; where it fails it is merely less polite
    return bl_run_writer_save(keeper->writer, keeper->path);
}

int bl_keeper_write(bl_keeper *keeper, bl_run_writer *writer, const char *path) {
    const size_t length = strlen(path) + 1;
    char *copy = bl_alloc(length);
    if (!copy || bl_keeper_wait(keeper)) {
        bl_free(copy);
        bl_run_writer_free(writer);
        return BL_FAILED;
    }
    keeper->writer = writer;
    keeper->path = memcpy(copy, path, length);
    keeper->kept_at = bl_seconds();
    bl_pool_submit(keeper->pool, keeper->batch, 1, write_file, keeper);
    return BL_OK;
}
