// The networks: torchvision's ResNet (He et al. 2016, with the stride on the 3x3 convolution) and BYOL's MLP heads.

#include <string.h>

#include "graph/byol.h"

#define BATCH_NORM_EPSILON 1e-5  // torch.nn.BatchNorm's defaults
#define BATCH_NORM_MOMENTUM 0.1

typedef struct builder { // where layers go
    bl_graph *graph;
    int network;
    const char *prefix;
    bl_norm_mode mode;
    double lr_scale;
} builder;

static int parameter(builder *b, const char *name, bl_shape shape, bl_init_kind init, int64_t fan, bl_tensor **out) {
    // Which segments decay or adapt is the optimiser's rule; it is set once all are there.
    const bl_segment segment = {.name = name, .shape = shape, .init = {init, fan}, .lr_scale = b->lr_scale};
    int index;
    if (bl_layout_parameter(b->graph->layout, b->network, &segment, &index)) return BL_FAILED;
    return bl_graph_stored(b->graph, (bl_place){b->network, BL_PARAMETERS, index}, out);
}

static int buffer(builder *b, const char *name, int64_t length, bl_init_kind init, bl_tensor **out) {
    int index;
    if (bl_layout_buffer(b->graph->layout, b->network, name, (bl_shape){1, {length}}, (bl_init){init, 0}, &index)) return BL_FAILED;
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

static int convolution(builder *b, const char *name, bl_tensor *x, int channels, int kernel, int stride, bl_tensor **y) {
    bl_tensor *w;
    const bl_shape shape = {4, {channels, kernel, kernel, x->shape.dims[3]}};
    const bl_attributes attributes = {.kernel = kernel, .stride = stride, .padding = kernel / 2, .dilation = 1};
    if (parameter(b, format("%s.weight", name), shape, BL_INIT_KAIMING_FAN_OUT, (int64_t)channels * kernel * kernel, &w)) return BL_FAILED;
    return add_node(b, BL_OP_CONVOLUTION, name, &attributes, (bl_tensor *[]){x, w}, 2, y);
}

static int batch_norm(builder *b, const char *name, bl_tensor *x, bl_tensor **y) {
    const int64_t width = x->shape.dims[x->shape.rank - 1];
    bl_tensor *gamma, *beta, *mean, *variance;
    if (parameter(b, format("%s.weight", name), (bl_shape){1, {width}}, BL_INIT_ONE, 0, &gamma) ||
        parameter(b, format("%s.bias", name), (bl_shape){1, {width}}, BL_INIT_ZERO, 0, &beta) ||
        buffer(b, format("%s.running_mean", name), width, BL_INIT_ZERO, &mean) ||
        buffer(b, format("%s.running_var", name), width, BL_INIT_ONE, &variance))
        return BL_FAILED;
    if (!b->mode.training) {
        const bl_attributes attributes = {.epsilon = BATCH_NORM_EPSILON};
        return add_node(b, BL_OP_BATCH_NORM_RUNNING, name, &attributes, (bl_tensor *[]){x, gamma, beta, mean, variance}, 5, y);
    }
    const bl_attributes attributes = {.groups = b->mode.groups, .epsilon = BATCH_NORM_EPSILON};
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
static int basic_block(builder *b, const char *name, bl_tensor *x, int channels, int stride, bl_tensor **y) {
    bl_tensor *t, *shortcut = x;
    if (convolution(b, format("%s.conv1", name), x, channels, 3, stride, &t) || batch_norm(b, format("%s.bn1", name), t, &t) ||
        relu(b, format("%s.relu1", name), t, &t) || convolution(b, format("%s.conv2", name), t, channels, 3, 1, &t) ||
        batch_norm(b, format("%s.bn2", name), t, &t))
        return BL_FAILED;
    if ((stride != 1 || x->shape.dims[3] != channels) &&
        (convolution(b, format("%s.downsample.0", name), x, channels, 1, stride, &shortcut) ||
         batch_norm(b, format("%s.downsample.1", name), shortcut, &shortcut)))
        return BL_FAILED;
    if (add_node(b, BL_OP_ADD, format("%s.add", name), NULL, (bl_tensor *[]){t, shortcut}, 2, &t)) return BL_FAILED;
    return relu(b, format("%s.relu2", name), t, y);
}

int bl_resnet_build(bl_graph *graph, int network, const char *prefix, const bl_encoder_options *options, bl_norm_mode mode,
                    bl_tensor *images, bl_taps *out) {
    static const int blocks[4] = {2, 2, 2, 2};
    if (options->depth != 18) return bl_fail("ResNet-%d is not built yet; write resnet18", options->depth);
    builder made = {graph, network, prefix, mode, 1}, *b = &made;
    bl_tensor *x;
    if (convolution(b, "conv1", images, options->width, 3, 1, &x) || batch_norm(b, "bn1", x, &x) || relu(b, "relu", x, &x)) return BL_FAILED;
    for (int stage = 0; stage < 4; stage++) {
        for (int block = 0; block < blocks[stage]; block++)
            if (basic_block(b, format("layer%d.%d", stage + 1, block), x, options->width << stage, stage && !block ? 2 : 1, &x)) return BL_FAILED;
        out->stages[stage] = x;
    }
    return add_node(b, BL_OP_GLOBAL_AVERAGE_POOL, "avgpool", NULL, &x, 1, &out->pooled);
}

// Names count layers as torch.nn.Sequential does: linear 0, [batch norm 1], ReLU, linear.
static int linear(builder *b, const char *name, bl_tensor *x, int features, bl_tensor **y) {
    bl_tensor *w, *bias;
    const int64_t fan_in = x->shape.dims[1];
    if (parameter(b, format("%s.weight", name), (bl_shape){2, {features, fan_in}}, BL_INIT_UNIFORM_FAN_IN, fan_in, &w) ||
        parameter(b, format("%s.bias", name), (bl_shape){1, {features}}, BL_INIT_UNIFORM_FAN_IN, fan_in, &bias))
        return BL_FAILED;
    return add_node(b, BL_OP_LINEAR, name, NULL, (bl_tensor *[]){x, w, bias}, 3, y);
}

int bl_mlp_build(bl_graph *graph, int network, const char *prefix, const char *head, const bl_head_options *options, double lr_scale,
                 bl_norm_mode mode, bl_tensor *x, bl_tensor **out) {
    builder made = {graph, network, prefix, mode, lr_scale}, *b = &made;
    int layer = 0;
    if (linear(b, format("%s.%d", head, layer++), x, options->hidden, &x)) return BL_FAILED;
    if (options->batch_norm == BL_NORM_HIDDEN && batch_norm(b, format("%s.%d", head, layer++), x, &x)) return BL_FAILED;
    if (relu(b, format("%s.%d", head, layer++), x, &x)) return BL_FAILED;
    return linear(b, format("%s.%d", head, layer), x, options->out, out);
}
