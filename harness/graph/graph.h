// graph.h - a computation as data: tensors and nodes, in an order in which they can run.
//
// A graph is canonical and unfused: it says what is computed, and a backend decides how. Nodes are pure, except those that
// write the store (accumulate, running_average, check_finite, optimisers, ema); a writer stands after every reader of what it writes.
// A graph owns its tensors and nodes and borrows its layout. Build errors name the node.
//
// Activations are NHWC ([rows, features] in heads); convolution weights are OHWI, linear weights [out, in].

#ifndef BL_GRAPH_GRAPH_H
#define BL_GRAPH_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"   // BL_CHECK
#include "base/memory.h"  // bl_arena, bl_text
#include "graph/layout.h" // bl_layout, bl_shape

typedef enum bl_dtype { BL_F32, BL_BF16 } bl_dtype;
const char *bl_dtype_name(bl_dtype dtype);
double bl_round_to(bl_dtype dtype, double value); // nearest representable, ties to even

typedef enum bl_role {
    BL_ROLE_INPUT,  // written by the host through a staging slot
    BL_ROLE_STORED, // lives in the store at `place`
    BL_ROLE_VALUE,  // made by `producer`
} bl_role;

typedef struct bl_place { // somewhere in a store
    int network;          // index in the layout; BL_SCALAR_NETWORK for scalars
    bl_block_kind block;
    int segment;          // index in the block's table; BL_WHOLE_BLOCK; or the bl_scalar for scalars
} bl_place;
#define BL_SCALAR_NETWORK (-1)
#define BL_WHOLE_BLOCK (-1)

typedef struct bl_node bl_node;

typedef struct bl_tensor {
    int id;            // index in graph->tensors
    const char *name;  // unique in the graph: "online/layer1.0.bn1.mean"
    bl_dtype dtype;
    bl_shape shape;
    bl_role role;
    bl_place place;    // BL_ROLE_STORED only
    bl_node *producer; // BL_ROLE_VALUE only
} bl_tensor;

// Operators. Inputs and outputs are written in order; [x] may be absent (NULL). V groups = attributes.groups, N rows in all.
// What each computes stands in its file under graph/ops/.
typedef enum bl_op {
    BL_OP_CONVOLUTION,                  // x [N,H,W,C], w [O,kh,kw,C]                 -> y [N,H',W',O]
    BL_OP_CONVOLUTION_BACKWARD_DATA,    // dy, w                                      -> dx (attributes.shape)
    BL_OP_CONVOLUTION_BACKWARD_WEIGHTS, // x, dy                                      -> dw f32 (attributes.shape)
    BL_OP_BATCH_NORM,                   // x [N,..,C], gamma, beta                    -> y, mean [V,C] f32, variance [V,C] f32 (biased)
    BL_OP_BATCH_NORM_BACKWARD,          // x, dy, gamma, mean, variance               -> dx, dgamma, dbeta (f32, summed over groups)
    BL_OP_BATCH_NORM_RUNNING,           // x, gamma, beta, running_mean, running_var  -> y (evaluation)
    BL_OP_RELU,                         // x                                          -> y
    BL_OP_RELU_BACKWARD,                // y, dy                                      -> dx
    BL_OP_ADD,                          // a, b                                       -> y
    BL_OP_GLOBAL_AVERAGE_POOL,          // x [N,H,W,C]                                -> y [N,C]
    BL_OP_GLOBAL_AVERAGE_POOL_BACKWARD, // dy                                         -> dx (attributes.shape)
    BL_OP_MAX_POOL,                     // x [N,H,W,C]                                -> y [N,H',W',C]
    BL_OP_MAX_POOL_BACKWARD,            // x, dy                                      -> dx (attributes.shape)
    BL_OP_RESIZE,                       // x [N,H,W,C]                                -> y (attributes.shape), bilinear
    BL_OP_RESIZE_BACKWARD,              // dy                                         -> dx (attributes.shape)
    BL_OP_LINEAR,                       // x [N,..,I], w [O,I], [b [O]]               -> y [N,..,O]
    BL_OP_LINEAR_BACKWARD_DATA,         // dy, w                                      -> dx
    BL_OP_LINEAR_BACKWARD_WEIGHTS,      // x, dy                                      -> dw f32
    BL_OP_LINEAR_BACKWARD_BIAS,         // dy                                         -> db f32
    BL_OP_STOP_GRADIENT,                // x                                          -> y (the same values; a backend may alias)
    BL_OP_CROSS_ENTROPY,                // logits [N,..,K], labels [N,..] f32         -> loss [1] f32, correct [1] f32
    BL_OP_CROSS_ENTROPY_BACKWARD,       // logits, labels                             -> dlogits
    BL_OP_ARGMAX,                       // x [N,..,C]                                 -> y [N,..] f32
    BL_OP_BYOL_LOSS,                    // p [N,D], z [N,D]                           -> loss [1] f32
    BL_OP_BYOL_LOSS_BACKWARD,           // p, z                                       -> [dp], [dz]
    BL_OP_PROJECTION_STD,               // z [N,D]                                    -> std [1] f32, times sqrt(D)
    BL_OP_ACCUMULATE,                   // g, G (stored gradient segment)             -> nothing; G += g
    BL_OP_RUNNING_AVERAGE,              // mean [V,C], variance [V,C], running_mean, running_var (stored) -> nothing
    BL_OP_CHECK_FINITE,                 // loss, FINITE, gradient blocks, further losses -> nothing; FINITE = 0 unless all finite
    BL_OP_SGD,                          // parameters, gradients, moment1, LEARNING_RATE, FINITE -> nothing (whole blocks)
    BL_OP_ADAM,                         // parameters, gradients, moment1, moment2, LEARNING_RATE, STEP, FINITE -> nothing
    BL_OP_LARS,                         // parameters, gradients, moment1, LEARNING_RATE, FINITE -> nothing
    BL_OP_EMA,                          // target block, online block, TAU, FINITE    -> nothing (parameters, or BN buffers)
    BL_OP_COUNT
} bl_op;

#define BL_MAX_INPUTS 8
#define BL_MAX_OUTPUTS 3

typedef enum bl_pairing { BL_CROSSED, BL_SAME_VIEW } bl_pairing;

// What the loss does to a row of p and of z before it takes their squared distance.
typedef enum bl_normalization {
    BL_NORMALIZE_L2,         // the distance is 2 - 2 cos
    BL_NORMALIZE_NONE,
    BL_NORMALIZE_LAYER_NORM, // minus its mean, then l2: (x - mean) / (sd sqrt(D))
} bl_normalization;

// How the two directions' mean distances l1 and l2 become one loss.
typedef enum bl_reduction {
    BL_REDUCE_SUM,  // l1 + l2, 0 .. 8: DeepMind's code, solo-learn
    BL_REDUCE_MEAN, // (l1 + l2) / 2, 0 .. 4
    BL_REDUCE_HALF, // (l1 + l2) / 4 - 1 = (-cos - cos) / 2, -1 .. 1: lightly, SimSiam
} bl_reduction;

typedef struct bl_attributes { // what an operator needs beside its inputs; the rest stays 0
    int kernel, stride, padding, dilation; // convolution (dilation 1 = dense); max pool (no dilation)
    int groups;                // batch norm: groups of consecutive rows, each with statistics of its own; loss, std: views
    double epsilon;            // batch norm; Adam; LARS: beside the norm in the trust ratio's denominator
    bl_pairing pairing;        // loss
    bl_normalization normalization; // loss
    bl_reduction reduction;    // loss
    bool one_direction;        // loss: p of view 1 alone is compared (asymmetric); l2 is then 0 and the reductions are l1, l1 / 2, l1 / 2 - 1
    bl_shape shape;            // of the first output, where the inputs do not tell
    double momentum;           // SGD; running average (weight of the new value: torch's momentum, .1)
    bool nesterov;             // SGD, LARS
    double weight_decay;       // SGD, Adam, LARS (L2, added to the gradient as torch.optim does)
    double eta;                // LARS: trust coefficient
    bool clip;                 // LARS: trust ratio divided by the segment's learning rate, at most 1
    bool decay_apart;          // LARS: the denominator is |g| + weight_decay |p| + epsilon (solo-learn), not |g + weight_decay p| + epsilon
    double beta1, beta2;       // Adam
    int64_t rows;              // running average: values behind each statistic, n in n / (n - 1)
} bl_attributes;

// A training plan is a step in phases: begin (where something moves before the forward: once, with the first micro step), micro
// (forward, backward, accumulate) once or more, then update.
typedef enum bl_phase { BL_PHASE_MICRO = 1, BL_PHASE_UPDATE = 2, BL_PHASE_BEGIN = 4 } bl_phase;

struct bl_node {
    int id;
    bl_op op;
    const char *name; // unique: "online/layer1.0.conv1"; backward nodes end in ".backward_data" and so on
    bl_phase phase;
    bool derived;     // made by bl_graph_backward: not part of the canonical text
    bl_attributes attributes;
    int input_count, output_count;
    bl_tensor *inputs[BL_MAX_INPUTS], *outputs[BL_MAX_OUTPUTS]; // NULL: absent input, unwanted output
};

typedef struct bl_graph {
    bl_arena *arena;
    bl_layout *layout; // borrowed
    bl_tensor **tensors;
    bl_node **nodes;   // in an order in which they can run
    int tensor_count, node_count, tensor_capacity, node_capacity;
    bool deriving;     // bl_graph_backward is appending
    char digest[65];   // of the canonical text before autodiff; "" until bl_graph_seal
} bl_graph;

BL_CHECK int bl_graph_create(bl_graph **graph, bl_layout *layout);
void bl_graph_free(bl_graph *graph);

BL_CHECK int bl_graph_input(bl_graph *graph, const char *name, bl_dtype dtype, bl_shape shape, bl_tensor **out);
BL_CHECK int bl_graph_stored(bl_graph *graph, bl_place place, bl_tensor **out); // one tensor a place, however often asked

// Appends a node, infers its outputs' shapes and dtypes, and makes them (`y` named like the node, others "node.mean").
// `inputs` has the operator's number of slots, NULL for absent ones. Outputs are reached through (*out)->outputs.
BL_CHECK int bl_graph_node(bl_graph *graph, bl_op op, const char *name, const bl_attributes *attributes, bl_tensor *const *inputs,
                           int input_count, bl_node **out);

// Puts a writer into the begin phase: an EMA before the forward. Call it right after the node was made, before its readers.
void bl_graph_begin(bl_node *node);

bl_tensor *bl_graph_find(const bl_graph *graph, const char *tensor_name); // NULL when absent

// Appends what computes d loss / d parameter for every trainable parameter that the loss reaches, and accumulates it into the
// gradient blocks. Ends at stop_gradient; makes nothing that no one needs. `loss` has one value. A graph may have several losses, one
// call each, where each reaches parameters of its own.
BL_CHECK int bl_graph_backward(bl_graph *graph, bl_tensor *loss);

// The canonical text: format version, networks, inputs, nodes without those of autodiff; and its digest into graph->digest.
void bl_graph_print(const bl_graph *graph, bl_text *text);
void bl_graph_seal(bl_graph *graph);

// A graph of one node with the same operator, attributes, shapes and dtypes: value inputs become graph inputs named like the
// originals; stored ones live in a fresh layout with the same segments. What `compare` and the tests of operators run.
BL_CHECK int bl_graph_isolate(const bl_node *node, const bl_layout *layout, bl_layout **lone_layout, bl_graph **lone);

#endif
