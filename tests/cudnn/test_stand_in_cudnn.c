// The stand-in for cuDNN and cuBLAS (tests/stand_in) computes what they compute, refuses what they refuse, and punishes what they punish:
// numbers that can be checked by hand.

#include <cublas_v2.h>
#include <math.h>
#include <stdlib.h>

#include "cudnn_graph_rig.h"

// ---- numbers ----

static void describe_small_convolution(void) { // 1 x 1 x 3 x 3 by 1 x 1 x 2 x 2
    const descriptor x = image(F32, 1, 1, 3, 3, REAL), w = image(F32, 1, 1, 2, 2, REAL), y = image(F32, 1, 1, 2, 2, REAL);
    convolve(FORWARD, x, w, y, 0, 1, 1);
}

static void a_convolution_is_a_correlation(void **state) {
    (void)state;
    describe_small_convolution();
    void *const y = device_memory(16);
    EXECUTE(best_plan(), UPLOAD(1, 2, 3, 4, 5, 6, 7, 8, 9), UPLOAD(1, 10, 100, 1000), y);
    ASSERT_HOLDS(y, 5421, 6532, 8754, 9865);
}

static void padding_and_channels_last_are_understood(void **state) {
    (void)state;
    const descriptor x = image(F32, 1, 2, 1, 2, REAL), w = image(F32, 1, 2, 3, 3, REAL), out = image(F32, 1, 1, 1, 2, REAL);
    convolve(FORWARD, x, w, out, 1, 1, 1);
    // x[h 0][w][c] = 1 2 | 3 4; the middle row of w[r][s][c] = 1 0 | 10 100 | 0 1000.
    void *const y = device_memory(8);
    EXECUTE(best_plan(), UPLOAD(1, 2, 3, 4), UPLOAD(0, 0, 0, 0, 0, 0, 1, 0, 10, 100, 0, 1000, 0, 0, 0, 0, 0, 0), y);
    ASSERT_HOLDS(y, 10 + 200 + 4000, 1 + 30 + 400);
}

// <y, conv(x, w)> = <x, data(y, w)> = <w, filter(x, y)>, with a stride, padding and dilation; all numbers are whole.
static void gradients_of_a_convolution_are_its_adjoints(void **state) {
    (void)state;
    enum { X = 2 * 2 * 5 * 6, W = 3 * 2 * 2 * 2, Y = 2 * 3 * 3 * 3 };
    float given[3][X], found[3][X];
    const size_t sizes[] = {X * sizeof(float), W * sizeof(float), Y * sizeof(float)};
    for (int i = 0; i < X; i++) given[0][i] = (float)(i * 7 % 11 - 5), given[1][i] = (float)(i * 5 % 7 - 3), given[2][i] = (float)(i * 3 % 13 - 6);
    for (int to = FORWARD; to <= BACKWARD_FILTER; to++) {
        last_id = 0;
        const descriptor x = image(F32, 2, 2, 5, 6, REAL), w = image(F32, 3, 2, 2, 2, REAL), y = image(F32, 2, 3, 3, 3, REAL);
        const int written = to == FORWARD ? 2 : to == BACKWARD_DATA ? 0 : 1;
        void *data[3];
        for (int i = 0; i < 3; i++) data[i] = i == written ? device_memory(sizes[i]) : uploaded(given[i], sizes[i]);
        convolve((direction)to, x, w, y, 1, 2, 2);
        execute(best_plan(), 3, data);
        must(cudaMemcpy(found[written], data[written], sizes[written], cudaMemcpyDeviceToHost));
    }
    float products[3] = {0};
    for (int i = 0; i < 3; i++)
        for (size_t k = 0; k < sizes[i] / sizeof(float); k++) products[i] += given[i][k] * found[i][k];
    assert_true(products[0] != 0);
    assert_float_equal(products[0], products[1], 0);
    assert_float_equal(products[0], products[2], 0);
}

// Four channels so that an engine exists; all of them alike.
static void batch_norm_with_residual_relu_and_mask_goes_there_and_back(void **state) {
    (void)state;
    const int64_t dims[] = {2, 4, 1, 1};
    const float epsilon = 0, zero = 0;
    void *const x = UPLOAD(1, 1, 1, 1, 3, 3, 3, 3), *const out = device_memory(32), *const mask = device_memory(8), *const scale = UPLOAD(2, 2, 2, 2);
    void *const mean = device_memory(16), *const inverse = device_memory(16), *const dx = device_memory(32), *const dsum = device_memory(32);
    void *const dscale = device_memory(16), *const dbias = device_memory(16);

    const descriptor x_in = image(F32, 2, 4, 1, 1, REAL), y = image(F32, 2, 4, 1, 1, VIRTUAL); // 1, 2; 3 .. 7 by normalize
    normalize(x_in, y, 4, CUDNN_NORM_FWD_TRAINING);
    const descriptor residual = image(F32, 2, 4, 1, 1, REAL), sum = image(F32, 2, 4, 1, 1, VIRTUAL), result = image(F32, 2, 4, 1, 1, REAL);
    const descriptor threshold = image(F32, 1, 1, 1, 1, BY_VALUE), positive = image(CUDNN_DATA_BOOLEAN, 2, 4, 1, 1, REAL); // 11, 12
    pointwise(CUDNN_POINTWISE_ADD, y, residual, sum);
    pointwise(CUDNN_POINTWISE_RELU_FWD, sum, NULL, result);
    pointwise(CUDNN_POINTWISE_CMP_GT, result, threshold, positive);
    // Normalised: -1 and 1; by scale 2 and bias 0.5: -1.5 and 2.5.
    EXECUTE(best_plan(), x, NULL, scale, UPLOAD(.5f, .5f, .5f, .5f), (void *)&epsilon, mean, inverse, UPLOAD(1, 1, 1, 2, 0, 0, 0, -3), NULL, out, (void *)&zero, mask);
    ASSERT_HOLDS(out, 0, 0, 0, .5f, 2.5f, 2.5f, 2.5f, 0);
    ASSERT_HOLDS(mean, 2, 2, 2, 2);
    ASSERT_HOLDS(inverse, 1, 1, 1, 1);
    unsigned char bytes[8];
    must(cudaMemcpy(bytes, mask, 8, cudaMemcpyDeviceToHost));
    for (int i = 0; i < 8; i++) assert_true(bytes[i] > 1); // for nobody else to read

    last_id = 0;
    const descriptor dy = image(F32, 2, 4, 1, 1, REAL), kept = image(CUDNN_DATA_BOOLEAN, 2, 4, 1, 1, REAL), masked = image(F32, 2, 4, 1, 1, REAL), again = image(F32, 2, 4, 1, 1, REAL);
    pointwise(CUDNN_POINTWISE_MUL, dy, kept, masked);
    normalize_backward(again, masked, F32, dims); // dx 5, scale, mean, inverse, dscale 9, dbias 10
    EXECUTE(best_plan(), UPLOAD(1, 1, 1, 8, 2, 3, 4, 1), mask, dsum, x, dx, scale, mean, inverse, dscale, dbias);
    ASSERT_HOLDS(dsum, 0, 0, 0, 8, 2, 3, 4, 0);
    ASSERT_HOLDS(dbias, 2, 3, 4, 8);
    ASSERT_HOLDS(dscale, 2, 3, 4, -8);
    ASSERT_HOLDS(dx, 0, 0, 0, 0, 0, 0, 0, 0); // two rows: normalising leaves no freedom
}

static void a_gradient_through_batch_norm_is_the_derivative(void **state) {
    (void)state;
    const int64_t dims[] = {3, 4, 1, 1};
    const double rows[] = {1, 2, 6}, dy_rows[] = {1, -2, 4}, nudge = 1e-5;
    double wanted[3];
    for (int i = 0; i < 3; i++) { // central differences of sum dy y with scale 2 and epsilon 0.25
        double sums[2];
        for (int side = 0; side < 2; side++) {
            double x[3], mean = 0, variance = 0;
            for (int k = 0; k < 3; k++) mean += (x[k] = rows[k] + (k == i ? (side ? nudge : -nudge) : 0)) / 3;
            for (int k = 0; k < 3; k++) variance += (x[k] - mean) * (x[k] - mean) / 3;
            sums[side] = 0;
            for (int k = 0; k < 3; k++) sums[side] += dy_rows[k] * 2 * (x[k] - mean) / sqrt(variance + .25);
        }
        wanted[i] = (sums[1] - sums[0]) / (2 * nudge);
    }
    const float inverse = (float)(1 / sqrt(14.0 / 3 + .25));
    void *const dx = device_memory(48), *const dscale = device_memory(16), *const dbias = device_memory(16);
    const descriptor x = image(F32, 3, 4, 1, 1, REAL), dy = image(F32, 3, 4, 1, 1, REAL);
    normalize_backward(x, dy, F32, dims);
    EXECUTE(best_plan(), UPLOAD(1, 1, 1, 1, 2, 2, 2, 2, 6, 6, 6, 6), UPLOAD(1, 1, 1, 1, -2, -2, -2, -2, 4, 4, 4, 4), dx, UPLOAD(2, 2, 2, 2), UPLOAD(3, 3, 3, 3),
            UPLOAD(inverse, inverse, inverse, inverse), dscale, dbias);
    float found[12];
    must(cudaMemcpy(found, dx, sizeof found, cudaMemcpyDeviceToHost));
    for (int i = 0; i < 12; i++) assert_float_equal(found[i], wanted[i / 4], 1e-4);
}

static void a_matmul_adds_its_bias(void **state) {
    (void)state;
    const descriptor a = matrix(F32, 2, 3, REAL), b = matrix(F32, 3, 2, REAL), product = matrix(F32, 2, 2, VIRTUAL);
    const descriptor bias = matrix(F32, 1, 2, REAL), sum = matrix(F32, 2, 2, REAL);
    multiply(a, b, product);
    pointwise(CUDNN_POINTWISE_ADD, product, bias, sum);
    void *const y = device_memory(16);
    EXECUTE(best_plan(), UPLOAD(1, 2, 3, 4, 5, 6), UPLOAD(1, 2, 3, 4, 5, 6), NULL, UPLOAD(.5f, -1), y);
    ASSERT_HOLDS(y, 22.5f, 27, 49.5f, 63);
}

static void a_max_pool_remembers_the_first_of_its_maxima(void **state) {
    (void)state;
    const descriptor of = window(CUDNN_RESAMPLE_MAXPOOL, 3, 1, 2);
    const descriptor from = image(F32, 1, 1, 4, 4, REAL), to = image(F32, 1, 1, 2, 2, REAL), at = image(CUDNN_DATA_INT8, 1, 1, 2, 2, REAL);
    pool(of, from, to, at);
    void *const y = device_memory(16), *const index = device_memory(4), *const dx = device_memory(64);
    EXECUTE(best_plan(), UPLOAD(1, 9, 2, 3, -4, 9, 5, 6, 0, 0, 7, 8, -1, -2, 9, 8), y, index);
    ASSERT_HOLDS(y, 9, 9, 9, 9);
    signed char positions[4];
    must(cudaMemcpy(positions, index, sizeof positions, cudaMemcpyDeviceToHost));
    // Windows start at row and column -1 and 1: the 9 at (0, 1) is (1, 2) of the first, (1, 0) of the second.
    assert_int_equal(positions[0], 5);
    assert_int_equal(positions[1], 3);
    assert_int_equal(positions[2], 2);
    assert_int_equal(positions[3], 0);
    pool_backward(of, from, to, at);
    EXECUTE(best_plan(), dx, UPLOAD(1, 2, 3, 4), index);
    ASSERT_HOLDS(dx, 0, 3, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
}

static void a_max_pool_passes_a_nan_on(void **state) {
    (void)state;
    const descriptor of = window(CUDNN_RESAMPLE_MAXPOOL, 2, 0, 2), from = image(F32, 1, 1, 2, 4, REAL), to = image(F32, 1, 1, 1, 2, REAL);
    pool(of, from, to, NULL);
    float values[2];
    void *const y = device_memory(sizeof values);
    EXECUTE(best_plan(), UPLOAD(1, 2, 3, 4, NAN, 9, 5, 6), y);
    must(cudaMemcpy(values, y, sizeof values, cudaMemcpyDeviceToHost));
    assert_true(isnan(values[0]));
    assert_float_equal(values[1], 6, 0);
}

static void an_average_counts_its_padding(void **state) {
    (void)state;
    const descriptor of = window(CUDNN_RESAMPLE_AVGPOOL_INCLUDE_PADDING, 2, 1, 2), from = image(F32, 1, 1, 2, 2, REAL), to = image(F32, 1, 1, 2, 2, REAL);
    pool(of, from, to, NULL);
    void *const y = device_memory(16);
    EXECUTE(best_plan(), UPLOAD(4, 8, 12, 16), y);
    ASSERT_HOLDS(y, 1, 2, 3, 4);
}

static void half_precision_rounds_to_nearest_even(void **state) {
    (void)state;
    const descriptor wide = image(F32, 1, 4, 1, 1, REAL), narrow = image(BF16, 1, 4, 1, 1, REAL);
    pointwise(CUDNN_POINTWISE_IDENTITY, wide, NULL, narrow);
    void *const y = device_memory(8);
    uint16_t halves[4];
    // 1 + 2^-8 and 1 + 3 2^-8 lie halfway between two of bf16.
    EXECUTE(best_plan(), UPLOAD(1 + 0x1p-8f, 1 + 0x3p-8f, -3, 1 + 0x1.02p-8f), y);
    must(cudaMemcpy(halves, y, sizeof halves, cudaMemcpyDeviceToHost));
    assert_int_equal(halves[0], 0x3f80);
    assert_int_equal(halves[1], 0x3f82);
    assert_int_equal(halves[2], 0xc040);
    assert_int_equal(halves[3], 0x3f81);
}

static void cublas_multiplies_column_major(void **state) {
    (void)state;
    cublasHandle_t blas;
    float alpha = 2, beta = 1;
    must(cublasCreate(&blas));
    must(cublasSetStream(blas, stream));
    // a is 2 x 3 stored transposed, b 3 x 1, c 2 x 1 with a leading dimension of 3.
    void *const c = UPLOAD(100, 200, 300);
    must(cublasGemmEx(blas, CUBLAS_OP_T, CUBLAS_OP_N, 2, 1, 3, &alpha, UPLOAD(1, 2, 3, 4, 5, 6), CUDA_R_32F, 3, UPLOAD(1, 10, 100), CUDA_R_32F, 3, &beta, c,
                      CUDA_R_32F, 3, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
    alpha = beta = 0; // read at the call
    ASSERT_HOLDS(c, 100 + 2 * 321, 200 + 2 * 654, 300);
    must(cublasDestroy(blas));
}

// ---- engines ----

static void the_first_suggestions_are_wrong_in_their_own_ways(void **state) {
    (void)state;
    describe_small_convolution();
    descriptor configs[4];
    assert_int_equal(suggestions(configs, 4), 3);
    assert_true(has_note(configs[0], CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC));
    assert_true(has_note(configs[1], CUDNN_NUMERICAL_NOTE_TENSOR_CORE) && !has_note(configs[1], CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC));
    assert_true(!has_note(configs[2], CUDNN_NUMERICAL_NOTE_TENSOR_CORE) && !has_note(configs[2], CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC));

    const float fine = 1 + 0x1p-20f; // TF32 keeps 10 bits of the mantissa
    void *const x = UPLOAD(fine, fine, fine, fine, fine, fine, fine, fine, fine), *const w = UPLOAD(1, 1, 1, 1);
    float results[3][2][4];
    for (int i = 0; i < 3; i++) {
        const descriptor plan = plan_of(configs[i]);
        for (int again = 0; again < 2; again++) {
            void *const y = device_memory(16);
            EXECUTE(plan, x, w, y);
            must(cudaMemcpy(results[i][again], y, 16, cudaMemcpyDeviceToHost));
        }
    }
    assert_memory_not_equal(results[0][0], results[0][1], 16);
    assert_memory_equal(results[1][0], results[1][1], 16);
    assert_memory_equal(results[2][0], results[2][1], 16);
    assert_float_equal(results[1][0][0], 4, 0);
    assert_float_equal(results[2][0][0], 4 * fine, 0);
}

static void a_plan_comes_back_from_its_text(void **state) {
    (void)state;
    const descriptor restored = create(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR), spoiled = create(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    describe_small_convolution();
    const descriptor plan = best_plan();
    int64_t size = 0;
    must(cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, 0, &size, NULL));
    char *text = malloc((size_t)size);
    assert_non_null(text);
    must(cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, size, &size, text));
    while (made_count > 2) must(cudnnBackendDestroyDescriptor(made[--made_count])); // all but the two that are wanted
    set(restored, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, size, text);
    finalize(restored);
    void *const y = device_memory(16);
    EXECUTE(restored, UPLOAD(1, 2, 3, 4, 5, 6, 7, 8, 9), UPLOAD(1, 10, 100, 1000), y);
    ASSERT_HOLDS(y, 5421, 6532, 8754, 9865);
    text[size / 2] = 'x';
    set(spoiled, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, size, text);
    assert_int_not_equal(cudnnBackendFinalize(spoiled), CUDNN_STATUS_SUCCESS);
    free(text);
}

// ---- what an H200 refuses ----

static void bf16_norm_of_twelve_channels(void) { normalize(image(BF16, 2, 12, 4, 4, REAL), image(BF16, 2, 12, 4, 4, REAL), 12, CUDNN_NORM_FWD_TRAINING); }
static void f32_norm_of_six_channels(void) { normalize(image(F32, 2, 6, 4, 4, REAL), image(F32, 2, 6, 4, 4, REAL), 6, CUDNN_NORM_FWD_TRAINING); }
static void norm_inference(void) { normalize(image(BF16, 2, 8, 4, 4, REAL), image(BF16, 2, 8, 4, 4, REAL), 8, CUDNN_NORM_FWD_INFERENCE); }
static void convolution_of_mixed_types(void) { convolve(FORWARD, image(BF16, 1, 8, 4, 4, REAL), image(F32, 8, 8, 3, 3, REAL), image(BF16, 1, 8, 4, 4, REAL), 1, 1, 1); }
static void f32_gradient_of_bf16_filters(void) { convolve(BACKWARD_FILTER, image(BF16, 1, 8, 4, 4, REAL), image(F32, 8, 8, 3, 3, REAL), image(BF16, 1, 8, 4, 4, REAL), 1, 1, 1); }
static void relu_backward_of_a_real_y_before_norm_backward(void) {
    const descriptor dy = image(F32, 2, 4, 4, 4, VIRTUAL), y = image(F32, 2, 4, 4, 4, REAL), given = image(F32, 2, 4, 4, 4, REAL);
    pointwise(CUDNN_POINTWISE_RELU_BWD, y, given, dy);
    normalize_backward(image(F32, 2, 4, 4, 4, REAL), dy, F32, (int64_t[]){2, 4, 4, 4});
}
static void norm_and_add_without_relu(void) {
    const descriptor y = image(F32, 2, 4, 4, 4, VIRTUAL);
    normalize(image(F32, 2, 4, 4, 4, REAL), y, 4, CUDNN_NORM_FWD_TRAINING);
    pointwise(CUDNN_POINTWISE_ADD, y, image(F32, 2, 4, 4, 4, REAL), image(F32, 2, 4, 4, 4, REAL));
}
static void f32_gradient_of_bf16_filters_by_way_of_identity(void) {
    const descriptor dw = image(F32, 8, 8, 3, 3, VIRTUAL);
    convolve(BACKWARD_FILTER, image(BF16, 1, 8, 4, 4, REAL), dw, image(BF16, 1, 8, 4, 4, REAL), 1, 1, 1);
    pointwise(CUDNN_POINTWISE_IDENTITY, dw, NULL, image(F32, 8, 8, 3, 3, REAL));
}
static void bf16_norm_of_sixteen_channels(void) { normalize(image(BF16, 2, 16, 4, 4, REAL), image(BF16, 2, 16, 4, 4, REAL), 16, CUDNN_NORM_FWD_TRAINING); }

static void what_a_described_h200_refuses_has_no_engine(void **state) {
    (void)state;
    static const struct { void (*describe)(void); const char *reason; } cases[] = {
        {bf16_norm_of_twelve_channels, "Reason: tunable_params.c % tunable_params.elements_per_ldg != 0"},
        {f32_norm_of_six_channels, "Reason: tunable_params.c % tunable_params.elements_per_ldg != 0"},
        {norm_inference, ""}, // its heuristics do not even finalise
        {convolution_of_mixed_types, "Reason: config == INVALID_DATA_CONFIG"},
        {f32_gradient_of_bf16_filters, "Reason: config == INVALID_DATA_CONFIG"},
        {relu_backward_of_a_real_y_before_norm_backward, "Reason: !dact_op->getXDesc()->getIsVirtual()"},
        {norm_and_add_without_relu, "Reason: add_Y_connections.size() != 1"},
    };
    descriptor configs[8];
    for (int i = 0; i < COUNT(cases); i++) {
        log_text[0] = '\0';
        cases[i].describe();
        assert_int_equal(suggestions(configs, COUNT(configs)), 0);
        bl_test_holds(log_text, cases[i].reason);
    }
    void (*const taken[])(void) = {bf16_norm_of_sixteen_channels, f32_gradient_of_bf16_filters_by_way_of_identity};
    for (int i = 0; i < COUNT(taken); i++) {
        taken[i]();
        assert_true(suggestions(configs, COUNT(configs)) > 0);
    }
}

static void an_f32_matmul_has_no_engine_without_tensor_cores(void **state) {
    (void)state;
    descriptor configs[4];
    multiply(matrix(F32, 2, 3, REAL), matrix(F32, 3, 2, REAL), matrix(F32, 2, 2, REAL));
    const int count = suggestions(configs, COUNT(configs));
    assert_true(count > 0);
    for (int i = 0; i < count; i++) assert_true(has_note(configs[i], CUDNN_NUMERICAL_NOTE_TENSOR_CORE));
}

// ---- calls that are wrong ----

static void descriptors_are_checked(void **state) {
    (void)state;
    const descriptor of = create(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    const int64_t dims[] = {1, 2, 3, 4};
    assert_int_equal(cudnnBackendSetAttribute(of, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT32, 4, dims), CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE);
    assert_int_equal(cudnnBackendSetAttribute(of, CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, dims), CUDNN_STATUS_BAD_PARAM);
    set(of, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, dims);
    assert_int_equal(cudnnBackendFinalize(of), CUDNN_STATUS_BAD_PARAM);
    char why[200];
    cudnnGetLastErrorString(why, sizeof why);
    assert_true(why[0] != '\0');
}

static void a_wrong_call_is_told_at_once(void **state) {
    (void)state;
    describe_small_convolution();
    const descriptor plan = best_plan();
    const size_t size = (size_t)workspace_of(plan);
    float host[9] = {0};
    void *const x = device_memory(36), *const w = device_memory(16), *const y = device_memory(32 + size), *const workspace = device_memory(size);
    const int64_t ids[] = {1, 2, 3};
    const struct { int count; void *data[3], *workspace; } cases[] = {
        {2, {x, w, NULL}, workspace},                       // no pointer for y
        {3, {host, w, y}, workspace},                       // of the host
        {3, {x, w, (char *)y + 4}, workspace},              // not aligned to 16
        {3, {w, w, y}, workspace},                          // too short for x
        {3, {x, w, x}, workspace},                          // writes what it reads
        {3, {x, w, y}, NULL},
        {3, {x, w, y}, w},                                  // too short for the workspace
        {3, {x, w, y}, y},                                  // the workspace is its result
    };
    for (int i = 0; i < COUNT(cases); i++) assert_int_not_equal(execute_in(plan, cases[i].count, ids, cases[i].data, cases[i].workspace), CUDNN_STATUS_SUCCESS);
    must(execute_in(plan, 3, ids, (void *[]){x, w, y}, workspace));
}

static void a_run_ruins_its_whole_workspace(void **state) {
    (void)state;
    describe_small_convolution();
    const descriptor plan = best_plan();
    const size_t size = (size_t)workspace_of(plan);
    unsigned char last = 0, *const workspace = (unsigned char *)device_memory(size);
    assert_true(size > 1024);
    must(cudaMemsetAsync(workspace, 0, size, stream));
    must(execute_in(plan, 3, (int64_t[]){1, 2, 3}, (void *[]){device_memory(36), device_memory(16), device_memory(16)}, workspace));
    must(cudaStreamSynchronize(stream));
    must(cudaMemcpy(&last, workspace + size - 1, 1, cudaMemcpyDeviceToHost));
    assert_int_equal(last, 0xFF);
}

int main(void) {
#define CASE(test) cmocka_unit_test_setup_teardown(test, open_device, close_device)
    const struct CMUnitTest tests[] = {
        CASE(a_convolution_is_a_correlation),
        CASE(padding_and_channels_last_are_understood),
        CASE(gradients_of_a_convolution_are_its_adjoints),
        CASE(batch_norm_with_residual_relu_and_mask_goes_there_and_back),
        CASE(a_gradient_through_batch_norm_is_the_derivative),
        CASE(a_matmul_adds_its_bias),
        CASE(a_max_pool_remembers_the_first_of_its_maxima),
        CASE(a_max_pool_passes_a_nan_on),
        CASE(an_average_counts_its_padding),
        CASE(half_precision_rounds_to_nearest_even),
        CASE(cublas_multiplies_column_major),
        CASE(the_first_suggestions_are_wrong_in_their_own_ways),
        CASE(a_plan_comes_back_from_its_text),
        CASE(what_a_described_h200_refuses_has_no_engine),
        CASE(an_f32_matmul_has_no_engine_without_tensor_cores),
        CASE(descriptors_are_checked),
        CASE(a_wrong_call_is_told_at_once),
        CASE(a_run_ruins_its_whole_workspace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
