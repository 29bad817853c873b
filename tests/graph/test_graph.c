// The graph: what a step is made of, how ablations edit it, what its digest tells apart.

#include <math.h>
#include <string.h>

#include "graph/byol.h"
#include "graph/schedule.h"
#include "models.h"
#include "support.h"

static bl_model_options options(void) {
    return (bl_model_options){
            .encoder = RESNET18(4),
            .projector = MLP(16, 8, BL_NORM_HIDDEN),
            .method = {.predictor = BL_PREDICTOR_MLP, .predictor_head = MLP(16, 8, BL_NORM_NONE), .predictor_lr_scale = 1,
                       .target = BL_TARGET_EMA, .stop_gradient = true},
            .optimizer = {.kind = BL_OPTIMIZER_SGD, .momentum = 0.9, .weight_decay = 1e-4},
            .image_size = 16,
            .precision = BL_F32,
    };
}

typedef struct built {
    bl_layout *layout;
    bl_step_graph step;
} built;

static built build(const bl_model_options *o) {
    built b;
    assert_ok(bl_layout_create(&b.layout));
    assert_ok(bl_byol_build(&b.step, b.layout, o, 4));
    return b;
}

static void release(built *b) {
    bl_graph_free(b->step.graph);
    bl_layout_free(b->layout);
}

static int count_ops(const bl_graph *graph, bl_op op) {
    int count = 0;
    for (int i = 0; i < graph->node_count; i++) count += graph->nodes[i]->op == op;
    return count;
}

static void nothing_is_made_that_no_one_needs(void **state) {
    (void)state;
    const bl_model_options o = options();
    built b = build(&o);
    // 20 convolutions a branch; nobody asks for the gradient of the images, or for any of the target.
    assert_int_equal(count_ops(b.step.graph, BL_OP_CONVOLUTION), 40);
    assert_int_equal(count_ops(b.step.graph, BL_OP_CONVOLUTION_BACKWARD_WEIGHTS), 20);
    assert_int_equal(count_ops(b.step.graph, BL_OP_CONVOLUTION_BACKWARD_DATA), 19);
    for (int i = 0; i < b.step.graph->node_count; i++)
        if (b.step.graph->nodes[i]->derived) assert_null(strstr(b.step.graph->nodes[i]->name, "target"));
    const bl_node *loss = bl_graph_find(b.step.graph, "loss.backward")->producer;
    assert_non_null(loss->outputs[0]);
    assert_null(loss->outputs[1]); // stop_gradient: no gradient of z
    release(&b);
}

static void an_online_target_has_no_second_forward(void **state) {
    (void)state;
    bl_model_options o = options();
    o.method.target = BL_TARGET_ONLINE;
    built b = build(&o);
    assert_int_equal(bl_layout_find_network(b.layout, "target"), -1);
    assert_int_equal(count_ops(b.step.graph, BL_OP_CONVOLUTION), 20);
    assert_int_equal(count_ops(b.step.graph, BL_OP_EMA), 0);
    assert_int_equal(count_ops(b.step.graph, BL_OP_STOP_GRADIENT), 1);
    release(&b);
}

static void without_stop_gradient_both_sides_of_the_loss_get_one(void **state) {
    (void)state;
    bl_model_options o = options();
    o.method.target = BL_TARGET_ONLINE;
    o.method.stop_gradient = false;
    built b = build(&o);
    const bl_node *loss = bl_graph_find(b.step.graph, "loss.backward")->producer;
    assert_int_equal(count_ops(b.step.graph, BL_OP_STOP_GRADIENT), 0);
    assert_non_null(loss->outputs[0]);
    assert_non_null(loss->outputs[1]);
    release(&b);
}

static void a_frozen_target_has_a_forward_and_no_update(void **state) {
    (void)state;
    bl_model_options o = options();
    o.method.target = BL_TARGET_FROZEN;
    built b = build(&o);
    assert_int_equal(count_ops(b.step.graph, BL_OP_CONVOLUTION), 40);
    assert_int_equal(count_ops(b.step.graph, BL_OP_EMA), 0);
    assert_int_equal(count_ops(b.step.graph, BL_OP_SGD), 2);
    release(&b);
}

static void without_a_predictor_the_projection_is_the_prediction(void **state) {
    (void)state;
    bl_model_options o = options();
    o.method.predictor = BL_PREDICTOR_NONE;
    built b = build(&o);
    assert_ptr_equal(b.step.prediction, b.step.projection);
    assert_int_equal(bl_layout_find_network(b.layout, "predictor"), -1);
    release(&b);
}

// The digest is the method's fingerprint: each switch moves it, building twice does not.
static void the_digest_tells_every_switch_apart(void **state) {
    (void)state;
    enum { SWITCHES = 9 };
    char digests[SWITCHES + 1][65];
    for (int i = 0; i <= SWITCHES; i++) {
        bl_model_options o = options();
        if (i == 1) o.method.pairing = BL_SAME_VIEW;
        if (i == 2) o.method.predictor = BL_PREDICTOR_NONE;
        if (i == 3) o.method.target = BL_TARGET_ONLINE;
        if (i == 4) o.precision = BL_BF16;
        if (i == 5) o.optimizer.weight_decay = 2e-4;
        if (i == 6) o.optimizer.kind = BL_OPTIMIZER_ADAM;
        if (i == 7) o.method.predictor_lr_scale = 10;
        if (i == 8) o.method.target = BL_TARGET_FROZEN;
        if (i == 9) o.optimizer.decay_norms = true;
        built first = build(&o), second = build(&o);
        assert_string_equal(first.step.graph->digest, second.step.graph->digest);
        strcpy(digests[i], first.step.graph->digest);
        release(&first);
        release(&second);
        for (int k = 0; k < i; k++) assert_string_not_equal(digests[i], digests[k]);
    }
}

// results/ holds runs of this graph: a new switch at its default must leave its text, and so its digest, as it was.
static void the_digest_of_a_run_that_was_made_never_changes(void **state) {
    (void)state;
    const bl_model_options narrow = {
            .encoder = RESNET18(16),
            .projector = MLP(2048, 256, BL_NORM_HIDDEN),
            .method = {.predictor_head = MLP(2048, 256, BL_NORM_NONE), .predictor_lr_scale = 1, .stop_gradient = true},
            .optimizer = {.kind = BL_OPTIMIZER_ADAM, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8},
            .image_size = 32,
            .precision = BL_BF16,
    };
    bl_layout *layout;
    bl_step_graph step;
    assert_ok(bl_layout_create(&layout));
    assert_ok(bl_byol_build(&step, layout, &narrow, 256));
    assert_string_equal(step.graph->digest, "d23d1f13807c3e903edeedc91f9021aaec2b3bea24b2d93e72d6192962fe69a6");
    bl_graph_free(step.graph);
    bl_layout_free(layout);
}

static void the_predictors_segments_carry_its_learning_rate(void **state) {
    (void)state;
    bl_model_options o = options();
    o.method.predictor_lr_scale = 10;
    built b = build(&o);
    const bl_network *predictor = &b.layout->networks[bl_layout_find_network(b.layout, "predictor")];
    const bl_network *online = &b.layout->networks[bl_layout_find_network(b.layout, "online")];
    for (int s = 0; s < predictor->parameters.count; s++) assert_true(predictor->parameters.items[s].lr_scale == 10);
    for (int s = 0; s < online->parameters.count; s++) assert_true(online->parameters.items[s].lr_scale == 1);
    release(&b);
}

static void biases_and_norms_decay_only_when_asked(void **state) {
    (void)state;
    for (int decay_norms = 0; decay_norms < 2; decay_norms++) {
        bl_model_options o = options();
        o.optimizer.decay_norms = decay_norms;
        built b = build(&o);
        const bl_segments *s = &b.layout->networks[0].parameters;
        assert_true(s->items[bl_segments_find(s, "conv1.weight")].decay);
        assert_int_equal(s->items[bl_segments_find(s, "bn1.weight")].decay, decay_norms);
        assert_int_equal(s->items[bl_segments_find(s, "projector.0.bias")].decay, decay_norms);
        release(&b);
    }
}

static void the_targets_table_is_the_onlines(void **state) {
    (void)state;
    const bl_model_options o = options();
    built b = build(&o);
    const bl_network *online = &b.layout->networks[bl_layout_find_network(b.layout, "online")];
    const bl_network *target = &b.layout->networks[bl_layout_find_network(b.layout, "target")];
    assert_int_equal(online->parameters.count, target->parameters.count);
    assert_int_equal(online->parameters.floats, target->parameters.floats);
    for (int s = 0; s < online->parameters.count; s++) {
        assert_string_equal(online->parameters.items[s].name, target->parameters.items[s].name);
        assert_int_equal(online->parameters.items[s].offset, target->parameters.items[s].offset);
        assert_int_equal(online->parameters.items[s].offset % 16, 0);
    }
    release(&b);
}

static void features_share_the_sealed_layout_and_strangers_are_refused(void **state) {
    (void)state;
    bl_model_options o = options();
    built b = build(&o);
    bl_features_graph features;
    b.layout->sealed = true;
    assert_ok(bl_features_build(&features, b.layout, &o.encoder, o.image_size, 10));
    assert_int_equal(features.features->shape.dims[1], 32);
    bl_graph_free(features.graph);
    o.encoder.width = 5;
    assert_int_equal(bl_features_build(&features, b.layout, &o.encoder, o.image_size, 10), BL_FAILED);
    assert_non_null(strstr(bl_error(), "conv1.weight"));
    release(&b);
}

// Errors name the node and say what does not fit.
static void errors_name_the_node(void **state) {
    (void)state;
    bl_layout *layout;
    bl_graph *graph;
    bl_tensor *x, *w, *v, *odd;
    assert_ok(bl_layout_create(&layout));
    assert_ok(bl_graph_create(&graph, layout));
    assert_ok(bl_graph_input(graph, "x", BL_F32, (bl_shape){4, {2, 8, 8, 3}}, &x));
    assert_ok(bl_graph_input(graph, "w", BL_F32, (bl_shape){4, {4, 3, 3, 5}}, &w));
    assert_ok(bl_graph_input(graph, "v", BL_F32, (bl_shape){1, {3}}, &v));
    assert_ok(bl_graph_input(graph, "odd", BL_F32, (bl_shape){2, {3, 8}}, &odd));
    const struct {
        bl_op op;
        bl_attributes attributes;
        bl_tensor *inputs[3];
        int count;
        const char *says;
    } cases[] = {
            {BL_OP_CONVOLUTION, {.kernel = 3, .stride = 1, .padding = 1, .dilation = 1}, {x, w}, 2, "x has 3 channels, the weights expect 5"},
            {BL_OP_CONVOLUTION, {.kernel = 3, .stride = 0, .padding = 1, .dilation = 1}, {x, w}, 2, "stride 0"},
            {BL_OP_CONVOLUTION, {.kernel = 1, .stride = 1, .dilation = 1}, {x, w}, 2, "weights are not 1 x 1"},
            {BL_OP_CONVOLUTION, {.kernel = 3, .stride = 1, .dilation = 1}, {x, NULL}, 2, "input 'w' is missing"},
            {BL_OP_CONVOLUTION, {.kernel = 3, .stride = 1, .dilation = 1}, {x}, 1, "takes 2 inputs, got 1"},
            {BL_OP_BATCH_NORM, {.groups = 3, .epsilon = 1e-5}, {x, v, v}, 3, "2 rows do not split into 3 groups"},
            {BL_OP_BATCH_NORM, {.groups = 1}, {x, v, v}, 3, "epsilon must be positive"},
            {BL_OP_ADD, {0}, {x, w}, 2, "must be alike"},
            {BL_OP_BYOL_LOSS, {.groups = 2}, {odd, odd}, 2, "odd number of rows"},
            {BL_OP_LINEAR, {0}, {odd, x}, 2, "must have 2 dimensions"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bl_node *node;
        assert_int_equal(bl_graph_node(graph, cases[i].op, "culprit", &cases[i].attributes, cases[i].inputs, cases[i].count, &node), BL_FAILED);
        if (!strstr(bl_error(), cases[i].says) || strncmp(bl_error(), "culprit (", 9) != 0) fail_msg("case %zu says: %s", i, bl_error());
    }
    bl_graph_free(graph);
    bl_layout_free(layout);
}

static void schedules_equal_hand_worked_values(void **state) {
    (void)state;
    const bl_schedule cosine = {.kind = BL_SCHEDULE_COSINE, .base = 0.4, .warmup = 1, .least = 0.2};
    const bl_schedule by_epoch = {.kind = BL_SCHEDULE_COSINE, .base = 0.4, .per_epoch = true};
    const bl_schedule rising = {.kind = BL_SCHEDULE_CONSTANT, .base = 0.3, .warmup = 2.5, .warmup_start = 0.05};
    const bl_schedule steps = {.kind = BL_SCHEDULE_STEP, .base = 8, .milestones = {2, 4.5}, .milestone_count = 2, .factor = 0.5};
    const bl_schedule plateau = {.kind = BL_SCHEDULE_PLATEAU, .base = 8, .warmup = 1, .least = 0.5};
    const struct {
        const bl_schedule *schedule;
        int64_t step, steps, steps_per_epoch;
        double scale, expected;
    } cases[] = {
            {&rising, 0, 100, 4, 1, 0.075},  {&rising, 4, 100, 4, 1, 0.175},  {&rising, 9, 100, 4, 1, 0.3},    {&rising, 60, 100, 4, 1, 0.3},
            {&cosine, 9, 110, 10, 1, 0.4},   {&cosine, 10, 110, 10, 1, 0.4},  {&cosine, 60, 110, 10, 1, 0.3},  {&cosine, 110, 110, 10, 1, 0.2},
            {&by_epoch, 49, 100, 25, 1, 0.4 * (1 + sqrt(0.5)) / 2}, {&by_epoch, 50, 100, 25, 1, 0.2},
            {&steps, 7, 40, 4, 1, 8},        {&steps, 8, 40, 4, 1, 4},        {&steps, 17, 40, 4, 1, 4},       {&steps, 18, 40, 4, 1, 2},
            {&plateau, 1, 40, 4, 0.1, 4},    {&plateau, 5, 40, 4, 0.25, 2},   {&plateau, 5, 40, 4, 0.01, 0.5},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const double rate = bl_learning_rate(cases[i].schedule, cases[i].step, cases[i].steps, cases[i].steps_per_epoch, cases[i].scale);
        if (!(fabs(rate - cases[i].expected) < 1e-15)) fail_msg("case %zu: %.17g, expected %.17g", i, rate, cases[i].expected);
    }
    assert_true(bl_tau(BL_SCHEDULE_CONSTANT, 0.99, 5, 10) == 0.99);
    assert_true(fabs(bl_tau(BL_SCHEDULE_COSINE, 0.99, 0, 10) - 0.99) < 1e-15);
    assert_true(fabs(bl_tau(BL_SCHEDULE_COSINE, 0.99, 5, 10) - 0.995) < 1e-15);
    assert_true(fabs(bl_tau(BL_SCHEDULE_COSINE, 0.99, 10, 10) - 1) < 1e-15);
}

// torch.optim.lr_scheduler.ReduceLROnPlateau with patience 1: the second observation without improvement halves the rate.
static void a_plateau_is_left_after_its_patience(void **state) {
    (void)state;
    const bl_schedule schedule = {.kind = BL_SCHEDULE_PLATEAU, .base = 1, .factor = 0.5, .patience = 1, .least = 0.25};
    static const struct {
        double value, scale;
    } falling[] = {{2, 1}, {2, 1}, {2 * (1 - 0.5e-4), 0.5}, {1, 0.5}, {1.5, 0.5}, {0.9, 0.5}, {NAN, 0.5}, {1, 0.25},
                   {1, 0.25}, {1, 0.25}, {1, 0.25}}; // .25 is the least
    for (int higher_is_better = 0; higher_is_better < 2; higher_is_better++) {
        bl_plateau plateau = bl_plateau_start(higher_is_better);
        for (size_t i = 0; i < sizeof falling / sizeof *falling; i++) {
            bl_plateau_observe(&plateau, &schedule, higher_is_better, higher_is_better ? 1 / falling[i].value : falling[i].value);
            if (plateau.scale != falling[i].scale) fail_msg("after observation %zu the scale is %g", i, plateau.scale);
        }
    }
}

// Haiku's rule: a normal of deviation 1 / sqrt(fan_in), drawn again beyond two deviations, whose own deviation is .8796 of it.
static void initial_values_follow_their_rules(void **state) {
    (void)state;
    enum { COUNT = 40000 };
    static double values[COUNT];
    bl_segment segment = {.name = "weight", .shape = {1, {COUNT}}, .init = {.kind = BL_INIT_TRUNCATED_FAN_IN, .fan = 16}};
    double sum = 0, squares = 0, largest = 0;
    bl_segment_initial(&segment, 1, values);
    for (int i = 0; i < COUNT; i++) {
        sum += values[i];
        squares += values[i] * values[i];
        largest = fmax(largest, fabs(values[i]));
    }
    assert_true(fabs(sum / COUNT) < 0.005);
    assert_true(fabs(sqrt(squares / COUNT) - 0.8796 / 4) < 0.003);
    assert_true(largest <= 0.5 && largest > 0.49);
    segment.init = (bl_init){.kind = BL_INIT_CONSTANT, .value = 0.75};
    bl_segment_initial(&segment, 1, values);
    for (int i = 0; i < COUNT; i++) assert_true(values[i] == 0.75);
}

static void bf16_rounds_to_nearest_even(void **state) {
    (void)state;
    assert_true(bl_round_to(BL_BF16, 1 + 1.0 / 256) == 1);            // half way: down to even
    assert_true(bl_round_to(BL_BF16, 1 + 3.0 / 256) == 1 + 4.0 / 256); // half way: up to even
    assert_true(bl_round_to(BL_BF16, 1 + 1.1 / 256) == 1 + 2.0 / 256);
    assert_true(bl_round_to(BL_BF16, -0.0) == 0);
    assert_true(isnan(bl_round_to(BL_BF16, NAN)));
    assert_true(isinf(bl_round_to(BL_BF16, 3.4e38)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(nothing_is_made_that_no_one_needs),
            cmocka_unit_test(an_online_target_has_no_second_forward),
            cmocka_unit_test(without_stop_gradient_both_sides_of_the_loss_get_one),
            cmocka_unit_test(a_frozen_target_has_a_forward_and_no_update),
            cmocka_unit_test(without_a_predictor_the_projection_is_the_prediction),
            cmocka_unit_test(the_digest_tells_every_switch_apart),
            cmocka_unit_test(the_digest_of_a_run_that_was_made_never_changes),
            cmocka_unit_test(the_predictors_segments_carry_its_learning_rate),
            cmocka_unit_test(biases_and_norms_decay_only_when_asked),
            cmocka_unit_test(the_targets_table_is_the_onlines),
            cmocka_unit_test(features_share_the_sealed_layout_and_strangers_are_refused),
            cmocka_unit_test(errors_name_the_node),
            cmocka_unit_test(schedules_equal_hand_worked_values),
            cmocka_unit_test(a_plateau_is_left_after_its_patience),
            cmocka_unit_test(initial_values_follow_their_rules),
            cmocka_unit_test(bf16_rounds_to_nearest_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
