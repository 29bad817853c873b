// gpu_rig.h - arrays for the tests of the cuDNN backend's own kernels: on the device in f32 or bf16 with a guard behind them, on the host
// as what the device holds, in f64; and operators of the reference to hold the kernels against.

#ifndef BL_TESTS_GPU_RIG_H
#define BL_TESTS_GPU_RIG_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cudnn/kernels/cross_entropy.h"
#include "backends/cudnn/kernels/loss.h"
#include "backends/cudnn/kernels/pointwise.h"
#include "backends/cudnn/kernels/resize.h"
#include "backends/cudnn/kernels/update.h"
#include "backends/cudnn/kernels/watch.h"
#include "backends/isolate.h"
#include "backends/reference/kernels.h"
#include "base/random.h"
#include "support.h"

#define assert_cuda(call) assert_int_equal((call), cudaSuccess)

typedef struct array {
    double *values;
    void *data;
    int64_t count;
    bool is_half;
    int guard; // what stands behind it
} array;

// Everything that a test has taken, freed by its teardown.
#define RIG_MOST 4096
static void *rig_host[RIG_MOST], *rig_device[RIG_MOST];
static int rig_hosts, rig_devices;

static int rig_free(void **state) {
    (void)state;
    while (rig_hosts) free(rig_host[--rig_hosts]);
    while (rig_devices) assert_cuda(cudaFree(rig_device[--rig_devices]));
    assert_cuda(cudaGetLastError());
    return 0;
}

static inline double *host_values(int64_t count) {
    assert_true(rig_hosts < RIG_MOST);
    double *values = calloc((size_t)count + 1, sizeof *values);
    assert_non_null(values);
    return rig_host[rig_hosts++] = values;
}

static inline double *copied(const double *values, int64_t count) {
    return memcpy(host_values(count), values, (size_t)count * sizeof *values);
}

static inline void *device_bytes(size_t bytes) {
    assert_true(rig_devices < RIG_MOST);
    assert_cuda(cudaMalloc(&rig_device[rig_devices], bytes));
    return rig_device[rig_devices++];
}

#define GUARDS 16 // values behind an array that no kernel may touch: another number for each array, so that none can be copied there

static inline int next_guard(void) {
    static int last;
    return 64 + last++ % 64;
}

static inline uint16_t bf16_bits(double rounded) {
    const float value = (float)rounded;
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)(bits >> 16);
}

static inline double bf16_value(uint16_t half) {
    const uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

// The host's values, rounded, to the device.
static inline void send(array *a) {
    const size_t all = (size_t)a->count + GUARDS, size = a->is_half ? sizeof(uint16_t) : sizeof(float);
    unsigned char *bytes = malloc(all * size);
    assert_non_null(bytes);
    a->guard = next_guard();
    for (size_t i = 0; i < all; i++) {
        const bool is_guard = i >= (size_t)a->count;
        const double value = bl_round_to(a->is_half ? BL_BF16 : BL_F32, is_guard ? a->guard : a->values[i]);
        if (!is_guard) a->values[i] = value;
        const uint16_t half = bf16_bits(value);
        const float whole = (float)value;
        memcpy(bytes + i * size, a->is_half ? (const void *)&half : (const void *)&whole, size);
    }
    if (!a->data) a->data = device_bytes(all * size);
    assert_cuda(cudaMemcpy(a->data, bytes, all * size, cudaMemcpyHostToDevice));
    free(bytes);
}

// The device's values; its guard is as it was.
static inline const double *receive(const array *a) {
    const size_t all = (size_t)a->count + GUARDS, size = a->is_half ? sizeof(uint16_t) : sizeof(float);
    unsigned char *bytes = malloc(all * size);
    double *values = host_values((int64_t)all);
    assert_non_null(bytes);
    assert_cuda(cudaMemcpy(bytes, a->data, all * size, cudaMemcpyDeviceToHost));
    for (size_t i = 0; i < all; i++) {
        uint16_t half;
        float whole;
        memcpy(a->is_half ? (void *)&half : (void *)&whole, bytes + i * size, size);
        values[i] = a->is_half ? bf16_value(half) : (double)whole;
    }
    for (int i = 0; i < GUARDS; i++) assert_float_equal(values[a->count + i], a->guard, 0);
    free(bytes);
    return values;
}

// Of a normal distribution, another for each name; to be changed and sent, or `sent`.
static inline array drawn(const char *name, int64_t count, bool is_half) {
    array a = {.values = host_values(count), .count = count, .is_half = is_half};
    bl_random random = bl_random_stream(1, name, (uint32_t)count, 0, 0);
    for (int64_t i = 0; i < count; i++) a.values[i] = bl_random_normal(&random);
    return a;
}

static inline array sent(const char *name, int64_t count, bool is_half) {
    array a = drawn(name, count, is_half);
    send(&a);
    return a;
}

static inline array scalar(double value) {
    array a = {.values = host_values(1), .count = 1};
    a.values[0] = value;
    send(&a);
    return a;
}

static inline void put(array *a, double value) {
    a->values[0] = value;
    send(a);
}

// Bit for bit, NaN for NaN.
static inline void assert_same(const double *expected, const array *actual, const char *what) {
    const double *found = receive(actual);
    for (int64_t i = 0; i < actual->count; i++)
        if (isnan(expected[i]) ? !isnan(found[i]) : found[i] != expected[i])
            fail_msg("%s: [%lld] is %.9g, not %.9g", what, (long long)i, found[i], expected[i]);
}

// To the rounding of the result's type: less than the operator table allows.
static inline void assert_close(const double *expected, const array *actual, const char *what) {
    int64_t worst = 0;
    const double *found = receive(actual), error = bl_nmse(expected, found, actual->count, 0, &worst);
    if (!(error <= (actual->is_half ? 1.6e-5 : 1e-13)))
        fail_msg("%s: [%lld] is %.9g, not %.9g; error %.2g", what, (long long)worst, found[worst], expected[worst], error);
}

// ---- an operator of the reference ----

typedef struct lone {
    bl_node node;
    bl_tensor inputs[BL_MAX_INPUTS], output;
    bl_operands operands;
} lone;

static inline bl_shape shape_of(int64_t rows, int64_t columns) { // columns 0: a vector
    return columns ? (bl_shape){2, {rows, columns}} : (bl_shape){1, {rows}};
}

static inline void operator_of(lone *l, bl_op op, const bl_attributes *attributes, bl_shape output) {
    *l = (lone){.node = {.op = op, .name = "node", .output_count = 2}, .output = {.shape = output}};
    if (attributes) l->node.attributes = *attributes;
    l->node.outputs[0] = &l->output;
    l->operands.node = &l->node;
    l->operands.accumulate = 1;
}

// What the operator may change it gets a copy of, which is returned.
static inline double *add_input(lone *l, bl_shape shape, const double *values) {
    const int i = l->node.input_count++;
    l->inputs[i].shape = shape;
    l->node.inputs[i] = &l->inputs[i];
    return l->operands.inputs[i] = copied(values, bl_shape_count(&shape));
}

static inline double *add_output(lone *l, int i, int64_t count) {
    return l->operands.outputs[i] = host_values(count);
}

static inline void run_reference(const lone *l) {
    bl_reference_kernels[l->node.op](&l->operands);
}

#endif
