// regions.h - parallel regions of a plan, counted for its report while it is timed.

#ifndef BL_BACKENDS_ONEDNN_REGIONS_H
#define BL_BACKENDS_ONEDNN_REGIONS_H

#include "backends/onednn/onednn.h"

bl_cpu_waits bl_cpu_waits_since(const bl_cpu_plan *plan, bl_cpu_waits before);
// Runs `work` with the help of all threads (bl_cpu_team_run); the region is the node's (NULL: the plan's alone).
BL_CHECK int bl_cpu_run_together(bl_cpu_plan *plan, const bl_node *node, int (*work)(void *context), void *context);

#endif
