// layers.h - what the networks are built of: a node with its parameters, under PyTorch's names.

#ifndef BL_GRAPH_LAYERS_H
#define BL_GRAPH_LAYERS_H

#include "graph/networks.h"

typedef struct bl_builder { // where layers go
    bl_graph *graph;
    int network;
    const char *prefix;     // of nodes: "online/"
    bl_norm_mode mode;
    double lr_scale;
} bl_builder;

#define bl_name(b, ...) bl_arena_format((b)->graph->arena, __VA_ARGS__)

typedef struct bl_window { // of a convolution
    int channels, kernel, stride, padding, dilation;
} bl_window;

// One node on `inputs`; its first output.
BL_CHECK int bl_add_node(bl_builder *b, bl_op op, const char *name, const bl_attributes *attributes, bl_tensor *const *inputs, int count,
                         bl_tensor **out);
BL_CHECK int bl_add_convolution(bl_builder *b, const char *name, bl_init_kind rule, bl_tensor *x, bl_window w, bl_tensor **y); // no bias
BL_CHECK int bl_add_batch_norm(bl_builder *b, const char *name, bl_init_kind gamma_init, bl_tensor *x, bl_tensor **y);
BL_CHECK int bl_add_relu(bl_builder *b, const char *name, bl_tensor *x, bl_tensor **y);
BL_CHECK int bl_add_linear(bl_builder *b, const char *name, int features, bool has_bias, bl_init_kind rule, bl_tensor *x, bl_tensor **y);

#endif
