// bench.h - how fast a cell's training step runs here, and where the time goes.
//
// Inside the timed window: one whole step (forward, backward, optimiser, EMA) on a batch that is ready in its staging slot.
// Outside: views and loading, the diagnosis of collapse and checkpoints (each measured apart); evaluation. A step is timed from the
// end of the one before to its own: as in training an asynchronous backend has it before that one has ended. The machine's peak is a
// large matrix product by the same backend in the same run, so that the figure means something on a machine nobody else has.
//
// The room inspect/ looks at a cell without running it to its end: bench, compare, needs (of memory), preview (of views). It stands beside
// run/ and sees protocols/ and all below it. Its doors: a header each.

#ifndef BL_INSPECT_BENCH_H
#define BL_INSPECT_BENCH_H

#include "backends/backend.h"   // bl_backend
#include "experiment/options.h" // bl_cell, bl_machine

struct bl_bench;

typedef struct bl_bench_options {
    int steps;  // timed, after `warmup`
    int warmup;
    bool nodes; // time every node (costs a clock read each; the step time comes from a pass without), the peak and the views
    // Asked before each pass over the steps whether there is one: for those who measure in turns with another program. `last` is what the
    // pass before found, NULL before the first. NULL: one pass.
    bool (*turn)(void *context, const struct bl_bench *last);
    void *context;
    bl_text *plan; // with `nodes`: gets a table, a row a node: time, workspace and implementation; NULL: not wanted
} bl_bench_options;

typedef struct bl_bench_kind { // all nodes of one operator
    const char *name;
    double seconds, share, gflops; // a step; part of the step; 0 where an operator is no arithmetic to speak of
    double regions, barriers;      // a step: bl_node_report
    int count;
} bl_bench_kind;

typedef struct bl_bench_checkpoint { // of the blocks that training moves
    double copy_seconds; // that the steps wait for
    double seconds;      // that the steps take longer, the copy included, while the file is made beside them
    double file_seconds; // until it is on disk
} bl_bench_checkpoint;

typedef struct bl_bench {
    int batch;                     // images a step
    char device[64];               // what it ran on, in the backend's words: an instruction set, or a GPU
    double best, median, worst;    // images a second over the timed steps
    double mean;                   // over all of them together
    double step_seconds;           // of the median step
    double gflop;                  // arithmetic of one step: direct convolutions and linear layers, 2 a multiply-add
    double peak_gflops;            // of the large matrix product, in the step's precision
    int peak_side;                 // of its matrices
    double views_per_second[2];    // one loader thread, and all of machine.loader_threads
    double collapse_seconds;       // a window of the diagnosis, over the steps from one to the next; 0: nothing is diagnosed
    bl_bench_checkpoint checkpoint; // with `nodes`
    size_t arena_bytes, packed_bytes, staging_bytes;
    size_t process_bytes;          // the most that the process has held so far
    double regions, barriers;      // with `nodes`, a step: bl_plan_report
    bl_bench_kind kinds[BL_OP_COUNT]; // those that the step has, falling by seconds
    int kind_count;
} bl_bench;

// GFLOP/s of a matrix product in that precision by the backend, the best of ten, without what brings its operands there. The product is
// large enough to be bound by arithmetic: its *side doubles while it takes less than 10 ms.
BL_CHECK int bl_bench_product(bl_backend *backend, bl_dtype precision, bool tf32, int *side, double *gflops);

BL_CHECK int bl_bench_run(const bl_cell *cell, const bl_machine *machine, const bl_bench_options *options, bl_bench *result);
// The step by which a row's network learns on images or scenes: of segmentation, fine-tuning, augmented linear evaluation. Nothing of views
// or collapse.
BL_CHECK int bl_bench_fit(const bl_cell *cell, const bl_evaluation *row, const bl_machine *machine, const bl_bench_options *options, bl_bench *result);

#endif
