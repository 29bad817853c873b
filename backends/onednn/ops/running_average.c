// The running statistics of a batch norm: a few values, on the calling thread. Meaning: graph/ops/batch_norm.c.

#include "backends/onednn/onednn.h"
#include "backends/onednn/operators.h"

typedef struct average {
    size_t groups, channels;
    double momentum, unbiased;
} average;

// mean, variance, running_mean, running_var
static int average_run(const bl_lowering *plan, const bl_step *step) {
    const average *a = step->state;
    const float *mean = bl_step_at(plan, step, 0), *variance = bl_step_at(plan, step, 1);
    float *running_mean = bl_step_at(plan, step, 2), *running_variance = bl_step_at(plan, step, 3);
    for (size_t g = 0; g < a->groups; g++)
        for (size_t c = 0; c < a->channels; c++) {
            const size_t i = g * a->channels + c;
            running_mean[c] = (float)((1 - a->momentum) * (double)running_mean[c] + a->momentum * (double)mean[i]);
            running_variance[c] =
                    (float)((1 - a->momentum) * (double)running_variance[c] + a->momentum * (double)variance[i] * a->unbiased);
        }
    return BL_OK;
}

static int lower_running_average(bl_lowering *plan, const bl_node *node) {
    const int64_t *dims = node->inputs[0]->shape.dims;
    const average a = {(size_t)dims[0], (size_t)dims[1], node->attributes.momentum,
                       (double)node->attributes.rows / (double)(node->attributes.rows - 1)};
    int buffers[4];
    for (int i = 0; i < 4; i++)
        if (bl_lower_value(plan, node->inputs[i], &buffers[i])) return BL_FAILED;
    return bl_lower_step(plan, node, average_run, buffers, 4, &a, sizeof a);
}

const bl_operator bl_cpu_op_running_average = {.lower = lower_running_average};
