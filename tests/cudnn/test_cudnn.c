// What the cuDNN backend promises beyond its operators: replayed graphs equal eager launches bit for bit, a repeated run too, choices of
// engines are taken again, nothing waits inside a step, and what cannot run is refused with what to do. Runs on a GPU, or on the
// stand-in that computes on the CPU (tests/stand_in); exits with 77 where neither is there.

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "step_rig.h"

#define BATCH 8
#define SIZE 16
#define OUT 32
#define IMAGES (BL_VIEWS * BATCH * SIZE * SIZE * 3)
#define STEPS 5

static bl_model_options model_of(bl_dtype precision) {
    return (bl_model_options){
        .encoder = RESNET18(8),
        .projector = MLP(64, OUT, BL_NORM_HIDDEN),
        .method = {.predictor_head = MLP(64, OUT, BL_NORM_HIDDEN), .predictor_lr_scale = 1, .stop_gradient = true},
        .optimizer = {.kind = BL_OPTIMIZER_SGD, .momentum = .9, .weight_decay = 5e-4, .decay_norms = true},
        .image_size = SIZE,
        .precision = precision,
    };
}

typedef struct opening { // how a rig is opened and compiled
    bl_dtype precision;
    bool eager, tf32, watches;
    const char *choices; // NULL: none
} opening;

static bl_rig opened(const opening *how) {
    const bl_model_options model = model_of(how->precision);
    bl_rig rig = {0};
    assert_ok(bl_layout_create(&rig.layout));
    assert_ok(bl_byol_build(&rig.step, rig.layout, &model, BATCH));
    assert_ok(bl_backend_open(&rig.backend, "cudnn", &(bl_backend_options){.threads = 1, .isa = "", .eager = how->eager}));
    if (how->choices) assert_ok(bl_backend_recall(rig.backend, how->choices));
    assert_ok(bl_store_create(rig.backend, rig.layout, &rig.store));
    bl_tensor *observe[] = {rig.step.loss, rig.step.std};
    const bl_compile_options options = {.accumulate = 1, .observe = observe, .observe_count = 2, .watch = observe,
                                        .watch_count = how->watches ? 2 : 0, .tf32 = how->tf32, .batch = BATCH};
    assert_ok(bl_plan_compile(rig.store, rig.step.graph, &options, &rig.plan));
    assert_ok(bl_store_initialize(rig.store, 0, true));
    return rig;
}

static void fill(float *images, int step) {
    bl_random random = bl_random_stream(7, "images", (uint32_t)step, 0, 0);
    for (int i = 0; i < IMAGES; i++) images[i] = (float)bl_random_normal(&random);
}

// As the trainer feeds it: batches into slots in turn.
static void train(bl_rig *rig) {
    for (int step = 0; step < STEPS; step++) {
        float *images;
        assert_ok(bl_plan_slot(rig->plan, step % BL_STAGING_SLOTS, rig->step.images, &images));
        fill(images, step);
        rig_scalars(rig, .05, .9, step);
        assert_ok(bl_plan_step(rig->plan, step % BL_STAGING_SLOTS, BL_PHASE_BEGIN | BL_PHASE_MICRO | BL_PHASE_UPDATE));
    }
}

static bool is_same_block(const bl_rig *a, const bl_rig *b, const char *network, bl_block_kind block) {
    int64_t count;
    double *left = rig_read(a, rig_block(a, network, block), &count), *right = rig_read(b, rig_block(b, network, block), NULL);
    const bool same = !memcmp(left, right, (size_t)count * sizeof *left);
    free(left);
    free(right);
    return same;
}

static void expect_same_state(const bl_rig *a, const bl_rig *b) {
    static const char *const networks[] = {"online", "target", "predictor"};
    for (size_t n = 0; n < 3; n++) assert_true(is_same_block(a, b, networks[n], BL_PARAMETERS));
    assert_true(is_same_block(a, b, "online", BL_BUFFERS));
    assert_true(is_same_block(a, b, "target", BL_BUFFERS));
    assert_true(is_same_block(a, b, "online", BL_MOMENT1));
}

static void expect_equal(const opening *left, const opening *right) {
    bl_rig a = opened(left), b = opened(right);
    train(&a);
    train(&b);
    expect_same_state(&a, &b);
    rig_close(&a);
    rig_close(&b);
}

static void replayed_graphs_equal_eager_launches_bit_for_bit(void **state) {
    (void)state;
    expect_equal(&(opening){.precision = BL_F32}, &(opening){.precision = BL_F32, .eager = true});
    expect_equal(&(opening){.precision = BL_BF16}, &(opening){.precision = BL_BF16, .eager = true});
}

static void repeated_run_gives_the_same_bits(void **state) {
    (void)state;
    expect_equal(&(opening){.precision = BL_F32}, &(opening){.precision = BL_F32});
    expect_equal(&(opening){.precision = BL_BF16}, &(opening){.precision = BL_BF16});
}

static void choices_of_an_earlier_run_are_taken_again(void **state) {
    (void)state;
    bl_text first = {0}, second = {0};
    bl_rig a = opened(&(opening){.precision = BL_BF16});
    bl_backend_choices(a.backend, &first);
    assert_true(first.size > 100);
    bl_rig b = opened(&(opening){.precision = BL_BF16, .choices = first.chars});
    bl_backend_choices(b.backend, &second);
    assert_string_equal(first.chars, second.chars);
    train(&a);
    train(&b);
    expect_same_state(&a, &b);
    rig_close(&a);
    rig_close(&b);
    bl_text_free(&first);
    bl_text_free(&second);
}

static void damaged_choices_are_refused(void **state) {
    (void)state;
    bl_backend *backend;
    assert_ok(bl_backend_open(&backend, "cudnn", &(bl_backend_options){.threads = 1, .isa = ""}));
    assert_int_equal(bl_backend_recall(backend, "[{\"pattern\": \"conv"), BL_FAILED);
    bl_backend_close(backend);
}

// Two steps are given before the first is looked at: each one's values are its own.
static void watched_values_are_those_of_their_step(void **state) {
    (void)state;
    double one_by_one[STEPS][2], ahead[STEPS][2], finite;
    bl_rig a = opened(&(opening){.precision = BL_F32, .watches = true}), b = opened(&(opening){.precision = BL_F32, .watches = true});
    for (int step = 0; step < STEPS; step++) {
        const int slot = step % BL_STAGING_SLOTS;
        float *images;
        for (int each = 0; each < 2; each++) {
            bl_rig *rig = each ? &b : &a;
            assert_ok(bl_plan_slot(rig->plan, slot, rig->step.images, &images));
            fill(images, step);
            rig_scalars(rig, .05, .9, step);
            assert_ok(bl_plan_step(rig->plan, slot, BL_PHASE_BEGIN | BL_PHASE_MICRO | BL_PHASE_UPDATE));
        }
        assert_ok(bl_plan_watched(a.plan, 0, one_by_one[step], &finite));
        assert_true(finite == 1);
        if (step) assert_ok(bl_plan_watched(b.plan, 1, ahead[step - 1], &finite));
    }
    assert_ok(bl_plan_watched(b.plan, 0, ahead[STEPS - 1], &finite));
    assert_memory_equal(one_by_one, ahead, sizeof ahead);
    assert_true(one_by_one[0][0] != one_by_one[1][0]);
    assert_true(one_by_one[STEPS - 1][0] == rig_value(&a, a.step.loss));
    rig_close(&a);
    rig_close(&b);
}

// The slot's memory comes back when its batch has left: writing into it then changes no step that was given.
static void batch_may_be_overwritten_once_its_slot_is_lent_again(void **state) {
    (void)state;
    bl_rig a = opened(&(opening){.precision = BL_F32}), b = opened(&(opening){.precision = BL_F32});
    for (int step = 0; step < STEPS; step++)
        for (int each = 0; each < 2; each++) {
            bl_rig *rig = each ? &b : &a;
            float *images;
            assert_ok(bl_plan_slot(rig->plan, 0, rig->step.images, &images));
            fill(images, step);
            rig_scalars(rig, .05, .9, step);
            assert_ok(bl_plan_step(rig->plan, 0, BL_PHASE_BEGIN | BL_PHASE_MICRO | BL_PHASE_UPDATE));
            if (!each) continue;
            assert_ok(bl_plan_slot(rig->plan, 0, rig->step.images, &images));
            memset(images, 0xff, IMAGES * sizeof *images);
        }
    expect_same_state(&a, &b);
    rig_close(&a);
    rig_close(&b);
}

static void tf32_only_where_it_is_allowed(void **state) {
    (void)state;
    bl_rig exact = opened(&(opening){.precision = BL_F32}), rounded = opened(&(opening){.precision = BL_F32, .tf32 = true});
    train(&exact);
    train(&rounded);
    assert_false(is_same_block(&exact, &rounded, "online", BL_PARAMETERS));
    rig_close(&exact);
    rig_close(&rounded);
}

static void not_a_number_stops_every_update(void **state) {
    (void)state;
    bl_rig rig = opened(&(opening){.precision = BL_F32, .watches = true}), untouched = opened(&(opening){.precision = BL_F32});
    double values[2], finite;
    for (int step = 0; step < 3; step++) { // eager first, replayed then
        float *images;
        assert_ok(bl_plan_slot(rig.plan, 0, rig.step.images, &images));
        fill(images, step);
        images[5] = NAN;
        rig_scalars(&rig, .05, .9, step);
        assert_ok(bl_plan_step(rig.plan, 0, BL_PHASE_BEGIN | BL_PHASE_MICRO | BL_PHASE_UPDATE));
        assert_ok(bl_plan_watched(rig.plan, 0, values, &finite));
        assert_true(finite == 0);
    }
    for (size_t n = 0; n < 3; n++)
        assert_true(is_same_block(&rig, &untouched, (const char *[]){"online", "target", "predictor"}[n], BL_PARAMETERS));
    rig_close(&rig);
    rig_close(&untouched);
}

static void neighbours_are_fused_and_say_so(void **state) {
    (void)state;
    bl_rig rig = opened(&(opening){.precision = BL_BF16});
    bl_plan_report report;
    int fused = 0, engines = 0;
    rig.backend->table->report(rig.plan, &report);
    for (int i = 0; i < report.count; i++) {
        fused += strstr(report.rows[i].implementation, "fused into") != NULL;
        engines += strstr(report.rows[i].implementation, "engine") != NULL;
    }
    assert_true(fused > 40); // 17 ReLUs and 8 joins of two networks, and the ReLUs' backward
    assert_true(engines > 100);
    rig_close(&rig);
}

// ---- what only the stand-in can pretend to be ----

static bool is_stand_in(void) {
    bl_backend *backend;
    bl_text text = {0};
    assert_ok(bl_backend_open(&backend, "cudnn", &(bl_backend_options){.threads = 1, .isa = ""}));
    backend->table->describe(backend, &text);
    const bool is = strstr(text.chars, "device: stand-in") != NULL;
    bl_text_free(&text);
    bl_backend_close(backend);
    return is;
}

static void unusable_machines_are_refused_with_what_is_missing(void **state) {
    (void)state;
    static const struct {
        const char *variable, *value, *says;
    } cases[] = {
        {"BYOLAB_STAND_IN_DRIVER", "0", "needs an NVIDIA driver"},
        {"BYOLAB_STAND_IN_DRIVER", "12000", "install a newer driver"},
        {"BYOLAB_STAND_IN_DEVICES", "0", "needs an NVIDIA GPU"},
        {"BYOLAB_STAND_IN_CAPABILITY", "75", "compute capability 8.0 or newer"},
    };
    if (!is_stand_in()) skip();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bl_backend *backend;
        setenv(cases[i].variable, cases[i].value, 1);
        assert_int_equal(bl_backend_open(&backend, "cudnn", &(bl_backend_options){.threads = 1, .isa = ""}), BL_FAILED);
        bl_test_holds(bl_error(), cases[i].says);
        unsetenv(cases[i].variable);
    }
}

static void plan_that_does_not_fit_is_refused_with_a_batch_that_would(void **state) {
    (void)state;
    if (!is_stand_in()) skip();
    const bl_model_options model = model_of(BL_F32);
    bl_rig rig = {0};
    const bl_compile_options refused = {.accumulate = 1, .batch = 512, .batch_key = "train.batch", .accumulate_key = "train.accumulate"};
    int batch = 0;
    setenv("BYOLAB_STAND_IN_MEMORY", "100000000", 1); // 95 MiB, of which cuBLAS has 32
    assert_ok(bl_layout_create(&rig.layout));
    assert_ok(bl_byol_build(&rig.step, rig.layout, &model, 512));
    assert_ok(bl_backend_open(&rig.backend, "cudnn", &(bl_backend_options){.threads = 1, .isa = ""}));
    assert_ok(bl_store_create(rig.backend, rig.layout, &rig.store));
    assert_int_equal(bl_plan_compile(rig.store, rig.step.graph, &refused, &rig.plan), BL_FAILED);
    bl_test_holds(bl_error(), "GiB");
    bl_test_holds(bl_error(), "train.accumulate");
    const char *advice = strstr(bl_error(), "train.batch ");
    assert_non_null(advice);
    assert_int_equal(sscanf(advice, "train.batch %d", &batch), 1);
    assert_true(batch > 0 && batch < 512);
    bl_store_free(rig.store);
    bl_graph_free(rig.step.graph);
    bl_layout_free(rig.layout);

    rig.plan = NULL; // what it advises does fit
    assert_ok(bl_layout_create(&rig.layout));
    assert_ok(bl_byol_build(&rig.step, rig.layout, &model, batch));
    assert_ok(bl_store_create(rig.backend, rig.layout, &rig.store));
    assert_ok(bl_plan_compile(rig.store, rig.step.graph, &(bl_compile_options){.accumulate = 1, .batch = batch}, &rig.plan));
    rig_close(&rig);
    unsetenv("BYOLAB_STAND_IN_MEMORY");
}

int main(void) {
    bl_backend *backend;
    if (!bl_backend_present("cudnn")) {
        puts("skipped: the cuDNN backend was not built");
        return 77;
    }
    if (bl_backend_open(&backend, "cudnn", &(bl_backend_options){.threads = 1, .isa = ""})) {
        printf("skipped: %s\n", bl_error());
        return 77;
    }
    bl_backend_close(backend);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replayed_graphs_equal_eager_launches_bit_for_bit),
        cmocka_unit_test(repeated_run_gives_the_same_bits),
        cmocka_unit_test(choices_of_an_earlier_run_are_taken_again),
        cmocka_unit_test(damaged_choices_are_refused),
        cmocka_unit_test(watched_values_are_those_of_their_step),
        cmocka_unit_test(batch_may_be_overwritten_once_its_slot_is_lent_again),
        cmocka_unit_test(tf32_only_where_it_is_allowed),
        cmocka_unit_test(not_a_number_stops_every_update),
        cmocka_unit_test(neighbours_are_fused_and_say_so),
        cmocka_unit_test(unusable_machines_are_refused_with_what_is_missing),
        cmocka_unit_test(plan_that_does_not_fit_is_refused_with_a_batch_that_would),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
