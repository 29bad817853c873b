// segmentation.h - FCN-8s on an encoder: steps that learn a class for every pixel.
//
// Long, Shelhamer, Darrell 2015, with the heads of the hands-on review: on each of the encoder's stages at strides 8, 16 and 32 (so the
// table says, for ImageNet's stem) 3x3 convolutions C -> C/8 -> C/8, each with batch norm and ReLU, then scores by a 1x1 convolution with
// bias. An encoder without these stages is refused.
// The deepest scores are enlarged (bilinear, corners not aligned) and added to the next ones', twice, and the sum enlarged to the image.
//
// The encoder is the network "online" with the segments that BYOL trains, so its weights are read from a run as they are. The heads are
// the network "fcn": "score8.0.weight" .. "score32.6.bias", with the indices of torch.nn.Sequential.

#ifndef BL_GRAPH_SEGMENTATION_H
#define BL_GRAPH_SEGMENTATION_H

#include "graph/byol.h" // bl_step_graph

typedef struct bl_segmentation_options {
    bl_encoder_options encoder;
    bl_optimizer_options optimizer;
    bl_dtype precision;
    int classes;
    double head_lr_scale;
    bool frozen;            // the encoder stays: running statistics, a stop_gradient at each tap, no update
} bl_segmentation_options;

// One training step on `batch` labelled images of height x width. Pixels labelled outside 0 .. classes - 1 (255) count for nothing.
BL_CHECK int bl_segmentation_build(bl_step_graph *out, bl_layout *layout, const bl_segmentation_options *options, int64_t batch,
                                   int64_t height, int64_t width);

// Running statistics throughout: images and labels -> logits, predicted, correct, loss; f32. Any size; shares the layout of the step.
BL_CHECK int bl_segmentation_inference_build(bl_step_graph *out, bl_layout *layout, const bl_segmentation_options *options, int64_t rows,
                                             int64_t height, int64_t width);

#endif
