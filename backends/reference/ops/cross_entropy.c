#include <math.h>

#include "backends/reference/kernels.h"

typedef struct table { // logits, a row an image or a pixel
    int64_t N, K;
} table;

static table table_of(const bl_node *node) {
    const bl_shape *shape = &node->inputs[0]->shape;
    return (table){bl_shape_rows(shape), shape->dims[shape->rank - 1]};
}

// Whether a label names one of the K classes.
static bool is_class(double label, int64_t K) {
    return label >= 0 && label < (double)K;
}

static int64_t labelled_rows(const double *labels, const table *t) {
    int64_t count = 0;
    for (int64_t i = 0; i < t->N; i++) count += is_class(labels[i], t->K);
    return count;
}

static int64_t first_largest(const double *logits, int64_t count) {
    int64_t largest = 0;
    for (int64_t k = 1; k < count; k++)
        if (logits[k] > logits[largest]) largest = k;
    return largest;
}

// log of the sum of exponentials, taken relative to the largest so that none overflows.
static double log_sum(const double *logits, int64_t count) {
    const double largest = logits[first_largest(logits, count)];
    double sum = 0;
    for (int64_t k = 0; k < count; k++) sum += exp(logits[k] - largest);
    return largest + log(sum);
}

void bl_reference_cross_entropy(const bl_operands *operands) {
    const table t = table_of(operands->node);
    const double *labels = operands->inputs[1];
    const int64_t labelled = labelled_rows(labels, &t);
    double loss = 0, correct = 0;
    for (int64_t i = 0; i < t.N; i++) {
        const double *logits = operands->inputs[0] + i * t.K;
        if (!is_class(labels[i], t.K)) continue;
        const int64_t label = (int64_t)labels[i];
        loss += log_sum(logits, t.K) - logits[label];
        correct += first_largest(logits, t.K) == label;
    }
    if (operands->outputs[0]) operands->outputs[0][0] = labelled ? loss / (double)labelled : 0;
    if (operands->outputs[1]) operands->outputs[1][0] = labelled ? correct / (double)labelled : 0;
}

// (softmax - one at the label) / labelled rows.
void bl_reference_cross_entropy_backward(const bl_operands *operands) {
    const table t = table_of(operands->node);
    const double *labels = operands->inputs[1];
    const double labelled = (double)labelled_rows(labels, &t);
    for (int64_t i = 0; i < t.N; i++) {
        const double *logits = operands->inputs[0] + i * t.K;
        double *gradient = operands->outputs[0] + i * t.K;
        const bool counts = is_class(labels[i], t.K);
        const double log_of_sum = log_sum(logits, t.K);
        for (int64_t k = 0; k < t.K; k++)
            gradient[k] = counts ? (exp(logits[k] - log_of_sum) - (k == (int64_t)labels[i])) / labelled : 0;
    }
}

void bl_reference_argmax(const bl_operands *operands) {
    const table t = table_of(operands->node);
    for (int64_t i = 0; i < t.N; i++) operands->outputs[0][i] = (double)first_largest(operands->inputs[0] + i * t.K, t.K);
}
