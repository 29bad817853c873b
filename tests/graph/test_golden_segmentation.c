// ResNet-34 and -50, bilinear resizing and FCN-8s against PyTorch (tests/golden/segmentation.py): forward, loss, every gradient and running
// statistic, then what the network says of images of another size.

#include "backends/isolate.h"
#include "base/memory.h"
#include "golden_marks.h"
#include "graph/classifier.h"
#include "graph/segmentation.h"

#define GOLDEN "segmentation.h5"
enum { WIDTH = 4, BATCH = 2, CLASSES = 5, SQUARE = 64, WIDE = 96, ODD_HEIGHT = 50, ODD_WIDTH = 71 };

static bool is_reference(const char *backend) {
    return !strcmp(backend, "reference");
}

// ---- resizing ----

typedef struct resize {
    const char *name;
    int64_t from[2], to[2];
} resize;

static const resize sizes[] = {
    {"up_by_eight", {2, 3}, {16, 24}},    {"up_odd", {3, 5}, {10, 11}},   {"down_odd", {11, 9}, {4, 5}},  {"down_past_pixels", {17, 16}, {3, 2}},
    {"up_and_down", {5, 12}, {9, 4}},     {"one_pixel", {1, 1}, {6, 3}},  {"to_one_pixel", {6, 5}, {1, 1}},
};

static void expect_result(const char *backend, const bl_node *node, const bl_layout *layout, const char *input, const char *result) {
    int64_t count;
    double *given = golden_values(GOLDEN, NULL, "%s/%s", node->name, input);
    double *theirs = golden_values(GOLDEN, &count, "%s/%s", node->name, result), *ours = malloc((size_t)count * sizeof *ours);
    bl_backend *opened;
    assert_non_null(ours);
    assert_int_equal(count, bl_shape_count(&node->outputs[0]->shape));
    assert_ok(bl_backend_open(&opened, backend, &(bl_backend_options){.threads = 2, .isa = ""}));
    assert_ok(bl_isolate_run(opened, node, layout, (const double *[]){given}, &ours));
    const double off = bl_test_worst(ours, theirs, count);
    if (!(off <= (is_reference(backend) ? 1e-12 : 2e-5))) fail_msg("%s: %s of %s is off by %.3g", backend, result, node->name, off);
    bl_backend_close(opened);
    free(given);
    free(theirs);
    free(ours);
}

static void resizing_and_its_gradient_are_pytorchs_up_and_down(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const resize *r = &sizes[i];
        const bl_shape from = {4, {1, r->from[0], r->from[1], 3}}, to = {4, {1, r->to[0], r->to[1], 3}};
        char name[GOLDEN_NAME];
        bl_layout *layout;
        bl_graph *graph, *other; // both nodes have the case's name
        bl_tensor *x, *dy;
        bl_node *forward, *backward;
        snprintf(name, sizeof name, "resize/%s", r->name);
        assert_ok(bl_layout_create(&layout));
        assert_ok(bl_graph_create(&graph, layout));
        assert_ok(bl_graph_input(graph, "x", BL_F32, from, &x));
        assert_ok(bl_graph_node(graph, BL_OP_RESIZE, name, &(bl_attributes){.shape = to}, &x, 1, &forward));
        assert_ok(bl_graph_create(&other, layout));
        assert_ok(bl_graph_input(other, "dy", BL_F32, to, &dy));
        assert_ok(bl_graph_node(other, BL_OP_RESIZE_BACKWARD, name, &(bl_attributes){.shape = from}, &dy, 1, &backward));
        for (const char *const *backend = bl_test_backends(); *backend; backend++) {
            expect_result(*backend, forward, layout, "x", "y");
            expect_result(*backend, backward, layout, "dy", "dx");
        }
        bl_graph_free(other);
        bl_graph_free(graph);
        bl_layout_free(layout);
    }
}

// ---- networks ----

typedef struct golden_case {
    const char *sentence, *name;
    const char *encoder;
    int dilated_stages;
    bool is_segmentation, frozen;
    int gradients; // tensors that have one
} golden_case;

// torchvision's parameters without fc: 60 of ResNet-18, 108 of ResNet-34, 159 of ResNet-50; FCN-8s adds 8 a head, a linear classifier 2.
static golden_case cases[] = {
    {"ResNet-50 learns what torchvision's learns", "resnet50", "resnet50", 0, false, false, 159 + 2},
    {"with dilation in the last two stages too", "resnet50_dilated", "resnet50", 2, false, false, 159 + 2},
    {"FCN-8s on ResNet-18", "fcn_resnet18", "resnet18", 0, true, false, 60 + 24},
    {"FCN-8s on ResNet-34", "fcn_resnet34", "resnet34", 0, true, false, 108 + 24},
    {"FCN-8s on ResNet-50", "fcn_resnet50", "resnet50", 0, true, false, 159 + 24},
    {"FCN-8s on an encoder that stays", "fcn_frozen", "resnet18", 0, true, true, 24},
};

static bl_encoder_options encoder_of(const golden_case *c) {
    return (bl_encoder_options){.name = c->encoder, .stem = BL_STEM_IMAGENET, .stem_padding = 1, .width = WIDTH,
                                .dilated_stages = c->dilated_stages, .init = {BL_INIT_KAIMING_FAN_OUT, BL_INIT_UNIFORM_FAN_IN}};
}

static void build_step(const golden_case *c, bl_dtype precision, bl_layout *layout, bl_step_graph *step, bl_step_graph *inference) {
    const bl_optimizer_options optimizer = {.kind = BL_OPTIMIZER_SGD};
    const bl_classifier_options classifier = {
        .encoder = encoder_of(c), .optimizer = optimizer, .image_size = SQUARE, .precision = precision, .classes = BATCH, .head_lr_scale = 1};
    const bl_segmentation_options segmentation = {.encoder = encoder_of(c), .optimizer = optimizer, .precision = precision, .classes = CLASSES,
                                                  .head_lr_scale = 1, .frozen = c->frozen};
    *inference = (bl_step_graph){0};
    if (!c->is_segmentation) {
        assert_ok(bl_classifier_build(step, layout, &classifier, BATCH));
        return;
    }
    assert_ok(bl_segmentation_build(step, layout, &segmentation, BATCH, SQUARE, WIDE));
    assert_ok(bl_segmentation_inference_build(inference, layout, &segmentation, BATCH, ODD_HEIGHT, ODD_WIDTH));
}

static bool can_run(const golden_case *c, bl_dtype precision, const char *backend) {
    bl_layout *layout;
    bl_step_graph step, inference;
    assert_ok(bl_layout_create(&layout));
    build_step(c, precision, layout, &step, &inference);
    const bool can = bl_test_can_run(backend, step.graph);
    if (inference.graph) bl_graph_free(inference.graph);
    bl_graph_free(step.graph);
    bl_layout_free(layout);
    return can;
}

// Of an image's size in the file; an image a class where labels are of whole images.
static double *input_values(const bl_tensor *input, const char *what) {
    const int64_t *dims = input->shape.dims;
    if (input->shape.rank > 1) return golden_values(GOLDEN, NULL, "%s/%dx%d", what, (int)dims[1], (int)dims[2]);
    double *labels = malloc((size_t)dims[0] * sizeof *labels);
    assert_non_null(labels);
    for (int64_t i = 0; i < dims[0]; i++) labels[i] = (double)i;
    return labels;
}

static void write_input(bl_plan *plan, const bl_tensor *input, const char *what) {
    double *values = input_values(input, what);
    assert_ok(bl_plan_write(plan, input, values));
    free(values);
}

static void expect_number(const bl_plan *plan, const bl_tensor *tensor, const char *group, const char *name, double allowed) {
    double *truth = golden_values(GOLDEN, NULL, "%s/%s", group, name), value;
    assert_ok(bl_plan_read(plan, tensor, &value));
    if (!(fabs(value - *truth) <= allowed)) fail_msg("%s of %s is %.17g, not %.17g", name, group, value, *truth);
    free(truth);
}

static void expect_scores(const bl_plan *plan, const bl_step_graph *step, const char *group, double allowed) {
    const int64_t count = bl_shape_count(&step->logits->shape);
    double *logits = malloc((size_t)count * sizeof *logits), *truth = golden_values(GOLDEN, NULL, "%s/logits", group);
    double products[MARKS] = {0}, norm = 0;
    assert_non_null(logits);
    assert_ok(bl_plan_read(plan, step->logits, logits));
    for (int64_t i = 0; i < count; i++) {
        norm += logits[i] * logits[i];
        for (int j = 0; j < MARKS; j++) products[j] += logits[i] * cos((j + 1) * (double)(i + 1));
    }
    const double off = bl_test_worst(products, truth, MARKS) / sqrt(norm);
    if (!(off <= allowed)) fail_msg("logits of %s are off by %.3g, at most %.0e", group, off, allowed);
    expect_number(plan, step->loss, group, "loss", allowed);
    free(logits);
    free(truth);
}

static void write_start(const golden_case *c, bl_store *store) {
    char encoder[GOLDEN_NAME], head[GOLDEN_NAME];
    snprintf(encoder, sizeof encoder, "start/%s", c->encoder);
    snprintf(head, sizeof head, c->is_segmentation ? "start/fcn%s" : "start/classifier", c->encoder + strlen("resnet"));
    assert_true(write_golden(store, GOLDEN, encoder) > 0);
    assert_true(write_golden(store, GOLDEN, head) > 0);
}

static void run_step(const golden_case *c, const char *name, double allowed, double gradients_allowed) {
    bl_layout *layout;
    bl_step_graph step, inference;
    bl_backend *backend;
    bl_store *store;
    bl_plan *plan, *seeing;
    char group[GOLDEN_NAME];
    assert_ok(bl_layout_create(&layout));
    build_step(c, BL_F32, layout, &step, &inference);
    assert_ok(bl_backend_open(&backend, name, &(bl_backend_options){.threads = 2, .isa = ""}));
    assert_ok(bl_store_create(backend, layout, &store));
    bl_tensor *learned[] = {step.loss, step.logits, step.correct};
    assert_ok(bl_plan_compile(store, step.graph, &(bl_compile_options){.accumulate = 1, .observe = learned, .observe_count = 3}, &plan));
    write_start(c, store);
    write_input(plan, step.images, "images");
    write_input(plan, step.labels, "labels");
    assert_ok(bl_plan_step(plan, 0, BL_PHASE_MICRO));
    expect_scores(plan, &step, c->name, allowed);
    if (c->is_segmentation) expect_number(plan, step.correct, c->name, "correct", 1e-3); // a pixel whose scores nearly tie may fall either way
    snprintf(group, sizeof group, "%s/gradients", c->name);
    assert_int_equal(expect_marks(store, GOLDEN, group, true, 1e-3, gradients_allowed), c->gradients);
    snprintf(group, sizeof group, "%s/after", c->name);
    assert_true(expect_marks(store, GOLDEN, group, false, 1e-3, allowed) > c->gradients);
    bl_plan_free(plan);
    if (c->is_segmentation) {
        bl_tensor *seen[] = {inference.loss, inference.logits};
        assert_ok(bl_plan_compile(store, inference.graph, &(bl_compile_options){.observe = seen, .observe_count = 2}, &seeing));
        write_input(seeing, inference.images, "images");
        write_input(seeing, inference.labels, "labels");
        assert_ok(bl_plan_step(seeing, 0, BL_PHASE_MICRO));
        snprintf(group, sizeof group, "%s/inference", c->name);
        expect_scores(seeing, &inference, group, allowed);
        bl_plan_free(seeing);
    }
    bl_store_free(store);
    bl_backend_close(backend);
    if (inference.graph) bl_graph_free(inference.graph);
    bl_graph_free(step.graph);
    bl_layout_free(layout);
}

static void reference_equals_pytorch(void **state) {
    if (bl_test_backend_is_named()) skip(); // the reference is the same whichever it is
    run_step(*state, "reference", 1e-11, 1e-9);
}

// ---- other backends: as a whole, and node by node, in bf16 too ----

static int judge(void *context, const bl_difference *d) {
    int *failures = context;
    if (!d->refused && d->nmse <= bl_isolate_limit(d->node)) return BL_OK;
    print_message("%s: %s\n", d->node->name, d->refused ? d->refused : "off");
    ++*failures;
    return BL_OK;
}

// What the step computes from the golden start, each node from the reference's operands.
static void expect_nodes(const golden_case *c, bl_dtype precision, const char *name) {
    bl_layout *layout;
    bl_step_graph step, inference;
    bl_backend *right, *judged;
    bl_store *store;
    int failures = 0;
    assert_ok(bl_layout_create(&layout));
    build_step(c, precision, layout, &step, &inference);
    assert_ok(bl_backend_open(&right, "reference", &(bl_backend_options){.threads = 1, .isa = ""}));
    assert_ok(bl_backend_open(&judged, name, &(bl_backend_options){.threads = 2, .isa = ""}));
    assert_ok(bl_store_create(right, layout, &store));
    write_start(c, store);
    double **values = bl_alloc((size_t)step.graph->tensor_count * sizeof *values);
    assert_non_null(values);
    for (int input = 0; input < 2; input++) {
        const bl_tensor *tensor = input ? step.labels : step.images;
        const int64_t count = bl_shape_count(&tensor->shape);
        double *given = input_values(tensor, input ? "labels" : "images");
        values[tensor->id] = bl_alloc((size_t)count * sizeof **values);
        assert_non_null(values[tensor->id]);
        memcpy(values[tensor->id], given, (size_t)count * sizeof *given);
        free(given);
    }
    assert_ok(bl_isolate_compare(right, judged, store, step.graph, values, judge, &failures));
    assert_int_equal(failures, 0);
    for (int i = 0; i < step.graph->tensor_count; i++) bl_free(values[i]);
    bl_free(values);
    bl_store_free(store);
    bl_backend_close(judged);
    bl_backend_close(right);
    if (inference.graph) bl_graph_free(inference.graph);
    bl_graph_free(step.graph);
    bl_layout_free(layout);
}

static void other_backends_follow_in_f32(void **state) {
    int run_count = 0;
    for (const char *const *name = bl_test_backends(); *name; name++) {
        if (is_reference(*name) || !can_run(*state, BL_F32, *name)) continue;
        run_step(*state, *name, 2e-5, 0.1); // rounding flips a ReLU here and there, and in images of few pixels each moves a gradient
        run_count++;
    }
    if (!run_count) skip();
}

static void every_node_of_theirs_is_the_references(void **state) {
    int run_count = 0;
    for (const char *const *name = bl_test_backends(); *name; name++)
        for (bl_dtype precision = BL_F32; precision <= BL_BF16; precision++) {
            if (is_reference(*name) || !can_run(*state, precision, *name)) continue;
            expect_nodes(*state, precision, *name);
            run_count++;
        }
    if (!run_count) skip();
}

static void the_file_holds_what_this_test_assumes(void **state) {
    (void)state;
    const golden_option assumed[] = {{"width", WIDTH}, {"batch", BATCH}, {"classes", CLASSES}};
    assert_options(GOLDEN, assumed, sizeof assumed / sizeof *assumed);
}

int main(void) {
    enum { COUNT = sizeof cases / sizeof *cases };
    const struct CMUnitTest first[] = {
        cmocka_unit_test(the_file_holds_what_this_test_assumes),
        cmocka_unit_test(resizing_and_its_gradient_are_pytorchs_up_and_down),
    };
    struct CMUnitTest exact[COUNT], followed[COUNT], taken_apart[COUNT];
    for (int i = 0; i < COUNT; i++) {
        exact[i] = (struct CMUnitTest){.name = cases[i].sentence, .test_func = reference_equals_pytorch, .initial_state = &cases[i]};
        followed[i] = exact[i];
        followed[i].test_func = other_backends_follow_in_f32;
        taken_apart[i] = exact[i];
        taken_apart[i].test_func = every_node_of_theirs_is_the_references;
    }
    return cmocka_run_group_tests(first, NULL, NULL) + cmocka_run_group_tests_name("reference", exact, NULL, NULL) +
           cmocka_run_group_tests_name("other backends", followed, NULL, NULL) +
           cmocka_run_group_tests_name("other backends, node by node", taken_apart, NULL, NULL);
}
