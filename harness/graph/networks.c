// The networks: torchvision's ResNet (He et al. 2016, with the stride on the 3x3 convolution) and BYOL's MLP heads.

#include "graph/networks.h"

#define BATCH_NORM_MOMENTUM 0.1 // torch.nn.BatchNorm's default

typedef struct builder { // where layers go
    bl_graph *graph;
    int network;
    const char *prefix;
    bl_norm_mode mode;
    double lr_scale;
} builder;

static int parameter(builder *b, const char *name, bl_shape shape, bl_init init, bl_tensor **out) {
    // Which segments decay or adapt is the optimiser's rule; it is set once all are there.
    const bl_segment segment = {.name = name, .shape = shape, .init = init, .lr_scale = b->lr_scale};
    int index;
    if (bl_layout_parameter(b->graph->layout, b->network, &segment, &index)) return BL_FAILED;
    return bl_graph_stored(b->graph, (bl_place){b->network, BL_PARAMETERS, index}, out);
}

static int buffer(builder *b, const char *name, int64_t length, bl_init_kind init, bl_tensor **out) {
    int index;
    if (bl_layout_buffer(b->graph->layout, b->network, name, (bl_shape){1, {length}}, (bl_init){.kind = init}, &index)) return BL_FAILED;
    return bl_graph_stored(b->graph, (bl_place){b->network, BL_BUFFERS, index}, out);
}

#define format(...) bl_arena_format(b->graph->arena, __VA_ARGS__)

static int add_node(builder *b, bl_op op, const char *name, const bl_attributes *attributes, bl_tensor *const *inputs, int count,
                    bl_tensor **out) {
    bl_node *node;
    if (bl_graph_node(b->graph, op, format("%s%s", b->prefix, name), attributes, inputs, count, &node)) return BL_FAILED;
    *out = node->outputs[0];
    return BL_OK;
}

typedef struct window { // of a convolution
    int channels, kernel, stride, padding;
} window;

static int convolution(builder *b, const char *name, bl_init_kind rule, bl_tensor *x, window w, bl_tensor **y) {
    bl_tensor *weight;
    const int64_t pixels = (int64_t)w.kernel * w.kernel;
    const bl_shape shape = {4, {w.channels, w.kernel, w.kernel, x->shape.dims[3]}};
    const bl_attributes attributes = {.kernel = w.kernel, .stride = w.stride, .padding = w.padding, .dilation = 1};
    const bl_init init = {rule, pixels * (rule == BL_INIT_KAIMING_FAN_OUT ? w.channels : x->shape.dims[3]), 0};
    if (parameter(b, format("%s.weight", name), shape, init, &weight)) return BL_FAILED;
    return add_node(b, BL_OP_CONVOLUTION, name, &attributes, (bl_tensor *[]){x, weight}, 2, y);
}

static int batch_norm(builder *b, const char *name, bl_init_kind gamma_init, bl_tensor *x, bl_tensor **y) {
    const int64_t width = x->shape.dims[x->shape.rank - 1];
    bl_tensor *gamma, *beta, *mean, *variance;
    if (parameter(b, format("%s.weight", name), (bl_shape){1, {width}}, (bl_init){.kind = gamma_init}, &gamma) ||
        parameter(b, format("%s.bias", name), (bl_shape){1, {width}}, (bl_init){.kind = BL_INIT_ZERO}, &beta) ||
        buffer(b, format("%s.running_mean", name), width, BL_INIT_ZERO, &mean) ||
        buffer(b, format("%s.running_var", name), width, BL_INIT_ONE, &variance))
        return BL_FAILED;
    if (!b->mode.training) {
        const bl_attributes attributes = {.epsilon = BL_BATCH_NORM_EPSILON};
        return add_node(b, BL_OP_BATCH_NORM_RUNNING, name, &attributes, (bl_tensor *[]){x, gamma, beta, mean, variance}, 5, y);
    }
    const bl_attributes attributes = {.groups = b->mode.groups, .epsilon = BL_BATCH_NORM_EPSILON};
    if (add_node(b, BL_OP_BATCH_NORM, name, &attributes, (bl_tensor *[]){x, gamma, beta}, 3, y)) return BL_FAILED;
    if (!b->mode.update_buffers) return BL_OK;
    const bl_node *norm = (*y)->producer;
    const bl_attributes average = {.momentum = BATCH_NORM_MOMENTUM, .rows = bl_shape_count(&x->shape) / width / b->mode.groups};
    return bl_graph_node(b->graph, BL_OP_RUNNING_AVERAGE, format("%s%s.running_average", b->prefix, name), &average,
                         (bl_tensor *[]){norm->outputs[1], norm->outputs[2], mean, variance}, 4, NULL);
}

static int relu(builder *b, const char *name, bl_tensor *x, bl_tensor **y) {
    return add_node(b, BL_OP_RELU, name, NULL, &x, 1, y);
}

// Two 3x3 convolutions and the shortcut; a 1x1 convolution on the shortcut where stride or width change.
static int basic_block(builder *b, const char *name, const bl_encoder_options *options, bl_tensor *x, int channels, int stride,
                       bl_tensor **y) {
    const bl_init_kind rule = options->init.convolution, last = options->zero_init_residual ? BL_INIT_ZERO : BL_INIT_ONE;
    bl_tensor *t, *shortcut = x;
    if (convolution(b, format("%s.conv1", name), rule, x, (window){channels, 3, stride, 1}, &t) ||
        batch_norm(b, format("%s.bn1", name), BL_INIT_ONE, t, &t) || relu(b, format("%s.relu1", name), t, &t) ||
        convolution(b, format("%s.conv2", name), rule, t, (window){channels, 3, 1, 1}, &t) ||
        batch_norm(b, format("%s.bn2", name), last, t, &t))
        return BL_FAILED;
    if ((stride != 1 || x->shape.dims[3] != channels) &&
        (convolution(b, format("%s.downsample.0", name), rule, x, (window){channels, 1, stride, 0}, &shortcut) ||
         batch_norm(b, format("%s.downsample.1", name), BL_INIT_ONE, shortcut, &shortcut)))
        return BL_FAILED;
    if (add_node(b, BL_OP_ADD, format("%s.add", name), NULL, (bl_tensor *[]){t, shortcut}, 2, &t)) return BL_FAILED;
    return relu(b, format("%s.relu2", name), t, y);
}

static int stem(builder *b, const bl_encoder_options *options, bl_tensor *images, bl_tensor **y) {
    const bool is_cifar = options->stem == BL_STEM_CIFAR;
    const window w = is_cifar ? (window){options->width, 3, 1, options->stem_padding} : (window){options->width, 7, 2, 3};
    const bl_attributes pool = {.kernel = 3, .stride = 2, .padding = 1};
    bl_tensor *x;
    if (convolution(b, "conv1", options->init.convolution, images, w, &x) || batch_norm(b, "bn1", BL_INIT_ONE, x, &x) ||
        relu(b, "relu", x, y))
        return BL_FAILED;
    return is_cifar ? BL_OK : add_node(b, BL_OP_MAX_POOL, "maxpool", &pool, y, 1, y);
}

static int check_encoder(const bl_encoder_options *options) {
    const bl_init_kind rule = options->init.convolution;
    if (options->depth != 18) return bl_fail("ResNet-%d is not built yet; write resnet18", options->depth);
    if (options->width < 1) return bl_fail("an encoder of width %d has no channels; torchvision's has 64", options->width);
    if (options->stem_padding < 1) return bl_fail("stem_padding %d must be at least 1 (torchvision's 3x3 stem: 1)", options->stem_padding);
    if (options->stem != BL_STEM_CIFAR && options->stem_padding != 1)
        return bl_fail("stem_padding %d is of the CIFAR stem; leave it at 1 with ImageNet's, whose padding is 3", options->stem_padding);
    if (rule != BL_INIT_KAIMING_FAN_OUT && rule != BL_INIT_UNIFORM_FAN_IN && rule != BL_INIT_TRUNCATED_FAN_IN)
        return bl_fail("the encoder's convolutions have no initialisation; torchvision's is BL_INIT_KAIMING_FAN_OUT");
    return BL_OK;
}

int bl_resnet_build(bl_graph *graph, int network, const char *prefix, const bl_encoder_options *options, bl_norm_mode mode,
                    bl_tensor *images, bl_taps *out) {
    static const int blocks[4] = {2, 2, 2, 2};
    builder made = {graph, network, prefix, mode, 1}, *b = &made;
    bl_tensor *x;
    if (check_encoder(options) || stem(b, options, images, &x)) return BL_FAILED;
    for (int stage = 0; stage < 4; stage++) {
        for (int block = 0; block < blocks[stage]; block++)
            if (basic_block(b, format("layer%d.%d", stage + 1, block), options, x, options->width << stage, stage && !block ? 2 : 1, &x))
                return BL_FAILED;
        out->stages[stage] = x;
    }
    return add_node(b, BL_OP_GLOBAL_AVERAGE_POOL, "avgpool", NULL, &x, 1, &out->pooled);
}

static int linear(builder *b, const char *name, int features, bool has_bias, bl_init_kind rule, bl_tensor *x, bl_tensor **y) {
    bl_tensor *w, *bias = NULL;
    const int64_t fan_in = x->shape.dims[1];
    const bl_init init = {rule, fan_in, 0}, bias_init = rule == BL_INIT_UNIFORM_FAN_IN ? init : (bl_init){.kind = BL_INIT_ZERO};
    if (features < 1) return bl_fail("%s%s: a linear layer needs at least one feature, not %d", b->prefix, name, features);
    if (rule != BL_INIT_UNIFORM_FAN_IN && rule != BL_INIT_TRUNCATED_FAN_IN)
        return bl_fail("%s%s: the linear layer has no initialisation; PyTorch's is BL_INIT_UNIFORM_FAN_IN", b->prefix, name);
    if (parameter(b, format("%s.weight", name), (bl_shape){2, {features, fan_in}}, init, &w) ||
        (has_bias && parameter(b, format("%s.bias", name), (bl_shape){1, {features}}, bias_init, &bias)))
        return BL_FAILED;
    return add_node(b, BL_OP_LINEAR, name, NULL, (bl_tensor *[]){x, w, bias}, 3, y);
}

int bl_linear_build(bl_graph *graph, int network, const char *prefix, const char *name, int features, bl_init_kind init, double lr_scale,
                    bl_tensor *x, bl_tensor **out) {
    builder made = {.graph = graph, .network = network, .prefix = prefix, .lr_scale = lr_scale};
    return linear(&made, name, features, true, init, x, out);
}

int bl_mlp_build(bl_graph *graph, int network, const char *prefix, const char *head, const bl_head_options *options, double lr_scale,
                 bl_norm_mode mode, bl_tensor *x, bl_tensor **out) {
    builder made = {graph, network, prefix, mode, lr_scale}, *b = &made;
    if (options->depth < 1) return bl_fail("%s%s: a head of depth %d has no layers; BYOL's has 2", prefix, head, options->depth);
    for (int layer = 0, index = 0; layer < options->depth; layer++) {
        const bool is_last = layer == options->depth - 1;
        const int features = is_last ? options->out : options->hidden;
        if (linear(b, format("%s.%d", head, index++), features, is_last ? options->out_bias : options->hidden_bias, options->init, x, &x))
            return BL_FAILED;
        const bool has_norm = is_last ? options->batch_norm == BL_NORM_ALL : options->batch_norm != BL_NORM_NONE;
        if (has_norm && batch_norm(b, format("%s.%d", head, index++), BL_INIT_ONE, x, &x)) return BL_FAILED;
        if (!is_last && relu(b, format("%s.%d", head, index++), x, &x)) return BL_FAILED;
    }
    *out = x;
    return BL_OK;
}

int bl_statistics_groups(const bl_encoder_options *options, int64_t rows, int views, int *groups) {
    const int64_t each = options->statistics_rows;
    *groups = views;
    if (!each) return BL_OK;
    if (each < 1 || each > rows || rows % each)
        return bl_fail("statistics_rows %lld does not divide the %lld rows of a step", (long long)each, (long long)rows);
    *groups = (int)(rows / each);
    return BL_OK;
}
