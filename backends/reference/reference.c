#include "backends/reference/reference.h"

#include "backends/reference/plan.h"
#include "backends/reference/store.h"
#include "base/memory.h" // bl_alloc

static int open_reference(bl_backend **backend, const bl_backend_options *options) {
    (void)options; // one thread, no instruction set to choose
    bl_backend *made = bl_alloc(sizeof *made);
    if (!made) return BL_FAILED;
    made->table = &bl_reference_table;
    *backend = made;
    return BL_OK;
}

static void close_reference(bl_backend *backend) {
    bl_free(backend);
}

static void describe(const bl_backend *backend, bl_text *text) {
    (void)backend;
    bl_text_add(text, "backend: reference\nversion: %s\narithmetic: f64\nthreads: 1\n", BYOLAB_VERSION);
}

static bool supports(const bl_backend *backend, const bl_node *node, char *reason, size_t reason_bytes) {
    (void)backend, (void)node, (void)reason, (void)reason_bytes;
    return true;
}

const bl_backend_table bl_reference_table = {
        .name = "reference",
        .open = open_reference,
        .close = close_reference,
        .describe = describe,
        .supports = supports,
        .store_create = bl_reference_store_create,
        .store_free = bl_reference_store_free,
        .store_write = bl_reference_store_write,
        .store_read = bl_reference_store_read,
        .compile = bl_reference_compile,
        .plan_free = bl_reference_plan_free,
        .slot = bl_reference_slot,
        .step = bl_reference_step,
        .write = bl_reference_write,
        .read = bl_reference_read,
        .timing = bl_reference_timing,
        .report = bl_reference_report,
};
