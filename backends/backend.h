// backend.h - what can run a graph. One small table a backend.
//
// Open a backend, make a store from a layout, compile graphs into plans that share the store. Free in the opposite order.
// Host values are `double` in this interface: f32 passes through unchanged and `reference` loses nothing. Where that would cost a step
// its time they are what the backend holds: staging slots, and the blocks a checkpoint copies.
// All calls come from one thread.

#ifndef BL_BACKENDS_BACKEND_H
#define BL_BACKENDS_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"  // BL_CHECK
#include "graph/graph.h" // bl_graph, bl_place

typedef struct bl_backend bl_backend; // an open backend
typedef struct bl_store bl_store;     // owns what persists over steps: blocks and scalars of one layout
typedef struct bl_plan bl_plan;       // owns activations, workspace, packed weights; borrows its store and its graph

typedef struct bl_backend_options {
    int threads;      // for the backend's own loops; >= 1
    const char *isa;  // "" or the highest instruction set a CPU backend may use: avx2 | avx512 | avx512_bf16 | avx512_amx
    bool eager;       // a GPU backend launches each operation by itself instead of replaying recorded graphs: to look for a fault
} bl_backend_options;

typedef struct bl_compile_options {
    int accumulate;               // micro steps before each update, whose optimiser takes the mean of their gradients (0 reads as
                                  // 1); with 1 gradients may be written, not added
    bl_tensor *const *observe;    // tensors that stay alive (not fused away, memory not reused) for bl_plan_read
    int observe_count;
    bool observe_all;             // every value: `compare` and the hunt for a first bad tensor
    bl_tensor *const *watch;      // scalars (f32 [1]) whose values of the last steps bl_plan_watched gives; at most BL_WATCHED; observed too
    int watch_count;
    bool tf32;                    // a GPU may round f32 operands of products to TF32
    int batch;                    // images of a micro step, for advice where memory does not suffice; 0: no advice
    const char *batch_key;        // what the reader of that advice calls it; NULL: the batch
    const char *accumulate_key;   // and the micro steps of an update; NULL: there is no such choice
    bool only_report;             // everything is chosen and placed, but no memory taken: the plan cannot run, bl_plan_report tells its needs
} bl_compile_options;

typedef struct bl_node_report {   // a row of `bench` and of the run file
    const bl_node *node;
    const char *implementation;   // "brgconv:avx512_core", "fused into online/bn1"; owned by the plan
    double seconds;               // summed over the steps since the plan began timing
    int64_t regions, barriers;    // of a CPU's threads, summed likewise: see bl_plan_report
    size_t bytes;                 // workspace
} bl_node_report;

typedef struct bl_plan_report {
    const bl_node_report *rows;   // one a node, in execution order; owned by the plan
    int count;
    size_t arena_bytes, packed_bytes, staging_bytes;
    size_t free_bytes;            // that the plan could have taken when it was compiled; 0: not known
    // How often a CPU's threads waited for each other, summed over the steps since the plan began timing. Regions: all threads are called
    // and all are waited for. What a library's primitive does inside is not known: it counts as one. Own kernels that follow one another
    // share a region, which is the first one's; a barrier is the end of a pass within one. Rows sum to less: inputs are converted too.
    int64_t regions, barriers;
} bl_plan_report;

#define BL_STAGING_SLOTS 3
#define BL_WATCHED 4
#define BL_STEPS_AHEAD 2 // steps whose watched values are kept: the one before the last may still be asked for

typedef struct bl_backend_table {
    const char *name; // "reference", "onednn", "cudnn"

    int (*open)(bl_backend **backend, const bl_backend_options *options);
    void (*close)(bl_backend *backend);

    // Name, version, effective instruction set, threads: lines of "key: value".
    void (*describe)(const bl_backend *backend, bl_text *text);

    // Whether the node can run here; the reason when it cannot.
    bool (*supports)(const bl_backend *backend, const bl_node *node, char *reason, size_t reason_bytes);

    // Blocks start as zeros, FINITE as 1.
    int (*store_create)(bl_backend *backend, const bl_layout *layout, bl_store **store);
    void (*store_free)(bl_store *store);
    // A segment, a whole block (floats of the table, padding included), or a scalar. Waits for running steps.
    int (*store_write)(bl_store *store, bl_place place, const double *src);
    int (*store_read)(bl_store *store, bl_place place, double *dst);
    // As store_read, the values as they are held: one straight copy. NULL: the backend holds doubles.
    int (*store_read_f32)(bl_store *store, bl_place place, float *dst);

    // A plan that needs more memory than is free is refused before any of it is taken, with a batch that would fit.
    int (*compile)(bl_backend *backend, bl_store *store, const bl_graph *graph, const bl_compile_options *options, bl_plan **plan);
    void (*plan_free)(bl_plan *plan);

    // Host memory of a staging slot for an input: f32, the tensor's shape. Valid until `step` of that slot, and again after it.
    int (*slot)(bl_plan *plan, int slot, const bl_tensor *input, float **host);
    // Runs the phases (a mask of bl_phase) on what the slot holds.
    int (*step)(bl_plan *plan, int slot, unsigned phases);

    // Direct access for tests and metrics: `write` sets an input for every slot, past its staging; `read` waits, then
    // reads an input, an observed tensor or an output of the graph that nothing consumes.
    int (*write)(bl_plan *plan, const bl_tensor *tensor, const double *src);
    int (*read)(bl_plan *plan, const bl_tensor *tensor, double *dst);

    // Whether `step` returns before its work is done, so that the next may be given before this one is looked at.
    bool is_asynchronous;
    // The watched scalars, and FINITE, after the last step (back 0) or the one before it (back 1); waits for that step only. NULL: the
    // backend is synchronous, and bl_plan_watched reads the tensors.
    int (*watched)(bl_plan *plan, int back, double *values, double *finite);

    // What was chosen for the plans so far (engines and their settings) as one text, to be recorded; and such a text of an earlier run,
    // whose choices plans compiled from now on take again. NULL: choices follow from machine and versions alone.
    void (*choices)(const bl_backend *backend, bl_text *text);
    int (*recall)(bl_backend *backend, const char *choices);

    // Times accumulate while `timing` is on (off at first: it costs a clock read a node).
    void (*timing)(bl_plan *plan, bool on);
    void (*report)(const bl_plan *plan, bl_plan_report *report);
} bl_backend_table;

struct bl_backend { // what every backend's own struct begins with
    const bl_backend_table *table;
};
struct bl_store {
    bl_backend *backend;
    const bl_layout *layout; // borrowed
};
struct bl_plan {
    bl_backend *backend;
    const bl_graph *graph;   // borrowed
    bl_store *store;         // borrowed
    bl_tensor *watch[BL_WATCHED]; // filled by bl_plan_compile
    int watch_count;
    bool only_reports;
};

// The same verbs as calls, so that callers read naturally. See the table for what they promise.
void bl_backend_close(bl_backend *backend); // opened by bl_backend_open: registry.h
BL_CHECK int bl_store_create(bl_backend *backend, bl_layout *layout, bl_store **store); // seals the layout
void bl_store_free(bl_store *store);
BL_CHECK int bl_store_write(bl_store *store, bl_place place, const double *src);
BL_CHECK int bl_store_read(const bl_store *store, bl_place place, double *dst);
bool bl_store_holds_f32(const bl_store *store);
BL_CHECK int bl_store_read_f32(const bl_store *store, bl_place place, float *dst); // of a store that holds f32
BL_CHECK int bl_store_scalar(bl_store *store, bl_scalar scalar, double value);
BL_CHECK int bl_store_initialize(bl_store *store, uint64_t seed, bool target_copies_online); // initial weights from (seed, name)
size_t bl_place_count(const bl_layout *layout, bl_place place);                               // values behind a place
BL_CHECK int bl_plan_compile(bl_store *store, const bl_graph *graph, const bl_compile_options *options, bl_plan **plan);
void bl_plan_free(bl_plan *plan);
BL_CHECK int bl_plan_slot(bl_plan *plan, int slot, const bl_tensor *input, float **host);
BL_CHECK int bl_plan_step(bl_plan *plan, int slot, unsigned phases);
BL_CHECK int bl_plan_write(bl_plan *plan, const bl_tensor *tensor, const double *src);
BL_CHECK int bl_plan_read(const bl_plan *plan, const bl_tensor *tensor, double *dst);
// values: one a watched tensor. `back` is 0 on a backend that is not asynchronous.
BL_CHECK int bl_plan_watched(bl_plan *plan, int back, double *values, double *finite);

// "" and BL_OK where the backend has no choices of its own.
void bl_backend_choices(const bl_backend *backend, bl_text *text);
BL_CHECK int bl_backend_recall(bl_backend *backend, const char *choices);

#endif
