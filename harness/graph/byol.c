#include "graph/byol.h"

#include <string.h>

// The optimiser's rule for each segment, once all segments are there.
static void set_update_rules(bl_layout *layout, const bl_optimizer_options *options) {
    for (int n = 0; n < layout->network_count; n++)
        for (int s = 0; s < layout->networks[n].parameters.count; s++) {
            bl_segment *segment = &layout->networks[n].parameters.items[s];
            const bool is_weight = segment->shape.rank > 1;
            segment->decay = is_weight || options->decay_norms;
            segment->lars_adapt = is_weight;
        }
}

// Encoder and projector of `network` over the stacked views.
static int build_branch(bl_graph *graph, int network, const char *prefix, const bl_model_options *options, bl_tensor *images,
                        bl_tensor **features, bl_tensor **projection) {
    const bl_norm_mode mode = {.training = true, .update_buffers = true, .groups = BL_VIEWS};
    bl_taps taps;
    if (bl_resnet_build(graph, network, prefix, &options->encoder, mode, images, &taps)) return BL_FAILED;
    *features = taps.pooled;
    return bl_mlp_build(graph, network, prefix, "projector", &options->projector, 1, mode, taps.pooled, projection);
}

static int build_target(bl_graph *graph, const bl_model_options *options, bl_tensor *images, bl_tensor *online_projection, bl_tensor **z) {
    *z = online_projection;
    if (options->method.target != BL_TARGET_ONLINE) {
        int network;
        bl_tensor *features;
        if (bl_layout_network(graph->layout, "target", false, &network)) return BL_FAILED;
        graph->layout->networks[network].twin_of = "online";
        if (build_branch(graph, network, "target/", options, images, &features, z)) return BL_FAILED;
    }
    if (!options->method.stop_gradient) return BL_OK;
    bl_node *node;
    if (bl_graph_node(graph, BL_OP_STOP_GRADIENT, "stop_gradient", NULL, z, 1, &node)) return BL_FAILED;
    *z = node->outputs[0];
    return BL_OK;
}

static int stored_block(bl_graph *graph, int network, bl_block_kind block, bl_tensor **out) {
    return bl_graph_stored(graph, (bl_place){network, block, BL_WHOLE_BLOCK}, out);
}

static int stored_scalar(bl_graph *graph, bl_scalar scalar, bl_tensor **out) {
    return bl_graph_stored(graph, (bl_place){BL_SCALAR_NETWORK, BL_PARAMETERS, scalar}, out);
}

static int build_optimizer(bl_graph *graph, int network, const bl_optimizer_options *options) {
    bl_tensor *parameters, *gradients, *moment1, *moment2, *rate, *step, *finite;
    if (stored_block(graph, network, BL_PARAMETERS, &parameters) || stored_block(graph, network, BL_GRADIENTS, &gradients) ||
        stored_block(graph, network, BL_MOMENT1, &moment1) || stored_scalar(graph, BL_SCALAR_LEARNING_RATE, &rate) ||
        stored_scalar(graph, BL_SCALAR_FINITE, &finite))
        return BL_FAILED;
    const char *name = graph->layout->networks[network].name;
    if (options->kind == BL_OPTIMIZER_SGD) {
        const bl_attributes attributes = {
                .momentum = options->momentum, .nesterov = options->nesterov, .weight_decay = options->weight_decay};
        return bl_graph_node(graph, BL_OP_SGD, bl_arena_format(graph->arena, "sgd/%s", name), &attributes,
                             (bl_tensor *[]){parameters, gradients, moment1, rate, finite}, 5, NULL);
    }
    if (stored_block(graph, network, BL_MOMENT2, &moment2) || stored_scalar(graph, BL_SCALAR_STEP, &step)) return BL_FAILED;
    const bl_attributes attributes = {
            .beta1 = options->beta1, .beta2 = options->beta2, .epsilon = options->epsilon, .weight_decay = options->weight_decay};
    return bl_graph_node(graph, BL_OP_ADAM, bl_arena_format(graph->arena, "adam/%s", name), &attributes,
                         (bl_tensor *[]){parameters, gradients, moment1, moment2, rate, step, finite}, 7, NULL);
}

// The update phase: finite?, optimiser of every trainable network, EMA.
static int build_update(bl_graph *graph, const bl_model_options *options, bl_tensor *loss) {
    bl_tensor *inputs[BL_MAX_INPUTS] = {loss};
    int count = 2;
    if (stored_scalar(graph, BL_SCALAR_FINITE, &inputs[1])) return BL_FAILED;
    for (int n = 0; n < graph->layout->network_count; n++)
        if (graph->layout->networks[n].trainable && stored_block(graph, n, BL_GRADIENTS, &inputs[count++])) return BL_FAILED;
    if (bl_graph_node(graph, BL_OP_CHECK_FINITE, "check_finite", NULL, inputs, count, NULL)) return BL_FAILED;
    for (int n = 0; n < graph->layout->network_count; n++)
        if (graph->layout->networks[n].trainable && build_optimizer(graph, n, &options->optimizer)) return BL_FAILED;
    if (options->method.target != BL_TARGET_EMA) return BL_OK;
    bl_tensor *target, *online, *tau, *finite;
    if (stored_block(graph, bl_layout_find_network(graph->layout, "target"), BL_PARAMETERS, &target) ||
        stored_block(graph, bl_layout_find_network(graph->layout, "online"), BL_PARAMETERS, &online) ||
        stored_scalar(graph, BL_SCALAR_TAU, &tau) || stored_scalar(graph, BL_SCALAR_FINITE, &finite))
        return BL_FAILED;
    return bl_graph_node(graph, BL_OP_EMA, "ema", NULL, (bl_tensor *[]){target, online, tau, finite}, 4, NULL);
}

static int build_step(bl_step_graph *out, const bl_model_options *options, int64_t batch) {
    bl_graph *graph = out->graph;
    const bl_method_options *method = &options->method;
    const bl_shape shape = {4, {BL_VIEWS * batch, options->image_size, options->image_size, 3}};
    int online, predictor;
    bl_tensor *z;
    if (bl_graph_input(graph, "images", options->precision, shape, &out->images) ||
        bl_layout_network(graph->layout, "online", true, &online) ||
        build_branch(graph, online, "online/", options, out->images, &out->features, &out->projection))
        return BL_FAILED;
    out->prediction = out->projection;
    if (method->predictor == BL_PREDICTOR_MLP) {
        const bl_norm_mode mode = {.training = true, .update_buffers = true, .groups = BL_VIEWS};
        bl_head_options head = method->predictor_head;
        head.out = options->projector.out;
        if (bl_layout_network(graph->layout, "predictor", true, &predictor) ||
            bl_mlp_build(graph, predictor, "predictor/", "predictor", &head, method->predictor_lr_scale, mode, out->projection, &out->prediction))
            return BL_FAILED;
    }
    if (build_target(graph, options, out->images, out->projection, &z)) return BL_FAILED;
    const bl_attributes pairs = {.groups = BL_VIEWS, .pairing = method->pairing}, views = {.groups = BL_VIEWS};
    bl_node *node;
    if (bl_graph_node(graph, BL_OP_BYOL_LOSS, "loss", &pairs, (bl_tensor *[]){out->prediction, z}, 2, &node)) return BL_FAILED;
    out->loss = node->outputs[0];
    if (bl_graph_node(graph, BL_OP_PROJECTION_STD, "std", &views, &out->projection, 1, &node)) return BL_FAILED;
    out->std = node->outputs[0];
    if (!graph->layout->sealed) set_update_rules(graph->layout, &options->optimizer);
    if (bl_graph_backward(graph, out->loss) || build_update(graph, options, out->loss)) return BL_FAILED;
    bl_graph_seal(graph);
    return BL_OK;
}

int bl_byol_build(bl_step_graph *out, bl_layout *layout, const bl_model_options *options, int64_t batch) {
    *out = (bl_step_graph){0};
    if (bl_graph_create(&out->graph, layout)) return BL_FAILED;
    if (build_step(out, options, batch) == BL_OK) return BL_OK;
    bl_graph_free(out->graph);
    out->graph = NULL;
    return BL_FAILED;
}

int bl_features_build(bl_features_graph *out, bl_layout *layout, const bl_model_options *options, int64_t rows) {
    const bl_shape shape = {4, {rows, options->image_size, options->image_size, 3}};
    int online;
    bl_taps taps;
    *out = (bl_features_graph){0};
    if (bl_graph_create(&out->graph, layout)) return BL_FAILED;
    if (bl_graph_input(out->graph, "images", BL_F32, shape, &out->images) || bl_layout_network(layout, "online", true, &online) ||
        bl_resnet_build(out->graph, online, "online/", &options->encoder, (bl_norm_mode){0}, out->images, &taps)) {
        bl_graph_free(out->graph);
        out->graph = NULL;
        return BL_FAILED;
    }
    out->features = taps.pooled;
    bl_graph_seal(out->graph);
    return BL_OK;
}
