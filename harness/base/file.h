// file.h - files that appear whole or not at all.

#ifndef BL_BASE_FILE_H
#define BL_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h" // BL_CHECK

// Writes a temporary name in the same folder, fsync, rename over `path`, fsync of the folder. On failure (a full disk, no
// permission) whatever stood at `path` still stands and the temporary file is gone.
BL_CHECK int bl_atomic_write(const char *path, const void *data, size_t bytes);

// Removes what processes that died in bl_atomic_write left of files whose path begins with `stem` and a dot. Only for who knows that
// no living process is writing one: the holder of the lock on them.
void bl_remove_leftovers(const char *stem);

// The one door through which files are read: a descriptor of a regular file, and its size; -1 on failure. A folder, a FIFO, a device or a
// socket is refused by its kind, and none is waited for.
BL_CHECK int bl_open_file(const char *path, int64_t *bytes);
// All of it; a terminating zero follows; free with bl_free. One that changes while it is read is refused.
BL_CHECK int bl_read_file(const char *path, void **data, size_t *bytes);
BL_CHECK int bl_read_file_within(const char *path, size_t most, void **data, size_t *bytes); // refuses one of more bytes

BL_CHECK int bl_make_folders(const char *path);                          // every missing folder of `path`, like mkdir -p
bool bl_file_exists(const char *path);

// An exclusive lock on `path` (created when missing) held until bl_lock_release or the process ends. *held says whether
// we got it; another process holding it is no failure. The holder may unlink `path` before it releases.
typedef struct bl_lock {
    int descriptor;
} bl_lock;
BL_CHECK int bl_lock_try(bl_lock *lock, const char *path, bool *held);
void bl_lock_release(bl_lock *lock);
// Whether another process holds the lock. Nothing is made, removed or written: what a killed process left is no lock, and stays. Whoever
// tries the lock at the same moment may find it held.
BL_CHECK int bl_lock_is_held(const char *path, bool *held);

double bl_seconds(void); // monotonic clock

#endif
