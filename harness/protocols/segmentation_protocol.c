// segmentation_protocol.c - segmentation on a share of the labelled scenes: one arm's encoder and new FCN-8s heads learn from crops and
// are scored on whole scenes. Arms of one seed differ in the encoder's start alone: heads, scenes, order, crops and budget are the same.
//
// Candidates never see val. Where the schedule is a plateau they are watched on the held-out scenes.

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "datasets/scene_loader.h"
#include "protocols/arms.h"
#include "protocols/choice.h"
#include "protocols/learner.h"
#include "protocols/protocol.h"
#include "protocols/scene_picture.h"
#include "protocols/segmenter.h"

typedef struct segmentation {
    const bl_evaluator *evaluator;
    const bl_evaluation *row;
    bl_history *history;
    bl_learner learner;
    bl_scorer *scorer;
    const bl_trial *trial; // that is fitted, then scored
    double rate;           // of the last trial
} segmentation;

static const bl_scenes *train_of(const segmentation *s) { return bl_dataset_labelled(s->evaluator->dataset); }
static const bl_scenes *val_of(const segmentation *s) { return bl_dataset_scored(s->evaluator->dataset); }

// ---- looking ----

static int keep_look(segmentation *s, int64_t step, bool held_out, const bl_segmentation_scores *scores) {
    bl_look look = {.step = step, .held_out = held_out, .learning_rate = s->rate, .miou_present = 100 * scores->miou_present,
                    .miou_cityscapes = 100 * scores->miou_cityscapes, .accuracy = 100 * scores->accuracy,
                    .batch_accuracy = 100 * scores->batch_accuracy};
    snprintf(look.row, sizeof look.row, "%s", s->row->row);
    snprintf(look.id, sizeof look.id, "%s", s->row->id);
    for (int c = 0; c < BL_SCENE_CLASSES; c++) look.iou[c] = 100 * scores->iou[c];
    return bl_history_add_look(s->history, &look);
}

// What the final fit watches becomes a look; what a candidate does serves its schedule alone.
static int look(void *context, int64_t step, double *value) {
    segmentation *s = context;
    const bool held_out = !s->trial->is_final || s->row->fit.watch == BL_WATCH_HELD_OUT;
    bl_segmentation_scores scores;
    if (!held_out && step == s->learner.steps) { // score() looks there
        *value = 0;
        return BL_OK;
    }
    if (bl_scorer_score(s->scorer, held_out ? train_of(s) : val_of(s), held_out ? s->trial->held_out : NULL,
                        s->trial->held_out_count, NULL, &scores))
        return BL_FAILED;
    *value = scores.miou_present;
    return s->trial->is_final ? keep_look(s, step, held_out, &scores) : BL_OK;
}

// ---- fitting ----

static int fit(void *context, const bl_trial *trial, bl_fit_place *place, bool *is_finite) {
    segmentation *s = context;
    const bl_evaluator *e = s->evaluator;
    const bl_fit_options *options = &s->row->fit;
    const bl_scene_recipe crop = bl_segmentation_crop(e->cell, s->row);
    const bl_watcher watcher = {s, options->watch_every, look};
    const bool is_watched = trial->is_final ? options->watch != BL_WATCH_NONE : options->schedule.kind == BL_SCHEDULE_PLATEAU;
    bl_loader *loader;
    s->trial = trial;
    s->rate = trial->candidate;
    if (bl_scene_loader_create(&loader, train_of(s), &crop, e->seed, e->loader_threads, BL_STAGING_SLOTS)) return BL_FAILED;
    const int status = bl_learner_fit(&s->learner, loader, trial, place, is_watched ? &watcher : NULL, is_finite);
    bl_loader_free(loader);
    return status;
}

// ---- scoring ----

// Pictures are kept of the arm's largest share alone.
static bool is_largest_share(const bl_cell *cell, const bl_evaluation *row) {
    for (int i = 0; i < cell->evaluation_count; i++) {
        const bl_evaluation *other = &cell->evaluations[i];
        if (other->kind == row->kind && !strcmp(other->fit.arm.name, row->fit.arm.name) && other->fit.share > row->fit.share) return false;
    }
    return true;
}

// Evenly spread over val.
static bool is_pictured(const bl_evaluation *row, int64_t scene, int64_t count) {
    const int64_t asked = row->segmentation.pictures, wanted = asked < count ? asked : count;
    for (int64_t i = 0; i < wanted; i++)
        if ((2 * i + 1) * count / (2 * wanted) == scene) return true;
    return false;
}

static int see(void *context, int64_t scene, int width, int height, const uint8_t *predicted) {
    segmentation *s = context;
    const bl_scenes *val = val_of(s);
    bl_scene_picture picture = {0};
    (void)width, (void)height;
    if (!is_pictured(s->row, scene, bl_scenes_count(val))) return BL_OK;
    if (bl_scene_picture_make(&picture, val, scene, predicted)) return BL_FAILED;
    snprintf(picture.row, sizeof picture.row, "%s", s->row->row);
    snprintf(picture.id, sizeof picture.id, "%s", s->row->id);
    return bl_history_add_picture(s->history, &picture);
}

// A candidate on the held-out scenes, the last fit on val: a split of images says nothing here.
static int score(void *context, bl_split split, const uint32_t *samples, int64_t count, double *miou) {
    segmentation *s = context;
    const bl_onlooker onlooker = {s, see};
    const bool is_final = s->trial->is_final;
    const bool is_drawn = is_final && s->row->segmentation.pictures && is_largest_share(s->evaluator->cell, s->row);
    bl_segmentation_scores scores;
    (void)split;
    if (bl_scorer_score(s->scorer, is_final ? val_of(s) : train_of(s), samples, count, is_drawn ? &onlooker : NULL, &scores)) return BL_FAILED;
    *miou = scores.miou_present;
    return is_final ? keep_look(s, s->learner.steps, false, &scores) : BL_OK;
}

// ---- the protocol ----

int bl_protocol_segmentation(const bl_evaluator *evaluator, bl_feature_cache *cache, const bl_evaluation *row, bl_measurement *measurement,
                             bl_history *history) {
    const bl_segmentation_options options = bl_segmentation_of(evaluator->cell, &row->fit);
    segmentation s = {.evaluator = evaluator, .row = row, .history = history};
    int status = BL_FAILED;
    if (!bl_dataset_labelled(evaluator->dataset) || !bl_dataset_scored(evaluator->dataset))
        return bl_fail("%s: this data set was opened without labelled scenes", row->row);
    if (bl_learner_create_segmentation(&s.learner, evaluator, row, &options, evaluator->model->tf32)) return BL_FAILED;
    const bl_fitted kept = bl_learner_fitted(&s.learner);
    const bl_fitter fitter = {&s, &kept, fit, score};
    const bl_scorer_options scoring = {evaluator->cell, row, s.learner.layout, s.learner.store, evaluator->loader_threads};
    if (bl_learner_take_arm(&s.learner, &row->fit.arm, measurement->source) || bl_scorer_create(&s.scorer, &scoring) ||
        bl_choose_and_measure(&fitter, row->fit.learning_rates, row->fit.rate_count, evaluator, cache, row, measurement))
        goto done;
    status = BL_OK;
done:
    bl_scorer_free(s.scorer);
    bl_learner_free(&s.learner);
    return status;
}
