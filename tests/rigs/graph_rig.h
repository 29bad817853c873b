// graph_rig.h - a step that was built and not compiled: its graph, and the text of all its nodes.

#ifndef BL_TESTS_GRAPH_RIG_H
#define BL_TESTS_GRAPH_RIG_H

#include "graph/byol.h"
#include "support.h"

typedef struct built { // from {0}; release() frees it
    bl_layout *layout;
    bl_step_graph step;
    bl_text text; // of all nodes, those of autodiff too
} built;

static inline void print_all_nodes(built *b) {
    for (int i = 0; i < b->step.graph->node_count; i++) b->step.graph->nodes[i]->derived = false;
    bl_graph_print(b->step.graph, &b->text);
}

static inline void release(built *b) {
    bl_text_free(&b->text);
    bl_graph_free(b->step.graph);
    bl_layout_free(b->layout);
}

#endif
