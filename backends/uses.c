#include "backends/uses.h"

#include "base/memory.h" // bl_alloc

static void count_readers(bl_uses *uses, const bl_graph *graph) {
    for (int n = 0; n < graph->node_count; n++) {
        const bl_node *node = graph->nodes[n];
        if (node->op == BL_OP_CHECK_FINITE) continue; // looking at the loss does not use it up
        for (int k = 0; k < node->input_count; k++)
            if (node->inputs[k]) uses->readers[node->inputs[k]->id]++;
    }
}

// ---- order ----

// The nodes whose values a gradient passes through: all that lead to what a derived node reads, but not past a stop of the gradient.
static void mark_differentiated(const bl_graph *graph, bool *is_marked) {
    for (int n = graph->node_count - 1; n >= 0; n--) {
        const bl_node *node = graph->nodes[n];
        if ((!node->derived && !is_marked[n]) || node->op == BL_OP_STOP_GRADIENT) continue;
        for (int k = 0; k < node->input_count; k++)
            if (node->inputs[k] && node->inputs[k]->producer) is_marked[node->inputs[k]->producer->id] = true;
    }
}

static int find_order(bl_uses *uses, const bl_graph *graph) {
    bool *is_differentiated = bl_alloc((size_t)graph->node_count * sizeof *is_differentiated);
    bool *is_early = bl_alloc((size_t)graph->node_count * sizeof *is_early);
    int count = 0;
    if (is_differentiated && is_early) {
        mark_differentiated(graph, is_differentiated);
        for (int n = 0; n < graph->node_count; n++) {
            const bl_node *node = graph->nodes[n];
            is_early[n] = node->phase == BL_PHASE_MICRO && !node->derived && !is_differentiated[n];
            for (int k = 0; k < node->input_count; k++)
                if (node->inputs[k] && node->inputs[k]->producer) is_early[n] &= is_early[node->inputs[k]->producer->id];
            if (is_early[n]) uses->order[count++] = n;
        }
        for (int n = 0; n < graph->node_count; n++)
            if (!is_early[n]) uses->order[count++] = n;
    }
    bl_free(is_differentiated);
    bl_free(is_early);
    return count == graph->node_count ? BL_OK : BL_FAILED;
}

int bl_uses_find(bl_uses *uses, const bl_graph *graph, const bl_compile_options *options) {
    const size_t tensors = (size_t)graph->tensor_count;
    uses->observed = bl_alloc(tensors * sizeof *uses->observed);
    uses->readers = bl_alloc(tensors * sizeof *uses->readers);
    uses->inputs = bl_alloc(tensors * sizeof *uses->inputs);
    uses->fusion = bl_alloc((size_t)graph->node_count * sizeof *uses->fusion);
    uses->order = bl_alloc((size_t)graph->node_count * sizeof *uses->order);
    if (!uses->observed || !uses->readers || !uses->inputs || !uses->fusion || !uses->order) return BL_FAILED;
    for (int t = 0; t < graph->tensor_count; t++) {
        uses->observed[t] = options->observe_all;
        if (graph->tensors[t]->role == BL_ROLE_INPUT) uses->inputs[uses->input_count++] = graph->tensors[t];
    }
    for (int i = 0; i < options->observe_count; i++) uses->observed[options->observe[i]->id] = true;
    for (int i = 0; i < options->watch_count; i++) uses->observed[options->watch[i]->id] = true;
    count_readers(uses, graph);
    if (options->accumulate <= 1) bl_fuse_gradients(graph, uses->fusion, uses->writes_gradients);
    if (!options->observe_all) bl_fuse(graph, uses->observed, uses->readers, uses->fusion);
    return find_order(uses, graph);
}

void bl_uses_free(bl_uses *uses) {
    bl_free(uses->observed);
    bl_free(uses->readers);
    bl_free(uses->inputs);
    bl_free(uses->fusion);
    bl_free(uses->order);
}

bool bl_uses_keep(const bl_uses *uses, const bl_tensor *tensor) {
    return uses->observed[tensor->id] || uses->readers[tensor->id] == 0;
}

bool bl_uses_makes_in_place(const bl_uses *uses, const bl_node *accumulate) {
    if (!uses->fusion[accumulate->id].is_first) return false;
    const bl_tensor *made = accumulate->inputs[0];
    return made->role == BL_ROLE_VALUE && made->producer->op != BL_OP_STOP_GRADIENT && !uses->observed[made->id] &&
           uses->readers[made->id] == 1;
}

// By itself, at its place in the graph, and not by being given another name.
static bool is_read_in_order(const bl_uses *uses, const bl_node *reader) {
    const bl_fusion *fusion = &uses->fusion[reader->id];
    return !fusion->into && !fusion->norm && reader->op != BL_OP_STOP_GRADIENT && reader->op != BL_OP_BATCH_NORM &&
           reader->op != BL_OP_BATCH_NORM_RUNNING && reader->op != BL_OP_BATCH_NORM_BACKWARD;
}

bool bl_uses_ends_at(const bl_uses *uses, const bl_graph *graph, const bl_tensor *value, const bl_node *node) {
    if (value->role != BL_ROLE_VALUE || uses->observed[value->id] || value->producer->op == BL_OP_STOP_GRADIENT) return false;
    for (int n = value->producer->id + 1; n < graph->node_count; n++) {
        const bl_node *reader = graph->nodes[n];
        for (int k = 0; k < reader->input_count; k++)
            if (reader->inputs[k] == value && (n > node->id || !is_read_in_order(uses, reader))) return false;
    }
    return true;
}

int bl_uses_input(const bl_uses *uses, const bl_tensor *input) {
    int index = 0;
    while (uses->inputs[index] != input) index++;
    return index;
}
