// memory.h - addresses of a lowered plan: the arena by lifetimes; or the refusal that says what would fit.

#ifndef BL_BACKENDS_LOWERING_MEMORY_H
#define BL_BACKENDS_LOWERING_MEMORY_H

#include "backends/lowering/lowering.h"
#include "backends/room.h"

size_t bl_lower_input_bytes(const bl_lowering *plan, int input); // of the input's f32 staging, one slot

// Plans the arena: each of its buffers' `offset` becomes its place there; what it was before is kept free in front of it.
BL_CHECK int bl_lower_place(bl_lowering *plan);
// When all that is packed is counted: whether arena, staging and packed parameters fit into the room.
BL_CHECK int bl_lower_check_room(bl_lowering *plan, const bl_room *room, const bl_compile_options *options);
void bl_lower_bind(bl_lowering *plan); // the arena's buffers, once there is one

#endif
