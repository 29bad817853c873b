#include "graph/layers.h"

#define BATCH_NORM_MOMENTUM 0.1 // torch.nn.BatchNorm's default

static int parameter(bl_builder *b, const char *name, bl_shape shape, bl_init init, bl_tensor **out) {
    // Which segments decay or adapt is the optimiser's rule; it is set once all are there.
    const bl_segment segment = {.name = name, .shape = shape, .init = init, .lr_scale = b->lr_scale};
    int index;
    if (bl_layout_parameter(b->graph->layout, b->network, &segment, &index)) return BL_FAILED;
    return bl_graph_stored(b->graph, (bl_place){b->network, BL_PARAMETERS, index}, out);
}

static int buffer(bl_builder *b, const char *name, int64_t length, bl_init_kind init, bl_tensor **out) {
    int index;
    if (bl_layout_buffer(b->graph->layout, b->network, name, (bl_shape){1, {length}}, (bl_init){.kind = init}, &index)) return BL_FAILED;
    return bl_graph_stored(b->graph, (bl_place){b->network, BL_BUFFERS, index}, out);
}

int bl_add_node(bl_builder *b, bl_op op, const char *name, const bl_attributes *attributes, bl_tensor *const *inputs, int count,
                bl_tensor **out) {
    bl_node *node;
    if (bl_graph_node(b->graph, op, bl_name(b, "%s%s", b->prefix, name), attributes, inputs, count, &node)) return BL_FAILED;
    *out = node->outputs[0];
    return BL_OK;
}

int bl_add_convolution(bl_builder *b, const char *name, bl_init_kind rule, bl_tensor *x, bl_window w, bl_tensor **y) {
    bl_tensor *weight;
    const int64_t pixels = (int64_t)w.kernel * w.kernel;
    const bl_shape shape = {4, {w.channels, w.kernel, w.kernel, x->shape.dims[3]}};
    const bl_attributes attributes = {.kernel = w.kernel, .stride = w.stride, .padding = w.padding, .dilation = w.dilation};
    const bl_init init = {rule, pixels * (rule == BL_INIT_KAIMING_FAN_OUT ? w.channels : x->shape.dims[3]), 0};
    if (parameter(b, bl_name(b, "%s.weight", name), shape, init, &weight)) return BL_FAILED;
    return bl_add_node(b, BL_OP_CONVOLUTION, name, &attributes, (bl_tensor *[]){x, weight}, 2, y);
}

int bl_add_batch_norm(bl_builder *b, const char *name, bl_init_kind gamma_init, bl_tensor *x, bl_tensor **y) {
    const int64_t width = x->shape.dims[x->shape.rank - 1];
    bl_tensor *gamma, *beta, *mean, *variance;
    if (parameter(b, bl_name(b, "%s.weight", name), (bl_shape){1, {width}}, (bl_init){.kind = gamma_init}, &gamma) ||
        parameter(b, bl_name(b, "%s.bias", name), (bl_shape){1, {width}}, (bl_init){.kind = BL_INIT_ZERO}, &beta) ||
        buffer(b, bl_name(b, "%s.running_mean", name), width, BL_INIT_ZERO, &mean) ||
        buffer(b, bl_name(b, "%s.running_var", name), width, BL_INIT_ONE, &variance))
        return BL_FAILED;
    if (!b->mode.training) {
        const bl_attributes attributes = {.epsilon = BL_BATCH_NORM_EPSILON};
        return bl_add_node(b, BL_OP_BATCH_NORM_RUNNING, name, &attributes, (bl_tensor *[]){x, gamma, beta, mean, variance}, 5, y);
    }
    const bl_attributes attributes = {.groups = b->mode.groups, .epsilon = BL_BATCH_NORM_EPSILON};
    if (bl_add_node(b, BL_OP_BATCH_NORM, name, &attributes, (bl_tensor *[]){x, gamma, beta}, 3, y)) return BL_FAILED;
    if (!b->mode.update_buffers) return BL_OK;
    const bl_node *norm = (*y)->producer;
    const bl_attributes average = {.momentum = BATCH_NORM_MOMENTUM, .rows = bl_shape_count(&x->shape) / width / b->mode.groups};
    return bl_graph_node(b->graph, BL_OP_RUNNING_AVERAGE, bl_name(b, "%s%s.running_average", b->prefix, name), &average,
                         (bl_tensor *[]){norm->outputs[1], norm->outputs[2], mean, variance}, 4, NULL);
}

int bl_add_relu(bl_builder *b, const char *name, bl_tensor *x, bl_tensor **y) {
    return bl_add_node(b, BL_OP_RELU, name, NULL, &x, 1, y);
}

int bl_add_linear(bl_builder *b, const char *name, int features, bool has_bias, bl_init_kind rule, bl_tensor *x, bl_tensor **y) {
    bl_tensor *w, *bias = NULL;
    const int64_t fan_in = x->shape.dims[x->shape.rank - 1];
    const bl_init init = {rule, fan_in, 0}, bias_init = rule == BL_INIT_UNIFORM_FAN_IN ? init : (bl_init){.kind = BL_INIT_ZERO};
    if (features < 1) return bl_fail("%s%s: a linear layer needs at least one feature, not %d", b->prefix, name, features);
    if (rule != BL_INIT_UNIFORM_FAN_IN && rule != BL_INIT_TRUNCATED_FAN_IN)
        return bl_fail("%s%s: the linear layer has no initialisation; PyTorch's is BL_INIT_UNIFORM_FAN_IN", b->prefix, name);
    if (parameter(b, bl_name(b, "%s.weight", name), (bl_shape){2, {features, fan_in}}, init, &w) ||
        (has_bias && parameter(b, bl_name(b, "%s.bias", name), (bl_shape){1, {features}}, bias_init, &bias)))
        return BL_FAILED;
    return bl_add_node(b, BL_OP_LINEAR, name, NULL, (bl_tensor *[]){x, w, bias}, 3, y);
}
