#include "support.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

static char *inside(const char *folder, const char *name) {
    char *path = NULL;
    assert_true(asprintf(&path, "%s/%s", folder, name) > 0);
    return path;
}

static int entries_of(const char *folder) {
    DIR *opened = opendir(folder);
    assert_non_null(opened);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(opened));) count += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
    closedir(opened);
    return count;
}

static void assert_file_holds(const char *path, const char *text) {
    void *data;
    size_t bytes;
    assert_ok(bl_read_file(path, &data, &bytes));
    assert_int_equal(bytes, strlen(text));
    assert_string_equal(data, text); // which proves the terminating zero too
    bl_free(data);
}

static void written_file_replaces_the_old_one_and_leaves_nothing_else(void **state) {
    (void)state;
    char *folder = bl_test_folder(), *path = inside(folder, "run.h5");
    assert_false(bl_file_exists(path));
    assert_ok(bl_atomic_write(path, "a longer first text", 19));
    assert_file_holds(path, "a longer first text");
    assert_ok(bl_atomic_write(path, "second", 6));
    assert_file_holds(path, "second");
    assert_ok(bl_atomic_write(path, "", 0));
    assert_file_holds(path, "");
    assert_true(bl_file_exists(path));
    assert_int_equal(entries_of(folder), 1);
    free(path);
    bl_test_folder_remove(folder);
}

static void file_without_a_folder_is_written_here(void **state) {
    (void)state;
    char *folder = bl_test_folder();
    char *here = getcwd(NULL, 0);
    assert_int_equal(chdir(folder), 0);
    assert_ok(bl_atomic_write("bare", "text", 4));
    assert_file_holds("bare", "text");
    assert_int_equal(chdir(here), 0);
    free(here);
    bl_test_folder_remove(folder);
}

static void missing_folder_is_named(void **state) {
    (void)state;
    char *folder = bl_test_folder(), *path = inside(folder, "missing/run.h5");
    assert_int_equal(bl_atomic_write(path, "x", 1), BL_FAILED);
    assert_non_null(strstr(bl_error(), path));
    assert_non_null(strstr(bl_error(), strerror(ENOENT)));
    assert_int_equal(entries_of(folder), 0);
    free(path);
    bl_test_folder_remove(folder);
}

static void folder_in_the_way_stays_and_no_temporary_does(void **state) {
    (void)state;
    char *folder = bl_test_folder(), *path = inside(folder, "taken");
    assert_int_equal(mkdir(path, 0777), 0);
    assert_int_equal(bl_atomic_write(path, "x", 1), BL_FAILED);
    assert_non_null(strstr(bl_error(), strerror(EISDIR)));
    assert_int_equal(entries_of(folder), 1);
    free(path);
    bl_test_folder_remove(folder);
}

static void full_disk_keeps_the_old_file_and_leaves_no_temporary(void **state) {
    (void)state;
    char *folder = bl_test_folder(), *path = inside(folder, "run.h5");
    assert_ok(bl_atomic_write(path, "old", 3));
    static char large[100000];
    // A limit on the size of files stops the write part of the way, as a full disk does.
    struct rlimit old, low;
    getrlimit(RLIMIT_FSIZE, &old);
    low = old;
    low.rlim_cur = 5000;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    int status = bl_atomic_write(path, large, sizeof large);
    setrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, handler);
    assert_int_equal(status, BL_FAILED);
    assert_non_null(strstr(bl_error(), strerror(EFBIG)));
    assert_file_holds(path, "old");
    assert_int_equal(entries_of(folder), 1);
    free(path);
    bl_test_folder_remove(folder);
}

static void folder_without_permission_keeps_the_old_file(void **state) {
    (void)state;
    char *folder = bl_test_folder(), *path = inside(folder, "run.h5");
    assert_ok(bl_atomic_write(path, "old", 3));
    assert_int_equal(chmod(folder, 0555), 0);
    bool root = geteuid() == 0; // to whom permissions mean nothing
    if (root) assert_int_equal(seteuid(65534), 0);
    int status = bl_atomic_write(path, "new", 3);
    if (root) assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(status, BL_FAILED);
    assert_non_null(strstr(bl_error(), strerror(EACCES)));
    assert_file_holds(path, "old");
    assert_int_equal(entries_of(folder), 1);
    free(path);
    bl_test_folder_remove(folder);
}

static void writer_killed_at_any_moment_leaves_a_whole_file(void **state) {
    (void)state;
    enum { BYTES = 1 << 20 };
    char *folder = bl_test_folder(), *path = inside(folder, "run.ckpt");
    static char text[BYTES];
    memset(text, 'a', BYTES);
    assert_ok(bl_atomic_write(path, text, BYTES));
    for (int round = 0; round < 10; ++round) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (!child) {
            for (char fill = 'b';; fill = fill == 'z' ? 'a' : (char)(fill + 1)) {
                memset(text, fill, BYTES);
                if (bl_atomic_write(path, text, BYTES)) _exit(1);
            }
        }
        nanosleep(&(struct timespec){.tv_nsec = 3000000 + 2700000 * round}, NULL);
        kill(child, SIGKILL);
        int how;
        waitpid(child, &how, 0);
        assert_true(WIFSIGNALED(how));
        void *data;
        size_t bytes;
        assert_ok(bl_read_file(path, &data, &bytes));
        assert_int_equal(bytes, BYTES);
        memset(text, *(char *)data, BYTES);
        assert_memory_equal(data, text, BYTES);
        bl_free(data);
    }
    free(path);
    bl_test_folder_remove(folder);
}

static void what_dead_writers_left_is_removed_and_nothing_else(void **state) {
    (void)state;
    static const char *const left[] = {"seed-1.onednn.h5.12-13.tmp", "seed-1.onednn.ckpt.999999-1.tmp", "seed-1.onednn.fit.ckpt.7-7.tmp"};
    static const char *const others[] = {"seed-1.onednn.h5", "seed-1.onednn.ckpt", "seed-10.onednn.ckpt.12-13.tmp", "seed-1.onednn.ckpt.tmp",
                                         "seed-1.onednn.notes.tmp", "seed-1.onednn2.h5.12-13.tmp", "seed-1.onednn.h5.12-13.tmp.h5"};
    char *folder = bl_test_folder(), *stem = inside(folder, "seed-1.onednn");
    for (size_t i = 0; i < 10; i++) {
        char *path = inside(folder, i < 3 ? left[i] : others[i - 3]);
        assert_ok(bl_atomic_write(path, "x", 1));
        free(path);
    }
    bl_remove_leftovers(stem);
    assert_int_equal(entries_of(folder), 7);
    for (size_t i = 0; i < 7; i++) {
        char *path = inside(folder, others[i]);
        assert_true(bl_file_exists(path));
        free(path);
    }
    free(stem);
    bl_test_folder_remove(folder);
}

static void what_dead_writers_left_in_a_folder_is_removed(void **state) {
    (void)state;
    static const char *const names[] = {"aggregate.csv.12-13.tmp", "report.md.9-9.tmp", "aggregate.csv", "notes.tmp", "notes.1-x.tmp"};
    char *folder = bl_test_folder(), *stem = inside(folder, "");
    for (size_t i = 0; i < 5; i++) {
        char *path = inside(folder, names[i]);
        assert_ok(bl_atomic_write(path, "x", 1));
        free(path);
    }
    bl_remove_leftovers(stem);
    assert_int_equal(entries_of(folder), 3);
    for (size_t i = 2; i < 5; i++) {
        char *path = inside(folder, names[i]);
        assert_true(bl_file_exists(path));
        free(path);
    }
    free(stem);
    bl_test_folder_remove(folder);
}

// ---- file systems that are otherwise ----

static struct {
    int flock, fsync, write; // the errors of the calls to come; 0: none
    bool only_once, is_short;
} otherwise;

static bool breaks(int *error) {
    if (!*error) return false;
    errno = *error;
    if (otherwise.only_once) *error = 0;
    return true;
}

int flock(int descriptor, int operation) {
    static int (*next)(int, int);
    if (!next) bl_test_next("flock", &next);
    return breaks(&otherwise.flock) ? -1 : next(descriptor, operation);
}

int fsync(int descriptor) {
    static int (*next)(int);
    if (!next) bl_test_next("fsync", &next);
    return breaks(&otherwise.fsync) ? -1 : next(descriptor);
}

ssize_t write(int descriptor, const void *from, size_t bytes) {
    static ssize_t (*next)(int, const void *, size_t);
    if (!next) bl_test_next("write", &next);
    if (breaks(&otherwise.write)) return -1;
    return next(descriptor, from, otherwise.is_short && bytes > 1 ? 1 : bytes);
}

static void a_file_system_without_locks_is_a_failure_with_advice(void **state) {
    (void)state;
    char *folder = bl_test_folder(), *path = inside(folder, "seed-0.lock");
    static const int errors[] = {ENOLCK, ENOSYS, EOPNOTSUPP, EIO};
    bl_lock lock;
    bool held;
    for (int i = 0; i < 4; i++) {
        otherwise.flock = errors[i];
        assert_int_equal(bl_lock_try(&lock, path, &held), BL_FAILED);
        assert_false(held);
        bl_test_holds(bl_error(), strerror(errors[i]));
        bl_test_holds(bl_error(), "write `machine: {lock: none}`");
        assert_int_equal(entries_of(folder), 0);
    }
    otherwise.flock = 0;
    free(path);
    bl_test_folder_remove(folder);
}

static void signals_and_short_writes_are_no_failures(void **state) {
    (void)state;
    char *folder = bl_test_folder(), *path = inside(folder, "file");
    bl_lock lock;
    bool held;
    otherwise.only_once = otherwise.is_short = true;
    otherwise.flock = otherwise.fsync = otherwise.write = EINTR;
    assert_ok(bl_lock_try(&lock, path, &held));
    assert_true(held && !otherwise.flock);
    assert_ok(bl_atomic_write(path, "a text", 6));
    assert_true(!otherwise.fsync && !otherwise.write);
    memset(&otherwise, 0, sizeof otherwise);
    assert_file_holds(path, "a text");
    bl_lock_release(&lock);
    free(path);
    bl_test_folder_remove(folder);
}

static void where_nothing_is_written_out_a_file_is_written_all_the_same(void **state) {
    (void)state;
    char *folder = bl_test_folder(), *path = inside(folder, "file");
    otherwise.fsync = EINVAL;
    assert_ok(bl_atomic_write(path, "text", 4));
    otherwise.fsync = EIO; // but a disk that fails has failed
    assert_int_equal(bl_atomic_write(path, "other", 5), BL_FAILED);
    otherwise.fsync = 0;
    bl_test_holds(bl_error(), "cannot write to disk");
    assert_file_holds(path, "text");
    assert_int_equal(entries_of(folder), 1);
    free(path);
    bl_test_folder_remove(folder);
}

static void unreadable_things_are_named(void **state) {
    (void)state;
    char *folder = bl_test_folder(), *path = inside(folder, "missing");
    void *data = folder;
    size_t bytes = 1;
    assert_int_equal(bl_read_file(path, &data, &bytes), BL_FAILED);
    assert_null(data);
    assert_non_null(strstr(bl_error(), path));
    assert_non_null(strstr(bl_error(), strerror(ENOENT)));
    free(path);
    bl_test_folder_remove(folder);
}

// Whatever is no regular file is refused at once, by what it is: a FIFO that nobody writes to would be waited for.
static void only_regular_files_are_opened(void **state) {
    (void)state;
    char *folder = bl_test_folder(), *fifo = inside(folder, "fifo"), *link = inside(folder, "link"), *socket_path = inside(folder, "socket");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_int_equal(mkfifo(fifo, 0666), 0);
    assert_int_equal(symlink("fifo", link), 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", socket_path);
    const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    const struct {
        const char *path, *kind;
    } others[] = {{folder, "a folder"}, {fifo, "a FIFO"}, {link, "a FIFO"}, {socket_path, "a socket"}, {"/dev/zero", "a device"}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        void *data = folder;
        size_t bytes = 1;
        int64_t size = 0;
        char expected[200];
        snprintf(expected, sizeof expected, "%s: not a regular file (%s)", others[i].path, others[i].kind);
        assert_int_equal(bl_read_file(others[i].path, &data, &bytes), BL_FAILED);
        assert_null(data);
        assert_string_equal(bl_error(), expected);
        assert_int_equal(bl_open_file(others[i].path, &size), -1);
        assert_string_equal(bl_error(), expected);
    }
    close(listener);
    free(socket_path);
    free(link);
    free(fifo);
    bl_test_folder_remove(folder);
}

static void larger_files_than_wanted_are_refused(void **state) {
    (void)state;
    char *folder = bl_test_folder(), *path = inside(folder, "file");
    void *data = NULL;
    size_t bytes = 0;
    assert_ok(bl_atomic_write(path, "12345", 5));
    assert_ok(bl_read_file_within(path, 5, &data, &bytes));
    assert_int_equal(bytes, 5);
    assert_string_equal(data, "12345");
    bl_free(data);
    assert_int_equal(bl_read_file_within(path, 4, &data, &bytes), BL_FAILED);
    assert_null(data);
    assert_non_null(strstr(bl_error(), "5 bytes, and at most 4 are read"));
    free(path);
    bl_test_folder_remove(folder);
}

static void missing_folders_are_made(void **state) {
    (void)state;
    char *folder = bl_test_folder(), *deep = inside(folder, "a/bb/ccc/"), *file = inside(folder, "a/bb/ccc/file");
    assert_ok(bl_make_folders(deep));
    assert_ok(bl_make_folders(deep)); // again does no harm
    assert_ok(bl_atomic_write(file, "x", 1));
    assert_int_equal(bl_make_folders(file), BL_FAILED);
    assert_non_null(strstr(bl_error(), "in the way"));
    free(file);
    free(deep);
    bl_test_folder_remove(folder);
}

static void lock_is_held_by_one_process_and_ends_with_it(void **state) {
    (void)state;
    char *folder = bl_test_folder(), *path = inside(folder, "seed-0.lock");
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    bl_lock lock;
    bool held = false;
    if (!child) {
        if (bl_lock_try(&lock, path, &held) || !held || write(ready[1], "x", 1) != 1) _exit(1);
        for (;;) pause();
    }
    close(ready[1]);
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);

    assert_ok(bl_lock_try(&lock, path, &held));
    assert_false(held);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_ok(bl_lock_try(&lock, path, &held));
    assert_true(held);

    bl_lock other;
    bool too = true;
    assert_ok(bl_lock_try(&other, path, &too));
    assert_false(too);
    bl_lock_release(&lock);
    assert_ok(bl_lock_try(&other, path, &too));
    assert_true(too);
    bl_lock_release(&other);
    free(path);
    bl_test_folder_remove(folder);
}

static void lock_in_a_missing_folder_is_a_failure(void **state) {
    (void)state;
    bl_lock lock;
    bool held = true;
    assert_int_equal(bl_lock_try(&lock, "/nowhere/at/all.lock", &held), BL_FAILED);
    assert_false(held);
    assert_non_null(strstr(bl_error(), "/nowhere/at/all.lock"));
}

static void clock_moves_forward(void **state) {
    (void)state;
    double before = bl_seconds();
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    double passed = bl_seconds() - before;
    assert_true(passed >= 0.02 && passed < 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_file_replaces_the_old_one_and_leaves_nothing_else),
        cmocka_unit_test(file_without_a_folder_is_written_here),
        cmocka_unit_test(missing_folder_is_named),
        cmocka_unit_test(folder_in_the_way_stays_and_no_temporary_does),
        cmocka_unit_test(full_disk_keeps_the_old_file_and_leaves_no_temporary),
        cmocka_unit_test(folder_without_permission_keeps_the_old_file),
        cmocka_unit_test(writer_killed_at_any_moment_leaves_a_whole_file),
        cmocka_unit_test(what_dead_writers_left_is_removed_and_nothing_else),
        cmocka_unit_test(what_dead_writers_left_in_a_folder_is_removed),
        cmocka_unit_test(a_file_system_without_locks_is_a_failure_with_advice),
        cmocka_unit_test(signals_and_short_writes_are_no_failures),
        cmocka_unit_test(where_nothing_is_written_out_a_file_is_written_all_the_same),
        cmocka_unit_test(unreadable_things_are_named),
        cmocka_unit_test(only_regular_files_are_opened),
        cmocka_unit_test(larger_files_than_wanted_are_refused),
        cmocka_unit_test(missing_folders_are_made),
        cmocka_unit_test(lock_is_held_by_one_process_and_ends_with_it),
        cmocka_unit_test(lock_in_a_missing_folder_is_a_failure),
        cmocka_unit_test(clock_moves_forward),
    };
    return cmocka_run_group_tests_name("files", tests, NULL, NULL);
}
