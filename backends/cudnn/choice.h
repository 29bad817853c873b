// choice.h - one pattern's plan: by the rule of engine.h, or as it was written down.

#ifndef BL_BACKENDS_CUDNN_CHOICE_H
#define BL_BACKENDS_CUDNN_CHOICE_H

#include <cudnn.h>
#include <stddef.h>

#include "backends/cudnn/pattern.h"
#include "base/error.h" // BL_CHECK

typedef struct bl_gpu_device { // what plans are built for: one of the two
    cudnnHandle_t handle;
    cudnnBackendDescriptor_t described;
} bl_gpu_device;

typedef struct bl_gpu_choice { // freed by bl_gpu_choice_free
    cudnnBackendDescriptor_t plan;
    char *json;                // of the plan: what it takes to have it again
    size_t workspace;          // bytes
    char name[96];             // "engine 62, tensor cores"
} bl_gpu_choice;

// `text`: the pattern's, for messages.
BL_CHECK int bl_gpu_choose(const bl_gpu_device *device, const bl_gpu_pattern *pattern, const char *text, bl_gpu_choice *choice);
BL_CHECK int bl_gpu_choose_again(const bl_gpu_device *device, const bl_gpu_pattern *pattern, const char *text, const char *json,
                                 bl_gpu_choice *choice);
void bl_gpu_choice_free(bl_gpu_choice *choice);

#endif
