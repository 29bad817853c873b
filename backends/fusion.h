// fusion.h - what neighbouring nodes may be done together. The graph stays as it is; a backend asks here which nodes lie beside each
// other so that one pass over memory can do the work of several, and decides itself where that pass stands.
//
// A batch norm takes the ReLU behind it, or the residual addition and its ReLU: nothing but these reads the values between, as the
// gradient of batch norm needs x and the gradient of ReLU needs y. A batch norm's backward takes the ReLU's backward before it, and
// the sum of gradients before that.

#ifndef BL_BACKENDS_FUSION_H
#define BL_BACKENDS_FUSION_H

#include "graph/graph.h"

typedef struct bl_fusion {        // of one node. All NULL: it stands alone
    const bl_node *into;          // that node's steps do this one's work
    const bl_node *add, *relu;    // batch norm: what is applied with it
    const bl_node *relu_backward, *gradient_sum; // batch norm backward: what is applied to dy with it
    const bl_node *norm;          // the last of what a batch norm took, or the ReLU backward it took: the batch norm (backward)
    bool is_first;                // accumulate: the first into its segment since the optimiser read it, and none needs clearing
} bl_fusion;

// `observed`: per tensor, whether someone reads it after the step; `readers`: per tensor, how many operands it is. `fusion` has an
// entry a node, zeroed.
void bl_fuse(const bl_graph *graph, const bool *observed, const int *readers, bl_fusion *fusion);

// With one micro step an update, the first gradient of a segment overwrites the last step's: sets is_first, and `writes` of the networks
// whose gradient block the optimiser therefore need not clear.
void bl_fuse_gradients(const bl_graph *graph, bl_fusion *fusion, bool writes[BL_MAX_NETWORKS]);

#endif
