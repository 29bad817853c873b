// finetune.c - fine-tuning on a share of the labels: one arm's encoder and a new head learn together. Arms of one seed differ in
// the encoder's start alone: head, labels, order, views and budget are the same.

#include "run/choice.h"
#include "run/learner.h"
#include "run/weights.h"

// An encoder from a file, which must have seen images prepared as ours are.
static int load_encoder(bl_learner *learner, const bl_arm *arm) {
    const bl_evaluator *e = learner->evaluator;
    const bl_preprocessing ours = bl_preprocessing_of(&e->cell->evaluation_view, e->cell->model.image_size);
    bl_weights weights = {0};
    int status = BL_FAILED;
    if (arm->source == BL_ARM_RUN ? bl_weights_read_run(&weights, arm->path) : bl_weights_read_safetensors(&weights, arm->path)) goto done;
    if (!arm->keep_preprocessing && bl_preprocessing_check(arm->path, &weights.preprocessing, &ours)) goto done;
    status = bl_weights_apply_encoder(&weights, learner->store, "online");
done:
    bl_weights_free(&weights);
    return status;
}

static int set_start(bl_learner *learner, const bl_arm *arm) {
    int status = BL_OK;
    switch (arm->source) {
    case BL_ARM_PRETRAINED: status = bl_learner_take_encoder(learner); break;
    case BL_ARM_RANDOM: break; // the initial weights of the run's seed: where its pretraining began
    case BL_ARM_RUN:
    case BL_ARM_WEIGHTS: status = load_encoder(learner, arm); break;
    }
    return status == BL_OK ? bl_learner_keep_start(learner) : BL_FAILED;
}

static int measure(const bl_evaluator *evaluator, bl_feature_cache *cache, const bl_evaluation *row, bl_measurement *measurement) {
    const bl_fit_options *fit = &row->fit;
    const bl_classifier_options options = {.encoder = evaluator->cell->model.encoder,
                                           .optimizer = fit->optimizer,
                                           .image_size = evaluator->cell->model.image_size,
                                           .precision = evaluator->cell->model.precision,
                                           .classes = bl_dataset_classes(evaluator->dataset),
                                           .hidden = fit->hidden,
                                           .head_lr_scale = fit->head_lr_scale,
                                           .frozen = fit->frozen};
    bl_learner learner;
    if (bl_learner_create(&learner, evaluator, fit, &options)) return BL_FAILED;
    const int status = set_start(&learner, &fit->arm) ? BL_FAILED : bl_learner_measure(&learner, cache, row, measurement);
    bl_learner_free(&learner);
    return status;
}

const bl_protocol bl_protocol_finetune = {"finetune", measure};
