// What a schedule of the learning rate contradicts, its lengths in the unit in which it runs: steps.

#include "experiment/contradictions.h"

#include <string.h>

#include "experiment/cell.h"
#include "experiment/protocol_facts.h"

enum { MANY = 1 << 20 }; // steps an epoch, where the file does not tell: what is too long then is too long anyhow

static const char *length_key(const bl_cell *cell) { return cell->train.steps ? "train.steps" : "train.epochs"; }

// ---- lengths ----

typedef struct length { // of a training
    bl_arena *arena;
    const bl_cell *cell;
    int64_t steps, steps_per_epoch;
} length;

static bl_spot spot_of(const length *of, const char *key) {
    return bl_value_latest_spot(of->arena, of->cell->written, key, length_key(of->cell));
}

static double epochs_of(const length *of) { return (double)of->steps / (double)of->steps_per_epoch; }

// ", 64 steps of 6", where that is known.
static const char *in_steps(const length *of, int64_t steps) {
    if (of->steps_per_epoch == MANY) return "";
    return bl_arena_format(of->arena, ", %lld steps of %lld", (long long)steps, (long long)of->steps);
}

static int check_warmup(const length *of) {
    const double epochs = of->cell->train.schedule.warmup;
    const int64_t warmup = bl_steps_of(epochs, of->steps_per_epoch);
    if (epochs <= 0) return BL_OK;
    if (warmup < 1)
        return bl_refuse(spot_of(of, "train.warmup"), bl_arena_format(of->arena, "write at least %.3g, or leave it out", 1.0 / (double)of->steps_per_epoch),
                         "train.warmup: %.12g epochs are less than a step", epochs);
    if (warmup <= of->steps) return BL_OK;
    return bl_refuse(spot_of(of, "train.warmup"), "write fewer epochs of warmup", "train.warmup: %.12g epochs of %.4g%s", epochs, epochs_of(of),
                     in_steps(of, warmup));
}

// From which step on it counts: a rate that moves once an epoch falls at the next one's first step.
static int64_t milestone(const length *of, int i) {
    const bl_schedule *schedule = &of->cell->train.schedule;
    const int64_t step = bl_steps_of(schedule->milestones[i], of->steps_per_epoch);
    return schedule->per_epoch ? (step + of->steps_per_epoch - 1) / of->steps_per_epoch * of->steps_per_epoch : step;
}

static int check_milestones(const length *of) {
    static const char key[] = "train.milestones";
    const bl_schedule *schedule = &of->cell->train.schedule;
    if (schedule->kind != BL_SCHEDULE_STEP) return BL_OK;
    for (int i = 0; i < schedule->milestone_count; i++) {
        const int64_t step = milestone(of, i);
        if (step < 1)
            return bl_refuse(spot_of(of, key), bl_arena_format(of->arena, "write at least %.3g", 1.0 / (double)of->steps_per_epoch),
                             "%s: %.12g epochs are less than a step", key, schedule->milestones[i]);
        if (step > bl_last_move(schedule, of->steps, of->steps_per_epoch))
            return bl_refuse(spot_of(of, key), bl_arena_format(of->arena, "write epochs below %.4g", epochs_of(of)),
                             "%s: %.12g is never passed%s", key, schedule->milestones[i], in_steps(of, step));
        if (i && step == milestone(of, i - 1))
            return bl_refuse(spot_of(of, key), schedule->per_epoch ? "write whole epochs, or `stepping: iteration`" : "write one of them",
                             "%s: %.12g and %.12g fall at the same step", key, schedule->milestones[i - 1], schedule->milestones[i]);
    }
    return BL_OK;
}

int bl_cell_check_length(const bl_cell *cell, int64_t steps_per_epoch) {
    bl_arena *arena = bl_arena_create();
    const int64_t an_epoch = steps_per_epoch < 0 ? MANY : steps_per_epoch;
    const length of = {arena, cell, cell->train.steps ? cell->train.steps : an_epoch * cell->train.epochs, an_epoch};
    const int status = check_warmup(&of) || check_milestones(&of) ? BL_FAILED : BL_OK;
    bl_arena_free(arena);
    return status;
}

// ---- a fit's ----

static int check_fit(bl_arena *arena, const bl_evaluation *row, int64_t learned) {
    const bl_fit_options *fit = &row->fit;
    const char *name = bl_protocol_facts_of(row->kind)->name;
    const int64_t steps = bl_fit_steps(fit, learned);
    if (fit->warmup_steps > 0 && fit->warmup_steps < 1)
        return bl_refuse(bl_value_spot(arena, row->written, "warmup_steps"), "write 1 or more, or leave it out",
                         "evaluate.%s.warmup_steps: %.12g is less than a step", name, fit->warmup_steps);
    if (steps < 0 || fit->warmup_steps <= (double)steps) return BL_OK;
    return bl_refuse(bl_value_spot(arena, row->written, "warmup_steps"), bl_arena_format(arena, "write at most %lld", (long long)steps),
                     "evaluate.%s.warmup_steps: %.12g of %lld", name, fit->warmup_steps, (long long)steps);
}

int bl_fit_check_length(const bl_evaluation *row, int64_t learned) {
    bl_arena *arena = bl_arena_create();
    const int status = check_fit(arena, row, learned);
    bl_arena_free(arena);
    return status;
}

// ---- values ----

static int check_plateau(bl_arena *arena, const bl_value *tree, const bl_cell *cell) {
    static const char key[] = "train.plateau_row";
    const char *watched = cell->train.plateau_row;
    const char *split = "write `loss`, or the name of a row with `split: validation`";
    if (cell->train.schedule.kind != BL_SCHEDULE_PLATEAU || !strcmp(watched, "loss")) return BL_OK;
    for (int i = 0; i < cell->evaluation_count; i++) {
        const bl_evaluation *row = &cell->evaluations[i];
        if (strcmp(row->row, watched) != 0) continue;
        if (row->split != BL_VALIDATION)
            return bl_refuse(bl_value_spot(arena, tree, key), split, "%s: %s looks at %s, and choices are made on validation", key, watched,
                             bl_evaluation_split(row));
        for (int epoch = 1; epoch < cell->train.epochs; epoch++)
            if (!bl_protocol_facts_of(row->kind)->has_arms && bl_epochs_hit(&row->at, epoch, cell->train.epochs)) return BL_OK;
        return bl_refuse(bl_value_spot(arena, tree, key), "write `at: {every: 1}` in that row",
                         "%s: %s is not measured while the learning rate could still fall", key, watched);
    }
    return bl_refuse(bl_value_spot(arena, tree, key), split, "%s: no evaluation is called %s", key, watched);
}

int bl_schedule_check(bl_arena *arena, const bl_value *tree, const bl_cell *cell) {
    const bl_schedule *schedule = &cell->train.schedule;
    if (schedule->warmup <= 0 && schedule->warmup_start != 0)
        return bl_refuse(bl_value_spot(arena, tree, "train.warmup_start"), "write `warmup:` and its epochs, or leave this key out",
                         "train.warmup_start: there is no warmup");
    if (schedule->warmup_start > schedule->base)
        return bl_refuse(bl_value_spot(arena, tree, "train.warmup_start"), bl_arena_format(arena, "write at most %.12g", schedule->base),
                         "train.warmup_start: %.12g is above the learning rate of %.12g", schedule->warmup_start, schedule->base);
    const bool falls = schedule->kind == BL_SCHEDULE_COSINE || schedule->kind == BL_SCHEDULE_PLATEAU;
    if (falls && schedule->least >= schedule->base)
        return bl_refuse(bl_value_spot(arena, tree, "train.least_lr"), bl_arena_format(arena, "write less than %.12g", schedule->base),
                         "train.least_lr: %.12g is not below the learning rate of %.12g", schedule->least, schedule->base);
    return check_plateau(arena, tree, cell) ? BL_FAILED : bl_cell_check_length(cell, bl_cell_steps_per_epoch(cell));
}
