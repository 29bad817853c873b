// Linear layers: y [N, O] = x [N, I] w' + b with w [O, I]; N images, or pixels. All matrices lie row by row.
//
// bf16 by cuDNN, the bias in the same pass. f32 by cuBLAS, as cuDNN multiplies f32 matrices in TF32 only; "pedantic" is the one of
// cuBLAS's f32 modes that promises plain f32 arithmetic whatever the device offers and the environment asks for.

#include "backends/cudnn/device.h"
#include "backends/cudnn/engine_step.h"
#include "backends/cudnn/gpu.h"
#include "backends/cudnn/kernels/pointwise.h"
#include "backends/cudnn/operators.h"
#include "backends/cudnn/weights.h"

typedef struct product { // y [rows, columns] = a b over `inner`; a transposed operand lies in memory as its transpose
    int64_t rows, columns, inner;
    bool transposes_a, transposes_b, allows_tf32;
} product;

// a, b | y. cuBLAS sees each matrix transposed, column by column, and makes y' = b' a'.
static int product_run(const bl_lowering *plan, const bl_step *step) {
    const product *p = step->state;
    const float one = 1, zero = 0;
    const int rows = (int)p->rows, columns = (int)p->columns, inner = (int)p->inner;
    return bl_gpu_cublas(cublasGemmEx(bl_gpu_backend_of(plan)->cublas, p->transposes_b ? CUBLAS_OP_T : CUBLAS_OP_N,
                                      p->transposes_a ? CUBLAS_OP_T : CUBLAS_OP_N, columns, rows, inner, &one, bl_step_at(plan, step, 1),
                                      CUDA_R_32F, p->transposes_b ? inner : columns, bl_step_at(plan, step, 0), CUDA_R_32F,
                                      p->transposes_a ? rows : inner, &zero, bl_step_at(plan, step, 2), CUDA_R_32F, columns,
                                      p->allows_tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F_PEDANTIC, CUBLAS_GEMM_DEFAULT),
                         step->node->name);
}

// bias | y
static int bias_run(const bl_lowering *plan, const bl_step *step) {
    const product *p = step->state;
    bl_gpu_add_row(bl_gpu_stream(plan), bl_step_at(plan, step, 0), bl_step_at(plan, step, 1), p->rows, p->columns);
    return BL_OK;
}

// buffers: a, b, bias (-1: none), y
static int multiply_f32(bl_lowering *plan, const bl_node *node, product p, const int buffers[4]) {
    p.allows_tf32 = bl_gpu_allows_tf32(plan);
    bl_lower_note(plan, node, "cuBLAS%s", p.allows_tf32 ? ", TF32" : "");
    if (bl_lower_step(plan, node, product_run, (int[]){buffers[0], buffers[1], buffers[3]}, 3, &p, sizeof p)) return BL_FAILED;
    return buffers[2] < 0 ? BL_OK : bl_lower_step(plan, node, bias_run, (int[]){buffers[2], buffers[3]}, 2, &p, sizeof p);
}

static int multiply_bf16(bl_lowering *plan, const bl_node *node, product p, bl_gpu_type type, const int buffers[4]) {
    bl_gpu_pattern pattern = {0};
    int bound[5] = {buffers[0], buffers[1], buffers[3]};
    const bool has_bias = buffers[2] >= 0;
    const int a = bl_gpu_pattern_matrix(&pattern, BL_GPU_BF16, p.rows, p.inner, p.transposes_a, false);
    const int b = bl_gpu_pattern_matrix(&pattern, BL_GPU_BF16, p.inner, p.columns, p.transposes_b, false);
    const int y = bl_gpu_pattern_matrix(&pattern, type, p.rows, p.columns, false, false);
    if (has_bias) {
        const int exact = bl_gpu_pattern_matrix(&pattern, BL_GPU_F32, p.rows, p.columns, false, true);
        const int bias = bl_gpu_pattern_matrix(&pattern, BL_GPU_F32, 1, p.columns, false, false);
        bound[exact] = -1;
        bound[bias] = buffers[2];
        bl_gpu_pattern_add(&pattern, BL_GPU_MATMUL, (int[]){a, b, exact}, 3);
        bl_gpu_pattern_add(&pattern, BL_GPU_ADD, (int[]){exact, bias, y}, 3);
    } else {
        bl_gpu_pattern_add(&pattern, BL_GPU_MATMUL, (int[]){a, b, y}, 3);
    }
    return bl_gpu_pattern_step(plan, node, &pattern, bound, NULL);
}

static int multiply(bl_lowering *plan, const bl_node *node, product p, const int buffers[4]) {
    if (!bl_gpu_is_half(node->inputs[0])) return multiply_f32(plan, node, p, buffers);
    return multiply_bf16(plan, node, p, bl_gpu_type_of(node->outputs[0]), buffers);
}

// ---- nodes ----

static int64_t rows_of(const bl_node *node) { // x, dy, x and dy come first
    return bl_shape_rows(&node->inputs[0]->shape);
}

static int weights(bl_lowering *plan, const bl_node *node, int *buffer) {
    const bl_tensor *w = node->inputs[1];
    const int in = (int)w->shape.dims[1];
    return bl_gpu_weights(plan, w, bl_gpu_is_half(node->inputs[0]), in, in, buffer);
}

static int lower_linear(bl_lowering *plan, const bl_node *node) {
    const int64_t *w = node->inputs[1]->shape.dims;
    int buffers[4];
    if (bl_lower_value(plan, node->inputs[0], &buffers[0]) || weights(plan, node, &buffers[1]) ||
        bl_lower_value(plan, node->input_count > 2 ? node->inputs[2] : NULL, &buffers[2]) ||
        bl_lower_value(plan, node->outputs[0], &buffers[3]))
        return BL_FAILED;
    return multiply(plan, node, (product){.rows = rows_of(node), .columns = w[0], .inner = w[1], .transposes_b = true}, buffers);
}

static int lower_linear_backward_data(bl_lowering *plan, const bl_node *node) { // dx = dy w
    const int64_t *w = node->inputs[1]->shape.dims;
    int buffers[4] = {-1, -1, -1, -1};
    if (bl_lower_value(plan, node->inputs[0], &buffers[0]) || weights(plan, node, &buffers[1]) ||
        bl_lower_value(plan, node->outputs[0], &buffers[3]))
        return BL_FAILED;
    return multiply(plan, node, (product){.rows = rows_of(node), .columns = w[1], .inner = w[0]}, buffers);
}

static int lower_linear_backward_weights(bl_lowering *plan, const bl_node *node) { // dw = dy' x
    const int64_t *dw = node->outputs[0]->shape.dims;
    int buffers[4] = {-1, -1, -1, -1};
    if (bl_lower_value(plan, node->inputs[1], &buffers[0]) || bl_lower_value(plan, node->inputs[0], &buffers[1]) ||
        bl_lower_value(plan, node->outputs[0], &buffers[3]))
        return BL_FAILED;
    return multiply(plan, node, (product){.rows = dw[0], .columns = dw[1], .inner = rows_of(node), .transposes_a = true}, buffers);
}

typedef struct columns {
    int64_t rows, count;
    bool is_half;
} columns;

// dy | db | partial sums
static int sum_run(const bl_lowering *plan, const bl_step *step) {
    const columns *c = step->state;
    bl_gpu_sum_columns(bl_gpu_stream(plan), bl_step_at(plan, step, 0), c->is_half, c->rows, c->count, bl_step_at(plan, step, 2),
                       bl_step_at(plan, step, 1));
    return BL_OK;
}

static int lower_linear_backward_bias(bl_lowering *plan, const bl_node *node) {
    const bl_tensor *dy = node->inputs[0];
    const columns c = {rows_of(node), node->outputs[0]->shape.dims[0], bl_gpu_is_half(dy)};
    const size_t bytes = (size_t)(bl_gpu_column_partials(c.rows) * c.count) * sizeof(float);
    int buffers[3];
    if (bl_lower_value(plan, dy, &buffers[0]) || bl_lower_value(plan, node->outputs[0], &buffers[1]) ||
        bl_lower_workspace(plan, node, bytes, &buffers[2]))
        return BL_FAILED;
    return bl_lower_step(plan, node, sum_run, buffers, 3, &c, sizeof c);
}

const bl_operator bl_gpu_op_linear = {.lower = lower_linear};
const bl_operator bl_gpu_op_linear_backward_data = {.lower = lower_linear_backward_data};
const bl_operator bl_gpu_op_linear_backward_weights = {.lower = lower_linear_backward_weights};
const bl_operator bl_gpu_op_linear_backward_bias = {.lower = lower_linear_backward_bias};
