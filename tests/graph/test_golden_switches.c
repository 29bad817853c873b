// Every switch of the method against PyTorch (tests/golden/switches.py): three updates of a narrow network in f64 on `reference`, loss by
// loss, every gradient, and every parameter and running statistic at the end; and every other backend in f32 up to its second update.

#include "golden_marks.h"
#include "step_rig.h"

#define GOLDEN "switches.h5"
enum { WIDTH = 2, SIZE = 8, BATCH = 8, HIDDEN = 12, OUT = 6, UPDATES = 3 };
static const double learning_rate = .05, momentum = .9, weight_decay = 5e-4, tau = .9;

typedef struct variant {
    const char *sentence, *group;
    bl_head_options projector;
    bl_method_options method;
    int64_t statistics_rows;
    int stem_padding;        // 0: 1
    int accumulate;          // 0: 1
    bool zero_init_residual;
} variant;

#define HEAD(norm, layers, hidden_has_bias, out_has_bias) \
    {.hidden = HIDDEN, .out = OUT, .batch_norm = norm, .depth = layers, .hidden_bias = hidden_has_bias, .out_bias = out_has_bias, \
     .init = BL_INIT_UNIFORM_FAN_IN}
#define PLAIN_HEAD HEAD(BL_NORM_HIDDEN, 2, true, true)
#define METHOD(...) .method = {.predictor_head = PLAIN_HEAD, .predictor_lr_scale = 1, .stop_gradient = true, __VA_ARGS__}
#define LEAKY(...) \
    .method = {.predictor_head = PLAIN_HEAD, .predictor_lr_scale = 1, .target = BL_TARGET_ONLINE, .stop_gradient = false, __VA_ARGS__}
#define METHOD_WITH(head, ...) .method = {.predictor_head = head, .predictor_lr_scale = 1, .stop_gradient = true, __VA_ARGS__}

static variant variants[] = {
    {"DeepMind: no bias at the output, the sum of both directions", "deepmind", HEAD(BL_NORM_HIDDEN, 2, true, false),
     METHOD_WITH(HEAD(BL_NORM_HIDDEN, 2, true, false), .target = BL_TARGET_EMA)},
    {"lightly: hidden layers without bias, half the loss, the target moves before the forward", "lightly",
     HEAD(BL_NORM_HIDDEN, 2, false, true),
     METHOD_WITH(HEAD(BL_NORM_HIDDEN, 2, false, true), .reduction = BL_REDUCE_HALF, .target_update = BL_UPDATE_BEFORE_FORWARD)},
    {"solo-learn: two pixels of padding at the stem", "solo_learn", PLAIN_HEAD, METHOD(), .stem_padding = 2},
    {"SimSiam: three layers with batch norm at each, online target, half the loss", "simsiam", HEAD(BL_NORM_ALL, 3, false, false),
     METHOD_WITH(HEAD(BL_NORM_HIDDEN, 2, false, true), .target = BL_TARGET_ONLINE, .reduction = BL_REDUCE_HALF)},
    {"a linear predictor that learns ten times as fast", "linear_predictor", PLAIN_HEAD,
     .method = {.predictor = BL_PREDICTOR_LINEAR, .predictor_lr_scale = 10, .stop_gradient = true}},
    {"heads of three layers, a projector without batch norm, a predictor with it at every layer, the mean", "deep_heads",
     HEAD(BL_NORM_NONE, 3, true, true), METHOD_WITH(HEAD(BL_NORM_ALL, 3, true, true), .reduction = BL_REDUCE_MEAN)},
    {"a projector of one layer with batch norm", "projector_of_one_layer", HEAD(BL_NORM_ALL, 1, true, true), METHOD()},
    {"a fixed predictor keeps its weights and passes the gradient", "fixed_predictor", PLAIN_HEAD,
     METHOD(.predictor = BL_PREDICTOR_FIXED)},
    {"no predictor and no stop-gradient: both sides learn", "no_predictor_no_stop_gradient", PLAIN_HEAD,
     LEAKY(.predictor = BL_PREDICTOR_NONE)},
    {"a frozen target keeps its weights and follows its own statistics", "frozen_target", PLAIN_HEAD, METHOD(.target = BL_TARGET_FROZEN)},
    {"averaged buffers", "averaged_buffers", PLAIN_HEAD, METHOD(.average_buffers = true)},
    {"a target in running mode with averaged buffers (EMAN)", "running_target", PLAIN_HEAD,
     METHOD(.average_buffers = true, .target_running = true)},
    {"a target in running mode that moves before the forward", "running_target_moved_before", PLAIN_HEAD,
     METHOD(.average_buffers = true, .target_running = true, .target_update = BL_UPDATE_BEFORE_FORWARD)},
    {"only view 1 is predicted", "one_direction", PLAIN_HEAD, METHOD(.one_direction = true)},
    {"only view 1 is predicted, from the same view, half the loss", "one_direction_half_same_view", PLAIN_HEAD,
     METHOD(.one_direction = true, .reduction = BL_REDUCE_HALF, .pairing = BL_SAME_VIEW)},
    {"no normalisation before the distance", "loss_plain", PLAIN_HEAD, METHOD(.normalization = BL_LOSS_NONE)},
    {"no normalisation, gradient on both sides", "loss_plain_with_gradient", PLAIN_HEAD, LEAKY(.normalization = BL_LOSS_NONE)},
    {"layer norm before the distance", "loss_layer_norm", PLAIN_HEAD, METHOD(.normalization = BL_LOSS_LAYER_NORM)},
    {"layer norm, gradient on both sides", "loss_layer_norm_with_gradient", PLAIN_HEAD,
     LEAKY(.normalization = BL_LOSS_LAYER_NORM, .reduction = BL_REDUCE_MEAN)},
    {"batch norm before the distance", "loss_batch_norm", PLAIN_HEAD, METHOD(.normalization = BL_LOSS_BATCH_NORM)},
    {"batch norm, gradient on both sides of the same view", "loss_batch_norm_with_gradient", PLAIN_HEAD,
     LEAKY(.normalization = BL_LOSS_BATCH_NORM, .pairing = BL_SAME_VIEW)},
    {"statistics of half a view", "half_a_view", PLAIN_HEAD, METHOD(), .statistics_rows = BATCH / 2},
    {"blocks whose last batch norm starts at zero", "zero_init_residual", PLAIN_HEAD, METHOD(), .zero_init_residual = true},
    {"two micro steps an update, the target moves once", "two_micro_steps", PLAIN_HEAD, METHOD(), .accumulate = 2},
    {"two micro steps an update, the target and its buffers move once before them", "two_micro_steps_moved_before",
     HEAD(BL_NORM_HIDDEN, 2, false, true),
     METHOD_WITH(HEAD(BL_NORM_HIDDEN, 2, false, true), .reduction = BL_REDUCE_HALF, .target_update = BL_UPDATE_BEFORE_FORWARD,
                 .average_buffers = true),
     .accumulate = 2},
};

static bl_model_options model_of(const variant *v) {
    return (bl_model_options){
        .encoder = {.name = "resnet18", .stem = BL_STEM_CIFAR, .stem_padding = v->stem_padding ? v->stem_padding : 1, .width = WIDTH,
                    .zero_init_residual = v->zero_init_residual,
                    .init = {BL_INIT_KAIMING_FAN_OUT, BL_INIT_UNIFORM_FAN_IN}, .statistics_rows = v->statistics_rows},
        .projector = v->projector, .method = v->method,
        .optimizer = {.kind = BL_OPTIMIZER_SGD, .momentum = momentum, .weight_decay = weight_decay, .decay_norms = true},
        .image_size = SIZE, .precision = BL_F32};
}

// What zero_init_residual starts at zero, and the gain of a batch norm before the loss, which a segment holds rounded to f32: here it
// is the number itself.
static void write_rules(bl_rig *rig, const variant *v) {
    for (int n = 0; n < rig->layout->network_count; n++)
        for (int s = 0; s < rig->layout->networks[n].parameters.count; s++) {
            const bl_segment *segment = &rig->layout->networks[n].parameters.items[s];
            const bool is_constant = segment->init.kind == BL_INIT_CONSTANT;
            if (!is_constant && !(v->zero_init_residual && strstr(segment->name, ".bn2.weight"))) continue;
            const int64_t count = bl_shape_count(&segment->shape);
            double *values = malloc((size_t)count * sizeof *values);
            assert_non_null(values);
            bl_segment_initial(segment, 0, values);
            for (int64_t i = 0; i < count && is_constant; i++) {
                assert_true(fabs(values[i] - 1 / sqrt(OUT)) < 1e-7);
                values[i] = 1 / sqrt(OUT);
            }
            assert_ok(bl_store_write(rig->store, (bl_place){n, BL_PARAMETERS, s}, values));
            free(values);
        }
}

static void write_weights(bl_rig *rig, const variant *v) {
    char group[GOLDEN_NAME];
    snprintf(group, sizeof group, "%s/heads", v->group);
    assert_true(write_golden(rig->store, GOLDEN, "encoder") > 0);
    assert_true(write_golden(rig->store, GOLDEN, group) > 0);
    write_rules(rig, v);
}

// Trainable parameters of the layout: each must have a golden gradient.
static int trainable_segments(const bl_layout *layout) {
    int count = 0;
    for (int n = 0; n < layout->network_count; n++)
        if (layout->networks[n].trainable) count += layout->networks[n].parameters.count;
    return count;
}

// How far a backend may be. In f32 the first loss and gradient are only rounded; an update later a ReLU may have flipped, and these narrow
// networks soon part for good, so that is where the comparison ends.
typedef struct limits {
    int updates;
    double first_loss, later_loss;
    double gradient, gradient_floor; // see expect_marks
    double end;                      // 0: not compared
} limits;
static const limits f64 = {UPDATES, 1e-12, 1e-10, 1e-9, 1e-6, 1e-9}, f32 = {2, 2e-5, 5e-3, 1e-4, 1, 0};

static void run_variant(const variant *v, const char *backend, const limits *within) {
    const bl_model_options model = model_of(v);
    const int accumulate = v->accumulate ? v->accumulate : 1;
    const unsigned begin = v->method.target_update == BL_UPDATE_BEFORE_FORWARD ? BL_PHASE_BEGIN : 0;
    char group[GOLDEN_NAME];
    int64_t count;
    double *losses = golden_values(GOLDEN, &count, "%s/losses", v->group);
    assert_int_equal(count, UPDATES * accumulate);
    golden_images images = read_golden_images(GOLDEN, SIZE);
    assert_int_equal(images.count, BATCH);
    bl_rig rig = rig_open(backend, &model, BATCH, accumulate);
    write_weights(&rig, v);
    for (int update = 0; update < within->updates; update++) {
        rig_scalars(&rig, learning_rate, tau, update);
        for (int micro = 0; micro < accumulate; micro++) {
            const int step = update * accumulate + micro;
            double *rows = golden_batch(&images, BL_VIEWS, step);
            rig_run(&rig, rows, BL_PHASE_MICRO | (micro ? 0 : begin));
            free(rows);
            const double off = fabs(rig_value(&rig, rig.step.loss) - losses[step]);
            const double allowed = update ? within->later_loss : within->first_loss;
            if (!(off <= allowed)) fail_msg("%s: loss %d is off by %.3g, at most %.0e", backend, step, off, allowed);
        }
        snprintf(group, sizeof group, "%s/gradients", v->group);
        if (update == 0)
            assert_int_equal(expect_marks(rig.store, GOLDEN, group, true, within->gradient_floor, within->gradient),
                             trainable_segments(rig.layout));
        assert_ok(bl_plan_step(rig.plan, 0, BL_PHASE_UPDATE));
    }
    snprintf(group, sizeof group, "%s/after", v->group);
    if (within->end > 0) assert_true(expect_marks(rig.store, GOLDEN, group, false, 1e-6, within->end) >= trainable_segments(rig.layout));
    rig_close(&rig);
    free_golden_images(&images);
    free(losses);
}

static void reference_equals_pytorch(void **state) {
    if (bl_test_backend_is_named()) skip(); // the reference is the same whichever it is
    run_variant(*state, "reference", &f64);
}

static void other_backends_follow_in_f32(void **state) {
    const variant *v = *state;
    const bl_model_options model = model_of(v);
    int run_count = 0;
    for (const char *const *name = bl_test_backends(); *name; name++) {
        if (!strcmp(*name, "reference") || !rig_can_run(*name, &model, BATCH)) continue;
        run_variant(v, *name, &f32);
        run_count++;
    }
    if (!run_count) skip();
}

static void the_file_holds_what_this_test_assumes(void **state) {
    (void)state;
    const golden_option options[] = {{"width", WIDTH}, {"size", SIZE}, {"batch", BATCH}, {"hidden", HIDDEN}, {"out", OUT}, {"updates", UPDATES},
                   {"lr", learning_rate}, {"momentum", momentum}, {"weight_decay", weight_decay}, {"tau", tau}};
    assert_options(GOLDEN, options, sizeof options / sizeof *options);
}

int main(void) {
    enum { COUNT = sizeof variants / sizeof *variants };
    const struct CMUnitTest first[] = {cmocka_unit_test(the_file_holds_what_this_test_assumes)};
    struct CMUnitTest exact[COUNT], followed[COUNT];
    for (int i = 0; i < COUNT; i++) {
        exact[i] = (struct CMUnitTest){.name = variants[i].sentence, .test_func = reference_equals_pytorch, .initial_state = &variants[i]};
        followed[i] = exact[i];
        followed[i].test_func = other_backends_follow_in_f32;
    }
    return cmocka_run_group_tests(first, NULL, NULL) + cmocka_run_group_tests_name("reference", exact, NULL, NULL) +
           cmocka_run_group_tests_name("other backends", followed, NULL, NULL);
}
