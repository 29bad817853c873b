#include "graph/classifier.h"

#include "graph/encoders.h"
#include "graph/step.h"

// Features -> logits -> loss and share of right answers. A hidden layer has torch.nn.Sequential's names: linear 0, ReLU 1, linear 2.
static int build_head(bl_step_graph *out, const bl_classifier_options *options) {
    const bl_init_kind init = options->encoder.init.linear;
    const double lr_scale = options->head_lr_scale;
    bl_graph *graph = out->graph;
    bl_node *node;
    int network;
    if (options->classes < 1) return bl_fail("a classifier of %d classes has nothing to tell apart", options->classes);
    if (bl_layout_network(graph->layout, "classifier", true, &network)) return BL_FAILED;
    if (options->hidden) {
        const bl_head_options head = {.hidden = options->hidden, .out = options->classes, .batch_norm = BL_NORM_NONE, .depth = 2,
                                      .hidden_bias = true, .out_bias = true, .init = init};
        if (bl_mlp_build(graph, network, "classifier/", "fc", &head, lr_scale, (bl_norm_mode){0}, out->features, &out->logits))
            return BL_FAILED;
    } else if (bl_linear_build(graph, network, "classifier/", "fc", options->classes, init, lr_scale, out->features, &out->logits)) {
        return BL_FAILED;
    }
    if (bl_graph_input(graph, "labels", BL_F32, (bl_shape){1, {out->logits->shape.dims[0]}}, &out->labels) ||
        bl_graph_node(graph, BL_OP_CROSS_ENTROPY, "loss", NULL, (bl_tensor *[]){out->logits, out->labels}, 2, &node))
        return BL_FAILED;
    out->loss = node->outputs[0];
    out->correct = node->outputs[1];
    return BL_OK;
}

static int build_encoder(bl_step_graph *out, const bl_classifier_options *options, bl_dtype dtype, bl_norm_mode mode, int64_t rows) {
    const bl_shape shape = {4, {rows, options->image_size, options->image_size, 3}};
    bl_graph *graph = out->graph;
    bl_taps taps;
    int online;
    if (bl_graph_input(graph, "images", dtype, shape, &out->images) ||
        bl_layout_network(graph->layout, "online", !options->frozen, &online) ||
        bl_encoder_build(graph, online, "online/", &options->encoder, mode, out->images, &taps))
        return BL_FAILED;
    out->features = taps.pooled;
    if (!options->frozen) return BL_OK;
    bl_node *node;
    if (bl_graph_node(graph, BL_OP_STOP_GRADIENT, "stop_gradient", NULL, &out->features, 1, &node)) return BL_FAILED;
    out->features = node->outputs[0];
    return BL_OK;
}

int bl_classifier_build(bl_step_graph *out, bl_layout *layout, const bl_classifier_options *options, int64_t batch) {
    bl_norm_mode mode = {.training = !options->frozen, .update_buffers = !options->frozen};
    if (bl_step_begin(out, layout)) return BL_FAILED;
    return bl_step_end(out, bl_statistics_groups(&options->encoder, batch, 1, &mode.groups) ||
                                    build_encoder(out, options, options->precision, mode, batch) || build_head(out, options) ||
                                    bl_step_learn(out, &options->optimizer)
                            ? BL_FAILED
                            : BL_OK);
}

int bl_classifier_inference_build(bl_step_graph *out, bl_layout *layout, const bl_classifier_options *options, int64_t rows) {
    if (bl_step_begin(out, layout)) return BL_FAILED;
    return bl_step_end(out, build_encoder(out, options, BL_F32, (bl_norm_mode){0}, rows) || build_head(out, options) ? BL_FAILED : BL_OK);
}

int bl_classifier_head_build(bl_step_graph *out, bl_layout *layout, const bl_classifier_options *options, int width, int64_t batch) {
    if (bl_step_begin(out, layout)) return BL_FAILED;
    int status = bl_graph_input(out->graph, "features", BL_F32, (bl_shape){2, {batch, width}}, &out->images);
    out->features = out->images;
    if (status == BL_OK) status = build_head(out, options) || bl_step_learn(out, &options->optimizer) ? BL_FAILED : BL_OK;
    return bl_step_end(out, status);
}
