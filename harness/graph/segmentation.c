#include "graph/segmentation.h"

#include "graph/encoders.h"
#include "graph/step.h"

#define NARROWING 8 // channels of a tap, times those of its head

static int narrow(bl_builder *b, const char *head, int layer, int channels, bl_init_kind init, bl_tensor **x) {
    if (bl_add_convolution(b, bl_name(b, "%s.%d", head, layer), init, *x, (bl_window){channels, 3, 1, 1, 1}, x) ||
        bl_add_batch_norm(b, bl_name(b, "%s.%d", head, layer + 1), BL_INIT_ONE, *x, x))
        return BL_FAILED;
    return bl_add_relu(b, bl_name(b, "%s.%d", head, layer + 2), *x, x);
}

// Scores of every class at the tap's size.
static int score(bl_builder *b, const char *head, const bl_segmentation_options *options, bl_tensor *tap, bl_tensor **scores) {
    const bl_init_kind init = options->encoder.init.linear; // nn.Conv2d's own, as nn.Linear's, is uniform by fan in
    const int channels = (int)(tap->shape.dims[3] / NARROWING);
    *scores = tap;
    if (options->frozen && bl_add_node(b, BL_OP_STOP_GRADIENT, bl_name(b, "%s.stop_gradient", head), NULL, &tap, 1, scores))
        return BL_FAILED;
    if (channels < 1)
        return bl_fail("FCN-8s narrows %lld channels by %d: write a larger network.width", (long long)tap->shape.dims[3], NARROWING);
    if (narrow(b, head, 0, channels, init, scores) || narrow(b, head, 3, channels, init, scores)) return BL_FAILED;
    return bl_add_linear(b, bl_name(b, "%s.6", head), options->classes, true, init, *scores, scores);
}

// x resized to the height and width of `like`.
static int enlarge(bl_builder *b, const char *name, bl_tensor *x, const bl_tensor *like, bl_tensor **y) {
    bl_attributes attributes = {.shape = x->shape};
    for (int axis = 1; axis < 3; axis++) attributes.shape.dims[axis] = like->shape.dims[axis];
    return bl_add_node(b, BL_OP_RESIZE, name, &attributes, &x, 1, y);
}

static int fuse(bl_builder *b, const char *stride, bl_tensor *deeper, bl_tensor *scores, bl_tensor **sum) {
    bl_tensor *enlarged;
    if (enlarge(b, bl_name(b, "enlarge%s", stride), deeper, scores, &enlarged)) return BL_FAILED;
    return bl_add_node(b, BL_OP_ADD, bl_name(b, "add%s", stride), NULL, (bl_tensor *[]){enlarged, scores}, 2, sum);
}

static int build_heads(bl_step_graph *out, const bl_segmentation_options *options, bl_norm_mode mode, const bl_taps *taps) {
    bl_builder made = {.graph = out->graph, .prefix = "fcn/", .mode = mode, .lr_scale = options->head_lr_scale}, *b = &made;
    bl_tensor *scores[3], *sum;
    const bl_encoder *encoder;
    static const struct {
        const char *name;
        int downsampling;
    } heads[] = {{"score8", 8}, {"score16", 16}, {"score32", 32}};
    if (options->classes < 1) return bl_fail("a segmentation of %d classes has nothing to tell apart", options->classes);
    if (bl_encoder_find(options->encoder.name, &encoder) || bl_layout_network(out->graph->layout, "fcn", true, &made.network)) return BL_FAILED;
    for (int i = 0, stage; i < 3; i++)
        if (bl_encoder_tap(encoder, heads[i].downsampling, &stage) || score(b, heads[i].name, options, taps->stages[stage], &scores[i]))
            return BL_FAILED;
    if (fuse(b, "16", scores[2], scores[1], &sum) || fuse(b, "8", sum, scores[0], &sum)) return BL_FAILED;
    return enlarge(b, "logits", sum, out->images, &out->logits);
}

static int build_loss(bl_step_graph *out) {
    bl_shape pixels = out->logits->shape;
    bl_node *node;
    pixels.rank--;
    if (bl_graph_input(out->graph, "labels", BL_F32, pixels, &out->labels) ||
        bl_graph_node(out->graph, BL_OP_CROSS_ENTROPY, "loss", NULL, (bl_tensor *[]){out->logits, out->labels}, 2, &node))
        return BL_FAILED;
    out->loss = node->outputs[0];
    out->correct = node->outputs[1];
    return BL_OK;
}

static int build_prediction(bl_step_graph *out) {
    bl_node *node;
    if (bl_graph_node(out->graph, BL_OP_ARGMAX, "predicted", NULL, &out->logits, 1, &node)) return BL_FAILED;
    out->predicted = node->outputs[0];
    return BL_OK;
}

// Everything up to the loss; `mode` is the heads', and the encoder's where it learns.
static int build_forward(bl_step_graph *out, const bl_segmentation_options *options, bl_dtype dtype, bl_norm_mode mode,
                         const bl_shape *images) {
    const bl_norm_mode encoder_mode = options->frozen ? (bl_norm_mode){0} : mode;
    bl_graph *graph = out->graph;
    bl_taps taps;
    int online;
    if (bl_graph_input(graph, "images", dtype, *images, &out->images) ||
        bl_layout_network(graph->layout, "online", !options->frozen, &online) ||
        bl_encoder_build(graph, online, "online/", &options->encoder, encoder_mode, out->images, &taps))
        return BL_FAILED;
    out->features = taps.pooled;
    if (build_heads(out, options, mode, &taps)) return BL_FAILED;
    return build_loss(out);
}

int bl_segmentation_build(bl_step_graph *out, bl_layout *layout, const bl_segmentation_options *options, int64_t batch, int64_t height,
                          int64_t width) {
    const bl_shape images = {4, {batch, height, width, 3}};
    bl_norm_mode mode = {.training = true, .update_buffers = true};
    if (bl_step_begin(out, layout)) return BL_FAILED;
    return bl_step_end(out, bl_statistics_groups(&options->encoder, batch, 1, &mode.groups) ||
                                    build_forward(out, options, options->precision, mode, &images) ||
                                    bl_step_learn(out, &options->optimizer)
                            ? BL_FAILED
                            : BL_OK);
}

int bl_segmentation_inference_build(bl_step_graph *out, bl_layout *layout, const bl_segmentation_options *options, int64_t rows,
                                    int64_t height, int64_t width) {
    const bl_shape images = {4, {rows, height, width, 3}};
    if (bl_step_begin(out, layout)) return BL_FAILED;
    return bl_step_end(out, build_forward(out, options, BL_F32, (bl_norm_mode){0}, &images) || build_prediction(out) ? BL_FAILED : BL_OK);
}
