// protocol.h - what a protocol is: a function, in a file each, and a name in BL_PROTOCOLS (experiment/options.h).

#ifndef BL_PROTOCOLS_PROTOCOL_H
#define BL_PROTOCOLS_PROTOCOL_H

#include "protocols/evaluator.h"

// Measures a row: fills value (percent), chosen and validation. What else it saw it adds to `history`.
typedef int bl_protocol(const bl_evaluator *evaluator, bl_feature_cache *cache, const bl_evaluation *row, bl_measurement *measurement,
                        bl_history *history);

#define BL_PROTOCOL_OF_FILE(kind, name) BL_CHECK bl_protocol bl_protocol_##name;
BL_PROTOCOLS(BL_PROTOCOL_OF_FILE)

#endif
