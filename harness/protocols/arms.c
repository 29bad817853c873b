#include "protocols/arms.h"

#include <string.h>

#include "base/file.h" // bl_file_exists
#include "experiment/protocol_facts.h"
#include "weights/weights.h"

// An encoder from a file, which must have seen images prepared as ours are; whole scenes are of any size. Freed by the caller, also
// after a failure.
static int read_encoder(bl_weights *weights, const bl_evaluator *e, const bl_arm *arm, bool of_scenes) {
    if (arm->source == BL_ARM_RUN ? bl_weights_read_run(weights, arm->path) : bl_weights_read_safetensors(weights, arm->path))
        return BL_FAILED;
    weights->prefix = arm->prefix;
    bl_preprocessing ours = bl_preprocessing_of(&e->cell->evaluation_view, e->cell->model.image_size);
    if (of_scenes) {
        ours.image_size = weights->preprocessing.image_size;
        ours.resize = weights->preprocessing.resize;
    }
    return arm->keep_preprocessing ? BL_OK : bl_preprocessing_check(arm->path, &weights->preprocessing, &ours);
}

static int load_encoder(bl_learner *learner, const bl_arm *arm) {
    bl_weights weights = {0};
    const int status = read_encoder(&weights, learner->evaluator, arm, learner->of_scenes) ||
                               bl_weights_apply_encoder(&weights, learner->store, "online")
                           ? BL_FAILED
                           : BL_OK;
    bl_weights_free(&weights);
    return status;
}

int bl_learner_take_arm(bl_learner *learner, const bl_arm *arm) {
    int status = BL_OK;
    switch (arm->source) {
    case BL_ARM_PRETRAINED: status = bl_learner_take_encoder(learner); break;
    case BL_ARM_RANDOM: break; // the initial weights of the run's seed: where its pretraining began
    case BL_ARM_RUN:
    case BL_ARM_WEIGHTS: status = load_encoder(learner, arm); break;
    }
    return status == BL_OK ? bl_learner_keep_start(learner) : BL_FAILED;
}

// ---- before training ----

// NULL where the row starts from no file.
static const bl_arm *arm_of_file(const bl_evaluation *row) {
    const bl_arm *arm = &row->fit.arm;
    const bool is_file = arm->source == BL_ARM_RUN || arm->source == BL_ARM_WEIGHTS;
    return bl_protocol_facts_of(row->kind)->has_arms && is_file ? arm : NULL;
}

static int is_there(const bl_arm *arm) {
    if (bl_file_exists(arm->path)) return BL_OK;
    return bl_refuse(arm->spot, "write a path from the folder where byolab is started, or make the file first", "%s: no such file", arm->path);
}

int bl_arms_are_there(const bl_cell *cell) {
    for (int i = 0; i < cell->evaluation_count; i++) {
        const bl_arm *arm = arm_of_file(&cell->evaluations[i]);
        if (arm && is_there(arm)) return BL_FAILED;
    }
    return BL_OK;
}

static bool is_measured(const bl_history *history, const bl_evaluation *row) { // what has arms is measured at the last epoch alone
    for (int64_t i = 0; i < history->measurement_count; i++)
        if (!strcmp(history->measurements[i].row, row->row) && !strcmp(history->measurements[i].id, row->id)) return true;
    return false;
}

int bl_arms_fit(const bl_evaluator *evaluator, const bl_history *history) {
    const bl_arm *last = NULL; // the shares of an arm follow each other
    for (int i = 0; i < evaluator->cell->evaluation_count; i++) {
        const bl_evaluation *row = &evaluator->cell->evaluations[i];
        const bl_arm *arm = arm_of_file(row);
        if (!arm || is_measured(history, row)) continue;
        if (last && last->path == arm->path && last->keep_preprocessing == arm->keep_preprocessing) continue;
        bl_weights weights = {0};
        const int status = is_there(arm) || read_encoder(&weights, evaluator, arm, bl_protocol_facts_of(row->kind)->of_scenes) ||
                           bl_weights_check_encoder(&weights, evaluator->model->layout, "online");
        bl_weights_free(&weights);
        if (status) return BL_FAILED;
        last = arm;
    }
    return BL_OK;
}
