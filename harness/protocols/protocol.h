// protocol.h - what a protocol is: one file each, and a name in BL_PROTOCOLS (experiment/options.h).

#ifndef BL_PROTOCOLS_PROTOCOL_H
#define BL_PROTOCOLS_PROTOCOL_H

#include "protocols/evaluator.h"

typedef struct bl_protocol {
    const char *name; // "knn"
    // Fills value (percent), chosen and validation. What else it saw it adds to `history`.
    int (*measure)(const bl_evaluator *evaluator, bl_feature_cache *cache, const bl_evaluation *row, bl_measurement *measurement,
                   bl_history *history);
} bl_protocol;

#define BL_PROTOCOL_OF_FILE(kind, name) extern const bl_protocol bl_protocol_##name;
BL_PROTOCOLS(BL_PROTOCOL_OF_FILE)

#endif
