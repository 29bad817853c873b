// ImageNet's stem against PyTorch (tests/golden/imagenet.py): max pooling where many windows tie, and a step of a narrow ResNet-18 at 64 px.

#include "backends/isolate.h"
#include "base/memory.h"
#include "golden_marks.h"
#include "graph/classifier.h"

#define GOLDEN "imagenet.h5"
enum { WIDTH = 4, SIZE = 64, BATCH = 2 };

static bool is_reference(const char *backend) {
    return !strcmp(backend, "reference");
}

// ---- max pooling ----

typedef struct pool {
    const char *name;
    bl_shape x;
    bl_attributes attributes;
} pool;

static const pool pools[] = {
    {"stem", {4, {2, 12, 10, 5}}, {.kernel = 3, .stride = 2, .padding = 1}},
    {"odd_sizes", {4, {2, 9, 7, 3}}, {.kernel = 3, .stride = 2, .padding = 1}},
    {"side_by_side", {4, {1, 8, 6, 4}}, {.kernel = 2, .stride = 2}},
    {"every_pixel", {4, {1, 6, 7, 3}}, {.kernel = 3, .stride = 1, .padding = 1}},
};

static void expect_result(const char *backend, const bl_node *node, const bl_layout *layout, const double *const *inputs, const pool *p,
                          const char *result) {
    int64_t count;
    double *theirs = golden_values(GOLDEN, &count, "max_pool/%s/%s", p->name, result), *ours = malloc((size_t)count * sizeof *ours);
    bl_backend *opened;
    assert_non_null(ours);
    assert_int_equal(count, bl_shape_count(&node->outputs[0]->shape));
    assert_ok(bl_backend_open(&opened, backend, &(bl_backend_options){.threads = 2, .isa = ""}));
    assert_ok(bl_isolate_run(opened, node, layout, inputs, &ours));
    const double off = bl_test_worst(ours, theirs, count);
    if (!(off <= (is_reference(backend) ? 1e-14 : 1e-6))) fail_msg("%s: %s of %s is off by %.3g", backend, result, p->name, off);
    bl_backend_close(opened);
    free(theirs);
    free(ours);
}

static void max_pooling_and_its_gradient_are_pytorchs_also_where_windows_tie(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof pools / sizeof *pools; i++) {
        const pool *p = &pools[i];
        bl_layout *layout;
        bl_graph *graph;
        bl_tensor *x, *dy;
        bl_node *forward, *backward;
        bl_attributes attributes = p->attributes;
        attributes.shape = p->x;
        assert_ok(bl_layout_create(&layout));
        assert_ok(bl_graph_create(&graph, layout));
        assert_ok(bl_graph_input(graph, "x", BL_F32, p->x, &x));
        assert_ok(bl_graph_node(graph, BL_OP_MAX_POOL, "pool", &p->attributes, &x, 1, &forward));
        assert_ok(bl_graph_input(graph, "dy", BL_F32, forward->outputs[0]->shape, &dy));
        assert_ok(bl_graph_node(graph, BL_OP_MAX_POOL_BACKWARD, "backward", &attributes, (bl_tensor *[]){x, dy}, 2, &backward));
        double *image = golden_values(GOLDEN, NULL, "max_pool/%s/x", p->name), *gradient = golden_values(GOLDEN, NULL, "max_pool/%s/dy", p->name);
        for (const char *const *name = bl_test_backends(); *name; name++) {
            expect_result(*name, forward, layout, (const double *[]){image}, p, "y");
            expect_result(*name, backward, layout, (const double *[]){image, gradient}, p, "dx");
        }
        free(image);
        free(gradient);
        bl_graph_free(graph);
        bl_layout_free(layout);
    }
}

// ---- the network ----

static void expect_values(const bl_plan *plan, const bl_tensor *tensor, const char *name, double allowed) {
    int64_t count;
    double *theirs = golden_values(GOLDEN, &count, "step/%s", name), *ours = malloc((size_t)count * sizeof *ours);
    assert_non_null(ours);
    assert_int_equal(count, bl_shape_count(&tensor->shape));
    assert_ok(bl_plan_read(plan, tensor, ours));
    const double off = bl_test_worst(ours, theirs, count);
    if (!(off <= allowed)) fail_msg("%s is off by %.3g, at most %.0e", name, off, allowed);
    free(theirs);
    free(ours);
}

static const bl_classifier_options options = {
    .encoder = {.name = "resnet18", .stem = BL_STEM_IMAGENET, .stem_padding = 1, .width = WIDTH, .init = {BL_INIT_KAIMING_FAN_OUT, BL_INIT_UNIFORM_FAN_IN}},
    .optimizer = {.kind = BL_OPTIMIZER_SGD}, .image_size = SIZE, .precision = BL_F32, .classes = BATCH, .head_lr_scale = 1};

static void run_step(const char *name, double allowed) {
    const double labels[BATCH] = {0, 1};
    double *images = golden_values(GOLDEN, NULL, "step/images");
    bl_layout *layout;
    bl_step_graph step;
    bl_features_graph features;
    bl_backend *backend;
    bl_store *store;
    bl_plan *training, *extraction;
    assert_ok(bl_layout_create(&layout));
    assert_ok(bl_classifier_build(&step, layout, &options, BATCH));
    assert_ok(bl_features_build(&features, layout, &options.encoder, SIZE, BATCH));
    assert_ok(bl_backend_open(&backend, name, &(bl_backend_options){.threads = 2, .isa = ""}));
    assert_ok(bl_store_create(backend, layout, &store));
    bl_tensor *learned[] = {step.loss, step.logits};
    assert_ok(bl_plan_compile(store, step.graph, &(bl_compile_options){.accumulate = 1, .observe = learned, .observe_count = 2}, &training));
    assert_ok(bl_plan_compile(store, features.graph, &(bl_compile_options){.observe = &features.features, .observe_count = 1}, &extraction));
    assert_true(write_golden(store, GOLDEN, "step/start") > 0);

    assert_ok(bl_plan_write(training, step.images, images));
    assert_ok(bl_plan_write(training, step.labels, labels));
    assert_ok(bl_plan_step(training, 0, BL_PHASE_MICRO));
    expect_values(training, step.loss, "loss", allowed);
    expect_values(training, step.logits, "logits", allowed);
    assert_int_equal(expect_marks(store, GOLDEN, "step/gradients", true, 1e-3, 1e2 * allowed), 62); // torchvision's parameters, fc too
    assert_true(expect_marks(store, GOLDEN, "step/after", false, 1e-3, allowed) > 62);

    assert_ok(bl_plan_write(extraction, features.images, images));
    assert_ok(bl_plan_step(extraction, 0, BL_PHASE_MICRO));
    expect_values(extraction, features.features, "features", allowed);
    bl_plan_free(extraction);
    bl_plan_free(training);
    bl_store_free(store);
    bl_backend_close(backend);
    bl_graph_free(features.graph);
    bl_graph_free(step.graph);
    bl_layout_free(layout);
    free(images);
}

static void resnet18_with_torchvisions_stem_learns_what_torchvisions_learns(void **state) {
    (void)state;
    for (const char *const *name = bl_test_backends(); *name; name++) run_step(*name, is_reference(*name) ? 1e-12 : 1e-5);
}

static void the_file_holds_what_this_test_assumes(void **state) {
    (void)state;
    const golden_option assumed[] = {{"width", WIDTH}, {"size", SIZE}, {"batch", BATCH}};
    assert_options(GOLDEN, assumed, sizeof assumed / sizeof *assumed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_file_holds_what_this_test_assumes),
        cmocka_unit_test(max_pooling_and_its_gradient_are_pytorchs_also_where_windows_tie),
        cmocka_unit_test(resnet18_with_torchvisions_stem_learns_what_torchvisions_learns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
