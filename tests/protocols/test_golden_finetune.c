// Classifiers against PyTorch (tests/golden/finetune.py): ten steps of a narrow encoder with a head, whole and frozen, by SGD with Nesterov
// momentum and a cosine; the first gradients, the end, and what the network then says of images it never saw.

#include "golden_marks.h"
#include "graph/classifier.h"
#include "graph/schedule.h"

#define GOLDEN "finetune.h5"
enum { WIDTH = 2, SIZE = 8, BATCH = 12, CLASSES = 3, HIDDEN = 10, STEPS = 10, TEST_ROWS = 8 };
static const double learning_rate = .02, momentum = .9, weight_decay = 1e-3, head_scale = 10;

typedef struct golden_case {
    const char *sentence, *name;
    int hidden;
    bool frozen;
} golden_case;

static golden_case cases[] = {
    {"fine-tuning encoder and linear head", "fine_tuned", 0, false},
    {"fine-tuning with a hidden layer in the head", "fine_tuned_with_a_hidden_layer", HIDDEN, false},
    {"rows without a label count for nothing but their batch norms", "partly_labelled", 0, false},
    {"a frozen encoder uses running statistics and stays", "frozen", 0, true},
    {"a frozen encoder with a hidden layer in the head", "frozen_with_a_hidden_layer", HIDDEN, true},
};

typedef struct bench { // a step and the inference that shares its store
    bl_layout *layout;
    bl_step_graph step, inference;
    bl_backend *backend;
    bl_store *store;
    bl_plan *step_plan, *inference_plan;
} bench;

static bl_classifier_options options_of(const golden_case *c) {
    return (bl_classifier_options){
        .encoder = {.name = "resnet18", .stem = BL_STEM_CIFAR, .stem_padding = 1, .width = WIDTH,
                    .init = {BL_INIT_KAIMING_FAN_OUT, BL_INIT_UNIFORM_FAN_IN}},
        .optimizer = {.kind = BL_OPTIMIZER_SGD, .momentum = momentum, .nesterov = true, .weight_decay = weight_decay, .decay_norms = true},
        .image_size = SIZE, .precision = BL_F32, .classes = CLASSES, .hidden = c->hidden, .head_lr_scale = head_scale, .frozen = c->frozen};
}

static bench bench_open(const golden_case *c, const char *backend) {
    const bl_classifier_options options = options_of(c);
    bench b = {0};
    assert_ok(bl_layout_create(&b.layout));
    assert_ok(bl_classifier_build(&b.step, b.layout, &options, BATCH));
    assert_ok(bl_classifier_inference_build(&b.inference, b.layout, &options, TEST_ROWS));
    assert_ok(bl_backend_open(&b.backend, backend, &(bl_backend_options){.threads = 2, .isa = ""}));
    assert_ok(bl_store_create(b.backend, b.layout, &b.store));
    bl_tensor *learned[] = {b.step.loss, b.step.correct}, *seen[] = {b.inference.loss, b.inference.correct, b.inference.logits};
    const bl_compile_options training = {.accumulate = 1, .observe = learned, .observe_count = 2};
    assert_ok(bl_plan_compile(b.store, b.step.graph, &training, &b.step_plan));
    assert_ok(bl_plan_compile(b.store, b.inference.graph, &(bl_compile_options){.observe = seen, .observe_count = 3}, &b.inference_plan));
    char group[GOLDEN_NAME];
    snprintf(group, sizeof group, "%s/head", c->name);
    assert_true(write_golden(b.store, GOLDEN, "encoder") > 0);
    assert_true(write_golden(b.store, GOLDEN, group) > 0);
    return b;
}

static void bench_close(bench *b) {
    bl_plan_free(b->inference_plan);
    bl_plan_free(b->step_plan);
    bl_store_free(b->store);
    bl_backend_close(b->backend);
    bl_graph_free(b->inference.graph);
    bl_graph_free(b->step.graph);
    bl_layout_free(b->layout);
}

static double read_one(const bl_plan *plan, const bl_tensor *tensor) {
    double value;
    assert_ok(bl_plan_read(plan, tensor, &value));
    return value;
}

static void expect_near(const char *what, int step, double ours, double truth, double allowed) {
    if (!(fabs(ours - truth) <= allowed)) fail_msg("%s of step %d is %.17g, not %.17g", what, step, ours, truth);
}

// On `reference` everything is compared, elsewhere losses and answers.
static void run_case(const golden_case *c, const char *backend, double allowed) {
    const bool exact = !strcmp(backend, "reference");
    const bl_schedule cosine = {.kind = BL_SCHEDULE_COSINE, .base = learning_rate};
    golden_images images = read_golden_images(GOLDEN, SIZE);
    assert_int_equal(images.count, BATCH);
    double *labels = golden_values(GOLDEN, NULL, "%s/labels", c->name), *losses = golden_values(GOLDEN, NULL, "%s/losses", c->name);
    double *correct = golden_values(GOLDEN, NULL, "%s/correct", c->name);
    char group[GOLDEN_NAME];
    bench b = bench_open(c, backend);
    for (int step = 0; step < STEPS; step++) {
        double *rows = golden_batch(&images, 1, step);
        assert_ok(bl_plan_write(b.step_plan, b.step.images, rows));
        assert_ok(bl_plan_write(b.step_plan, b.step.labels, labels));
        assert_ok(bl_store_scalar(b.store, BL_SCALAR_LEARNING_RATE, bl_learning_rate(&cosine, step, STEPS, 1, 1)));
        assert_ok(bl_store_scalar(b.store, BL_SCALAR_STEP, step + 1));
        assert_ok(bl_plan_step(b.step_plan, 0, BL_PHASE_MICRO));
        expect_near("loss", step, read_one(b.step_plan, b.step.loss), losses[step], step ? allowed * 100 : allowed);
        if (exact) expect_near("share of right answers", step, read_one(b.step_plan, b.step.correct), correct[step], 1e-12);
        snprintf(group, sizeof group, "%s/gradients", c->name);
        if (exact && step == 0) expect_marks(b.store, GOLDEN, group, true, 1e-6, 1e-9);
        assert_ok(bl_plan_step(b.step_plan, 0, BL_PHASE_UPDATE));
        free(rows);
    }
    snprintf(group, sizeof group, "%s/after", c->name);
    if (exact) expect_marks(b.store, GOLDEN, group, false, 1e-6, 1e-9);

    int64_t count;
    double *test_images = golden_values(GOLDEN, NULL, "test/images"), *test_labels = golden_values(GOLDEN, &count, "test/labels");
    double *logits = golden_values(GOLDEN, NULL, "%s/test/logits", c->name), ours[TEST_ROWS * CLASSES];
    double *loss = golden_values(GOLDEN, NULL, "%s/test/loss", c->name);
    double *accuracy = golden_values(GOLDEN, NULL, "%s/test/accuracy", c->name);
    assert_int_equal(count, TEST_ROWS);
    assert_ok(bl_plan_write(b.inference_plan, b.inference.images, test_images));
    assert_ok(bl_plan_write(b.inference_plan, b.inference.labels, test_labels));
    assert_ok(bl_plan_step(b.inference_plan, 0, BL_PHASE_MICRO));
    assert_ok(bl_plan_read(b.inference_plan, b.inference.logits, ours));
    const double off = bl_test_worst(ours, logits, TEST_ROWS * CLASSES);
    if (!(off <= allowed * 1000)) fail_msg("logits of unseen images are off by %.3g", off);
    expect_near("loss on unseen images", STEPS, read_one(b.inference_plan, b.inference.loss), *loss, allowed * 1000);
    expect_near("accuracy on unseen images", STEPS, read_one(b.inference_plan, b.inference.correct), *accuracy, 1e-6);
    bench_close(&b);
    free_golden_images(&images);
    free(labels), free(losses), free(correct), free(test_images), free(test_labels), free(logits), free(loss), free(accuracy);
}

static void reference_equals_pytorch(void **state) {
    if (bl_test_backend_is_named()) skip(); // the reference is the same whichever it is
    run_case(*state, "reference", 1e-12);
}

static bool can_run(const golden_case *c, const char *backend) {
    const bl_classifier_options options = options_of(c);
    bl_layout *layout;
    bl_step_graph step;
    assert_ok(bl_layout_create(&layout));
    assert_ok(bl_classifier_build(&step, layout, &options, BATCH));
    const bool can = bl_test_can_run(backend, step.graph);
    bl_graph_free(step.graph);
    bl_layout_free(layout);
    return can;
}

static void other_backends_follow_in_f32(void **state) {
    int run_count = 0;
    for (const char *const *name = bl_test_backends(); *name; name++) {
        if (!strcmp(*name, "reference") || !can_run(*state, *name)) continue;
        run_case(*state, *name, 1e-5);
        run_count++;
    }
    if (!run_count) skip();
}

static void the_file_holds_what_this_test_assumes(void **state) {
    (void)state;
    const golden_option options[] = {{"width", WIDTH}, {"size", SIZE}, {"batch", BATCH}, {"classes", CLASSES}, {"hidden", HIDDEN}, {"lr", learning_rate},
                   {"momentum", momentum}, {"weight_decay", weight_decay}, {"head_scale", head_scale}};
    assert_options(GOLDEN, options, sizeof options / sizeof *options);
}

int main(void) {
    enum { COUNT = sizeof cases / sizeof *cases };
    const struct CMUnitTest first[] = {cmocka_unit_test(the_file_holds_what_this_test_assumes)};
    struct CMUnitTest exact[COUNT], followed[COUNT];
    for (int i = 0; i < COUNT; i++) {
        exact[i] = (struct CMUnitTest){.name = cases[i].sentence, .test_func = reference_equals_pytorch, .initial_state = &cases[i]};
        followed[i] = exact[i];
        followed[i].test_func = other_backends_follow_in_f32;
    }
    return cmocka_run_group_tests(first, NULL, NULL) + cmocka_run_group_tests_name("reference", exact, NULL, NULL) +
           cmocka_run_group_tests_name("other backends", followed, NULL, NULL);
}
