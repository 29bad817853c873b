#include "graph/graph.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/digest.h" // bl_digest_hex
#include "graph/op.h"    // bl_op_rules

#define FORMAT_VERSION 1 // of the canonical text; a change of meaning raises it

const char *bl_dtype_name(bl_dtype dtype) {
    return dtype == BL_F32 ? "f32" : "bf16";
}

double bl_round_to(bl_dtype dtype, double value) {
    const float single = (float)value;
    if (dtype == BL_F32 || isnan(single)) return single;
    uint32_t bits;
    memcpy(&bits, &single, sizeof bits);
    bits += 0x7fff + (bits >> 16 & 1); // nearest, ties to even; overflow becomes infinity, as it should
    bits &= 0xffff0000u;
    float rounded;
    memcpy(&rounded, &bits, sizeof rounded);
    return rounded;
}

int bl_op_fail_at(const char *file, int line, const bl_node *node, const char *format, ...) {
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return bl_fail_at(file, line, "%s (%s): %s", node->name, bl_op_rules[node->op]->name, message);
}

int bl_graph_create(bl_graph **graph, bl_layout *layout) {
    bl_graph *made = bl_alloc(sizeof *made);
    if (!made) return BL_FAILED;
    made->arena = bl_arena_create();
    made->layout = layout;
    *graph = made;
    return BL_OK;
}

void bl_graph_free(bl_graph *graph) {
    if (!graph) return;
    bl_free(graph->tensors);
    bl_free(graph->nodes);
    bl_arena_free(graph->arena);
    bl_free(graph);
}

static int add_tensor(bl_graph *graph, const char *name, bl_dtype dtype, bl_shape shape, bl_role role, bl_tensor **out) {
    if (bl_graph_find(graph, name)) return bl_fail("two tensors of a graph are called '%s'", name);
    if (bl_grow((void **)&graph->tensors, graph->tensor_count, &graph->tensor_capacity, sizeof *graph->tensors)) return BL_FAILED;
    bl_tensor *tensor = bl_arena_take(graph->arena, sizeof *tensor);
    *tensor = (bl_tensor){
            .id = graph->tensor_count, .name = bl_arena_copy(graph->arena, name), .dtype = dtype, .shape = shape, .role = role};
    graph->tensors[graph->tensor_count++] = tensor;
    *out = tensor;
    return BL_OK;
}

int bl_graph_input(bl_graph *graph, const char *name, bl_dtype dtype, bl_shape shape, bl_tensor **out) {
    return add_tensor(graph, name, dtype, shape, BL_ROLE_INPUT, out);
}

bl_tensor *bl_graph_find(const bl_graph *graph, const char *tensor_name) {
    for (int i = 0; i < graph->tensor_count; i++)
        if (!strcmp(graph->tensors[i]->name, tensor_name)) return graph->tensors[i];
    return NULL;
}

static const char *const scalar_names[BL_SCALARS] = {"step", "learning_rate", "tau", "finite"};
static const char *const block_names[BL_BLOCK_KINDS] = {"parameters", "buffers", "gradients", "moment1", "moment2"};

static bool same_place(bl_place a, bl_place b) {
    return a.network == b.network && a.block == b.block && a.segment == b.segment;
}

int bl_graph_stored(bl_graph *graph, bl_place place, bl_tensor **out) {
    for (int i = 0; i < graph->tensor_count; i++)
        if (graph->tensors[i]->role == BL_ROLE_STORED && same_place(graph->tensors[i]->place, place)) {
            *out = graph->tensors[i];
            return BL_OK;
        }
    bl_shape shape = {.rank = 1, .dims = {1}};
    const char *name;
    if (place.network == BL_SCALAR_NETWORK) {
        name = bl_arena_format(graph->arena, "store/%s", scalar_names[place.segment]);
    } else {
        const bl_network *network = &graph->layout->networks[place.network];
        const bl_segments *segments = bl_network_segments(network, place.block);
        if (place.segment == BL_WHOLE_BLOCK) {
            shape.dims[0] = (int64_t)segments->floats;
            name = bl_arena_format(graph->arena, "store/%s/%s", network->name, block_names[place.block]);
        } else {
            shape = segments->items[place.segment].shape;
            name = bl_arena_format(graph->arena, "store/%s/%s/%s", network->name, block_names[place.block],
                                   segments->items[place.segment].name);
        }
    }
    if (add_tensor(graph, name, BL_F32, shape, BL_ROLE_STORED, out)) return BL_FAILED;
    (*out)->place = place;
    return BL_OK;
}

static bool is_optional(const char *slot) {
    return slot[strlen(slot) - 1] == '?';
}

// Whether the operands are as many as the rule says, and none is missing.
static int check_operands(const bl_node *node) {
    const bl_op_rule *rule = bl_op_rules[node->op];
    int slots = 0, required = 0, repeats = 0;
    for (; slots < BL_MAX_INPUTS && rule->inputs[slots]; slots++) {
        const char last = rule->inputs[slots][strlen(rule->inputs[slots]) - 1];
        repeats = last == '*';
        if (last != '*' && last != '?') required = slots + 1;
    }
    if (node->input_count < required || (!repeats && node->input_count > slots))
        return bl_op_fail(node, "takes %d inputs, got %d", required, node->input_count);
    for (int i = 0; i < node->input_count; i++)
        if (!node->inputs[i] && (i >= slots || !is_optional(rule->inputs[i])))
            return bl_op_fail(node, "input '%s' is missing", rule->inputs[i < slots ? i : slots - 1]);
    return BL_OK;
}

static bool is_update(bl_op op) {
    return op == BL_OP_SGD || op == BL_OP_ADAM || op == BL_OP_LARS || op == BL_OP_EMA || op == BL_OP_CHECK_FINITE;
}

int bl_graph_node(bl_graph *graph, bl_op op, const char *name, const bl_attributes *attributes, bl_tensor *const *inputs,
                  int input_count, bl_node **out) {
    const bl_op_rule *rule = bl_op_rules[op];
    if (bl_grow((void **)&graph->nodes, graph->node_count, &graph->node_capacity, sizeof *graph->nodes)) return BL_FAILED;
    bl_node *node = bl_arena_take(graph->arena, sizeof *node);
    *node = (bl_node){.id = graph->node_count, .op = op, .name = bl_arena_copy(graph->arena, name), .input_count = input_count};
    node->phase = is_update(op) ? BL_PHASE_UPDATE : BL_PHASE_MICRO;
    node->derived = graph->deriving;
    if (attributes) node->attributes = *attributes;
    if (input_count > BL_MAX_INPUTS) return bl_op_fail(node, "takes at most %d inputs, got %d", BL_MAX_INPUTS, input_count);
    for (int i = 0; i < input_count; i++) node->inputs[i] = inputs[i];
    if (check_operands(node)) return BL_FAILED;

    bl_shape shapes[BL_MAX_OUTPUTS] = {0};
    bl_dtype dtypes[BL_MAX_OUTPUTS] = {0};
    if (rule->infer && rule->infer(node, shapes, dtypes)) return BL_FAILED;
    while (node->output_count < BL_MAX_OUTPUTS && rule->outputs[node->output_count]) {
        const int i = node->output_count++;
        const char *output = i ? bl_arena_format(graph->arena, "%s.%s", name, rule->outputs[i]) : name;
        if (add_tensor(graph, output, dtypes[i], shapes[i], BL_ROLE_VALUE, &node->outputs[i])) return BL_FAILED;
        node->outputs[i]->producer = node;
    }
    graph->nodes[graph->node_count++] = node;
    if (out) *out = node;
    return BL_OK;
}

void bl_graph_begin(bl_node *node) {
    node->phase = BL_PHASE_BEGIN;
}

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

// The same segment in a fresh layout: whole blocks bring their whole network, so that per-segment rules stay what they were.
static int isolate_stored(bl_layout *lone, const bl_layout *layout, bl_place *place) {
    if (place->network == BL_SCALAR_NETWORK) return BL_OK;
    const bl_network *network = &layout->networks[place->network];
    const bl_segments *segments = bl_network_segments(network, place->block);
    int index, segment = BL_WHOLE_BLOCK;
    if (bl_layout_network(lone, network->name, network->trainable, &index)) return BL_FAILED;
    for (int i = 0; i < segments->count; i++) {
        if (place->segment != BL_WHOLE_BLOCK && place->segment != i) continue;
        const bl_segment *s = &segments->items[i];
        const int status = place->block == BL_BUFFERS ? bl_layout_buffer(lone, index, s->name, s->shape, s->init, &segment)
                                                      : bl_layout_parameter(lone, index, s, &segment);
        if (status) return BL_FAILED;
    }
    if (place->segment == BL_WHOLE_BLOCK) segment = BL_WHOLE_BLOCK;
    *place = (bl_place){.network = index, .block = place->block, .segment = segment};
    return BL_OK;
}

int bl_graph_isolate(const bl_node *node, const bl_layout *layout, bl_layout **lone_layout, bl_graph **lone) {
    *lone = NULL;
    if (bl_layout_create(lone_layout)) return BL_FAILED;
    if (bl_graph_create(lone, *lone_layout)) goto failed;
    bl_tensor *inputs[BL_MAX_INPUTS] = {0};
    // Places first: a whole block's shape is known only when its layout is complete.
    bl_place places[BL_MAX_INPUTS];
    for (int i = 0; i < node->input_count; i++)
        if (node->inputs[i] && node->inputs[i]->role == BL_ROLE_STORED) {
            places[i] = node->inputs[i]->place;
            if (isolate_stored(*lone_layout, layout, &places[i])) goto failed;
        }
    for (int i = 0; i < node->input_count; i++) {
        const bl_tensor *input = node->inputs[i];
        if (!input) continue;
        if (input->role == BL_ROLE_STORED) {
            if (bl_graph_stored(*lone, places[i], &inputs[i])) goto failed;
        } else if (!(inputs[i] = bl_graph_find(*lone, input->name)) &&
                   bl_graph_input(*lone, input->name, input->dtype, input->shape, &inputs[i])) {
            goto failed;
        }
    }
    bl_node *copy;
    if (bl_graph_node(*lone, node->op, node->name, &node->attributes, inputs, node->input_count, &copy)) goto failed;
    for (int i = 0; i < node->output_count; i++)
        if (!node->outputs[i]) copy->outputs[i] = NULL;
    bl_graph_seal(*lone);
    return BL_OK;
failed:
    bl_graph_free(*lone);
    bl_layout_free(*lone_layout);
    *lone = NULL;
    *lone_layout = NULL;
    return BL_FAILED;
}
