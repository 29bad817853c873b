#include "graph/optimizer.h"

int bl_stored_block(bl_graph *graph, int network, bl_block_kind block, bl_tensor **out) {
    return bl_graph_stored(graph, (bl_place){network, block, BL_WHOLE_BLOCK}, out);
}

int bl_stored_scalar(bl_graph *graph, bl_scalar scalar, bl_tensor **out) {
    return bl_graph_stored(graph, (bl_place){BL_SCALAR_NETWORK, BL_PARAMETERS, scalar}, out);
}

void bl_optimizer_rules(bl_layout *layout, const bl_optimizer_options *options) {
    for (int n = 0; n < layout->network_count; n++)
        for (int s = 0; s < layout->networks[n].parameters.count; s++) {
            bl_segment *segment = &layout->networks[n].parameters.items[s];
            const bool is_weight = segment->shape.rank > 1;
            segment->decay = is_weight || options->decay_norms;
            segment->lars_adapt = is_weight && options->kind == BL_OPTIMIZER_LARS;
        }
}

static int check_finite(bl_graph *graph, bl_tensor *const *losses, int loss_count) {
    bl_tensor *inputs[BL_MAX_INPUTS] = {losses[0]};
    int count = 2;
    if (bl_stored_scalar(graph, BL_SCALAR_FINITE, &inputs[1])) return BL_FAILED;
    for (int n = 0; n < graph->layout->network_count; n++) {
        if (!graph->layout->networks[n].trainable) continue;
        if (count == BL_MAX_INPUTS) return bl_fail("more than %d networks learn", BL_MAX_INPUTS - 2);
        if (bl_stored_block(graph, n, BL_GRADIENTS, &inputs[count++])) return BL_FAILED;
    }
    if (count + loss_count - 1 > BL_MAX_INPUTS) return bl_fail("more than %d networks and losses", BL_MAX_INPUTS - 1);
    for (int i = 1; i < loss_count; i++) inputs[count++] = losses[i];
    return bl_graph_node(graph, BL_OP_CHECK_FINITE, "check_finite", NULL, inputs, count, NULL);
}

// The attributes that an optimiser reads; the rest stay 0 and out of the graph's text.
static bl_attributes attributes_of(const bl_optimizer_options *options) {
    switch (options->kind) {
    case BL_OPTIMIZER_SGD:
        return (bl_attributes){.momentum = options->momentum, .nesterov = options->nesterov, .weight_decay = options->weight_decay};
    case BL_OPTIMIZER_LARS:
        return (bl_attributes){.momentum = options->momentum, .nesterov = options->nesterov, .weight_decay = options->weight_decay,
                               .eta = options->eta, .epsilon = options->trust_epsilon, .clip = options->clip,
                               .decay_apart = options->decay_apart};
    case BL_OPTIMIZER_ADAM:
        break;
    }
    return (bl_attributes){
            .beta1 = options->beta1, .beta2 = options->beta2, .epsilon = options->epsilon, .weight_decay = options->weight_decay};
}

static int build_update(bl_graph *graph, int network, const bl_optimizer_options *options) {
    bl_tensor *parameters, *gradients, *moment1, *moment2, *rate, *step, *finite;
    if (bl_stored_block(graph, network, BL_PARAMETERS, &parameters) || bl_stored_block(graph, network, BL_GRADIENTS, &gradients) ||
        bl_stored_block(graph, network, BL_MOMENT1, &moment1) || bl_stored_scalar(graph, BL_SCALAR_LEARNING_RATE, &rate) ||
        bl_stored_scalar(graph, BL_SCALAR_FINITE, &finite))
        return BL_FAILED;
    const char *name = graph->layout->networks[network].name;
    const bl_attributes attributes = attributes_of(options);
    if (options->kind != BL_OPTIMIZER_ADAM) {
        const bool is_sgd = options->kind == BL_OPTIMIZER_SGD;
        return bl_graph_node(graph, is_sgd ? BL_OP_SGD : BL_OP_LARS,
                             bl_arena_format(graph->arena, "%s/%s", is_sgd ? "sgd" : "lars", name), &attributes,
                             (bl_tensor *[]){parameters, gradients, moment1, rate, finite}, 5, NULL);
    }
    if (bl_stored_block(graph, network, BL_MOMENT2, &moment2) || bl_stored_scalar(graph, BL_SCALAR_STEP, &step)) return BL_FAILED;
    return bl_graph_node(graph, BL_OP_ADAM, bl_arena_format(graph->arena, "adam/%s", name), &attributes,
                         (bl_tensor *[]){parameters, gradients, moment1, moment2, rate, step, finite}, 7, NULL);
}

int bl_optimizer_build(bl_graph *graph, const bl_optimizer_options *options, bl_tensor *const *losses, int loss_count) {
    if (check_finite(graph, losses, loss_count)) return BL_FAILED;
    for (int n = 0; n < graph->layout->network_count; n++)
        if (graph->layout->networks[n].trainable && build_update(graph, n, options)) return BL_FAILED;
    return BL_OK;
}
