#include "graph/schedule.h"

#include <math.h>

#ifndef M_PI
#define M_PI 3.14159265358979323846
#endif

#define PLATEAU_THRESHOLD 1e-4 // torch.optim.lr_scheduler.ReduceLROnPlateau's defaults
#define PLATEAU_LEAST_CHANGE 1e-8

bl_plateau bl_plateau_start(bool higher_is_better) {
    return (bl_plateau){.best = higher_is_better ? -INFINITY : INFINITY, .scale = 1};
}

static double plateau_rate(const bl_schedule *schedule, double scale) {
    return fmax(schedule->base * scale, schedule->least);
}

void bl_plateau_observe(bl_plateau *plateau, const bl_schedule *schedule, bool higher_is_better, double value) {
    const bool is_better = higher_is_better ? value > plateau->best * (1 + PLATEAU_THRESHOLD) : value < plateau->best * (1 - PLATEAU_THRESHOLD);
    if (is_better) {
        plateau->best = value;
        plateau->bad = 0;
        return;
    }
    if (++plateau->bad <= schedule->patience) return;
    plateau->bad = 0;
    const double lower = plateau->scale * schedule->factor;
    if (plateau_rate(schedule, plateau->scale) - plateau_rate(schedule, lower) > PLATEAU_LEAST_CHANGE) plateau->scale = lower;
}

int64_t bl_steps_of(double epochs, int64_t steps_per_epoch) {
    return llround(epochs * (double)steps_per_epoch);
}

static int64_t decided_at(const bl_schedule *schedule, int64_t step, int64_t steps_per_epoch) {
    return schedule->per_epoch ? step / steps_per_epoch * steps_per_epoch : step;
}

int64_t bl_last_move(const bl_schedule *schedule, int64_t steps, int64_t steps_per_epoch) {
    return decided_at(schedule, steps - 1, steps_per_epoch);
}

double bl_learning_rate(const bl_schedule *schedule, int64_t step, int64_t steps, int64_t steps_per_epoch, double plateau_scale) {
    const int64_t k = decided_at(schedule, step, steps_per_epoch);
    const int64_t warmup = bl_steps_of(schedule->warmup, steps_per_epoch);
    const double base = schedule->base;
    if (k < warmup) return schedule->warmup_start + (base - schedule->warmup_start) * (double)(k + 1) / (double)warmup;
    switch (schedule->kind) {
    case BL_SCHEDULE_COSINE:
        return schedule->least + (base - schedule->least) * (1 + cos(M_PI * (double)(k - warmup) / (double)(steps - warmup))) / 2;
    case BL_SCHEDULE_POLY:
        return schedule->least + (base - schedule->least) * pow(1 - (double)(k - warmup) / (double)(steps - warmup), schedule->power);
    case BL_SCHEDULE_STEP: {
        double rate = base;
        for (int i = 0; i < schedule->milestone_count; i++)
            if (k >= bl_steps_of(schedule->milestones[i], steps_per_epoch)) rate *= schedule->factor;
        return rate;
    }
    case BL_SCHEDULE_PLATEAU:
        return plateau_rate(schedule, plateau_scale);
    case BL_SCHEDULE_CONSTANT:
        break;
    }
    return base;
}

double bl_tau(bl_schedule_kind kind, double base, int64_t step, int64_t steps) {
    if (kind == BL_SCHEDULE_CONSTANT) return base;
    return 1 - (1 - base) * (cos(M_PI * (double)step / (double)steps) + 1) / 2;
}
