// operators.h - every operator in one row. Its rule stands in a file of graph/ops/, its kernel in a file of each backend; all of them go by
// the name in the row, from which the tables are made: what has no rule or no kernel does not link.
//
// Inputs and outputs are written in order; [x] may be absent (NULL). V groups = attributes.groups, N rows in all. What each computes
// stands beside its rule.

#ifndef BL_GRAPH_OPERATORS_H
#define BL_GRAPH_OPERATORS_H

// row(ENUMERATOR without BL_OP_, name)
#define BL_OPERATORS(row) \
    row(CONVOLUTION, convolution)                                   /* x [N,H,W,C], w [O,kh,kw,C] -> y [N,H',W',O] */ \
    row(CONVOLUTION_BACKWARD_DATA, convolution_backward_data)       /* dy, w -> dx (attributes.shape) */ \
    row(CONVOLUTION_BACKWARD_WEIGHTS, convolution_backward_weights) /* x, dy -> dw f32 (attributes.shape) */ \
    row(BATCH_NORM, batch_norm)                                     /* x [N,..,C], gamma, beta -> y, mean [V,C] f32, variance [V,C] f32 (biased) */ \
    row(BATCH_NORM_BACKWARD, batch_norm_backward)                   /* x, dy, gamma, mean, variance -> dx, dgamma, dbeta (f32, summed over groups) */ \
    row(BATCH_NORM_RUNNING, batch_norm_running)                     /* x, gamma, beta, running_mean, running_var -> y (evaluation) */ \
    row(RELU, relu)                                                 /* x -> y */ \
    row(RELU_BACKWARD, relu_backward)                               /* y, dy -> dx */ \
    row(ADD, add)                                                   /* a, b -> y */ \
    row(GLOBAL_AVERAGE_POOL, global_average_pool)                   /* x [N,H,W,C] -> y [N,C] */ \
    row(GLOBAL_AVERAGE_POOL_BACKWARD, global_average_pool_backward) /* dy -> dx (attributes.shape) */ \
    row(MAX_POOL, max_pool)                                         /* x [N,H,W,C] -> y [N,H',W',C] */ \
    row(MAX_POOL_BACKWARD, max_pool_backward)                       /* x, dy -> dx (attributes.shape) */ \
    row(RESIZE, resize)                                             /* x [N,H,W,C] -> y (attributes.shape), bilinear */ \
    row(RESIZE_BACKWARD, resize_backward)                           /* dy -> dx (attributes.shape) */ \
    row(LINEAR, linear)                                             /* x [N,..,I], w [O,I], [b [O]] -> y [N,..,O] */ \
    row(LINEAR_BACKWARD_DATA, linear_backward_data)                 /* dy, w -> dx */ \
    row(LINEAR_BACKWARD_WEIGHTS, linear_backward_weights)           /* x, dy -> dw f32 */ \
    row(LINEAR_BACKWARD_BIAS, linear_backward_bias)                 /* dy -> db f32 */ \
    row(STOP_GRADIENT, stop_gradient)                               /* x -> y (the same values; a backend may alias) */ \
    row(CROSS_ENTROPY, cross_entropy)                               /* logits [N,..,K], labels [N,..] f32 -> loss [1] f32, correct [1] f32 */ \
    row(CROSS_ENTROPY_BACKWARD, cross_entropy_backward)             /* logits, labels -> dlogits */ \
    row(ARGMAX, argmax)                                             /* x [N,..,C] -> y [N,..] f32 */ \
    row(BYOL_LOSS, byol_loss)                                       /* p [N,D], z [N,D] -> loss [1] f32 */ \
    row(BYOL_LOSS_BACKWARD, byol_loss_backward)                     /* p, z -> [dp], [dz] */ \
    row(PROJECTION_STD, projection_std)                             /* z [N,D] -> std [1] f32, times sqrt(D) */ \
    row(ACCUMULATE, accumulate)                                     /* g, G (stored gradient segment) -> nothing; G += g */ \
    row(RUNNING_AVERAGE, running_average)                           /* mean [V,C], variance [V,C], running_mean, running_var -> nothing */ \
    row(CHECK_FINITE, check_finite)                                 /* loss, FINITE, gradient blocks, further losses -> nothing; FINITE = 0 unless all finite */ \
    row(SGD, sgd)                                                   /* parameters, gradients, moment1, LEARNING_RATE, FINITE -> nothing (whole blocks) */ \
    row(ADAM, adam)                                                 /* parameters, gradients, moment1, moment2, LEARNING_RATE, STEP, FINITE -> nothing */ \
    row(LARS, lars)                                                 /* parameters, gradients, moment1, LEARNING_RATE, FINITE -> nothing */ \
    row(EMA, ema)                                                   /* target block, online block, TAU, FINITE -> nothing (parameters, or BN buffers) */

#define BL_ENUMERATOR(op, name) BL_OP_##op,
typedef enum bl_op { BL_OPERATORS(BL_ENUMERATOR) BL_OP_COUNT } bl_op;
#undef BL_ENUMERATOR

#endif
