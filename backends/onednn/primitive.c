// oneDNN primitives as steps of a plan, and weights packed into the layouts they ask for.

#include <omp.h>
#include <stdatomic.h>

#include "backends/onednn/onednn.h"
#include "base/file.h" // bl_seconds

#define MAX_ARGUMENTS 6

typedef struct primitive {
    dnnl_primitive_t handle;
    int count;
    dnnl_exec_arg_t arguments[MAX_ARGUMENTS]; // argument i works on buffer i of the step
} primitive;

static const char *status_name(dnnl_status_t status) {
    switch (status) {
    case dnnl_out_of_memory: return "out of memory";
    case dnnl_invalid_arguments: return "invalid arguments";
    case dnnl_unimplemented: return "not implemented";
    case dnnl_runtime_error: return "run-time error";
    default: return "failed";
    }
}

int bl_cpu_dnnl(dnnl_status_t status, const bl_node *node, const char *what) {
    if (status == dnnl_success) return BL_OK;
    return bl_fail("%s: oneDNN: %s: %s", node ? node->name : "oneDNN backend", what, status_name(status));
}

dnnl_data_type_t bl_cpu_type(bl_dtype dtype) {
    return dtype == BL_F32 ? dnnl_f32 : dnnl_bf16;
}

static void primitive_free(void *state) {
    primitive *self = state;
    for (int i = 0; i < self->count; i++) dnnl_memory_destroy(self->arguments[i].memory);
    if (self->handle) dnnl_primitive_destroy(self->handle);
    bl_free(self);
}

static int primitive_run(const bl_cpu_plan *plan, const bl_cpu_step *step) {
    const primitive *self = step->state;
    for (int i = 0; i < self->count; i++) {
        const dnnl_status_t bound = dnnl_memory_set_data_handle(self->arguments[i].memory, bl_cpu_at(plan, step, i));
        if (bl_cpu_dnnl(bound, step->node, "binding memory")) return BL_FAILED;
    }
    return bl_cpu_dnnl(dnnl_primitive_execute(self->handle, plan->backend->stream, self->count, self->arguments), step->node, "execution");
}

// Adds an argument whose memory is bound when the step runs.
static int add_argument(const bl_cpu_plan *plan, const bl_node *node, primitive *self, bl_cpu_operand operand) {
    dnnl_exec_arg_t *argument = &self->arguments[self->count];
    argument->arg = operand.argument;
    const dnnl_status_t made = dnnl_memory_create(&argument->memory, operand.desc, plan->backend->engine, DNNL_MEMORY_NONE);
    if (bl_cpu_dnnl(made, node, "memory")) return BL_FAILED;
    self->count++;
    return BL_OK;
}

static int primitive_step(bl_cpu_plan *plan, const bl_node *node, const_dnnl_primitive_desc_t desc, const bl_cpu_operand *operands,
                          int count) {
    int buffers[MAX_ARGUMENTS];
    primitive *self = bl_alloc(sizeof *self);
    if (!self) return BL_FAILED;
    if (bl_cpu_dnnl(dnnl_primitive_create(&self->handle, desc), node, "primitive")) goto failed;
    for (int i = 0; i < count; i++) {
        if (add_argument(plan, node, self, operands[i])) goto failed;
        buffers[i] = operands[i].buffer;
    }
    const const_dnnl_memory_desc_t scratchpad = dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0);
    const size_t bytes = scratchpad ? dnnl_memory_desc_get_size(scratchpad) : 0;
    if (bytes) {
        if (bl_cpu_buffer_add(plan, bytes, &buffers[count])) goto failed;
        if (add_argument(plan, node, self, (bl_cpu_operand){DNNL_ARG_SCRATCHPAD, scratchpad, 0})) goto failed;
        plan->rows[node->id].bytes += bytes;
    }
    if (bl_cpu_step_add(plan, node, primitive_run, buffers, self->count, NULL, 0)) goto failed;
    plan->steps[plan->step_count - 1].is_library = true;
    plan->steps[plan->step_count - 1].state = self;
    plan->steps[plan->step_count - 1].state_free = primitive_free;
    return BL_OK;
failed:
    primitive_free(self);
    return BL_FAILED;
}

int bl_cpu_primitive_step(bl_cpu_plan *plan, const bl_node *node, const_dnnl_primitive_desc_t desc, const bl_cpu_operand *operands,
                          int count) {
    const char *implementation = "";
    if (dnnl_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, &implementation) == dnnl_success)
        bl_cpu_note(plan, node, "%s", implementation);
    return primitive_step(plan, node, desc, operands, count);
}

static int run_alone(const bl_cpu_plan *plan, const bl_cpu_step *step) {
    omp_set_num_threads(1);
    const int status = primitive_run(plan, step);
    omp_set_num_threads(plan->backend->threads);
    return status;
}

int bl_cpu_reorder_step(bl_cpu_plan *plan, const bl_node *node, bl_cpu_operand from, bl_cpu_operand to) {
    dnnl_primitive_desc_t desc;
    const dnnl_engine_t engine = plan->backend->engine;
    const bool is_small = dnnl_memory_desc_get_size(from.desc) + dnnl_memory_desc_get_size(to.desc) <= BL_CPU_SMALL_BYTES;
    if (is_small) omp_set_num_threads(1); // it is made for as many as run it
    const dnnl_status_t made = dnnl_reorder_primitive_desc_create(&desc, from.desc, engine, to.desc, engine, plan->backend->attributes);
    from.argument = DNNL_ARG_FROM;
    to.argument = DNNL_ARG_TO;
    const int status = bl_cpu_dnnl(made, node, "reorder") ? BL_FAILED : primitive_step(plan, node, desc, (bl_cpu_operand[]){from, to}, 2);
    if (!made) dnnl_primitive_desc_destroy(desc);
    omp_set_num_threads(plan->backend->threads);
    if (status == BL_OK && is_small) {
        plan->steps[plan->step_count - 1].is_library = false;
        plan->steps[plan->step_count - 1].run = run_alone;
    }
    return status;
}

// ---- packed weights ----

static bool is_same_place(bl_place a, bl_place b) {
    return a.network == b.network && a.block == b.block && a.segment == b.segment;
}

// Finds weights already packed like this, or adds them, not yet made; *known tells which.
static int packed_add(bl_cpu_plan *plan, const bl_node *node, bl_place place, const_dnnl_memory_desc_t wanted, bl_cpu_pack_function pack,
                      size_t bytes, bl_cpu_packed **packed, bool *known) {
    for (int i = 0; i < plan->packed_count; i++) {
        bl_cpu_packed *other = *packed = &plan->packed[i];
        if (!is_same_place(other->place, place) || other->pack != pack) continue;
        *known = pack ? other->node->op == node->op : dnnl_memory_desc_equal(other->desc, wanted);
        if (*known) return BL_OK;
    }
    if (bl_grow((void **)&plan->packed, plan->packed_count, &plan->packed_capacity, sizeof *plan->packed)) return BL_FAILED;
    bl_cpu_packed *self = *packed = &plan->packed[plan->packed_count++];
    *known = false;
    *self = (bl_cpu_packed){.place = place, .node = node, .pack = pack, .bytes = bytes};
    if (bl_cpu_buffer_add(plan, bytes, &self->buffer)) return BL_FAILED;
    plan->buffers[self->buffer].in_arena = false;
    plan->packed_bytes += bytes;
    return BL_OK;
}

static int master_of(bl_cpu_plan *plan, const bl_node *node, const bl_tensor *tensor, int *master) {
    if (tensor->role != BL_ROLE_STORED) return bl_fail("%s: its weights '%s' must live in the store", node->name, tensor->name);
    return bl_cpu_value(plan, tensor, master);
}

// A scratchpad of its own: packing happens outside the arena's lifetimes, on any thread, and a reorder of weights needs none or little.
static int make_reorder(bl_cpu_plan *plan, bl_cpu_packed *self, const_dnnl_memory_desc_t plain, void *master) {
    const dnnl_engine_t engine = plan->backend->engine;
    const dnnl_primitive_attr_t attributes = plan->backend->attributes;
    dnnl_primitive_desc_t desc;
    if (bl_cpu_dnnl(dnnl_reorder_primitive_desc_create(&desc, plain, engine, self->desc, engine, attributes), self->node, "packing weights"))
        return BL_FAILED;
    dnnl_status_t made = dnnl_primitive_create(&self->reorder, desc);
    const const_dnnl_memory_desc_t scratchpad = dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0);
    if (!made) made = dnnl_memory_create(&self->scratchpad, scratchpad, engine, DNNL_MEMORY_ALLOCATE);
    dnnl_primitive_desc_destroy(desc);
    if (bl_cpu_dnnl(made, self->node, "packing weights")) return BL_FAILED;
    if (bl_cpu_dnnl(dnnl_memory_create(&self->master, plain, engine, master), self->node, "packing weights")) return BL_FAILED;
    return bl_cpu_dnnl(dnnl_memory_create(&self->packed, self->desc, engine, DNNL_MEMORY_NONE), self->node, "packing weights");
}

int bl_cpu_pack(bl_cpu_plan *plan, const bl_node *node, const bl_tensor *tensor, const_dnnl_memory_desc_t plain,
                const_dnnl_memory_desc_t wanted, int *buffer) {
    int master;
    bool known;
    bl_cpu_packed *packed;
    if (master_of(plan, node, tensor, &master)) return BL_FAILED;
    *buffer = master;
    if (dnnl_memory_desc_equal(plain, wanted)) return BL_OK;
    if (packed_add(plan, node, tensor->place, wanted, NULL, dnnl_memory_desc_get_size(wanted), &packed, &known)) return BL_FAILED;
    *buffer = packed->buffer;
    if (known) return BL_OK;
    if (bl_cpu_dnnl(dnnl_memory_desc_clone(&packed->desc, wanted), node, "memory description")) return BL_FAILED;
    return make_reorder(plan, packed, plain, plan->buffers[master].data);
}

int bl_cpu_pack_by(bl_cpu_plan *plan, const bl_node *node, const bl_tensor *tensor, bl_cpu_pack_function pack, size_t bytes, int *buffer) {
    int master;
    bool known;
    bl_cpu_packed *packed;
    if (master_of(plan, node, tensor, &master)) return BL_FAILED;
    if (packed_add(plan, node, tensor->place, NULL, pack, bytes, &packed, &known)) return BL_FAILED;
    packed->source = plan->buffers[master].data;
    *buffer = packed->buffer;
    return BL_OK;
}

int bl_cpu_pack_bind(bl_cpu_plan *plan) {
    for (int i = 0; i < plan->packed_count; i++) {
        bl_cpu_packed *self = &plan->packed[i];
        self->data = plan->buffers[self->buffer].data = bl_alloc(self->bytes);
        if (!self->data) return BL_FAILED;
        if (self->packed && bl_cpu_dnnl(dnnl_memory_set_data_handle(self->packed, self->data), self->node, "packing weights"))
            return BL_FAILED;
    }
    return BL_OK;
}

static bool is_stale(const bl_cpu_plan *plan, const bl_cpu_packed *self) {
    return self->version != plan->store->versions[self->place.network];
}

// Within a region a primitive runs on the calling thread alone.
static void pack_one(const bl_cpu_plan *plan, bl_cpu_packed *self) {
    const double begin = plan->is_timed ? bl_seconds() : 0;
    const dnnl_exec_arg_t arguments[] = {
            {DNNL_ARG_FROM, self->master}, {DNNL_ARG_TO, self->packed}, {DNNL_ARG_SCRATCHPAD, self->scratchpad}};
    if (self->pack) self->pack(plan, self->node, self->source, self->data);
    else self->status = dnnl_primitive_execute(self->reorder, plan->backend->stream, 3, arguments);
    if (plan->is_timed) self->seconds = bl_seconds() - begin;
}

typedef struct packing {
    bl_cpu_plan *plan;
    _Atomic int *next;
} packing;

// Weights are of many sizes: a thread takes the next when it has done one. What they become does not depend on who packs them.
static void pack_share(const void *passed, int share, int shares) {
    (void)share, (void)shares;
    const packing *p = passed;
    for (int i; (i = atomic_fetch_add(p->next, 1)) < p->plan->packed_count;)
        if (is_stale(p->plan, &p->plan->packed[i])) pack_one(p->plan, &p->plan->packed[i]);
}

static int pack_all(void *passed) {
    bl_cpu_plan *plan = passed;
    _Atomic int next = 0;
    bl_cpu_parallel(plan->backend->threads, pack_share, &(packing){plan, &next});
    return BL_OK;
}

int bl_cpu_pack_stale(bl_cpu_plan *plan) {
    const bl_cpu_packed *first = NULL;
    for (int i = plan->packed_count - 1; i >= 0; i--)
        if (is_stale(plan, &plan->packed[i])) first = &plan->packed[i];
    if (!first) return BL_OK;
    if (bl_cpu_run_together(plan, first->node, pack_all, plan)) return BL_FAILED;
    for (int i = 0; i < plan->packed_count; i++) {
        bl_cpu_packed *self = &plan->packed[i];
        if (!is_stale(plan, self)) continue;
        if (bl_cpu_dnnl(self->status, self->node, "packing weights")) return BL_FAILED;
        if (plan->is_timed) plan->rows[self->node->id].seconds += self->seconds / plan->backend->threads; // side by side
        self->version = plan->store->versions[self->place.network];
    }
    return BL_OK;
}
