// no_driver.c - libcuda.so.1 where there is none, so that cuDNN builds plans for a device that is only described.
//
// cuDNN's engines that are compiled at run time look for the driver's library by name and refuse to work without it, though compiling
// needs nothing of it. This one has the functions that cuDNN 9.19, cudart and cublasLt of CUDA 13.0 look for, and answers as the driver
// does where no device is: "no device" when asked to start, "not initialized" ever after. That answer, and no other, makes cuDNN compile
// for the described device and not load what it compiled.

enum { NOT_INITIALIZED = 3, NO_DEVICE = 100 }; // CUresult

int cuInit(unsigned flags);
int cuInit(unsigned flags) {
    (void)flags;
    return NO_DEVICE;
}

#define ABSENT(name) \
    int name(void); \
    int name(void) { \
        return NOT_INITIALIZED; \
    }

ABSENT(cuDriverGetVersion)
ABSENT(cuGetProcAddress_v2)
ABSENT(cuGetErrorName)
ABSENT(cuGetErrorString)
ABSENT(cuDeviceGet)
ABSENT(cuDeviceGetAttribute)
ABSENT(cuDeviceGetCount)
ABSENT(cuDevicePrimaryCtxRelease)
ABSENT(cuDevicePrimaryCtxReset)
ABSENT(cuDevicePrimaryCtxRetain)
ABSENT(cuCtxGetCurrent)
ABSENT(cuCtxGetDevice)
ABSENT(cuCtxGetLimit)
ABSENT(cuCtxPopCurrent)
ABSENT(cuCtxPushCurrent)
ABSENT(cuStreamGetCtx)
ABSENT(cuStreamSynchronize)
ABSENT(cuMemcpyDtoH_v2)
ABSENT(cuTensorMapEncodeTiled)
ABSENT(cuModuleGetFunction)
ABSENT(cuModuleGetGlobal_v2)
ABSENT(cuModuleLoadData)
ABSENT(cuModuleLoadDataEx)
ABSENT(cuModuleLoadFatBinary)
ABSENT(cuModuleUnload)
ABSENT(cuLibraryGetKernel)
ABSENT(cuLibraryLoadData)
ABSENT(cuLibraryLoadFromFile)
ABSENT(cuLibraryUnload)
ABSENT(cuLinkAddData)
ABSENT(cuLinkAddData_v2)
ABSENT(cuLinkAddFile_v2)
ABSENT(cuLinkComplete)
ABSENT(cuLinkCreate)
ABSENT(cuLinkCreate_v2)
ABSENT(cuLinkDestroy)
ABSENT(cuFuncGetAttribute)
ABSENT(cuFuncSetAttribute)
ABSENT(cuKernelGetAttribute)
ABSENT(cuKernelSetAttribute)
ABSENT(cuLaunchKernel)
ABSENT(cuLaunchKernelEx)
ABSENT(cuLaunchCooperativeKernel)
ABSENT(cuOccupancyMaxActiveBlocksPerMultiprocessor)
ABSENT(cuOccupancyMaxPotentialClusterSize)
