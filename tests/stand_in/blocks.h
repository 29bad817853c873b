// blocks.h - a kernel's grid of blocks of threads, run on the host.

#ifndef BL_STAND_IN_BLOCKS_H
#define BL_STAND_IN_BLOCKS_H

#include "stream.h"

// Where the thread that runs now stands.
extern uint3 stand_in_thread, stand_in_block;
extern dim3 stand_in_block_size, stand_in_grid_size;

// Queues `thread` for every thread of every block. `waits`: they may call stand_in_barrier; else they run one after the other.
void stand_in_launch_blocks(cudaStream_t stream, dim3 blocks, dim3 threads, bool waits, std::function<void()> thread);
void stand_in_barrier(); // __syncthreads

#endif
