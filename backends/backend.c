#include "backends/backend.h"

#include "base/memory.h" // bl_alloc

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
