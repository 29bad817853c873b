// Optimisers and schedules against PyTorch, DeepMind's LARS and solo-learn's (tests/golden/optimizers.py): ten updates on given
// gradients through the nodes of every backend, and the learning rate and tau of every step.

#include "golden_marks.h"
#include "graph/optimizer.h"
#include "graph/schedule.h"

#define GOLDEN "optimizers.h5"

// ---- optimisers ----

typedef struct golden_case {
    const char *sentence, *name;
    bl_optimizer_options options;
    bool scaled;  // the segments' own scales hold
    int tensors;  // compared; 0: all
} golden_case;

// The last two tensors have no weights at first, and no gradient in some steps. solo-learn neither adapts nor clips nor decays such a one;
// here its ratio is 1.
enum { BUT_THE_EMPTY = 6 };

#define SGD(...) {.kind = BL_OPTIMIZER_SGD, .momentum = .9, .weight_decay = .05, __VA_ARGS__}
#define LARS(...) {.kind = BL_OPTIMIZER_LARS, .momentum = .9, .weight_decay = .05, __VA_ARGS__}

static golden_case cases[] = {
    {"SGD with segments that learn ten times as fast", "sgd", SGD(.decay_norms = true), true, 0},
    {"SGD with Nesterov momentum, biases and norms do not decay", "sgd_nesterov", SGD(.nesterov = true), true, 0},
    {"Adam", "adam",
     {.kind = BL_OPTIMIZER_ADAM, .weight_decay = .05, .decay_norms = true, .beta1 = .9, .beta2 = .99, .epsilon = 1e-6}, true, 0},
    {"LARS in DeepMind's order", "lars_deepmind", LARS(.eta = .02), true, 0},
    {"LARS with Nesterov momentum; biases and norms decay but are not adapted", "lars_nesterov_decaying_norms",
     LARS(.eta = .02, .trust_epsilon = 1e-3, .nesterov = true, .decay_norms = true), true, 0},
    {"LARS as solo-learn has it", "lars_solo_learn", LARS(.eta = .5, .trust_epsilon = 1e-8, .clip = true, .decay_apart = true), false,
     BUT_THE_EMPTY},
    {"LARS as solo-learn has it, with Nesterov momentum", "lars_solo_learn_nesterov",
     LARS(.eta = .5, .trust_epsilon = 1e-8, .clip = true, .decay_apart = true, .nesterov = true), false, BUT_THE_EMPTY},
};

static bl_shape shape_of(const char *name, int64_t count) {
    static const struct {
        const char *name;
        int64_t rows;
    } matrices[] = {{"a.weight", 5}, {"b.weight", 2}, {"zero.weight", 3}, {"quiet.weight", 2}};
    for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++)
        if (!strcmp(name, matrices[i].name)) return (bl_shape){2, {matrices[i].rows, count / matrices[i].rows}};
    return (bl_shape){1, {count}};
}

typedef struct updates { // one network whose gradients come from the file
    bl_layout *layout;
    bl_graph *graph;
    bl_backend *backend;
    bl_store *store;
    bl_plan *plan;
    int network, tensors;
    double *counts;
} updates;

static updates updates_open(const char *backend, const golden_case *c) {
    updates u = {0};
    int64_t tensors;
    golden_name *names = golden_names(GOLDEN, "", &tensors);
    double *scales = golden_values(GOLDEN, NULL, "scales");
    u.tensors = (int)tensors;
    u.counts = golden_values(GOLDEN, NULL, "counts");
    assert_ok(bl_layout_create(&u.layout));
    assert_ok(bl_layout_network(u.layout, "online", true, &u.network));
    for (int i = 0; i < u.tensors; i++) {
        int index;
        const bl_segment segment = {.name = names[i], .shape = shape_of(names[i], (int64_t)u.counts[i]), .init = {.kind = BL_INIT_ZERO},
                                    .lr_scale = c->scaled ? scales[i] : 1};
        assert_ok(bl_layout_parameter(u.layout, u.network, &segment, &index));
        assert_int_equal(index, i);
    }
    bl_optimizer_rules(u.layout, &c->options);
    bl_tensor *loss;
    assert_ok(bl_graph_create(&u.graph, u.layout));
    assert_ok(bl_graph_input(u.graph, "loss", BL_F32, (bl_shape){1, {1}}, &loss));
    assert_ok(bl_optimizer_build(u.graph, &c->options, &loss, 1));
    bl_graph_seal(u.graph);
    assert_ok(bl_backend_open(&u.backend, backend, &(bl_backend_options){.threads = 2, .isa = ""}));
    assert_ok(bl_store_create(u.backend, u.layout, &u.store));
    assert_ok(bl_plan_compile(u.store, u.graph, &(bl_compile_options){.accumulate = 1}, &u.plan));
    assert_ok(bl_plan_write(u.plan, loss, &(const double){1}));
    free(names);
    free(scales);
    return u;
}

static void updates_close(updates *u) {
    bl_plan_free(u->plan);
    bl_store_free(u->store);
    bl_backend_close(u->backend);
    bl_graph_free(u->graph);
    bl_layout_free(u->layout);
    free(u->counts);
}

static void write_block(const updates *u, bl_block_kind block, const double *values) {
    for (int i = 0; i < u->tensors; values += (int64_t)u->counts[i++])
        assert_ok(bl_store_write(u->store, (bl_place){u->network, block, i}, values));
}

static void expect_parameters(const updates *u, int tensors, const double *truth, int step, double allowed) {
    for (int i = 0; i < tensors; truth += (int64_t)u->counts[i++]) {
        double ours[64];
        assert_true(u->counts[i] <= 64);
        assert_ok(bl_store_read(u->store, (bl_place){u->network, BL_PARAMETERS, i}, ours));
        double largest = 1;
        for (int64_t v = 0; v < (int64_t)u->counts[i]; v++) largest = fmax(largest, fabs(truth[v]));
        const double off = bl_test_worst(ours, truth, (int64_t)u->counts[i]) / largest;
        if (!(off <= allowed))
            fail_msg("%s after update %d is off by %.3g, at most %.0e", u->layout->networks[u->network].parameters.items[i].name, step + 1,
                     off, allowed);
    }
}

static void run_case(const golden_case *c, const char *backend, double allowed) {
    int64_t values, total, steps;
    updates u = updates_open(backend, c);
    double *start = golden_values(GOLDEN, &total, "start"), *gradients = golden_values(GOLDEN, NULL, "gradients");
    double *rates = golden_values(GOLDEN, &steps, "learning_rates"), *after = golden_values(GOLDEN, &values, "optimizers/%s", c->name);
    assert_int_equal(values, steps * total);
    write_block(&u, BL_PARAMETERS, start);
    for (int step = 0; step < steps; step++) {
        write_block(&u, BL_GRADIENTS, gradients + step * total);
        assert_ok(bl_store_scalar(u.store, BL_SCALAR_LEARNING_RATE, rates[step]));
        assert_ok(bl_store_scalar(u.store, BL_SCALAR_STEP, step + 1));
        assert_ok(bl_plan_step(u.plan, 0, BL_PHASE_UPDATE));
        expect_parameters(&u, c->tensors ? c->tensors : u.tensors, after + step * total, step, allowed);
    }
    free(start);
    free(gradients);
    free(rates);
    free(after);
    updates_close(&u);
}

static void ten_updates_equal_the_golden_ones(void **state) {
    run_case(*state, "reference", 1e-13);
    for (const char *const *name = bl_test_backends(); *name; name++)
        if (strcmp(*name, "reference")) run_case(*state, *name, 1e-5);
}

// ---- schedules ----

// Compares bl_learning_rate at every step; `observed`: the series that a plateau looks at after each epoch.
static void expect_rates(const char *name, const bl_schedule *schedule, int64_t steps_per_epoch, const char *observed, bool higher) {
    int64_t steps;
    double *truth = golden_values(GOLDEN, &steps, "schedules/%s", name);
    double *series = observed ? golden_values(GOLDEN, NULL, "observed/%s", observed) : NULL;
    bl_plateau plateau = bl_plateau_start(higher);
    for (int64_t step = 0; step < steps; step++) {
        const double rate = bl_learning_rate(schedule, step, steps, steps_per_epoch, plateau.scale);
        if (!(fabs(rate - truth[step]) <= 1e-14)) fail_msg("%s, step %d: %.17g, not %.17g", name, (int)step, rate, truth[step]);
        const bool is_last_of_epoch = (step + 1) % steps_per_epoch == 0;
        if (series && is_last_of_epoch) bl_plateau_observe(&plateau, schedule, higher, series[step / steps_per_epoch]);
    }
    free(series);
    free(truth);
}

static void cosine_is_torchs_per_step_and_per_epoch(void **state) {
    (void)state;
    expect_rates("cosine_per_step", &(bl_schedule){.kind = BL_SCHEDULE_COSINE, .base = .4}, 3, NULL, false);
    expect_rates("cosine_per_epoch", &(bl_schedule){.kind = BL_SCHEDULE_COSINE, .base = .4, .least = .01, .per_epoch = true}, 3, NULL,
                 false);
}

static void milestones_are_torchs_after_epochs_and_inside_them(void **state) {
    (void)state;
    const bl_schedule after = {.kind = BL_SCHEDULE_STEP, .base = .4, .per_epoch = true, .milestones = {2, 5, 6}, .milestone_count = 3,
                               .factor = .2};
    const bl_schedule inside = {.kind = BL_SCHEDULE_STEP, .base = .4, .milestones = {3.5, 4.5}, .milestone_count = 2, .factor = .1};
    expect_rates("milestones_per_epoch", &after, 3, NULL, false);
    expect_rates("milestones_inside_epochs", &inside, 4, NULL, false);
}

static void plateau_is_torchs_in_both_directions(void **state) {
    (void)state;
    bl_schedule schedule = {.kind = BL_SCHEDULE_PLATEAU, .base = .4, .factor = .3, .patience = 2, .least = .01, .per_epoch = true};
    expect_rates("plateau_min", &schedule, 2, "falling", false);
    schedule.least = 1e-9; // where torch stops for want of a change above 1e-8
    expect_rates("plateau_max", &schedule, 2, "rising", true);
}

static void warm_up_rises_by_equal_parts_and_hands_over_to_the_cosine(void **state) {
    (void)state;
    bl_schedule schedule = {.kind = BL_SCHEDULE_COSINE, .base = .4, .warmup = 2};
    expect_rates("warmup_cosine", &schedule, 3, NULL, false);
    schedule.warmup_start = .03;
    expect_rates("warmup_from_start_cosine", &schedule, 3, NULL, false);
}

// solo-learn spends its first step at the start itself, so that each step of its rise is 1 / (W - 1) of the way: the same line from one
// such part below the start.
static void solo_learns_warm_up_is_the_line_from_one_part_lower(void **state) {
    (void)state;
    const int warmup_steps = 6;
    const double base = .4, start = .03, one_part = (base - start) / (warmup_steps - 1);
    expect_rates("solo_learn", &(bl_schedule){.kind = BL_SCHEDULE_COSINE, .base = base, .warmup = 2, .warmup_start = start - one_part}, 3,
                 NULL, false);
}

static void tau_rises_by_the_cosine_of_the_paper(void **state) {
    (void)state;
    int64_t steps;
    double *truth = golden_values(GOLDEN, &steps, "schedules/tau_cosine");
    for (int64_t step = 0; step < steps; step++) {
        assert_true(fabs(bl_tau(BL_SCHEDULE_COSINE, .99, step, steps) - truth[step]) <= 1e-15);
        assert_true(bl_tau(BL_SCHEDULE_CONSTANT, .99, step, steps) == .99);
    }
    free(truth);
}

int main(void) {
    enum { COUNT = sizeof cases / sizeof *cases };
    struct CMUnitTest optimizers[COUNT];
    for (int i = 0; i < COUNT; i++)
        optimizers[i] = (struct CMUnitTest){
            .name = cases[i].sentence, .test_func = ten_updates_equal_the_golden_ones, .initial_state = &cases[i]};
    const struct CMUnitTest schedules[] = {
        cmocka_unit_test(cosine_is_torchs_per_step_and_per_epoch),
        cmocka_unit_test(milestones_are_torchs_after_epochs_and_inside_them),
        cmocka_unit_test(plateau_is_torchs_in_both_directions),
        cmocka_unit_test(warm_up_rises_by_equal_parts_and_hands_over_to_the_cosine),
        cmocka_unit_test(solo_learns_warm_up_is_the_line_from_one_part_lower),
        cmocka_unit_test(tau_rises_by_the_cosine_of_the_paper),
    };
    return cmocka_run_group_tests_name("optimizers", optimizers, NULL, NULL) +
           cmocka_run_group_tests_name("schedules", schedules, NULL, NULL);
}
