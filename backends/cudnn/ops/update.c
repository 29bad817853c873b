// The update phase: kernels/update.cu. Meanings: graph/ops/update.c.

#include "backends/cudnn/constants.h"
#include "backends/cudnn/gpu.h"
#include "backends/cudnn/kernels/update.h"
#include "backends/cudnn/operators.h"
#include "base/memory.h" // bl_alloc

// ---- running averages ----

typedef struct average {
    int groups;
    int64_t channels;
    double momentum, unbiased;
} average;

// mean, variance, running_mean, running_var
static int average_run(const bl_lowering *plan, const bl_step *step) {
    const average *of = step->state;
    bl_gpu_running_average(bl_gpu_stream(plan), bl_step_at(plan, step, 0), bl_step_at(plan, step, 1), of->groups, of->channels, of->momentum,
                           of->unbiased, bl_step_at(plan, step, 2), bl_step_at(plan, step, 3));
    return BL_OK;
}

static int lower_running_average(bl_lowering *plan, const bl_node *node) {
    const int64_t *dims = node->inputs[0]->shape.dims;
    const average of = {(int)dims[0], dims[1], node->attributes.momentum,
                        (double)node->attributes.rows / (double)(node->attributes.rows - 1)};
    int buffers[4];
    if (bl_lower_values(plan, node->inputs, node->input_count, buffers)) return BL_FAILED;
    return bl_lower_step(plan, node, average_run, buffers, 4, &of, sizeof of);
}

// ---- check_finite ----

typedef struct check {
    int count; // operands: loss, FINITE, blocks
    int64_t floats[BL_MAX_INPUTS];
} check;

static int check_run(const bl_lowering *plan, const bl_step *step) {
    const check *of = step->state;
    float *finite = bl_step_at(plan, step, 1);
    for (int i = 0; i < of->count; i++)
        if (i != 1) bl_gpu_check_finite(bl_gpu_stream(plan), bl_step_at(plan, step, i), of->floats[i], finite);
    return BL_OK;
}

static int lower_check_finite(bl_lowering *plan, const bl_node *node) {
    check of = {.count = node->input_count};
    int buffers[BL_MAX_INPUTS];
    for (int i = 0; i < node->input_count; i++) of.floats[i] = bl_shape_count(&node->inputs[i]->shape);
    if (bl_lower_values(plan, node->inputs, node->input_count, buffers)) return BL_FAILED;
    return bl_lower_step(plan, node, check_run, buffers, node->input_count, &of, sizeof of);
}

// ---- SGD, Adam and LARS ----

// Operands: the node's own, then these.
enum { PIECES = BL_MAX_INPUTS, SEGMENTS, SUMS, TRUST, UPDATE_OPERANDS };

typedef struct update {
    bl_op op;
    bl_gpu_update of; // but for its pointers
} update;

static int update_run(const bl_lowering *plan, const bl_step *step) {
    const update *u = step->state;
    const bool is_adam = u->op == BL_OP_ADAM;
    const int scalars = is_adam ? 4 : 3;
    bl_gpu_update of = u->of;
    of.pieces = bl_step_at(plan, step, PIECES);
    of.segments = bl_step_at(plan, step, SEGMENTS);
    of.parameters = bl_step_at(plan, step, 0);
    of.gradients = bl_step_at(plan, step, 1);
    of.moment1 = bl_step_at(plan, step, 2);
    of.moment2 = is_adam ? bl_step_at(plan, step, 3) : NULL;
    of.learning_rate = bl_step_at(plan, step, scalars);
    of.step = is_adam ? bl_step_at(plan, step, 5) : NULL;
    of.finite = bl_step_at(plan, step, is_adam ? 6 : 4);
    if (u->op == BL_OP_SGD) bl_gpu_sgd(bl_gpu_stream(plan), &of);
    if (u->op == BL_OP_ADAM) bl_gpu_adam(bl_gpu_stream(plan), &of);
    if (u->op == BL_OP_LARS) bl_gpu_lars(bl_gpu_stream(plan), &of, bl_step_at(plan, step, SUMS), bl_step_at(plan, step, TRUST));
    return BL_OK;
}

static int pieces_of(const bl_segment *segment) {
    return (int)((bl_shape_count(&segment->shape) + BL_GPU_PIECE - 1) / BL_GPU_PIECE);
}

// The block's tables: its pieces, and what holds for all pieces of a segment.
static void cut(const bl_segments *table, double weight_decay, bl_gpu_piece *pieces, bl_gpu_segment *segments) {
    int made = 0;
    for (int s = 0; s < table->count; s++) {
        const bl_segment *segment = &table->items[s];
        const int64_t count = bl_shape_count(&segment->shape);
        segments[s] = (bl_gpu_segment){.lr_scale = segment->lr_scale,
                                       .decay = segment->decay ? (float)weight_decay : 0,
                                       .adapts = segment->lars_adapt,
                                       .is_frozen = segment->frozen,
                                       .first_piece = made,
                                       .pieces = pieces_of(segment)};
        for (int64_t first = 0; first < count; first += BL_GPU_PIECE)
            pieces[made++] = (bl_gpu_piece){.offset = (int64_t)segment->offset + first,
                                            .count = (int)(count - first < BL_GPU_PIECE ? count - first : BL_GPU_PIECE),
                                            .segment = s};
    }
}

static int add_tables(bl_lowering *plan, const bl_node *node, const bl_gpu_update *of, const bl_segments *table, int *buffers) {
    const size_t piece_bytes = (size_t)of->piece_count * sizeof(bl_gpu_piece);
    const size_t segment_bytes = (size_t)of->segment_count * sizeof(bl_gpu_segment);
    bl_gpu_piece *pieces = bl_alloc(piece_bytes);
    bl_gpu_segment *segments = bl_alloc(segment_bytes);
    int status = BL_FAILED;
    if (pieces && segments) {
        cut(table, node->attributes.weight_decay, pieces, segments);
        if (!bl_gpu_constant_add(plan, pieces, piece_bytes, &buffers[PIECES]))
            status = bl_gpu_constant_add(plan, segments, segment_bytes, &buffers[SEGMENTS]);
    }
    bl_free(pieces);
    bl_free(segments);
    return status;
}

static int add_sums(bl_lowering *plan, const bl_node *node, const bl_gpu_update *of, int *buffers) {
    const size_t sums = 2 * (size_t)of->piece_count * sizeof(double), trust = (size_t)of->segment_count * sizeof(double);
    if (bl_lower_workspace(plan, node, sums, &buffers[SUMS])) return BL_FAILED;
    return bl_lower_workspace(plan, node, trust, &buffers[TRUST]);
}

static int lower_update(bl_lowering *plan, const bl_node *node) {
    const bl_attributes *a = &node->attributes;
    const int network = node->inputs[0]->place.network;
    const bl_segments *table = bl_network_segments(&plan->store->base.layout->networks[network], BL_PARAMETERS);
    update made = {.op = node->op,
                   .of = {.segment_count = table->count,
                          .share = 1.0f / (float)plan->accumulate,
                          .clears = !plan->uses.writes_gradients[network],
                          .momentum = a->momentum,
                          .beta1 = a->beta1,
                          .beta2 = a->beta2,
                          .epsilon = a->epsilon,
                          .eta = a->eta,
                          .nesterov = a->nesterov,
                          .clip = a->clip,
                          .decay_apart = a->decay_apart}};
    for (int s = 0; s < table->count; s++) made.of.piece_count += pieces_of(&table->items[s]);
    int buffers[UPDATE_OPERANDS];
    for (int i = 0; i < UPDATE_OPERANDS; i++) buffers[i] = -1;
    if (bl_lower_values(plan, node->inputs, node->input_count, buffers) || add_tables(plan, node, &made.of, table, buffers)) return BL_FAILED;
    if (node->op == BL_OP_LARS && add_sums(plan, node, &made.of, buffers)) return BL_FAILED;
    return bl_lower_step(plan, node, update_run, buffers, UPDATE_OPERANDS, &made, sizeof made);
}

// ---- EMA ----

// target, online, tau, finite
static int ema_run(const bl_lowering *plan, const bl_step *step) {
    const int64_t *count = step->state;
    bl_gpu_ema(bl_gpu_stream(plan), bl_step_at(plan, step, 0), bl_step_at(plan, step, 1), *count, bl_step_at(plan, step, 2),
               bl_step_at(plan, step, 3));
    return BL_OK;
}

static int lower_ema(bl_lowering *plan, const bl_node *node) {
    const int64_t count = bl_shape_count(&node->inputs[0]->shape);
    int buffers[4];
    if (bl_lower_values(plan, node->inputs, node->input_count, buffers)) return BL_FAILED;
    return bl_lower_step(plan, node, ema_run, buffers, 4, &count, sizeof count);
}

const bl_operator bl_gpu_op_running_average = {.lower = lower_running_average};
const bl_operator bl_gpu_op_check_finite = {.lower = lower_check_finite};
const bl_operator bl_gpu_op_sgd = {.lower = lower_update};
const bl_operator bl_gpu_op_adam = {.lower = lower_update};
const bl_operator bl_gpu_op_lars = {.lower = lower_update};
const bl_operator bl_gpu_op_ema = {.lower = lower_ema};
