// byol.h - from options to the graph of one BYOL step, and to the graph that extracts features.
//
// Grill et al., "Bootstrap your own latent", arXiv 2006.07733. The two views of B images are stacked: rows 0..B-1 are view 1,
// rows B..2B-1 view 2. The online network is encoder + projector; the predictor is a network of its own; the target, where it is
// one, is a twin of the online network.

#ifndef BL_GRAPH_BYOL_H
#define BL_GRAPH_BYOL_H

#include "graph/graph.h"

typedef enum bl_stem { BL_STEM_CIFAR } bl_stem; // 3x3 stride 1 without pooling

typedef struct bl_encoder_options {
    int depth;       // 18
    bl_stem stem;
    int width;       // channels of the first stage; torchvision: 64
} bl_encoder_options;

typedef enum bl_head_norm { BL_NORM_NONE, BL_NORM_HIDDEN } bl_head_norm; // batch norm after the hidden layer

typedef struct bl_head_options { // linear (bias), [batch norm], ReLU, linear (bias)
    int hidden, out;
    bl_head_norm batch_norm;
} bl_head_options;

typedef enum bl_predictor_kind { BL_PREDICTOR_MLP, BL_PREDICTOR_NONE } bl_predictor_kind;
typedef enum bl_target_source { BL_TARGET_EMA, BL_TARGET_ONLINE, BL_TARGET_FROZEN } bl_target_source;
typedef enum bl_target_init { BL_TARGET_COPY, BL_TARGET_INDEPENDENT } bl_target_init;

typedef struct bl_method_options {
    bl_predictor_kind predictor;
    bl_head_options predictor_head; // .out is the projector's
    double predictor_lr_scale;
    bl_target_source target;
    bl_target_init target_init;
    bool stop_gradient;
    bl_pairing pairing;
} bl_method_options;

typedef enum bl_optimizer_kind { BL_OPTIMIZER_SGD, BL_OPTIMIZER_ADAM } bl_optimizer_kind;

typedef struct bl_optimizer_options {
    bl_optimizer_kind kind;
    double momentum;        // SGD
    bool nesterov;          // SGD
    double weight_decay;    // L2, as torch.optim's weight_decay
    bool decay_norms;       // true: biases and norms decay too (torch's single group)
    double beta1, beta2, epsilon; // Adam
} bl_optimizer_options;

typedef struct bl_model_options {
    bl_encoder_options encoder;
    bl_head_options projector;
    bl_method_options method;
    bl_optimizer_options optimizer;
    int image_size;         // pixels a side
    bl_dtype precision;     // of activations and packed weights
} bl_model_options;

#define BL_VIEWS 2

typedef struct bl_byol_graph {
    bl_graph *graph;        // owned by the caller
    bl_tensor *images;      // [2B, S, S, 3], dtype of the precision (staged as f32)
    bl_tensor *features;    // [2B, F] online, train mode
    bl_tensor *projection, *prediction; // [2B, D] online
    bl_tensor *loss;        // [1]: mean over the batch of the sum of both directions, 0 .. 8
    bl_tensor *std;         // [1]: RMS std of the l2-normalised projection's channels times sqrt(D); 1 = spread, 0 = collapsed
} bl_byol_graph;

// One training step for `batch` images (2 x batch rows): forward, backward, running averages, optimiser, EMA.
BL_CHECK int bl_byol_build(bl_byol_graph *out, bl_layout *layout, const bl_model_options *options, int64_t batch);

// The online encoder with running statistics: images [rows, S, S, 3] -> features [rows, F]; always f32.
typedef struct bl_features_graph {
    bl_graph *graph;
    bl_tensor *images, *features;
} bl_features_graph;
BL_CHECK int bl_features_build(bl_features_graph *out, bl_layout *layout, const bl_model_options *options, int64_t rows);

// Taps of an encoder, in order: the stages' outputs (strides 1, 2, 4, 8 with the CIFAR stem) and the pooled features.
typedef struct bl_taps {
    bl_tensor *stages[4], *pooled;
} bl_taps;

// How batch norms behave: `training` uses statistics per group (and `update_buffers` appends running averages).
typedef struct bl_norm_mode {
    bool training, update_buffers;
    int groups;
} bl_norm_mode;

// Builders; `network` is an index of the layout, names start with `prefix` ("online/").
BL_CHECK int bl_resnet_build(bl_graph *graph, int network, const char *prefix, const bl_encoder_options *options, bl_norm_mode mode,
                             bl_tensor *images, bl_taps *out);
BL_CHECK int bl_mlp_build(bl_graph *graph, int network, const char *prefix, const char *head, const bl_head_options *options,
                          double lr_scale, bl_norm_mode mode, bl_tensor *x, bl_tensor **out);

#endif
