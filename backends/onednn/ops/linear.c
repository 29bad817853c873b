// Linear layers, as oneDNN's inner products: y [N, O] = x [N, I] w' + b with w [O, I]; N images, or pixels.

#include "backends/onednn/onednn.h"
#include "backends/onednn/operators.h"
#include "backends/onednn/packing.h"
#include "backends/onednn/primitive.h"

typedef struct linear { // descriptions, all owned
    dnnl_memory_desc_t x, y, bias;
    dnnl_memory_desc_t plain;                 // the store's: [O, I] f32
    dnnl_memory_desc_t weights, diff_weights; // any
    dnnl_primitive_desc_t forward, backward;
} linear;

static void linear_free(linear *l) {
    dnnl_memory_desc_t descs[] = {l->x, l->y, l->bias, l->plain, l->weights, l->diff_weights};
    for (size_t i = 0; i < sizeof descs / sizeof *descs; i++)
        if (descs[i]) dnnl_memory_desc_destroy(descs[i]);
    if (l->forward) dnnl_primitive_desc_destroy(l->forward);
    if (l->backward) dnnl_primitive_desc_destroy(l->backward);
}

static const bl_tensor *bias_of(const bl_node *node) {
    return node->op == BL_OP_LINEAR && node->input_count > 2 ? node->inputs[2] : NULL;
}

// Everything the node's primitive needs; on failure nothing is left.
static int linear_create(linear *l, const bl_cpu_backend *backend, const bl_node *node) {
    // x and w, dy and w, x and dy -> dw
    const bl_tensor *w = node->op == BL_OP_LINEAR_BACKWARD_WEIGHTS ? node->outputs[0] : node->inputs[1];
    const int64_t rows = bl_shape_rows(&node->inputs[0]->shape), out = w->shape.dims[0], in = w->shape.dims[1];
    const dnnl_data_type_t type = bl_cpu_type(node->inputs[0]->dtype);
    const dnnl_engine_t engine = backend->engine;
    *l = (linear){0};
    dnnl_status_t status = dnnl_memory_desc_create_with_tag(&l->x, 2, (dnnl_dims_t){rows, in}, type, dnnl_ab);
    if (!status) status = dnnl_memory_desc_create_with_tag(&l->y, 2, (dnnl_dims_t){rows, out}, type, dnnl_ab);
    if (!status && bias_of(node)) status = dnnl_memory_desc_create_with_tag(&l->bias, 1, (dnnl_dims_t){out}, dnnl_f32, dnnl_a);
    if (!status) status = dnnl_memory_desc_create_with_tag(&l->plain, 2, (dnnl_dims_t){out, in}, dnnl_f32, dnnl_ab);
    if (!status) status = dnnl_memory_desc_create_with_tag(&l->weights, 2, (dnnl_dims_t){out, in}, type, dnnl_format_tag_any);
    if (!status) status = dnnl_memory_desc_create_with_tag(&l->diff_weights, 2, (dnnl_dims_t){out, in}, dnnl_f32, dnnl_format_tag_any);
    if (!status)
        status = dnnl_inner_product_forward_primitive_desc_create(&l->forward, engine, dnnl_forward_training, l->x, l->weights, l->bias,
                                                                  l->y, backend->attributes);
    if (!status && node->op == BL_OP_LINEAR_BACKWARD_DATA)
        status = dnnl_inner_product_backward_data_primitive_desc_create(&l->backward, engine, l->x, l->weights, l->y, l->forward,
                                                                        backend->attributes);
    if (!status && node->op == BL_OP_LINEAR_BACKWARD_WEIGHTS)
        status = dnnl_inner_product_backward_weights_primitive_desc_create(&l->backward, engine, l->x, l->diff_weights, NULL, l->y,
                                                                           l->forward, backend->attributes);
    if (!status) return BL_OK;
    linear_free(l);
    return bl_cpu_dnnl(status, node, "inner product");
}

static int check(const bl_backend *backend, const bl_node *node) {
    linear l;
    if (linear_create(&l, (const bl_cpu_backend *)backend, node)) return BL_FAILED;
    linear_free(&l);
    return BL_OK;
}

static int lower_linear(bl_lowering *plan, const bl_node *node) {
    linear l;
    int x, w, b, y, status = BL_FAILED;
    if (linear_create(&l, bl_cpu_backend_of(plan), node)) return BL_FAILED;
    const const_dnnl_memory_desc_t wanted = dnnl_primitive_desc_query_md(l.forward, dnnl_query_weights_md, 0);
    if (bl_lower_value(plan, node->inputs[0], &x) || bl_lower_value(plan, bias_of(node), &b)) goto done;
    if (bl_lower_value(plan, node->outputs[0], &y)) goto done;
    if (bl_cpu_pack(plan, node, node->inputs[1], l.plain, wanted, &w)) goto done;
    const bl_cpu_operand operands[] = {
            {DNNL_ARG_SRC, l.x, x}, {DNNL_ARG_WEIGHTS, wanted, w}, {DNNL_ARG_DST, l.y, y}, {DNNL_ARG_BIAS, l.bias, b}};
    status = bl_cpu_primitive_step(plan, node, l.forward, operands, l.bias ? 4 : 3);
done:
    linear_free(&l);
    return status;
}

static int lower_linear_backward_data(bl_lowering *plan, const bl_node *node) {
    linear l;
    int dx, w, dy, status = BL_FAILED;
    if (linear_create(&l, bl_cpu_backend_of(plan), node)) return BL_FAILED;
    const const_dnnl_memory_desc_t wanted = dnnl_primitive_desc_query_md(l.backward, dnnl_query_weights_md, 0);
    if (bl_lower_value(plan, node->inputs[0], &dy) || bl_lower_value(plan, node->outputs[0], &dx)) goto done;
    if (bl_cpu_pack(plan, node, node->inputs[1], l.plain, wanted, &w)) goto done;
    const bl_cpu_operand operands[] = {{DNNL_ARG_DIFF_SRC, l.x, dx}, {DNNL_ARG_WEIGHTS, wanted, w}, {DNNL_ARG_DIFF_DST, l.y, dy}};
    status = bl_cpu_primitive_step(plan, node, l.backward, operands, 3);
done:
    linear_free(&l);
    return status;
}

static int lower_linear_backward_weights(bl_lowering *plan, const bl_node *node) {
    linear l;
    int x, dw, dy, made, status = BL_FAILED;
    if (linear_create(&l, bl_cpu_backend_of(plan), node)) return BL_FAILED;
    const const_dnnl_memory_desc_t given = dnnl_primitive_desc_query_md(l.backward, dnnl_query_diff_weights_md, 0);
    const bool is_plain = dnnl_memory_desc_equal(given, l.plain);
    if (bl_lower_value(plan, node->inputs[0], &x) || bl_lower_value(plan, node->inputs[1], &dy)) goto done;
    if (bl_lower_value(plan, node->outputs[0], &dw)) goto done;
    made = dw;
    if (!is_plain && bl_lower_buffer(plan, dnnl_memory_desc_get_size(given), &made)) goto done;
    const bl_cpu_operand operands[] = {{DNNL_ARG_SRC, l.x, x}, {DNNL_ARG_DIFF_WEIGHTS, given, made}, {DNNL_ARG_DIFF_DST, l.y, dy}};
    if (bl_cpu_primitive_step(plan, node, l.backward, operands, 3)) goto done;
    if (!is_plain && bl_cpu_reorder_step(plan, node, operands[1], (bl_cpu_operand){0, l.plain, dw})) goto done;
    status = BL_OK;
done:
    linear_free(&l);
    return status;
}

const bl_operator bl_cpu_op_linear = {.lower = lower_linear, .check = check};
const bl_operator bl_cpu_op_linear_backward_data = {.lower = lower_linear_backward_data, .check = check};
const bl_operator bl_cpu_op_linear_backward_weights = {.lower = lower_linear_backward_weights, .check = check};
