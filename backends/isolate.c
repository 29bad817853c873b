#include "backends/isolate.h"

#include <math.h>
#include <string.h>

#include "base/memory.h" // bl_alloc
#include "graph/op.h"    // bl_op_rules

int bl_isolate_results(const bl_node *node, const bl_tensor *results[BL_MAX_RESULTS]) {
    int count = 0;
    for (int i = 0; i < node->output_count; i++)
        if (node->outputs[i]) results[count++] = node->outputs[i];
    const int *writes = bl_op_rules[node->op]->writes;
    for (int i = 0; i < BL_MAX_INPUTS && writes[i]; i++) results[count++] = node->inputs[writes[i] - 1];
    return count;
}

static int run_lone(bl_store *store, const bl_graph *lone, const double *const *inputs, double *const *results) {
    const bl_node *node = lone->nodes[0];
    const bl_compile_options options = {.accumulate = 1, .observe_all = true};
    bl_plan *plan;
    if (bl_plan_compile(store, lone, &options, &plan)) return BL_FAILED;
    int status = BL_FAILED;
    for (int i = 0; i < node->input_count; i++) {
        const bl_tensor *input = node->inputs[i];
        if (!input) continue;
        if (input->role == BL_ROLE_STORED ? bl_store_write(store, input->place, inputs[i]) : bl_plan_write(plan, input, inputs[i])) goto done;
    }
    if (bl_plan_step(plan, 0, node->phase)) goto done;
    const bl_tensor *tensors[BL_MAX_RESULTS];
    const int count = bl_isolate_results(node, tensors);
    for (int i = 0; i < count; i++)
        if (tensors[i]->role == BL_ROLE_STORED ? bl_store_read(store, tensors[i]->place, results[i])
                                               : bl_plan_read(plan, tensors[i], results[i]))
            goto done;
    status = BL_OK;
done:
    bl_plan_free(plan);
    return status;
}

int bl_isolate_run(bl_backend *backend, const bl_node *node, const bl_layout *layout, const double *const *inputs,
                   double *const *results) {
    bl_layout *lone_layout;
    bl_graph *lone;
    bl_store *store;
    if (bl_graph_isolate(node, layout, &lone_layout, &lone)) return BL_FAILED;
    int status = bl_store_create(backend, lone_layout, &store);
    if (!status) {
        status = run_lone(store, lone, inputs, results);
        bl_store_free(store);
    }
    bl_graph_free(lone);
    bl_layout_free(lone_layout);
    return status;
}

bl_dtype bl_isolate_dtype(const bl_node *node) {
    for (int i = 0; i < node->input_count; i++)
        if (node->inputs[i] && node->inputs[i]->dtype == BL_BF16) return BL_BF16;
    for (int i = 0; i < node->output_count; i++)
        if (node->outputs[i] && node->outputs[i]->dtype == BL_BF16) return BL_BF16;
    return BL_F32;
}

double bl_isolate_limit(const bl_node *node) {
    return bl_isolate_dtype(node) == BL_F32 ? 1e-11 : 1e-4;
}

// The dtype in which a node takes an input: its own, but the f32 master weights of a bf16 layer are packed as bf16.
static bl_dtype taken_as(const bl_node *node, int input) {
    const bool has_packed_weights = node->op == BL_OP_CONVOLUTION || node->op == BL_OP_CONVOLUTION_BACKWARD_DATA ||
                                    node->op == BL_OP_LINEAR || node->op == BL_OP_LINEAR_BACKWARD_DATA;
    return has_packed_weights && input == 1 ? bl_isolate_dtype(node) : node->inputs[input]->dtype;
}

double bl_nmse(const double *expected, const double *actual, int64_t count, double floor, int64_t *worst) {
    double error = 0, norm = 0, largest = -1;
    for (int64_t i = 0; i < count; i++) {
        const double difference = fabs(actual[i] - expected[i]);
        if (!(difference <= largest)) {
            largest = difference;
            if (worst) *worst = i;
            if (!isfinite(difference)) return INFINITY;
        }
        error += difference * difference;
        norm += expected[i] * expected[i];
    }
    if (error == 0) return 0;
    return error / fmax(norm, floor); // infinite where zeros were expected
}

// A bias in front of a batch norm, a linear layer between or not, has gradient 0: its sum over the rows cancels to rounding errors.
// The summands' magnitude is then the measure.
static double cancelled_scale(const bl_tensor *dy, const double *values) {
    const int64_t O = dy->shape.dims[dy->shape.rank - 1], N = bl_shape_count(&dy->shape) / O;
    double scale = 0;
    for (int64_t o = 0; o < O; o++) {
        double sum = 0;
        for (int64_t n = 0; n < N; n++) sum += fabs(values[n * O + o]);
        scale += sum * sum;
    }
    return scale;
}

// The least squared norm that a result's errors are measured against.
static double floor_of(const bl_node *node, const bl_tensor *result, const double *const *inputs) {
    if (node->op == BL_OP_LINEAR_BACKWARD_BIAS) return cancelled_scale(node->inputs[0], inputs[0]);
    if (node->op == BL_OP_BATCH_NORM_BACKWARD && result == node->outputs[2]) return cancelled_scale(node->inputs[1], inputs[1]);
    return 0;
}

typedef struct operands { // of one node in a walk; all owned here
    double *inputs[BL_MAX_INPUTS], *right[BL_MAX_RESULTS], *judged[BL_MAX_RESULTS];
} operands;

static void free_operands(operands *o) {
    for (int i = 0; i < BL_MAX_INPUTS; i++) bl_free(o->inputs[i]);
    for (int i = 0; i < BL_MAX_RESULTS; i++) {
        bl_free(o->right[i]);
        bl_free(o->judged[i]);
    }
}

static double *alloc_values(const bl_tensor *tensor) {
    return bl_alloc((size_t)bl_shape_count(&tensor->shape) * sizeof(double));
}

static int take_operands(operands *o, const bl_node *node, bl_store *store, double *const *values) {
    for (int i = 0; i < node->input_count; i++) {
        const bl_tensor *input = node->inputs[i];
        if (!input) continue;
        if (!(o->inputs[i] = alloc_values(input))) return BL_FAILED;
        const int64_t count = bl_shape_count(&input->shape);
        if (input->role == BL_ROLE_STORED) {
            if (bl_store_read(store, input->place, o->inputs[i])) return BL_FAILED;
        } else {
            memcpy(o->inputs[i], values[input->id], (size_t)count * sizeof(double));
        }
        const bl_dtype dtype = taken_as(node, i);
        for (int64_t k = 0; k < count; k++) o->inputs[i][k] = bl_round_to(dtype, o->inputs[i][k]);
    }
    const bl_tensor *results[BL_MAX_RESULTS];
    const int count = bl_isolate_results(node, results);
    for (int i = 0; i < count; i++)
        if (!(o->right[i] = alloc_values(results[i])) || !(o->judged[i] = alloc_values(results[i]))) return BL_FAILED;
    return BL_OK;
}

static int keep_result(bl_store *store, const bl_tensor *tensor, const double *result, double **values) {
    if (tensor->role == BL_ROLE_STORED) return bl_store_write(store, tensor->place, result);
    if (!values[tensor->id] && !(values[tensor->id] = alloc_values(tensor))) return BL_FAILED;
    memcpy(values[tensor->id], result, (size_t)bl_shape_count(&tensor->shape) * sizeof(double));
    return BL_OK;
}

static int compare_node(bl_backend *right, bl_backend *judged, bl_store *store, const bl_node *node, double **values, operands *o,
                        bl_difference_visit visit, void *context) {
    const double *const *inputs = (const double *const *)o->inputs;
    const bl_tensor *results[BL_MAX_RESULTS];
    const int count = bl_isolate_results(node, results);
    if (take_operands(o, node, store, values)) return BL_FAILED;
    if (bl_isolate_run(right, node, store->layout, inputs, o->right)) return BL_FAILED;
    char reason[256] = "";
    const bool runs = judged->table->supports(judged, node, reason, sizeof reason);
    if (runs && bl_isolate_run(judged, node, store->layout, inputs, o->judged)) return BL_FAILED;
    for (int i = 0; i < count; i++) {
        bl_difference difference = {.node = node, .tensor = results[i], .refused = runs ? NULL : reason};
        if (runs) {
            const double floor = floor_of(node, results[i], inputs);
            difference.nmse = bl_nmse(o->right[i], o->judged[i], bl_shape_count(&results[i]->shape), floor, &difference.worst);
            difference.expected = o->right[i][difference.worst];
            difference.actual = o->judged[i][difference.worst];
        }
        if (visit(context, &difference)) return BL_FAILED;
        if (keep_result(store, results[i], o->right[i], values)) return BL_FAILED;
    }
    return BL_OK;
}

int bl_isolate_compare(bl_backend *right, bl_backend *judged, bl_store *store, const bl_graph *graph, double **values,
                       bl_difference_visit visit, void *context) {
    for (int i = 0; i < graph->node_count; i++) {
        operands o = {0};
        const int status = compare_node(right, judged, store, graph->nodes[i], values, &o, visit, context);
        free_operands(&o);
        if (status) return BL_FAILED;
    }
    return BL_OK;
}
