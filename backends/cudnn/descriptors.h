// descriptors.h - a pattern as cuDNN's descriptors, up to the finalised operation graph.

#ifndef BL_BACKENDS_CUDNN_DESCRIPTORS_H
#define BL_BACKENDS_CUDNN_DESCRIPTORS_H

#include <cudnn.h>

#include "backends/cudnn/pattern.h"
#include "base/error.h" // BL_CHECK

#define BL_GPU_DESCRIPTORS 32

typedef struct bl_gpu_descriptors { // live and die together; from {0}
    cudnnBackendDescriptor_t made[BL_GPU_DESCRIPTORS];
    int count;
} bl_gpu_descriptors;

// Each fails with what cuDNN says.
BL_CHECK int bl_gpu_descriptor_create(bl_gpu_descriptors *owner, cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t *made);
BL_CHECK int bl_gpu_attribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                              int64_t count, const void *values);
BL_CHECK int bl_gpu_finalize(cudnnBackendDescriptor_t descriptor);
void bl_gpu_descriptors_free(bl_gpu_descriptors *owner);

// The failure with what cuDNN said of it last on this thread, on one line.
int bl_gpu_fail_with_last_words(cudnnStatus_t status);

// `handle`: NULL for a device that is only described. Tensor i has the unique id i + 1.
BL_CHECK int bl_gpu_describe(bl_gpu_descriptors *owner, const bl_gpu_pattern *pattern, cudnnHandle_t handle, cudnnBackendDescriptor_t *graph);

#endif
