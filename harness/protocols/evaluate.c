#include "protocols/evaluate.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/stop.h"          // bl_stop_here
#include "experiment/cell.h"    // bl_epochs_hit
#include "experiment/protocol_facts.h"
#include "protocols/protocol.h" // bl_protocol

#define PROTOCOL(kind, name) bl_protocol_##name,
static bl_protocol *const protocols[] = {BL_PROTOCOLS(PROTOCOL)};

// Pixel rows are measured once, as epoch 0: nothing that trains can change them, so that a finished run can add them too.
static int epoch_of(const bl_evaluation *row, int epoch) {
    return row->knn.raw_pixels ? 0 : epoch;
}

// Arms are fine-tuned after training.
static bool is_due(const bl_evaluation *row, int epoch, int last) {
    if (row->knn.raw_pixels) return epoch == 0 || epoch == last;
    if (bl_protocol_facts_of(row->kind)->has_arms) return epoch == last;
    return bl_epochs_hit(&row->at, epoch, last);
}

bool bl_evaluates(const bl_cell *cell, int epoch) {
    for (int i = 0; i < cell->evaluation_count; i++)
        if (is_due(&cell->evaluations[i], epoch, INT_MAX)) return true;
    return false;
}

bool bl_is_measured(const bl_evaluation *row, int epoch, const bl_history *history) {
    return !is_due(row, epoch, epoch) || bl_history_find(history, row->row, row->id, epoch_of(row, epoch));
}

bool bl_is_evaluated(const bl_cell *cell, int epoch, const bl_history *history) {
    for (int i = 0; i < cell->evaluation_count; i++)
        if (!bl_is_measured(&cell->evaluations[i], epoch, history)) return false;
    return true;
}

static int measure(const bl_evaluator *e, bl_feature_cache *cache, const bl_evaluation *row, int epoch, bl_history *history) {
    const int64_t looks = history->look_count, pictures = history->picture_count;
    bl_measurement measurement = {.epoch = epoch, .chosen = NAN, .validation = NAN};
    snprintf(measurement.row, sizeof measurement.row, "%s", row->row);
    snprintf(measurement.id, sizeof measurement.id, "%s", row->id);
    if (e->fits) {
        e->fits->history = history;
        e->fits->first_look = looks;
        e->fits->first_picture = pictures;
        e->fits->row = row;
        e->fits->epoch = epoch;
    }
    if (protocols[row->kind](e, cache, row, &measurement, history)) {
        bl_history_forget(history, looks, pictures);
        return BL_FAILED;
    }
    if (e->fits) e->fits->row = NULL;
    if (bl_history_add_measurement(history, &measurement)) return BL_FAILED;
    return e->measured ? e->measured(e->context, row, &measurement) : BL_OK;
}

int bl_evaluate(const bl_evaluator *e, int epoch, bool is_last, bl_history *history) {
    bl_feature_cache cache = {.evaluator = e};
    int status = BL_OK;
    for (int i = 0; !status && i < e->cell->evaluation_count; i++) {
        const bl_evaluation *row = &e->cell->evaluations[i];
        const int at = epoch_of(row, epoch);
        if (!is_due(row, epoch, is_last ? epoch : INT_MAX) || bl_history_find(history, row->row, row->id, at)) continue;
        status = measure(e, &cache, row, at, history);
    }
    bl_feature_cache_free(&cache);
    return status;
}
