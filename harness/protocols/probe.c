// probe.c - what trained along: the online probe on the features, and the classifier of a supervised cell.

#include <math.h> // NAN

#include "protocols/learner.h"
#include "protocols/protocol.h"

// The head's weights as training left them, on features with running statistics.
int bl_protocol_probe(const bl_evaluator *evaluator, bl_feature_cache *cache, const bl_evaluation *row, bl_measurement *measurement,
                      bl_history *history) {
    (void)history;
    bl_features features;
    bl_logistic head = {0};
    double accuracy;
    if (bl_cached_features(cache, row->split, false, 0, &features) || bl_read_head(evaluator->model->store, "probe", &head))
        return BL_FAILED;
    const int status = bl_logistic_accuracy(&head, &features, NULL, features.rows, evaluator->pool, &accuracy);
    bl_logistic_free(&head);
    if (status) return BL_FAILED;
    measurement->value = 100 * accuracy;
    measurement->chosen = measurement->validation = NAN;
    return BL_OK;
}

// Encoder and head of the cell itself: a graph over the model's own store.
int bl_protocol_accuracy(const bl_evaluator *evaluator, bl_feature_cache *cache, const bl_evaluation *row, bl_measurement *measurement,
                         bl_history *history) {
    (void)history;
    const bl_classifier_options options = bl_model_classifier(evaluator->cell);
    bl_step_graph inference = {0};
    bl_plan *plan = NULL;
    double accuracy;
    int status = BL_FAILED;
    (void)cache;
    if (bl_classifier_inference_build(&inference, evaluator->model->layout, &options, BL_FEATURE_ROWS)) return BL_FAILED;
    const bl_compile_options compile = {.accumulate = 1, .observe = &inference.correct, .observe_count = 1};
    if (bl_plan_compile(evaluator->model->store, inference.graph, &compile, &plan) ||
        bl_inference_accuracy(evaluator, plan, &inference, row->split, NULL, 0, &accuracy))
        goto done;
    measurement->value = 100 * accuracy;
    measurement->chosen = measurement->validation = NAN;
    status = BL_OK;
done:
    bl_plan_free(plan);
    bl_graph_free(inference.graph);
    return status;
}
