#include "backends/reference/plan.h"

#include <string.h>

#include "backends/reference/kernels.h"
#include "backends/reference/store.h"
#include "base/file.h"   // bl_seconds
#include "base/memory.h" // bl_alloc

// What an input's values come from when a step begins: the staging slot, or what `write` left for every slot.
typedef struct input_source {
    float *staging[BL_STAGING_SLOTS]; // NULL until the slot is first asked for
    bool is_staged[BL_STAGING_SLOTS]; // lent since the last `write`
    double *written;                  // NULL until the first `write`
} input_source;

typedef struct reference_plan {
    bl_plan base;
    double **values;        // by tensor id; stored tensors point into the store
    input_source *sources;  // by tensor id; used for inputs
    bl_operands *operands;  // by node
    bl_node_report *rows;   // by node
    bool timing;
} reference_plan;

static size_t count_of(const bl_tensor *tensor) {
    return (size_t)bl_shape_count(&tensor->shape);
}

int bl_reference_compile(bl_backend *backend, bl_store *store, const bl_graph *graph, const bl_compile_options *options, bl_plan **plan) {
    // Every value is kept, and gradients are always added: observing asks for nothing more.
    reference_plan *made = bl_alloc(sizeof *made);
    if (!made) return BL_FAILED;
    made->base = (bl_plan){.backend = backend, .graph = graph, .store = store};
    made->values = bl_alloc((size_t)graph->tensor_count * sizeof *made->values);
    made->sources = bl_alloc((size_t)graph->tensor_count * sizeof *made->sources);
    made->operands = bl_alloc((size_t)graph->node_count * sizeof *made->operands);
    made->rows = bl_alloc((size_t)graph->node_count * sizeof *made->rows);
    if (!made->values || !made->sources || !made->operands || !made->rows) goto failed;

    for (int i = 0; i < graph->tensor_count && !options->only_report; i++) {
        const bl_tensor *tensor = graph->tensors[i];
        made->values[i] = tensor->role == BL_ROLE_STORED ? bl_reference_store_values(store, tensor->place)
                                                         : bl_alloc(count_of(tensor) * sizeof(double));
        if (!made->values[i]) goto failed;
    }
    for (int i = 0; i < graph->node_count; i++) {
        const bl_node *node = graph->nodes[i];
        bl_operands *operands = &made->operands[i];
        *operands = (bl_operands){.node = node, .layout = store->layout, .accumulate = options->accumulate > 1 ? options->accumulate : 1};
        for (int k = 0; k < node->input_count; k++)
            if (node->inputs[k]) operands->inputs[k] = made->values[node->inputs[k]->id];
        for (int k = 0; k < node->output_count; k++)
            if (node->outputs[k]) operands->outputs[k] = made->values[node->outputs[k]->id];
        made->rows[i] = (bl_node_report){.node = node, .implementation = "plain f64 loops"};
    }
    *plan = &made->base;
    return BL_OK;
failed:
    bl_reference_plan_free(&made->base);
    return BL_FAILED;
}

void bl_reference_plan_free(bl_plan *plan) {
    reference_plan *self = (reference_plan *)plan;
    for (int i = 0; i < plan->graph->tensor_count; i++) {
        if (self->values && plan->graph->tensors[i]->role != BL_ROLE_STORED) bl_free(self->values[i]);
        if (!self->sources) continue;
        for (int slot = 0; slot < BL_STAGING_SLOTS; slot++) bl_free(self->sources[i].staging[slot]);
        bl_free(self->sources[i].written);
    }
    bl_free(self->values);
    bl_free(self->sources);
    bl_free(self->operands);
    bl_free(self->rows);
    bl_free(self);
}

int bl_reference_slot(bl_plan *plan, int slot, const bl_tensor *input, float **host) {
    input_source *source = &((reference_plan *)plan)->sources[input->id];
    if (!source->staging[slot] && !(source->staging[slot] = bl_alloc(count_of(input) * sizeof(float)))) return BL_FAILED;
    source->is_staged[slot] = true;
    *host = source->staging[slot];
    return BL_OK;
}

static void take_inputs(reference_plan *self, int slot) {
    for (int i = 0; i < self->base.graph->tensor_count; i++) {
        const bl_tensor *tensor = self->base.graph->tensors[i];
        if (tensor->role != BL_ROLE_INPUT) continue;
        const input_source *source = &self->sources[i];
        const size_t count = count_of(tensor);
        if (source->is_staged[slot])
            for (size_t k = 0; k < count; k++) self->values[i][k] = source->staging[slot][k];
        else if (source->written)
            memcpy(self->values[i], source->written, count * sizeof(double));
    }
}

int bl_reference_step(bl_plan *plan, int slot, unsigned phases) {
    reference_plan *self = (reference_plan *)plan;
    take_inputs(self, slot);
    for (int i = 0; i < plan->graph->node_count; i++) {
        const bl_node *node = plan->graph->nodes[i];
        if (!(node->phase & phases)) continue;
        const double begin = self->timing ? bl_seconds() : 0;
        bl_reference_kernels[node->op](&self->operands[i]);
        if (self->timing) self->rows[i].seconds += bl_seconds() - begin;
    }
    return BL_OK;
}

int bl_reference_write(bl_plan *plan, const bl_tensor *tensor, const double *src) {
    reference_plan *self = (reference_plan *)plan;
    input_source *source = &self->sources[tensor->id];
    const size_t bytes = count_of(tensor) * sizeof(double);
    if (!source->written && !(source->written = bl_alloc(bytes))) return BL_FAILED;
    memcpy(source->written, src, bytes);
    memcpy(self->values[tensor->id], src, bytes); // a read before the next step sees it
    for (int slot = 0; slot < BL_STAGING_SLOTS; slot++) source->is_staged[slot] = false;
    return BL_OK;
}

int bl_reference_read(bl_plan *plan, const bl_tensor *tensor, double *dst) {
    memcpy(dst, ((reference_plan *)plan)->values[tensor->id], count_of(tensor) * sizeof *dst);
    return BL_OK;
}

void bl_reference_timing(bl_plan *plan, bool on) {
    ((reference_plan *)plan)->timing = on;
}

void bl_reference_report(const bl_plan *plan, bl_plan_report *report) {
    *report = (bl_plan_report){.rows = ((const reference_plan *)plan)->rows, .count = plan->graph->node_count};
    for (int i = 0; i < plan->graph->tensor_count; i++) {
        const bl_tensor *tensor = plan->graph->tensors[i];
        if (tensor->role == BL_ROLE_STORED) continue;
        report->arena_bytes += count_of(tensor) * sizeof(double);
        if (tensor->role == BL_ROLE_INPUT) report->staging_bytes += BL_STAGING_SLOTS * count_of(tensor) * sizeof(float);
    }
}
