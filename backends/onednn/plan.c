// A plan: compiling a graph into steps, giving every buffer its address, and running.

#include <limits.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "backends/onednn/onednn.h"
#include "backends/planner.h"
#include "backends/room.h"
#include "base/file.h" // bl_seconds
#include "base/stop.h" // bl_stop_here

// ---- lowering ----

static int alias(bl_cpu_plan *plan, const bl_node *node) {
    const bl_tensor *x = node->inputs[0], *y = node->outputs[0];
    int *buffer = &plan->buffer_of[y->id];
    if (bl_cpu_value(plan, x, buffer)) return BL_FAILED;
    if (bl_uses_keep(&plan->uses, y)) plan->buffers[*buffer].kept = true;
    bl_cpu_note(plan, node, "alias of %s", x->name);
    return BL_OK;
}

static int (*const lower[BL_OP_COUNT])(bl_cpu_plan *, const bl_node *) = {
        [BL_OP_CONVOLUTION] = bl_cpu_convolution,
        [BL_OP_CONVOLUTION_BACKWARD_DATA] = bl_cpu_convolution_backward_data,
        [BL_OP_CONVOLUTION_BACKWARD_WEIGHTS] = bl_cpu_convolution_backward_weights,
        [BL_OP_BATCH_NORM] = bl_cpu_batch_norm,
        [BL_OP_BATCH_NORM_BACKWARD] = bl_cpu_batch_norm_backward,
        [BL_OP_BATCH_NORM_RUNNING] = bl_cpu_batch_norm_running,
        [BL_OP_RELU] = bl_cpu_relu,
        [BL_OP_RELU_BACKWARD] = bl_cpu_relu_backward,
        [BL_OP_ADD] = bl_cpu_add,
        [BL_OP_GLOBAL_AVERAGE_POOL] = bl_cpu_pool,
        [BL_OP_GLOBAL_AVERAGE_POOL_BACKWARD] = bl_cpu_pool_backward,
        [BL_OP_MAX_POOL] = bl_cpu_max_pool,
        [BL_OP_MAX_POOL_BACKWARD] = bl_cpu_max_pool_backward,
        [BL_OP_RESIZE] = bl_cpu_resize,
        [BL_OP_RESIZE_BACKWARD] = bl_cpu_resize,
        [BL_OP_LINEAR] = bl_cpu_linear,
        [BL_OP_LINEAR_BACKWARD_DATA] = bl_cpu_linear_backward_data,
        [BL_OP_LINEAR_BACKWARD_WEIGHTS] = bl_cpu_linear_backward_weights,
        [BL_OP_LINEAR_BACKWARD_BIAS] = bl_cpu_linear_backward_bias,
        [BL_OP_STOP_GRADIENT] = alias,
        [BL_OP_CROSS_ENTROPY] = bl_cpu_cross_entropy,
        [BL_OP_CROSS_ENTROPY_BACKWARD] = bl_cpu_cross_entropy_backward,
        [BL_OP_ARGMAX] = bl_cpu_argmax,
        [BL_OP_BYOL_LOSS] = bl_cpu_loss,
        [BL_OP_BYOL_LOSS_BACKWARD] = bl_cpu_loss_backward,
        [BL_OP_PROJECTION_STD] = bl_cpu_projection_std,
        [BL_OP_ACCUMULATE] = bl_cpu_accumulate,
        [BL_OP_RUNNING_AVERAGE] = bl_cpu_running_average,
        [BL_OP_CHECK_FINITE] = bl_cpu_check_finite,
        [BL_OP_SGD] = bl_cpu_sgd,
        [BL_OP_ADAM] = bl_cpu_adam,
        [BL_OP_LARS] = bl_cpu_lars,
        [BL_OP_EMA] = bl_cpu_ema,
};

static int lower_node(bl_cpu_plan *plan, const bl_node *node) {
    const bl_node *norm = plan->uses.fusion[node->id].norm, *into = plan->uses.fusion[node->id].into;
    if (into) bl_cpu_note(plan, node, "fused into %s", into->name);
    if (norm) return norm->op == BL_OP_BATCH_NORM_BACKWARD ? bl_cpu_batch_norm_reduce(plan, norm) : bl_cpu_batch_norm_apply(plan, norm);
    return into ? BL_OK : lower[node->op](plan, node);
}

// The gradient of a segment is made where the optimiser reads it, if nothing else wants it.
static int place_gradients(bl_cpu_plan *plan) {
    const bl_graph *graph = plan->base.graph;
    for (int i = 0; i < graph->node_count; i++) {
        const bl_node *node = graph->nodes[i];
        if (bl_uses_makes_in_place(&plan->uses, node) &&
            bl_cpu_value(plan, node->inputs[1], &plan->buffer_of[node->inputs[0]->id]))
            return BL_FAILED;
    }
    return BL_OK;
}

// On AMX, where the images of a stage are small. The test variable puts everything into strips that may lie there, on any processor.
#define LARGEST 16 // pixels wide

static bool suits_strips(const bl_tensor *tensor) {
    if (getenv("BYOLAB_TEST_STRIPS")) return true;
    const bool has_amx = (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core_amx) == dnnl_cpu_isa_avx512_core_amx;
    return has_amx && tensor->dtype == BL_BF16 && tensor->shape.dims[2] <= LARGEST;
}

static int take_tables(bl_cpu_plan *plan, const bl_compile_options *options) {
    const bl_graph *graph = plan->base.graph;
    plan->names = bl_arena_create();
    plan->buffer_of = bl_alloc((size_t)graph->tensor_count * sizeof *plan->buffer_of);
    plan->coefficients = bl_alloc((size_t)graph->node_count * sizeof *plan->coefficients);
    plan->rows = bl_alloc((size_t)graph->node_count * sizeof *plan->rows);
    plan->strips = bl_alloc((size_t)graph->tensor_count * sizeof *plan->strips);
    if (!plan->buffer_of || !plan->coefficients || !plan->rows || !plan->strips) return BL_FAILED;
    if (bl_strips_find(graph, suits_strips, plan->strips)) return BL_FAILED;
    for (int t = 0; t < graph->tensor_count; t++) plan->buffer_of[t] = -1;
    for (int n = 0; n < graph->node_count; n++) plan->rows[n] = (bl_node_report){.node = graph->nodes[n], .implementation = "byolab"};
    plan->accumulate = options->accumulate > 1 ? options->accumulate : 1;
    for (int n = 0; n < graph->node_count; n++) plan->weights_move |= graph->nodes[n]->phase == BL_PHASE_UPDATE && plan->accumulate == 1;
    return bl_uses_find(&plan->uses, graph, options);
}

// ---- memory ----

static size_t input_bytes(const bl_cpu_plan *plan, int input) {
    return (size_t)bl_shape_count(&plan->uses.inputs[input]->shape) * sizeof(float);
}

static int check_room(bl_cpu_plan *plan, const bl_compile_options *options) {
    bl_room room;
    for (int i = 0; i < plan->uses.input_count; i++) plan->staging_bytes += BL_STAGING_SLOTS * input_bytes(plan, i);
    bl_room_of_machine("", &room);
    const size_t reserve = plan->store->bytes + room.total / 100; // a checkpoint is made in memory
    plan->free_bytes = room.free = room.free > reserve ? room.free - reserve : 0;
    return bl_room_check(&room, &(bl_need){plan->arena_bytes, plan->staging_bytes, plan->packed_bytes, plan->accumulate,
                                            options->batch, options->batch_key, options->accumulate_key});
}

static int take_staging(bl_cpu_plan *plan) {
    const int count = BL_STAGING_SLOTS * plan->uses.input_count;
    plan->staging = bl_alloc((size_t)count * sizeof *plan->staging);
    if (!plan->staging) return BL_FAILED;
    for (int i = 0; i < count; i++)
        if (!(plan->staging[i] = bl_alloc(input_bytes(plan, i % plan->uses.input_count)))) return BL_FAILED;
    return BL_OK;
}

// Huge pages where the system gives them on request: a step walks over gigabytes.
#define HUGE_PAGE ((size_t)2 << 20)

static int take_arena(bl_cpu_plan *plan) {
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
static size_t skew(const bl_cpu_plan *plan, int buffer) {
    return plan->buffers[buffer].bytes < ((size_t)1 << 20) ? 0 : (size_t)(7 * buffer % 16) * 576;
}

static int bind(bl_cpu_plan *plan, const bl_compile_options *options) {
    int status = BL_FAILED;
    bl_item *items = bl_alloc((size_t)plan->buffer_count * sizeof *items);
    if (!items) return BL_FAILED;
    for (int i = 0; i < plan->buffer_count; i++) items[i] = (bl_item){.first = INT_MAX, .last = -1};
    for (int s = 0; s < plan->step_count; s++)
        for (int k = 0; k < BL_CPU_OPERANDS; k++) {
            const int buffer = plan->steps[s].buffers[k];
            if (buffer < 0 || !plan->buffers[buffer].in_arena) continue;
            if (items[buffer].last < 0) items[buffer].first = s;
            items[buffer].last = plan->buffers[buffer].kept ? INT_MAX : s;
            items[buffer].bytes = plan->buffers[buffer].bytes + skew(plan, buffer);
        }
    for (int i = 0; i < plan->buffer_count; i++)
        if (items[i].last < 0) items[i].first = items[i].last = 0; // no step touches it: no bytes
    if (bl_plan_memory(items, plan->buffer_count, &plan->arena_bytes) || check_room(plan, options)) goto done;
    if (!options->only_report && (take_arena(plan) || take_staging(plan) || bl_cpu_pack_bind(plan))) goto done;
    for (int i = 0; i < plan->buffer_count; i++)
        if (plan->buffers[i].in_arena && plan->arena)
            plan->buffers[i].data = (unsigned char *)plan->arena + items[i].offset + skew(plan, i);
    status = BL_OK;
done:
    bl_free(items);
    return status;
}

// ---- the table ----

int bl_cpu_compile(bl_backend *backend, bl_store *store, const bl_graph *graph, const bl_compile_options *options, bl_plan **plan) {
    bl_cpu_plan *made = bl_alloc(sizeof *made);
    if (!made) return BL_FAILED;
    made->base = (bl_plan){.backend = backend, .graph = graph, .store = store};
    made->backend = (bl_cpu_backend *)backend;
    made->store = (bl_cpu_store *)store;
    omp_set_num_threads(made->backend->threads); // oneDNN chooses implementations by it
    if (take_tables(made, options) || place_gradients(made)) goto failed;
    for (int n = 0; n < graph->node_count; n++)
        if (bl_stop_here() || lower_node(made, graph->nodes[made->uses.order[n]])) goto failed;
    if (bind(made, options)) goto failed;
    *plan = &made->base;
    return BL_OK;
failed:
    bl_cpu_plan_free(&made->base);
    return BL_FAILED;
}

static void packed_free(bl_cpu_packed *packed) {
    if (packed->desc) dnnl_memory_desc_destroy(packed->desc);
    if (packed->reorder) dnnl_primitive_destroy(packed->reorder);
    if (packed->master) dnnl_memory_destroy(packed->master);
    if (packed->packed) dnnl_memory_destroy(packed->packed);
    if (packed->scratchpad) dnnl_memory_destroy(packed->scratchpad);
    bl_free(packed->data);
}

void bl_cpu_plan_free(bl_plan *plan) {
    bl_cpu_plan *self = (bl_cpu_plan *)plan;
    for (int i = 0; i < self->step_count; i++)
        if (self->steps[i].state_free) self->steps[i].state_free(self->steps[i].state);
    for (int i = 0; i < self->packed_count; i++) packed_free(&self->packed[i]);
    for (int i = 0; self->staging && i < BL_STAGING_SLOTS * self->uses.input_count; i++) bl_free(self->staging[i]);
    bl_free(self->staging);
    bl_free(self->packed);
    bl_free(self->steps);
    bl_free(self->buffers);
    bl_free(self->buffer_of);
    bl_free(self->strips);
    bl_free(self->coefficients);
    bl_uses_free(&self->uses);
    bl_free(self->rows);
    bl_arena_free(self->names);
    free(self->arena);
    bl_free(self);
}

static float *staged(const bl_cpu_plan *plan, int slot, const bl_tensor *input) {
    return plan->staging[slot * plan->uses.input_count + bl_uses_input(&plan->uses, input)];
}

int bl_cpu_slot(bl_plan *plan, int slot, const bl_tensor *input, float **host) {
    *host = staged((const bl_cpu_plan *)plan, slot, input);
    return BL_OK;
}

// ---- running ----

static bl_cpu_waits waits_since(const bl_cpu_plan *plan, bl_cpu_waits before) {
    const bl_cpu_waits now = bl_cpu_team_waits(plan->backend->team);
    return (bl_cpu_waits){now.regions - before.regions, now.barriers - before.barriers};
}

static int run_step(bl_cpu_plan *plan, const bl_cpu_step *step) {
    if (!plan->is_timed) return step->run(plan, step);
    const double begin = bl_seconds();
    const bl_cpu_waits before = bl_cpu_team_waits(plan->backend->team);
    const bool opens_region = step->is_library && plan->backend->threads > 1;
    if (step->run(plan, step)) return BL_FAILED;
    plan->waits.regions += opens_region;
    if (!step->node) return BL_OK;
    bl_node_report *row = &plan->rows[step->node->id];
    row->seconds += bl_seconds() - begin;
    row->regions += opens_region;
    row->barriers += waits_since(plan, before).barriers;
    return BL_OK;
}

int bl_cpu_run_together(bl_cpu_plan *plan, const bl_node *node, int (*work)(void *context), void *context) {
    const bl_cpu_waits before = bl_cpu_team_waits(plan->backend->team);
    const int status = bl_cpu_team_run(plan->backend->team, work, context);
    if (!plan->is_timed) return status;
    const bl_cpu_waits added = waits_since(plan, before);
    plan->waits.regions += added.regions;
    plan->waits.barriers += added.barriers;
    if (node) plan->rows[node->id].regions += added.regions;
    return status;
}

// Own steps that follow one another, from `begin` to before `end`; what they touch in all.
typedef struct stretch {
    bl_cpu_plan *plan;
    unsigned phases;
    int begin, end;
    size_t bytes;
    const bl_node *node; // the first one
} stretch;

static bool is_of(const bl_cpu_step *step, unsigned phases) {
    return (step->node ? step->node->phase : BL_PHASE_MICRO) & phases;
}

static int run_stretch(void *passed) {
    const stretch *s = passed;
    for (int i = s->begin; i < s->end; i++)
        if (is_of(&s->plan->steps[i], s->phases) && run_step(s->plan, &s->plan->steps[i])) return BL_FAILED;
    return BL_OK;
}

static stretch stretch_from(bl_cpu_plan *plan, int begin, unsigned phases) {
    stretch s = {.plan = plan, .phases = phases, .begin = begin, .end = begin};
    for (; s.end < plan->step_count; s.end++) {
        const bl_cpu_step *step = &plan->steps[s.end];
        if (!is_of(step, phases)) continue;
        if (step->is_library) break;
        s.bytes += step->bytes;
        if (!s.node) s.node = step->node;
    }
    return s;
}

static int run_steps(bl_cpu_plan *plan, unsigned phases) {
    for (int i = 0; i < plan->step_count; i++) {
        stretch s = stretch_from(plan, i, phases);
        if (s.bytes <= BL_CPU_SMALL_BYTES ? run_stretch(&s) : bl_cpu_run_together(plan, s.node, run_stretch, &s)) return BL_FAILED;
        i = s.end;
        if (i < plan->step_count && run_step(plan, &plan->steps[i])) return BL_FAILED;
    }
    return BL_OK;
}

int bl_cpu_step_run(bl_plan *plan, int slot, unsigned phases) {
    bl_cpu_plan *self = (bl_cpu_plan *)plan;
    omp_set_num_threads(self->backend->threads);
    self->slot = slot;
    for (int i = 0; i < self->buffer_count; i++)
        if (self->buffers[i].input >= 0) self->buffers[i].data = self->staging[slot * self->uses.input_count + self->buffers[i].input];
    if (phases & BL_PHASE_BEGIN && run_steps(self, BL_PHASE_BEGIN)) return BL_FAILED;
    if (bl_cpu_pack_stale(self)) return BL_FAILED;
    return run_steps(self, phases & ~(unsigned)BL_PHASE_BEGIN);
}

int bl_cpu_write(bl_plan *plan, const bl_tensor *tensor, const double *src) {
    const int64_t count = bl_shape_count(&tensor->shape);
    for (int slot = 0; slot < BL_STAGING_SLOTS; slot++) {
        float *dst = staged((const bl_cpu_plan *)plan, slot, tensor);
        for (int64_t i = 0; i < count; i++) dst[i] = (float)src[i];
    }
    return BL_OK;
}

static double widened(uint16_t half) {
    const uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

int bl_cpu_read(bl_plan *plan, const bl_tensor *tensor, double *dst) {
    const bl_cpu_plan *self = (const bl_cpu_plan *)plan;
    const int64_t count = bl_shape_count(&tensor->shape);
    if (tensor->role == BL_ROLE_INPUT) {
        const float *src = staged(self, self->slot, tensor);
        for (int64_t i = 0; i < count; i++) dst[i] = bl_round_to(tensor->dtype, src[i]);
        return BL_OK;
    }
    const int buffer = self->buffer_of[tensor->id];
    if (!bl_uses_keep(&self->uses, tensor) || buffer < 0) return bl_fail("'%s' is not observed by this plan", tensor->name);
    const void *data = self->buffers[buffer].data;
    const bl_lines lines = bl_cpu_lines(self, tensor);
    for (int64_t pixel = 0; pixel < count / (int64_t)lines.channels; pixel++, dst += lines.channels) {
        const size_t first = bl_lines_at(&lines, (size_t)pixel);
        for (size_t c = 0; c < lines.channels; c++)
            dst[c] = tensor->dtype == BL_F32 ? ((const float *)data)[first + c] : widened(((const uint16_t *)data)[first + c]);
    }
    return BL_OK;
}

void bl_cpu_timing(bl_plan *plan, bool on) {
    ((bl_cpu_plan *)plan)->is_timed = on;
}

void bl_cpu_report(const bl_plan *plan, bl_plan_report *report) {
    const bl_cpu_plan *self = (const bl_cpu_plan *)plan;
    *report = (bl_plan_report){.rows = self->rows,
                               .count = plan->graph->node_count,
                               .arena_bytes = self->arena_bytes,
                               .packed_bytes = self->packed_bytes,
                               .staging_bytes = self->staging_bytes,
                               .free_bytes = self->free_bytes,
                               .regions = self->waits.regions,
                               .barriers = self->waits.barriers};
}
