// byol.h - from options to the graph of one BYOL step, and to the graph that extracts features.
//
// Grill et al., "Bootstrap your own latent", arXiv 2006.07733. The two views of B images are stacked: rows 0..B-1 are view 1,
// rows B..2B-1 view 2. The online network is encoder + projector; the predictor is a network of its own; the target, where it is
// one, is a twin of the online network. Every switch of the method is an edit of this graph: nodes there, absent, or wired elsewhere.

#ifndef BL_GRAPH_BYOL_H
#define BL_GRAPH_BYOL_H

#include "graph/networks.h"  // bl_encoder_options, bl_head_options
#include "graph/optimizer.h" // bl_optimizer_options
#include "graph/schedule.h"  // bl_schedule_kind

typedef enum bl_predictor_kind {
    BL_PREDICTOR_MLP,
    BL_PREDICTOR_NONE,
    BL_PREDICTOR_LINEAR, // one linear layer with bias
    BL_PREDICTOR_FIXED,  // an MLP that keeps its random weights: a network that is not trainable
} bl_predictor_kind;
typedef enum bl_target_source { BL_TARGET_EMA, BL_TARGET_ONLINE, BL_TARGET_FROZEN } bl_target_source;
typedef enum bl_target_init { BL_TARGET_COPY, BL_TARGET_INDEPENDENT } bl_target_init; // independent: drawn with a seed of its own
typedef enum bl_target_update { BL_UPDATE_AFTER_STEP, BL_UPDATE_BEFORE_FORWARD } bl_target_update;
typedef enum bl_loss_norm { BL_LOSS_L2, BL_LOSS_NONE, BL_LOSS_BATCH_NORM, BL_LOSS_LAYER_NORM } bl_loss_norm;

typedef struct bl_method_options {
    bl_predictor_kind predictor;
    bl_head_options predictor_head;  // mlp and fixed; .out is the projector's
    double predictor_lr_scale;       // mlp and linear
    bl_target_source target;
    bl_target_init target_init;
    double tau;                      // ema: share of the target that stays each step; the loop's, like the learning rate
    bl_schedule_kind tau_schedule;
    bl_target_update target_update;  // ema: when the average moves
    bool target_running;             // the target's batch norms use running statistics (then average_buffers must hold)
    bool average_buffers;            // ema: batch-norm buffers are averaged with tau too, instead of the target's own running ones
    bool stop_gradient;
    bl_pairing pairing;
    bl_loss_norm normalization;      // batch norm: per view, (x - mean) / (sd sqrt(D)), a node before the loss (BYOL, appendix F)
    bl_reduction reduction;
    bool one_direction;              // asymmetric: only view 1 is predicted
} bl_method_options;

typedef struct bl_model_options {
    bl_encoder_options encoder;
    bl_head_options projector;
    bl_method_options method;
    bl_optimizer_options optimizer;
    int image_size;         // pixels a side
    bl_dtype precision;     // of activations and packed weights
    int probe_classes;      // 0: none; else a linear classifier on the features, behind a stop_gradient, trains along
    double probe_lr_scale;
} bl_model_options;

#define BL_VIEWS 2

// A training step, of BYOL, a classifier or a segmentation: the tensors that someone outside reads or writes. NULL: this step has none.
typedef struct bl_step_graph {
    bl_graph *graph;        // owned by the caller
    bl_tensor *images;      // [rows, H, W, 3], dtype of the precision (staged as f32); BYOL: rows = 2B, the views stacked
    bl_tensor *labels;      // [rows], of a segmentation [rows, H, W], f32 class numbers; where something learns from labels
    bl_tensor *features;    // [rows, F] online, train mode
    bl_tensor *projection, *prediction; // [rows, D] online
    bl_tensor *target;      // [rows, D]: what predictions are compared with
    bl_tensor *loss;        // [1]: BYOL's, or cross-entropy
    bl_tensor *std;         // [1]: RMS std of the l2-normalised projection's channels times sqrt(D); 1 = spread, 0 = collapsed
    bl_tensor *logits;      // [rows, classes], of a segmentation [rows, H, W, classes]: of the classifier, or of the probe
    bl_tensor *predicted;   // [rows, H, W] f32: the class with the largest logit; of a segmentation's inference
    bl_tensor *correct;     // [1]: share of the labelled rows, or pixels, whose largest logit is their label's
    bl_tensor *probe_loss;  // [1]
} bl_step_graph;

// One training step for `batch` images (2 x batch rows): forward, backward, running averages, optimiser, EMA.
BL_CHECK int bl_byol_build(bl_step_graph *out, bl_layout *layout, const bl_model_options *options, int64_t batch);

// The same step's images to its loss and nothing behind it: train mode, yet neither running statistics nor weights change. For a layout
// that holds the step already.
BL_CHECK int bl_byol_build_forward(bl_step_graph *out, bl_layout *layout, const bl_model_options *options, int64_t batch);

// The online encoder with running statistics: images [rows, S, S, 3] -> features [rows, F]; always f32.
typedef struct bl_features_graph {
    bl_graph *graph;
    bl_tensor *images, *features;
} bl_features_graph;
BL_CHECK int bl_features_build(bl_features_graph *out, bl_layout *layout, const bl_encoder_options *encoder, int image_size, int64_t rows);

#endif
