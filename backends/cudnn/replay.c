// `step` only queues: the slot's batch on a stream of its own, then the phases' work, then the watched scalars into pinned memory. It
// waits for nothing. A combination of phases runs eagerly the first time, which loads every kernel (that may not happen during a
// capture), and from then on as a CUDA graph, captured once a slot because the addresses of a batch are the slot's.

#include "backends/cudnn/replay.h"

#include "backends/cudnn/device.h"
#include "backends/cudnn/kernels/watch.h"
#include "backends/cudnn/weights.h"
#include "backends/lowering/access.h"
#include "backends/lowering/memory.h" // bl_lower_input_bytes
#include "base/memory.h"              // bl_alloc
#include "graph/op.h"                 // bl_op_rules

_Static_assert(BL_GPU_WATCHED == BL_WATCHED + 1, "the watched scalars and FINITE");

#define PHASE_MASKS 8 // combinations of bl_phase

struct bl_gpu_replay {
    cudaGraphExec_t graphs[BL_STAGING_SLOTS][PHASE_MASKS];
    bool has_run[PHASE_MASKS];
    bool has_phase[PHASE_MASKS];     // by single phase: whether a step belongs to it
    cudaEvent_t copied[BL_STAGING_SLOTS];   // the slot's batch has left the host
    cudaEvent_t consumed[BL_STAGING_SLOTS]; // the last step that read the slot's image on the device is over
    cudaEvent_t begin, end;                 // around a timed step
    const float *sources[BL_GPU_WATCHED];   // the watched scalars and FINITE
    int watch_count;
    float *collected;                       // of the device
    float *values;                          // pinned: BL_GPU_WATCHED a step kept
    cudaEvent_t done[BL_STEPS_AHEAD];
    int64_t steps;
    bool moves[BL_MAX_NETWORKS];            // a node of the graph writes the network's parameters
};

// What the host waits for: asleep, as it would spin otherwise, on a processor that the loader's threads want.
#define AWAITED (cudaEventDisableTiming | cudaEventBlockingSync)

static int make_event(cudaEvent_t *event, unsigned flags) {
    return bl_gpu_cuda(cudaEventCreateWithFlags(event, flags), "making an event");
}

// Buffers are packed nowhere.
static void find_moved(const bl_graph *graph, bool *moves) {
    for (int n = 0; n < graph->node_count; n++) {
        const bl_node *node = graph->nodes[n];
        const int *writes = bl_op_rules[node->op]->writes;
        for (int i = 0; i < BL_MAX_INPUTS && writes[i]; i++) {
            const bl_place place = node->inputs[writes[i] - 1]->place;
            if (place.network != BL_SCALAR_NETWORK && place.block == BL_PARAMETERS) moves[place.network] = true;
        }
    }
}

static int watch(bl_gpu_plan *plan, bl_gpu_replay *made, bl_tensor *const *tensors, int count) {
    if (!count) return BL_OK;
    for (int i = 0; i < count; i++) made->sources[i] = plan->lowering.buffers[plan->lowering.buffer_of[tensors[i]->id]].data;
    made->sources[count] = plan->lowering.store->scalars + BL_SCALAR_FINITE;
    made->watch_count = count;
    const size_t bytes = BL_GPU_WATCHED * sizeof(float);
    return bl_gpu_cuda(cudaMalloc((void **)&made->collected, bytes), "memory for watched values") ||
           bl_gpu_cuda(cudaMallocHost((void **)&made->values, BL_STEPS_AHEAD * bytes), "pinned memory for watched values");
}

int bl_gpu_replay_create(bl_gpu_plan *plan, bl_tensor *const *tensors, int count) {
    if (bl_gpu_backend_of(&plan->lowering)->is_described) return BL_OK;
    bl_gpu_replay *made = plan->replay = bl_alloc(sizeof *made);
    if (!made) return BL_FAILED;
    find_moved(plan->lowering.base.graph, made->moves);
    for (int slot = 0; slot < BL_STAGING_SLOTS; slot++)
        if (make_event(&made->copied[slot], AWAITED) || make_event(&made->consumed[slot], cudaEventDisableTiming)) return BL_FAILED;
    for (int i = 0; i < BL_STEPS_AHEAD; i++)
        if (make_event(&made->done[i], AWAITED)) return BL_FAILED;
    for (int i = 0; i < plan->lowering.step_count; i++) made->has_phase[bl_step_phase(&plan->lowering.steps[i])] = true;
    return make_event(&made->begin, cudaEventDefault) || make_event(&made->end, cudaEventDefault) || watch(plan, made, tensors, count);
}

static void free_event(cudaEvent_t event) {
    if (event) cudaEventDestroy(event);
}

void bl_gpu_replay_free(bl_gpu_plan *plan) {
    bl_gpu_replay *self = plan->replay;
    if (!self) return;
    for (int slot = 0; slot < BL_STAGING_SLOTS; slot++) {
        for (int mask = 0; mask < PHASE_MASKS; mask++)
            if (self->graphs[slot][mask]) cudaGraphExecDestroy(self->graphs[slot][mask]);
        free_event(self->copied[slot]);
        free_event(self->consumed[slot]);
    }
    for (int i = 0; i < BL_STEPS_AHEAD; i++) free_event(self->done[i]);
    free_event(self->begin);
    free_event(self->end);
    if (self->collected) cudaFree(self->collected);
    if (self->values) cudaFreeHost(self->values);
    bl_free(self);
}

// ---- batches ----

// Until the slot's batch has left the host's memory.
static int wait_for_slot(const bl_gpu_plan *plan, int slot) {
    return bl_gpu_cuda(cudaEventSynchronize(plan->replay->copied[slot]), "waiting for a batch to leave the host");
}

static int check_runs(const bl_lowering *plan) {
    return plan->is_described ? bl_fail("a plan for a described device (%s) cannot run", bl_gpu_backend_of(plan)->name) : BL_OK;
}

int bl_gpu_slot(bl_plan *plan, int slot, const bl_tensor *input, float **host) {
    const bl_gpu_plan *self = (const bl_gpu_plan *)plan;
    if (check_runs(&self->lowering) || wait_for_slot(self, slot)) return BL_FAILED;
    *host = self->lowering.host[slot * self->lowering.uses.input_count + bl_uses_input(&self->lowering.uses, input)];
    return BL_OK;
}

static int bring_batch(const bl_gpu_plan *plan, int slot) {
    const bl_gpu_replay *replay = plan->replay;
    const bl_lowering *lowering = &plan->lowering;
    const bl_gpu_backend *backend = bl_gpu_backend_of(lowering);
    if (bl_gpu_cuda(cudaStreamWaitEvent(backend->copies, replay->consumed[slot], 0), "ordering a batch")) return BL_FAILED;
    for (int i = 0; i < lowering->uses.input_count; i++) {
        const size_t bytes = bl_lower_input_bytes(lowering, i);
        const int at = slot * lowering->uses.input_count + i;
        if (bl_gpu_cuda(cudaMemcpyAsync(lowering->staged[at], lowering->host[at], bytes, cudaMemcpyHostToDevice, backend->copies),
                        "bringing a batch"))
            return BL_FAILED;
    }
    return bl_gpu_cuda(cudaEventRecord(replay->copied[slot], backend->copies), "ordering a batch") ||
           bl_gpu_cuda(cudaStreamWaitEvent(backend->stream, replay->copied[slot], 0), "ordering a batch");
}

// ---- phases ----

static int run_eagerly(const bl_gpu_plan *plan, unsigned phases) {
    for (int i = 0; i < plan->lowering.step_count; i++) {
        const bl_step *step = &plan->lowering.steps[i];
        if (bl_step_phase(step) & phases && step->run(&plan->lowering, step)) return BL_FAILED;
    }
    return bl_gpu_cuda(cudaGetLastError(), "launching kernels");
}

// One step after the other, waiting for each.
static int run_timed(bl_gpu_plan *plan, unsigned phases) {
    const bl_gpu_replay *replay = plan->replay;
    const cudaStream_t stream = bl_gpu_stream(&plan->lowering);
    for (int i = 0; i < plan->lowering.step_count; i++) {
        const bl_step *step = &plan->lowering.steps[i];
        float milliseconds;
        if (!(bl_step_phase(step) & phases)) continue;
        if (bl_gpu_cuda(cudaEventRecord(replay->begin, stream), "timing") || step->run(&plan->lowering, step) ||
            bl_gpu_cuda(cudaEventRecord(replay->end, stream), "timing") || bl_gpu_cuda(cudaEventSynchronize(replay->end), "timing") ||
            bl_gpu_cuda(cudaEventElapsedTime(&milliseconds, replay->begin, replay->end), "timing"))
            return BL_FAILED;
        if (step->node) plan->lowering.rows[step->node->id].seconds += 1e-3 * (double)milliseconds;
    }
    return BL_OK;
}

static int capture(bl_gpu_plan *plan, unsigned phases, cudaGraphExec_t *exec) {
    const cudaStream_t stream = bl_gpu_stream(&plan->lowering);
    cudaGraph_t graph = NULL;
    if (bl_gpu_cuda(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "beginning a capture")) return BL_FAILED;
    int status = run_eagerly(plan, phases);
    const cudaError_t ended = cudaStreamEndCapture(stream, &graph); // in any case: the stream must leave capture
    if (!status) status = bl_gpu_cuda(ended, "ending a capture");
    if (!status) status = bl_gpu_cuda(cudaGraphInstantiate(exec, graph, 0), "making a graph of a phase");
    if (graph) cudaGraphDestroy(graph);
    return status;
}

static int run_phases(bl_gpu_plan *plan, unsigned phases) {
    bl_gpu_replay *replay = plan->replay;
    if (!phases) return BL_OK;
    if (plan->lowering.is_timed) return run_timed(plan, phases);
    if (bl_gpu_backend_of(&plan->lowering)->is_eager || !replay->has_run[phases]) {
        replay->has_run[phases] = true;
        return run_eagerly(plan, phases);
    }
    cudaGraphExec_t *exec = &replay->graphs[plan->lowering.slot][phases];
    if (!*exec && capture(plan, phases, exec)) return BL_FAILED;
    return bl_gpu_cuda(cudaGraphLaunch(*exec, bl_gpu_stream(&plan->lowering)), "replaying a phase");
}

static void mark_moved(bl_gpu_plan *plan) {
    for (int n = 0; n < BL_MAX_NETWORKS; n++)
        if (plan->replay->moves[n]) plan->lowering.store->versions[n]++;
}

static int keep_watched(bl_gpu_plan *plan) {
    bl_gpu_replay *replay = plan->replay;
    const cudaStream_t stream = bl_gpu_stream(&plan->lowering);
    const int entry = (int)(replay->steps++ % BL_STEPS_AHEAD), count = replay->watch_count + 1;
    if (!replay->watch_count) return BL_OK;
    bl_gpu_collect(stream, replay->sources, count, replay->collected);
    return bl_gpu_cuda(cudaMemcpyAsync(replay->values + entry * BL_GPU_WATCHED, replay->collected, (size_t)count * sizeof(float),
                                       cudaMemcpyDeviceToHost, stream),
                       "reading watched values") ||
           bl_gpu_cuda(cudaEventRecord(replay->done[entry], stream), "reading watched values");
}

int bl_gpu_step(bl_plan *plan, int slot, unsigned phases) {
    bl_gpu_plan *self = (bl_gpu_plan *)plan;
    if (check_runs(&self->lowering)) return BL_FAILED;
    bl_gpu_replay *replay = self->replay;
    self->lowering.slot = slot;
    if (bring_batch(self, slot)) return BL_FAILED;
    if (phases & BL_PHASE_BEGIN && replay->has_phase[BL_PHASE_BEGIN]) {
        if (run_phases(self, BL_PHASE_BEGIN)) return BL_FAILED;
        mark_moved(self);
    }
    const unsigned rest = phases & (BL_PHASE_MICRO | BL_PHASE_UPDATE);
    if (bl_gpu_weights_refresh(self) || run_phases(self, rest)) return BL_FAILED;
    if (phases & BL_PHASE_UPDATE) mark_moved(self);
    if (bl_gpu_cuda(cudaEventRecord(replay->consumed[slot], bl_gpu_stream(&self->lowering)), "ordering a batch")) return BL_FAILED;
    return keep_watched(self);
}

int bl_gpu_watched(bl_plan *plan, int back, double *values, double *finite) {
    const bl_gpu_plan *self = (const bl_gpu_plan *)plan;
    const bl_gpu_replay *replay = self->replay;
    if (!replay || !replay->watch_count) return bl_fail("this plan watches nothing");
    if (back < 0 || back >= BL_STEPS_AHEAD || back >= replay->steps) return bl_fail("the values of %d steps ago are not kept", back);
    const int entry = (int)((replay->steps - 1 - back) % BL_STEPS_AHEAD);
    if (bl_gpu_cuda(cudaEventSynchronize(replay->done[entry]), "waiting for a step")) return BL_FAILED;
    const float *kept = replay->values + entry * BL_GPU_WATCHED;
    for (int i = 0; i < replay->watch_count; i++) values[i] = (double)kept[i];
    *finite = (double)kept[replay->watch_count];
    return BL_OK;
}

// ---- direct access ----

int bl_gpu_read(bl_plan *plan, const bl_tensor *tensor, double *dst) {
    const bl_lowering *self = (const bl_lowering *)plan;
    int buffer;
    if (check_runs(self)) return BL_FAILED;
    if (tensor->role == BL_ROLE_INPUT) {
        bl_lowered_read_input(self, tensor, dst);
        return BL_OK;
    }
    if (bl_lowered_find(self, tensor, &buffer)) return BL_FAILED;
    const size_t bytes = self->bytes_of[tensor->id];
    void *values = bl_alloc(bytes);
    if (!values) return BL_FAILED;
    const int status = bl_gpu_download(bl_gpu_backend_of(self), values, bl_buffer_address(self, buffer), bytes);
    if (!status) bl_lowered_widen(values, tensor->dtype, 0, (size_t)bl_shape_count(&tensor->shape), dst);
    bl_free(values);
    return status;
}
