// gpu.h - what the files of this backend share.
//
// A plan is a list of steps over a list of buffers, as in backends/onednn: compiling lowers each node to steps (or to none, when a
// neighbour's step does its work), then every buffer gets its address on the device: in the store, in staging, packed, constant, or in
// the plan's one arena. A step only queues work on the backend's stream. Each combination of phases is captured once a staging slot as
// a CUDA graph and replayed; run eagerly, one step after the other, the same work gives the same bits (replay.c).
//
// A backend may be opened for a device that is only described (module.c): it compiles plans to the end, engines and memory included,
// and owns nothing that could run.

#ifndef BL_BACKENDS_CUDNN_GPU_H
#define BL_BACKENDS_CUDNN_GPU_H

#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <stdint.h>

#include "backends/backend.h"
#include "backends/cudnn/engine.h"
#include "backends/cudnn/kernels.h"
#include "backends/uses.h"

typedef struct bl_gpu_backend {
    bl_backend base;
    bool is_described, is_eager;
    cudnnHandle_t cudnn;
    cublasHandle_t cublas;
    void *cublas_workspace;       // given once: cuBLAS may not allocate while a graph is captured
    cudaStream_t stream, copies;  // what computes; what brings batches, beside it
    bl_gpu_engines *engines;
    char name[256], version[128]; // "NVIDIA H200"; "cuDNN 9.19.0, CUDA 13.0, driver 13.0"
    int major, minor;             // compute capability
    size_t memory;                // bytes of the device in all
} bl_gpu_backend;

typedef struct bl_gpu_store {
    bl_store base;
    float *blocks[BL_MAX_NETWORKS][BL_BLOCK_KINDS];
    float *scalars;
    uint64_t versions[BL_MAX_NETWORKS]; // of the parameters: raised by whatever may write them, so that plans know what to pack again
    size_t bytes;
} bl_gpu_store;

typedef struct bl_gpu_buffer {
    size_t bytes;
    void *data;     // bound by the plan; NULL until then for buffers of the arena
    bool in_arena;
    bool kept;      // alive to the end: someone may read it after the step
    int input;      // index of the graph input whose staging this is: its address is the slot's; -1
    int packed;     // index of the packed parameters it lies in, at `offset`; -1
    size_t offset;
} bl_gpu_buffer;

typedef struct bl_gpu_plan bl_gpu_plan;

#define BL_GPU_BUFFERS 16

typedef struct bl_gpu_step {
    const bl_node *node; // whose phase and time it is; NULL: a conversion of the inputs, in the micro phase
    int (*run)(const bl_gpu_plan *plan, const struct bl_gpu_step *step); // queues work on the backend's stream
    int buffers[BL_GPU_BUFFERS]; // what it touches, in an order of its own; -1: absent
    void *state;                 // owned, freed with bl_free
} bl_gpu_step;

// Parameters as layers want them: a network's whole block in bf16, or one segment whose rows are padded with zeros (a stem's channels).
// Made from the master when that has changed, before the micro phase.
typedef struct bl_gpu_packed {
    bl_place place;      // of the master: a whole block, or a segment
    int64_t rows;
    int from, to;        // values of a row before and after; equal for a block
    bool is_half;
    size_t bytes;
    void *data;
    uint64_t version;    // of the network's parameters when it was made; 0: never
} bl_gpu_packed;

typedef struct bl_gpu_constant { // a table that kernels read, uploaded when the plan is bound
    int buffer;
    void *data;          // of the host; freed by the plan
    size_t bytes;
} bl_gpu_constant;

#define BL_GPU_PHASE_MASKS 8 // combinations of bl_phase

typedef struct bl_gpu_replay bl_gpu_replay; // captured graphs, events and what the host reads after steps: replay.c

struct bl_gpu_plan {
    bl_plan base;
    bl_gpu_backend *backend;
    bl_gpu_store *store;
    int accumulate;
    bool allows_tf32;
    bl_uses uses;
    int *padded_of;          // per tensor: the buffer of its copy with channels padded, -1
    int *inverse_of;         // per tensor (a batch norm's variance): the buffer of 1 / sqrt(variance + epsilon), -1
    int *mask_of;            // per tensor (a fused ReLU's output): the buffer of cuDNN's mask, -1
    int *index_of;           // per tensor (a max pool's x): the buffer of the positions of the largest, -1
    bool moves[BL_MAX_NETWORKS]; // its parameters are written by a node of the graph
    int *buffer_of;          // per tensor: index of its buffer, -1: none
    bl_gpu_buffer *buffers;
    int buffer_count, buffer_capacity;
    bl_gpu_step *steps;
    int step_count, step_capacity;
    bl_gpu_packed *packed;
    int packed_count, packed_capacity;
    bl_gpu_constant *constants;
    int constant_count, constant_capacity;
    float **host, **staging; // pinned memory of the host and its image on the device: input i of slot s: [s * uses.input_count + i]
    int slot;                // that steps work on: the last step's
    void *arena;
    bl_arena *names;
    bl_node_report *rows;
    size_t arena_bytes, packed_bytes, staging_bytes, free_bytes; // bl_plan_report
    bl_gpu_replay *replay;
    bool is_timed;
};

// module.c
// A backend for a device that is described by cuDNN's JSON of its properties; compiles, never runs.
BL_CHECK int bl_gpu_open_described(bl_backend **backend, const char *device);
BL_CHECK int bl_gpu_cuda(cudaError_t status, const char *what);      // BL_OK, or the failure's message
BL_CHECK int bl_gpu_cublas(cublasStatus_t status, const char *what);
// Between the device and ordinary memory of the host, in order with the backend's stream. (CUDA's blocking calls work on its default
// stream, which the backend's do not wait for, and some return before the device is done.)
BL_CHECK int bl_gpu_clear(const bl_gpu_backend *backend, void *data, size_t bytes);                      // queued
BL_CHECK int bl_gpu_upload(const bl_gpu_backend *backend, void *data, const void *host, size_t bytes);   // done when it returns
BL_CHECK int bl_gpu_download(const bl_gpu_backend *backend, void *host, const void *data, size_t bytes);

// store.c
int bl_gpu_store_create(bl_backend *backend, const bl_layout *layout, bl_store **store);
void bl_gpu_store_free(bl_store *store);
int bl_gpu_store_write(bl_store *store, bl_place place, const double *src);
int bl_gpu_store_read(bl_store *store, bl_place place, double *dst);
int bl_gpu_store_read_f32(bl_store *store, bl_place place, float *dst);
float *bl_gpu_store_at(bl_gpu_store *store, bl_place place, size_t *count); // NULL when the block does not exist

// plan.c: compile and what does not run
int bl_gpu_compile(bl_backend *backend, bl_store *store, const bl_graph *graph, const bl_compile_options *options, bl_plan **plan);
void bl_gpu_plan_free(bl_plan *plan);
int bl_gpu_slot(bl_plan *plan, int slot, const bl_tensor *input, float **host);
int bl_gpu_write(bl_plan *plan, const bl_tensor *tensor, const double *src);
void bl_gpu_report(const bl_plan *plan, bl_plan_report *report);

// memory.c: addresses, or the refusal that says what would fit
BL_CHECK int bl_gpu_bind(bl_gpu_plan *plan, const bl_compile_options *options);
void bl_gpu_unbind(bl_gpu_plan *plan);

// replay.c: what runs
BL_CHECK int bl_gpu_replay_create(bl_gpu_plan *plan, bl_tensor *const *watch, int watch_count);
void bl_gpu_replay_free(bl_gpu_plan *plan);
int bl_gpu_slot_wait(const bl_gpu_plan *plan, int slot); // until the slot's batch has left the host's memory
int bl_gpu_step_run(bl_plan *plan, int slot, unsigned phases);
int bl_gpu_read(bl_plan *plan, const bl_tensor *tensor, double *dst);
int bl_gpu_watched(bl_plan *plan, int back, double *values, double *finite);
void bl_gpu_timing(bl_plan *plan, bool on);

// steps.c: what lowering uses
BL_CHECK int bl_gpu_buffer_add(bl_gpu_plan *plan, size_t bytes, int *buffer);       // in the arena
BL_CHECK int bl_gpu_value(bl_gpu_plan *plan, const bl_tensor *tensor, int *buffer); // NULL tensor: -1
BL_CHECK int bl_gpu_values(bl_gpu_plan *plan, bl_tensor *const *tensors, int count, int *buffers);  // the same of several
BL_CHECK int bl_gpu_workspace(bl_gpu_plan *plan, const bl_node *node, size_t bytes, int *buffer); // a buffer that the node's report counts
BL_CHECK int bl_gpu_constant_add(bl_gpu_plan *plan, const void *data, size_t bytes, int *buffer); // copied
BL_CHECK int bl_gpu_staged(bl_gpu_plan *plan, const bl_tensor *input, int *buffer);  // a graph input as the host gave it: f32
// Parameters in the precision of the node, rows of `from` values padded to `to`.
BL_CHECK int bl_gpu_weights(bl_gpu_plan *plan, const bl_tensor *tensor, bool is_half, int from, int to, int *buffer);
BL_CHECK int bl_gpu_step_add(bl_gpu_plan *plan, const bl_node *node, int (*run)(const bl_gpu_plan *, const bl_gpu_step *),
                             const int *buffers, int count, const void *state, size_t state_bytes); // the state is copied
// A step that runs the pattern's engine: buffers[i] and the byte offset offsets[i] (NULL: 0) are tensor i's memory; virtual and by-value
// tensors have -1. Adds the workspace and names the implementation.
BL_CHECK int bl_gpu_pattern_step(bl_gpu_plan *plan, const bl_node *node, const bl_gpu_pattern *pattern, const int *buffers,
                                 const size_t *offsets);
void bl_gpu_note(bl_gpu_plan *plan, const bl_node *node, const char *format, ...) BL_PRINTF(3, 4); // the implementation's name
size_t bl_gpu_bytes(const bl_tensor *tensor);
static inline bool bl_gpu_is_half(const bl_tensor *tensor) { return tensor->dtype == BL_BF16; }
static inline bl_gpu_type bl_gpu_type_of(const bl_tensor *tensor) { return bl_gpu_is_half(tensor) ? BL_GPU_BF16 : BL_GPU_F32; }

static inline void *bl_gpu_address(const bl_gpu_plan *plan, int buffer) { // NULL: absent
    if (buffer < 0) return NULL;
    const bl_gpu_buffer *at = &plan->buffers[buffer];
    return at->input < 0 ? at->data : plan->staging[plan->slot * plan->uses.input_count + at->input];
}

static inline void *bl_gpu_at(const bl_gpu_plan *plan, const bl_gpu_step *step, int operand) {
    return bl_gpu_address(plan, step->buffers[operand]);
}

// One function an operator: appends its steps.
int bl_gpu_convolution(bl_gpu_plan *plan, const bl_node *node);                  // convolution.c
int bl_gpu_convolution_backward_data(bl_gpu_plan *plan, const bl_node *node);
int bl_gpu_convolution_backward_weights(bl_gpu_plan *plan, const bl_node *node);
int bl_gpu_linear(bl_gpu_plan *plan, const bl_node *node);                       // linear.c
int bl_gpu_linear_backward_data(bl_gpu_plan *plan, const bl_node *node);
int bl_gpu_linear_backward_weights(bl_gpu_plan *plan, const bl_node *node);
int bl_gpu_linear_backward_bias(bl_gpu_plan *plan, const bl_node *node);
int bl_gpu_batch_norm(bl_gpu_plan *plan, const bl_node *norm);                   // batch_norm.c: with what was fused into it; called where
                                                                                 // the last of that stands
int bl_gpu_batch_norm_running(bl_gpu_plan *plan, const bl_node *norm);           // likewise
int bl_gpu_batch_norm_backward(bl_gpu_plan *plan, const bl_node *norm);          // likewise, where the ReLU's backward stands
bool bl_gpu_batch_norm_supported(const bl_node *node, char *reason, size_t reason_bytes);
int bl_gpu_max_pool(bl_gpu_plan *plan, const bl_node *node);                     // pooling.c
int bl_gpu_max_pool_backward(bl_gpu_plan *plan, const bl_node *node);
int bl_gpu_average_pool(bl_gpu_plan *plan, const bl_node *node);
int bl_gpu_average_pool_backward(bl_gpu_plan *plan, const bl_node *node);
int bl_gpu_resize_node(bl_gpu_plan *plan, const bl_node *node);                  // resize.c: and its backward
int bl_gpu_relu_node(bl_gpu_plan *plan, const bl_node *node);                    // pointwise.c
int bl_gpu_relu_backward_node(bl_gpu_plan *plan, const bl_node *node);
int bl_gpu_add_node(bl_gpu_plan *plan, const bl_node *node);
int bl_gpu_accumulate_node(bl_gpu_plan *plan, const bl_node *node);
int bl_gpu_convert_input(bl_gpu_plan *plan, const bl_tensor *input, int staged, int converted); // f32 staging to bf16
int bl_gpu_loss_node(bl_gpu_plan *plan, const bl_node *node);                    // loss.c
int bl_gpu_loss_backward_node(bl_gpu_plan *plan, const bl_node *node);
int bl_gpu_projection_std_node(bl_gpu_plan *plan, const bl_node *node);
int bl_gpu_cross_entropy_node(bl_gpu_plan *plan, const bl_node *node);
int bl_gpu_cross_entropy_backward_node(bl_gpu_plan *plan, const bl_node *node);
int bl_gpu_argmax_node(bl_gpu_plan *plan, const bl_node *node);
int bl_gpu_running_average_node(bl_gpu_plan *plan, const bl_node *node);         // update.c
int bl_gpu_check_finite_node(bl_gpu_plan *plan, const bl_node *node);
int bl_gpu_update_node(bl_gpu_plan *plan, const bl_node *node);                  // SGD, Adam, LARS
int bl_gpu_ema_node(bl_gpu_plan *plan, const bl_node *node);

#endif
