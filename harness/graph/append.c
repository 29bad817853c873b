// What is appended to a graph: tensors, and nodes whose outputs their operator's rule infers.

#include <string.h>

#include "graph/op.h" // bl_op_rules

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
