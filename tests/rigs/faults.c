// faults.c - a library for LD_PRELOAD that lets one call fail: the n-th on a file below a folder, or the n-th allocation.
//
//     FAULTS_BELOW=/folder FAULTS_FILE=n FAULTS_KIND=ENOSPC|EIO|EINTR|short    calls on files there: open, write, fsync, rename, mkdir
//     FAULTS_MEMORY=n                                                         calls of malloc and its like, anybody's
//     FAULTS_LOCKS=n                                                          each flock fails with this errno: a file system without locks
//     FAULTS_COUNT=FILE     receives how many calls on files and how many allocations there were: "files 12 memory 3456\n"
//
// Where a process then dies by a signal, or ends otherwise than byolab does, the library that asked for the memory and those on the stack are told on standard error: whose
// crash it is. It works beside the address sanitizer, whose malloc it stands in front of.

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *below, *kind, *count_to;
static long file_at, memory_at;
static int lock_error;
static atomic_long files, allocations;
static void *asker; // of the allocation that failed: an address in the library that called
static atomic_bool is_ready;

static long number(const char *name) {
    const char *text = getenv(name);
    return text ? atol(text) : 0;
}

// ---- memory ----

// The sanitizer's, where it is there; glibc's own otherwise.
extern void *__libc_malloc(size_t bytes), *__libc_calloc(size_t count, size_t bytes), *__libc_realloc(void *old, size_t bytes),
        *__libc_memalign(size_t alignment, size_t bytes);
__attribute__((weak)) extern void *__interceptor_malloc(size_t bytes), *__interceptor_calloc(size_t count, size_t bytes),
        *__interceptor_realloc(void *old, size_t bytes), *__interceptor_memalign(size_t alignment, size_t bytes);

static bool fails(void *from) {
    if (!atomic_load_explicit(&is_ready, memory_order_relaxed) || atomic_fetch_add(&allocations, 1) + 1 != memory_at) return false;
    asker = from;
    errno = ENOMEM;
    return true;
}

#define CALLER __builtin_return_address(0)
#define OF(name) (__interceptor_##name ? __interceptor_##name : __libc_##name)

void *malloc(size_t bytes) { return fails(CALLER) ? NULL : OF(malloc)(bytes); }
void *calloc(size_t count, size_t bytes) { return fails(CALLER) ? NULL : OF(calloc)(count, bytes); }
void *realloc(void *old, size_t bytes) { return fails(CALLER) ? NULL : OF(realloc)(old, bytes); }
void *aligned_alloc(size_t alignment, size_t bytes) { return fails(CALLER) ? NULL : OF(memalign)(alignment, bytes); }
void *memalign(size_t alignment, size_t bytes) { return fails(CALLER) ? NULL : OF(memalign)(alignment, bytes); }
int posix_memalign(void **out, size_t alignment, size_t bytes) {
    if (fails(CALLER)) return ENOMEM;
    *out = OF(memalign)(alignment, bytes);
    return *out ? 0 : ENOMEM;
}

// ---- files ----

static bool is_below(const char *path) {
    char whole[PATH_MAX + 64];
    if (!below || !path) return false;
    if (*path != '/') {
        if (!getcwd(whole, PATH_MAX)) return false;
        const size_t length = strlen(whole);
        snprintf(whole + length, sizeof whole - length, "/%s", path);
        path = whole;
    }
    return !strncmp(path, below, strlen(below));
}

static bool is_open_below(int descriptor) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    const ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return false;
    path[length] = 0;
    return is_below(path);
}

// Whether this call is the one; errno is set.
static bool breaks(bool is_ours) {
    if (!is_ours || !atomic_load(&is_ready) || atomic_fetch_add(&files, 1) + 1 != file_at) return false;
    errno = !strcmp(kind, "EIO") ? EIO : !strcmp(kind, "EINTR") ? EINTR : ENOSPC;
    return true;
}

#define NEXT(name) \
    static __typeof__(&name) next; \
    if (!next) *(void **)&next = dlsym(RTLD_NEXT, #name)

ssize_t write(int descriptor, const void *from, size_t bytes) {
    NEXT(write);
    if (!breaks(is_open_below(descriptor))) return next(descriptor, from, bytes);
    return strcmp(kind, "short") ? -1 : next(descriptor, from, bytes > 1 ? bytes / 2 : bytes);
}

// What cannot be short is done.
#define WHOLE(call) (strcmp(kind, "short") ? -1 : (call))

int fsync(int descriptor) {
    NEXT(fsync);
    return breaks(is_open_below(descriptor)) ? WHOLE(next(descriptor)) : next(descriptor);
}

int flock(int descriptor, int operation) {
    NEXT(flock);
    if (!lock_error) return next(descriptor, operation);
    errno = lock_error;
    return -1;
}

int rename(const char *from, const char *to) {
    NEXT(rename);
    return breaks(is_below(to)) ? WHOLE(next(from, to)) : next(from, to);
}

int mkdir(const char *path, mode_t mode) {
    NEXT(mkdir);
    return breaks(is_below(path)) ? WHOLE(next(path, mode)) : next(path, mode);
}

int open(const char *path, int flags, ...) {
    NEXT(open);
    va_list rest;
    va_start(rest, flags);
    const mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return breaks(is_below(path)) ? WHOLE(next(path, flags, mode)) : next(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    const mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return open(path, flags, mode);
}

// ---- whose crash it is ----

static void name_of(void *address, char *out, size_t size) {
    Dl_info facts;
    const char *name = address && dladdr(address, &facts) && facts.dli_fname ? facts.dli_fname : "?";
    const char *slash = strrchr(name, '/');
    snprintf(out, size, "%s", slash ? slash + 1 : name);
}

static void tell(const char *what, int number) {
    void *frames[64];
    char line[4096], name[128];
    const int count = backtrace(frames, 64);
    name_of(asker, name, sizeof name);
    int length = snprintf(line, sizeof line, "FAULTS %s %d, memory asked for by %s, stack:", what, number, name);
    for (int i = 2; i < count && length < 3800; i++) { // behind this and who called it
        name_of(frames[i], name, sizeof name);
        length += snprintf(line + length, sizeof line - (size_t)length, " %s", name);
    }
    line[length++] = '\n';
    if (write(2, line, (size_t)length) < 0) length = 0;
}

static void on_signal(int number) {
    tell("signal", number);
    signal(number, SIG_DFL);
    raise(number);
}

// HDF5 1.10 ends the process where it has no memory for a number of its own.
void exit(int status) {
    static void (*next)(int) __attribute__((noreturn));
    if (!next) *(void **)&next = dlsym(RTLD_NEXT, "exit");
    if (status < 0 || status > 2) tell("exit", status);
    next(status);
}

__attribute__((constructor)) static void begin(void) {
    void *frame;
    backtrace(&frame, 1); // which loads what it needs now
    below = getenv("FAULTS_BELOW");
    count_to = getenv("FAULTS_COUNT");
    kind = getenv("FAULTS_KIND") ? getenv("FAULTS_KIND") : "ENOSPC";
    file_at = number("FAULTS_FILE");
    memory_at = number("FAULTS_MEMORY");
    lock_error = (int)number("FAULTS_LOCKS");
    for (int i = 0; i < 3; i++) signal((const int[]){SIGSEGV, SIGABRT, SIGFPE}[i], on_signal);
    unsetenv("LD_PRELOAD"); // what this process starts is not our business
    atomic_store(&is_ready, true);
}

__attribute__((destructor)) static void end(void) {
    if (!atomic_exchange(&is_ready, false) || !count_to) return;
    FILE *file = fopen(count_to, "w");
    if (!file) return;
    fprintf(file, "files %ld memory %ld\n", atomic_load(&files), atomic_load(&allocations));
    fclose(file);
}
