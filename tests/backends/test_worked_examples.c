// Operators on numbers small enough to work out by hand, on every backend present.

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backends/isolate.h"
#include "base/memory.h"
#include "support.h"

typedef const double *values;

typedef struct example {
    bl_layout *layout;
    bl_graph *graph;
    bl_node *node;
} example;

static void begin(example *e) {
    *e = (example){0};
    assert_ok(bl_layout_create(&e->layout));
    assert_ok(bl_graph_create(&e->graph, e->layout));
}

static bl_tensor *input(example *e, const char *name, bl_shape shape) {
    bl_tensor *tensor;
    assert_ok(bl_graph_input(e->graph, name, BL_F32, shape, &tensor));
    return tensor;
}

static bl_tensor *stored(example *e, int network, bl_block_kind block, int segment) {
    bl_tensor *tensor;
    assert_ok(bl_graph_stored(e->graph, (bl_place){network, block, segment}, &tensor));
    return tensor;
}

static bl_tensor *scalar(example *e, bl_scalar which) {
    return stored(e, BL_SCALAR_NETWORK, BL_PARAMETERS, which);
}

static int network(example *e, const char *name, bool trainable) {
    int index;
    assert_ok(bl_layout_network(e->layout, name, trainable, &index));
    return index;
}

static int segment(example *e, int which, bl_segment description) {
    int index;
    assert_ok(bl_layout_parameter(e->layout, which, &description, &index));
    return index;
}

static bl_tensor *buffer(example *e, int which, const char *name) {
    int index;
    assert_ok(bl_layout_buffer(e->layout, which, name, (bl_shape){1, {1}}, (bl_init){.kind = BL_INIT_ZERO}, &index));
    return stored(e, which, BL_BUFFERS, index);
}

static void node(example *e, bl_op op, bl_attributes attributes, bl_tensor *const *inputs, int count) {
    assert_ok(bl_graph_node(e->graph, op, "node", &attributes, inputs, count, &e->node));
}

// Every backend must leave `expected`, one pointer a result (NULL: any values), f32 apart.
static void expect(const example *e, const values *inputs, const values *expected) {
    const bl_tensor *tensors[BL_MAX_RESULTS];
    const int count = bl_isolate_results(e->node, tensors);
    for (const char *const *name = bl_test_backends(); *name; name++) {
        bl_backend *backend;
        assert_ok(bl_backend_open(&backend, *name, &(bl_backend_options){.threads = 1, .isa = ""}));
        double *results[BL_MAX_RESULTS] = {0};
        for (int i = 0; i < count; i++) results[i] = bl_alloc((size_t)bl_shape_count(&tensors[i]->shape) * sizeof(double));
        assert_ok(bl_isolate_run(backend, e->node, e->layout, inputs, results));
        for (int i = 0; i < count; i++)
            for (int64_t k = 0; expected[i] && k < bl_shape_count(&tensors[i]->shape); k++)
                if (!(fabs(results[i][k] - expected[i][k]) <= 2e-6 * fmax(1, fabs(expected[i][k]))))
                    fail_msg("%s: %s[%d] is %.9g, should be %.9g", *name, tensors[i]->name, (int)k, results[i][k], expected[i][k]);
        for (int i = 0; i < count; i++) bl_free(results[i]);
        bl_backend_close(backend);
    }
}

static void end(example *e) {
    bl_graph_free(e->graph);
    bl_layout_free(e->layout);
}

// ---- loss and std ----

static void expect_loss(bl_pairing pairing, values p, values z, double loss) {
    example e;
    begin(&e);
    bl_tensor *operands[] = {input(&e, "p", (bl_shape){2, {2, 2}}), input(&e, "z", (bl_shape){2, {2, 2}})};
    node(&e, BL_OP_BYOL_LOSS, (bl_attributes){.groups = 2, .pairing = pairing}, operands, 2);
    expect(&e, (values[]){p, z}, (values[]){&loss});
    end(&e);
}

static const double three_four[] = {3, 4, /* view 2 */ 1, 0}, axes[] = {1, 0, /* view 2 */ 0, 2};

static void crossed_loss_pairs_each_view_with_the_other(void **state) {
    (void)state;
    expect_loss(BL_CROSSED, three_four, axes, (2 - 2 * 4. / 5) + (2 - 2 * 1)); // (3,4) with (0,2), (1,0) with (1,0)
}

static void same_view_loss_pairs_each_view_with_itself(void **state) {
    (void)state;
    expect_loss(BL_SAME_VIEW, three_four, axes, (2 - 2 * 3. / 5) + (2 - 2 * 0)); // (3,4) with (1,0), (1,0) with (0,2)
}

static void loss_runs_from_zero_to_eight(void **state) {
    (void)state;
    const double opposite[] = {-3, -4, -1, 0};
    expect_loss(BL_SAME_VIEW, three_four, three_four, 0);
    expect_loss(BL_SAME_VIEW, three_four, opposite, 8);
}

static void row_of_zeros_has_cosine_zero(void **state) {
    (void)state;
    const double zeros[4] = {0};
    expect_loss(BL_CROSSED, zeros, axes, 4);
}

static void loss_gradient_is_at_right_angles_to_its_row(void **state) {
    (void)state;
    example e;
    begin(&e);
    bl_tensor *operands[] = {input(&e, "p", (bl_shape){2, {2, 2}}), input(&e, "z", (bl_shape){2, {2, 2}})};
    node(&e, BL_OP_BYOL_LOSS_BACKWARD, (bl_attributes){.groups = 2, .pairing = BL_CROSSED}, operands, 2);
    // -2 (z/|z| - cos p/|p|) / |p|: for p = (3,4), z = (0,2): -2 ((0,1) - .8 (.6,.8)) / 5. (1,0) with (1,0): no gradient.
    const double dp[] = {0.192, -0.144, 0, 0};
    // For z = (0,2), p = (3,4): -2 ((.6,.8) - .8 (0,1)) / 2.
    const double dz[] = {0, 0, -0.6, 0};
    expect(&e, (values[]){three_four, axes}, (values[]){dp, dz});
    end(&e);
}

static void layer_norm_loss_compares_rows_less_their_means(void **state) {
    (void)state;
    example e;
    begin(&e);
    bl_tensor *operands[] = {input(&e, "p", (bl_shape){2, {2, 3}}), input(&e, "z", (bl_shape){2, {2, 3}})};
    node(&e, BL_OP_BYOL_LOSS, (bl_attributes){.groups = 2, .normalization = BL_NORMALIZE_LAYER_NORM, .reduction = BL_REDUCE_HALF}, operands, 2);
    // Less their means: (-1,0,1) and (-1,1,0), with z crossed (-2,0,2) and (1,-1,0): cosines 1 and -1.
    const double p[] = {4, 5, 6, /* view 2 */ 0, 2, 1}, z[] = {1, -1, 0, /* view 2 */ 7, 9, 11};
    expect(&e, (values[]){p, z}, (values[]){(const double[]){(-1. + 1) / 2}});
    end(&e);
}

static void one_direction_compares_view_1_alone_and_gives_the_rest_no_gradient(void **state) {
    (void)state;
    example e;
    const bl_attributes attributes = {.groups = 2, .normalization = BL_NORMALIZE_NONE, .reduction = BL_REDUCE_MEAN, .one_direction = true};
    const bl_op ops[] = {BL_OP_BYOL_LOSS, BL_OP_BYOL_LOSS_BACKWARD};
    // (3,4) with (0,2): distance 9 + 4.
    const double loss = 13. / 2, dp[] = {3, 2, 0, 0}, dz[] = {0, 0, -3, -2};
    for (int i = 0; i < 2; i++) {
        begin(&e);
        bl_tensor *operands[] = {input(&e, "p", (bl_shape){2, {2, 2}}), input(&e, "z", (bl_shape){2, {2, 2}})};
        node(&e, ops[i], attributes, operands, 2);
        expect(&e, (values[]){three_four, axes}, i ? (values[]){dp, dz} : (values[]){&loss});
        end(&e);
    }
}

// ---- cross-entropy ----

static void expect_cross_entropy(values logits, values labels, double loss, double correct, values gradient) {
    example e;
    for (int i = 0; i < 2; i++) {
        begin(&e);
        bl_tensor *operands[] = {input(&e, "logits", (bl_shape){2, {3, 2}}), input(&e, "labels", (bl_shape){1, {3}})};
        node(&e, i ? BL_OP_CROSS_ENTROPY_BACKWARD : BL_OP_CROSS_ENTROPY, (bl_attributes){0}, operands, 2);
        expect(&e, (values[]){logits, labels}, i ? &gradient : (values[]){&loss, &correct});
        end(&e);
    }
}

static void cross_entropy_is_the_mean_over_rows_with_a_label(void **state) {
    (void)state;
    const double three = log(3); // softmax of (0, log 3): 1/4, 3/4
    const double logits[] = {0, three, 0, three, 100, 100 + three};
    expect_cross_entropy(logits, (const double[]){1, -1, 0}, (log(4. / 3) + log(4)) / 2, 0.5,
                         (const double[]){0.125, -0.125, 0, 0, -0.375, 0.375});
    expect_cross_entropy(logits, (const double[]){-1, -1, -1}, 0, 0, (const double[6]){0});
}

static void the_first_of_equal_logits_is_the_answer(void **state) {
    (void)state;
    const double sixth = 1. / 6;
    expect_cross_entropy((const double[6]){0}, (const double[]){0, 1, 0}, log(2), 2. / 3,
                         (const double[]){-sixth, sixth, sixth, -sixth, -sixth, sixth});
}

// In a row of one, of two rows side by side, and where there is no number; beyond the rows that a backend takes side by side.
static void argmax_is_the_place_of_the_first_largest_value(void **state) {
    (void)state;
    enum { REPEATS = 9 };
    static const double rows[][4] = {{1, 3, 2, 3}, {-1, -1, -1, -1}, {-INFINITY, 0, INFINITY, 5}, {0, -0., 1e-38, 1}, {NAN, 1, 2, 3},
                                     {1, NAN, 0, 2}};
    static const double places[] = {1, 0, 2, 3, 0, 3};
    enum { ROWS = sizeof places / sizeof *places };
    double x[REPEATS * ROWS][4], y[REPEATS * ROWS];
    for (int i = 0; i < REPEATS * ROWS; i++) {
        memcpy(x[i], rows[i % ROWS], sizeof *x);
        y[i] = places[i % ROWS];
    }
    example e;
    begin(&e);
    bl_tensor *operand = input(&e, "x", (bl_shape){4, {1, REPEATS, ROWS, 4}});
    node(&e, BL_OP_ARGMAX, (bl_attributes){0}, &operand, 1);
    expect(&e, (values[]){&x[0][0]}, (values[]){y});
    end(&e);
}

static void expect_std(values z, double std) {
    example e;
    begin(&e);
    bl_tensor *rows = input(&e, "z", (bl_shape){2, {4, 2}});
    node(&e, BL_OP_PROJECTION_STD, (bl_attributes){.groups = 2}, &rows, 1);
    expect(&e, &z, (values[]){&std});
    end(&e);
}

static void std_of_one_direction_is_zero(void **state) {
    (void)state;
    expect_std((const double[]){3, 4, 6, 8, /* view 2 */ 3, 4, 0.3, 0.4}, 0); // lengths do not count
}

static void std_is_the_root_of_one_less_the_mean_cosine_of_each_view(void **state) {
    (void)state;
    // View 1: opposite rows, pairwise cosines 1 and -1: mean 0. View 2: right angles: mean 1/2.
    expect_std((const double[]){2, 0, -5, 0, /* view 2 */ 1, 0, 0, 3}, sqrt((1 + 0.5) / 2));
}

// ---- batch norm ----

static void each_group_of_a_batch_norm_has_statistics_of_its_own(void **state) {
    (void)state;
    example e;
    begin(&e);
    const int online = network(&e, "online", true);
    const int gamma = segment(&e, online, (bl_segment){.name = "weight", .shape = {1, {1}}});
    const int beta = segment(&e, online, (bl_segment){.name = "bias", .shape = {1, {1}}});
    bl_tensor *operands[] = {input(&e, "x", (bl_shape){2, {4, 1}}), stored(&e, online, BL_PARAMETERS, gamma),
                             stored(&e, online, BL_PARAMETERS, beta)};
    node(&e, BL_OP_BATCH_NORM, (bl_attributes){.groups = 2, .epsilon = 3}, operands, 3);
    const double x[] = {4, 6, /* group 2 */ 0, 2}; // variance 1 and 1, so sqrt(variance + 3) = 2
    const double y[] = {9, 11, 9, 11}, mean[] = {5, 1}, variance[] = {1, 1};
    expect(&e, (values[]){x, (const double[]){2}, (const double[]){10}}, (values[]){y, mean, variance});
    end(&e);
}

static void running_averages_take_each_group_in_order_and_unbiased(void **state) {
    (void)state;
    example e;
    begin(&e);
    const int online = network(&e, "online", true);
    bl_tensor *operands[] = {input(&e, "mean", (bl_shape){2, {2, 1}}), input(&e, "variance", (bl_shape){2, {2, 1}}),
                             buffer(&e, online, "running_mean"), buffer(&e, online, "running_var")};
    node(&e, BL_OP_RUNNING_AVERAGE, (bl_attributes){.momentum = 0.1, .rows = 5}, operands, 4);
    const double means[] = {1, 2}, variances[] = {0.8, 1.6}; // unbiased: 1 and 2
    expect(&e, (values[]){means, variances, (const double[]){0}, (const double[]){1}},
           (values[]){(const double[]){0.9 * 0.1 + 0.2}, (const double[]){0.9 * 1 + 0.2}});
    end(&e);
}

// ---- max pooling ----

// Windows of 3 x 3 with steps of two over a 4 x 5 image of one channel, and padding around it: 2 x 3 of them.
static void expect_max_pool(values x, values y, values dy, values dx) {
    example e;
    const bl_attributes forward = {.kernel = 3, .stride = 2, .padding = 1};
    begin(&e);
    bl_tensor *image = input(&e, "x", (bl_shape){4, {1, 4, 5, 1}});
    node(&e, BL_OP_MAX_POOL, forward, &image, 1);
    expect(&e, &x, &y);
    end(&e);

    begin(&e);
    bl_attributes backward = forward;
    backward.shape = (bl_shape){4, {1, 4, 5, 1}};
    bl_tensor *operands[] = {input(&e, "x", backward.shape), input(&e, "dy", (bl_shape){4, {1, 2, 3, 1}})};
    node(&e, BL_OP_MAX_POOL_BACKWARD, backward, operands, 2);
    expect(&e, (values[]){x, dy}, &dx);
    end(&e);
}

static void padding_never_wins_a_window(void **state) {
    (void)state;
    const double x[] = {-9, -8, -7, -6, -5, //
                        -4, -3, -2, -1, -9, //
                        -9, -9, -9, -9, -9, //
                        -8, -7, -6, -5, -4};
    // The pixel of -1 wins both windows that it lies under in each row of windows.
    expect_max_pool(x, (const double[]){-3, -1, -1, -3, -1, -1}, (const double[]){1, 2, 4, 8, 16, 32},
                    (const double[20]){[6] = 1 + 8, [8] = 2 + 4 + 16 + 32});
}

static void the_first_of_equal_values_takes_the_gradient_of_its_window(void **state) {
    (void)state;
    const double behind_a_relu[] = {0, 0, 0, 0, 0, //
                                    0, 0, 3, 0, 0, //
                                    0, 0, 0, 0, 3, //
                                    0, 0, 0, 3, 0};
    // Windows begin above and left of the image: their first pixels are 0, 1, 3 in row 0 and 5, 6, 8 in row 1.
    expect_max_pool(behind_a_relu, (const double[]){0, 3, 0, 0, 3, 3}, (const double[]){1, 2, 4, 8, 16, 32},
                    (const double[20]){[0] = 1, [7] = 2 + 16, [3] = 4, [5] = 8, [14] = 32});
}

static void a_value_that_is_not_finite_passes_a_max_pool(void **state) {
    (void)state;
    example e;
    begin(&e);
    bl_tensor *image = input(&e, "x", (bl_shape){4, {1, 2, 2, 1}});
    node(&e, BL_OP_MAX_POOL, (bl_attributes){.kernel = 2, .stride = 2}, &image, 1);
    for (const char *const *name = bl_test_backends(); *name; name++)
        for (int place = 0; place < 4; place++) {
            bl_backend *backend;
            double x[] = {1, 2, 3, INFINITY}, y;
            x[place] = NAN;
            assert_ok(bl_backend_open(&backend, *name, &(bl_backend_options){.threads = 1, .isa = ""}));
            assert_ok(bl_isolate_run(backend, e.node, e.layout, (values[]){x}, (double *[]){&y}));
            if (!isnan(y)) fail_msg("%s: a NaN at %d is lost: %g", *name, place, y);
            bl_backend_close(backend);
        }
    end(&e);
}

// ---- optimisers: one network of two segments, a weight that decays and one that learns ten times as fast ----

enum { block = 48, second = 16, third = 32 }; // floats; where the other segments begin

static int two_rules(example *e, const char *name, bool trainable) {
    const int made = network(e, name, trainable);
    segment(e, made, (bl_segment){.name = "weight", .shape = {1, {2}}, .lr_scale = 1, .decay = true});
    segment(e, made, (bl_segment){.name = "fast", .shape = {1, {1}}, .lr_scale = 10});
    segment(e, made, (bl_segment){.name = "frozen", .shape = {1, {1}}, .lr_scale = 1, .decay = true, .frozen = true});
    return made;
}

static void sgd(example *e, bl_attributes attributes) {
    begin(e);
    const int online = two_rules(e, "online", true);
    bl_tensor *operands[] = {stored(e, online, BL_PARAMETERS, BL_WHOLE_BLOCK), stored(e, online, BL_GRADIENTS, BL_WHOLE_BLOCK),
                             stored(e, online, BL_MOMENT1, BL_WHOLE_BLOCK), scalar(e, BL_SCALAR_LEARNING_RATE),
                             scalar(e, BL_SCALAR_FINITE)};
    node(e, BL_OP_SGD, attributes, operands, 5);
}

static const double rate = 0.1, one = 1, zero = 0, no_values[block] = {0};
static const double parameters[block] = {1, 2, [second] = 3, [third] = 4}, gradients[block] = {0.5, -1, [second] = 0.25, [third] = 1};
static const double velocities[block] = {0, 2, [second] = 1};

static void sgd_adds_decay_to_the_gradient_and_remembers(void **state) {
    (void)state;
    example e;
    sgd(&e, (bl_attributes){.momentum = 0.5, .weight_decay = 0.2});
    // gradients with decay: .7, -.6, .25; velocities: .7, .4, .75
    const double moved[block] = {1 - 0.07, 2 - 0.04, [second] = 3 - 0.75, [third] = 4}, remembered[block] = {0.7, 0.4, [second] = 0.75};
    expect(&e, (values[]){parameters, gradients, velocities, &rate, &one}, (values[]){moved, no_values, remembered});
    end(&e);
}

static void nesterov_looks_one_step_ahead(void **state) {
    (void)state;
    example e;
    sgd(&e, (bl_attributes){.momentum = 0.5, .nesterov = true, .weight_decay = 0.2});
    // gradient + .5 velocity: .7 + .35, -.6 + .2, .25 + .375
    const double moved[block] = {1 - 0.105, 2 + 0.04, [second] = 3 - 0.625, [third] = 4};
    expect(&e, (values[]){parameters, gradients, velocities, &rate, &one}, (values[]){moved, no_values, NULL});
    end(&e);
}

static void nothing_moves_once_a_value_was_not_finite(void **state) {
    (void)state;
    example e;
    sgd(&e, (bl_attributes){.momentum = 0.5, .weight_decay = 0.2});
    expect(&e, (values[]){parameters, gradients, velocities, &rate, &zero}, (values[]){parameters, gradients, velocities});
    end(&e);
}

static void adam(example *e, bl_attributes attributes) {
    begin(e);
    const int online = two_rules(e, "online", true);
    bl_tensor *operands[] = {stored(e, online, BL_PARAMETERS, BL_WHOLE_BLOCK), stored(e, online, BL_GRADIENTS, BL_WHOLE_BLOCK),
                             stored(e, online, BL_MOMENT1, BL_WHOLE_BLOCK), stored(e, online, BL_MOMENT2, BL_WHOLE_BLOCK),
                             scalar(e, BL_SCALAR_LEARNING_RATE), scalar(e, BL_SCALAR_STEP), scalar(e, BL_SCALAR_FINITE)};
    node(e, BL_OP_ADAM, attributes, operands, 7);
}

static void first_step_of_adam_is_the_learning_rate_whatever_the_gradient(void **state) {
    (void)state;
    example e;
    adam(&e, (bl_attributes){.beta1 = 0.9, .beta2 = 0.99, .epsilon = 1e-8});
    const double moved[block] = {0.9, 2.1, [second] = 2, [third] = 4};
    const double first[block] = {0.05, -0.1, [second] = 0.025}, squares[block] = {0.0025, 0.01, [second] = 0.000625};
    expect(&e, (values[]){parameters, gradients, no_values, no_values, &rate, &one, &one},
           (values[]){moved, no_values, first, squares});
    end(&e);
}

static void adam_corrects_both_moments_and_adds_epsilon_last(void **state) {
    (void)state;
    example e;
    adam(&e, (bl_attributes){.beta1 = 0.5, .beta2 = 0.75, .epsilon = 1, .weight_decay = 0.5});
    const double two = 2, m[block] = {1, 0}, v[block] = {0, 1};
    // Gradients with decay: 1, 0, .25. First moments: 1, 0, .125; second: .25, .75, .015625. Corrections: .75 and .4375.
    const double step0 = 0.1 * (1 / 0.75) / (0.5 / sqrt(0.4375) + 1), step2 = 10 * 0.1 * (0.125 / 0.75) / (0.125 / sqrt(0.4375) + 1);
    const double moved[block] = {1 - step0, 2, [second] = 3 - step2, [third] = 4};
    const double first[block] = {1, 0, [second] = 0.125}, squares[block] = {0.25, 0.75, [second] = 0.015625};
    expect(&e, (values[]){parameters, gradients, m, v, &rate, &two, &one}, (values[]){moved, no_values, first, squares});
    end(&e);
}

// A weight that adapts, a bias that learns ten times as fast, and a weight that is still 0.
static void lars(example *e, bl_attributes attributes) {
    begin(e);
    const int online = network(e, "online", true);
    segment(e, online, (bl_segment){.name = "weight", .shape = {1, {2}}, .lr_scale = 1, .decay = true, .lars_adapt = true});
    segment(e, online, (bl_segment){.name = "bias", .shape = {1, {1}}, .lr_scale = 10});
    segment(e, online, (bl_segment){.name = "zero", .shape = {1, {1}}, .lr_scale = 1, .decay = true, .lars_adapt = true});
    bl_tensor *operands[] = {stored(e, online, BL_PARAMETERS, BL_WHOLE_BLOCK), stored(e, online, BL_GRADIENTS, BL_WHOLE_BLOCK),
                             stored(e, online, BL_MOMENT1, BL_WHOLE_BLOCK), scalar(e, BL_SCALAR_LEARNING_RATE),
                             scalar(e, BL_SCALAR_FINITE)};
    node(e, BL_OP_LARS, attributes, operands, 5);
}

static void lars_makes_the_step_of_a_weight_a_share_of_its_norm(void **state) {
    (void)state;
    example e;
    const double p[block] = {3, 4, [second] = 3}, g[block] = {2.4, 3.2, [second] = 0.25, [third] = 1}, v[block] = {1, 0, [second] = 1};
    const bl_attributes plain = {.momentum = 0.5, .weight_decay = 0.2, .eta = 0.5}; // g + .2 p = (3,4): trust .5 * 5 / 5
    // |g| + .2 |p| + 1 = 6: trust .06 * 5 / 6, by the learning rate .5; of the zero: 1 / .1, so 1.
    const bl_attributes apart = {.momentum = 0.5, .weight_decay = 0.2, .eta = 0.06, .epsilon = 1, .clip = true, .decay_apart = true};
    const double remembered[block] = {2, 2, [second] = 0.75, [third] = 1};
    const double moved[block] = {3 - 0.2, 4 - 0.2, [second] = 3 - 0.75, [third] = -0.1};
    const double ahead[block] = {3 - 0.25, 4 - 0.3, [second] = 3 - 0.625, [third] = -0.15}; // nesterov: h + .5 m
    for (int i = 0; i < 4; i++) {
        bl_attributes attributes = i / 2 ? apart : plain;
        attributes.nesterov = i % 2;
        lars(&e, attributes);
        expect(&e, (values[]){p, g, v, &rate, &one}, (values[]){i % 2 ? ahead : moved, no_values, remembered});
        expect(&e, (values[]){p, g, v, &rate, &zero}, (values[]){p, g, v});
        end(&e);
    }
}

static void clipped_lars_never_stretches_a_gradient(void **state) {
    (void)state;
    example e;
    lars(&e, (bl_attributes){.eta = 8, .clip = true}); // trust 8 * 5 / 4, by the learning rate 100
    const double p[block] = {3, 4}, g[block] = {2.4, 3.2}, moved[block] = {3 - 0.24, 4 - 0.32};
    expect(&e, (values[]){p, g, no_values, &rate, &one}, (values[]){moved, no_values, g});
    end(&e);
}

// A segment's rate is its own, as a parameter group's is: trust .06 * 5 / 4 = .075, by the rate .1 * .5, is above 1; by .1 it is not.
static void clipped_lars_looks_at_the_segments_own_rate(void **state) {
    (void)state;
    example e;
    begin(&e);
    const int online = network(&e, "online", true);
    segment(&e, online, (bl_segment){.name = "weight", .shape = {1, {2}}, .lr_scale = .5, .lars_adapt = true});
    bl_tensor *operands[] = {stored(&e, online, BL_PARAMETERS, BL_WHOLE_BLOCK), stored(&e, online, BL_GRADIENTS, BL_WHOLE_BLOCK),
                             stored(&e, online, BL_MOMENT1, BL_WHOLE_BLOCK), scalar(&e, BL_SCALAR_LEARNING_RATE),
                             scalar(&e, BL_SCALAR_FINITE)};
    node(&e, BL_OP_LARS, (bl_attributes){.eta = .06, .clip = true}, operands, 5);
    const double p[block] = {3, 4}, g[block] = {2.4, 3.2}, moved[block] = {3 - 0.12, 4 - 0.16};
    expect(&e, (values[]){p, g, no_values, &rate, &one}, (values[]){moved, no_values, g});
    end(&e);
}

static void ema(example *e) {
    begin(e);
    const int target = two_rules(e, "target", false), online = two_rules(e, "online", true);
    bl_tensor *operands[] = {stored(e, target, BL_PARAMETERS, BL_WHOLE_BLOCK), stored(e, online, BL_PARAMETERS, BL_WHOLE_BLOCK),
                             scalar(e, BL_SCALAR_TAU), scalar(e, BL_SCALAR_FINITE)};
    node(e, BL_OP_EMA, (bl_attributes){0}, operands, 4);
}

static void target_keeps_tau_of_itself(void **state) {
    (void)state;
    example e;
    ema(&e);
    const double tau = 0.9, moved[block] = {0.9 * 1 + 0.1 * 0.5, 0.9 * 2 - 0.1, [second] = 2.7 + 0.025, [third] = 3.6 + 0.1};
    expect(&e, (values[]){parameters, gradients, &tau, &one}, (values[]){moved});
    expect(&e, (values[]){parameters, gradients, &tau, &zero}, (values[]){parameters});
    end(&e);
}

static void target_with_tau_zero_is_the_online_network_bit_for_bit(void **state) {
    (void)state;
    example e;
    ema(&e);
    double online[block], moved[block];
    for (int i = 0; i < block; i++) online[i] = (float)sin(i + 1); // values with all their bits
    for (const char *const *name = bl_test_backends(); *name; name++) {
        bl_backend *backend;
        assert_ok(bl_backend_open(&backend, *name, &(bl_backend_options){.threads = 1, .isa = ""}));
        assert_ok(bl_isolate_run(backend, e.node, e.layout, (values[]){parameters, online, &zero, &one}, (double *[]){moved}));
        assert_memory_equal(moved, online, sizeof moved);
        bl_backend_close(backend);
    }
    end(&e);
}

// ---- gradients ----

static void gradients_of_micro_steps_add_up(void **state) {
    (void)state;
    example e;
    begin(&e);
    const int online = two_rules(&e, "online", true);
    bl_tensor *operands[] = {input(&e, "g", (bl_shape){1, {2}}), stored(&e, online, BL_GRADIENTS, 0)};
    node(&e, BL_OP_ACCUMULATE, (bl_attributes){0}, operands, 2);
    expect(&e, (values[]){(const double[]){1, 2}, (const double[]){10, 20}}, (values[]){(const double[]){11, 22}});
    end(&e);
}

static void one_value_that_is_not_finite_is_found_and_remembered(void **state) {
    (void)state;
    example e;
    begin(&e);
    const int online = two_rules(&e, "online", true), predictor = two_rules(&e, "predictor", true);
    bl_tensor *operands[] = {input(&e, "loss", (bl_shape){1, {1}}), scalar(&e, BL_SCALAR_FINITE),
                             stored(&e, online, BL_GRADIENTS, BL_WHOLE_BLOCK), stored(&e, predictor, BL_GRADIENTS, BL_WHOLE_BLOCK)};
    node(&e, BL_OP_CHECK_FINITE, (bl_attributes){0}, operands, 4);
    const double nan_inside[block] = {1, 2, [third] = NAN}, infinite[block] = {-INFINITY}, not_a_loss = NAN;
    const double large[block] = {3e38, -3e38}; // whose sum overflows in f32, but which are finite
    expect(&e, (values[]){&one, &one, gradients, large}, (values[]){&one});
    expect(&e, (values[]){&not_a_loss, &one, gradients, gradients}, (values[]){&zero});
    expect(&e, (values[]){&one, &one, nan_inside, gradients}, (values[]){&zero});
    expect(&e, (values[]){&one, &one, gradients, infinite}, (values[]){&zero});
    expect(&e, (values[]){&one, &zero, gradients, gradients}, (values[]){&zero});
    end(&e);

    begin(&e);
    bl_tensor *losses[] = {input(&e, "loss", (bl_shape){1, {1}}), scalar(&e, BL_SCALAR_FINITE), input(&e, "other", (bl_shape){1, {1}})};
    node(&e, BL_OP_CHECK_FINITE, (bl_attributes){0}, losses, 3);
    expect(&e, (values[]){&one, &one, &one}, (values[]){&one});
    expect(&e, (values[]){&one, &one, &not_a_loss}, (values[]){&zero});
    end(&e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(crossed_loss_pairs_each_view_with_the_other),
            cmocka_unit_test(same_view_loss_pairs_each_view_with_itself),
            cmocka_unit_test(loss_runs_from_zero_to_eight),
            cmocka_unit_test(row_of_zeros_has_cosine_zero),
            cmocka_unit_test(loss_gradient_is_at_right_angles_to_its_row),
            cmocka_unit_test(layer_norm_loss_compares_rows_less_their_means),
            cmocka_unit_test(one_direction_compares_view_1_alone_and_gives_the_rest_no_gradient),
            cmocka_unit_test(cross_entropy_is_the_mean_over_rows_with_a_label),
            cmocka_unit_test(the_first_of_equal_logits_is_the_answer),
            cmocka_unit_test(argmax_is_the_place_of_the_first_largest_value),
            cmocka_unit_test(std_of_one_direction_is_zero),
            cmocka_unit_test(std_is_the_root_of_one_less_the_mean_cosine_of_each_view),
            cmocka_unit_test(each_group_of_a_batch_norm_has_statistics_of_its_own),
            cmocka_unit_test(running_averages_take_each_group_in_order_and_unbiased),
            cmocka_unit_test(padding_never_wins_a_window),
            cmocka_unit_test(the_first_of_equal_values_takes_the_gradient_of_its_window),
            cmocka_unit_test(a_value_that_is_not_finite_passes_a_max_pool),
            cmocka_unit_test(sgd_adds_decay_to_the_gradient_and_remembers),
            cmocka_unit_test(nesterov_looks_one_step_ahead),
            cmocka_unit_test(nothing_moves_once_a_value_was_not_finite),
            cmocka_unit_test(first_step_of_adam_is_the_learning_rate_whatever_the_gradient),
            cmocka_unit_test(adam_corrects_both_moments_and_adds_epsilon_last),
            cmocka_unit_test(lars_makes_the_step_of_a_weight_a_share_of_its_norm),
            cmocka_unit_test(clipped_lars_never_stretches_a_gradient),
            cmocka_unit_test(clipped_lars_looks_at_the_segments_own_rate),
            cmocka_unit_test(target_keeps_tau_of_itself),
            cmocka_unit_test(target_with_tau_zero_is_the_online_network_bit_for_bit),
            cmocka_unit_test(gradients_of_micro_steps_add_up),
            cmocka_unit_test(one_value_that_is_not_finite_is_found_and_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
