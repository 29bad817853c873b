// pattern.h - a small cuDNN graph as a value: one operation, or a few that one engine does together, on tensors of given shapes.
//
// A pattern names no memory and no device. Its text is its identity: equal texts share one engine, in a plan, between plans, and from
// the run file of an earlier run. Dims are in cuDNN's order (N, C, H, W; K, C, R, S), strides say NHWC.

#ifndef BL_BACKENDS_CUDNN_PATTERN_H
#define BL_BACKENDS_CUDNN_PATTERN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/memory.h" // bl_text

typedef enum bl_gpu_type { BL_GPU_F32, BL_GPU_BF16, BL_GPU_INT8, BL_GPU_BOOLEAN } bl_gpu_type;

typedef enum bl_gpu_kind {
    BL_GPU_CONVOLUTION,           // x, w                                       -> y
    BL_GPU_CONVOLUTION_DATA,      // dy, w                                      -> dx
    BL_GPU_CONVOLUTION_WEIGHTS,   // x, dy                                      -> dw
    BL_GPU_NORM,                  // x, gamma, beta, epsilon (by value)         -> y, mean, inverse sd
    BL_GPU_NORM_BACKWARD,         // x, dy, gamma, mean, inverse sd             -> dx, dgamma, dbeta
    BL_GPU_ADD,                   // a, b                                       -> y; a dim of 1 in b is repeated
    BL_GPU_MULTIPLY,              // a, b                                       -> y
    BL_GPU_RELU,                  // x                                          -> y
    BL_GPU_GREATER,               // a, b                                       -> y, BOOLEAN
    BL_GPU_POOL_MAX,              // x                                          -> y, index (INT8)
    BL_GPU_POOL_MAX_BACKWARD,     // dy, index                                  -> dx
    BL_GPU_POOL_AVERAGE,          // x                                          -> y
    BL_GPU_POOL_AVERAGE_BACKWARD, // dy                                         -> dx
    BL_GPU_MATMUL,                // a [1, r, k], b [1, k, c]                   -> y [1, r, c]
} bl_gpu_kind;

typedef struct bl_gpu_tensor {
    bl_gpu_type type;
    int rank;
    int64_t dims[4], strides[4];
    bool is_virtual;  // lives inside the pattern only
    bool is_by_value; // a scalar of the host: `value`
    float value;
} bl_gpu_tensor;

#define BL_GPU_PATTERN_TENSORS 12
#define BL_GPU_PATTERN_OPERATIONS 4
#define BL_GPU_OPERANDS 8

typedef struct bl_gpu_operation {
    bl_gpu_kind kind;
    int operands[BL_GPU_OPERANDS];          // indices of tensors in the order above; -1: absent
    int kernel, stride, padding, dilation;  // windows (square), for convolutions and pooling
    int kernel_width;                       // pooling: where the window is not square; 0 where it is
} bl_gpu_operation;

typedef struct bl_gpu_pattern { // start from {0}
    bl_gpu_tensor tensors[BL_GPU_PATTERN_TENSORS];
    int tensor_count;
    bl_gpu_operation operations[BL_GPU_PATTERN_OPERATIONS];
    int operation_count;
    bool allows_tf32;           // f32 operands may be rounded to TF32
} bl_gpu_pattern;

// Each returns the tensor's index; the pattern is large enough for every use here (asserted).
int bl_gpu_pattern_image(bl_gpu_pattern *pattern, bl_gpu_type type, int64_t n, int64_t h, int64_t w, int64_t c, bool is_virtual); // NHWC
int bl_gpu_pattern_channels(bl_gpu_pattern *pattern, int64_t c);                       // f32 [1, C, 1, 1]
int bl_gpu_pattern_matrix(bl_gpu_pattern *pattern, bl_gpu_type type, int64_t rows, int64_t columns, bool is_transposed, bool is_virtual);
                                                                                       // [1, rows, columns]; transposed: column-major
int bl_gpu_pattern_value(bl_gpu_pattern *pattern, float value);                        // f32 by value, [1, 1, 1, 1]
// Appends an operation on `count` operands. The window is set by the caller in the one returned.
bl_gpu_operation *bl_gpu_pattern_add(bl_gpu_pattern *pattern, bl_gpu_kind kind, const int *operands, int count);

// "convolution x#0 bf16 [512,64,32,32] w#1 bf16 [64,64,3,3] y#2 bf16 [512,64,32,32] virtual kernel 3 stride 1 padding 1 dilation 1;
// relu x#2 y#3 bf16 [512,64,32,32]": which tensor of the pattern, and what it is where it is first named.
void bl_gpu_pattern_print(const bl_gpu_pattern *pattern, bl_text *text);

#endif
