// replay.h - what runs: batches brought to the device, phases replayed from captured graphs, values given back. See bl_backend_table.

#ifndef BL_BACKENDS_CUDNN_REPLAY_H
#define BL_BACKENDS_CUDNN_REPLAY_H

#include "backends/cudnn/gpu.h"

BL_CHECK int bl_gpu_replay_create(bl_gpu_plan *plan, bl_tensor *const *watch, int watch_count);
void bl_gpu_replay_free(bl_gpu_plan *plan);

int bl_gpu_slot(bl_plan *plan, int slot, const bl_tensor *input, float **host);
int bl_gpu_step(bl_plan *plan, int slot, unsigned phases);
int bl_gpu_read(bl_plan *plan, const bl_tensor *tensor, double *dst);
int bl_gpu_watched(bl_plan *plan, int back, double *values, double *finite);

#endif
