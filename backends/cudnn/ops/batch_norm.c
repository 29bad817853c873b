// Batch norm by cuDNN, a run a group, with what was fused (fusion.c): behind it the addition and ReLU, before its backward the ReLU's.
//
// cuDNN keeps 1 / sqrt(variance + epsilon) for the backward, not the variance, which is made from it where someone reads it. Its fused
// backward does not take the ReLU's output but a mask that the fused forward writes beside it, here only where a backward will take it.
// How a mask lies in memory is between the two: a buffer has a byte a value, the most it can need. Evaluation, with running statistics,
// is a kernel of our own: cuDNN has none for it.

#include "backends/cudnn/engine_step.h"
#include "backends/cudnn/gpu.h"
#include "backends/cudnn/kernels/pointwise.h"
#include "backends/cudnn/operators.h"

typedef struct norm {
    int groups;
    int64_t images, height, width, channels; // images of a group
    bl_gpu_type type;
    size_t values; // of a group
    size_t bytes;  // of a group in x's type
} norm;

static norm norm_of(const bl_node *node) {
    const bl_tensor *x = node->inputs[0];
    const int64_t *dims = x->shape.dims;
    const bool is_image = x->shape.rank == 4;
    norm n = {.groups = node->attributes.groups,
              .images = dims[0] / node->attributes.groups,
              .height = is_image ? dims[1] : 1,
              .width = is_image ? dims[2] : 1,
              .channels = dims[x->shape.rank - 1],
              .type = bl_gpu_type_of(x)};
    n.values = (size_t)(n.images * n.height * n.width * n.channels);
    n.bytes = n.values * (bl_gpu_is_half(x) ? sizeof(uint16_t) : sizeof(float));
    return n;
}

static int check(const bl_backend *backend, const bl_node *node) {
    (void)backend;
    const bl_tensor *x = node->inputs[0];
    const int64_t channels = x->shape.dims[x->shape.rank - 1], multiple = bl_gpu_is_half(x) ? 8 : 4; // 16 bytes at once
    if (channels % multiple == 0) return BL_OK;
    return bl_fail("%s batch norm needs channels that are a multiple of %lld, not %lld", bl_dtype_name(x->dtype), (long long)multiple,
                   (long long)channels);
}

// ---- a pattern with its memory, run for each group ----

typedef struct bound {
    bl_gpu_pattern pattern;
    int buffers[BL_GPU_PATTERN_TENSORS];
    size_t strides[BL_GPU_PATTERN_TENSORS]; // bytes from a group to the next
} bound;

static int image(bound *b, const norm *n, bl_gpu_type type, int buffer) { // buffer -1: virtual
    const int tensor = bl_gpu_pattern_image(&b->pattern, type, n->images, n->height, n->width, n->channels, buffer < 0);
    b->buffers[tensor] = buffer;
    b->strides[tensor] = type == BL_GPU_BOOLEAN ? n->values : n->bytes;
    return tensor;
}

static int channels(bound *b, const norm *n, int buffer, bool is_grouped) {
    const int tensor = bl_gpu_pattern_channels(&b->pattern, n->channels);
    b->buffers[tensor] = buffer;
    b->strides[tensor] = is_grouped ? (size_t)n->channels * sizeof(float) : 0;
    return tensor;
}

static int value(bound *b, float value_of) {
    const int tensor = bl_gpu_pattern_value(&b->pattern, value_of);
    b->buffers[tensor] = -1;
    return tensor;
}

static int add_steps(bl_lowering *plan, const bl_node *node, const norm *n, const bound *b) {
    for (int g = 0; g < n->groups; g++) {
        size_t offsets[BL_GPU_PATTERN_TENSORS];
        for (int i = 0; i < BL_GPU_PATTERN_TENSORS; i++) offsets[i] = (size_t)g * b->strides[i];
        if (bl_gpu_pattern_step(plan, node, &b->pattern, b->buffers, offsets)) return BL_FAILED;
    }
    return BL_OK;
}

// ---- what a fused norm works on ----

static const bl_tensor *residual_of(const bl_node *norm_node, const bl_fusion *fusion) {
    if (!fusion->add) return NULL;
    return fusion->add->inputs[0] == norm_node->outputs[0] ? fusion->add->inputs[1] : fusion->add->inputs[0];
}

static const bl_tensor *result_of(const bl_node *norm_node, const bl_fusion *fusion) {
    return (fusion->relu ? fusion->relu : fusion->add ? fusion->add : norm_node)->outputs[0];
}

static void note_fusion(bl_lowering *plan, const bl_node *node, const bl_fusion *fusion) {
    if (fusion->add || fusion->relu)
        bl_lower_note(plan, node, "%s%s%s", plan->rows[node->id].implementation, fusion->add ? " + add" : "", fusion->relu ? " + relu" : "");
}

// Whether the forward's mask serves this backward: the same groups, each at an address that cuDNN takes.
static bool shares_mask(const bl_node *forward, const bl_node *backward) {
    return forward->attributes.groups == backward->attributes.groups && norm_of(backward).values % 16 == 0;
}

static bool wants_mask(const bl_lowering *plan, const bl_node *forward) {
    const bl_node *relu = plan->uses.fusion[forward->id].relu;
    const bl_graph *graph = plan->base.graph;
    for (int i = 0; relu && i < graph->node_count; i++) {
        const bl_node *node = graph->nodes[i], *backward = plan->uses.fusion[i].norm;
        if (node->op != BL_OP_RELU_BACKWARD || node->inputs[0] != relu->outputs[0]) continue;
        if (backward && shares_mask(forward, backward)) return true;
    }
    return false;
}

static int mask_of(const bl_lowering *plan, const bl_node *backward) {
    const bl_tensor *y = plan->uses.fusion[backward->id].relu_backward->inputs[0];
    const int mask = bl_lower_attached(plan, y, "mask");
    return mask >= 0 && shares_mask(plan->uses.fusion[y->producer->id].norm, backward) ? mask : -1;
}

// ---- forward ----

typedef struct change { // between a variance and its inverse
    float epsilon;
    int64_t count;
} change;

// inverse | variance
static int variance_run(const bl_lowering *plan, const bl_step *step) {
    const change *c = step->state;
    bl_gpu_variance_of_inverse(bl_gpu_stream(plan), bl_step_at(plan, step, 0), c->epsilon, bl_step_at(plan, step, 1), c->count);
    return BL_OK;
}

// variance | inverse
static int inverse_run(const bl_lowering *plan, const bl_step *step) {
    const change *c = step->state;
    bl_gpu_inverse_of_variance(bl_gpu_stream(plan), bl_step_at(plan, step, 0), c->epsilon, bl_step_at(plan, step, 1), c->count);
    return BL_OK;
}

static change change_of(const bl_node *node, const norm *n) {
    return (change){(float)node->attributes.epsilon, n->groups * n->channels};
}

// The backward takes the inverse: others want the variance itself, and so does whoever reads what no node does.
static bool is_variance_read(const bl_lowering *plan, const bl_tensor *variance) {
    const bl_graph *graph = plan->base.graph;
    if (bl_uses_keep(&plan->uses, variance)) return true;
    for (int i = 0; i < graph->node_count; i++)
        for (int k = 0; k < graph->nodes[i]->input_count; k++)
            if (graph->nodes[i]->inputs[k] == variance && graph->nodes[i]->op != BL_OP_BATCH_NORM_BACKWARD) return true;
    return false;
}

static int add_variance(bl_lowering *plan, const bl_node *node, const norm *n, int inverse) {
    const change c = change_of(node, n);
    int buffers[2] = {inverse};
    if (!is_variance_read(plan, node->outputs[2])) return BL_OK;
    if (bl_lower_value(plan, node->outputs[2], &buffers[1])) return BL_FAILED;
    return bl_lower_step(plan, node, variance_run, buffers, 2, &c, sizeof c);
}

static int lower_batch_norm(bl_lowering *plan, const bl_node *node) {
    const bl_fusion *fusion = &plan->uses.fusion[node->id];
    const norm n = norm_of(node);
    const bool adds_apart = fusion->add && !fusion->relu; // cuDNN takes an addition only together with a ReLU
    const bl_tensor *result = adds_apart ? node->outputs[0] : result_of(node, fusion);
    int x, gamma, beta, mean, residual, y, inverse, mask = -1;
    if (bl_lower_value(plan, node->inputs[0], &x) || bl_lower_value(plan, node->inputs[1], &gamma) ||
        bl_lower_value(plan, node->inputs[2], &beta) || bl_lower_value(plan, node->outputs[1], &mean) ||
        bl_lower_value(plan, adds_apart ? NULL : residual_of(node, fusion), &residual) || bl_lower_value(plan, result, &y) ||
        bl_lower_buffer(plan, (size_t)(n.groups * n.channels) * sizeof(float), &inverse))
        return BL_FAILED;
    if (bl_lower_attach(plan, node->outputs[2], "inverse", inverse)) return BL_FAILED;
    if (wants_mask(plan, node)) {
        if (bl_lower_buffer(plan, (size_t)n.groups * n.values, &mask) || bl_lower_attach(plan, result, "mask", mask)) return BL_FAILED;
    }

    bound b = {0};
    const bool is_alone = !fusion->relu;
    const int from = image(&b, &n, n.type, x), scale = channels(&b, &n, gamma, false), shift = channels(&b, &n, beta, false);
    const int epsilon = value(&b, (float)node->attributes.epsilon);
    int made = image(&b, &n, is_alone ? n.type : BL_GPU_F32, is_alone ? y : -1);
    const int center = channels(&b, &n, mean, true), spread = channels(&b, &n, inverse, true);
    bl_gpu_pattern_add(&b.pattern, BL_GPU_NORM, (int[]){from, scale, shift, epsilon, made, center, spread}, 7);
    if (residual >= 0) {
        const int other = image(&b, &n, n.type, residual), sum = image(&b, &n, BL_GPU_F32, -1);
        bl_gpu_pattern_add(&b.pattern, BL_GPU_ADD, (int[]){made, other, sum}, 3);
        made = sum;
    }
    if (fusion->relu) {
        const int positive = image(&b, &n, n.type, y);
        bl_gpu_pattern_add(&b.pattern, BL_GPU_RELU, (int[]){made, positive}, 2);
        made = positive;
    }
    if (mask >= 0) {
        const int zero = value(&b, 0), is_positive = image(&b, &n, BL_GPU_BOOLEAN, mask);
        bl_gpu_pattern_add(&b.pattern, BL_GPU_GREATER, (int[]){made, zero, is_positive}, 3);
    }
    if (add_steps(plan, node, &n, &b)) return BL_FAILED;
    if (fusion->relu) note_fusion(plan, node, fusion);
    if (adds_apart && bl_lower_node(plan, fusion->add)) return BL_FAILED;
    return add_variance(plan, node, &n, inverse);
}

// ---- backward ----

typedef struct sums {
    int groups;
    int64_t channels;
} sums;

// parts | sum
static int sum_groups_run(const bl_lowering *plan, const bl_step *step) {
    const sums *s = step->state;
    bl_gpu_sum_groups(bl_gpu_stream(plan), bl_step_at(plan, step, 0), s->groups, bl_step_at(plan, step, 1), s->channels);
    return BL_OK;
}

// The forward's, or made from the variance where there is no forward in this plan.
static int inverse_value(bl_lowering *plan, const bl_node *node, const norm *n, int *inverse) {
    const change c = change_of(node, n);
    int buffers[2];
    *inverse = bl_lower_attached(plan, node->inputs[4], "inverse");
    if (*inverse >= 0) return BL_OK;
    if (bl_lower_value(plan, node->inputs[4], &buffers[0])) return BL_FAILED;
    if (bl_lower_buffer(plan, (size_t)c.count * sizeof(float), &buffers[1])) return BL_FAILED;
    *inverse = buffers[1];
    return bl_lower_step(plan, node, inverse_run, buffers, 2, &c, sizeof c);
}

// Where cuDNN writes the gradient of gamma or beta: a part a group, summed afterwards, or the tensor itself. cuDNN writes unwanted
// ones too.
static int parts_value(bl_lowering *plan, const bl_tensor *tensor, const norm *n, int *parts) {
    if (tensor && n->groups == 1) return bl_lower_value(plan, tensor, parts);
    return bl_lower_buffer(plan, (size_t)(n->groups * n->channels) * sizeof(float), parts);
}

static int add_sum(bl_lowering *plan, const bl_node *node, const bl_tensor *tensor, const norm *n, int parts) {
    const sums s = {n->groups, n->channels};
    int buffers[2] = {parts};
    if (!tensor || n->groups == 1) return BL_OK;
    if (bl_lower_value(plan, tensor, &buffers[1])) return BL_FAILED;
    return bl_lower_step(plan, node, sum_groups_run, buffers, 2, &s, sizeof s);
}

// dy as batch norm takes it: what was fused before it but has no mask is done by steps of its own.
static int add_before(bl_lowering *plan, const bl_fusion *fusion, int mask) {
    if (fusion->gradient_sum && bl_lower_node(plan, fusion->gradient_sum)) return BL_FAILED;
    return fusion->relu_backward && mask < 0 ? bl_lower_node(plan, fusion->relu_backward) : BL_OK;
}

static int lower_batch_norm_backward(bl_lowering *plan, const bl_node *node) {
    const bl_fusion *fusion = &plan->uses.fusion[node->id];
    const bl_node *relu = fusion->relu_backward;
    const norm n = norm_of(node);
    const int mask = relu ? mask_of(plan, node) : -1;
    const bl_tensor *masked = mask >= 0 ? relu->outputs[0] : NULL; // kept where another node reads it: a shortcut's gradient
    const bool is_masked_kept = masked && (plan->uses.observed[masked->id] || plan->uses.readers[masked->id] > 1);
    int x, dy, gamma, mean, inverse, product = -1, dx, dgamma, dbeta;
    if (add_before(plan, fusion, mask) || bl_lower_value(plan, node->inputs[0], &x) ||
        bl_lower_value(plan, masked ? relu->inputs[1] : node->inputs[1], &dy) || bl_lower_value(plan, node->inputs[2], &gamma) ||
        bl_lower_value(plan, node->inputs[3], &mean) || inverse_value(plan, node, &n, &inverse) ||
        bl_lower_value(plan, node->outputs[0], &dx) || parts_value(plan, node->outputs[1], &n, &dgamma) ||
        parts_value(plan, node->outputs[2], &n, &dbeta))
        return BL_FAILED;
    if (is_masked_kept && bl_lower_value(plan, masked, &product)) return BL_FAILED;
    if (dx < 0 && bl_lower_buffer(plan, (size_t)n.groups * n.bytes, &dx)) return BL_FAILED;

    bound b = {0};
    const int from = image(&b, &n, n.type, x);
    int gradient = image(&b, &n, n.type, dy);
    if (masked) {
        const int passes = image(&b, &n, BL_GPU_BOOLEAN, mask), passed = image(&b, &n, n.type, product);
        bl_gpu_pattern_add(&b.pattern, BL_GPU_MULTIPLY, (int[]){gradient, passes, passed}, 3);
        gradient = passed;
    }
    const int scale = channels(&b, &n, gamma, false), center = channels(&b, &n, mean, true), spread = channels(&b, &n, inverse, true);
    const int to = image(&b, &n, n.type, dx), dscale = channels(&b, &n, dgamma, true), dshift = channels(&b, &n, dbeta, true);
    bl_gpu_pattern_add(&b.pattern, BL_GPU_NORM_BACKWARD, (int[]){from, gradient, scale, center, spread, to, dscale, dshift}, 8);
    if (add_steps(plan, node, &n, &b)) return BL_FAILED;
    if (masked) bl_lower_note(plan, node, "%s + relu_backward", plan->rows[node->id].implementation);
    if (add_sum(plan, node, node->outputs[1], &n, dgamma)) return BL_FAILED;
    return add_sum(plan, node, node->outputs[2], &n, dbeta);
}

// ---- with running statistics ----

typedef struct running {
    int64_t rows;
    int channels;
    float epsilon;
    bool relu, is_half;
} running;

// x, gamma, beta, mean, variance, [residual] | y
static int running_run(const bl_lowering *plan, const bl_step *step) {
    const running *r = step->state;
    bl_gpu_normalize(bl_gpu_stream(plan), bl_step_at(plan, step, 0), bl_step_at(plan, step, 1), bl_step_at(plan, step, 2),
                     bl_step_at(plan, step, 3), bl_step_at(plan, step, 4), r->epsilon, bl_step_at(plan, step, 5), r->relu,
                     bl_step_at(plan, step, 6), r->is_half, r->rows, r->channels);
    return BL_OK;
}

static int lower_batch_norm_running(bl_lowering *plan, const bl_node *node) {
    const bl_fusion *fusion = &plan->uses.fusion[node->id];
    const bl_tensor *x = node->inputs[0];
    const int64_t width = x->shape.dims[x->shape.rank - 1];
    const running r = {bl_shape_count(&x->shape) / width, (int)width, (float)node->attributes.epsilon, fusion->relu != NULL,
                       bl_gpu_is_half(x)};
    int buffers[7];
    if (bl_lower_values(plan, node->inputs, node->input_count, buffers) ||
        bl_lower_value(plan, residual_of(node, fusion), &buffers[5]) || bl_lower_value(plan, result_of(node, fusion), &buffers[6]))
        return BL_FAILED;
    note_fusion(plan, node, fusion);
    return bl_lower_step(plan, node, running_run, buffers, 7, &r, sizeof r);
}

const bl_operator bl_gpu_op_batch_norm = {.lower = lower_batch_norm, .check = check};
const bl_operator bl_gpu_op_batch_norm_backward = {.lower = lower_batch_norm_backward, .check = check};
const bl_operator bl_gpu_op_batch_norm_running = {.lower = lower_batch_norm_running};
