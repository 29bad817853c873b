#include "graph/byol.h"

#include <math.h>

#include "graph/encoders.h"

// Encoder and projector of `network` over the stacked views.
static int build_branch(bl_graph *graph, int network, const char *prefix, const bl_model_options *options, bl_norm_mode mode,
                        bl_tensor *images, bl_tensor **features, bl_tensor **projection) {
    bl_taps taps;
    if (bl_encoder_build(graph, network, prefix, &options->encoder, mode, images, &taps)) return BL_FAILED;
    *features = taps.pooled;
    return bl_mlp_build(graph, network, prefix, "projector", &options->projector, 1, mode, taps.pooled, projection);
}

static int build_predictor(bl_graph *graph, const bl_model_options *options, bl_norm_mode mode, bl_tensor *x, bl_tensor **out) {
    const bl_method_options *method = &options->method;
    bl_head_options head = method->predictor_head;
    double lr_scale = method->predictor_lr_scale;
    int network;
    *out = x;
    if (method->predictor == BL_PREDICTOR_NONE) return BL_OK;
    head.out = options->projector.out;
    if (method->predictor == BL_PREDICTOR_LINEAR)
        head = (bl_head_options){.out = head.out, .depth = 1, .out_bias = true, .init = options->encoder.init.linear};
    if (method->predictor == BL_PREDICTOR_FIXED) lr_scale = 1;
    if (bl_layout_network(graph->layout, "predictor", method->predictor != BL_PREDICTOR_FIXED, &network)) return BL_FAILED;
    return bl_mlp_build(graph, network, "predictor/", "predictor", &head, lr_scale, mode, x, out);
}

static int build_target(bl_graph *graph, const bl_model_options *options, bl_norm_mode mode, bl_tensor *images,
                        bl_tensor *online_projection, bl_tensor **z) {
    const bl_method_options *method = &options->method;
    *z = online_projection;
    if (method->target != BL_TARGET_ONLINE) {
        int network;
        bl_tensor *features;
        mode.training = !method->target_running;
        mode.update_buffers = mode.update_buffers && !method->average_buffers;
        if (bl_layout_network(graph->layout, "target", false, &network)) return BL_FAILED;
        graph->layout->networks[network].twin_of = "online";
        if (build_branch(graph, network, "target/", options, mode, images, &features, z)) return BL_FAILED;
    }
    if (!method->stop_gradient) return BL_OK;
    bl_node *node;
    if (bl_graph_node(graph, BL_OP_STOP_GRADIENT, "stop_gradient", NULL, z, 1, &node)) return BL_FAILED;
    *z = node->outputs[0];
    return BL_OK;
}

// BYOL, appendix F: a batch norm without running averages whose gain is the constant 1 / sqrt(D), so that rows have length one on
// average. Its constants are a network that nothing trains.
static int normalize_batch(bl_graph *graph, const char *name, bl_tensor *x, bl_tensor **y) {
    const int64_t width = x->shape.dims[1];
    const bl_segment segments[] = {
            {.name = "weight", .shape = {1, {width}}, .init = {.kind = BL_INIT_CONSTANT, .value = 1 / sqrt((double)width)}, .lr_scale = 1},
            {.name = "bias", .shape = {1, {width}}, .init = {.kind = BL_INIT_ZERO}, .lr_scale = 1},
    };
    const bl_attributes attributes = {.groups = BL_VIEWS, .epsilon = BL_BATCH_NORM_EPSILON};
    bl_tensor *inputs[3] = {x};
    bl_node *node;
    int network, index;
    if (bl_layout_network(graph->layout, "normalization", false, &network)) return BL_FAILED;
    for (int i = 0; i < 2; i++)
        if (bl_layout_parameter(graph->layout, network, &segments[i], &index) ||
            bl_graph_stored(graph, (bl_place){network, BL_PARAMETERS, index}, &inputs[i + 1]))
            return BL_FAILED;
    if (bl_graph_node(graph, BL_OP_BATCH_NORM, name, &attributes, inputs, 3, &node)) return BL_FAILED;
    *y = node->outputs[0];
    return BL_OK;
}

static int build_loss(bl_step_graph *out, const bl_method_options *method) {
    static const bl_normalization of_rows[] = {[BL_LOSS_L2] = BL_NORMALIZE_L2, [BL_LOSS_NONE] = BL_NORMALIZE_NONE,
                                               [BL_LOSS_BATCH_NORM] = BL_NORMALIZE_NONE,
                                               [BL_LOSS_LAYER_NORM] = BL_NORMALIZE_LAYER_NORM};
    const bl_attributes pairs = {.groups = BL_VIEWS, .pairing = method->pairing, .normalization = of_rows[method->normalization],
                                 .reduction = method->reduction, .one_direction = method->one_direction};
    bl_tensor *compared[] = {out->prediction, out->target};
    bl_node *node;
    if (method->normalization == BL_LOSS_BATCH_NORM &&
        (normalize_batch(out->graph, "normalization/prediction", compared[0], &compared[0]) ||
         normalize_batch(out->graph, "normalization/target", compared[1], &compared[1])))
        return BL_FAILED;
    if (bl_graph_node(out->graph, BL_OP_BYOL_LOSS, "loss", &pairs, compared, 2, &node)) return BL_FAILED;
    out->loss = node->outputs[0];
    const bl_attributes views = {.groups = BL_VIEWS};
    if (bl_graph_node(out->graph, BL_OP_PROJECTION_STD, "std", &views, &out->projection, 1, &node)) return BL_FAILED;
    out->std = node->outputs[0];
    return BL_OK;
}

// A linear classifier that watches: its gradient ends at the features.
static int build_probe(bl_step_graph *out, const bl_model_options *options) {
    const int64_t rows = out->features->shape.dims[0];
    bl_graph *graph = out->graph;
    bl_node *node;
    int network;
    if (bl_graph_input(graph, "labels", BL_F32, (bl_shape){1, {rows}}, &out->labels) ||
        bl_graph_node(graph, BL_OP_STOP_GRADIENT, "probe/stop_gradient", NULL, &out->features, 1, &node) ||
        bl_layout_network(graph->layout, "probe", true, &network) ||
        bl_linear_build(graph, network, "probe/", "fc", options->probe_classes, options->encoder.init.linear, options->probe_lr_scale,
                        node->outputs[0], &out->logits) ||
        bl_graph_node(graph, BL_OP_CROSS_ENTROPY, "probe/loss", NULL, (bl_tensor *[]){out->logits, out->labels}, 2, &node))
        return BL_FAILED;
    out->probe_loss = node->outputs[0];
    out->correct = node->outputs[1];
    return BL_OK;
}

// The target's blocks move towards the online network's.
static int build_average(bl_graph *graph, const bl_method_options *method) {
    static const struct {
        const char *name;
        bl_block_kind block;
    } averages[] = {{"ema", BL_PARAMETERS}, {"ema/buffers", BL_BUFFERS}};
    const int target = bl_layout_find_network(graph->layout, "target"), online = bl_layout_find_network(graph->layout, "online");
    for (int i = 0; i < (method->average_buffers ? 2 : 1); i++) {
        bl_tensor *moved, *followed, *tau, *finite;
        bl_node *node;
        if (bl_stored_block(graph, target, averages[i].block, &moved) || bl_stored_block(graph, online, averages[i].block, &followed) ||
            bl_stored_scalar(graph, BL_SCALAR_TAU, &tau) || bl_stored_scalar(graph, BL_SCALAR_FINITE, &finite) ||
            bl_graph_node(graph, BL_OP_EMA, averages[i].name, NULL, (bl_tensor *[]){moved, followed, tau, finite}, 4, &node))
            return BL_FAILED;
        if (method->target_update == BL_UPDATE_BEFORE_FORWARD) bl_graph_begin(node);
    }
    return BL_OK;
}

static int check_method(const bl_method_options *method) {
    const bool is_ema = method->target == BL_TARGET_EMA;
    if (method->target_update == BL_UPDATE_BEFORE_FORWARD && !is_ema)
        return bl_fail("only an ema target is updated before the forward; this one never moves");
    if (method->average_buffers && !is_ema) return bl_fail("only an ema target averages batch-norm buffers");
    if (method->target_running && !method->average_buffers)
        return bl_fail("a target that uses running statistics must average the online network's buffers (average_buffers)");
    return BL_OK;
}

// From images to the loss, in train mode. `keeps_running`: the batch norms' running statistics follow the batch.
static int build_forward(bl_step_graph *out, const bl_model_options *options, int64_t batch, bool keeps_running) {
    bl_graph *graph = out->graph;
    const int64_t rows = BL_VIEWS * batch;
    const bl_shape shape = {4, {rows, options->image_size, options->image_size, 3}};
    bl_norm_mode mode = {.training = true, .update_buffers = keeps_running};
    int online;
    if (bl_statistics_groups(&options->encoder, rows, BL_VIEWS, &mode.groups) ||
        bl_graph_input(graph, "images", options->precision, shape, &out->images) ||
        bl_layout_network(graph->layout, "online", true, &online) ||
        build_branch(graph, online, "online/", options, mode, out->images, &out->features, &out->projection) ||
        build_predictor(graph, options, mode, out->projection, &out->prediction) ||
        build_target(graph, options, mode, out->images, out->projection, &out->target))
        return BL_FAILED;
    return build_loss(out, &options->method);
}

static int build_step(bl_step_graph *out, const bl_model_options *options, int64_t batch) {
    bl_graph *graph = out->graph;
    const bl_method_options *method = &options->method;
    const bool moves_first = method->target_update == BL_UPDATE_BEFORE_FORWARD;
    if (moves_first && build_average(graph, method)) return BL_FAILED;
    if (build_forward(out, options, batch, true) || (options->probe_classes && build_probe(out, options))) return BL_FAILED;
    if (!graph->layout->sealed) bl_optimizer_rules(graph->layout, &options->optimizer);
    if (bl_graph_backward(graph, out->loss) || (out->probe_loss && bl_graph_backward(graph, out->probe_loss))) return BL_FAILED;
    if (bl_optimizer_build(graph, &options->optimizer, (bl_tensor *[]){out->loss, out->probe_loss}, out->probe_loss ? 2 : 1))
        return BL_FAILED;
    return method->target == BL_TARGET_EMA && !moves_first ? build_average(graph, method) : BL_OK;
}

// Seals what was built, or takes it down.
static int end_build(bl_step_graph *out, int status) {
    if (status == BL_OK) {
        bl_graph_seal(out->graph);
    } else {
        bl_graph_free(out->graph);
        *out = (bl_step_graph){0};
    }
    return status;
}

// An average that stands before the forward names whole blocks, and a block's length is known only when all its segments are: a step
// with the average at its end, thrown away, fills the layout.
static int fill_layout(bl_layout *layout, const bl_model_options *options, int64_t batch) {
    bl_model_options after = *options;
    bl_step_graph filled;
    after.method.target_update = BL_UPDATE_AFTER_STEP;
    if (bl_byol_build(&filled, layout, &after, batch)) return BL_FAILED;
    bl_graph_free(filled.graph);
    return BL_OK;
}

int bl_byol_build(bl_step_graph *out, bl_layout *layout, const bl_model_options *options, int64_t batch) {
    *out = (bl_step_graph){0};
    if (check_method(&options->method)) return BL_FAILED;
    if (options->method.target_update == BL_UPDATE_BEFORE_FORWARD && fill_layout(layout, options, batch)) return BL_FAILED;
    if (bl_graph_create(&out->graph, layout)) return BL_FAILED;
    return end_build(out, build_step(out, options, batch));
}

int bl_byol_build_forward(bl_step_graph *out, bl_layout *layout, const bl_model_options *options, int64_t batch) {
    *out = (bl_step_graph){0};
    if (bl_graph_create(&out->graph, layout)) return BL_FAILED;
    return end_build(out, build_forward(out, options, batch, false));
}

int bl_features_build(bl_features_graph *out, bl_layout *layout, const bl_encoder_options *encoder, int image_size, int64_t rows) {
    const bl_shape shape = {4, {rows, image_size, image_size, 3}};
    int online;
    bl_taps taps;
    *out = (bl_features_graph){0};
    if (bl_graph_create(&out->graph, layout)) return BL_FAILED;
    if (bl_graph_input(out->graph, "images", BL_F32, shape, &out->images) || bl_layout_network(layout, "online", true, &online) ||
        bl_encoder_build(out->graph, online, "online/", encoder, (bl_norm_mode){0}, out->images, &taps)) {
        bl_graph_free(out->graph);
        *out = (bl_features_graph){0};
        return BL_FAILED;
    }
    out->features = taps.pooled;
    bl_graph_seal(out->graph);
    return BL_OK;
}
