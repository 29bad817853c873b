#include "backends/backend.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/reference/reference.h" // bl_reference_table
#include "base/file.h"                    // bl_seconds
#include "base/memory.h"                  // bl_alloc
#include "base/threads.h"                 // bl_relax

// ---- the registry ----

typedef struct module {
    const char *name;
    const bl_backend_table *table; // NULL until the module is opened; modules stay loaded (libgomp cannot be unloaded safely)
} module;

static module modules[] = {{.name = "onednn"}, {.name = "cudnn"}};
#define MODULE_COUNT (sizeof modules / sizeof *modules)

// Modules lie in the folder of the library that this function is part of.
static int module_path(const char *name, char *path, size_t bytes) {
    Dl_info here;
    if (!dladdr(bl_reference_kernels, &here) || !here.dli_fname) return bl_fail("where byolab's libraries lie is unknown");
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

void bl_backend_close(bl_backend *backend) {
    if (backend) backend->table->close(backend);
}

// ---- stores ----

static int check_place(const bl_layout *layout, bl_place place) {
    if (place.network == BL_SCALAR_NETWORK) {
        if (place.segment < 0 || place.segment >= BL_SCALARS) return bl_fail("there is no scalar %d in a store", place.segment);
        return BL_OK;
    }
    if (place.network < 0 || place.network >= layout->network_count) return bl_fail("there is no network %d in this layout", place.network);
    const bl_network *network = &layout->networks[place.network];
    if (!network->trainable && place.block != BL_PARAMETERS && place.block != BL_BUFFERS)
        return bl_fail("network '%s' is not trained: it has parameters and buffers only", network->name);
    const int count = bl_network_segments(network, place.block)->count;
    if (place.segment != BL_WHOLE_BLOCK && (place.segment < 0 || place.segment >= count))
        return bl_fail("there is no segment %d in network '%s'", place.segment, network->name);
    return BL_OK;
}

size_t bl_place_count(const bl_layout *layout, bl_place place) {
    if (place.network == BL_SCALAR_NETWORK) return 1;
    const bl_segments *segments = bl_network_segments(&layout->networks[place.network], place.block);
    return place.segment == BL_WHOLE_BLOCK ? segments->floats : (size_t)bl_shape_count(&segments->items[place.segment].shape);
}

int bl_store_create(bl_backend *backend, bl_layout *layout, bl_store **store) {
    layout->sealed = true;
    return backend->table->store_create(backend, layout, store);
}

void bl_store_free(bl_store *store) {
    if (store) store->backend->table->store_free(store);
}

int bl_store_write(bl_store *store, bl_place place, const double *src) {
    if (check_place(store->layout, place)) return BL_FAILED;
    return store->backend->table->store_write(store, place, src);
}

int bl_store_read(const bl_store *store, bl_place place, double *dst) {
    if (check_place(store->layout, place)) return BL_FAILED;
    return store->backend->table->store_read((bl_store *)store, place, dst); // waits for running steps, changes nothing
}

bool bl_store_holds_f32(const bl_store *store) {
    return store->backend->table->store_read_f32;
}

int bl_store_read_f32(const bl_store *store, bl_place place, float *dst) {
    if (check_place(store->layout, place)) return BL_FAILED;
    return store->backend->table->store_read_f32((bl_store *)store, place, dst);
}

int bl_store_scalar(bl_store *store, bl_scalar scalar, double value) {
    return bl_store_write(store, (bl_place){.network = BL_SCALAR_NETWORK, .segment = (int)scalar}, &value);
}

// An independent target has its twin's names, and equal names with an equal seed are equal weights: its seed is another one.
#define INDEPENDENT_TWIN 0x74617267657421ull // "target!"

static int initialize_block(bl_store *store, int network, bl_block_kind block, uint64_t seed) {
    const bl_segments *segments = bl_network_segments(&store->layout->networks[network], block);
    if (!segments->count) return BL_OK;
    double *values = bl_alloc(segments->floats * sizeof *values); // zeros between the segments
    if (!values) return BL_FAILED;
    for (int s = 0; s < segments->count; s++) bl_segment_initial(&segments->items[s], seed, values + segments->items[s].offset);
    const int status = bl_store_write(store, (bl_place){network, block, BL_WHOLE_BLOCK}, values);
    bl_free(values);
    return status;
}

int bl_store_initialize(bl_store *store, uint64_t seed, bool target_copies_online) {
    for (int n = 0; n < store->layout->network_count; n++) {
        const bool is_independent = store->layout->networks[n].twin_of && !target_copies_online;
        const uint64_t own_seed = is_independent ? seed ^ INDEPENDENT_TWIN : seed;
        if (initialize_block(store, n, BL_PARAMETERS, own_seed)) return BL_FAILED;
        if (initialize_block(store, n, BL_BUFFERS, own_seed)) return BL_FAILED;
    }
    return bl_store_scalar(store, BL_SCALAR_FINITE, 1);
}

// ---- plans ----

int bl_plan_compile(bl_store *store, const bl_graph *graph, const bl_compile_options *options, bl_plan **plan) {
    const bl_backend_table *table = store->backend->table;
    if (graph->layout != store->layout) return bl_fail("a plan's graph and its store must share one layout");
    for (int i = 0; i < graph->node_count; i++) {
        char reason[256] = "";
        if (!table->supports(store->backend, graph->nodes[i], reason, sizeof reason))
            return bl_fail("backend '%s' cannot run %s: %s", table->name, graph->nodes[i]->name, reason);
    }
    if (options->watch_count > BL_WATCHED) return bl_fail("%d watched scalars; a plan keeps %d", options->watch_count, BL_WATCHED);
    for (int i = 0; i < options->watch_count; i++)
        if (bl_shape_count(&options->watch[i]->shape) != 1 || options->watch[i]->dtype != BL_F32)
            return bl_fail("'%s' is no scalar: it cannot be watched", options->watch[i]->name);
    if (table->compile(store->backend, store, graph, options, plan)) return BL_FAILED;
    (*plan)->watch_count = options->watch_count;
    (*plan)->only_reports = options->only_report;
    for (int i = 0; i < options->watch_count; i++) (*plan)->watch[i] = options->watch[i];
    return BL_OK;
}

void bl_plan_free(bl_plan *plan) {
    if (plan) plan->backend->table->plan_free(plan);
}

static int check_slot(const bl_plan *plan, int slot) {
    if (plan->only_reports) return bl_fail("a plan that only reports has no memory to run in");
    return slot >= 0 && slot < BL_STAGING_SLOTS ? BL_OK : bl_fail("a plan has staging slots 0 to %d, not %d", BL_STAGING_SLOTS - 1, slot);
}

int bl_plan_slot(bl_plan *plan, int slot, const bl_tensor *input, float **host) {
    if (check_slot(plan, slot)) return BL_FAILED;
    if (input->role != BL_ROLE_INPUT) return bl_fail("'%s' is no input of its graph", input->name);
    return plan->backend->table->slot(plan, slot, input, host);
}

int bl_plan_step(bl_plan *plan, int slot, unsigned phases) {
    return check_slot(plan, slot) ? BL_FAILED : plan->backend->table->step(plan, slot, phases);
}

int bl_plan_write(bl_plan *plan, const bl_tensor *tensor, const double *src) {
    if (tensor->role != BL_ROLE_INPUT) return bl_fail("'%s' is no input of its graph", tensor->name);
    return plan->backend->table->write(plan, tensor, src);
}

int bl_plan_read(const bl_plan *plan, const bl_tensor *tensor, double *dst) {
    if (tensor->role == BL_ROLE_STORED) return bl_fail("'%s' lies in the store: read it there", tensor->name);
    return plan->backend->table->read((bl_plan *)plan, tensor, dst); // waits for the step, changes nothing
}

int bl_plan_watched(bl_plan *plan, int back, double *values, double *finite) {
    const bl_backend_table *table = plan->backend->table;
    if (table->watched) return table->watched(plan, back, values, finite);
    if (back != 0) return bl_fail("backend '%s' keeps the values of its last step only", table->name);
    for (int i = 0; i < plan->watch_count; i++)
        if (table->read(plan, plan->watch[i], &values[i])) return BL_FAILED;
    return table->store_read(plan->store, (bl_place){BL_SCALAR_NETWORK, BL_PARAMETERS, BL_SCALAR_FINITE}, finite);
}

// ---- choices ----

void bl_backend_choices(const bl_backend *backend, bl_text *text) {
    if (backend->table->choices) backend->table->choices(backend, text);
}

int bl_backend_recall(bl_backend *backend, const char *choices) {
    return backend->table->recall && *choices ? backend->table->recall(backend, choices) : BL_OK;
}
