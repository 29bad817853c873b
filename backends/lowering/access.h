// access.h - what a lowered plan answers beside running: bl_backend_table's write, timing and report, and the parts of its read.

#ifndef BL_BACKENDS_LOWERING_ACCESS_H
#define BL_BACKENDS_LOWERING_ACCESS_H

#include "backends/lowering/lowering.h"

int bl_lowered_write(bl_plan *plan, const bl_tensor *tensor, const double *src); // through the backend's own `slot`
void bl_lowered_timing(bl_plan *plan, bool on);
void bl_lowered_report(const bl_plan *plan, bl_plan_report *report); // without regions and barriers

void bl_lowered_read_input(const bl_lowering *plan, const bl_tensor *input, double *dst); // of the last step's slot, as it was taken
BL_CHECK int bl_lowered_find(const bl_lowering *plan, const bl_tensor *tensor, int *buffer); // an observed value's
void bl_lowered_widen(const void *data, bl_dtype dtype, size_t first, size_t count, double *dst); // `count` values from `first` on

#endif
