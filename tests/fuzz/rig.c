#include "rig.h"

#include <dirent.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[4096];
static pid_t owner;

static int remove_one(const char *path, const struct stat *facts, int kind, struct FTW *where) {
    (void)facts, (void)kind;
    return where->level ? remove(path) : 0;
}

void bl_fuzz_clear(void) { nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS); }

static void leave(void) {
    if (getpid() != owner) return;
    bl_fuzz_clear();
    rmdir(folder);
}

const char *bl_fuzz_here(void) {
    const char *parent = getenv("TMPDIR");
    if (*folder) return folder;
    snprintf(folder, sizeof folder, "%s/byolab-fuzz-XXXXXX", parent ? parent : "/tmp");
    if (!mkdtemp(folder) || chdir(folder)) abort();
    owner = getpid();
    atexit(leave);
    setenv("XDG_CACHE_HOME", folder, 1);
    setenv("PATH", "/nowhere", 1); // gnuplot: another program's time
    return folder;
}

const char *bl_fuzz_file(const char *name, const uint8_t *data, size_t size) {
    static char path[5000];
    snprintf(path, sizeof path, "%s/%s", bl_fuzz_here(), name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, 1, size, file) != size || fclose(file)) abort();
    return path;
}

void bl_fuzz_ask(void) {
    if (bl_error_set("", "")) return;
}

bool bl_fuzz_told(int status) {
    if (status == BL_OK) return true;
    if (!*bl_error()) abort();
    return false;
}
