// layout.h - what persists over steps, described: networks, their named segments, and the scalars that change every step.
//
// A layout is filled while the first graph is built (parameters appear as the builders ask for them) and then shared by every
// graph of the run: training step, feature extraction, inference. A backend makes a store from it. All values are f32 in a store
// (f64 on `reference`). Offsets count floats from the start of the block and are multiples of 16 (64 bytes).

#ifndef BL_GRAPH_LAYOUT_H
#define BL_GRAPH_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"  // BL_CHECK
#include "base/memory.h" // bl_arena

#define BL_MAX_RANK 4

typedef struct bl_shape {
    int rank;
    int64_t dims[BL_MAX_RANK];
} bl_shape;

int64_t bl_shape_count(const bl_shape *shape); // number of values
int64_t bl_shape_rows(const bl_shape *shape);  // of the last dimension's length: the product of the others
bool bl_shape_equal(const bl_shape *a, const bl_shape *b);
void bl_shape_print(bl_text *text, const bl_shape *shape); // "[64, 3, 3, 16]"

typedef enum bl_init_kind {
    BL_INIT_ZERO,
    BL_INIT_ONE,
    BL_INIT_KAIMING_FAN_OUT,  // normal, sd = sqrt(2 / fan_out): torchvision's ResNet convolutions
    BL_INIT_UNIFORM_FAN_IN,   // uniform within +-1 / sqrt(fan_in): PyTorch's nn.Linear, weight and bias
    BL_INIT_TRUNCATED_FAN_IN, // normal, sd 1 / sqrt(fan_in), redrawn beyond 2 sd: Haiku's default weights (DeepMind's code)
    BL_INIT_CONSTANT,         // `value`
} bl_init_kind;

typedef struct bl_init {
    bl_init_kind kind;
    int64_t fan;
    double value; // BL_INIT_CONSTANT
} bl_init;

typedef struct bl_segment {     // one named tensor inside a block
    const char *name;           // torchvision's name: "layer1.0.conv1.weight"; heads: "projector.0.weight"
    size_t offset;              // floats from the block's start, a multiple of 16
    bl_shape shape;             // OHWI for convolutions, [out, in] for linear layers, [C] else
    bl_init init;
    double lr_scale;            // multiplies the learning rate (predictor ablation)
    bool decay, lars_adapt;     // false for biases and norms where the optimiser excludes them
    bool frozen;                // no optimiser moves it
} bl_segment;

typedef struct bl_segments {
    bl_segment *items;
    int count, capacity;
    size_t floats;              // length of the block, padding included; padding stays 0
} bl_segments;

// The blocks of one network. GRADIENTS and the moments exist only where `trainable`.
typedef enum bl_block_kind { BL_PARAMETERS, BL_BUFFERS, BL_GRADIENTS, BL_MOMENT1, BL_MOMENT2, BL_BLOCK_KINDS } bl_block_kind;

typedef struct bl_network {
    const char *name;           // "online" (encoder and projector), "predictor", "target", "classifier", ...
    bool trainable;
    const char *twin_of;        // "online" for the target: same segments; its initial values are copied from there. NULL: own
    bl_segments parameters;     // also the table of GRADIENTS, MOMENT1 and MOMENT2
    bl_segments buffers;        // running_mean and running_var
} bl_network;

#define BL_MAX_NETWORKS 8

// Scalars are f32 (f64 on `reference`) in one block of the store, addressed by index.
typedef enum bl_scalar {
    BL_SCALAR_STEP,             // number of the update now being made, from 1; Adam's bias correction reads it
    BL_SCALAR_LEARNING_RATE,
    BL_SCALAR_TAU,
    BL_SCALAR_FINITE,           // 1; becomes 0 with the first loss or gradient that is not finite, and stays 0
    BL_SCALARS
} bl_scalar;

typedef struct bl_layout {
    bl_arena *arena;
    bl_network networks[BL_MAX_NETWORKS];
    int network_count;
    bool sealed;                // a store exists: nothing may be added any more
} bl_layout;

BL_CHECK int bl_layout_create(bl_layout **layout);
void bl_layout_free(bl_layout *layout);

// The network's index; added when missing (fails when sealed).
BL_CHECK int bl_layout_network(bl_layout *layout, const char *name, bool trainable, int *index);

// Index of segment `name` in the network's parameters (or buffers); added when missing, its shape compared when present.
BL_CHECK int bl_layout_parameter(bl_layout *layout, int network, const bl_segment *segment, int *index);
BL_CHECK int bl_layout_buffer(bl_layout *layout, int network, const char *name, bl_shape shape, bl_init init, int *index);

// -1 when absent.
int bl_layout_find_network(const bl_layout *layout, const char *name);
int bl_segments_find(const bl_segments *segments, const char *name);

// The segment table of a block: parameters for all kinds but BL_BUFFERS.
const bl_segments *bl_network_segments(const bl_network *network, bl_block_kind kind);

// Fills dst (bl_shape_count values, f32 widened) with the initial values: a function of (seed, name) alone.
void bl_segment_initial(const bl_segment *segment, uint64_t seed, double *dst);

#endif
