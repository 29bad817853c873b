// device.cpp - which device the stand-in claims to be, and its errors. The claims come from the environment, so that tests can ask for
// a machine without a driver, with one too old, without a device, or with a small one.

#include "runtime.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

std::unique_lock<std::recursive_mutex> lock_device() {
    static std::recursive_mutex device;
    return std::unique_lock<std::recursive_mutex>(device);
}

size_t claimed_number(const char *variable, size_t otherwise) {
    const char *text = getenv(variable);
    return text ? strtoull(text, nullptr, 10) : otherwise;
}

static int driver() { return (int)claimed_number("BYOLAB_STAND_IN_DRIVER", CUDART_VERSION); }
static int devices() { return (int)claimed_number("BYOLAB_STAND_IN_DEVICES", 1); }

// A driver of the same major version will do; none at all is the same error.
cudaError_t device_state() {
    if (driver() / 1000 < CUDART_VERSION / 1000) return cudaErrorInsufficientDriver;
    return devices() ? cudaSuccess : cudaErrorNoDevice;
}

// ---- errors ----

static thread_local cudaError_t last_error = cudaSuccess;
static cudaError_t failed_work = cudaSuccess;

cudaError_t noted(cudaError_t status) {
    if (status) last_error = status;
    return status;
}

void stand_in_fail(cudaError_t error) {
    const auto lock = lock_device();
    failed_work = error;
}

cudaError_t asynchronous_error() {
    const cudaError_t error = failed_work;
    failed_work = cudaSuccess;
    return error;
}

cudaError_t refused(cudaError_t status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("stand-in: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return status;
}

cudaError_t cudaPeekAtLastError(void) {
    const auto lock = lock_device();
    return last_error ? last_error : failed_work;
}

cudaError_t cudaGetLastError(void) {
    const auto lock = lock_device();
    const cudaError_t asynchronous = asynchronous_error();
    const cudaError_t error = last_error ? last_error : asynchronous;
    last_error = cudaSuccess;
    return error;
}

struct error_text {
    cudaError_t error;
    const char *name, *text;
};

#define TEXT(error, text) {error, #error, text}
static const error_text texts[] = {
    TEXT(cudaSuccess, "no error"),
    TEXT(cudaErrorInvalidValue, "invalid argument"),
    TEXT(cudaErrorMemoryAllocation, "out of memory"),
    TEXT(cudaErrorInvalidConfiguration, "invalid configuration argument"),
    TEXT(cudaErrorInvalidDevice, "invalid device ordinal"),
    TEXT(cudaErrorInsufficientDriver, "CUDA driver version is insufficient for CUDA runtime version"),
    TEXT(cudaErrorNoDevice, "no CUDA-capable device is detected"),
    TEXT(cudaErrorNoKernelImageForDevice, "no kernel image is available for execution on the device"),
    TEXT(cudaErrorInvalidResourceHandle, "invalid resource handle"),
    TEXT(cudaErrorIllegalState, "the operation cannot be performed in the present state"),
    TEXT(cudaErrorNotReady, "device not ready"),
    TEXT(cudaErrorLaunchFailure, "unspecified launch failure"),
    TEXT(cudaErrorNotSupported, "operation not supported"),
    TEXT(cudaErrorStreamCaptureUnsupported, "operation not permitted when stream is capturing"),
    TEXT(cudaErrorStreamCaptureInvalidated, "operation failed due to a previous error during capture"),
    TEXT(cudaErrorStreamCaptureUnmatched, "capture was not initiated in this stream"),
    TEXT(cudaErrorStreamCaptureIsolation, "dependency created on uncaptured work in another stream"),
    TEXT(cudaErrorStreamCaptureImplicit, "operation would make the legacy stream depend on a capturing blocking stream"),
    TEXT(cudaErrorStreamCaptureWrongThread, "attempt to terminate a thread-local capture sequence from another thread"),
    TEXT(cudaErrorCapturedEvent, "operation not permitted on an event last recorded in a capturing stream"),
};

static const error_text *text_of(cudaError_t error) {
    for (const error_text &each : texts)
        if (each.error == error) return &each;
    return nullptr;
}

const char *cudaGetErrorString(cudaError_t error) {
    const error_text *known = text_of(error);
    return known ? known->text : "unrecognized error code";
}

const char *cudaGetErrorName(cudaError_t error) {
    const error_text *known = text_of(error);
    return known ? known->name : "unrecognized error code";
}

// ---- the device ----

cudaError_t cudaRuntimeGetVersion(int *version) {
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *version) {
    *version = driver();
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *count) {
    const cudaError_t state = device_state();
    if (state == cudaErrorNoDevice) *count = 0;
    if (!state) *count = devices();
    return noted(state);
}

static cudaError_t check_device(int device) {
    const cudaError_t state = device_state();
    if (state) return noted(state);
    return noted(device >= 0 && device < devices() ? cudaSuccess : cudaErrorInvalidDevice);
}

static thread_local int current_device = 0;

cudaError_t cudaSetDevice(int device) {
    const cudaError_t status = check_device(device);
    if (!status) current_device = device;
    return status;
}

cudaError_t cudaGetDevice(int *device) {
    const cudaError_t state = device_state();
    if (!state) *device = current_device;
    return noted(state);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device) {
    const cudaError_t status = check_device(device);
    if (status) return status;
    memset(properties, 0, sizeof *properties);
    snprintf(properties->name, sizeof properties->name, "stand-in");
    const int capability = (int)claimed_number("BYOLAB_STAND_IN_CAPABILITY", 90);
    properties->major = capability / 10;
    properties->minor = capability % 10;
    properties->totalGlobalMem = claimed_number("BYOLAB_STAND_IN_MEMORY", (size_t)4 << 30);
    properties->multiProcessorCount = 4;
    properties->warpSize = 32;
    properties->maxThreadsPerBlock = 1024;
    properties->maxThreadsPerMultiProcessor = 2048;
    properties->sharedMemPerBlock = 48 << 10;
    properties->maxThreadsDim[0] = properties->maxThreadsDim[1] = 1024;
    properties->maxThreadsDim[2] = 64;
    properties->maxGridSize[0] = 2147483647;
    properties->maxGridSize[1] = properties->maxGridSize[2] = 65535;
    properties->asyncEngineCount = 1;
    properties->concurrentKernels = 1;
    return cudaSuccess;
}
