// blocks.cpp - runs the blocks of a kernel one after the other. Threads that wait for each other are fibers, each with a stack of its
// own: every one runs to the barrier, then each goes on from there.

#include "blocks.h"

#include <cstdio>
#include <cstdlib>
#include <sanitizer/asan_interface.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <vector>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

uint3 stand_in_thread, stand_in_block;
dim3 stand_in_block_size, stand_in_grid_size;

static const unsigned max_threads = 1024; // of a block
static const size_t stack_bytes = 128 << 10;

struct stack {
    ucontext_t context;
    const void *bottom;
    size_t bytes;
    void *fake; // the address sanitizer's
};

struct fiber {
    stack own;
    bool is_waiting;
};

static char *stacks;
static std::vector<fiber> fibers;
static stack scheduler;
static fiber *running; // NULL: threads that may not wait
static const std::function<void()> *thread_body;

// The two calls around a switch tell the address sanitizer which stack is in use.
static void leave(stack *from, const stack *to) {
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(&from->fake, to->bottom, to->bytes);
#else
    (void)from, (void)to;
#endif
}

static void arrive(const stack *at, stack *from) {
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(at->fake, &from->bottom, &from->bytes);
#else
    (void)at, (void)from;
#endif
}

static void switch_stacks(stack *from, stack *to) {
    leave(from, to);
    swapcontext(&from->context, &to->context);
    arrive(from, to);
}

// A fiber goes from block to block.
static void fiber_main() {
    fiber *self = running;
    arrive(&self->own, &scheduler);
    for (;;) {
        (*thread_body)();
        self->is_waiting = false;
        switch_stacks(&self->own, &scheduler);
    }
}

static void resume(fiber *self) {
    running = self;
    switch_stacks(&scheduler, &self->own);
    running = nullptr;
}

static void make_fibers() {
    const size_t bytes = max_threads * stack_bytes;
    if (!stacks) {
        void *mapping = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (mapping == MAP_FAILED) abort();
        stacks = static_cast<char *>(mapping);
    }
    ASAN_UNPOISON_MEMORY_REGION(stacks, bytes);
    fibers.assign(max_threads, {});
    for (unsigned t = 0; t < max_threads; t++) {
        stack &own = fibers[t].own;
        own.bottom = stacks + t * stack_bytes;
        own.bytes = stack_bytes;
        getcontext(&own.context);
        own.context.uc_stack.ss_sp = stacks + t * stack_bytes;
        own.context.uc_stack.ss_size = stack_bytes;
        makecontext(&own.context, fiber_main, 0);
    }
}

void stand_in_barrier() {
    if (!running) {
        fputs("stand-in: __syncthreads in a kernel that was started by BL_LAUNCH, not BL_LAUNCH_BLOCKS\n", stderr);
        abort();
    }
    running->is_waiting = true;
    switch_stacks(&running->own, &scheduler);
}

static uint3 thread_at(unsigned t) {
    const dim3 size = stand_in_block_size;
    return {t % size.x, t / size.x % size.y, t / size.x / size.y};
}

static void run_waiting_block(unsigned threads) {
    if (fibers.empty()) make_fibers();
    for (unsigned t = 0; t < threads; t++) fibers[t].is_waiting = true; // for its turn to begin
    for (unsigned waiting = threads; waiting;) {
        const unsigned before = waiting;
        waiting = 0;
        for (unsigned t = 0; t < before; t++) {
            stand_in_thread = thread_at(t);
            resume(&fibers[t]);
            waiting += fibers[t].is_waiting;
        }
        if (!waiting || waiting == threads) continue;
        fprintf(stderr, "stand-in: %u of %u threads of a block wait at __syncthreads, the others have finished\n", waiting, threads);
        stand_in_fail(cudaErrorLaunchFailure);
        make_fibers(); // those that wait are abandoned
        return;
    }
}

static void run_block(unsigned threads, bool waits) {
    if (waits) {
        run_waiting_block(threads);
        return;
    }
    for (unsigned t = 0; t < threads; t++) {
        stand_in_thread = thread_at(t);
        (*thread_body)();
    }
}

void stand_in_launch_blocks(cudaStream_t stream, dim3 blocks, dim3 threads, bool waits, std::function<void()> thread) {
    const uint64_t count = (uint64_t)threads.x * threads.y * threads.z;
    const bool fits = blocks.x && blocks.y && blocks.z && blocks.x < 1u << 31 && blocks.y < 1u << 16 && blocks.z < 1u << 16;
    if (!fits || !count || count > max_threads) {
        stand_in_fail(cudaErrorInvalidConfiguration);
        return;
    }
    stand_in_submit(stream, [=] {
        thread_body = &thread;
        stand_in_block_size = threads;
        stand_in_grid_size = blocks;
        for (unsigned z = 0; z < blocks.z; z++)
            for (unsigned y = 0; y < blocks.y; y++)
                for (unsigned x = 0; x < blocks.x; x++) {
                    stand_in_block = {x, y, z};
                    run_block((unsigned)count, waits);
                }
    });
}
