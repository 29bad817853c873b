#include "graph/schedule.h"

#include <math.h>

#ifndef M_PI
#define M_PI 3.14159265358979323846
#endif

double bl_learning_rate(bl_schedule_kind kind, double base, int64_t step, int64_t steps, int64_t warmup_steps) {
    if (step < warmup_steps) return base * (double)(step + 1) / (double)warmup_steps;
    if (kind == BL_SCHEDULE_CONSTANT) return base;
    return base * (1 + cos(M_PI * (double)(step - warmup_steps) / (double)(steps - warmup_steps))) / 2;
}

double bl_tau(bl_schedule_kind kind, double base, int64_t step, int64_t steps) {
    if (kind == BL_SCHEDULE_CONSTANT) return base;
    return 1 - (1 - base) * (cos(M_PI * (double)step / (double)steps) + 1) / 2;
}
