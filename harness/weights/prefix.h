// prefix.h - which network of a weights file is meant: the one whose tensors' names begin with a prefix.
//
// Files of other tools hold an encoder below what wrapped it ("module.", "backbone."), and often two of them ("module.encoder_q.",
// "module.encoder_k.") with heads and a queue beside. One network and nothing beside it needs no word; anything else asks for one.

#ifndef BL_WEIGHTS_PREFIX_H
#define BL_WEIGHTS_PREFIX_H

#include "weights/weights.h"

typedef struct bl_prefix {
    const char *text; // with its dot: "module.encoder_q."; no more than `length` of it
    int length;       // 0: the names are the network's own
} bl_prefix;

// Of the weights' own `prefix`, or of the one network that is there. Fails, with the networks found, where there are several, or other tensors
// beside the one. Where none is whole, of the one that has the most of it: something is missing there.
BL_CHECK int bl_prefix_choose(bl_prefix *prefix, const bl_weights *weights, const bl_network *into);
// NULL where there is none.
const bl_weight *bl_prefix_find(const bl_prefix *prefix, const bl_weights *weights, const char *segment);
// Fails where a tensor below the prefix is neither the network's nor passed over.
BL_CHECK int bl_prefix_check_rest(const bl_prefix *prefix, const bl_weights *weights, const bl_network *into);

bool bl_prefix_is_encoders(const char *segment); // of an online network, whose projector does not travel
bool bl_prefix_ends_with(const char *text, const char *ending);

#endif
