// stream.h - how the parts of the stand-in hand work to its streams.
//
// A stream runs nothing until someone waits for it (cudaStreamSynchronize, an event, a blocking copy): work happens as late as CUDA
// would allow, so that a host buffer reused too early or a result read too soon shows. While a stream is being captured its work goes
// into the graph instead.

#ifndef BL_STAND_IN_STREAM_H
#define BL_STAND_IN_STREAM_H

#include <cuda_runtime_api.h>
#include <functional>

// Queues `work` behind what the stream has. Everything it reads on the host by value: it runs later, and in a graph many times.
void stand_in_submit(cudaStream_t stream, std::function<void()> work);

// An error that the next cudaGetLastError (or the next waiting call) gives back, as CUDA's asynchronous errors do.
void stand_in_fail(cudaError_t error);

// Whether [data, data + bytes) lies in one live allocation of the device (cudaMalloc).
bool stand_in_is_device(const void *data, size_t bytes);

#endif
