// onednn.h - what the files of this backend share.
//
// A plan is a list of steps over a list of buffers. Compiling lowers each node of the graph to steps (or to none, when another
// node's step does its work), then every buffer gets its address: in the store, in staging, packed, or in the plan's one arena.
//
// Own kernels are deterministic for a given thread count: a share is the same rows every time, whoever does it (team.h), and partial
// sums are combined in the order of the shares. Statistics are summed in f32 over short blocks of rows and in f64 over the blocks.

#ifndef BL_BACKENDS_ONEDNN_ONEDNN_H
#define BL_BACKENDS_ONEDNN_ONEDNN_H

#include <stdint.h>

#include "backends/backend.h"
#include "backends/onednn/strips.h"
#include "backends/onednn/team.h"
#include "backends/uses.h"
#include "oneapi/dnnl/dnnl.h"

typedef struct bl_cpu_backend {
    bl_backend base;
    int threads;
    bl_cpu_team *team;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_attr_t attributes; // scratchpads are the plan's
} bl_cpu_backend;

typedef struct bl_cpu_store {
    bl_store base;
    float *blocks[BL_MAX_NETWORKS][BL_BLOCK_KINDS];
    float scalars[BL_SCALARS];
    size_t bytes;     // of the blocks
    uint64_t versions[BL_MAX_NETWORKS]; // of the parameters: raised by every write, so that plans know what to pack again
} bl_cpu_store;

typedef struct bl_cpu_buffer {
    size_t bytes;
    void *data;       // bound by the plan; NULL until then for buffers of the arena
    bool in_arena;
    bool kept;        // alive to the end: someone may read it after the step
    int input;        // index of the staged graph input, -1
} bl_cpu_buffer;

typedef struct bl_cpu_plan bl_cpu_plan;

#define BL_CPU_OPERANDS 12

// What touches less than this is done by one thread: a region takes as long to begin and end, a few microseconds.
#define BL_CPU_SMALL_BYTES ((size_t)64 << 10)

typedef struct bl_cpu_step {
    const bl_node *node; // whose phase and time it is; NULL: a conversion of the inputs, in the micro phase
    int (*run)(const bl_cpu_plan *plan, const struct bl_cpu_step *step);
    int buffers[BL_CPU_OPERANDS]; // what it touches, in an order of its own; -1: absent
    void *state;                  // owned
    void (*state_free)(void *state);
    size_t bytes;                 // of those buffers
    bool is_library;              // oneDNN's, by all threads: it opens regions of its own
} bl_cpu_step;

// Weights in the layout and precision that a primitive asked for, made from the master when that has changed.
typedef void (*bl_cpu_pack_function)(const bl_cpu_plan *plan, const bl_node *node, const float *master, float *packed);
typedef struct bl_cpu_packed {
    bl_place place;
    const bl_node *node; // the first user, whose time the packing is
    bl_cpu_pack_function pack; // an own kernel's, with `source`; NULL: oneDNN's, with what follows
    const float *source;
    dnnl_memory_desc_t desc;
    dnnl_primitive_t reorder;
    dnnl_memory_t master, packed, scratchpad;
    void *data;
    size_t bytes;
    int buffer;
    uint64_t version;
    double seconds;       // that the last packing took
    dnnl_status_t status; // of it
} bl_cpu_packed;

struct bl_cpu_plan {
    bl_plan base;
    bl_cpu_backend *backend;
    bl_cpu_store *store;
    int accumulate;
    bool weights_move;       // with every run of the micro phase
    bl_uses uses;
    int *coefficients;       // per node, batch norm backward: the buffer from its first pass to its second
    int *buffer_of;          // per tensor: index of its buffer, -1: none
    bl_strips *strips;       // per tensor: how its images lie
    bl_cpu_buffer *buffers;
    int buffer_count, buffer_capacity;
    bl_cpu_step *steps;
    int step_count, step_capacity;
    bl_cpu_packed *packed;
    int packed_count, packed_capacity;
    float **staging;         // input i of slot s: [s * uses.input_count + i]
    int slot;                // of the last step
    void *arena;
    bl_arena *names;
    bl_node_report *rows;
    size_t arena_bytes, packed_bytes, staging_bytes, free_bytes; // bl_plan_report
    bool is_timed;
    bl_cpu_waits waits;      // while it was timed
};

// store.c
int bl_cpu_store_create(bl_backend *backend, const bl_layout *layout, bl_store **store);
void bl_cpu_store_free(bl_store *store);
int bl_cpu_store_write(bl_store *store, bl_place place, const double *src);
int bl_cpu_store_read(bl_store *store, bl_place place, double *dst);
int bl_cpu_store_read_f32(bl_store *store, bl_place place, float *dst);
float *bl_cpu_store_at(bl_cpu_store *store, bl_place place, size_t *count); // NULL when the block does not exist

// plan.c: compile, step and the rest of the table
int bl_cpu_compile(bl_backend *backend, bl_store *store, const bl_graph *graph, const bl_compile_options *options, bl_plan **plan);
void bl_cpu_plan_free(bl_plan *plan);
int bl_cpu_slot(bl_plan *plan, int slot, const bl_tensor *input, float **host);
int bl_cpu_step_run(bl_plan *plan, int slot, unsigned phases);
int bl_cpu_write(bl_plan *plan, const bl_tensor *tensor, const double *src);
int bl_cpu_read(bl_plan *plan, const bl_tensor *tensor, double *dst);
void bl_cpu_timing(bl_plan *plan, bool on);
void bl_cpu_report(const bl_plan *plan, bl_plan_report *report);
// Runs `work` with the help of all threads (bl_cpu_team_run); the region is the node's (NULL: the plan's alone).
BL_CHECK int bl_cpu_run_together(bl_cpu_plan *plan, const bl_node *node, int (*work)(void *context), void *context);

// steps.c: what lowering uses
BL_CHECK int bl_cpu_buffer_add(bl_cpu_plan *plan, size_t bytes, int *buffer);        // in the arena
BL_CHECK int bl_cpu_value(bl_cpu_plan *plan, const bl_tensor *tensor, int *buffer);  // NULL tensor: -1
BL_CHECK int bl_cpu_step_add(bl_cpu_plan *plan, const bl_node *node, int (*run)(const bl_cpu_plan *, const bl_cpu_step *),
                             const int *buffers, int count, const void *state, size_t state_bytes); // the state is copied
void bl_cpu_note(bl_cpu_plan *plan, const bl_node *node, const char *format, ...) BL_PRINTF(3, 4);  // the implementation's name
bl_lines bl_cpu_lines(const bl_cpu_plan *plan, const bl_tensor *tensor);
size_t bl_cpu_values(const bl_cpu_plan *plan, const bl_tensor *tensor);   // zeros between the images of a strip included

// Zeros after those lines of images whose first pixels are among the `count` from `pixel` on; nothing where the tensor is plain.
void bl_cpu_part_images(const bl_lines *lines, void *data, bl_dtype dtype, size_t pixel, size_t count);

static inline void *bl_cpu_at(const bl_cpu_plan *plan, const bl_cpu_step *step, int operand) {
    const int buffer = step->buffers[operand];
    return buffer < 0 ? NULL : plan->buffers[buffer].data;
}

// primitive.c: oneDNN's side
typedef struct bl_cpu_operand {
    int argument; // DNNL_ARG_..
    const_dnnl_memory_desc_t desc;
    int buffer;
} bl_cpu_operand;
BL_CHECK int bl_cpu_dnnl(dnnl_status_t status, const bl_node *node, const char *what);
// A step that executes `desc` with these operands and a scratchpad of the arena. Names the implementation.
BL_CHECK int bl_cpu_primitive_step(bl_cpu_plan *plan, const bl_node *node, const_dnnl_primitive_desc_t desc,
                                   const bl_cpu_operand *operands, int count);
BL_CHECK int bl_cpu_reorder_step(bl_cpu_plan *plan, const bl_node *node, bl_cpu_operand from, bl_cpu_operand to);
// The buffer of parameters `tensor` (plain layout `plain`) in layout `wanted`.
BL_CHECK int bl_cpu_pack(bl_cpu_plan *plan, const bl_node *node, const bl_tensor *tensor, const_dnnl_memory_desc_t plain,
                         const_dnnl_memory_desc_t wanted, int *buffer);
BL_CHECK int bl_cpu_pack_bind(bl_cpu_plan *plan);  // takes the memory of all that are packed
BL_CHECK int bl_cpu_pack_stale(bl_cpu_plan *plan); // before the micro phase, after what moves in the begin phase
// The same by an own kernel: `bytes` that `pack` makes for nodes of this operator.
BL_CHECK int bl_cpu_pack_by(bl_cpu_plan *plan, const bl_node *node, const bl_tensor *tensor, bl_cpu_pack_function pack, size_t bytes,
                            int *buffer);
dnnl_data_type_t bl_cpu_type(bl_dtype dtype);

// One function an operator: appends its steps.
int bl_cpu_convolution(bl_cpu_plan *plan, const bl_node *node);
int bl_cpu_convolution_backward_data(bl_cpu_plan *plan, const bl_node *node);
int bl_cpu_convolution_backward_weights(bl_cpu_plan *plan, const bl_node *node);
int bl_cpu_convolution_supported(const bl_cpu_backend *backend, const bl_node *node);
bool bl_cpu_winograd_suits(const bl_cpu_backend *backend, const bl_node *node);
int bl_cpu_winograd(bl_cpu_plan *plan, const bl_node *node); // any of the three above
int bl_cpu_linear(bl_cpu_plan *plan, const bl_node *node);
int bl_cpu_linear_backward_data(bl_cpu_plan *plan, const bl_node *node);
int bl_cpu_linear_backward_weights(bl_cpu_plan *plan, const bl_node *node);
int bl_cpu_linear_backward_bias(bl_cpu_plan *plan, const bl_node *node);
int bl_cpu_linear_supported(const bl_cpu_backend *backend, const bl_node *node);
int bl_cpu_batch_norm(bl_cpu_plan *plan, const bl_node *node);
int bl_cpu_batch_norm_running(bl_cpu_plan *plan, const bl_node *node);
int bl_cpu_batch_norm_apply(bl_cpu_plan *plan, const bl_node *norm); // with what was fused into it
int bl_cpu_batch_norm_backward(bl_cpu_plan *plan, const bl_node *node);
int bl_cpu_batch_norm_reduce(bl_cpu_plan *plan, const bl_node *norm_backward);
int bl_cpu_running_average(bl_cpu_plan *plan, const bl_node *node);
int bl_cpu_relu(bl_cpu_plan *plan, const bl_node *node);
int bl_cpu_relu_backward(bl_cpu_plan *plan, const bl_node *node);
int bl_cpu_add(bl_cpu_plan *plan, const bl_node *node);
int bl_cpu_pool(bl_cpu_plan *plan, const bl_node *node);
int bl_cpu_pool_backward(bl_cpu_plan *plan, const bl_node *node);
int bl_cpu_max_pool(bl_cpu_plan *plan, const bl_node *node);
int bl_cpu_max_pool_backward(bl_cpu_plan *plan, const bl_node *node);
int bl_cpu_resize(bl_cpu_plan *plan, const bl_node *node); // and its backward
int bl_cpu_accumulate(bl_cpu_plan *plan, const bl_node *node);
int bl_cpu_loss(bl_cpu_plan *plan, const bl_node *node);
int bl_cpu_loss_backward(bl_cpu_plan *plan, const bl_node *node);
int bl_cpu_projection_std(bl_cpu_plan *plan, const bl_node *node);
int bl_cpu_cross_entropy(bl_cpu_plan *plan, const bl_node *node);
int bl_cpu_cross_entropy_backward(bl_cpu_plan *plan, const bl_node *node);
int bl_cpu_argmax(bl_cpu_plan *plan, const bl_node *node);
int bl_cpu_check_finite(bl_cpu_plan *plan, const bl_node *node);
int bl_cpu_sgd(bl_cpu_plan *plan, const bl_node *node);
int bl_cpu_adam(bl_cpu_plan *plan, const bl_node *node);
int bl_cpu_lars(bl_cpu_plan *plan, const bl_node *node);
int bl_cpu_ema(bl_cpu_plan *plan, const bl_node *node);
int bl_cpu_convert_input(bl_cpu_plan *plan, const bl_tensor *input, int staged, int converted); // f32 staging to bf16

#endif
