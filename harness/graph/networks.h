// networks.h - the networks as options and graphs: what an encoder (encoders.h) is asked for and gives, and the MLP heads.

#ifndef BL_GRAPH_NETWORKS_H
#define BL_GRAPH_NETWORKS_H

#include "graph/graph.h"

typedef enum bl_stem {
    BL_STEM_CIFAR,    // 3x3, stride 1, no pooling
    BL_STEM_IMAGENET, // torchvision's: 7x7, stride 2, then max pooling 3x3, stride 2
} bl_stem;

typedef struct bl_initialization { // which rule draws the weights; batch norms start at 1 and 0
    bl_init_kind convolution;      // KAIMING_FAN_OUT (torchvision), UNIFORM_FAN_IN (nn.Conv2d), TRUNCATED_FAN_IN (Haiku)
    bl_init_kind linear;           // UNIFORM_FAN_IN (nn.Linear), TRUNCATED_FAN_IN (Haiku; biases then 0)
} bl_initialization;

typedef struct bl_encoder_options {
    const char *name;       // of the table in encoders.h: "resnet18"
    bl_stem stem;
    int stem_padding;       // CIFAR stem: pixels around the image in the first convolution: 1; solo-learn's has 2
    int width;              // channels of the first stage; torchvision: 64
    int dilated_stages;     // the last so many stages have dilation in place of their stride; 2: replace_stride_with_dilation [0, 1, 1]
    bool zero_init_residual;// the last batch norm of each block starts at 0
    bl_initialization init;
    int64_t statistics_rows;// rows behind each statistic of a training batch norm, in encoder and heads; 0: a view
} bl_encoder_options;

// Where batch norm stands in a head: nowhere, after the hidden layers, after the last one too (SimSiam's projector).
typedef enum bl_head_norm { BL_NORM_NONE, BL_NORM_HIDDEN, BL_NORM_ALL } bl_head_norm;

typedef struct bl_head_options { // `depth` linear layers; [batch norm] and ReLU between them
    int hidden, out;
    bl_head_norm batch_norm;
    int depth;              // 1: a linear map; 2: BYOL's
    bool hidden_bias, out_bias;
    bl_init_kind init;      // of the linear layers
} bl_head_options;

#define BL_MAX_STAGES 8 // of an encoder: a row of the table with more does not compile

// Taps of an encoder, in order: the stages' outputs, as many as its row of the table has, and the pooled features.
typedef struct bl_taps {
    bl_tensor *stages[BL_MAX_STAGES], *pooled;
} bl_taps;

#define BL_BATCH_NORM_EPSILON 1e-5 // torch.nn.BatchNorm's default

// How batch norms behave: `training` uses statistics per group (and `update_buffers` appends running averages).
typedef struct bl_norm_mode {
    bool training, update_buffers;
    int groups;
} bl_norm_mode;

// Builders; `network` is an index of the layout, names start with `prefix` ("online/").
// Layers are called "<head>.0", "<head>.1", ... as in torch.nn.Sequential: linear, [batch norm], ReLU, ...
BL_CHECK int bl_mlp_build(bl_graph *graph, int network, const char *prefix, const char *head, const bl_head_options *options,
                          double lr_scale, bl_norm_mode mode, bl_tensor *x, bl_tensor **out);

// One linear layer with bias, "<name>.weight" and "<name>.bias".
BL_CHECK int bl_linear_build(bl_graph *graph, int network, const char *prefix, const char *name, int features, bl_init_kind init,
                             double lr_scale, bl_tensor *x, bl_tensor **out);

// Groups of a training batch norm over `rows` rows that hold `views` views: statistics_rows each, or a view each.
BL_CHECK int bl_statistics_groups(const bl_encoder_options *options, int64_t rows, int views, int *groups);

#endif
