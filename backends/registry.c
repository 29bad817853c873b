#include "backends/registry.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/reference/reference.h" // bl_reference_table
#include "base/file.h"                    // bl_seconds
#include "base/threads.h"                 // bl_relax

typedef struct module {
    const char *name;
    const bl_backend_table *table; // NULL until the module is opened; modules stay loaded (libgomp cannot be unloaded safely)
} module;

static module modules[] = {{.name = "onednn"}, {.name = "cudnn"}};
#define MODULE_COUNT (sizeof modules / sizeof *modules)

// Modules lie in the folder of the library that this is part of.
static int module_path(const char *name, char *path, size_t bytes) {
    Dl_info here;
    if (!dladdr(modules, &here) || !here.dli_fname) return bl_fail("where byolab's libraries lie is unknown");
    const char *slash = strrchr(here.dli_fname, '/');
    const int folder = slash ? (int)(slash - here.dli_fname) : 1;
    const int length = snprintf(path, bytes, "%.*s/libbyolab_%s.so", folder, slash ? here.dli_fname : ".", name);
    if (length < 0 || (size_t)length >= bytes) return bl_fail("the path of backend '%s' is too long", name);
    return BL_OK;
}

bool bl_backend_present(const char *name) {
    if (!strcmp(name, bl_reference_table.name)) return true;
    char path[4096];
    for (size_t i = 0; i < MODULE_COUNT; i++)
        if (!strcmp(name, modules[i].name)) return module_path(name, path, sizeof path) == BL_OK && !access(path, R_OK);
    return false;
}

static const char *const *list(const char *names[MODULE_COUNT + 2], bool present_only) {
    int count = 0;
    names[count++] = bl_reference_table.name;
    for (size_t i = 0; i < MODULE_COUNT; i++)
        if (!present_only || bl_backend_present(modules[i].name)) names[count++] = modules[i].name;
    names[count] = NULL;
    return names;
}

const char *const *bl_backend_names(void) {
    static const char *names[MODULE_COUNT + 2];
    return list(names, true);
}

const char *const *bl_backend_known(void) {
    static const char *names[MODULE_COUNT + 2];
    return list(names, false);
}

// "this program has reference, onednn", behind what was asked for in vain.
static int refuse(const char *name, const char *what) {
    bl_text present = {0};
    for (const char *const *each = bl_backend_names(); *each; each++) bl_text_add(&present, "%s%s", present.size ? ", " : "", *each);
    const int status = bl_fail("backend '%s' %s; this program has %s: choose one with --backend", name, what, present.chars);
    bl_text_free(&present);
    return status;
}

// How often libgomp looks before a waiting thread sleeps, for this many seconds of it: a look takes 10 cycles or 140, by processor.
static long looks_in(double seconds) {
    enum { TRIES = 5, LOOKS = 500 };
    double best = 1;
    for (int i = 0; i < TRIES; i++) {
        const double begin = bl_seconds();
        for (volatile int k = 0; k < LOOKS; k++) bl_relax();
        const double spent = bl_seconds() - begin;
        if (spent < best) best = spent;
    }
    return (long)(seconds * LOOKS / best) + 1;
}

// libgomp reads its environment once, when the module that needs it is loaded. The number of threads is the run's; how idle
// ones wait is the user's choice where they made one. By default they spin about as long as waking up takes: libgomp's own default
// (milliseconds) takes cores from the loader threads and from whoever else is on the machine, and sleeping at once costs a wake-up a
// primitive.
#define SPIN_SECONDS 60e-6

static void set_thread_environment(const bl_backend_options *options) {
    char threads[16], looks[32];
    snprintf(threads, sizeof threads, "%d", options->threads);
    snprintf(looks, sizeof looks, "%ld", looks_in(SPIN_SECONDS));
    setenv("OMP_NUM_THREADS", threads, 1);
    if (!getenv("OMP_WAIT_POLICY") && !getenv("GOMP_SPINCOUNT")) setenv("GOMP_SPINCOUNT", looks, 1);
}

// What the loader did not find: "libcudnn.so.9: cannot open shared object file: ...".
static int refuse_to_load(const char *name, const char *reason) {
    static const struct {
        const char *library, *product;
    } products[] = {{"libcudnn", "cuDNN 9"}, {"libcudart", "CUDA 13"}, {"libcublas", "CUDA 13"}, {"libdnnl", "oneDNN 3"}};
    const char *end = strstr(reason, ": cannot open shared object file");
    for (size_t i = 0; end && i < sizeof products / sizeof *products; i++)
        if (!strncmp(reason, products[i].library, strlen(products[i].library)))
            return bl_fail("backend '%s' needs %.*s, which is not found; install %s or name its folder in LD_LIBRARY_PATH", name,
                           (int)(end - reason), reason, products[i].product);
    return bl_fail("backend '%s' cannot be loaded: %s", name, reason);
}

static int open_module(module *self, const bl_backend_options *options) {
    if (self->table) return BL_OK;
    if (!bl_backend_present(self->name)) return refuse(self->name, "was not built");
    char path[4096];
    if (module_path(self->name, path, sizeof path)) return BL_FAILED;
    set_thread_environment(options);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) return refuse_to_load(self->name, dlerror());
    // A function pointer comes out of dlsym as an object pointer; POSIX promises that the bytes mean the same.
    bl_backend_module_function entry;
    void *symbol = dlsym(library, BL_BACKEND_MODULE);
    if (!symbol) return bl_fail("%s is no backend: it has no %s", path, BL_BACKEND_MODULE);
    memcpy(&entry, &symbol, sizeof entry);
    self->table = entry();
    return BL_OK;
}

int bl_backend_open(bl_backend **backend, const char *name, const bl_backend_options *options) {
    if (!strcmp(name, bl_reference_table.name)) return bl_reference_table.open(backend, options);
    for (size_t i = 0; i < MODULE_COUNT; i++)
        if (!strcmp(name, modules[i].name)) return open_module(&modules[i], options) ? BL_FAILED : modules[i].table->open(backend, options);
    return refuse(name, "does not exist");
}
