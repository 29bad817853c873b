#include "backends/onednn/plan.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "backends/lowering/access.h"
#include "backends/lowering/memory.h"
#include "backends/onednn/onednn.h"
#include "backends/onednn/operators.h"
#include "backends/onednn/packing.h"
#include "backends/onednn/rows.h" // bl_cpu_narrow
#include "base/memory.h"          // bl_alloc
#include "base/stop.h"            // bl_stop_here

// ---- lowering ----

// On AMX, where the images of a stage are small. The test variable puts everything into strips that may lie there, on any processor.
#define LARGEST 16 // pixels wide

static bool suits_strips(const bl_tensor *tensor) {
    if (getenv("BYOLAB_TEST_STRIPS")) return true;
    const bool has_amx = (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core_amx) == dnnl_cpu_isa_avx512_core_amx;
    return has_amx && tensor->dtype == BL_BF16 && tensor->shape.dims[2] <= LARGEST;
}

// What lies in strips has zeros between its images.
static int lay_strips(bl_cpu_plan *plan) {
    bl_lowering *lowering = &plan->lowering;
    const bl_graph *graph = lowering->base.graph;
    plan->strips = bl_alloc((size_t)graph->tensor_count * sizeof *plan->strips);
    if (!plan->strips || bl_strips_find(graph, suits_strips, plan->strips)) return BL_FAILED;
    for (int t = 0; t < graph->tensor_count; t++) {
        const bl_lines lines = bl_cpu_lines(lowering, graph->tensors[t]);
        if (lines.strips.places) lowering->bytes_of[t] = bl_lines_values(&lines) * bl_cpu_size(graph->tensors[t]->dtype);
    }
    return BL_OK;
}

static int lower_node(bl_lowering *plan, const bl_node *node) {
    const bl_node *norm = plan->uses.fusion[node->id].norm, *into = plan->uses.fusion[node->id].into;
    if (into) bl_lower_note(plan, node, "fused into %s", into->name);
    if (norm) return plan->operators[norm->op]->lower_fused(plan, norm);
    return into ? BL_OK : bl_lower_node(plan, node);
}

typedef struct halving {
    const float *from;
    uint16_t *to;
    size_t count;
} halving;

static void narrow_share(const void *passed, int share, int shares) {
    const halving *h = passed;
    const bl_cpu_range range = bl_cpu_share(h->count, 64, share, shares);
    if (range.begin < range.end) bl_cpu_narrow(h->from + range.begin, h->to + range.begin, range.end - range.begin);
}

static int narrow_run(const bl_lowering *plan, const bl_step *step) {
    const halving h = {bl_step_at(plan, step, 0), bl_step_at(plan, step, 1), *(const size_t *)step->state};
    bl_cpu_parallel(bl_cpu_threads(plan), narrow_share, &h);
    return BL_OK;
}

// ---- memory ----

static int check_room(bl_lowering *plan, const bl_compile_options *options) {
    bl_room room;
    bl_room_of_machine("", &room);
    const size_t reserve = plan->store->bytes + room.total / 100; // a checkpoint is made in memory
    room.free = room.free > reserve ? room.free - reserve : 0;
    return bl_lower_check_room(plan, &room, options);
}

static int take_staging(bl_lowering *plan) {
    const int count = BL_STAGING_SLOTS * plan->uses.input_count;
    plan->host = plan->staged = bl_alloc((size_t)count * sizeof *plan->host);
    if (!plan->host) return BL_FAILED;
    for (int i = 0; i < count; i++)
        if (!(plan->host[i] = bl_alloc(bl_lower_input_bytes(plan, i % plan->uses.input_count)))) return BL_FAILED;
    return BL_OK;
}

// Huge pages where the system gives them on request: a step walks over gigabytes.
#define HUGE_PAGE ((size_t)2 << 20)

static int take_arena(bl_lowering *plan) {
    if (!plan->arena_bytes) return BL_OK;
    const size_t rounded = (plan->arena_bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    plan->arena = aligned_alloc(HUGE_PAGE, rounded);
    if (!plan->arena) return bl_fail("out of memory: %.1f MB asked for", (double)plan->arena_bytes / 1e6);
    madvise(plan->arena, rounded, MADV_HUGEPAGE);
    memset(plan->arena, 0, rounded);
    return BL_OK;
}

// Activations of one size would begin at the same place of a page, and the rows of several that a kernel walks along would
// contend for the same cache sets (batch norm of layer 1: 2.6 ms, 1.8 ms with this). So large buffers begin a little apart.
static size_t skew(const bl_lowering *plan, int buffer) {
    return plan->buffers[buffer].bytes < ((size_t)1 << 20) ? 0 : (size_t)(7 * buffer % 16) * 576;
}

static int bind(bl_cpu_plan *plan, const bl_compile_options *options) {
    bl_lowering *lowering = &plan->lowering;
    for (int i = 0; i < lowering->buffer_count; i++) lowering->buffers[i].offset = skew(lowering, i);
    if (bl_lower_place(lowering) || check_room(lowering, options)) return BL_FAILED;
    if (options->only_report) return BL_OK;
    if (take_arena(lowering) || take_staging(lowering) || bl_cpu_pack_bind(plan)) return BL_FAILED;
    bl_lower_bind(lowering);
    return BL_OK;
}

// ---- the table ----

int bl_cpu_compile(bl_backend *backend, bl_store *store, const bl_graph *graph, const bl_compile_options *options, bl_plan **plan) {
    bl_cpu_plan *made = bl_alloc(sizeof *made);
    if (!made) return BL_FAILED;
    bl_lowering *lowering = &made->lowering;
    lowering->base = (bl_plan){.backend = backend, .graph = graph, .store = store};
    lowering->store = (bl_f32_store *)store;
    lowering->operators = bl_cpu_operators;
    lowering->narrow = narrow_run;
    omp_set_num_threads(bl_cpu_threads(lowering)); // oneDNN chooses implementations by it
    if (bl_lowering_begin(lowering, options) || lay_strips(made)) goto failed;
    for (int n = 0; n < graph->node_count; n++)
        if (bl_stop_here() || lower_node(lowering, graph->nodes[lowering->uses.order[n]])) goto failed;
    if (bind(made, options)) goto failed;
    *plan = &lowering->base;
    return BL_OK;
failed:
    bl_cpu_plan_free(&lowering->base);
    return BL_FAILED;
}

void bl_cpu_plan_free(bl_plan *plan) {
    bl_cpu_plan *self = (bl_cpu_plan *)plan;
    bl_lowering *lowering = &self->lowering;
    for (int i = 0; lowering->host && i < BL_STAGING_SLOTS * lowering->uses.input_count; i++) bl_free(lowering->host[i]);
    bl_free(lowering->host);
    free(lowering->arena);
    bl_cpu_pack_free(self);
    bl_free(self->strips);
    bl_lowering_free(lowering);
    bl_free(self);
}

int bl_cpu_slot(bl_plan *plan, int slot, const bl_tensor *input, float **host) {
    const bl_lowering *self = (const bl_lowering *)plan;
    *host = self->host[slot * self->uses.input_count + bl_uses_input(&self->uses, input)];
    return BL_OK;
}

int bl_cpu_read(bl_plan *plan, const bl_tensor *tensor, double *dst) {
    const bl_lowering *self = (const bl_lowering *)plan;
    int buffer;
    if (tensor->role == BL_ROLE_INPUT) {
        bl_lowered_read_input(self, tensor, dst);
        return BL_OK;
    }
    if (bl_lowered_find(self, tensor, &buffer)) return BL_FAILED;
    const void *data = bl_buffer_address(self, buffer);
    const bl_lines lines = bl_cpu_lines(self, tensor);
    const size_t pixels = (size_t)bl_shape_count(&tensor->shape) / lines.channels;
    for (size_t pixel = 0; pixel < pixels; pixel++)
        bl_lowered_widen(data, tensor->dtype, bl_lines_at(&lines, pixel), lines.channels, dst + pixel * lines.channels);
    return BL_OK;
}

void bl_cpu_report(const bl_plan *plan, bl_plan_report *report) {
    const bl_cpu_plan *self = (const bl_cpu_plan *)plan;
    bl_lowered_report(plan, report);
    report->regions = self->waits.regions;
    report->barriers = self->waits.barriers;
}
