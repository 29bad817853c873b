// protocol.h - what a protocol is: one file and one row of the table in evaluate.c each.

#ifndef BL_PROTOCOLS_EVALUATOR_H
#define BL_PROTOCOLS_EVALUATOR_H

#include "protocols/evaluate.h" // bl_evaluator
#include "protocols/knn.h"      // bl_features

// Features and labels of the splits, made at most once an evaluation: a protocol asks for the splits it needs, and only those are
// read. Test labels are handed out for the final pass alone: linear.c and finetune.c ask for BL_TEST after every choice is made.
typedef struct bl_feature_cache bl_feature_cache;
BL_CHECK int bl_cached_features(bl_feature_cache *cache, bl_split split, bool pixels, int64_t rows, bl_features *out);
BL_CHECK int bl_cached_labels(bl_feature_cache *cache, bl_split split, const uint8_t **labels, int64_t *count);

typedef struct bl_protocol {
    const char *name; // "knn"
    // Fills value (percent), chosen and validation. What else it saw it adds to `history`.
    int (*measure)(const bl_evaluator *evaluator, bl_feature_cache *cache, const bl_evaluation *row, bl_measurement *measurement,
                   bl_history *history);
} bl_protocol;

extern const bl_protocol bl_protocol_knn, bl_protocol_linear, bl_protocol_finetune, bl_protocol_probe, bl_protocol_accuracy,
        bl_protocol_segmentation;

#endif
