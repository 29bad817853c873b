// module.h - this backend for a device that is described by cuDNN's JSON of its properties: it compiles, and never runs.

#ifndef BL_BACKENDS_CUDNN_MODULE_H
#define BL_BACKENDS_CUDNN_MODULE_H

#include "backends/backend.h"

BL_CHECK int bl_gpu_open_described(bl_backend **backend, const char *device);

#endif
