#include "record/keeper.h"

#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"    // bl_seconds
#include "base/stop.h"    // bl_stop_asked
#include "base/threads.h" // bl_pool

enum { NICEST = 19 }; // what computes has the processors first

struct bl_keeper {
    bl_interval every;
    double kept_at;        // when the last snapshot was handed over
    bl_pool *pool;         // of one thread
    bl_batch *batch;       // the file in flight
    bl_container_writer *writer; // of it
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
    const int status = keeper->path ? bl_pool_wait(keeper->pool, keeper->batch) : BL_OK;
    bl_container_writer_free(keeper->writer);
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

static int write_beside(void *context, int index) {
    const bl_keeper *keeper = context;
    (void)index;
    setpriority(PRIO_PROCESS, (id_t)gettid(), NICEST); // on Linux of this thread alone; where it fails it is merely less polite
    return bl_container_writer_save(keeper->writer, keeper->path);
}

// At once where steps are counted, so that a file is there when its step has been made; and where nothing is computed any more.
static int write_here(bl_container_writer *writer, const char *path) {
    const int status = bl_container_writer_save(writer, path);
    bl_container_writer_free(writer);
    return status;
}

int bl_keeper_write(bl_keeper *keeper, bl_container_writer *writer, const char *path) {
    const size_t length = strlen(path) + 1;
    if (bl_keeper_wait(keeper)) {
        bl_container_writer_free(writer);
        return BL_FAILED;
    }
    keeper->kept_at = bl_seconds();
    if (keeper->every.steps || bl_stop_asked()) return write_here(writer, path);
    keeper->writer = writer;
    if (!(keeper->path = bl_alloc(length))) return BL_FAILED;
    memcpy(keeper->path, path, length);
    bl_pool_submit(keeper->pool, keeper->batch, 1, write_beside, keeper);
    return BL_OK;
}
