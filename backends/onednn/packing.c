#include "backends/onednn/packing.h"

#include <stdatomic.h>

#include "backends/onednn/primitive.h" // bl_cpu_dnnl
#include "backends/onednn/regions.h"   // bl_cpu_run_together
#include "base/file.h"                 // bl_seconds
#include "base/memory.h"               // bl_alloc

struct bl_cpu_packed {
    bl_place place;
    const bl_node *node;       // the first user, whose time the packing is
    bl_cpu_pack_function pack; // an own kernel's, with `source`; NULL: oneDNN's, with what follows
    const float *source;
    dnnl_memory_desc_t desc;
    dnnl_primitive_t reorder;
    dnnl_memory_t master, packed, scratchpad;
    void *data;
    size_t bytes;
    int buffer;
    uint64_t version;
    double seconds;       // that the last packing took
    dnnl_status_t status; // of it
};

static bool is_same_place(bl_place a, bl_place b) {
    return a.network == b.network && a.block == b.block && a.segment == b.segment;
}

// Finds weights already packed like this, or adds them, not yet made; *known tells which.
static int packed_add(bl_lowering *lowering, const bl_node *node, bl_place place, const_dnnl_memory_desc_t wanted,
                      bl_cpu_pack_function pack, size_t bytes, bl_cpu_packed **packed, bool *known) {
    bl_cpu_plan *plan = bl_cpu_plan_of(lowering);
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
    lowering->packed_bytes += bytes;
    return bl_lower_outside(lowering, (bl_buffer){.bytes = bytes, .input = -1, .packed = -1}, &self->buffer);
}

static int master_of(bl_lowering *plan, const bl_node *node, const bl_tensor *tensor, int *master) {
    if (tensor->role != BL_ROLE_STORED) return bl_fail("%s: its weights '%s' must live in the store", node->name, tensor->name);
    return bl_lower_value(plan, tensor, master);
}

// A scratchpad of its own: packing happens outside the arena's lifetimes, on any thread, and a reorder of weights needs none or little.
static int make_reorder(const bl_lowering *plan, bl_cpu_packed *self, const_dnnl_memory_desc_t plain, void *master) {
    const dnnl_engine_t engine = bl_cpu_backend_of(plan)->engine;
    const dnnl_primitive_attr_t attributes = bl_cpu_backend_of(plan)->attributes;
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

int bl_cpu_pack(bl_lowering *plan, const bl_node *node, const bl_tensor *tensor, const_dnnl_memory_desc_t plain,
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

int bl_cpu_pack_by(bl_lowering *plan, const bl_node *node, const bl_tensor *tensor, bl_cpu_pack_function pack, size_t bytes, int *buffer) {
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
        self->data = plan->lowering.buffers[self->buffer].data = bl_alloc(self->bytes);
        if (!self->data) return BL_FAILED;
        if (self->packed && bl_cpu_dnnl(dnnl_memory_set_data_handle(self->packed, self->data), self->node, "packing weights"))
            return BL_FAILED;
    }
    return BL_OK;
}

static void packed_free(bl_cpu_packed *packed) {
    if (packed->desc) dnnl_memory_desc_destroy(packed->desc);
    if (packed->reorder) dnnl_primitive_destroy(packed->reorder);
    if (packed->master) dnnl_memory_destroy(packed->master);
    if (packed->packed) dnnl_memory_destroy(packed->packed);
    if (packed->scratchpad) dnnl_memory_destroy(packed->scratchpad);
    bl_free(packed->data);
}

void bl_cpu_pack_free(bl_cpu_plan *plan) {
    for (int i = 0; i < plan->packed_count; i++) packed_free(&plan->packed[i]);
    bl_free(plan->packed);
}

static bool is_stale(const bl_cpu_plan *plan, const bl_cpu_packed *self) {
    return self->version != plan->lowering.store->versions[self->place.network];
}

// Within a region a primitive runs on the calling thread alone.
static void pack_one(const bl_lowering *plan, bl_cpu_packed *self) {
    const double begin = plan->is_timed ? bl_seconds() : 0;
    const dnnl_exec_arg_t arguments[] = {
            {DNNL_ARG_FROM, self->master}, {DNNL_ARG_TO, self->packed}, {DNNL_ARG_SCRATCHPAD, self->scratchpad}};
    if (self->pack) self->pack(plan, self->node, self->source, self->data);
    else self->status = dnnl_primitive_execute(self->reorder, bl_cpu_backend_of(plan)->stream, 3, arguments);
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
        if (is_stale(p->plan, &p->plan->packed[i])) pack_one(&p->plan->lowering, &p->plan->packed[i]);
}

static int pack_all(void *passed) {
    bl_cpu_plan *plan = passed;
    _Atomic int next = 0;
    bl_cpu_parallel(bl_cpu_threads(&plan->lowering), pack_share, &(packing){plan, &next});
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
        if (plan->lowering.is_timed) // side by side
            plan->lowering.rows[self->node->id].seconds += self->seconds / bl_cpu_threads(&plan->lowering);
        self->version = plan->lowering.store->versions[self->place.network];
    }
    return BL_OK;
}
