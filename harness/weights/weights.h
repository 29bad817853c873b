// weights.h - weights that travel: out of a run as safetensors, and into a store from a run file or a safetensors file.
//
// safetensors: 8 bytes little-endian length, a JSON header {"name": {"dtype", "shape", "data_offsets"}, "__metadata__": {text: text}},
// then the data. Names are torchvision's ("conv1.weight", "layer1.0.bn1.running_mean", ...), convolutions OIHW. An encoder's file
// holds its state_dict without the prefix "online/"; a file of everything puts "encoder.", "projector.", "predictor.", "target." before.
// The metadata carries what the weights were trained to see: mean, std (three numbers from 0 to 1 each, "0.485 0.456 0.406", read with commas
// or as a list too), image_size, resize ("none", or pixels before a centre crop), channel_order ("rgb"), and format "byolab".
//
// The room weights/ reads them from a run (weights_run) and from safetensors, tensor by tensor into one table (weights_table), and puts them
// into a store. It sees train/ and all below it. Its door: this header.

#ifndef BL_WEIGHTS_WEIGHTS_H
#define BL_WEIGHTS_WEIGHTS_H

#include "backends/backend.h"     // bl_store
#include "base/memory.h"          // bl_arena
#include "datasets/views/views.h" // bl_recipe

typedef struct bl_preprocessing { // what images must look like
    bool known;                   // false: the file does not say mean and std
    double mean[3], std[3];
    int image_size;               // 0: the file does not say
    int resize;                   // pixels a side before a centre crop; 0: none
} bl_preprocessing;
bl_preprocessing bl_preprocessing_of(const bl_recipe *evaluation_view, int image_size);
// Fails with what differs and what to write.
BL_CHECK int bl_preprocessing_check(const char *path, const bl_preprocessing *weights, const bl_preprocessing *ours);

typedef struct bl_weight {        // one named tensor, as the file has it (OIHW)
    const char *name;
    bl_shape shape;
    const float *values;
    const char *dtype;            // NULL; or the type that is not read ("I64"): then there are no values
} bl_weight;

typedef struct bl_weights {       // a file's tensors in memory
    bl_arena *arena;
    const char *path;
    const char *prefix;           // of the network that is meant ("module.encoder_q"; ".": of no prefix); NULL, as it is read: the only one
    bl_weight *items;             // ascending by name
    int count;
    bl_preprocessing preprocessing;
    void *data;                   // all values
} bl_weights;

// A lying header is refused: lengths past the end, overlapping or odd offsets, a dtype that safetensors has not, a shape that does not fill
// its bytes, a name twice; so are metadata that say something of images which cannot be meant. F32, F16, BF16 and F64 are read.
BL_CHECK int bl_weights_read_safetensors(bl_weights *weights, const char *path);
// The encoder of a run file (seed-<k>.<backend>.h5) or of a checkpoint, names and layout as above.
BL_CHECK int bl_weights_read_run(bl_weights *weights, const char *path);
BL_CHECK int bl_weights_write_safetensors(const bl_weights *weights, const char *path); // one atomic write; names ascending
void bl_weights_free(bl_weights *weights);

// SHA-256 of what was read: every tensor's name, shape and values. Not of the file's bytes: metadata, or rows that are added to a run's
// file, leave it as it is.
void bl_weights_digest(const bl_weights *weights, char digest[65]);
// The same of a file, a run's or safetensors, which is read where its digest is not known (base/contents.h).
BL_CHECK int bl_weights_digest_of(const char *path, bool is_run, char digest[65]);

// All of a run: encoder, projector, predictor and target with their prefixes ("encoder.conv1.weight", "projector.0.weight",
// "target.encoder.conv1.weight", "target.projector.0.weight").
BL_CHECK int bl_weights_read_run_all(bl_weights *weights, const char *path);

// Into the network `name` ("online"): every tensor of its encoder must be there with its shape, finite, variances not negative, and nothing
// else. What a wrapper puts before all names ("module.") comes off. "fc.*", which torchvision's classifier is called, and a head in its
// place, and "*.num_batches_tracked" are passed over. Where several networks stand in the file, or something beside the one, `prefix` says
// which is meant, and the rest is passed over; without it the message names them. It names the first tensor that is missing, left over or
// of another shape.
BL_CHECK int bl_weights_apply_encoder(const bl_weights *weights, bl_store *store, const char *network);
// Whether they would go in: everything that bl_weights_apply_encoder refuses, with nothing written.
BL_CHECK int bl_weights_check_encoder(const bl_weights *weights, const bl_layout *layout, const char *network);

#endif
