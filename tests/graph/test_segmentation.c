// ResNet-50 and FCN-8s as graphs: shapes, names, what learns, and what is refused. Their values: test_golden_segmentation.

#include <string.h>

#include "graph/encoders.h"
#include "graph/segmentation.h"
#include "graph_rig.h"
#include "models.h"
#include "support.h"

static bl_encoder_options encoder(const char *name) {
    bl_encoder_options options = RESNET18(4);
    options.name = name;
    options.stem = BL_STEM_IMAGENET;
    return options;
}

static bl_segmentation_options plain(void) {
    return (bl_segmentation_options){
            .encoder = encoder("resnet18"), .optimizer = {.kind = BL_OPTIMIZER_SGD}, .classes = 19, .head_lr_scale = 1};
}

// ---- ResNet-50 ----

static void expect_taps(const bl_encoder_options *options, const int64_t sides[4]) {
    bl_layout *layout;
    bl_graph *graph;
    bl_tensor *images;
    bl_taps taps;
    int online;
    assert_ok(bl_layout_create(&layout));
    assert_ok(bl_graph_create(&graph, layout));
    assert_ok(bl_layout_network(layout, "online", true, &online));
    assert_ok(bl_graph_input(graph, "images", BL_F32, (bl_shape){4, {1, 64, 64, 3}}, &images));
    assert_ok(bl_encoder_build(graph, online, "online/", options, (bl_norm_mode){0}, images, &taps));
    for (int stage = 0; stage < 4; stage++) {
        const bl_shape expected = {4, {1, sides[stage], sides[stage], 4 * options->width << stage}};
        assert_true(bl_shape_equal(&taps.stages[stage]->shape, &expected));
    }
    assert_int_equal(taps.pooled->shape.dims[1], 4 * 8 * options->width);
    assert_int_equal(layout->networks[online].parameters.count, 159); // torchvision's resnet50 without fc
    assert_int_equal(layout->networks[online].buffers.count, 106);
    bl_graph_free(graph);
    bl_layout_free(layout);
}

static void dilation_keeps_the_last_stages_as_large_as_the_one_before(void **state) {
    (void)state;
    static const int64_t sides[4][4] = {{16, 8, 4, 2}, {16, 8, 4, 4}, {16, 8, 8, 8}, {16, 16, 16, 16}};
    for (int dilated = 0; dilated < 4; dilated++) {
        bl_encoder_options options = encoder("resnet50");
        options.dilated_stages = dilated;
        expect_taps(&options, sides[dilated]);
    }
}

static void the_last_norm_of_a_bottleneck_is_the_one_that_may_start_at_zero(void **state) {
    (void)state;
    bl_segmentation_options o = plain();
    o.encoder = encoder("resnet50");
    o.encoder.zero_init_residual = true;
    built b = {0};
    assert_ok(bl_layout_create(&b.layout));
    assert_ok(bl_segmentation_build(&b.step, b.layout, &o, 1, 64, 64));
    const bl_segments *segments = &b.layout->networks[bl_layout_find_network(b.layout, "online")].parameters;
    int zeros = 0;
    for (int s = 0; s < segments->count; s++)
        zeros += strstr(segments->items[s].name, ".weight") && segments->items[s].init.kind == BL_INIT_ZERO;
    assert_int_equal(zeros, 3 + 4 + 6 + 3);
    assert_int_equal(segments->items[bl_segments_find(segments, "layer3.5.bn3.weight")].init.kind, BL_INIT_ZERO);
    release(&b);
}

// ---- FCN-8s ----

static void scores_are_as_large_as_the_image_where_no_stride_divides_it_too(void **state) {
    (void)state;
    static const int64_t sizes[][2] = {{64, 96}, {50, 71}, {33, 32}};
    bl_segmentation_options o = plain();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        built b = {0};
        assert_ok(bl_layout_create(&b.layout));
        assert_ok(bl_segmentation_inference_build(&b.step, b.layout, &o, 2, sizes[i][0], sizes[i][1]));
        const bl_shape logits = {4, {2, sizes[i][0], sizes[i][1], 19}}, labels = {3, {2, sizes[i][0], sizes[i][1]}};
        assert_true(bl_shape_equal(&b.step.predicted->shape, &labels));
        assert_true(bl_shape_equal(&b.step.logits->shape, &logits));
        assert_true(bl_shape_equal(&b.step.labels->shape, &labels));
        release(&b);
    }
}

static void a_frozen_encoder_neither_learns_nor_moves_its_statistics(void **state) {
    (void)state;
    for (int frozen = 0; frozen < 2; frozen++) {
        bl_segmentation_options o = plain();
        o.frozen = frozen;
        built b = {0};
        assert_ok(bl_layout_create(&b.layout));
        assert_ok(bl_segmentation_build(&b.step, b.layout, &o, 2, 64, 64));
        print_all_nodes(&b);
        assert_int_equal(strstr(b.text.chars, "online/layer4.1.conv2.backward_weights") != NULL, !frozen);
        assert_int_equal(strstr(b.text.chars, "online/bn1.running_average") != NULL, !frozen);
        assert_non_null(strstr(b.text.chars, "fcn/score32.0.backward_weights"));
        assert_non_null(strstr(b.text.chars, "fcn/score8.1.running_average"));
        release(&b);
    }
}

// So an encoder's weights go from one to the other as they are, whatever the size of the image.
static void training_and_inference_share_one_layout(void **state) {
    (void)state;
    const bl_segmentation_options o = plain();
    built b = {0};
    bl_step_graph inference;
    assert_ok(bl_layout_create(&b.layout));
    assert_ok(bl_segmentation_build(&b.step, b.layout, &o, 2, 64, 64));
    b.layout->sealed = true;
    assert_ok(bl_segmentation_inference_build(&inference, b.layout, &o, 1, 96, 160));
    assert_string_not_equal(b.step.graph->digest, inference.graph->digest);
    bl_graph_free(inference.graph);
    release(&b);
}

#define EDIT(name, ...) \
    static void name(bl_segmentation_options *o) { __VA_ARGS__; }
EDIT(unknown, o->encoder.name = "vgg16")
EDIT(dilated_basic_blocks, o->encoder.dilated_stages = 1)
EDIT(dilated_everywhere, o->encoder = encoder("resnet50"); o->encoder.dilated_stages = 4)
EDIT(no_classes, o->classes = 0)
EDIT(too_narrow, o->encoder.width = 3)
EDIT(uneven_statistics, o->encoder.statistics_rows = 3)

static void what_cannot_be_built_says_why(void **state) {
    (void)state;
    const struct {
        void (*make)(bl_segmentation_options *options);
        const char *says;
    } cases[] = {
            {unknown, "no encoder is called vgg16; there are resnet18, resnet34, resnet50"},
            {dilated_basic_blocks, "the blocks of resnet18 have no dilation"},
            {dilated_everywhere, "4 dilated stages"},
            {no_classes, "0 classes"},
            {too_narrow, "narrows 6 channels by 8: write a larger network.width"},
            {uneven_statistics, "statistics_rows 3 does not divide"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bl_segmentation_options options = plain();
        bl_layout *layout;
        bl_step_graph step;
        cases[i].make(&options);
        assert_ok(bl_layout_create(&layout));
        assert_int_equal(bl_segmentation_build(&step, layout, &options, 2, 64, 64), BL_FAILED);
        assert_null(step.graph);
        if (!strstr(bl_error(), cases[i].says)) fail_msg("case %zu says: %s", i, bl_error());
        bl_layout_free(layout);
    }
}

// ---- the operators' rules ----

static void operators_refuse_shapes_that_do_not_fit(void **state) {
    (void)state;
    bl_layout *layout;
    bl_graph *graph;
    bl_tensor *x, *labels, *row;
    bl_node *node;
    assert_ok(bl_layout_create(&layout));
    assert_ok(bl_graph_create(&graph, layout));
    assert_ok(bl_graph_input(graph, "x", BL_F32, (bl_shape){4, {2, 4, 6, 3}}, &x));
    assert_ok(bl_graph_input(graph, "labels", BL_F32, (bl_shape){3, {2, 6, 4}}, &labels));
    assert_ok(bl_graph_input(graph, "row", BL_F32, (bl_shape){1, {3}}, &row));
    const struct {
        bl_op op;
        bl_attributes attributes;
        bl_tensor *inputs[2];
        int count;
        const char *says;
    } cases[] = {
            {BL_OP_RESIZE, {.shape = {4, {2, 8, 8, 4}}}, {x}, 1, "height and width alone"},
            {BL_OP_RESIZE, {.shape = {4, {2, 0, 8, 3}}}, {x}, 1, "height and width alone"},
            {BL_OP_RESIZE, {0}, {x}, 1, "height and width alone"},
            {BL_OP_CROSS_ENTROPY, {0}, {x, labels}, 2, "labels must be f32, one a row of logits"},
            {BL_OP_CROSS_ENTROPY, {0}, {row, labels}, 2, "logits must have rows of features"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(bl_graph_node(graph, cases[i].op, "node", &cases[i].attributes, cases[i].inputs, cases[i].count, &node), BL_FAILED);
        if (!strstr(bl_error(), cases[i].says)) fail_msg("case %zu says: %s", i, bl_error());
    }
    bl_graph_free(graph);
    bl_layout_free(layout);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(dilation_keeps_the_last_stages_as_large_as_the_one_before),
            cmocka_unit_test(the_last_norm_of_a_bottleneck_is_the_one_that_may_start_at_zero),
            cmocka_unit_test(scores_are_as_large_as_the_image_where_no_stride_divides_it_too),
            cmocka_unit_test(a_frozen_encoder_neither_learns_nor_moves_its_statistics),
            cmocka_unit_test(training_and_inference_share_one_layout),
            cmocka_unit_test(what_cannot_be_built_says_why),
            cmocka_unit_test(operators_refuse_shapes_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
