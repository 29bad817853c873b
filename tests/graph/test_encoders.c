// The table of encoders: what a row says is what is built, and what the schema offers.

#include <string.h>

#include "experiment/schema.h"
#include "golden_marks.h"
#include "graph/byol.h"
#include "graph/encoders.h"
#include "models.h"
#include "support.h"

#define SIDE 64
#define WIDTH 4

typedef struct built_encoder {
    bl_layout *layout;
    bl_graph *graph;
    bl_taps taps;
} built_encoder;

// `encoder` need not be in the table.
static int build(built_encoder *b, const bl_encoder *encoder, int dilated_stages) {
    bl_encoder_options options = RESNET18(WIDTH);
    bl_tensor *images;
    bl_builder builder = {.prefix = "online/", .lr_scale = 1};
    options.name = encoder->name;
    options.stem = BL_STEM_IMAGENET;
    options.dilated_stages = dilated_stages;
    assert_ok(bl_layout_create(&b->layout));
    assert_ok(bl_graph_create(&b->graph, b->layout));
    assert_ok(bl_layout_network(b->layout, "online", true, &builder.network));
    assert_ok(bl_graph_input(b->graph, "images", BL_F32, (bl_shape){4, {1, SIDE, SIDE, 3}}, &images));
    builder.graph = b->graph;
    return encoder->build(&builder, encoder, &options, images, &b->taps);
}

static void release(built_encoder *b) {
    bl_graph_free(b->graph);
    bl_layout_free(b->layout);
}

static void expect_taps(const bl_encoder *encoder) {
    const int stages = bl_encoder_stages(encoder);
    built_encoder b = {0};
    assert_ok(build(&b, encoder, 0));
    for (int s = 0; s < stages; s++) {
        const int side = SIDE / encoder->stages[s].downsampling;
        const bl_shape expected = {4, {1, side, side, WIDTH * encoder->stages[s].channels}};
        if (!bl_shape_equal(&b.taps.stages[s]->shape, &expected)) fail_msg("stage %d of %s has another shape", s, encoder->name);
    }
    assert_int_equal(b.taps.pooled->shape.dims[1], WIDTH * encoder->stages[stages - 1].channels);
    release(&b);
}

static void taps_have_the_size_and_channels_that_a_row_says(void **state) {
    (void)state;
    for (int i = 0; i < bl_encoder_count; i++) expect_taps(&bl_encoders[i]);
}

// OIHW, as torch has it, of a convolution; zeros behind what has fewer dimensions.
static bool has_shape(const bl_shape *ours, const double *theirs) {
    static const int of_convolution[] = {0, 3, 1, 2}, of_vector[] = {0, 1, 2, 3};
    const int *axes = ours->rank == 4 ? of_convolution : of_vector;
    for (int i = 0; i < BL_MAX_RANK; i++)
        if ((double)(i < ours->rank ? ours->dims[axes[i]] : 0) != theirs[i]) return false;
    return true;
}

// At its own width, one by one in their order.
static void expect_torchvisions_tensors(const char *encoder, int64_t parameters) {
    const bl_encoder_options options = {.name = encoder, .stem = BL_STEM_IMAGENET, .stem_padding = 1, .width = 64,
                                        .init = {BL_INIT_KAIMING_FAN_OUT, BL_INIT_UNIFORM_FAN_IN}};
    int64_t count, values = 0;
    golden_name *names = golden_names("encoders.h5", encoder, &count);
    double *shapes = golden_values("encoders.h5", NULL, "%s/shapes", encoder);
    bl_features_graph graph;
    bl_layout *layout;
    int next[2] = {0};
    assert_ok(bl_layout_create(&layout));
    assert_ok(bl_features_build(&graph, layout, &options, SIDE, 1));
    const bl_segments *segments[] = {&layout->networks[0].parameters, &layout->networks[0].buffers};
    for (int64_t i = 0; i < count; i++) {
        const int kind = strstr(names[i], ".running_") != NULL, s = next[kind]++;
        assert_true(s < segments[kind]->count);
        assert_string_equal(segments[kind]->items[s].name, names[i]);
        if (!has_shape(&segments[kind]->items[s].shape, shapes + 4 * i)) fail_msg("%s of %s has another shape", names[i], encoder);
        if (!kind) values += bl_shape_count(&segments[kind]->items[s].shape);
    }
    for (int kind = 0; kind < 2; kind++) assert_int_equal(next[kind], segments[kind]->count);
    assert_int_equal(values, parameters);
    bl_graph_free(graph.graph);
    bl_layout_free(layout);
    free(names), free(shapes);
}

static void names_shapes_and_count_of_parameters_are_torchvisions(void **state) {
    (void)state;
    static const struct {
        const char *encoder;
        int64_t parameters; // of torchvision's, without fc
    } cases[] = {{"resnet18", 11176512}, {"resnet34", 21284672}, {"resnet50", 23508032}};
    assert_int_equal(sizeof cases / sizeof *cases, bl_encoder_count);
    for (int i = 0; i < bl_encoder_count; i++) expect_torchvisions_tensors(cases[i].encoder, cases[i].parameters);
}

static const bl_encoder deep = {"deep", bl_resnet_of_basic_blocks, {{1, 1, 4}, {2, 2, 8}, {1, 3, 8}, {1, 4, 16}, {1, 8, 64}}};

static void a_row_may_have_other_stages_than_four(void **state) {
    (void)state;
    assert_int_equal(bl_encoder_stages(&deep), 5);
    expect_taps(&deep);
    const bl_encoder full = {"full", bl_resnet_of_basic_blocks,
                             {{1, 1, 4}, {1, 1, 8}, {1, 1, 8}, {1, 1, 8}, {1, 1, 8}, {1, 1, 8}, {1, 1, 8}, {1, 2, 16}}};
    assert_int_equal(bl_encoder_stages(&full), BL_MAX_STAGES);
    expect_taps(&full);
}

static void a_stage_is_found_by_its_stride_or_refused_by_name(void **state) {
    (void)state;
    int stage;
    assert_ok(bl_encoder_tap(&deep, 16, &stage));
    assert_int_equal(stage, 3);
    assert_int_equal(bl_encoder_tap(&deep, 32, &stage), BL_FAILED);
    assert_string_equal(bl_error(), "no stage of deep is 32 times smaller than the image: write another network.encoder");
}

static void dilation_is_offered_where_it_can_be_built(void **state) {
    (void)state;
    for (int i = 0; i < bl_encoder_count; i++) {
        built_encoder b = {0};
        const char *offered = strstr("|" BL_DILATED_ENCODERS "|", bl_encoders[i].name);
        const bool is_offered = offered && offered[-1] == '|' && offered[strlen(bl_encoders[i].name)] == '|';
        assert_int_equal(build(&b, &bl_encoders[i], 1) == BL_OK, is_offered);
        release(&b);
    }
}

static void the_schema_offers_the_table_in_its_order(void **state) {
    (void)state;
    const bl_choice *choice = bl_schema_find("network.encoder")->choices;
    for (int i = 0; i < bl_encoder_count; i++, choice++) {
        const bl_encoder *found;
        assert_string_equal(choice->name, bl_encoders[i].name);
        assert_ok(bl_encoder_find(choice->name, &found));
        assert_ptr_equal(found, &bl_encoders[i]);
    }
    assert_null(choice->name);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(taps_have_the_size_and_channels_that_a_row_says),
            cmocka_unit_test(names_shapes_and_count_of_parameters_are_torchvisions),
            cmocka_unit_test(a_row_may_have_other_stages_than_four),
            cmocka_unit_test(a_stage_is_found_by_its_stride_or_refused_by_name),
            cmocka_unit_test(dilation_is_offered_where_it_can_be_built),
            cmocka_unit_test(the_schema_offers_the_table_in_its_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
