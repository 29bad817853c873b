// Building patterns, and their text.

#include <assert.h>
#include <string.h>

#include "backends/cudnn/pattern.h"

static int add_tensor(bl_gpu_pattern *pattern, const bl_gpu_tensor *tensor) {
    assert(pattern->tensor_count < BL_GPU_PATTERN_TENSORS);
    pattern->tensors[pattern->tensor_count] = *tensor;
    return pattern->tensor_count++;
}

int bl_gpu_pattern_image(bl_gpu_pattern *pattern, bl_gpu_type type, int64_t n, int64_t h, int64_t w, int64_t c, bool is_virtual) {
    return add_tensor(pattern, &(bl_gpu_tensor){.type = type, .rank = 4, .dims = {n, c, h, w}, .strides = {h * w * c, 1, w * c, c},
                                                .is_virtual = is_virtual});
}

int bl_gpu_pattern_channels(bl_gpu_pattern *pattern, int64_t c) {
    return bl_gpu_pattern_image(pattern, BL_GPU_F32, 1, 1, 1, c, false);
}

int bl_gpu_pattern_matrix(bl_gpu_pattern *pattern, bl_gpu_type type, int64_t rows, int64_t columns, bool is_transposed, bool is_virtual) {
    return add_tensor(pattern, &(bl_gpu_tensor){.type = type, .rank = 3, .dims = {1, rows, columns},
                                                .strides = {rows * columns, is_transposed ? 1 : columns, is_transposed ? rows : 1},
                                                .is_virtual = is_virtual});
}

int bl_gpu_pattern_value(bl_gpu_pattern *pattern, float value) {
    return add_tensor(pattern, &(bl_gpu_tensor){.type = BL_GPU_F32, .rank = 4, .dims = {1, 1, 1, 1}, .strides = {1, 1, 1, 1},
                                                .is_by_value = true, .value = value});
}

bl_gpu_operation *bl_gpu_pattern_add(bl_gpu_pattern *pattern, bl_gpu_kind kind, const int *operands, int count) {
    assert(pattern->operation_count < BL_GPU_PATTERN_OPERATIONS && count <= BL_GPU_OPERANDS);
    bl_gpu_operation *operation = &pattern->operations[pattern->operation_count++];
    *operation = (bl_gpu_operation){.kind = kind};
    for (int i = 0; i < BL_GPU_OPERANDS; i++) operation->operands[i] = i < count ? operands[i] : -1;
    return operation;
}

// ---- text ----

static const struct {
    const char *name;
    bool has_window;
    const char *operands[BL_GPU_OPERANDS];
} kinds[] = {
        [BL_GPU_CONVOLUTION] = {"convolution", true, {"x", "w", "y"}},
        [BL_GPU_CONVOLUTION_DATA] = {"convolution data", true, {"dy", "w", "dx"}},
        [BL_GPU_CONVOLUTION_WEIGHTS] = {"convolution weights", true, {"x", "dy", "dw"}},
        [BL_GPU_NORM] = {"norm", false, {"x", "gamma", "beta", "epsilon", "y", "mean", "inverse"}},
        [BL_GPU_NORM_BACKWARD] = {"norm backward", false, {"x", "dy", "gamma", "mean", "inverse", "dx", "dgamma", "dbeta"}},
        [BL_GPU_ADD] = {"add", false, {"a", "b", "y"}},
        [BL_GPU_MULTIPLY] = {"multiply", false, {"a", "b", "y"}},
        [BL_GPU_RELU] = {"relu", false, {"x", "y"}},
        [BL_GPU_GREATER] = {"greater", false, {"a", "b", "y"}},
        [BL_GPU_POOL_MAX] = {"max pool", true, {"x", "y", "index"}},
        [BL_GPU_POOL_MAX_BACKWARD] = {"max pool backward", true, {"dy", "index", "dx"}},
        [BL_GPU_POOL_AVERAGE] = {"average pool", true, {"x", "y"}},
        [BL_GPU_POOL_AVERAGE_BACKWARD] = {"average pool backward", true, {"dy", "dx"}},
        [BL_GPU_MATMUL] = {"matmul", false, {"a", "b", "y"}},
};

static void print_tensor(const bl_gpu_tensor *tensor, bl_text *text) {
    static const char *const types[] = {[BL_GPU_F32] = "f32", [BL_GPU_BF16] = "bf16", [BL_GPU_INT8] = "int8", [BL_GPU_BOOLEAN] = "boolean"};
    if (tensor->is_by_value) {
        bl_text_add(text, " %s = %.9g", types[tensor->type], (double)tensor->value);
        return;
    }
    bl_text_add(text, " %s [", types[tensor->type]);
    for (int i = 0; i < tensor->rank; i++) bl_text_add(text, "%s%lld", i ? "," : "", (long long)tensor->dims[i]);
    bl_text_add(text, "]%s%s", tensor->rank == 3 && tensor->strides[2] != 1 ? " transposed" : "", tensor->is_virtual ? " virtual" : "");
}

void bl_gpu_pattern_print(const bl_gpu_pattern *pattern, bl_text *text) {
    bool is_told[BL_GPU_PATTERN_TENSORS] = {false};
    for (int o = 0; o < pattern->operation_count; o++) {
        const bl_gpu_operation *operation = &pattern->operations[o];
        bl_text_add(text, "%s%s", o ? "; " : "", kinds[operation->kind].name);
        for (int i = 0; i < BL_GPU_OPERANDS && kinds[operation->kind].operands[i]; i++) {
            const int index = operation->operands[i];
            if (index < 0) continue;
            bl_text_add(text, " %s#%d", kinds[operation->kind].operands[i], index);
            if (!is_told[index]) print_tensor(&pattern->tensors[index], text);
            is_told[index] = true;
        }
        if (kinds[operation->kind].has_window)
            bl_text_add(text, " kernel %d stride %d padding %d dilation %d", operation->kernel, operation->stride, operation->padding,
                        operation->dilation);
        if (operation->kernel_width) bl_text_add(text, " width %d", operation->kernel_width);
    }
    if (pattern->allows_tf32) bl_text_add(text, "; tf32");
}
