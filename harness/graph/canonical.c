// The canonical text of a graph, and its digest.

#include "base/digest.h" // bl_digest_hex
#include "graph/op.h"    // bl_op_rules

#define FORMAT_VERSION 1 // of the text; a change of meaning raises it

static const char *phase_name(bl_phase phase) {
    return phase == BL_PHASE_BEGIN ? "begin" : phase == BL_PHASE_MICRO ? "micro" : "update";
}

static void print_tensor(bl_text *text, const bl_tensor *tensor) {
    bl_text_add(text, "%s ", bl_dtype_name(tensor->dtype));
    bl_shape_print(text, &tensor->shape);
}

// What is at its default prints nothing: a new attribute leaves the digests of the graphs without it as they were.
static void print_attributes(bl_text *text, const bl_attributes *a) {
    if (a->kernel) bl_text_add(text, " kernel=%d stride=%d padding=%d", a->kernel, a->stride, a->padding);
    if (a->dilation) bl_text_add(text, " dilation=%d", a->dilation);
    if (a->groups) bl_text_add(text, " groups=%d", a->groups);
    if (a->epsilon != 0) bl_text_add(text, " epsilon=%.17g", a->epsilon);
    if (a->pairing == BL_SAME_VIEW) bl_text_add(text, " pairing=same_view");
    if (a->normalization == BL_NORMALIZE_NONE) bl_text_add(text, " normalization=none");
    if (a->normalization == BL_NORMALIZE_LAYER_NORM) bl_text_add(text, " normalization=layer_norm");
    if (a->reduction == BL_REDUCE_MEAN) bl_text_add(text, " reduction=mean");
    if (a->reduction == BL_REDUCE_HALF) bl_text_add(text, " reduction=half");
    if (a->one_direction) bl_text_add(text, " one_direction");
    if (a->momentum != 0) bl_text_add(text, " momentum=%.17g", a->momentum);
    if (a->nesterov) bl_text_add(text, " nesterov");
    if (a->weight_decay != 0) bl_text_add(text, " weight_decay=%.17g", a->weight_decay);
    if (a->eta != 0) bl_text_add(text, " eta=%.17g", a->eta);
    if (a->clip) bl_text_add(text, " clip");
    if (a->decay_apart) bl_text_add(text, " decay_apart");
    if (a->beta1 != 0 || a->beta2 != 0) bl_text_add(text, " beta1=%.17g beta2=%.17g", a->beta1, a->beta2);
    if (a->rows) bl_text_add(text, " rows=%lld", (long long)a->rows);
}

static void print_segments(bl_text *text, const bl_network *network, bl_block_kind kind) {
    const bl_segments *segments = bl_network_segments(network, kind);
    for (int i = 0; i < segments->count; i++) {
        const bl_segment *s = &segments->items[i];
        bl_text_add(text, "%s %s/%s ", kind == BL_BUFFERS ? "buffer" : "parameter", network->name, s->name);
        bl_shape_print(text, &s->shape);
        if (kind == BL_PARAMETERS && network->trainable)
            bl_text_add(text, " lr_scale=%.17g%s%s%s", s->lr_scale, s->decay ? " decay" : "", s->lars_adapt ? " adapt" : "",
                        s->frozen ? " frozen" : "");
        if (s->init.kind == BL_INIT_CONSTANT) bl_text_add(text, " value=%.17g", s->init.value); // part of what is computed
        bl_text_add(text, "\n");
    }
}

void bl_graph_print(const bl_graph *graph, bl_text *text) {
    bl_text_add(text, "byolab graph %d\n", FORMAT_VERSION);
    for (int n = 0; n < graph->layout->network_count; n++) {
        const bl_network *network = &graph->layout->networks[n];
        bl_text_add(text, "network %s%s", network->name, network->trainable ? " trainable" : "");
        if (network->twin_of) bl_text_add(text, " twin_of=%s", network->twin_of);
        bl_text_add(text, "\n");
        print_segments(text, network, BL_PARAMETERS);
        print_segments(text, network, BL_BUFFERS);
    }
    for (int i = 0; i < graph->tensor_count; i++)
        if (graph->tensors[i]->role == BL_ROLE_INPUT) {
            bl_text_add(text, "input %s ", graph->tensors[i]->name);
            print_tensor(text, graph->tensors[i]);
            bl_text_add(text, "\n");
        }
    for (int i = 0; i < graph->node_count; i++) {
        const bl_node *node = graph->nodes[i];
        if (node->derived) continue;
        bl_text_add(text, "%s %s", phase_name(node->phase), node->name);
        if (node->output_count) {
            bl_text_add(text, ": ");
            print_tensor(text, node->outputs[0]);
        }
        bl_text_add(text, " = %s(", bl_op_rules[node->op]->name);
        for (int k = 0; k < node->input_count; k++)
            bl_text_add(text, "%s%s", k ? ", " : "", node->inputs[k] ? node->inputs[k]->name : "-");
        bl_text_add(text, ")");
        print_attributes(text, &node->attributes);
        bl_text_add(text, "\n");
    }
}

void bl_graph_seal(bl_graph *graph) {
    bl_text text = {0};
    bl_graph_print(graph, &text);
    bl_digest_hex(text.chars, text.size, graph->digest);
    bl_text_free(&text);
}
