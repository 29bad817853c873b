// What a cell asks for that is allowed and harmless, but not what it looks like: said, where a contradiction is refused.

#include <math.h>
#include <string.h>

#include "experiment/cell.h"
#include "experiment/protocol_facts.h"
#include "experiment/schema.h" // bl_evaluation_entry

// ---- of training ----

static void warn_of_tau(const bl_cell *cell, int64_t steps, bl_text *text) {
    const double memory = 1 / (1 - cell->model.method.tau); // steps after which a weight counts 1 / e in the average
    if (bl_cell_has_average(cell) && steps >= 0 && (double)steps < 5 * memory)
        bl_text_add(text, "a target with tau %.12g averages over %.0f step%s and needs 5 times as many to leave its start; %lld %s trained\n",
                    cell->model.method.tau, memory, bl_plural(llround(memory)), (long long)steps, steps == 1 ? "is" : "are");
}

// How often a plateau is shown something before the end: the mean loss of every epoch, or its row.
static int64_t observations(const bl_cell *cell, int64_t epochs) {
    int64_t count = 0;
    if (!strcmp(cell->train.plateau_row, "loss")) return epochs;
    for (int i = 0; i < cell->evaluation_count; i++)
        for (int epoch = 1; epoch <= epochs && !strcmp(cell->evaluations[i].row, cell->train.plateau_row); epoch++)
            count += bl_epochs_hit(&cell->evaluations[i].at, epoch, cell->train.epochs);
    return count;
}

// The first look is the best so far, `patience` worse ones are borne, and the next one lowers the rate.
static bool is_too_patient(const bl_schedule *schedule, int64_t seen) {
    return schedule->kind == BL_SCHEDULE_PLATEAU && seen < (int64_t)schedule->patience + 2;
}

static void warn_of_schedule(const bl_cell *cell, int64_t steps, bl_text *text) {
    const bl_schedule *schedule = &cell->train.schedule;
    const int64_t steps_per_epoch = bl_cell_steps_per_epoch(cell);
    if (steps < 0) return;
    const int64_t seen = observations(cell, (steps - 1) / steps_per_epoch);
    if (schedule->warmup > 0 && bl_steps_of(schedule->warmup, steps_per_epoch) > bl_last_move(schedule, steps, steps_per_epoch))
        bl_text_add(text, "train.warmup: %.12g epochs are all of training: the learning rate rises to the end\n", schedule->warmup);
    if (is_too_patient(schedule, seen))
        bl_text_add(text, "train.patience: %d measurements are borne, and %lld are made before the end: the learning rate never falls\n",
                    schedule->patience, (long long)seen);
}

// An interval that is written, and longer than training.
static bool is_beyond(const bl_cell *cell, const char *key, int64_t length, int64_t steps) {
    return bl_value_at(cell->written, key) && length >= steps;
}

static void warn_of_intervals(const bl_cell *cell, int64_t steps, bl_text *text) {
    const bl_train_options *train = &cell->train;
    if (steps < 0) return;
    if (is_beyond(cell, "train.log_every", train->log_every, steps))
        bl_text_add(text, "train.log_every: %d of %lld steps: the first and the last alone are logged\n", train->log_every, (long long)steps);
    if (is_beyond(cell, "train.collapse_every", train->collapse_every, steps))
        bl_text_add(text, "train.collapse_every: %d of %lld steps: training is not diagnosed on its way\n", train->collapse_every, (long long)steps);
    if (is_beyond(cell, "train.checkpoint_every", train->checkpoint_every.steps, steps))
        bl_text_add(text, "train.checkpoint_every: %lld of %lld steps: no checkpoint is kept on the way\n",
                    (long long)train->checkpoint_every.steps, (long long)steps);
    if (train->stop_when_collapsed && 2 * (int64_t)train->collapse_every >= steps)
        bl_text_add(text, "train.stop_on: two diagnoses, %d steps apart, end a training before its %lld steps\n", train->collapse_every,
                    (long long)steps);
}

// ---- of epochs that training never reaches ----

static void warn_of_epochs(const bl_cell *cell, bl_text *text) {
    const int epochs = cell->train.epochs;
    for (int i = 0; i < cell->save_checkpoint_count; i++)
        if (cell->save_checkpoints[i] > epochs)
            bl_text_add(text, "save.checkpoints: epoch %d of %d is never reached\n", cell->save_checkpoints[i], epochs);
    for (int i = 0; i < cell->entry_count; i++) {
        const bl_epochs *at = &cell->entries[i].row.at;
        const char *name = bl_protocol_facts_of(cell->entries[i].row.kind)->name;
        for (int k = 0; k < at->list_count; k++)
            if (at->list[k] > epochs) bl_text_add(text, "evaluate.%s.at: epoch %d of %d is never reached\n", name, at->list[k], epochs);
        if (at->every && (at->first > epochs || at->every > epochs))
            bl_text_add(text, "evaluate.%s.at: {first: %d, every: %d} of %d epochs\n", name, at->first, at->every, epochs);
    }
}

// ---- of evaluations ----

// Arms that start alike measure the same twice.
static void warn_of_arms(const bl_evaluation_entry *entry, bl_text *text) {
    for (int i = 1; i < entry->arm_count; i++)
        for (int k = 0; k < i; k++) {
            const bl_arm *one = &entry->arms[k], *other = &entry->arms[i];
            if (one->source == other->source && (!one->path || !strcmp(one->path, other->path)))
                bl_text_add(text, "evaluate.%s.arms: %s and %s start from the same weights\n", bl_protocol_facts_of(entry->row.kind)->name,
                            one->name, other->name);
        }
}

static void warn_of_shares(const bl_cell *cell, const bl_evaluation_entry *entry, bl_text *text) {
    const bl_protocol_facts *facts = bl_protocol_facts_of(entry->row.kind);
    for (int i = 1; facts->has_shares && i < entry->share_count; i++) {
        const int64_t labels = bl_cell_labels(cell, &entry->row, entry->shares[i]);
        if (labels >= 0 && labels == bl_cell_labels(cell, &entry->row, entry->shares[i - 1]))
            bl_text_add(text, "evaluate.%s.shares: %.12g and %.12g %% are the same %lld labels\n", facts->name, entry->shares[i - 1], entry->shares[i],
                        (long long)labels);
    }
}

static void warn_of_fit(const bl_cell *cell, const bl_evaluation *row, bl_text *text) {
    const bl_fit_options *fit = &row->fit;
    const int64_t learned = bl_cell_learned(cell, row, fit->share), steps = bl_fit_steps(fit, learned);
    const int64_t every = fit->watch_every ? fit->watch_every : bl_fit_steps_per_pass(fit, learned);
    if (steps < 0) return;
    if (fit->warmup_steps > 0 && fit->warmup_steps >= (double)steps)
        bl_text_add(text, "%s: %.12g steps of warmup are all of the fit: the learning rate rises to the end\n", row->row, fit->warmup_steps);
    if (every < 0 || fit->watch == BL_WATCH_NONE) return;
    const int64_t seen = (steps - 1) / every;
    if (is_too_patient(&fit->schedule, seen))
        bl_text_add(text, "%s: patience: %d looks are borne, and %lld are taken before the end of %lld steps: the learning rate never falls\n",
                    row->row, fit->schedule.patience, (long long)seen, (long long)steps);
    else if (!seen)
        bl_text_add(text, "%s: every: %lld of %lld steps: the fit is looked at once, at its end\n", row->row, (long long)every, (long long)steps);
}

void bl_cell_warn(const bl_cell *cell, bl_text *text) {
    const int64_t steps = bl_cell_steps(cell);
    warn_of_tau(cell, steps, text);
    warn_of_schedule(cell, steps, text);
    warn_of_intervals(cell, steps, text);
    warn_of_epochs(cell, text);
    for (int i = 0; i < cell->entry_count; i++) {
        warn_of_arms(&cell->entries[i], text);
        warn_of_shares(cell, &cell->entries[i], text);
    }
    for (int i = 0; i < cell->evaluation_count; i++)
        if (bl_protocol_facts_of(cell->evaluations[i].kind)->has_shares) warn_of_fit(cell, &cell->evaluations[i], text);
}
