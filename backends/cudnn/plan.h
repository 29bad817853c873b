// plan.h - compiling a graph into a plan of this backend. See bl_backend_table.

#ifndef BL_BACKENDS_CUDNN_PLAN_H
#define BL_BACKENDS_CUDNN_PLAN_H

#include "backends/backend.h"

int bl_gpu_compile(bl_backend *backend, bl_store *store, const bl_graph *graph, const bl_compile_options *options, bl_plan **plan);
void bl_gpu_plan_free(bl_plan *plan);

#endif
