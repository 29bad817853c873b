// The cuDNN backend: NVIDIA GPUs, f32 and bf16. Convolutions, batch norms, pooling and bf16 products are cuDNN's, f32 products cuBLAS's,
// everything else this folder's own kernels.

#include "backends/cudnn/module.h"

#include <stdio.h>
#include <string.h>

#include "backends/cudnn/device.h"
#include "backends/cudnn/kernels/pointwise.h" // bl_gpu_set_scalar
#include "backends/cudnn/operators.h"
#include "backends/cudnn/plan.h"
#include "backends/cudnn/replay.h"
#include "backends/cudnn/store.h"
#include "backends/lowering/access.h"
#include "base/memory.h"                      // bl_alloc

#define CUDNN_OLDEST 90800
#define CUBLAS_WORKSPACE ((size_t)32 << 20) // what NVIDIA advises for Hopper

static int check_cudnn(cudnnStatus_t status, const char *what) {
    return status == CUDNN_STATUS_SUCCESS ? BL_OK : bl_fail("%s: cuDNN says %s", what, cudnnGetErrorString(status));
}

static void close_backend(bl_backend *backend) {
    bl_gpu_backend *self = (bl_gpu_backend *)backend;
    bl_gpu_engines_free(self->engines);
    if (self->cublas) cublasDestroy(self->cublas);
    if (self->cudnn) cudnnDestroy(self->cudnn);
    if (self->cublas_workspace) cudaFree(self->cublas_workspace);
    if (self->copies) cudaStreamDestroy(self->copies);
    if (self->stream) cudaStreamDestroy(self->stream);
    bl_free(self);
}

// ---- a device that is there ----

static int check_driver(void) {
    int driver = 0, runtime = 0, devices = 0;
    const cudaError_t asked = cudaDriverGetVersion(&driver), told = cudaRuntimeGetVersion(&runtime);
    if (asked || told || !driver) return bl_fail("backend 'cudnn' needs an NVIDIA driver, and there is none here");
    if (driver / 1000 < runtime / 1000)
        return bl_fail("backend 'cudnn' needs a driver for CUDA %d, the one here is for CUDA %d.%d; install a newer driver", runtime / 1000,
                       driver / 1000, driver % 1000 / 10);
    const cudaError_t counted = cudaGetDeviceCount(&devices);
    if (counted == cudaErrorNoDevice || (!counted && !devices)) return bl_fail("backend 'cudnn' needs an NVIDIA GPU, and there is none here");
    return bl_gpu_cuda(counted, "looking for a GPU");
}

static int find_device(bl_gpu_backend *made) {
    struct cudaDeviceProp properties;
    int driver, runtime;
    const size_t cudnn = cudnnGetVersion();
    if (check_driver() || bl_gpu_cuda(cudaGetDeviceProperties(&properties, 0), "asking the GPU what it is")) return BL_FAILED;
    if (properties.major < 8)
        return bl_fail("backend 'cudnn' needs compute capability 8.0 or newer (Ampere); %s has %d.%d", properties.name, properties.major,
                       properties.minor);
    if (cudnn < CUDNN_OLDEST)
        return bl_fail("backend 'cudnn' needs cuDNN 9.8 or newer, %zu.%zu.%zu is here", cudnn / 10000, cudnn / 100 % 100, cudnn % 100);
    if (bl_gpu_cuda(cudaDriverGetVersion(&driver), "asking for the driver") || bl_gpu_cuda(cudaRuntimeGetVersion(&runtime), "asking for CUDA"))
        return BL_FAILED;
    made->major = properties.major;
    made->minor = properties.minor;
    made->memory = properties.totalGlobalMem;
    snprintf(made->name, sizeof made->name, "%s", properties.name);
    snprintf(made->version, sizeof made->version, "cuDNN %zu.%zu.%zu, CUDA %d.%d, driver for CUDA %d.%d", cudnn / 10000, cudnn / 100 % 100,
             cudnn % 100, runtime / 1000, runtime % 1000 / 10, driver / 1000, driver % 1000 / 10);
    return bl_gpu_cuda(cudaSetDevice(0), "choosing the GPU");
}

// A kernel of this module that runs tells that its code suits the device.
static int try_kernel(bl_gpu_backend *made) {
    float *scalar;
    if (bl_gpu_cuda(cudaMalloc((void **)&scalar, sizeof *scalar), "memory on the GPU")) return BL_FAILED;
    (void)cudaGetLastError(); // of an earlier attempt to open
    bl_gpu_set_scalar(made->stream, scalar, 1);
    const cudaError_t launched = cudaGetLastError();
    int status = bl_gpu_cuda(cudaStreamSynchronize(made->stream), "running a first kernel");
    if (launched == cudaErrorNoKernelImageForDevice || launched == cudaErrorUnsupportedPtxVersion)
        status = bl_fail("this build holds no code for %s (compute capability %d.%d); build with -DCMAKE_CUDA_ARCHITECTURES=%d%d", made->name,
                         made->major, made->minor, made->major, made->minor);
    else if (!status)
        status = bl_gpu_cuda(launched, "launching a first kernel");
    cudaFree(scalar);
    return status;
}

static int open_libraries(bl_gpu_backend *made) {
    if (check_cudnn(cudnnCreate(&made->cudnn), "opening cuDNN") || check_cudnn(cudnnSetStream(made->cudnn, made->stream), "opening cuDNN") ||
        bl_gpu_cublas(cublasCreate(&made->cublas), "opening cuBLAS") ||
        bl_gpu_cublas(cublasSetStream(made->cublas, made->stream), "opening cuBLAS") ||
        bl_gpu_cuda(cudaMalloc(&made->cublas_workspace, CUBLAS_WORKSPACE), "memory for cuBLAS") ||
        bl_gpu_cublas(cublasSetWorkspace(made->cublas, made->cublas_workspace, CUBLAS_WORKSPACE), "opening cuBLAS"))
        return BL_FAILED;
    return bl_gpu_engines_create(&made->engines, made->cudnn, NULL);
}

static const bl_backend_table table;

static int open_backend(bl_backend **backend, const bl_backend_options *options) {
    bl_gpu_backend *made = bl_alloc(sizeof *made);
    if (!made) return BL_FAILED;
    made->base.table = &table;
    made->is_eager = options->eager;
    if (find_device(made) || bl_gpu_cuda(cudaStreamCreateWithFlags(&made->stream, cudaStreamNonBlocking), "making a stream") ||
        bl_gpu_cuda(cudaStreamCreateWithFlags(&made->copies, cudaStreamNonBlocking), "making a stream") || try_kernel(made) ||
        open_libraries(made)) {
        close_backend(&made->base);
        return BL_FAILED;
    }
    *backend = &made->base;
    return BL_OK;
}

// ---- a device that is only described ----

// The number or the quoted text behind "key": in cuDNN's flat JSON.
static const char *value_of(const char *json, const char *key) {
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\"", key);
    const char *at = strstr(json, quoted);
    return at ? at + strlen(quoted) + strspn(at + strlen(quoted), ": \"\n") : NULL;
}

int bl_gpu_open_described(bl_backend **backend, const char *device) {
    const char *name = value_of(device, "deviceName"), *version = value_of(device, "deviceVer"), *memory = value_of(device, "totalGlobalMem");
    int capability = 0;
    if (!name || !version || !memory || sscanf(version, "%d", &capability) != 1)
        return bl_fail("the description of a device has no deviceName, deviceVer or totalGlobalMem");
    bl_gpu_backend *made = bl_alloc(sizeof *made);
    if (!made) return BL_FAILED;
    made->base.table = &table;
    made->is_described = true;
    made->major = capability / 100;
    made->minor = capability % 100 / 10;
    unsigned long long bytes = 0;
    if (sscanf(memory, "%llu", &bytes) == 1) made->memory = bytes;
    snprintf(made->name, sizeof made->name, "%.*s", (int)strcspn(name, "\""), name);
    snprintf(made->version, sizeof made->version, "cuDNN %zu, described device", cudnnGetVersion());
    if (bl_gpu_engines_create(&made->engines, NULL, device)) {
        close_backend(&made->base);
        return BL_FAILED;
    }
    *backend = &made->base;
    return BL_OK;
}

// ---- the table ----

static void describe(const bl_backend *backend, bl_text *text) {
    const bl_gpu_backend *self = (const bl_gpu_backend *)backend;
    bl_text_add(text, "backend: cudnn\ndevice: %s\ncompute capability: %d.%d\nmemory: %.1f GiB\nversions: %s\n", self->name, self->major,
                self->minor, (double)self->memory / (double)(1ull << 30), self->version);
}

// What else cuDNN refuses shows when its engine is looked for.
static bool supports(const bl_backend *backend, const bl_node *node, char *reason, size_t reason_bytes) {
    const bl_operator *of = bl_gpu_operators[node->op];
    if (!of->check || of->check(backend, node) == BL_OK) return true;
    snprintf(reason, reason_bytes, "%s", bl_error());
    return false;
}

static void choices(const bl_backend *backend, bl_text *text) {
    bl_gpu_engines_print(((const bl_gpu_backend *)backend)->engines, text);
}

static int recall(bl_backend *backend, const char *text) {
    return bl_gpu_engines_recall(((bl_gpu_backend *)backend)->engines, text);
}

static const bl_backend_table table = {
        .name = "cudnn",
        .open = open_backend,
        .close = close_backend,
        .describe = describe,
        .supports = supports,
        .store_create = bl_gpu_store_create,
        .store_free = bl_gpu_store_free,
        .store_write = bl_gpu_store_write,
        .store_read = bl_gpu_store_read,
        .store_read_f32 = bl_gpu_store_read_f32,
        .compile = bl_gpu_compile,
        .plan_free = bl_gpu_plan_free,
        .slot = bl_gpu_slot,
        .step = bl_gpu_step,
        .write = bl_lowered_write,
        .read = bl_gpu_read,
        .is_asynchronous = true,
        .watched = bl_gpu_watched,
        .choices = choices,
        .recall = recall,
        .timing = bl_lowered_timing,
        .report = bl_lowered_report,
};

const bl_backend_table *bl_backend_module(void);
const bl_backend_table *bl_backend_module(void) {
    return &table;
}
