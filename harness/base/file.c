#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"

// A signal is no failure of what it interrupts, whatever else it asks for (stop.h): TEMP_FAILURE_RETRY asks again. Not of close, whose
// descriptor is gone.

static int write_all(int descriptor, const char *path, const unsigned char *from, size_t bytes) {
    while (bytes) {
        ssize_t written = write(descriptor, from, bytes);
        if (written < 0 && errno == EINTR) continue;
        if (!written) errno = EIO; // no file system has a reason to
        if (written <= 0) return bl_fail("%s: cannot write: %s", path, strerror(errno));
        from += written;
        bytes -= (size_t)written;
    }
    return BL_OK;
}

// The folder part of `path` in `folder` ("." when there is none).
static void folder_of(const char *path, char folder[PATH_MAX]) {
    const char *slash = strrchr(path, '/');
    if (!slash) strcpy(folder, ".");
    else if (slash == path) strcpy(folder, "/");
    else snprintf(folder, PATH_MAX, "%.*s", (int)(slash - path), path);
}

int bl_atomic_write(const char *path, const void *data, size_t bytes) {
    char temporary[PATH_MAX], folder[PATH_MAX];
    // One name per process and thread cannot clash: a leftover of a killed process with the same number is simply rewritten.
    int length = snprintf(temporary, sizeof temporary, "%s.%d-%d.tmp", path, (int)getpid(), (int)gettid());
    if (length < 0 || (size_t)length >= sizeof temporary) return bl_fail("%s: the name is too long", path);
    folder_of(path, folder);

    // The folder is opened before anything is touched: a rename survives a power cut only once its folder has been written too.
    int holder = TEMP_FAILURE_RETRY(open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (holder < 0) return bl_fail("%s: cannot open the folder %s: %s", path, folder, strerror(errno));
    int status = BL_FAILED;
    int descriptor = TEMP_FAILURE_RETRY(open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (descriptor < 0) {
        bl_fail("%s: cannot write: %s", path, strerror(errno));
        goto done;
    }
    status = write_all(descriptor, path, data, bytes);
    // EINVAL, of a file or of a folder: this file system does not write one out when it is asked to. Nothing more can be done for it.
    if (!status && TEMP_FAILURE_RETRY(fsync(descriptor)) && errno != EINVAL) status = bl_fail("%s: cannot write to disk: %s", path, strerror(errno));
    if (close(descriptor) && errno != EINTR && !status) status = bl_fail("%s: cannot write: %s", path, strerror(errno));
    if (!status && TEMP_FAILURE_RETRY(rename(temporary, path))) status = bl_fail("%s: cannot put the finished file in place: %s", path, strerror(errno));
    if (status) TEMP_FAILURE_RETRY(unlink(temporary));
    else if (TEMP_FAILURE_RETRY(fsync(holder)) && errno != EINVAL)
        status = bl_fail("%s: cannot write its folder to disk: %s", path, strerror(errno));
done:
    close(holder);
    return status;
}

// "stem.anything.<process>-<thread>.tmp"
static bool is_leftover(const char *name, const char *stem) {
    const size_t length = strlen(stem), size = strlen(name);
    if (length && (strncmp(name, stem, length) != 0 || name[length] != '.')) return false;
    if (size < 4 || strcmp(name + size - 4, ".tmp") != 0) return false;
    int process, thread, end = 0;
    const char *numbers = name + size - 4;
    while (numbers > name + length + 1 && numbers[-1] != '.') numbers--;
    return sscanf(numbers, "%d-%d.tmp%n", &process, &thread, &end) == 2 && end && !numbers[end];
}

void bl_remove_leftovers(const char *stem) {
    char folder[PATH_MAX];
    const char *slash = strrchr(stem, '/');
    folder_of(stem, folder);
    DIR *entries = opendir(folder);
    if (!entries) return;
    for (const struct dirent *entry; (entry = readdir(entries));)
        if (is_leftover(entry->d_name, slash ? slash + 1 : stem)) unlinkat(dirfd(entries), entry->d_name, 0);
    closedir(entries);
}

// NULL: a regular file.
static const char *kind_of(const struct stat *facts) {
    if (S_ISREG(facts->st_mode)) return NULL;
    if (S_ISDIR(facts->st_mode)) return "a folder";
    if (S_ISFIFO(facts->st_mode)) return "a FIFO";
    if (S_ISSOCK(facts->st_mode)) return "a socket";
    return "a device";
}

int bl_open_file(const char *path, int64_t *bytes) {
    struct stat facts;
    // Looked at before it is opened, which some devices take for a command, and again once nobody can exchange it.
    int descriptor = -1, problem = stat(path, &facts);
    if (!problem && !kind_of(&facts)) {
        descriptor = TEMP_FAILURE_RETRY(open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
        problem = descriptor < 0 || fstat(descriptor, &facts);
    }
    if (!problem && !kind_of(&facts)) {
        *bytes = facts.st_size;
        return descriptor;
    }
    if (problem) bl_fail("%s: cannot read: %s", path, strerror(errno));
    else bl_fail("%s: not a regular file (%s)", path, kind_of(&facts));
    if (descriptor >= 0) close(descriptor);
    return -1;
}

int bl_read_file_within(const char *path, size_t most, void **data, size_t *bytes) {
    *data = NULL;
    *bytes = 0;
    int64_t size = 0;
    int descriptor = bl_open_file(path, &size);
    if (descriptor < 0) return BL_FAILED;
    int status = BL_FAILED;
    unsigned char *into = NULL;
    size_t filled = 0;
    if ((uint64_t)size > most) {
        bl_fail("%s: %lld bytes, and at most %zu are read", path, (long long)size, most);
        goto done;
    }
    into = bl_alloc((size_t)size + 1);
    if (!into) goto done;
    for (ssize_t got = 1; got && filled <= (size_t)size;) { // one byte more is asked for than there was: it may have grown
        got = read(descriptor, into + filled, (size_t)size + 1 - filled);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            bl_fail("%s: cannot read: %s", path, strerror(errno));
            goto done;
        }
        filled += (size_t)got;
    }
    if (filled != (size_t)size) {
        bl_fail("%s: it changed while it was read; try again", path);
        goto done;
    }
    into[filled] = 0;
    *data = into;
    *bytes = filled;
    into = NULL;
    status = BL_OK;
done:
    bl_free(into);
    close(descriptor);
    return status;
}

int bl_read_file(const char *path, void **data, size_t *bytes) { return bl_read_file_within(path, SIZE_MAX - 1, data, bytes); }

static int make_folder(const char *path) {
    struct stat facts;
    if (!TEMP_FAILURE_RETRY(mkdir(path, 0777))) return BL_OK;
    if (errno != EEXIST) return bl_fail("%s: cannot make this folder: %s", path, strerror(errno));
    if (!stat(path, &facts) && S_ISDIR(facts.st_mode)) return BL_OK;
    return bl_fail("%s: cannot make this folder: a file of that name is in the way", path);
}

int bl_make_folders(const char *path) {
    char partial[PATH_MAX];
    if (strlen(path) >= sizeof partial) return bl_fail("%s: the name is too long", path);
    strcpy(partial, path);
    for (char *at = partial; *at; ++at) {
        if (*at != '/' || at == partial) continue;
        *at = 0;
        if (make_folder(partial)) return BL_FAILED;
        *at = '/';
    }
    return *path ? make_folder(partial) : BL_OK;
}

bool bl_file_exists(const char *path) {
    struct stat facts;
    return !stat(path, &facts);
}

int bl_lock_try(bl_lock *lock, const char *path, bool *held) {
    *held = false;
    lock->descriptor = TEMP_FAILURE_RETRY(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666));
    if (lock->descriptor < 0) return bl_fail("%s: cannot open the lock: %s", path, strerror(errno));
    if (!TEMP_FAILURE_RETRY(flock(lock->descriptor, LOCK_EX | LOCK_NB))) {
        // The holder before us may have removed the file between our open and our lock: then `path` is another file by now.
        struct stat ours, theirs;
        if (fstat(lock->descriptor, &ours) || stat(path, &theirs) || ours.st_ino != theirs.st_ino) {
            bl_lock_release(lock);
            return bl_lock_try(lock, path, held);
        }
        *held = true;
        return BL_OK;
    }
    int status = BL_OK;
    if (errno != EWOULDBLOCK) { // NFS without its lock daemon, some Lustre and FUSE file systems
        status = bl_fail("%s: cannot lock: %s. Where this file system has no locks, and you know that no other process writes below this "
                         "folder, write `machine: {lock: none}`",
                         path, strerror(errno));
        TEMP_FAILURE_RETRY(unlink(path)); // nobody can hold it
    }
    bl_lock_release(lock);
    return status;
}

int bl_lock_is_held(const char *path, bool *held) {
    *held = false;
    const int descriptor = TEMP_FAILURE_RETRY(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (descriptor < 0) return errno == ENOENT || errno == ENOTDIR ? BL_OK : bl_fail("%s: cannot open the lock: %s", path, strerror(errno));
    *held = TEMP_FAILURE_RETRY(flock(descriptor, LOCK_SH | LOCK_NB)) && errno == EWOULDBLOCK; // where there are no locks nobody holds one
    close(descriptor);
    return BL_OK;
}

void bl_lock_release(bl_lock *lock) {
    if (lock->descriptor >= 0) close(lock->descriptor); // which ends the lock
    lock->descriptor = -1;
}

double bl_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}
