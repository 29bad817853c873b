// optimizer.h - the update phase of a step: is all finite?, then an optimiser for every trainable network.

#ifndef BL_GRAPH_OPTIMIZER_H
#define BL_GRAPH_OPTIMIZER_H

#include "graph/graph.h"

typedef enum bl_optimizer_kind { BL_OPTIMIZER_SGD, BL_OPTIMIZER_ADAM, BL_OPTIMIZER_LARS } bl_optimizer_kind;

typedef struct bl_optimizer_options {
    bl_optimizer_kind kind;
    double momentum;        // SGD, LARS
    bool nesterov;          // SGD, LARS
    double weight_decay;    // L2, as torch.optim's weight_decay
    bool decay_norms;       // true: biases and norms decay too (torch's single group)
    double beta1, beta2, epsilon; // Adam
    // LARS (You et al. 2017) in DeepMind's order: g += decay p; g *= eta |p| / |g| (1 where a norm is 0); momentum; times the
    // learning rate. Biases and norms are neither adapted nor, without decay_norms, decayed.
    double eta, trust_epsilon;
    bool clip, decay_apart;
} bl_optimizer_options;

// Which segments decay and adapt; while the layout is open.
void bl_optimizer_rules(bl_layout *layout, const bl_optimizer_options *options);

// check_finite over `losses` and every gradient block, then one optimiser a trainable network.
BL_CHECK int bl_optimizer_build(bl_graph *graph, const bl_optimizer_options *options, bl_tensor *const *losses, int loss_count);

BL_CHECK int bl_stored_block(bl_graph *graph, int network, bl_block_kind block, bl_tensor **out);
BL_CHECK int bl_stored_scalar(bl_graph *graph, bl_scalar scalar, bl_tensor **out);

#endif
