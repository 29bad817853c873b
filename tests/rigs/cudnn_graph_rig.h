// cudnn_graph_rig.h - for tests that drive cuDNN's graph API by hand: tensors, operations, suggestions, plans and calls in few words.
//
// One graph is described at a time; its tensors get the unique ids 1, 2, ... in the order in which they are made, and EXECUTE takes their
// memory in that order. Mind that C does not say in which order a call's arguments are made.

#ifndef BL_TESTS_CUDNN_GRAPH_RIG_H
#define BL_TESTS_CUDNN_GRAPH_RIG_H

#include <cudnn.h>
#include <stdbool.h>
#include <string.h>

#include "support.h"

#define must(call) assert_int_equal((call), 0) // CUDNN_STATUS_SUCCESS, cudaSuccess, CUBLAS_STATUS_SUCCESS
#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))
#define POINTER CUDNN_TYPE_BACKEND_DESCRIPTOR
#define F32 CUDNN_DATA_FLOAT
#define BF16 CUDNN_DATA_BFLOAT16

typedef cudnnBackendDescriptor_t descriptor;
enum { REAL, VIRTUAL, BY_VALUE };

// ---- one graph at a time ----

static descriptor made[200], operations[4];
static void *memory[64]; // of the device, until the test's end
static int made_count, operation_count, memory_count;
static int64_t last_id;
static char log_text[2000]; // what cuDNN's callback said, its lines joined
static cudnnHandle_t handle;
static cudaStream_t stream;

static descriptor create(cudnnBackendDescriptorType_t type) {
    descriptor of = NULL;
    must(cudnnBackendCreateDescriptor(type, &of));
    assert_true(made_count < COUNT(made));
    return made[made_count++] = of;
}

static void set(descriptor of, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count, const void *values) {
    must(cudnnBackendSetAttribute(of, name, type, count, values));
}

static void set_child(descriptor of, cudnnBackendAttributeName_t name, descriptor child) {
    if (child) set(of, name, POINTER, 1, &child);
}

static void finalize(descriptor of) {
    char why[400];
    if (cudnnBackendFinalize(of)) {
        cudnnGetLastErrorString(why, sizeof why);
        fail_msg("finalize: %s", why);
    }
}

static descriptor tensor_of_rank(cudnnDataType_t type, int rank, const int64_t *dims, const int64_t *strides, int kind) {
    const descriptor of = create(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    const int64_t alignment = 16, id = ++last_id;
    const bool yes = true;
    set(of, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    set(of, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, rank, dims);
    set(of, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, rank, strides);
    set(of, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id);
    set(of, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
    if (kind == VIRTUAL) set(of, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &yes);
    if (kind == BY_VALUE) set(of, CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, 1, &yes);
    finalize(of);
    return of;
}

static descriptor image(cudnnDataType_t type, int64_t n, int64_t c, int64_t h, int64_t w, int kind) { // NHWC
    return tensor_of_rank(type, 4, (int64_t[]){n, c, h, w}, (int64_t[]){h * w * c, 1, w * c, c}, kind);
}

static descriptor matrix(cudnnDataType_t type, int64_t rows, int64_t columns, int kind) {
    return tensor_of_rank(type, 3, (int64_t[]){1, rows, columns}, (int64_t[]){rows * columns, columns, 1}, kind);
}

static void add_operation(descriptor of) {
    finalize(of);
    operations[operation_count++] = of;
}

// x, w, y: images, filters and results (or their gradients), whichever of them is written.
typedef enum direction { FORWARD, BACKWARD_DATA, BACKWARD_FILTER } direction;

static void convolve(direction to, descriptor x, descriptor w, descriptor y, int64_t padding, int64_t stride, int64_t dilation) {
    static const struct {
        cudnnBackendDescriptorType_t type;
        cudnnBackendAttributeName_t of, x, w, y, alpha, beta;
    } names[] = {
        {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
         CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
         CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
        {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
        {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA},
    };
    const descriptor of = create(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR), operation = create(names[to].type);
    const cudnnDataType_t compute = F32;
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    const int64_t spatial = 2, strides[] = {stride, stride}, paddings[] = {padding, padding}, dilations[] = {dilation, dilation};
    const float one = 1, zero = 0;
    set(of, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &compute);
    set(of, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    set(of, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &spatial);
    set(of, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, dilations);
    set(of, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, strides);
    set(of, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, paddings);
    set(of, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, paddings);
    finalize(of);
    set_child(operation, names[to].of, of);
    set_child(operation, names[to].x, x);
    set_child(operation, names[to].w, w);
    set_child(operation, names[to].y, y);
    set(operation, names[to].alpha, CUDNN_TYPE_FLOAT, 1, &one);
    set(operation, names[to].beta, CUDNN_TYPE_FLOAT, 1, &zero);
    add_operation(operation);
}

static void pointwise(cudnnPointwiseMode_t mode, descriptor x, descriptor b, descriptor y) {
    const descriptor of = create(CUDNN_BACKEND_POINTWISE_DESCRIPTOR), operation = create(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    const cudnnDataType_t compute = F32;
    const bool is_backward = mode == CUDNN_POINTWISE_RELU_BWD;
    set(of, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
    set(of, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &compute);
    finalize(of);
    set_child(operation, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, of);
    set_child(operation, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
    set_child(operation, is_backward ? CUDNN_ATTR_OPERATION_POINTWISE_DYDESC : CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b);
    set_child(operation, is_backward ? CUDNN_ATTR_OPERATION_POINTWISE_DXDESC : CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
    add_operation(operation);
}

// scale, bias, epsilon, mean, inverse get the ids behind the last one's, in this order.
static void normalize(descriptor x, descriptor y, int64_t channels, cudnnBackendNormFwdPhase_t phase) {
    const descriptor operation = create(CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR);
    const cudnnBackendNormMode_t mode = CUDNN_BATCH_NORM;
    set(operation, CUDNN_ATTR_OPERATION_NORM_FWD_MODE, CUDNN_TYPE_NORM_MODE, 1, &mode);
    set(operation, CUDNN_ATTR_OPERATION_NORM_FWD_PHASE, CUDNN_TYPE_NORM_FWD_PHASE, 1, &phase);
    set_child(operation, CUDNN_ATTR_OPERATION_NORM_FWD_XDESC, x);
    set_child(operation, CUDNN_ATTR_OPERATION_NORM_FWD_YDESC, y);
    set_child(operation, CUDNN_ATTR_OPERATION_NORM_FWD_SCALE_DESC, image(F32, 1, channels, 1, 1, REAL));
    set_child(operation, CUDNN_ATTR_OPERATION_NORM_FWD_BIAS_DESC, image(F32, 1, channels, 1, 1, REAL));
    set_child(operation, CUDNN_ATTR_OPERATION_NORM_FWD_EPSILON_DESC, image(F32, 1, 1, 1, 1, BY_VALUE));
    set_child(operation, CUDNN_ATTR_OPERATION_NORM_FWD_MEAN_DESC, image(F32, 1, channels, 1, 1, REAL));
    set_child(operation, CUDNN_ATTR_OPERATION_NORM_FWD_INV_VARIANCE_DESC, image(F32, 1, channels, 1, 1, REAL));
    add_operation(operation);
}

// dx, scale, mean, inverse, dscale, dbias get the ids behind the last one's, in this order.
static void normalize_backward(descriptor x, descriptor dy, cudnnDataType_t type, const int64_t *dims) {
    const descriptor operation = create(CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR);
    const cudnnBackendNormMode_t mode = CUDNN_BATCH_NORM;
    set(operation, CUDNN_ATTR_OPERATION_NORM_BWD_MODE, CUDNN_TYPE_NORM_MODE, 1, &mode);
    set_child(operation, CUDNN_ATTR_OPERATION_NORM_BWD_XDESC, x);
    set_child(operation, CUDNN_ATTR_OPERATION_NORM_BWD_DYDESC, dy);
    set_child(operation, CUDNN_ATTR_OPERATION_NORM_BWD_DXDESC, image(type, dims[0], dims[1], dims[2], dims[3], REAL));
    static const cudnnBackendAttributeName_t names[] = {CUDNN_ATTR_OPERATION_NORM_BWD_SCALE_DESC, CUDNN_ATTR_OPERATION_NORM_BWD_MEAN_DESC,
        CUDNN_ATTR_OPERATION_NORM_BWD_INV_VARIANCE_DESC, CUDNN_ATTR_OPERATION_NORM_BWD_DSCALE_DESC, CUDNN_ATTR_OPERATION_NORM_BWD_DBIAS_DESC};
    for (int i = 0; i < COUNT(names); i++) set_child(operation, names[i], image(F32, 1, dims[1], 1, 1, REAL));
    add_operation(operation);
}

static descriptor window(cudnnResampleMode_t mode, int64_t size, int64_t padding, int64_t stride) {
    const descriptor of = create(CUDNN_BACKEND_RESAMPLE_DESCRIPTOR);
    const cudnnPaddingMode_t padding_mode = mode == CUDNN_RESAMPLE_MAXPOOL ? CUDNN_NEG_INF_PAD : CUDNN_ZERO_PAD;
    const cudnnNanPropagation_t nan = CUDNN_PROPAGATE_NAN;
    const cudnnDataType_t compute = F32;
    const int64_t spatial = 2;
    const cudnnFraction_t sizes[] = {{size, 1}, {size, 1}}, paddings[] = {{padding, 1}, {padding, 1}}, strides[] = {{stride, 1}, {stride, 1}};
    set(of, CUDNN_ATTR_RESAMPLE_MODE, CUDNN_TYPE_RESAMPLE_MODE, 1, &mode);
    set(of, CUDNN_ATTR_RESAMPLE_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &compute);
    set(of, CUDNN_ATTR_RESAMPLE_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &spatial);
    set(of, CUDNN_ATTR_RESAMPLE_NAN_PROPAGATION, CUDNN_TYPE_NAN_PROPOGATION, 1, &nan);
    set(of, CUDNN_ATTR_RESAMPLE_PADDING_MODE, CUDNN_TYPE_PADDING_MODE, 1, &padding_mode);
    set(of, CUDNN_ATTR_RESAMPLE_WINDOW_DIMS, CUDNN_TYPE_FRACTION, 2, sizes);
    set(of, CUDNN_ATTR_RESAMPLE_PRE_PADDINGS, CUDNN_TYPE_FRACTION, 2, paddings);
    set(of, CUDNN_ATTR_RESAMPLE_POST_PADDINGS, CUDNN_TYPE_FRACTION, 2, paddings);
    set(of, CUDNN_ATTR_RESAMPLE_STRIDES, CUDNN_TYPE_FRACTION, 2, strides);
    finalize(of);
    return of;
}

static void pool(descriptor of, descriptor x, descriptor y, descriptor index) {
    const descriptor operation = create(CUDNN_BACKEND_OPERATION_RESAMPLE_FWD_DESCRIPTOR);
    set_child(operation, CUDNN_ATTR_OPERATION_RESAMPLE_FWD_DESC, of);
    set_child(operation, CUDNN_ATTR_OPERATION_RESAMPLE_FWD_XDESC, x);
    set_child(operation, CUDNN_ATTR_OPERATION_RESAMPLE_FWD_YDESC, y);
    set_child(operation, CUDNN_ATTR_OPERATION_RESAMPLE_FWD_IDXDESC, index);
    add_operation(operation);
}

static void pool_backward(descriptor of, descriptor dx, descriptor dy, descriptor index) {
    const descriptor operation = create(CUDNN_BACKEND_OPERATION_RESAMPLE_BWD_DESCRIPTOR);
    set_child(operation, CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DESC, of);
    set_child(operation, CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DXDESC, dx);
    set_child(operation, CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DYDESC, dy);
    set_child(operation, CUDNN_ATTR_OPERATION_RESAMPLE_BWD_IDXDESC, index);
    add_operation(operation);
}

static void multiply(descriptor a, descriptor b, descriptor c) {
    const descriptor of = create(CUDNN_BACKEND_MATMUL_DESCRIPTOR), operation = create(CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR);
    const cudnnDataType_t compute = F32;
    set(of, CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &compute);
    finalize(of);
    set_child(operation, CUDNN_ATTR_OPERATION_MATMUL_DESC, of);
    set_child(operation, CUDNN_ATTR_OPERATION_MATMUL_ADESC, a);
    set_child(operation, CUDNN_ATTR_OPERATION_MATMUL_BDESC, b);
    set_child(operation, CUDNN_ATTR_OPERATION_MATMUL_CDESC, c);
    add_operation(operation);
}

// ---- engines, plans, calls ----

// The suggestions for the operations so far, which are then forgotten.
static int suggestions(descriptor *configs, int room) {
    const descriptor graph = create(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR), heuristics = create(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    const cudnnBackendHeurMode_t mode = CUDNN_HEUR_MODE_A;
    int64_t count = 0;
    set(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, POINTER, operation_count, operations);
    operation_count = 0;
    finalize(graph);
    set_child(heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
    set(heuristics, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    if (cudnnBackendFinalize(heuristics)) return 0;
    must(cudnnBackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS, POINTER, 0, &count, NULL));
    assert_true(count <= room);
    for (int i = 0; i < count; i++) configs[i] = create(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    if (count) must(cudnnBackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS, POINTER, count, &count, configs));
    return (int)count;
}

static bool has_note(descriptor config, cudnnBackendNumericalNote_t wanted) {
    descriptor engine = create(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    int64_t count = 0;
    must(cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE, POINTER, 1, &count, &engine));
    must(cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, COUNT(notes), &count, notes));
    for (int64_t i = 0; i < count; i++)
        if (notes[i] == wanted) return true;
    return false;
}

static descriptor plan_of(descriptor config) {
    const descriptor plan = create(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    set_child(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
    finalize(plan);
    return plan;
}

// The plan of the last suggestion: deterministic, without tensor cores where there is one.
static descriptor best_plan(void) {
    descriptor configs[8];
    const int count = suggestions(configs, COUNT(configs));
    assert_true(count > 0);
    return plan_of(configs[count - 1]);
}

static char *device_memory(size_t bytes) {
    void *data = NULL;
    assert_true(memory_count < COUNT(memory));
    must(cudaMalloc(&data, bytes));
    return memory[memory_count++] = data;
}

static void *uploaded(const void *values, size_t bytes) {
    void *data = device_memory(bytes);
    must(cudaMemcpy(data, values, bytes, cudaMemcpyHostToDevice));
    return data;
}
#define UPLOAD(...) uploaded((const float[]){__VA_ARGS__}, sizeof((const float[]){__VA_ARGS__}))

static void assert_holds(const void *data, int count, const float *wanted) {
    float values[32];
    assert_true(count <= COUNT(values));
    must(cudaStreamSynchronize(stream));
    must(cudaMemcpy(values, data, (size_t)count * sizeof(float), cudaMemcpyDeviceToHost));
    for (int i = 0; i < count; i++) assert_float_equal(values[i], wanted[i], 1e-5f);
}
#define ASSERT_HOLDS(data, ...) assert_holds(data, COUNT(((const float[]){__VA_ARGS__})), (const float[]){__VA_ARGS__})

static int64_t workspace_of(descriptor plan) {
    int64_t bytes = 0, count;
    must(cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &count, &bytes));
    return bytes;
}

static cudnnStatus_t execute_in(descriptor plan, int count, const int64_t *ids, void *const *data, void *workspace) {
    const descriptor pack = create(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    set(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count, ids);
    set(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, count, data);
    set(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
    finalize(pack);
    return cudnnBackendExecute(handle, plan, pack);
}

// Tensors 1, 2, ...; NULL: virtual.
static void execute(descriptor plan, int count, void *const *data) {
    int64_t ids[24];
    void *given[24], *workspace = device_memory((size_t)workspace_of(plan));
    char why[400] = "";
    int used = 0;
    for (int i = 0; i < count; i++)
        if (data[i]) ids[used] = i + 1, given[used++] = data[i];
    if (execute_in(plan, used, ids, given, workspace)) {
        cudnnGetLastErrorString(why, sizeof why);
        fail_msg("execute: %s", why);
    }
    must(cudaStreamSynchronize(stream));
}
#define EXECUTE(plan, ...) execute(plan, COUNT(((void *[]){__VA_ARGS__})), (void *[]){__VA_ARGS__})

static void on_log(cudnnSeverity_t severity, void *data, const cudnnDebug_t *debug, const char *message) {
    (void)severity, (void)data, (void)debug;
    for (; *message; message += strlen(message) + 1)
        if (strlen(log_text) + strlen(message) + 2 < sizeof log_text) strcat(strcat(log_text, message), "\n");
}

static int open_device(void **state) {
    (void)state;
    made_count = operation_count = memory_count = 0;
    last_id = 0;
    log_text[0] = '\0';
    must(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    must(cudnnCreate(&handle));
    must(cudnnSetStream(handle, stream));
    must(cudnnSetCallback(CUDNN_SEV_ERROR_EN | CUDNN_SEV_WARNING_EN, NULL, on_log));
    return 0;
}

static int close_device(void **state) {
    (void)state;
    while (made_count) must(cudnnBackendDestroyDescriptor(made[--made_count]));
    while (memory_count) must(cudaFree(memory[--memory_count]));
    must(cudnnDestroy(handle));
    must(cudaStreamDestroy(stream));
    must(cudaGetLastError());
    return 0;
}

#endif
