// plan.h - compiling a graph into a plan of this backend, and what else bl_backend_table asks of one but running it.

#ifndef BL_BACKENDS_ONEDNN_PLAN_H
#define BL_BACKENDS_ONEDNN_PLAN_H

#include "backends/backend.h"

int bl_cpu_compile(bl_backend *backend, bl_store *store, const bl_graph *graph, const bl_compile_options *options, bl_plan **plan);
void bl_cpu_plan_free(bl_plan *plan);
int bl_cpu_slot(bl_plan *plan, int slot, const bl_tensor *input, float **host);
int bl_cpu_read(bl_plan *plan, const bl_tensor *tensor, double *dst);
void bl_cpu_report(const bl_plan *plan, bl_plan_report *report);

#endif
