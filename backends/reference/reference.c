#include "backends/reference/reference.h"

#include "base/memory.h" // bl_alloc

const bl_kernel bl_reference_kernels[BL_OP_COUNT] = {
        [BL_OP_CONVOLUTION] = bl_reference_convolution,
        [BL_OP_CONVOLUTION_BACKWARD_DATA] = bl_reference_convolution_backward_data,
        [BL_OP_CONVOLUTION_BACKWARD_WEIGHTS] = bl_reference_convolution_backward_weights,
        [BL_OP_BATCH_NORM] = bl_reference_batch_norm,
        [BL_OP_BATCH_NORM_BACKWARD] = bl_reference_batch_norm_backward,
        [BL_OP_BATCH_NORM_RUNNING] = bl_reference_batch_norm_running,
        [BL_OP_RELU] = bl_reference_relu,
        [BL_OP_RELU_BACKWARD] = bl_reference_relu_backward,
        [BL_OP_ADD] = bl_reference_add,
        [BL_OP_GLOBAL_AVERAGE_POOL] = bl_reference_global_average_pool,
        [BL_OP_GLOBAL_AVERAGE_POOL_BACKWARD] = bl_reference_global_average_pool_backward,
        [BL_OP_MAX_POOL] = bl_reference_max_pool,
        [BL_OP_MAX_POOL_BACKWARD] = bl_reference_max_pool_backward,
        [BL_OP_RESIZE] = bl_reference_resize,
        [BL_OP_RESIZE_BACKWARD] = bl_reference_resize_backward,
        [BL_OP_LINEAR] = bl_reference_linear,
        [BL_OP_LINEAR_BACKWARD_DATA] = bl_reference_linear_backward_data,
        [BL_OP_LINEAR_BACKWARD_WEIGHTS] = bl_reference_linear_backward_weights,
        [BL_OP_LINEAR_BACKWARD_BIAS] = bl_reference_linear_backward_bias,
        [BL_OP_STOP_GRADIENT] = bl_reference_stop_gradient,
        [BL_OP_CROSS_ENTROPY] = bl_reference_cross_entropy,
        [BL_OP_CROSS_ENTROPY_BACKWARD] = bl_reference_cross_entropy_backward,
        [BL_OP_ARGMAX] = bl_reference_argmax,
        [BL_OP_BYOL_LOSS] = bl_reference_byol_loss,
        [BL_OP_BYOL_LOSS_BACKWARD] = bl_reference_byol_loss_backward,
        [BL_OP_PROJECTION_STD] = bl_reference_projection_std,
        [BL_OP_ACCUMULATE] = bl_reference_accumulate,
        [BL_OP_RUNNING_AVERAGE] = bl_reference_running_average,
        [BL_OP_CHECK_FINITE] = bl_reference_check_finite,
        [BL_OP_SGD] = bl_reference_sgd,
        [BL_OP_ADAM] = bl_reference_adam,
        [BL_OP_LARS] = bl_reference_lars,
        [BL_OP_EMA] = bl_reference_ema,
};

static int open_reference(bl_backend **backend, const bl_backend_options *options) {
    (void)options; // one thread, no instruction set to choose
    bl_backend *made = bl_alloc(sizeof *made);
    if (!made) return BL_FAILED;
    made->table = &bl_reference_table;
    *backend = made;
    return BL_OK;
}

static void close_reference(bl_backend *backend) {
    bl_free(backend);
}

static void describe(const bl_backend *backend, bl_text *text) {
    (void)backend;
    bl_text_add(text, "backend: reference\nversion: %s\narithmetic: f64\nthreads: 1\n", BYOLAB_VERSION);
}

static bool supports(const bl_backend *backend, const bl_node *node, char *reason, size_t reason_bytes) {
    (void)backend, (void)node, (void)reason, (void)reason_bytes;
    return true;
}

const bl_backend_table bl_reference_table = {
        .name = "reference",
        .open = open_reference,
        .close = close_reference,
        .describe = describe,
        .supports = supports,
        .store_create = bl_reference_store_create,
        .store_free = bl_reference_store_free,
        .store_write = bl_reference_store_write,
        .store_read = bl_reference_store_read,
        .compile = bl_reference_compile,
        .plan_free = bl_reference_plan_free,
        .slot = bl_reference_slot,
        .step = bl_reference_step,
        .write = bl_reference_write,
        .read = bl_reference_read,
        .timing = bl_reference_timing,
        .report = bl_reference_report,
};
