// protocol.h - what a protocol is: one file and one row of the table in evaluate.c each.

#ifndef BL_PROTOCOLS_PROTOCOL_H
#define BL_PROTOCOLS_PROTOCOL_H

#include "protocols/evaluator.h"

typedef struct bl_protocol {
    const char *name; // "knn"
    // Fills value (percent), chosen and validation. What else it saw it adds to `history`.
    int (*measure)(const bl_evaluator *evaluator, bl_feature_cache *cache, const bl_evaluation *row, bl_measurement *measurement,
                   bl_history *history);
} bl_protocol;

extern const bl_protocol bl_protocol_knn, bl_protocol_linear, bl_protocol_finetune, bl_protocol_probe, bl_protocol_accuracy,
        bl_protocol_segmentation;

#endif
