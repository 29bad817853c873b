// lowering.h - a plan as a list of steps over a list of buffers: what backends that run such plans share of compiling one.
//
// Compiling lowers each node of the graph to steps (or to none, when another node's step does its work), then every buffer gets its
// address: in the store, in staging, packed, or in the plan's one arena (memory.h). How steps run is each backend's own.

#ifndef BL_BACKENDS_LOWERING_LOWERING_H
#define BL_BACKENDS_LOWERING_LOWERING_H

#include "backends/lowering/store.h"
#include "backends/uses.h"

typedef struct bl_lowering bl_lowering; // a plan, from its first node to its end
typedef struct bl_step bl_step;

typedef int bl_step_run(const bl_lowering *plan, const bl_step *step);

typedef struct bl_operator { // how a backend does an operator
    int (*lower)(bl_lowering *plan, const bl_node *node); // appends its steps
    // Where other nodes are fused into this one (bl_fusion.norm): appends the steps that stand at the last of them. NULL: it takes none,
    // or the backend lowers it there as a whole.
    int (*lower_fused)(bl_lowering *plan, const bl_node *node);
    int (*check)(const bl_backend *backend, const bl_node *node); // fails with the reason why it cannot run the node; NULL: it runs all
} bl_operator;

typedef struct bl_buffer {
    size_t bytes;
    void *data;     // NULL until it is bound, for buffers of the arena and packed ones
    bool in_arena;
    bool kept;      // alive to the end: someone may read it after the step
    int input;      // index of the graph input whose staging this is: its address is the slot's; -1
    int packed;     // index of the packed parameters it lies in, where the backend counts them; -1
    size_t offset;  // bytes from where it was placed to its beginning: of a packed block, or of the arena (memory.h)
} bl_buffer;

#define BL_STEP_BUFFERS 16

struct bl_step {
    const bl_node *node; // whose phase and time it is; NULL: a conversion of the inputs, in the micro phase
    bl_step_run *run;
    int buffers[BL_STEP_BUFFERS]; // what it touches, in an order of its own; -1: absent
    void *state;                  // owned
    void (*state_free)(void *state);
    size_t bytes;                 // of those buffers
};

typedef struct bl_attached { // a buffer that belongs to a tensor beside its value
    const bl_tensor *tensor;
    const char *what;
    int buffer;
} bl_attached;

struct bl_lowering { // what the plan of each such backend begins with
    bl_plan base;
    bl_f32_store *store;
    const bl_operator *const *operators; // by bl_op
    bl_step_run *narrow;     // makes a bf16 input of a staged one: f32 | bf16; state: the number of values (size_t)
    bool is_described;       // for a device that is not there: stored values have no address
    int accumulate;
    bl_uses uses;
    int *buffer_of;          // per tensor: index of its buffer, -1: none yet
    size_t *bytes_of;        // per tensor: of its value; a backend that lays it otherwise than the graph says so here
    bl_buffer *buffers;
    int buffer_count, buffer_capacity;
    bl_step *steps;
    int step_count, step_capacity;
    bl_attached *attached;
    int attached_count, attached_capacity;
    float **host, **staged;  // input i of slot s: [s * uses.input_count + i]: what callers write; what steps read, which may be the same
    int slot;                // that steps work on: the last step's
    void *arena;
    bl_arena *names;
    bl_node_report *rows;
    size_t arena_bytes, packed_bytes, staging_bytes, free_bytes; // bl_plan_report
    bool is_timed;
};

// `plan` is zeroed but for base, store, operators, narrow and is_described. Finds who uses what, and gives gradients the place where the
// optimiser reads them, where nothing else wants them. bl_lowering_free after success and failure alike.
BL_CHECK int bl_lowering_begin(bl_lowering *plan, const bl_compile_options *options);
void bl_lowering_free(bl_lowering *plan); // all but the memory that host, staged and arena point to, which the backend took, and `plan`

// ---- buffers ----

BL_CHECK int bl_lower_buffer(bl_lowering *plan, size_t bytes, int *buffer);                         // in the arena
BL_CHECK int bl_lower_workspace(bl_lowering *plan, const bl_node *node, size_t bytes, int *buffer); // that the node's report counts
BL_CHECK int bl_lower_outside(bl_lowering *plan, bl_buffer made, int *buffer);                      // as it is given
BL_CHECK int bl_lower_staged(bl_lowering *plan, const bl_tensor *input, int *buffer);               // a graph input as staged: f32
BL_CHECK int bl_lower_value(bl_lowering *plan, const bl_tensor *tensor, int *buffer);               // NULL tensor: -1
BL_CHECK int bl_lower_values(bl_lowering *plan, bl_tensor *const *tensors, int count, int *buffers); // the same of several

// A buffer that an operator keeps with a tensor for nodes that are lowered after it, by what it is: "mask". The last one is found; -1: there
// is none.
BL_CHECK int bl_lower_attach(bl_lowering *plan, const bl_tensor *tensor, const char *what, int buffer);
int bl_lower_attached(const bl_lowering *plan, const bl_tensor *tensor, const char *what);

// ---- steps ----

BL_CHECK int bl_lower_step(bl_lowering *plan, const bl_node *node, bl_step_run *run, const int *buffers, int count, const void *state,
                           size_t state_bytes); // the state is copied
BL_CHECK int bl_lower_node(bl_lowering *plan, const bl_node *node); // by its operator, whatever it was fused into
BL_CHECK int bl_lower_alias(bl_lowering *plan, const bl_node *node); // an operator's `lower`: y is x
void bl_lower_note(bl_lowering *plan, const bl_node *node, const char *format, ...) BL_PRINTF(3, 4); // the implementation's name

static inline unsigned bl_step_phase(const bl_step *step) {
    return step->node ? step->node->phase : BL_PHASE_MICRO;
}

static inline void *bl_buffer_address(const bl_lowering *plan, int buffer) { // NULL: absent
    if (buffer < 0) return NULL;
    const bl_buffer *at = &plan->buffers[buffer];
    return at->input < 0 ? at->data : plan->staged[plan->slot * plan->uses.input_count + at->input];
}

static inline void *bl_step_at(const bl_lowering *plan, const bl_step *step, int operand) {
    return bl_buffer_address(plan, step->buffers[operand]);
}

#endif
