// resize.h - kernels: bilinear resizing and its gradient.
//
// See kernels/launch.h for what holds for all. Meanings: the operators' files in harness/graph/ops/.

#ifndef BL_BACKENDS_CUDNN_KERNELS_RESIZE_H
#define BL_BACKENDS_CUDNN_KERNELS_RESIZE_H

#include "backends/cudnn/kernels/launch.h"
#include "backends/resize.h" // bl_resize_tap, bl_resize_reach

BL_KERNELS_BEGIN

typedef struct bl_gpu_resizing { // host struct, passed by value; the tables lie on the device: of the rows, then of the columns
    int64_t images;
    int height, width, out_height, out_width, channels;
    const bl_resize_tap *taps;
    const bl_resize_reach *reaches;
} bl_gpu_resizing;
void bl_gpu_resize(cudaStream_t stream, const bl_gpu_resizing *of, const void *x, bool is_half, void *y);
void bl_gpu_resize_backward(cudaStream_t stream, const bl_gpu_resizing *of, const void *dy, bool is_half, void *dx);

BL_KERNELS_END

#endif
