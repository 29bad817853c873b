// schedule.h - learning rate and tau as functions of the step.

#ifndef BL_GRAPH_SCHEDULE_H
#define BL_GRAPH_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

typedef enum bl_schedule_kind { BL_SCHEDULE_CONSTANT, BL_SCHEDULE_COSINE, BL_SCHEDULE_STEP, BL_SCHEDULE_PLATEAU, BL_SCHEDULE_POLY } bl_schedule_kind;

#define BL_MAX_MILESTONES 16

typedef struct bl_schedule {  // of the learning rate; all lengths in epochs, which need not be whole
    bl_schedule_kind kind;
    double base;              // the peak, as it is used
    double warmup, warmup_start; // rises from warmup_start to base over the first `warmup` epochs
    bool per_epoch;           // moves once an epoch: the value of a step is that of its epoch's first step
    double milestones[BL_MAX_MILESTONES];
    int milestone_count;      // STEP: after each of these epochs times `factor`
    double factor;            // STEP, PLATEAU
    int patience;             // PLATEAU: observations without improvement that are borne
    double least;             // COSINE and POLY end there, PLATEAU stops there
    double power;             // POLY
} bl_schedule;

// Plateau state: what ReduceLROnPlateau (torch.optim, mode max or min, threshold 1e-4 relative) remembers. Start from bl_plateau_start.
typedef struct bl_plateau {
    double best, scale;       // scale: product of the factors so far
    int bad;
} bl_plateau;
bl_plateau bl_plateau_start(bool higher_is_better);
void bl_plateau_observe(bl_plateau *plateau, const bl_schedule *schedule, bool higher_is_better, double value);

// The whole steps that a length in epochs is: what the learning rate goes by.
int64_t bl_steps_of(double epochs, int64_t steps_per_epoch);
// The last of the steps whose rate may differ from that of the step before.
int64_t bl_last_move(const bl_schedule *schedule, int64_t steps, int64_t steps_per_epoch);

// Of step k of K (from 0). While k < W (warm-up steps): start + (base - start) (k + 1) / W (Goyal et al. 2017), so that the first step
// is one part above `start` and the last has the base. Then base; or least + (base - least) (1 + cos(pi (k - W) / (K - W))) / 2
// (Loshchilov & Hutter 2017); or least + (base - least) (1 - (k - W) / (K - W))^power (DeepLab, Chen et al. 2018); or base factor^(milestones passed); or base times the plateau's scale, at least `least`.
double bl_learning_rate(const bl_schedule *schedule, int64_t step, int64_t steps, int64_t steps_per_epoch, double plateau_scale);

// tau of step k of K: base, or 1 - (1 - base) (cos(pi k / K) + 1) / 2 (BYOL, section 3.3).
double bl_tau(bl_schedule_kind kind, double base, int64_t step, int64_t steps);

#endif
