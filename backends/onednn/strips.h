// strips.h - small images beside each other.
//
// A convolution over an image of 4 or 8 pixels leaves the tiles of AMX mostly empty. So the images of such a stage lie in strips: each
// at a place of its own, with columns of zeros between, and every convolution sees one wide image, [strips, H, places * pitch, C] in
// place of [N, H, W, C]. The zeros are the padding, so the arithmetic is that of the images. A stride of two halves the pitch with the
// width, so a whole network's small stages chain without a copy.
//
// What convolutions read must have zeros between the images: batch norms, forward and backward, write them with their results, and in
// unused places too. What convolutions write between the images is meaningless, and whoever reads it (batch norm, joins, pooling,
// bl_plan_read) goes by lines of W pixels, image by image. A strip holds images of one statistics group.
//
// Measured on two Emerald Rapids cores with AMX, bf16, batch 64, oneDNN 3.2: 512 -> 512 at 4x4, forward 13.8 ms plain, 4.8 in strips of
// 16; gradient of the data 14.6, 4.9; of the weights 71, 9.6.

#ifndef BL_BACKENDS_ONEDNN_STRIPS_H
#define BL_BACKENDS_ONEDNN_STRIPS_H

#include <stdbool.h>
#include <stddef.h>

#include "graph/graph.h"

typedef struct bl_strips { // how the images of a tensor lie; places 0: plain, [N, H, W, C]
    size_t places;         // of a strip
    size_t pitch;          // columns of a place: the image's and those of zeros after it
    size_t images;         // of a statistics group
    size_t each;           // strips of a group
    size_t count;          // strips in all
} bl_strips;

// Which tensors lie in strips: an entry a tensor of the graph. `is_wanted` of the tensor alone; what its neighbours in the graph cannot
// do is found here.
BL_CHECK int bl_strips_find(const bl_graph *graph, bool (*is_wanted)(const bl_tensor *tensor), bl_strips *strips);

// Lines: the pixels of one row of an image, which lie side by side either way.
typedef struct bl_lines {
    bl_strips strips;
    size_t height, width, channels; // of an image
} bl_lines;

bl_lines bl_lines_of(const bl_strips *strips, const bl_tensor *tensor); // a tensor of another rank: images of one pixel
size_t bl_lines_values(const bl_lines *lines); // of a tensor in strips, zeros included

// Index of the first value of pixel `pixel`, counted as in the plain tensor.
size_t bl_lines_at(const bl_lines *lines, size_t pixel);
// How many values follow the line that begins at `pixel` which its writer must set to zero: up to the next image, or to the strip's end.
size_t bl_lines_zeros(const bl_lines *lines, size_t pixel);
// Those zeros, after the lines of images whose first pixels are among the `count` from `pixel` on, in values of so many bytes; nothing
// where the tensor is plain.
void bl_lines_clear(const bl_lines *lines, void *data, size_t value_bytes, size_t pixel, size_t count);

#endif
