// step.h - what the builders of steps share.

#ifndef BL_GRAPH_STEP_H
#define BL_GRAPH_STEP_H

#include "graph/byol.h" // bl_step_graph

BL_CHECK int bl_step_begin(bl_step_graph *out, bl_layout *layout);
// Seals what was built, or takes it down where `status` says that something failed.
BL_CHECK int bl_step_end(bl_step_graph *out, int status);
// Backward from out->loss, then the optimiser.
BL_CHECK int bl_step_learn(bl_step_graph *out, const bl_optimizer_options *optimizer);

#endif
