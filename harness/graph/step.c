#include "graph/step.h"

int bl_step_begin(bl_step_graph *out, bl_layout *layout) {
    *out = (bl_step_graph){0};
    return bl_graph_create(&out->graph, layout);
}

int bl_step_end(bl_step_graph *out, int status) {
    if (status == BL_OK) {
        bl_graph_seal(out->graph);
    } else {
        bl_graph_free(out->graph);
        *out = (bl_step_graph){0};
    }
    return status;
}

int bl_step_learn(bl_step_graph *out, const bl_optimizer_options *optimizer) {
    if (!out->graph->layout->sealed) bl_optimizer_rules(out->graph->layout, optimizer);
    if (bl_graph_backward(out->graph, out->loss)) return BL_FAILED;
    return bl_optimizer_build(out->graph, optimizer, &out->loss, 1);
}
