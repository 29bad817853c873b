// finetune.c - fine-tuning on a share of the labels: one arm's encoder and a new head learn together. Arms of one seed differ in
// the encoder's start alone: head, labels, order, views and budget are the same.

#include "protocols/arms.h"
#include "protocols/learner.h"
#include "protocols/protocol.h"

int bl_protocol_finetune(const bl_evaluator *evaluator, bl_feature_cache *cache, const bl_evaluation *row, bl_measurement *measurement,
                         bl_history *history) {
    (void)history;
    const bl_classifier_options options = bl_classifier_of(evaluator->cell, row);
    bl_learner learner;
    if (bl_learner_create(&learner, evaluator, &row->fit, &options, evaluator->model->tf32)) return BL_FAILED;
    const int status = bl_learner_take_arm(&learner, &row->fit.arm, measurement->source) ? BL_FAILED : bl_learner_measure(&learner, cache, row, measurement);
    bl_learner_free(&learner);
    return status;
}
