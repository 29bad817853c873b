// classifier.h - steps that learn from labels: supervised training, fine-tuning, linear evaluation.
//
// The encoder is the network "online" with the segments that BYOL trains, so its weights are read from a run as they are. The
// head is the network "classifier" with torchvision's names, "fc.weight" and "fc.bias" (with a hidden layer: "fc.0", "fc.2").

#ifndef BL_GRAPH_CLASSIFIER_H
#define BL_GRAPH_CLASSIFIER_H

#include "graph/byol.h" // bl_step_graph

typedef struct bl_classifier_options {
    bl_encoder_options encoder;
    bl_optimizer_options optimizer;
    int image_size;         // pixels a side
    bl_dtype precision;
    int classes;
    int hidden;             // 0: one linear layer on the pooled features; else linear, ReLU, linear
    double head_lr_scale;
    bool frozen;            // the encoder stays: running statistics, a stop_gradient at the features, no update
} bl_classifier_options;

// One training step on `batch` labelled images. Rows labelled -1 count for nothing.
BL_CHECK int bl_classifier_build(bl_step_graph *out, bl_layout *layout, const bl_classifier_options *options, int64_t batch);

// Encoder with running statistics and head: images and labels -> logits, correct, loss; f32. Shares the layout of the step.
BL_CHECK int bl_classifier_inference_build(bl_step_graph *out, bl_layout *layout, const bl_classifier_options *options, int64_t rows);

// The head alone on features that were extracted before: out->images is [batch, width] f32.
BL_CHECK int bl_classifier_head_build(bl_step_graph *out, bl_layout *layout, const bl_classifier_options *options, int width,
                                      int64_t batch);

#endif
