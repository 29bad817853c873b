// blocks.h - a store's values in a run file and back.
//
// f32 where the store holds f32: half the file, and nothing is lost.

#ifndef BL_RECORD_BLOCKS_H
#define BL_RECORD_BLOCKS_H

#include "backends/backend.h" // bl_store, bl_place
#include "graph/optimizer.h"  // bl_optimizer_kind
#include "record/container.h" // bl_container_writer, bl_container_reader

// Whole blocks that outlive a step: /store/<network>/<block>. Gradients are spent when a step ends; the second moment is Adam's.
BL_CHECK int bl_blocks_put(const bl_store *store, bl_optimizer_kind optimizer, bl_container_writer *writer);
// `file` is named where it does not fit.
BL_CHECK int bl_blocks_get(bl_store *store, bl_optimizer_kind optimizer, const char *file, const bl_container_reader *reader);

// One data set a segment: /weights/<network>/<name>, buffers beside parameters as torchvision's state_dict has them.
BL_CHECK int bl_blocks_put_weights(const bl_store *store, bl_container_writer *writer);
BL_CHECK int bl_blocks_get_weights(bl_store *store, const char *file, const bl_container_reader *reader);

#endif
