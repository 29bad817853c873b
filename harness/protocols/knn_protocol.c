// knn_protocol.c - the k-NN rows: neighbours inside one split, or from the train split.

#include <math.h> // NAN

#include "protocols/knn.h"
#include "protocols/protocol.h"

int bl_protocol_knn(const bl_evaluator *evaluator, bl_feature_cache *cache, const bl_evaluation *row, bl_measurement *measurement,
                    bl_history *history) {
    (void)history;
    const bl_knn_options *knn = &row->knn;
    bl_features queries, bank;
    double accuracy;
    if (bl_cached_features(cache, row->split, knn->raw_pixels, knn->rows, &queries)) return BL_FAILED;
    if (knn->protocol == BL_KNN_CROSS_VALIDATION) {
        if (bl_knn_cross_validation(&queries, knn->k, knn->temperature, knn->folds, evaluator->pool, &accuracy)) return BL_FAILED;
    } else if (bl_cached_features(cache, BL_TRAIN, knn->raw_pixels, 0, &bank) ||
               bl_knn_accuracy(&bank, &queries, knn->k, knn->temperature, evaluator->pool, &accuracy)) {
        return BL_FAILED;
    }
    measurement->value = 100 * accuracy;
    measurement->chosen = measurement->validation = NAN;
    return BL_OK;
}
