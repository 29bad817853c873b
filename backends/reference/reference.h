// reference.h - the oracle's own header: every operator in f64, one plain loop nest each, one allocation a tensor.
//
// It is written to be read and believed, not to be fast. Sums run in one fixed order, nothing is rounded to the graph's dtypes.

#ifndef BL_BACKENDS_REFERENCE_H
#define BL_BACKENDS_REFERENCE_H

#include "backends/backend.h"

typedef struct bl_operands { // what a kernel works on; shapes and attributes are the node's
    const bl_node *node;
    const bl_layout *layout;         // segment tables, for the operators that take whole blocks
    int accumulate;                  // micro steps behind the gradient blocks: optimisers take the mean
    double *inputs[BL_MAX_INPUTS];   // NULL: absent. A writer changes its stored inputs in place
    double *outputs[BL_MAX_OUTPUTS]; // NULL: unwanted
} bl_operands;

typedef void (*bl_kernel)(const bl_operands *operands);

// One a operator, all of them present.
extern const bl_kernel bl_reference_kernels[BL_OP_COUNT];

// convolution.c
void bl_reference_convolution(const bl_operands *operands);
void bl_reference_convolution_backward_data(const bl_operands *operands);
void bl_reference_convolution_backward_weights(const bl_operands *operands);
// batch_norm.c
void bl_reference_batch_norm(const bl_operands *operands);
void bl_reference_batch_norm_backward(const bl_operands *operands);
void bl_reference_batch_norm_running(const bl_operands *operands);
void bl_reference_running_average(const bl_operands *operands);
// elementwise.c
void bl_reference_relu(const bl_operands *operands);
void bl_reference_relu_backward(const bl_operands *operands);
void bl_reference_add(const bl_operands *operands);
void bl_reference_stop_gradient(const bl_operands *operands);
// pooling.c
void bl_reference_global_average_pool(const bl_operands *operands);
void bl_reference_global_average_pool_backward(const bl_operands *operands);
void bl_reference_max_pool(const bl_operands *operands);
void bl_reference_max_pool_backward(const bl_operands *operands);
// resize.c
void bl_reference_resize(const bl_operands *operands);
void bl_reference_resize_backward(const bl_operands *operands);
// linear.c
void bl_reference_linear(const bl_operands *operands);
void bl_reference_linear_backward_data(const bl_operands *operands);
void bl_reference_linear_backward_weights(const bl_operands *operands);
void bl_reference_linear_backward_bias(const bl_operands *operands);
// cross_entropy.c
void bl_reference_cross_entropy(const bl_operands *operands);
void bl_reference_cross_entropy_backward(const bl_operands *operands);
void bl_reference_argmax(const bl_operands *operands);
// loss.c
void bl_reference_byol_loss(const bl_operands *operands);
void bl_reference_byol_loss_backward(const bl_operands *operands);
void bl_reference_projection_std(const bl_operands *operands);
// optimizer.c
void bl_reference_accumulate(const bl_operands *operands);
void bl_reference_check_finite(const bl_operands *operands);
void bl_reference_sgd(const bl_operands *operands);
void bl_reference_adam(const bl_operands *operands);
void bl_reference_lars(const bl_operands *operands);
void bl_reference_ema(const bl_operands *operands);

// store.c
int bl_reference_store_create(bl_backend *backend, const bl_layout *layout, bl_store **store);
void bl_reference_store_free(bl_store *store);
int bl_reference_store_write(bl_store *store, bl_place place, const double *src);
int bl_reference_store_read(bl_store *store, bl_place place, double *dst);
double *bl_reference_store_values(bl_store *store, bl_place place); // where the values of a place lie

// plan.c
int bl_reference_compile(bl_backend *backend, bl_store *store, const bl_graph *graph, const bl_compile_options *options, bl_plan **plan);
void bl_reference_plan_free(bl_plan *plan);
int bl_reference_slot(bl_plan *plan, int slot, const bl_tensor *input, float **host);
int bl_reference_step(bl_plan *plan, int slot, unsigned phases);
int bl_reference_write(bl_plan *plan, const bl_tensor *tensor, const double *src);
int bl_reference_read(bl_plan *plan, const bl_tensor *tensor, double *dst);
void bl_reference_timing(bl_plan *plan, bool on);
void bl_reference_report(const bl_plan *plan, bl_plan_report *report);

extern const bl_backend_table bl_reference_table;

#endif
