#include "protocols/arms.h"

#include <stdio.h>
#include <string.h>

#include "base/digest.h"
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

static int load_encoder(bl_learner *learner, const bl_arm *arm, char source[65]) {
    bl_weights weights = {0};
    const int status = read_encoder(&weights, learner->evaluator, arm, learner->of_scenes) ||
                               bl_weights_apply_encoder(&weights, learner->store, "online")
                           ? BL_FAILED
                           : BL_OK;
    if (!status) bl_weights_digest(&weights, source);
    bl_weights_free(&weights);
    return status;
}

int bl_learner_take_arm(bl_learner *learner, const bl_arm *arm, char source[65]) {
    int status = BL_OK;
    switch (arm->source) {
    case BL_ARM_PRETRAINED: status = bl_learner_take_encoder(learner); break;
    case BL_ARM_RANDOM: break; // the initial weights of the run's seed: where its pretraining began
    case BL_ARM_RUN:
    case BL_ARM_WEIGHTS: status = load_encoder(learner, arm, source); break;
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

// NULL where it is not measured. What has arms is measured at the last epoch alone.
static const bl_measurement *measured(const bl_history *history, const bl_evaluation *row) {
    for (int64_t i = history->measurement_count; i-- > 0;)
        if (!strcmp(history->measurements[i].row, row->row) && !strcmp(history->measurements[i].id, row->id)) return &history->measurements[i];
    return NULL;
}

int bl_arms_fit(const bl_evaluator *evaluator, const bl_history *history) {
    const bl_arm *last = NULL; // the shares of an arm follow each other
    for (int i = 0; i < evaluator->cell->evaluation_count; i++) {
        const bl_evaluation *row = &evaluator->cell->evaluations[i];
        const bl_arm *arm = arm_of_file(row);
        if (!arm || measured(history, row)) continue;
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

// ---- after a measurement ----

// The id of a row's measurement that started from that, once another one counts.
static void id_aside(const bl_evaluation *row, const char *source, char id[17]) {
    bl_text text = {0};
    char digest[65];
    bl_text_add(&text, "%s started from %s", row->id, source);
    bl_digest_hex(text.chars, text.size, digest);
    snprintf(id, 17, "%.16s", digest);
    bl_text_free(&text);
}

// The shares of an arm say the same.
static int say_once(bl_text *said, const bl_arm *arm, const char *what) {
    bl_text line = {0};
    bl_text_add(&line, "arm %s: %s: %s\n", arm->name, arm->path, what);
    if (!said->size || !strstr(said->chars, line.chars)) bl_text_add(said, "%s", line.chars);
    bl_text_free(&line);
    return BL_OK;
}

static int renew(const bl_evaluation *row, const bl_arm *arm, bl_history *history, bl_text *said) {
    const bl_measurement *before = measured(history, row);
    char now[65], aside[17], again[17];
    if (!before) return BL_OK;
    if (!*before->source) return say_once(said, arm, "an earlier version measured from it, which kept no digest to compare");
    if (!bl_file_exists(arm->path)) return say_once(said, arm, "not there, so that what was measured from it could not be compared");
    if (bl_weights_digest_of(arm->path, arm->source == BL_ARM_RUN, now)) return BL_FAILED;
    if (!strcmp(before->source, now)) return BL_OK;
    id_aside(row, before->source, aside);
    id_aside(row, now, again);
    bl_history_rename(history, row->row, row->id, aside);
    const bool is_known = bl_history_rename(history, row->row, again, row->id);
    bl_text_add(said, "%s: %s has changed since: %s\n", row->row, arm->path,
                is_known ? "it is what it was once before, and that measurement counts again" : "measured anew");
    return BL_OK;
}

int bl_arms_renew(const bl_cell *cell, bl_history *history, bl_text *said) {
    bl_text unheard = {0};
    int status = BL_OK;
    for (int i = 0; !status && i < cell->evaluation_count; i++) {
        const bl_arm *arm = arm_of_file(&cell->evaluations[i]);
        if (arm) status = renew(&cell->evaluations[i], arm, history, said ? said : &unheard);
    }
    bl_text_free(&unheard);
    return status;
}
