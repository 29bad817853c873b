// streams.cpp - streams that run as late as CUDA allows, and events between them.

#include "runtime.h"

#include <algorithm>
#include <chrono>
#include <set>

static CUstream_st default_stream{true, {}, {}};
static std::set<CUstream_st *> streams;
static std::set<CUevent_st *> events;

CUstream_st *resolved(cudaStream_t stream) {
    if (!stream || stream == cudaStreamLegacy) return &default_stream;
    return streams.count(stream) ? stream : nullptr;
}

// ---- queues ----

// Popped before it runs: it may wait for another stream, which may wait for what this one has already done.
static void run_front(CUstream_st *stream) {
    const work item = std::move(stream->queue.front());
    stream->queue.pop_front();
    item();
}

void run_all(CUstream_st *stream) {
    device_at_work working;
    while (!stream->queue.empty()) run_front(stream);
}

void run_everything() {
    run_all(&default_stream);
    for (CUstream_st *each : streams) run_all(each);
}

// Strictly later than the one before: no two moments are the same.
static double now() {
    static double last;
    const auto since_start = std::chrono::steady_clock::now().time_since_epoch();
    return last = std::max(last + 0.001, std::chrono::duration<double, std::milli>(since_start).count());
}

std::shared_ptr<point> mark(CUstream_st *stream) {
    const auto at = std::make_shared<point>();
    at->stream = stream;
    stream->queue.push_back([at] {
        at->milliseconds = now();
        at->reached = true;
    });
    return at;
}

void wait_for(const point &at) {
    device_at_work working;
    while (!at.reached) run_front(at.stream);
}

static void depend(CUstream_st *stream, const std::shared_ptr<point> &at) {
    if (!at->reached) stream->queue.push_back([at] { wait_for(*at); });
}

// The default stream and those that are not cudaStreamNonBlocking wait for each other.
static void order_with_default(CUstream_st *stream) {
    if (stream != &default_stream) {
        if (stream->waits_for_default && !default_stream.queue.empty()) depend(stream, mark(&default_stream));
        return;
    }
    for (CUstream_st *each : streams)
        if (each->waits_for_default && !each->queue.empty()) depend(stream, mark(each));
}

// A stream that may get work: NULL and the reason where it may not.
static CUstream_st *usable(cudaStream_t handle, cudaError_t *status) {
    *status = device_state();
    if (*status) return nullptr;
    CUstream_st *stream = resolved(handle);
    if (!stream) *status = cudaErrorInvalidResourceHandle;
    else if (stream->capturing && stream->capturing->invalidated) *status = cudaErrorStreamCaptureInvalidated;
    else if (stream == &default_stream && default_stream_spoils_capture()) *status = cudaErrorStreamCaptureImplicit;
    return *status ? nullptr : stream;
}

cudaError_t queued(cudaStream_t handle, work item) {
    cudaError_t status;
    CUstream_st *stream = usable(handle, &status);
    if (!stream) return status;
    if (stream->capturing) {
        stream->capturing->items.push_back(std::move(item));
        return cudaSuccess;
    }
    order_with_default(stream);
    stream->queue.push_back(std::move(item));
    return cudaSuccess;
}

void stand_in_submit(cudaStream_t stream, std::function<void()> item) {
    const auto lock = lock_device();
    const cudaError_t status = queued(stream, [item = std::move(item)] {
        open_all_memory();
        item();
    });
    if (status) stand_in_fail(status);
}

// ---- streams ----

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags) {
    const auto lock = lock_device();
    const cudaError_t state = device_state();
    if (state) return noted(state);
    if (flags & ~(unsigned)cudaStreamNonBlocking) return noted(cudaErrorInvalidValue);
    *stream = new CUstream_st{!(flags & cudaStreamNonBlocking), {}, {}};
    streams.insert(*stream);
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    const auto lock = lock_device();
    if (!streams.count(stream)) return noted(cudaErrorInvalidResourceHandle);
    run_all(stream);
    streams.erase(stream);
    delete stream;
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
    const auto lock = lock_device();
    cudaError_t status = unsafe_in_capture();
    CUstream_st *stream = status ? nullptr : usable(handle, &status);
    if (!stream) return noted(status);
    order_with_default(stream);
    run_all(stream);
    return noted(asynchronous_error());
}

cudaError_t cudaDeviceSynchronize(void) {
    const auto lock = lock_device();
    cudaError_t status = device_state();
    if (!status) status = unsafe_in_capture();
    if (status) return noted(status);
    run_everything();
    return noted(asynchronous_error());
}

cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event, unsigned flags) {
    const auto lock = lock_device();
    cudaError_t status;
    CUstream_st *stream = usable(handle, &status);
    if (!stream) return noted(status);
    if (!events.count(event)) return noted(cudaErrorInvalidResourceHandle);
    if (flags) return noted(refused(cudaErrorNotSupported, "cudaStreamWaitEvent with flags"));
    const std::shared_ptr<point> at = event->recorded;
    if (!at) return cudaSuccess; // never recorded: nothing to wait for
    if (stream->capturing) {
        if (at->of_capture == stream->capturing) return cudaSuccess; // the graph's work is in order as it is
        return noted(spoiled(stream, cudaErrorStreamCaptureIsolation));
    }
    if (at->of_capture) return noted(refused(cudaErrorCapturedEvent, "an event of a captured stream orders that stream alone"));
    order_with_default(stream);
    depend(stream, at);
    return cudaSuccess;
}

// ---- events ----

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags) {
    const auto lock = lock_device();
    const cudaError_t state = device_state();
    if (state) return noted(state);
    *event = new CUevent_st{!(flags & cudaEventDisableTiming), {}};
    events.insert(*event);
    return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *event) { return cudaEventCreateWithFlags(event, cudaEventDefault); }

cudaError_t cudaEventDestroy(cudaEvent_t event) {
    const auto lock = lock_device();
    if (!events.erase(event)) return noted(cudaErrorInvalidResourceHandle);
    delete event;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t handle) {
    const auto lock = lock_device();
    cudaError_t status;
    CUstream_st *stream = usable(handle, &status);
    if (!stream) return noted(status);
    if (!events.count(event)) return noted(cudaErrorInvalidResourceHandle);
    if (stream->capturing) {
        event->recorded = std::make_shared<point>();
        event->recorded->stream = stream;
        event->recorded->of_capture = stream->capturing;
        return cudaSuccess;
    }
    order_with_default(stream);
    event->recorded = mark(stream);
    return cudaSuccess;
}

// What a host may ask of an event: not while something is captured, and nothing of one that was recorded there.
static cudaError_t check_asked(cudaEvent_t event) {
    const cudaError_t state = device_state();
    if (state) return state;
    if (!events.count(event)) return cudaErrorInvalidResourceHandle;
    const cudaError_t status = unsafe_in_capture();
    if (status) return status;
    return event->recorded && event->recorded->of_capture ? cudaErrorCapturedEvent : cudaSuccess;
}

// Each question that is answered "not yet" lets the device do one more piece of work: whoever asks on gets there.
cudaError_t cudaEventQuery(cudaEvent_t event) {
    const auto lock = lock_device();
    const cudaError_t status = check_asked(event);
    if (status || !event->recorded || event->recorded->reached) return noted(status);
    device_at_work working;
    run_front(event->recorded->stream);
    return noted(cudaErrorNotReady);
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    const auto lock = lock_device();
    const cudaError_t status = check_asked(event);
    if (status || !event->recorded) return noted(status);
    const std::shared_ptr<point> at = event->recorded;
    wait_for(*at);
    return noted(asynchronous_error());
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t start, cudaEvent_t end) {
    const auto lock = lock_device();
    for (cudaEvent_t event : {start, end}) {
        const cudaError_t status = check_asked(event);
        if (status) return noted(status);
        if (!event->recorded || !event->is_timed) return noted(cudaErrorInvalidResourceHandle);
    }
    if (!start->recorded->reached || !end->recorded->reached) return noted(cudaErrorNotReady);
    *milliseconds = (float)(end->recorded->milliseconds - start->recorded->milliseconds);
    return cudaSuccess;
}
