// plan.h - one allocation a tensor, one kernel a node, one after the other. See bl_backend_table.

#ifndef BL_BACKENDS_REFERENCE_PLAN_H
#define BL_BACKENDS_REFERENCE_PLAN_H

#include "backends/backend.h"

int bl_reference_compile(bl_backend *backend, bl_store *store, const bl_graph *graph, const bl_compile_options *options, bl_plan **plan);
void bl_reference_plan_free(bl_plan *plan);
int bl_reference_slot(bl_plan *plan, int slot, const bl_tensor *input, float **host);
int bl_reference_step(bl_plan *plan, int slot, unsigned phases);
int bl_reference_write(bl_plan *plan, const bl_tensor *tensor, const double *src);
int bl_reference_read(bl_plan *plan, const bl_tensor *tensor, double *dst);
void bl_reference_timing(bl_plan *plan, bool on);
void bl_reference_report(const bl_plan *plan, bl_plan_report *report);

#endif
