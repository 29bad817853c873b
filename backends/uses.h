// uses.h - who uses the values of a graph in one plan: what a backend asks when it lowers nodes to steps, before anything is placed.

#ifndef BL_BACKENDS_USES_H
#define BL_BACKENDS_USES_H

#include "backends/backend.h" // bl_compile_options
#include "backends/fusion.h"

typedef struct bl_uses {       // start from {0}; owns its tables
    bool *observed;            // per tensor: someone reads it after the step
    int *readers;              // per tensor: how many operands it is
    bl_tensor **inputs;        // the graph's inputs
    int input_count;
    bl_fusion *fusion;         // per node
    int *order;                // ids of all nodes as they had better run: what no gradient passes through (the target) comes first, for its
                               // values need not lie beside those that are kept for the backward
    bool writes_gradients[BL_MAX_NETWORKS]; // backward overwrites the gradient block: the optimiser need not clear it
} bl_uses;

BL_CHECK int bl_uses_find(bl_uses *uses, const bl_graph *graph, const bl_compile_options *options);
void bl_uses_free(bl_uses *uses);

// Whether the value must be there after the step: observed, or an output that nothing consumes.
bool bl_uses_keep(const bl_uses *uses, const bl_tensor *tensor);
// Whether the gradient that this accumulate takes can be made where the optimiser reads it: it is the segment's first, and nothing else
// wants it.
bool bl_uses_makes_in_place(const bl_uses *uses, const bl_node *accumulate);
// Whether `node` may write where it reads this value: it is the last to read it, and no other value lies in the same place. Fused nodes and
// batch norms, which may run later than they stand, count as later.
bool bl_uses_ends_at(const bl_uses *uses, const bl_graph *graph, const bl_tensor *value, const bl_node *node);
int bl_uses_input(const bl_uses *uses, const bl_tensor *input); // its index

#endif
