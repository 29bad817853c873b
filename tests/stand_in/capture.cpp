// capture.cpp - streams captured into graphs, and graphs replayed. One stream a capture: its work is a list, in order.

#include "runtime.h"

#include <set>

struct CUgraph_st {
    std::shared_ptr<const capture> recorded;
};

struct CUgraphExec_st {
    std::shared_ptr<const capture> recorded;
};

static std::set<CUstream_st *> capturing;

cudaError_t spoiled(CUstream_st *stream, cudaError_t status) {
    stream->capturing->invalidated = true;
    return status;
}

// By the mode it was begun in, a capture minds such calls of every thread, of its own, or none.
cudaError_t unsafe_in_capture() {
    cudaError_t status = cudaSuccess;
    for (CUstream_st *stream : capturing) {
        const capture &at = *stream->capturing;
        const bool minds = at.mode == cudaStreamCaptureModeGlobal ||
                           (at.mode == cudaStreamCaptureModeThreadLocal && at.thread == std::this_thread::get_id());
        if (minds) status = spoiled(stream, cudaErrorStreamCaptureUnsupported);
    }
    return status;
}

bool default_stream_spoils_capture() {
    bool spoils = false;
    for (CUstream_st *stream : capturing)
        if (stream->waits_for_default) {
            stream->capturing->invalidated = true;
            spoils = true;
        }
    return spoils;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus *status) {
    const auto lock = lock_device();
    CUstream_st *stream = resolved(handle);
    if (!stream) return noted(cudaErrorInvalidResourceHandle);
    if (!stream->capturing) *status = cudaStreamCaptureStatusNone;
    else *status = stream->capturing->invalidated ? cudaStreamCaptureStatusInvalidated : cudaStreamCaptureStatusActive;
    return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode) {
    const auto lock = lock_device();
    const cudaError_t state = device_state();
    if (state) return noted(state);
    CUstream_st *stream = resolved(handle);
    if (!stream) return noted(cudaErrorInvalidResourceHandle);
    if (stream == resolved(nullptr)) return noted(cudaErrorStreamCaptureUnsupported);
    if (stream->capturing) return noted(cudaErrorIllegalState);
    stream->capturing = std::make_shared<capture>();
    stream->capturing->mode = mode;
    stream->capturing->thread = std::this_thread::get_id();
    capturing.insert(stream);
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t *graph) {
    const auto lock = lock_device();
    *graph = nullptr;
    CUstream_st *stream = resolved(handle);
    if (!stream) return noted(cudaErrorInvalidResourceHandle);
    if (!stream->capturing) return noted(cudaErrorStreamCaptureUnmatched);
    if (stream->capturing->mode != cudaStreamCaptureModeRelaxed && stream->capturing->thread != std::this_thread::get_id())
        return noted(spoiled(stream, cudaErrorStreamCaptureWrongThread));
    const std::shared_ptr<capture> recorded = std::move(stream->capturing);
    stream->capturing.reset();
    capturing.erase(stream);
    if (recorded->invalidated) return noted(cudaErrorStreamCaptureInvalidated);
    *graph = new CUgraph_st{recorded};
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *executable, cudaGraph_t graph, unsigned long long) {
    const auto lock = lock_device();
    const cudaError_t state = device_state();
    if (state) return noted(state);
    if (!graph) return noted(cudaErrorInvalidValue);
    *executable = new CUgraphExec_st{graph->recorded};
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
    const auto lock = lock_device();
    if (!executable) return noted(cudaErrorInvalidValue);
    const std::shared_ptr<const capture> recorded = executable->recorded; // outlives the executable where that is destroyed early
    return noted(queued(stream, [recorded] {
        for (const work &item : recorded->items) item();
    }));
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
    delete executable;
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    delete graph;
    return cudaSuccess;
}
