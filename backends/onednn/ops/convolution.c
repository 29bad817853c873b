// Convolutions by oneDNN, but for those that suit winograd.c. Activations are NHWC for every primitive; the weights' layout is each
// primitive's choice.

#include <string.h>

#include "backends/onednn/onednn.h"
#include "backends/onednn/operators.h"
#include "backends/onednn/ops/winograd.h"
#include "backends/onednn/packing.h"
#include "backends/onednn/primitive.h"

typedef struct geometry {
    dnnl_dims_t x, w, y;                             // in oneDNN's logical order: N C H W, O C kh kw
    dnnl_dims_t strides, dilations, before, after;
} geometry;

typedef struct convolution { // descriptions, all owned
    dnnl_memory_desc_t x, y;
    dnnl_memory_desc_t plain;           // the store's: OHWI f32
    dnnl_memory_desc_t weights, diff_weights; // any
    dnnl_primitive_desc_t forward, backward;
} convolution;

static geometry geometry_of(const bl_attributes *a, const bl_shape *x, const bl_shape *w, const bl_shape *y) {
    geometry g = {.x = {x->dims[0], x->dims[3], x->dims[1], x->dims[2]},
                  .w = {w->dims[0], w->dims[3], w->dims[1], w->dims[2]},
                  .y = {y->dims[0], y->dims[3], y->dims[1], y->dims[2]}};
    for (int i = 0; i < 2; i++) {
        g.strides[i] = a->stride;
        g.dilations[i] = a->dilation - 1; // oneDNN counts the gaps
        g.before[i] = a->padding;
        g.after[i] = (g.y[2 + i] - 1) * a->stride + a->dilation * (a->kernel - 1) + 1 - g.x[2 + i] - a->padding;
    }
    return g;
}

static void convolution_free(convolution *c) {
    dnnl_memory_desc_t descs[] = {c->x, c->y, c->plain, c->weights, c->diff_weights};
    for (size_t i = 0; i < sizeof descs / sizeof *descs; i++)
        if (descs[i]) dnnl_memory_desc_destroy(descs[i]);
    if (c->forward) dnnl_primitive_desc_destroy(c->forward);
    if (c->backward) dnnl_primitive_desc_destroy(c->backward);
}

// What the convolution reads and writes forward, whichever of its gradients the node is.
static const bl_tensor *read_by(const bl_node *node) {
    return node->op == BL_OP_CONVOLUTION_BACKWARD_DATA ? node->outputs[0] : node->inputs[0];
}

static const bl_tensor *written_by(const bl_node *node) {
    return node->op == BL_OP_CONVOLUTION ? node->outputs[0] : node->op == BL_OP_CONVOLUTION_BACKWARD_DATA ? node->inputs[0] : node->inputs[1];
}

// As it lies: the strips of a tensor are wide images.
static bl_shape laid(const bl_tensor *tensor, const bl_strips *strips) {
    bl_shape shape = tensor->shape;
    if (!strips || !strips[tensor->id].places) return shape;
    shape.dims[0] = (int64_t)strips[tensor->id].count;
    shape.dims[2] = (int64_t)(strips[tensor->id].places * strips[tensor->id].pitch);
    return shape;
}

// `strips`: of every tensor; NULL: all are plain.
static geometry node_geometry(const bl_node *node, const bl_strips *strips, bl_dtype *dtype) {
    const bl_shape x = laid(read_by(node), strips), y = laid(written_by(node), strips);
    *dtype = node->inputs[0]->dtype;
    const bl_shape *w = node->op == BL_OP_CONVOLUTION_BACKWARD_WEIGHTS ? &node->attributes.shape : &node->inputs[1]->shape;
    return geometry_of(&node->attributes, &x, w, &y);
}

// oneDNN's kernels for the weights' gradient of strided one by one convolutions write past their scratchpad, and on AVX2 err, where the
// input has fewer channels than a vector (3.2; uxlfoundation/oneDNN issue 6035): the next implementation takes their place.
static dnnl_status_t pass_over_faulty(dnnl_primitive_desc_t desc, const geometry *g) {
    const char *name = "";
    if (g->strides[0] == 1 || g->x[1] >= 16) return dnnl_success;
    dnnl_status_t status = dnnl_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, &name);
    while (!status && strstr(name, "1x1")) { // jit_1x1:avx2, jit_1x1:avx512_core, jit_bf16_1x1:avx512_core
        status = dnnl_primitive_desc_next_impl(desc);
        if (!status) status = dnnl_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, &name);
    }
    return status;
}

// Everything the node's primitive needs; on failure nothing is left.
static int convolution_create(convolution *c, const bl_cpu_backend *backend, const bl_node *node, const bl_strips *strips) {
    bl_dtype dtype;
    geometry g = node_geometry(node, strips, &dtype);
    const dnnl_data_type_t type = bl_cpu_type(dtype);
    *c = (convolution){0};
    dnnl_status_t status = dnnl_memory_desc_create_with_tag(&c->x, 4, g.x, type, dnnl_nhwc);
    if (!status) status = dnnl_memory_desc_create_with_tag(&c->y, 4, g.y, type, dnnl_nhwc);
    if (!status) status = dnnl_memory_desc_create_with_tag(&c->plain, 4, g.w, dnnl_f32, dnnl_ohwi);
    if (!status) status = dnnl_memory_desc_create_with_tag(&c->weights, 4, g.w, type, dnnl_format_tag_any);
    if (!status) status = dnnl_memory_desc_create_with_tag(&c->diff_weights, 4, g.w, dnnl_f32, dnnl_format_tag_any);
    const dnnl_engine_t engine = backend->engine;
    const dnnl_primitive_attr_t attributes = backend->attributes;
    const dnnl_alg_kind_t direct = dnnl_convolution_direct;
    if (!status)
        status = dnnl_convolution_forward_primitive_desc_create(&c->forward, engine, dnnl_forward_training, direct, c->x, c->weights, NULL,
                                                                c->y, g.strides, g.dilations, g.before, g.after, attributes);
    if (!status && node->op == BL_OP_CONVOLUTION_BACKWARD_DATA)
        status = dnnl_convolution_backward_data_primitive_desc_create(&c->backward, engine, direct, c->x, c->weights, c->y, g.strides,
                                                                      g.dilations, g.before, g.after, c->forward, attributes);
    if (!status && node->op == BL_OP_CONVOLUTION_BACKWARD_WEIGHTS)
        status = dnnl_convolution_backward_weights_primitive_desc_create(&c->backward, engine, direct, c->x, c->diff_weights, NULL, c->y,
                                                                         g.strides, g.dilations, g.before, g.after, c->forward, attributes);
    if (!status && node->op == BL_OP_CONVOLUTION_BACKWARD_WEIGHTS) status = pass_over_faulty(c->backward, &g);
    if (!status) return BL_OK;
    convolution_free(c);
    return bl_cpu_dnnl(status, node, "convolution");
}

static int check(const bl_backend *backend, const bl_node *node) {
    convolution c;
    if (convolution_create(&c, (const bl_cpu_backend *)backend, node, NULL)) return BL_FAILED;
    convolution_free(&c);
    return BL_OK;
}

static bool is_winograd(const bl_lowering *plan, const bl_node *node) {
    return !bl_cpu_strips(plan)[read_by(node)->id].places && bl_cpu_winograd_suits(bl_cpu_backend_of(plan), node);
}

static int convolution_step(bl_lowering *plan, const bl_node *node, const_dnnl_primitive_desc_t desc, const bl_cpu_operand operands[3]) {
    const size_t places = bl_cpu_strips(plan)[read_by(node)->id].places;
    if (bl_cpu_primitive_step(plan, node, desc, operands, 3)) return BL_FAILED;
    if (places) bl_lower_note(plan, node, "%s, strips of %zu", plan->rows[node->id].implementation, places);
    return BL_OK;
}

static int lower_convolution(bl_lowering *plan, const bl_node *node) {
    convolution c;
    int x, w, y, status = BL_FAILED;
    if (is_winograd(plan, node)) return bl_cpu_winograd(plan, node);
    if (convolution_create(&c, bl_cpu_backend_of(plan), node, bl_cpu_strips(plan))) return BL_FAILED;
    const const_dnnl_memory_desc_t wanted = dnnl_primitive_desc_query_md(c.forward, dnnl_query_weights_md, 0);
    if (bl_lower_value(plan, node->inputs[0], &x) || bl_lower_value(plan, node->outputs[0], &y)) goto done;
    if (bl_cpu_pack(plan, node, node->inputs[1], c.plain, wanted, &w)) goto done;
    const bl_cpu_operand operands[] = {{DNNL_ARG_SRC, c.x, x}, {DNNL_ARG_WEIGHTS, wanted, w}, {DNNL_ARG_DST, c.y, y}};
    status = convolution_step(plan, node, c.forward, operands);
done:
    convolution_free(&c);
    return status;
}

static int lower_convolution_backward_data(bl_lowering *plan, const bl_node *node) {
    convolution c;
    int dx, w, dy, status = BL_FAILED;
    if (is_winograd(plan, node)) return bl_cpu_winograd(plan, node);
    if (convolution_create(&c, bl_cpu_backend_of(plan), node, bl_cpu_strips(plan))) return BL_FAILED;
    const const_dnnl_memory_desc_t wanted = dnnl_primitive_desc_query_md(c.backward, dnnl_query_weights_md, 0);
    if (bl_lower_value(plan, node->inputs[0], &dy) || bl_lower_value(plan, node->outputs[0], &dx)) goto done;
    if (bl_cpu_pack(plan, node, node->inputs[1], c.plain, wanted, &w)) goto done;
    const bl_cpu_operand operands[] = {{DNNL_ARG_DIFF_SRC, c.x, dx}, {DNNL_ARG_WEIGHTS, wanted, w}, {DNNL_ARG_DIFF_DST, c.y, dy}};
    status = convolution_step(plan, node, c.backward, operands);
done:
    convolution_free(&c);
    return status;
}

static int lower_convolution_backward_weights(bl_lowering *plan, const bl_node *node) {
    convolution c;
    int x, dw, dy, made, status = BL_FAILED;
    if (is_winograd(plan, node)) return bl_cpu_winograd(plan, node);
    if (convolution_create(&c, bl_cpu_backend_of(plan), node, bl_cpu_strips(plan))) return BL_FAILED;
    const const_dnnl_memory_desc_t given = dnnl_primitive_desc_query_md(c.backward, dnnl_query_diff_weights_md, 0);
    const bool is_plain = dnnl_memory_desc_equal(given, c.plain);
    if (bl_lower_value(plan, node->inputs[0], &x) || bl_lower_value(plan, node->inputs[1], &dy)) goto done;
    if (bl_lower_value(plan, node->outputs[0], &dw)) goto done;
    made = dw;
    if (!is_plain && bl_lower_buffer(plan, dnnl_memory_desc_get_size(given), &made)) goto done;
    const bl_cpu_operand operands[] = {{DNNL_ARG_SRC, c.x, x}, {DNNL_ARG_DIFF_WEIGHTS, given, made}, {DNNL_ARG_DIFF_DST, c.y, dy}};
    if (convolution_step(plan, node, c.backward, operands)) goto done;
    if (!is_plain && bl_cpu_reorder_step(plan, node, operands[1], (bl_cpu_operand){0, c.plain, dw})) goto done;
    status = BL_OK;
done:
    convolution_free(&c);
    return status;
}

const bl_operator bl_cpu_op_convolution = {.lower = lower_convolution, .check = check};
const bl_operator bl_cpu_op_convolution_backward_data = {.lower = lower_convolution_backward_data, .check = check};
const bl_operator bl_cpu_op_convolution_backward_weights = {.lower = lower_convolution_backward_weights, .check = check};
