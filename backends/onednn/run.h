// run.h - a plan's steps: own ones that follow one another share a parallel region.

#ifndef BL_BACKENDS_ONEDNN_RUN_H
#define BL_BACKENDS_ONEDNN_RUN_H

#include "backends/backend.h"

int bl_cpu_step(bl_plan *plan, int slot, unsigned phases); // of bl_backend_table

#endif
