#include "backends/cudnn/device.h"

int bl_gpu_cuda(cudaError_t status, const char *what) {
    if (status == cudaSuccess) return BL_OK;
    (void)cudaGetLastError(); // it is told here, and must not show again at the next launch
    return bl_fail("%s: CUDA says %s (%s)", what, cudaGetErrorString(status), cudaGetErrorName(status));
}

int bl_gpu_cublas(cublasStatus_t status, const char *what) {
    return status == CUBLAS_STATUS_SUCCESS ? BL_OK : bl_fail("%s: cuBLAS says %s", what, cublasGetStatusString(status));
}

int bl_gpu_take(void **data, size_t bytes) {
    return bl_gpu_cuda(cudaMalloc(data, bytes ? bytes : 1), "memory of a plan");
}

int bl_gpu_upload(const bl_gpu_backend *backend, void *data, const void *host, size_t bytes) {
    return bl_gpu_cuda(cudaStreamSynchronize(backend->stream), "waiting for steps") ||
           bl_gpu_cuda(cudaMemcpy(data, host, bytes, cudaMemcpyHostToDevice), "writing to the device") ||
           bl_gpu_cuda(cudaStreamSynchronize(NULL), "writing to the device");
}

int bl_gpu_download(const bl_gpu_backend *backend, void *host, const void *data, size_t bytes) {
    return bl_gpu_cuda(cudaStreamSynchronize(backend->stream), "waiting for steps") ||
           bl_gpu_cuda(cudaMemcpy(host, data, bytes, cudaMemcpyDeviceToHost), "reading from the device");
}
