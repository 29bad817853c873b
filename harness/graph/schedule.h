// schedule.h - learning rate and tau as functions of the step.

#ifndef BL_GRAPH_SCHEDULE_H
#define BL_GRAPH_SCHEDULE_H

#include <stdint.h>

typedef enum bl_schedule_kind { BL_SCHEDULE_CONSTANT, BL_SCHEDULE_COSINE } bl_schedule_kind;

// Step k of K (from 0) with W warm-up steps: base * (k + 1) / W while k < W (Goyal et al. 2017), then constant, or
// base * (1 + cos(pi (k - W) / (K - W))) / 2 (Loshchilov & Hutter 2017).
double bl_learning_rate(bl_schedule_kind kind, double base, int64_t step, int64_t steps, int64_t warmup_steps);

// tau of step k of K: base, or 1 - (1 - base) (cos(pi k / K) + 1) / 2 (BYOL, section 3.3).
double bl_tau(bl_schedule_kind kind, double base, int64_t step, int64_t steps);

#endif
