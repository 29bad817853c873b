// The heads: BYOL's MLPs and linear classifiers.

#include "graph/layers.h"

int bl_linear_build(bl_graph *graph, int network, const char *prefix, const char *name, int features, bl_init_kind init, double lr_scale,
                    bl_tensor *x, bl_tensor **out) {
    bl_builder made = {.graph = graph, .network = network, .prefix = prefix, .lr_scale = lr_scale};
    return bl_add_linear(&made, name, features, true, init, x, out);
}

int bl_mlp_build(bl_graph *graph, int network, const char *prefix, const char *head, const bl_head_options *options, double lr_scale,
                 bl_norm_mode mode, bl_tensor *x, bl_tensor **out) {
    bl_builder made = {graph, network, prefix, mode, lr_scale}, *b = &made;
    if (options->depth < 1) return bl_fail("%s%s: a head of depth %d has no layers; BYOL's has 2", prefix, head, options->depth);
    for (int layer = 0, index = 0; layer < options->depth; layer++) {
        const bool is_last = layer == options->depth - 1;
        const int features = is_last ? options->out : options->hidden;
        const bool has_bias = is_last ? options->out_bias : options->hidden_bias;
        if (bl_add_linear(b, bl_name(b, "%s.%d", head, index++), features, has_bias, options->init, x, &x)) return BL_FAILED;
        const bool has_norm = is_last ? options->batch_norm == BL_NORM_ALL : options->batch_norm != BL_NORM_NONE;
        if (has_norm && bl_add_batch_norm(b, bl_name(b, "%s.%d", head, index++), BL_INIT_ONE, x, &x)) return BL_FAILED;
        if (!is_last && bl_add_relu(b, bl_name(b, "%s.%d", head, index++), x, &x)) return BL_FAILED;
    }
    *out = x;
    return BL_OK;
}
