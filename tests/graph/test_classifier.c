// Steps that learn from labels: what their graphs are made of. What they compute: test_golden_finetune.

#include <string.h>

#include "graph/classifier.h"
#include "graph_rig.h"
#include "models.h"
#include "support.h"

#define ROWS 6

static bl_classifier_options plain(void) {
    return (bl_classifier_options){
            .encoder = RESNET18(2),
            .optimizer = {.kind = BL_OPTIMIZER_SGD, .momentum = 0.9},
            .image_size = 8,
            .classes = 3,
            .head_lr_scale = 10,
    };
}

typedef int (*builder)(bl_step_graph *out, bl_layout *layout, const bl_classifier_options *options, int64_t rows);

static int head_alone(bl_step_graph *out, bl_layout *layout, const bl_classifier_options *options, int64_t rows) {
    return bl_classifier_head_build(out, layout, options, 5, rows);
}

static built build(builder make, const bl_classifier_options *options) {
    built b = {0};
    assert_ok(bl_layout_create(&b.layout));
    assert_ok(make(&b.step, b.layout, options, ROWS));
    print_all_nodes(&b);
    return b;
}

static void each_step_is_made_of_what_it_needs(void **state) {
    (void)state;
    const struct {
        builder make;
        bool frozen;
        int hidden, statistics_rows;
        const char *present[6], *absent[5];
    } cases[] = {
            {bl_classifier_build, false, 0, 0,
             {"network online trainable", "parameter classifier/fc.weight [3, 16] lr_scale=10", "online/parameters/bn1.bias) groups=1 ",
              "micro loss: f32 [1] = cross_entropy(classifier/fc, labels)", "update sgd/online", "update sgd/classifier"},
             {"stop_gradient", "batch_norm_running"}},
            {bl_classifier_build, false, 7, 3,
             {"classifier/fc.0: f32 [6, 7] = linear(online/avgpool, ", "classifier/fc.2: f32 [6, 3] = linear(classifier/fc.1, ",
              "online/parameters/bn1.bias) groups=2 "},
             {NULL}},
            {bl_classifier_build, true, 0, 0,
             {"network online\n", "micro stop_gradient: f32 [6, 16] = stop_gradient(online/avgpool)", "= batch_norm_running(online/conv1, ",
              "check_finite(loss, store/finite, store/classifier/gradients)", "update sgd/classifier"},
             {"sgd/online", "running_average", "online/gradients", "backward_data"}},
            {bl_classifier_inference_build, false, 0, 0,
             {"network online trainable", "= batch_norm_running(online/conv1, ", "micro loss: f32 [1] = cross_entropy("},
             {"update", "backward"}},
            {head_alone, false, 0, 0,
             {"input features f32 [6, 5]", "classifier/fc: f32 [6, 3] = linear(features, ", "update sgd/classifier"},
             {"online", "backward_data"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bl_classifier_options options = plain();
        options.frozen = cases[i].frozen;
        options.hidden = cases[i].hidden;
        options.encoder.statistics_rows = cases[i].statistics_rows;
        built b = build(cases[i].make, &options);
        for (int k = 0; k < 6 && cases[i].present[k]; k++)
            if (!strstr(b.text.chars, cases[i].present[k])) fail_msg("case %zu: '%s' is missing", i, cases[i].present[k]);
        for (int k = 0; k < 5 && cases[i].absent[k]; k++)
            if (strstr(b.text.chars, cases[i].absent[k])) fail_msg("case %zu: '%s' should not be there", i, cases[i].absent[k]);
        release(&b);
    }
}

// So a run's encoder is read into a classifier as it is.
static void the_encoder_has_the_segments_of_byols(void **state) {
    (void)state;
    const bl_classifier_options options = plain();
    const bl_model_options model = {
            .encoder = RESNET18(2),
            .projector = MLP(10, 6, BL_NORM_HIDDEN),
            .method = {.predictor = BL_PREDICTOR_NONE, .stop_gradient = true},
            .image_size = 8,
    };
    built b = build(bl_classifier_build, &options);
    bl_layout *layout;
    bl_step_graph byol;
    assert_ok(bl_layout_create(&layout));
    assert_ok(bl_byol_build(&byol, layout, &model, 4));
    for (int block = BL_PARAMETERS; block <= BL_BUFFERS; block++) {
        const bl_segments *ours = bl_network_segments(&b.layout->networks[bl_layout_find_network(b.layout, "online")], block);
        const bl_segments *theirs = bl_network_segments(&layout->networks[bl_layout_find_network(layout, "online")], block);
        assert_int_equal(ours->count, block == BL_PARAMETERS ? 60 : 40); // torchvision's resnet18 without fc
        for (int s = 0; s < ours->count; s++) {
            assert_string_equal(ours->items[s].name, theirs->items[s].name);
            assert_int_equal(ours->items[s].offset, theirs->items[s].offset);
        }
    }
    bl_graph_free(byol.graph);
    bl_layout_free(layout);
    release(&b);
}

static void inference_shares_the_sealed_layout_of_the_step(void **state) {
    (void)state;
    for (int frozen = 0; frozen < 2; frozen++) {
        bl_classifier_options options = plain();
        bl_step_graph inference;
        options.frozen = frozen;
        built b = build(bl_classifier_build, &options);
        b.layout->sealed = true;
        assert_ok(bl_classifier_inference_build(&inference, b.layout, &options, 10));
        assert_int_equal(inference.logits->shape.dims[0], 10);
        bl_graph_free(inference.graph);
        release(&b);
    }
}

static void what_cannot_be_built_says_why(void **state) {
    (void)state;
    bl_layout *layout;
    bl_step_graph step;
    bl_classifier_options options = plain();
    assert_ok(bl_layout_create(&layout));
    options.classes = 0;
    assert_int_equal(bl_classifier_build(&step, layout, &options, ROWS), BL_FAILED);
    assert_null(step.graph);
    assert_non_null(strstr(bl_error(), "0 classes"));
    options = plain();
    options.encoder.statistics_rows = 4;
    assert_int_equal(bl_classifier_build(&step, layout, &options, ROWS), BL_FAILED);
    assert_non_null(strstr(bl_error(), "does not divide the 6 rows"));
    options = plain();
    options.encoder.init.linear = BL_INIT_ZERO;
    assert_int_equal(bl_classifier_head_build(&step, layout, &options, 5, ROWS), BL_FAILED);
    assert_non_null(strstr(bl_error(), "classifier/fc: the linear layer has no initialisation"));
    bl_layout_free(layout);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(each_step_is_made_of_what_it_needs),
            cmocka_unit_test(the_encoder_has_the_segments_of_byols),
            cmocka_unit_test(inference_shares_the_sealed_layout_of_the_step),
            cmocka_unit_test(what_cannot_be_built_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
