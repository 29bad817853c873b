// encoders.h - the table of encoders: what `network.encoder` offers, what builds each, and where its taps stand.
//
// To add one is a row below, and a file where no family here builds it. Parameters have torchvision's names.

#ifndef BL_GRAPH_ENCODERS_H
#define BL_GRAPH_ENCODERS_H

#include "graph/layers.h" // bl_builder, bl_encoder_options, bl_taps

typedef struct bl_stage { // its output is a tap
    int blocks;
    int channels;         // of its output, times `width`
    int downsampling;     // pixels of the image beneath one of its output, along a side; with ImageNet's stem, where none is dilated
} bl_stage;

typedef struct bl_encoder bl_encoder;
// Images to taps, one a stage of `of`. Refuses options that the family does not have.
typedef int bl_encoder_builder(bl_builder *b, const bl_encoder *of, const bl_encoder_options *options, bl_tensor *images, bl_taps *out);

struct bl_encoder {
    const char *name;
    bl_encoder_builder *build;
    bl_stage stages[BL_MAX_STAGES]; // one without blocks ends them
};

// resnet.c
BL_CHECK bl_encoder_builder bl_resnet_of_basic_blocks, bl_resnet_of_bottlenecks;

// A row an encoder, in the order in which they are offered: name, builder, {blocks, channels, downsampling} of each stage.
#define BL_ENCODERS(row) \
    row("resnet18", bl_resnet_of_basic_blocks, {2, 1, 4}, {2, 2, 8}, {2, 4, 16}, {2, 8, 32}) \
    row("resnet34", bl_resnet_of_basic_blocks, {3, 1, 4}, {4, 2, 8}, {6, 4, 16}, {3, 8, 32}) \
    row("resnet50", bl_resnet_of_bottlenecks, {3, 4, 4}, {4, 8, 8}, {6, 16, 16}, {3, 32, 32})

// Those whose stages can be dilated, for the schema: "name|name".
#define BL_DILATED_ENCODERS "resnet50"

extern const bl_encoder bl_encoders[];
extern const int bl_encoder_count;

int bl_encoder_stages(const bl_encoder *encoder); // how many
// The stage whose output is so many times smaller than the image; the message names an encoder that has none.
BL_CHECK int bl_encoder_tap(const bl_encoder *encoder, int downsampling, int *stage);

BL_CHECK int bl_encoder_find(const char *name, const bl_encoder **encoder);

// The encoder that the options name; `network` is an index of the layout, names start with `prefix` ("online/").
BL_CHECK int bl_encoder_build(bl_graph *graph, int network, const char *prefix, const bl_encoder_options *options, bl_norm_mode mode,
                              bl_tensor *images, bl_taps *out);

#endif
