// What runs: batches brought to the device, phases replayed from captured graphs, values given back.
//
// `step` only queues: the slot's batch on a stream of its own, then the phases' work, then the watched scalars into pinned memory. It
// waits for nothing. A combination of phases runs eagerly the first time, which loads every kernel (that may not happen during a
// capture), and from then on as a CUDA graph, captured once a slot because the addresses of a batch are the slot's.

#include <string.h>

#include "backends/cudnn/gpu.h"
#include "base/memory.h" // bl_alloc

struct bl_gpu_replay {
    cudaGraphExec_t graphs[BL_STAGING_SLOTS][BL_GPU_PHASE_MASKS];
    bool has_run[BL_GPU_PHASE_MASKS];
    bool has_phase[BL_GPU_PHASE_MASKS];     // by single phase: whether a step belongs to it
    cudaEvent_t copied[BL_STAGING_SLOTS];   // the slot's batch has left the host
    cudaEvent_t consumed[BL_STAGING_SLOTS]; // the last step that read the slot's image on the device is over
    cudaEvent_t begin, end;                 // around a timed step
    const float *sources[BL_GPU_WATCHED];   // the watched scalars and FINITE
    int watch_count;
    float *collected;                       // of the device
    float *values;                          // pinned: BL_GPU_WATCHED a step kept
    cudaEvent_t done[BL_STEPS_AHEAD];
    int64_t steps;
};

// What the host waits for: asleep, as it would spin otherwise, on a processor that the loader's threads want.
#define AWAITED (cudaEventDisableTiming | cudaEventBlockingSync)

static int make_event(cudaEvent_t *event, unsigned flags) {
    return bl_gpu_cuda(cudaEventCreateWithFlags(event, flags), "making an event");
}

static int watch(bl_gpu_plan *plan, bl_gpu_replay *made, bl_tensor *const *tensors, int count) {
    if (!count) return BL_OK;
    for (int i = 0; i < count; i++) made->sources[i] = plan->buffers[plan->buffer_of[tensors[i]->id]].data;
    made->sources[count] = plan->store->scalars + BL_SCALAR_FINITE;
    made->watch_count = count;
    const size_t bytes = BL_GPU_WATCHED * sizeof(float);
    return bl_gpu_cuda(cudaMalloc((void **)&made->collected, bytes), "memory for watched values") ||
           bl_gpu_cuda(cudaMallocHost((void **)&made->values, BL_STEPS_AHEAD * bytes), "pinned memory for watched values");
}

int bl_gpu_replay_create(bl_gpu_plan *plan, bl_tensor *const *tensors, int count) {
    if (plan->backend->is_described) return BL_OK;
    bl_gpu_replay *made = plan->replay = bl_alloc(sizeof *made);
    if (!made) return BL_FAILED;
    for (int slot = 0; slot < BL_STAGING_SLOTS; slot++)
        if (make_event(&made->copied[slot], AWAITED) || make_event(&made->consumed[slot], cudaEventDisableTiming)) return BL_FAILED;
    for (int i = 0; i < BL_STEPS_AHEAD; i++)
        if (make_event(&made->done[i], AWAITED)) return BL_FAILED;
    for (int i = 0; i < plan->step_count; i++) made->has_phase[plan->steps[i].node ? plan->steps[i].node->phase : BL_PHASE_MICRO] = true;
    return make_event(&made->begin, cudaEventDefault) || make_event(&made->end, cudaEventDefault) || watch(plan, made, tensors, count);
}

static void free_event(cudaEvent_t event) {
    if (event) cudaEventDestroy(event);
}

void bl_gpu_replay_free(bl_gpu_plan *plan) {
    bl_gpu_replay *self = plan->replay;
    if (!self) return;
    for (int slot = 0; slot < BL_STAGING_SLOTS; slot++) {
        for (int mask = 0; mask < BL_GPU_PHASE_MASKS; mask++)
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

int bl_gpu_slot_wait(const bl_gpu_plan *plan, int slot) {
    return bl_gpu_cuda(cudaEventSynchronize(plan->replay->copied[slot]), "waiting for a batch to leave the host");
}

static int check_runs(const bl_gpu_plan *plan) {
    return plan->backend->is_described ? bl_fail("a plan for a described device (%s) cannot run", plan->backend->name) : BL_OK;
}

int bl_gpu_slot(bl_plan *plan, int slot, const bl_tensor *input, float **host) {
    const bl_gpu_plan *self = (const bl_gpu_plan *)plan;
    if (check_runs(self) || bl_gpu_slot_wait(self, slot)) return BL_FAILED;
    *host = self->host[slot * self->uses.input_count + bl_uses_input(&self->uses, input)];
    return BL_OK;
}

static int bring_batch(const bl_gpu_plan *plan, int slot) {
    const bl_gpu_replay *replay = plan->replay;
    const bl_gpu_backend *backend = plan->backend;
    if (bl_gpu_cuda(cudaStreamWaitEvent(backend->copies, replay->consumed[slot], 0), "ordering a batch")) return BL_FAILED;
    for (int i = 0; i < plan->uses.input_count; i++) {
        const size_t bytes = (size_t)bl_shape_count(&plan->uses.inputs[i]->shape) * sizeof(float);
        const int at = slot * plan->uses.input_count + i;
        if (bl_gpu_cuda(cudaMemcpyAsync(plan->staging[at], plan->host[at], bytes, cudaMemcpyHostToDevice, backend->copies), "bringing a batch"))
            return BL_FAILED;
    }
    return bl_gpu_cuda(cudaEventRecord(replay->copied[slot], backend->copies), "ordering a batch") ||
           bl_gpu_cuda(cudaStreamWaitEvent(backend->stream, replay->copied[slot], 0), "ordering a batch");
}

// ---- phases ----

static unsigned phase_of(const bl_gpu_step *step) {
    return step->node ? step->node->phase : BL_PHASE_MICRO;
}

static int run_eagerly(const bl_gpu_plan *plan, unsigned phases) {
    for (int i = 0; i < plan->step_count; i++)
        if (phase_of(&plan->steps[i]) & phases && plan->steps[i].run(plan, &plan->steps[i])) return BL_FAILED;
    return bl_gpu_cuda(cudaGetLastError(), "launching kernels");
}

// One step after the other, waiting for each.
static int run_timed(bl_gpu_plan *plan, unsigned phases) {
    const bl_gpu_replay *replay = plan->replay;
    const cudaStream_t stream = plan->backend->stream;
    for (int i = 0; i < plan->step_count; i++) {
        const bl_gpu_step *step = &plan->steps[i];
        float milliseconds;
        if (!(phase_of(step) & phases)) continue;
        if (bl_gpu_cuda(cudaEventRecord(replay->begin, stream), "timing") || step->run(plan, step) ||
            bl_gpu_cuda(cudaEventRecord(replay->end, stream), "timing") || bl_gpu_cuda(cudaEventSynchronize(replay->end), "timing") ||
            bl_gpu_cuda(cudaEventElapsedTime(&milliseconds, replay->begin, replay->end), "timing"))
            return BL_FAILED;
        if (step->node) plan->rows[step->node->id].seconds += 1e-3 * (double)milliseconds;
    }
    return BL_OK;
}

static int capture(bl_gpu_plan *plan, unsigned phases, cudaGraphExec_t *exec) {
    const cudaStream_t stream = plan->backend->stream;
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
    if (plan->is_timed) return run_timed(plan, phases);
    if (plan->backend->is_eager || !replay->has_run[phases]) {
        replay->has_run[phases] = true;
        return run_eagerly(plan, phases);
    }
    cudaGraphExec_t *exec = &replay->graphs[plan->slot][phases];
    if (!*exec && capture(plan, phases, exec)) return BL_FAILED;
    return bl_gpu_cuda(cudaGraphLaunch(*exec, plan->backend->stream), "replaying a phase");
}

static void mark_moved(bl_gpu_plan *plan) {
    for (int n = 0; n < BL_MAX_NETWORKS; n++)
        if (plan->moves[n]) plan->store->versions[n]++;
}

static int pack_stale(bl_gpu_plan *plan) {
    for (int i = 0; i < plan->packed_count; i++) {
        bl_gpu_packed *packed = &plan->packed[i];
        const uint64_t version = plan->store->versions[packed->place.network];
        size_t count;
        if (packed->version == version) continue;
        const float *master = bl_gpu_store_at(plan->store, packed->place, &count);
        if (packed->from == packed->to)
            bl_gpu_cast(plan->backend->stream, master, false, packed->data, packed->is_half, packed->rows);
        else
            bl_gpu_resize_rows(plan->backend->stream, master, false, packed->rows, packed->from, packed->data, packed->is_half, packed->to);
        packed->version = version;
    }
    return bl_gpu_cuda(cudaGetLastError(), "packing weights");
}

static int keep_watched(bl_gpu_plan *plan) {
    bl_gpu_replay *replay = plan->replay;
    const cudaStream_t stream = plan->backend->stream;
    const int entry = (int)(replay->steps++ % BL_STEPS_AHEAD), count = replay->watch_count + 1;
    if (!replay->watch_count) return BL_OK;
    bl_gpu_collect(stream, replay->sources, count, replay->collected);
    return bl_gpu_cuda(cudaMemcpyAsync(replay->values + entry * BL_GPU_WATCHED, replay->collected, (size_t)count * sizeof(float),
                                       cudaMemcpyDeviceToHost, stream),
                       "reading watched values") ||
           bl_gpu_cuda(cudaEventRecord(replay->done[entry], stream), "reading watched values");
}

int bl_gpu_step_run(bl_plan *plan, int slot, unsigned phases) {
    bl_gpu_plan *self = (bl_gpu_plan *)plan;
    if (check_runs(self)) return BL_FAILED;
    bl_gpu_replay *replay = self->replay;
    self->slot = slot;
    if (bring_batch(self, slot)) return BL_FAILED;
    if (phases & BL_PHASE_BEGIN && replay->has_phase[BL_PHASE_BEGIN]) {
        if (run_phases(self, BL_PHASE_BEGIN)) return BL_FAILED;
        mark_moved(self);
    }
    const unsigned rest = phases & (BL_PHASE_MICRO | BL_PHASE_UPDATE);
    if (pack_stale(self) || run_phases(self, rest)) return BL_FAILED;
    if (phases & BL_PHASE_UPDATE) mark_moved(self);
    if (bl_gpu_cuda(cudaEventRecord(replay->consumed[slot], self->backend->stream), "ordering a batch")) return BL_FAILED;
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

int bl_gpu_write(bl_plan *plan, const bl_tensor *tensor, const double *src) {
    const int64_t count = bl_shape_count(&tensor->shape);
    for (int slot = 0; slot < BL_STAGING_SLOTS; slot++) {
        float *dst;
        if (bl_gpu_slot(plan, slot, tensor, &dst)) return BL_FAILED;
        for (int64_t i = 0; i < count; i++) dst[i] = (float)src[i];
    }
    return BL_OK;
}

static void widen(const void *from, bl_dtype dtype, int64_t count, double *dst) {
    for (int64_t i = 0; i < count; i++) {
        float value;
        if (dtype == BL_F32) {
            value = ((const float *)from)[i];
        } else {
            const uint32_t bits = (uint32_t)((const uint16_t *)from)[i] << 16;
            memcpy(&value, &bits, sizeof value);
        }
        dst[i] = (double)value;
    }
}

int bl_gpu_read(bl_plan *plan, const bl_tensor *tensor, double *dst) {
    const bl_gpu_plan *self = (const bl_gpu_plan *)plan;
    const int64_t count = bl_shape_count(&tensor->shape);
    if (check_runs(self)) return BL_FAILED;
    if (tensor->role == BL_ROLE_INPUT) {
        const float *src = self->host[self->slot * self->uses.input_count + bl_uses_input(&self->uses, tensor)];
        for (int64_t i = 0; i < count; i++) dst[i] = bl_round_to(tensor->dtype, (double)src[i]);
        return BL_OK;
    }
    const int buffer = self->buffer_of[tensor->id];
    if (!bl_uses_keep(&self->uses, tensor) || buffer < 0) return bl_fail("'%s' is not observed by this plan", tensor->name);
    void *values = bl_alloc(bl_gpu_bytes(tensor));
    if (!values) return BL_FAILED;
    const int status = bl_gpu_download(self->backend, values, bl_gpu_address(self, buffer), bl_gpu_bytes(tensor));
    if (!status) widen(values, tensor->dtype, count, dst);
    bl_free(values);
    return status;
}

void bl_gpu_timing(bl_plan *plan, bool on) {
    ((bl_gpu_plan *)plan)->is_timed = on;
}
