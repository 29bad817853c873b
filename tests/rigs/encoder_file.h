// encoder_file.h - a safetensors file for an arm to start from.

#ifndef BL_TESTS_ENCODER_FILE_H
#define BL_TESTS_ENCODER_FILE_H

#include <stdlib.h>

#include "graph/byol.h"
#include "support.h"
#include "weights/weights.h"

// An encoder's initial weights as a safetensors file: torchvision's OIHW from the block's OHWI.
static inline void write_encoder(const bl_encoder_options *encoder, uint64_t seed, const char *path, bl_preprocessing preprocessing) {
    bl_layout *layout;
    bl_features_graph features;
    assert_ok(bl_layout_create(&layout));
    assert_ok(bl_features_build(&features, layout, encoder, 32, 1));
    const bl_network *online = &layout->networks[bl_layout_find_network(layout, "online")];
    bl_weights weights = {.arena = bl_arena_create(), .path = path, .preprocessing = preprocessing};
    weights.items = bl_arena_take(weights.arena, (size_t)(online->parameters.count + online->buffers.count) * sizeof *weights.items);
    for (int kind = 0; kind < 2; kind++) {
        const bl_segments *segments = kind ? &online->buffers : &online->parameters;
        for (int i = 0; i < segments->count; i++) {
            const bl_segment *segment = &segments->items[i];
            const int64_t count = bl_shape_count(&segment->shape), *dims = segment->shape.dims;
            const bool is_kernel = segment->shape.rank == 4;
            bl_weight *weight = &weights.items[weights.count++];
            double *initial = malloc((size_t)count * sizeof *initial);
            float *values = bl_arena_take(weights.arena, (size_t)count * sizeof *values);
            bl_segment_initial(segment, seed, initial);
            *weight = (bl_weight){.name = segment->name, .shape = segment->shape, .values = values};
            if (is_kernel) weight->shape = (bl_shape){4, {dims[0], dims[3], dims[1], dims[2]}};
            const int64_t spots = is_kernel ? dims[1] * dims[2] : 1, channels = is_kernel ? dims[3] : 1;
            for (int64_t k = 0; k < count; k++) {
                const int64_t out = k / (spots * channels), spot = k / channels % spots, channel = k % channels;
                values[(out * channels + channel) * spots + spot] = (float)initial[k];
            }
            free(initial);
        }
    }
    assert_ok(bl_weights_write_safetensors(&weights, path));
    bl_arena_free(weights.arena);
    bl_graph_free(features.graph);
    bl_layout_free(layout);
}

#endif
