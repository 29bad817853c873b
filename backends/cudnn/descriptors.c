// Patterns as cuDNN's descriptors. All arithmetic is in f32.

#include <stdio.h>
#include <string.h>

#include "backends/cudnn/descriptors.h"

// ---- any descriptor ----

int bl_gpu_fail_with_last_words(cudnnStatus_t status) {
    char said[1024] = "";
    cudnnGetLastErrorString(said, sizeof said);
    const char *from = said + strspn(said, " \n");
    size_t size = strcspn(from, "\n");
    while (size && from[size - 1] == ' ') size--;
    return bl_fail("%s%s%.*s", cudnnGetErrorString(status), size ? ": " : "", (int)size, from);
}

int bl_gpu_descriptor_create(bl_gpu_descriptors *owner, cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t *made) {
    if (owner->count == BL_GPU_DESCRIPTORS) return bl_fail("a pattern of more than %d descriptors", BL_GPU_DESCRIPTORS);
    const cudnnStatus_t status = cudnnBackendCreateDescriptor(type, made);
    if (status != CUDNN_STATUS_SUCCESS) return bl_gpu_fail_with_last_words(status);
    owner->made[owner->count++] = *made;
    return BL_OK;
}

int bl_gpu_attribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
                     const void *values) {
    const cudnnStatus_t status = cudnnBackendSetAttribute(descriptor, name, type, count, values);
    return status == CUDNN_STATUS_SUCCESS ? BL_OK : bl_gpu_fail_with_last_words(status);
}

int bl_gpu_finalize(cudnnBackendDescriptor_t descriptor) {
    const cudnnStatus_t status = cudnnBackendFinalize(descriptor);
    return status == CUDNN_STATUS_SUCCESS ? BL_OK : bl_gpu_fail_with_last_words(status);
}

void bl_gpu_descriptors_free(bl_gpu_descriptors *owner) {
    while (owner->count) cudnnBackendDestroyDescriptor(owner->made[--owner->count]);
}

static int set_integer(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name, int64_t value) {
    return bl_gpu_attribute(descriptor, name, CUDNN_TYPE_INT64, 1, &value);
}

static int set_type(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name, cudnnDataType_t value) {
    return bl_gpu_attribute(descriptor, name, CUDNN_TYPE_DATA_TYPE, 1, &value);
}

static int set_descriptor(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name, cudnnBackendDescriptor_t value) {
    return bl_gpu_attribute(descriptor, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}

// ---- tensors ----

static int describe_tensor(bl_gpu_descriptors *owner, const bl_gpu_tensor *tensor, int64_t id, cudnnBackendDescriptor_t *made) {
    static const cudnnDataType_t types[] = {[BL_GPU_F32] = CUDNN_DATA_FLOAT, [BL_GPU_BF16] = CUDNN_DATA_BFLOAT16,
                                            [BL_GPU_INT8] = CUDNN_DATA_INT8, [BL_GPU_BOOLEAN] = CUDNN_DATA_BOOLEAN};
    const bool yes = true;
    if (bl_gpu_descriptor_create(owner, CUDNN_BACKEND_TENSOR_DESCRIPTOR, made) ||
        set_type(*made, CUDNN_ATTR_TENSOR_DATA_TYPE, types[tensor->type]) ||
        bl_gpu_attribute(*made, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, tensor->rank, tensor->dims) ||
        bl_gpu_attribute(*made, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, tensor->rank, tensor->strides) ||
        set_integer(*made, CUDNN_ATTR_TENSOR_UNIQUE_ID, id) || set_integer(*made, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 16))
        return BL_FAILED;
    if (tensor->is_virtual && bl_gpu_attribute(*made, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &yes)) return BL_FAILED;
    if (tensor->is_by_value && bl_gpu_attribute(*made, CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, 1, &yes)) return BL_FAILED;
    return bl_gpu_finalize(*made);
}

// ---- what an operation has beside its tensors ----

typedef int describe_function(bl_gpu_descriptors *owner, const bl_gpu_operation *operation, cudnnBackendDescriptor_t *made);

static int describe_convolution(bl_gpu_descriptors *owner, const bl_gpu_operation *operation, cudnnBackendDescriptor_t *made) {
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    const int64_t padding[] = {operation->padding, operation->padding}, stride[] = {operation->stride, operation->stride},
                  dilation[] = {operation->dilation, operation->dilation};
    if (bl_gpu_descriptor_create(owner, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, made) ||
        set_type(*made, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT) ||
        bl_gpu_attribute(*made, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode) ||
        set_integer(*made, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, 2) ||
        bl_gpu_attribute(*made, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, dilation) ||
        bl_gpu_attribute(*made, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, stride) ||
        bl_gpu_attribute(*made, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, padding) ||
        bl_gpu_attribute(*made, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, padding))
        return BL_FAILED;
    return bl_gpu_finalize(*made);
}

static int describe_mode(bl_gpu_descriptors *owner, cudnnPointwiseMode_t mode, cudnnBackendDescriptor_t *made) {
    if (bl_gpu_descriptor_create(owner, CUDNN_BACKEND_POINTWISE_DESCRIPTOR, made) ||
        bl_gpu_attribute(*made, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode) ||
        set_type(*made, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT))
        return BL_FAILED;
    return bl_gpu_finalize(*made);
}

static int describe_pointwise(bl_gpu_descriptors *owner, const bl_gpu_operation *operation, cudnnBackendDescriptor_t *made) {
    return describe_mode(owner,
                         operation->kind == BL_GPU_ADD      ? CUDNN_POINTWISE_ADD
                         : operation->kind == BL_GPU_RELU   ? CUDNN_POINTWISE_RELU_FWD
                         : operation->kind == BL_GPU_GREATER ? CUDNN_POINTWISE_CMP_GT
                                                             : CUDNN_POINTWISE_MUL,
                         made);
}

static int describe_resample(bl_gpu_descriptors *owner, const bl_gpu_operation *operation, cudnnBackendDescriptor_t *made) {
    const bool is_max = operation->kind == BL_GPU_POOL_MAX || operation->kind == BL_GPU_POOL_MAX_BACKWARD;
    const cudnnResampleMode_t mode = is_max ? CUDNN_RESAMPLE_MAXPOOL : CUDNN_RESAMPLE_AVGPOOL_INCLUDE_PADDING;
    const cudnnPaddingMode_t padding_mode = is_max ? CUDNN_NEG_INF_PAD : CUDNN_ZERO_PAD;
    const cudnnNanPropagation_t nan = CUDNN_PROPAGATE_NAN; // otherwise the largest would hide one
    const int width = operation->kernel_width ? operation->kernel_width : operation->kernel;
    const cudnnFraction_t kernel[] = {{operation->kernel, 1}, {width, 1}}, stride[] = {{operation->stride, 1}, {operation->stride, 1}},
                          padding[] = {{operation->padding, 1}, {operation->padding, 1}};
    if (bl_gpu_descriptor_create(owner, CUDNN_BACKEND_RESAMPLE_DESCRIPTOR, made) ||
        bl_gpu_attribute(*made, CUDNN_ATTR_RESAMPLE_MODE, CUDNN_TYPE_RESAMPLE_MODE, 1, &mode) ||
        set_type(*made, CUDNN_ATTR_RESAMPLE_COMP_TYPE, CUDNN_DATA_FLOAT) || set_integer(*made, CUDNN_ATTR_RESAMPLE_SPATIAL_DIMS, 2) ||
        bl_gpu_attribute(*made, CUDNN_ATTR_RESAMPLE_NAN_PROPAGATION, CUDNN_TYPE_NAN_PROPOGATION, 1, &nan) ||
        bl_gpu_attribute(*made, CUDNN_ATTR_RESAMPLE_PADDING_MODE, CUDNN_TYPE_PADDING_MODE, 1, &padding_mode) ||
        bl_gpu_attribute(*made, CUDNN_ATTR_RESAMPLE_WINDOW_DIMS, CUDNN_TYPE_FRACTION, 2, kernel) ||
        bl_gpu_attribute(*made, CUDNN_ATTR_RESAMPLE_PRE_PADDINGS, CUDNN_TYPE_FRACTION, 2, padding) ||
        bl_gpu_attribute(*made, CUDNN_ATTR_RESAMPLE_POST_PADDINGS, CUDNN_TYPE_FRACTION, 2, padding) ||
        bl_gpu_attribute(*made, CUDNN_ATTR_RESAMPLE_STRIDES, CUDNN_TYPE_FRACTION, 2, stride))
        return BL_FAILED;
    return bl_gpu_finalize(*made);
}

static int describe_matmul(bl_gpu_descriptors *owner, const bl_gpu_operation *operation, cudnnBackendDescriptor_t *made) {
    (void)operation;
    if (bl_gpu_descriptor_create(owner, CUDNN_BACKEND_MATMUL_DESCRIPTOR, made) || set_type(*made, CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_DATA_FLOAT))
        return BL_FAILED;
    return bl_gpu_finalize(*made);
}

// ---- operations ----

#define POINTWISE(...) \
    {CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, describe_pointwise, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, \
     {CUDNN_ATTR_OPERATION_POINTWISE_XDESC, __VA_ARGS__ CUDNN_ATTR_OPERATION_POINTWISE_YDESC}, 0, 0}
#define BINARY POINTWISE(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, )

// cuDNN's names for a kind: the operation, the descriptor of what it has beside tensors and where that goes (a norm has attributes of its
// own instead), where the operands go in pattern.h's order, and the factors of result and old value where it wants them said.
static const struct {
    cudnnBackendDescriptorType_t type;
    describe_function *describe;
    cudnnBackendAttributeName_t described;
    cudnnBackendAttributeName_t operands[BL_GPU_OPERANDS];
    cudnnBackendAttributeName_t alpha, beta;
} kinds[] = {
        [BL_GPU_CONVOLUTION] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, describe_convolution,
                                CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                                {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                                 CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y},
                                CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
        [BL_GPU_CONVOLUTION_DATA] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, describe_convolution,
                                     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                                     {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX},
                                     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
        [BL_GPU_CONVOLUTION_WEIGHTS] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, describe_convolution,
                                        CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                                        {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
                                         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW},
                                        CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA},
        [BL_GPU_NORM] = {CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR, NULL, 0,
                         {CUDNN_ATTR_OPERATION_NORM_FWD_XDESC, CUDNN_ATTR_OPERATION_NORM_FWD_SCALE_DESC, CUDNN_ATTR_OPERATION_NORM_FWD_BIAS_DESC,
                          CUDNN_ATTR_OPERATION_NORM_FWD_EPSILON_DESC, CUDNN_ATTR_OPERATION_NORM_FWD_YDESC,
                          CUDNN_ATTR_OPERATION_NORM_FWD_MEAN_DESC, CUDNN_ATTR_OPERATION_NORM_FWD_INV_VARIANCE_DESC}, 0, 0},
        [BL_GPU_NORM_BACKWARD] = {CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR, NULL, 0,
                                  {CUDNN_ATTR_OPERATION_NORM_BWD_XDESC, CUDNN_ATTR_OPERATION_NORM_BWD_DYDESC,
                                   CUDNN_ATTR_OPERATION_NORM_BWD_SCALE_DESC, CUDNN_ATTR_OPERATION_NORM_BWD_MEAN_DESC,
                                   CUDNN_ATTR_OPERATION_NORM_BWD_INV_VARIANCE_DESC, CUDNN_ATTR_OPERATION_NORM_BWD_DXDESC,
                                   CUDNN_ATTR_OPERATION_NORM_BWD_DSCALE_DESC, CUDNN_ATTR_OPERATION_NORM_BWD_DBIAS_DESC}, 0, 0},
        [BL_GPU_ADD] = BINARY,
        [BL_GPU_MULTIPLY] = BINARY,
        [BL_GPU_GREATER] = BINARY,
        [BL_GPU_RELU] = POINTWISE(),
        [BL_GPU_POOL_MAX] = {CUDNN_BACKEND_OPERATION_RESAMPLE_FWD_DESCRIPTOR, describe_resample, CUDNN_ATTR_OPERATION_RESAMPLE_FWD_DESC,
                             {CUDNN_ATTR_OPERATION_RESAMPLE_FWD_XDESC, CUDNN_ATTR_OPERATION_RESAMPLE_FWD_YDESC,
                              CUDNN_ATTR_OPERATION_RESAMPLE_FWD_IDXDESC}, 0, 0},
        [BL_GPU_POOL_MAX_BACKWARD] = {CUDNN_BACKEND_OPERATION_RESAMPLE_BWD_DESCRIPTOR, describe_resample, CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DESC,
                                      {CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DYDESC, CUDNN_ATTR_OPERATION_RESAMPLE_BWD_IDXDESC,
                                       CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DXDESC}, 0, 0},
        [BL_GPU_POOL_AVERAGE] = {CUDNN_BACKEND_OPERATION_RESAMPLE_FWD_DESCRIPTOR, describe_resample, CUDNN_ATTR_OPERATION_RESAMPLE_FWD_DESC,
                                 {CUDNN_ATTR_OPERATION_RESAMPLE_FWD_XDESC, CUDNN_ATTR_OPERATION_RESAMPLE_FWD_YDESC}, 0, 0},
        [BL_GPU_POOL_AVERAGE_BACKWARD] = {CUDNN_BACKEND_OPERATION_RESAMPLE_BWD_DESCRIPTOR, describe_resample,
                                          CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DESC,
                                          {CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DYDESC, CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DXDESC}, 0, 0},
        [BL_GPU_MATMUL] = {CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR, describe_matmul, CUDNN_ATTR_OPERATION_MATMUL_DESC,
                           {CUDNN_ATTR_OPERATION_MATMUL_ADESC, CUDNN_ATTR_OPERATION_MATMUL_BDESC, CUDNN_ATTR_OPERATION_MATMUL_CDESC}, 0, 0},
};

static int set_norm(cudnnBackendDescriptor_t made, bl_gpu_kind kind) {
    const cudnnBackendNormMode_t mode = CUDNN_BATCH_NORM;
    const cudnnBackendNormFwdPhase_t phase = CUDNN_NORM_FWD_TRAINING;
    if (kind == BL_GPU_NORM_BACKWARD) return bl_gpu_attribute(made, CUDNN_ATTR_OPERATION_NORM_BWD_MODE, CUDNN_TYPE_NORM_MODE, 1, &mode);
    if (bl_gpu_attribute(made, CUDNN_ATTR_OPERATION_NORM_FWD_MODE, CUDNN_TYPE_NORM_MODE, 1, &mode)) return BL_FAILED;
    return bl_gpu_attribute(made, CUDNN_ATTR_OPERATION_NORM_FWD_PHASE, CUDNN_TYPE_NORM_FWD_PHASE, 1, &phase);
}

static int describe_operation(bl_gpu_descriptors *owner, const bl_gpu_operation *operation, const cudnnBackendDescriptor_t *tensors,
                              cudnnBackendDescriptor_t *made) {
    const bl_gpu_kind kind = operation->kind;
    const float one = 1.0f, zero = 0.0f;
    cudnnBackendDescriptor_t described = NULL;
    if (kinds[kind].describe && kinds[kind].describe(owner, operation, &described)) return BL_FAILED;
    if (bl_gpu_descriptor_create(owner, kinds[kind].type, made)) return BL_FAILED;
    if (described ? set_descriptor(*made, kinds[kind].described, described) : set_norm(*made, kind)) return BL_FAILED;
    for (int i = 0; i < BL_GPU_OPERANDS; i++)
        if (operation->operands[i] >= 0 && set_descriptor(*made, kinds[kind].operands[i], tensors[operation->operands[i]])) return BL_FAILED;
    if (kinds[kind].alpha && (bl_gpu_attribute(*made, kinds[kind].alpha, CUDNN_TYPE_FLOAT, 1, &one) ||
                              bl_gpu_attribute(*made, kinds[kind].beta, CUDNN_TYPE_FLOAT, 1, &zero)))
        return BL_FAILED;
    return bl_gpu_finalize(*made);
}

int bl_gpu_describe(bl_gpu_descriptors *owner, const bl_gpu_pattern *pattern, cudnnHandle_t handle, cudnnBackendDescriptor_t *graph) {
    cudnnBackendDescriptor_t tensors[BL_GPU_PATTERN_TENSORS], operations[BL_GPU_PATTERN_OPERATIONS];
    for (int i = 0; i < pattern->tensor_count; i++)
        if (describe_tensor(owner, &pattern->tensors[i], i + 1, &tensors[i])) return BL_FAILED;
    for (int i = 0; i < pattern->operation_count; i++)
        if (describe_operation(owner, &pattern->operations[i], tensors, &operations[i])) return BL_FAILED;
    if (bl_gpu_descriptor_create(owner, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, graph) ||
        bl_gpu_attribute(*graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, pattern->operation_count, operations))
        return BL_FAILED;
    if (handle && bl_gpu_attribute(*graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle)) return BL_FAILED;
    return bl_gpu_finalize(*graph);
}
