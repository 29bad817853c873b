// The oneDNN backend: CPU, f32 and bf16. Convolutions and linear layers are oneDNN's, everything else is this folder's own.

#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "backends/lowering/access.h"
#include "backends/onednn/onednn.h"
#include "backends/onednn/operators.h"
#include "backends/onednn/plan.h"
#include "backends/onednn/primitive.h" // bl_cpu_dnnl
#include "backends/onednn/run.h"
#include "backends/onednn/store.h"
#include "base/memory.h"               // bl_alloc

typedef struct isa {
    const char *name;
    dnnl_cpu_isa_t isa;
} isa;

static const isa selectable[] = {
    {"avx2", dnnl_cpu_isa_avx2},
    {"avx512", dnnl_cpu_isa_avx512_core},
    {"avx512_bf16", dnnl_cpu_isa_avx512_core_bf16},
    {"avx512_amx", dnnl_cpu_isa_avx512_core_amx}};

// One choice a process: oneDNN fixes it with the first primitive.
static int select_isa(const char *name) {
    static const char *chosen = "";
    if (!name || !*name || !strcmp(name, chosen)) return BL_OK;
    for (size_t i = 0; i < sizeof selectable / sizeof *selectable; i++) {
        if (strcmp(name, selectable[i].name)) continue;
        if (dnnl_set_max_cpu_isa(selectable[i].isa) != dnnl_success)
            return bl_fail("the instruction set '%s' cannot be chosen any more: oneDNN is already in use in this process", name);
        chosen = selectable[i].name;
        return BL_OK;
    }
    return bl_fail("there is no instruction set '%s'; write avx2, avx512, avx512_bf16 or avx512_amx", name);
}

static void close_backend(bl_backend *backend) {
    bl_cpu_backend *self = (bl_cpu_backend *)backend;
    bl_cpu_team_free(self->team);
    if (self->attributes) dnnl_primitive_attr_destroy(self->attributes);
    if (self->stream) dnnl_stream_destroy(self->stream);
    if (self->engine) dnnl_engine_destroy(self->engine);
    bl_free(self);
}

static const bl_backend_table table;

static int open_backend(bl_backend **backend, const bl_backend_options *options) {
    if (options->threads < 1) return bl_fail("%d threads: at least one is needed", options->threads);
    if (select_isa(options->isa)) return BL_FAILED;
    bl_cpu_backend *made = bl_alloc(sizeof *made);
    if (!made) return BL_FAILED;
    made->base.table = &table;
    made->threads = options->threads;
    if (bl_cpu_team_create(&made->team, options->threads)) {
        close_backend(&made->base);
        return BL_FAILED;
    }
    omp_set_dynamic(0);
    omp_set_num_threads(options->threads);
    dnnl_status_t status = dnnl_engine_create(&made->engine, dnnl_cpu, 0);
    if (!status) status = dnnl_stream_create(&made->stream, made->engine, dnnl_stream_default_flags);
    if (!status) status = dnnl_primitive_attr_create(&made->attributes);
    if (!status) status = dnnl_primitive_attr_set_scratchpad_mode(made->attributes, dnnl_scratchpad_mode_user);
    if (bl_cpu_dnnl(status, NULL, "opening the CPU engine")) {
        close_backend(&made->base);
        return BL_FAILED;
    }
    *backend = &made->base;
    return BL_OK;
}

static const char *effective_isa(void) {
    switch (dnnl_get_effective_cpu_isa()) {
    case dnnl_cpu_isa_sse41: return "sse41";
    case dnnl_cpu_isa_avx: return "avx";
    case dnnl_cpu_isa_avx2: return "avx2";
    case dnnl_cpu_isa_avx2_vnni: return "avx2_vnni";
    case dnnl_cpu_isa_avx2_vnni_2: return "avx2_vnni_2";
    case dnnl_cpu_isa_avx512_core: return "avx512";
    case dnnl_cpu_isa_avx512_core_vnni: return "avx512_vnni";
    case dnnl_cpu_isa_avx512_core_bf16: return "avx512_bf16";
    case dnnl_cpu_isa_avx512_core_fp16: return "avx512_fp16";
    case dnnl_cpu_isa_avx512_core_amx: return "avx512_amx";
    case dnnl_cpu_isa_avx512_core_amx_fp16: return "avx512_amx_fp16";
    default: return "generic";
    }
}

static void describe(const bl_backend *backend, bl_text *text) {
    const dnnl_version_t *version = dnnl_version();
    bl_text_add(text, "backend: onednn\nversion: %d.%d.%d\ninstruction set: %s\nthreads: %d\n", version->major, version->minor,
                version->patch, effective_isa(), ((const bl_cpu_backend *)backend)->threads);
}

static bool supports(const bl_backend *backend, const bl_node *node, char *reason, size_t reason_bytes) {
    const bl_operator *of = bl_cpu_operators[node->op];
    if (!of->check || of->check(backend, node) == BL_OK) return true;
    snprintf(reason, reason_bytes, "%s (%s on %s)", bl_error(), bl_dtype_name(node->inputs[0]->dtype), effective_isa());
    return false;
}

static const bl_backend_table table = {
        .name = "onednn",
        .open = open_backend,
        .close = close_backend,
        .describe = describe,
        .supports = supports,
        .store_create = bl_cpu_store_create,
        .store_free = bl_cpu_store_free,
        .store_write = bl_cpu_store_write,
        .store_read = bl_cpu_store_read,
        .store_read_f32 = bl_cpu_store_read_f32,
        .compile = bl_cpu_compile,
        .plan_free = bl_cpu_plan_free,
        .slot = bl_cpu_slot,
        .step = bl_cpu_step,
        .write = bl_lowered_write,
        .read = bl_cpu_read,
        .timing = bl_lowered_timing,
        .report = bl_cpu_report,
};

const bl_backend_table *bl_backend_module(void);
const bl_backend_table *bl_backend_module(void) {
    return &table;
}
