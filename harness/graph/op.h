// op.h - the rule of one operator: its names, its shapes, its gradient. One file of graph/ops/ a family, one row of the table each.

#ifndef BL_GRAPH_OP_H
#define BL_GRAPH_OP_H

#include "graph/graph.h"

typedef struct bl_op_rule {
    const char *name;                    // "convolution"
    const char *inputs[BL_MAX_INPUTS];   // "x", "w", "b?" (? = may be absent), "loss", ...; a last one "blocks*" repeats
    const char *outputs[BL_MAX_OUTPUTS]; // the first is named like its node; none for a writer

    // Checks the inputs' shapes and dtypes and fills shape and dtype of each output. Errors go through bl_op_fail.
    int (*infer)(const bl_node *node, bl_shape *shapes, bl_dtype *dtypes);

    // Appends backward nodes. dy[i] is the gradient of output i (NULL: zero); wanted[i] says whether input i needs one, to be
    // set in dx[i]. NULL for operators without a gradient (then nothing flows through).
    int (*gradient)(bl_graph *graph, const bl_node *node, bl_tensor *const *dy, const bool *wanted, bl_tensor **dx);

    int writes[BL_MAX_INPUTS];           // indices + 1 of stored inputs it writes; 0 ends the list
} bl_op_rule;

extern const bl_op_rule *const bl_op_rules[BL_OP_COUNT];

// "online/layer1.0.conv1 (convolution): " before the message.
#define bl_op_fail(node, format, ...) \
    bl_fail("%s (%s): " format, (node)->name, bl_op_rules[(node)->op]->name __VA_OPT__(, ) __VA_ARGS__)

#endif
