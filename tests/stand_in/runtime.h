// runtime.h - what the files of the stand-in's CUDA runtime share: memory.cpp, streams.cpp, capture.cpp, device.cpp.
//
// One lock guards everything, the device's work included: what is queued runs on the thread that waits for it, with the lock held.

#ifndef BL_STAND_IN_RUNTIME_H
#define BL_STAND_IN_RUNTIME_H

#include <cuda_runtime_api.h>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "stream.h"

using work = std::function<void()>;

// What is being recorded on one stream, later a graph.
struct capture {
    std::vector<work> items;
    cudaStreamCaptureMode mode;
    std::thread::id thread; // that began it
    bool invalidated = false;
};

struct CUstream_st {
    bool waits_for_default; // not cudaStreamNonBlocking
    std::deque<work> queue;
    std::shared_ptr<capture> capturing;
};

// A place in a stream's queue that someone may wait for.
struct point {
    CUstream_st *stream;
    std::shared_ptr<capture> of_capture; // recorded while its stream was captured: no place in a queue
    bool reached = false;
    double milliseconds = 0;
};

struct CUevent_st {
    bool is_timed;
    std::shared_ptr<point> recorded;
};

// ---- device.cpp ----
std::unique_lock<std::recursive_mutex> lock_device();
cudaError_t device_state();             // cudaSuccess, or why there is no device
cudaError_t noted(cudaError_t status);  // what this thread's cudaGetLastError gives back
cudaError_t asynchronous_error();       // of work that has run, told once
size_t claimed_number(const char *variable, size_t otherwise);
cudaError_t refused(cudaError_t status, const char *format, ...) __attribute__((format(printf, 2, 3))); // one line on stderr

// ---- memory.cpp ----
// Device memory can be touched only by the work that asked for it, until the device rests: elsewhere the host's touching it is a fault,
// as on a machine with a GPU. One lives wherever queued work runs.
struct device_at_work {
    device_at_work();
    ~device_at_work();
};
void open_all_memory();

// ---- streams.cpp ----
CUstream_st *resolved(cudaStream_t stream); // NULL: there is no such stream
cudaError_t queued(cudaStream_t stream, work item); // stand_in_submit with an answer
void run_all(CUstream_st *stream);
void run_everything();
std::shared_ptr<point> mark(CUstream_st *stream); // behind what it has
void wait_for(const point &at);

// ---- capture.cpp ----
// What must not be called while a stream is captured: fails and spoils the capture.
cudaError_t unsafe_in_capture();
cudaError_t spoiled(CUstream_st *stream, cudaError_t status);
bool default_stream_spoils_capture(); // it would wait for a stream that is being captured

#endif
