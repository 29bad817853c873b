// ReLU, addition and accumulation standing alone; and stop_gradient, which is nothing to do.

#include <string.h>

#include "backends/onednn/onednn.h"
#include "backends/onednn/operators.h"
#include "backends/onednn/rows.h"

typedef struct values {
    size_t count;
    bl_dtype dtype;
} values;

typedef struct operands {
    values of;
    const void *a, *b;
    void *y;
} operands;

static int add_step(bl_lowering *plan, const bl_node *node, bl_step_run *run, const bl_tensor *a,
                    const bl_tensor *b, const bl_tensor *y) {
    const values of = {plan->bytes_of[y->id] / bl_cpu_size(y->dtype), y->dtype};
    int buffers[3];
    if (bl_lower_value(plan, a, &buffers[0]) || bl_lower_value(plan, b, &buffers[1]) || bl_lower_value(plan, y, &buffers[2]))
        return BL_FAILED;
    return bl_lower_step(plan, node, run, buffers, 3, &of, sizeof of);
}

static int run_shares(const bl_lowering *plan, const bl_step *step, void (*body)(const void *, int, int)) {
    const operands o = {*(const values *)step->state, bl_step_at(plan, step, 0), bl_step_at(plan, step, 1), bl_step_at(plan, step, 2)};
    bl_cpu_parallel(bl_cpu_threads(plan), body, &o);
    return BL_OK;
}

// A share's part of the operands.
static operands part_of(const void *passed, int share, int shares) {
    const operands *o = passed;
    const bl_cpu_range range = bl_cpu_share(o->of.count, 64, share, shares);
    return (operands){{range.end > range.begin ? range.end - range.begin : 0, o->of.dtype},
                      bl_cpu_from(o->a, o->of.dtype, range.begin),
                      bl_cpu_from(o->b, o->of.dtype, range.begin),
                      bl_cpu_from(o->y, o->of.dtype, range.begin)};
}

static void relu_share(const void *passed, int share, int shares) {
    const operands o = part_of(passed, share, shares);
    bl_cpu_rectify(o.a, o.y, o.of.dtype, o.of.count);
}

static void relu_backward_share(const void *passed, int share, int shares) {
    const operands o = part_of(passed, share, shares);
    bl_cpu_mask(o.a, o.b, o.y, o.of.dtype, o.of.count);
}

static void add_share(const void *passed, int share, int shares) {
    const operands o = part_of(passed, share, shares);
    bl_cpu_sum(o.a, o.b, o.y, o.of.dtype, o.of.count);
}

static void copy_share(const void *passed, int share, int shares) {
    const operands o = part_of(passed, share, shares);
    memcpy(o.y, o.a, o.of.count * sizeof(float));
}

static int relu_run(const bl_lowering *plan, const bl_step *step) {
    return run_shares(plan, step, relu_share);
}

static int relu_backward_run(const bl_lowering *plan, const bl_step *step) {
    return run_shares(plan, step, relu_backward_share);
}

static int add_run(const bl_lowering *plan, const bl_step *step) {
    return run_shares(plan, step, add_share);
}

static int copy_run(const bl_lowering *plan, const bl_step *step) {
    return run_shares(plan, step, copy_share);
}

static int lower_relu(bl_lowering *plan, const bl_node *node) {
    return add_step(plan, node, relu_run, node->inputs[0], NULL, node->outputs[0]);
}

static int lower_relu_backward(bl_lowering *plan, const bl_node *node) {
    return add_step(plan, node, relu_backward_run, node->inputs[0], node->inputs[1], node->outputs[0]);
}

static int lower_add(bl_lowering *plan, const bl_node *node) {
    return add_step(plan, node, add_run, node->inputs[0], node->inputs[1], node->outputs[0]);
}

static int lower_accumulate(bl_lowering *plan, const bl_node *node) {
    const bl_tensor *made = node->inputs[0], *gradient = node->inputs[1];
    int from, to;
    if (!plan->uses.fusion[node->id].is_first) return add_step(plan, node, add_run, gradient, made, gradient);
    if (bl_lower_value(plan, made, &from) || bl_lower_value(plan, gradient, &to)) return BL_FAILED;
    if (from != to) return add_step(plan, node, copy_run, made, NULL, gradient);
    bl_lower_note(plan, node, "written in place");
    return BL_OK;
}

const bl_operator bl_cpu_op_relu = {.lower = lower_relu};
const bl_operator bl_cpu_op_relu_backward = {.lower = lower_relu_backward};
const bl_operator bl_cpu_op_add = {.lower = lower_add};
const bl_operator bl_cpu_op_accumulate = {.lower = lower_accumulate};
const bl_operator bl_cpu_op_stop_gradient = {.lower = bl_lower_alias};
