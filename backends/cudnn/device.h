// device.h - calls of CUDA and cuBLAS as this program's status, and memory between the device and the host.

#ifndef BL_BACKENDS_CUDNN_DEVICE_H
#define BL_BACKENDS_CUDNN_DEVICE_H

#include "backends/cudnn/gpu.h"

BL_CHECK int bl_gpu_cuda(cudaError_t status, const char *what); // BL_OK, or the failure's message
BL_CHECK int bl_gpu_cublas(cublasStatus_t status, const char *what);

BL_CHECK int bl_gpu_take(void **data, size_t bytes); // memory of a plan; an address even of 0 bytes

// Between the device and ordinary memory of the host, in order with the backend's stream. (CUDA's blocking calls work on its default
// stream, which the backend's do not wait for, and some return before the device is done.)
BL_CHECK int bl_gpu_upload(const bl_gpu_backend *backend, void *data, const void *host, size_t bytes); // done when it returns
BL_CHECK int bl_gpu_download(const bl_gpu_backend *backend, void *host, const void *data, size_t bytes);

#endif
