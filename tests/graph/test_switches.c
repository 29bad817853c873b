// Every switch of the method is an edit of the graph: which nodes it puts in, takes out and wires elsewhere.

#include <string.h>

#include "graph/byol.h"
#include "graph/op.h"
#include "graph_rig.h"
#include "models.h"
#include "support.h"

#define BATCH 4
#define SIZE 8

static bl_model_options plain(void) {
    return (bl_model_options){
            .encoder = RESNET18(2),
            .projector = MLP(10, 6, BL_NORM_HIDDEN),
            .method = {.predictor_head = MLP(10, 6, BL_NORM_HIDDEN), .predictor_lr_scale = 1, .stop_gradient = true},
            .optimizer = {.kind = BL_OPTIMIZER_SGD, .momentum = 0.9},
            .image_size = SIZE,
    };
}

static built build(const bl_model_options *o) {
    built b = {0};
    assert_ok(bl_layout_create(&b.layout));
    assert_ok(bl_byol_build(&b.step, b.layout, o, BATCH));
    print_all_nodes(&b);
    return b;
}

// One edit a switch. `m` is the model, a copy of the plain one.
#define EDIT(name, ...) \
    static void name(bl_model_options *m) { __VA_ARGS__; }
EDIT(nothing, (void)m)
EDIT(linear_predictor, m->method.predictor = BL_PREDICTOR_LINEAR)
EDIT(no_predictor, m->method.predictor = BL_PREDICTOR_NONE)
EDIT(fixed_predictor, m->method.predictor = BL_PREDICTOR_FIXED)
EDIT(deep_predictor, m->method.predictor_head.depth = 3)
EDIT(eager_predictor, m->method.predictor_lr_scale = 10)
EDIT(deep_projector, m->projector.depth = 3)
EDIT(one_layer_projector, m->projector.depth = 1)
EDIT(projector_without_norm, m->projector.batch_norm = BL_NORM_NONE)
EDIT(projector_all_norms, m->projector.batch_norm = BL_NORM_ALL)
EDIT(no_hidden_bias, m->projector.hidden_bias = false)
EDIT(no_out_bias, m->projector.out_bias = false)
EDIT(padded_stem, m->encoder.stem_padding = 2)
EDIT(imagenet_stem, m->encoder.stem = BL_STEM_IMAGENET)
EDIT(half_statistics, m->encoder.statistics_rows = BATCH / 2)
EDIT(whole_statistics, m->encoder.statistics_rows = 2 * BATCH)
EDIT(online_target, m->method.target = BL_TARGET_ONLINE)
EDIT(frozen_target, m->method.target = BL_TARGET_FROZEN)
EDIT(target_first, m->method.target_update = BL_UPDATE_BEFORE_FORWARD)
EDIT(averaged_buffers, m->method.average_buffers = true)
EDIT(averaged_buffers_first, m->method.average_buffers = true; m->method.target_update = BL_UPDATE_BEFORE_FORWARD)
EDIT(running_target, m->method.average_buffers = m->method.target_running = true)
EDIT(gradient_of_both, m->method.target = BL_TARGET_ONLINE; m->method.stop_gradient = false)
EDIT(same_view, m->method.pairing = BL_SAME_VIEW)
EDIT(plain_distance, m->method.normalization = BL_LOSS_NONE)
EDIT(layer_norm_loss, m->method.normalization = BL_LOSS_LAYER_NORM)
EDIT(batch_norm_loss, m->method.normalization = BL_LOSS_BATCH_NORM)
EDIT(mean_loss, m->method.reduction = BL_REDUCE_MEAN)
EDIT(half_loss, m->method.reduction = BL_REDUCE_HALF)
EDIT(one_way, m->method.one_direction = true)
EDIT(probed, m->probe_classes = 10; m->probe_lr_scale = 3)
EDIT(lars, m->optimizer = (bl_optimizer_options){.kind = BL_OPTIMIZER_LARS, .momentum = 0.9, .eta = 0.5})
EDIT(lars_of_solo_learn, m->optimizer = (bl_optimizer_options){.kind = BL_OPTIMIZER_LARS, .momentum = 0.9, .nesterov = true, .eta = 0.5,
                                                               .trust_epsilon = 0.25, .clip = true, .decay_apart = true})

typedef struct edit {
    void (*make)(bl_model_options *model);
    const char *present[6], *absent[4]; // pieces of the text
} edit;

static const edit edits[] = {
        {nothing,
         {"= linear(online/projector.3, store/predictor/parameters/predictor.0.weight, store/predictor/parameters/predictor.0.bias)",
          "= stop_gradient(target/projector.3)", "= byol_loss(predictor/predictor.3, stop_gradient) groups=2\n",
          "check_finite(loss, store/finite, store/online/gradients, store/predictor/gradients)",
          "update ema = ema(store/target/parameters, store/online/parameters, store/tau, store/finite)", "micro target/bn1.running_average"},
         {"begin ", "labels", "normalization"}},
        {linear_predictor,
         {"network predictor trainable", "micro predictor/predictor.0: f32 [8, 6] = linear(online/projector.3, ",
          "= byol_loss(predictor/predictor.0, stop_gradient)"},
         {"predictor.1"}},
        {no_predictor, {"= byol_loss(online/projector.3, stop_gradient)"}, {"predictor"}},
        {fixed_predictor,
         {"network predictor\n", "= byol_loss(predictor/predictor.3, stop_gradient)", "micro predictor/predictor.0.backward_data",
          "micro predictor/predictor.1.running_average", "check_finite(loss, store/finite, store/online/gradients)"},
         {"sgd/predictor", "store/predictor/gradients", "predictor/predictor.0.backward_weights", "predictor/predictor.0.backward_bias"}},
        {deep_predictor,
         {"predictor/predictor.3: f32 [8, 10] = linear(predictor/predictor.2, ", "predictor/predictor.4: f32 [8, 10] = batch_norm(",
          "predictor/predictor.6: f32 [8, 6] = linear(predictor/predictor.5, ", "= byol_loss(predictor/predictor.6, stop_gradient)"},
         {"predictor.7"}},
        {eager_predictor, {"predictor/predictor.3.weight [6, 10] lr_scale=10", "online/conv1.weight [2, 3, 3, 3] lr_scale=1 "}, {NULL}},
        {deep_projector, {"= linear(online/projector.6, store/predictor/parameters/predictor.0.weight", "= stop_gradient(target/projector.6)"}, {NULL}},
        {one_layer_projector, {"online/projector.0: f32 [8, 6] = linear(online/avgpool, "}, {"projector.1"}},
        {projector_without_norm, {"online/projector.1: f32 [8, 10] = relu(online/projector.0)"}, {"online/projector.3", "= batch_norm(online/projector"}},
        {projector_all_norms,
         {"online/projector.4: f32 [8, 6] = batch_norm(online/projector.3, ", "= linear(online/projector.4, ",
          "= stop_gradient(target/projector.4)", "micro online/projector.4.running_average"},
         {NULL}},
        {no_hidden_bias, {"= linear(online/avgpool, store/online/parameters/projector.0.weight, -)"}, {"/projector.0.bias"}},
        {no_out_bias, {"= linear(online/projector.2, store/online/parameters/projector.3.weight, -)"}, {"/projector.3.bias"}},
        {padded_stem, {"micro online/conv1: f32 [8, 10, 10, 2] = convolution(", "micro target/conv1: f32 [8, 10, 10, 2] = convolution("}, {NULL}},
        {imagenet_stem,
         {"parameter online/conv1.weight [2, 7, 7, 3] lr_scale=1",
          "micro online/conv1: f32 [8, 4, 4, 2] = convolution(images, store/online/parameters/conv1.weight) kernel=7 stride=2 padding=3 dilation=1\n",
          "micro online/maxpool: f32 [8, 2, 2, 2] = max_pool(online/relu) kernel=3 stride=2 padding=1\n",
          "micro online/layer1.0.conv1: f32 [8, 2, 2, 2] = convolution(online/maxpool, ",
          "micro online/maxpool.backward: f32 [8, 4, 4, 2] = max_pool_backward(online/relu, online/maxpool.gradient_sum) kernel=3 stride=2 padding=1\n",
          "micro target/maxpool: f32 [8, 2, 2, 2] = max_pool(target/relu) "},
         {"target/maxpool.backward"}},
        {half_statistics,
         {"online/parameters/bn1.bias) groups=4 ", "target/parameters/bn1.bias) groups=4 ", "projector.1.bias) groups=4 ", "predictor.1.bias) groups=4 ",
          "stop_gradient) groups=2\n", "projection_std(online/projector.3) groups=2\n"},
         {NULL}},
        {whole_statistics, {"bn1.bias) groups=1 ", "stop_gradient) groups=2\n"}, {"bias) groups=2"}},
        {online_target, {"= stop_gradient(online/projector.3)", "= byol_loss(predictor/predictor.3, stop_gradient)"}, {"target", "ema"}},
        {frozen_target, {"= stop_gradient(target/projector.3)", "micro target/bn1.running_average"}, {"ema"}},
        {target_first, {"begin ema = ema(store/target/parameters, store/online/parameters, store/tau, store/finite)"}, {"update ema"}},
        {averaged_buffers,
         {"update ema = ", "update ema/buffers = ema(store/target/buffers, store/online/buffers, store/tau, store/finite)",
          "micro online/bn1.running_average", "target/bn1: f32 [8, 8, 8, 2] = batch_norm("},
         {"micro target/bn1.running_average", "micro target/projector.1.running_average"}},
        {averaged_buffers_first, {"begin ema = ", "begin ema/buffers = "}, {"update ema"}},
        {running_target,
         {"target/bn1: f32 [8, 8, 8, 2] = batch_norm_running(target/conv1, store/target/parameters/bn1.weight, "
          "store/target/parameters/bn1.bias, store/target/buffers/bn1.running_mean, store/target/buffers/bn1.running_var)",
          "= batch_norm_running(target/projector.0, ", "online/bn1: f32 [8, 8, 8, 2] = batch_norm(", "update ema/buffers"},
         {"= batch_norm(target/"}},
        {gradient_of_both, {"= byol_loss(predictor/predictor.3, online/projector.3)", "online/projector.3.gradient_sum"}, {"stop_gradient"}},
        {same_view, {"stop_gradient) groups=2 pairing=same_view\n"}, {NULL}},
        {plain_distance, {"stop_gradient) groups=2 normalization=none\n"}, {NULL}},
        {layer_norm_loss, {"stop_gradient) groups=2 normalization=layer_norm\n"}, {NULL}},
        {batch_norm_loss,
         {"network normalization\n", "parameter normalization/weight [6] value=0.408248290463863",
          "normalization/prediction: f32 [8, 6] = batch_norm(predictor/predictor.3, store/normalization/parameters/weight, "
          "store/normalization/parameters/bias) groups=2 ",
          "normalization/target: f32 [8, 6] = batch_norm(stop_gradient, ",
          "= byol_loss(normalization/prediction, normalization/target) groups=2 normalization=none\n",
          "projection_std(online/projector.3)"},
         {"normalization/prediction.running_average", "store/normalization/gradients"}},
        {mean_loss, {"stop_gradient) groups=2 reduction=mean\n"}, {NULL}},
        {half_loss, {"stop_gradient) groups=2 reduction=half\n"}, {NULL}},
        {one_way, {"stop_gradient) groups=2 one_direction\n"}, {NULL}},
        {probed,
         {"input labels f32 [8]", "parameter probe/fc.weight [10, 16] lr_scale=3", "= stop_gradient(online/avgpool)",
          "probe/fc: f32 [8, 10] = linear(probe/stop_gradient, ", "probe/loss: f32 [1] = cross_entropy(probe/fc, labels)",
          "store/predictor/gradients, store/probe/gradients, probe/loss)"},
         {"probe/fc.backward_data"}},
        {lars,
         {"update lars/online = lars(store/online/parameters, store/online/gradients, store/online/moment1, store/learning_rate, store/finite) "
          "momentum=0.90000000000000002 eta=0.5\n",
          "update lars/predictor", "online/conv1.weight [2, 3, 3, 3] lr_scale=1 decay adapt\n", "online/bn1.weight [2] lr_scale=1\n"},
         {"sgd", "moment2"}},
        {lars_of_solo_learn, {"finite) epsilon=0.25 momentum=0.90000000000000002 nesterov eta=0.5 clip decay_apart\n"}, {NULL}},
};
#define EDITS (sizeof edits / sizeof *edits)

static void each_switch_puts_in_takes_out_and_wires_its_nodes(void **state) {
    (void)state;
    for (size_t i = 0; i < EDITS; i++) {
        bl_model_options model = plain();
        edits[i].make(&model);
        built b = build(&model);
        for (int k = 0; k < 6 && edits[i].present[k]; k++)
            if (!strstr(b.text.chars, edits[i].present[k])) fail_msg("edit %zu: '%s' is missing", i, edits[i].present[k]);
        for (int k = 0; k < 4 && edits[i].absent[k]; k++)
            if (strstr(b.text.chars, edits[i].absent[k])) fail_msg("edit %zu: '%s' should not be there", i, edits[i].absent[k]);
        release(&b);
    }
}

static void each_switch_has_a_digest_of_its_own(void **state) {
    (void)state;
    char digests[EDITS][65];
    for (size_t i = 0; i < EDITS; i++) {
        bl_model_options model = plain();
        edits[i].make(&model);
        built b = build(&model);
        strcpy(digests[i], b.step.graph->digest);
        for (size_t k = 0; k < i; k++)
            if (!strcmp(digests[i], digests[k])) fail_msg("edits %zu and %zu are one graph", k, i);
        release(&b);
    }
}

static void expect_order(const bl_graph *graph) {
    for (int i = 0; i < graph->node_count; i++) {
        const bl_node *node = graph->nodes[i];
        assert_int_equal(node->id, i);
        for (int k = 0; k < node->input_count; k++)
            if (node->inputs[k] && node->inputs[k]->role == BL_ROLE_VALUE) assert_true(node->inputs[k]->producer->id < i);
        const int *writes = bl_op_rules[node->op]->writes;
        for (int w = 0; w < BL_MAX_INPUTS && writes[w]; w++)
            for (int j = i + 1; j < graph->node_count; j++) {
                const bl_node *later = graph->nodes[j];
                if (later->phase != node->phase || bl_op_rules[later->op]->writes[0]) continue;
                for (int k = 0; k < later->input_count; k++) assert_ptr_not_equal(later->inputs[k], node->inputs[writes[w] - 1]);
            }
        // What moves before the forward stands before all else.
        if (node->phase == BL_PHASE_BEGIN && i > 0) assert_int_equal(graph->nodes[i - 1]->phase, BL_PHASE_BEGIN);
    }
}

static void every_node_runs_after_what_it_reads_and_every_writer_after_its_readers(void **state) {
    (void)state;
    for (size_t i = 0; i < EDITS; i++) {
        bl_model_options model = plain();
        edits[i].make(&model);
        built b = build(&model);
        expect_order(b.step.graph);
        release(&b);
    }
}

static int accumulations(const bl_graph *graph, int network, int segment) {
    int count = 0;
    for (int i = 0; i < graph->node_count; i++) {
        if (graph->nodes[i]->op != BL_OP_ACCUMULATE) continue;
        const bl_place place = graph->nodes[i]->inputs[1]->place;
        count += place.network == network && place.segment == segment;
    }
    return count;
}

static void every_segment_that_learns_is_accumulated_once_and_no_other(void **state) {
    (void)state;
    for (size_t i = 0; i < EDITS; i++) {
        bl_model_options model = plain();
        edits[i].make(&model);
        built b = build(&model);
        for (int n = 0; n < b.layout->network_count; n++)
            for (int s = 0; s < b.layout->networks[n].parameters.count; s++)
                assert_int_equal(accumulations(b.step.graph, n, s), b.layout->networks[n].trainable ? 1 : 0);
        release(&b);
    }
}

// The target's table is the online network's whatever the switch: its average is one pass over two blocks.
static void the_targets_blocks_are_laid_out_as_the_onlines(void **state) {
    (void)state;
    for (size_t i = 0; i < EDITS; i++) {
        bl_model_options model = plain();
        edits[i].make(&model);
        built b = build(&model);
        const int target = bl_layout_find_network(b.layout, "target"), online = bl_layout_find_network(b.layout, "online");
        for (int block = BL_PARAMETERS; target >= 0 && block <= BL_BUFFERS; block++) {
            const bl_segments *ours = bl_network_segments(&b.layout->networks[target], block);
            const bl_segments *theirs = bl_network_segments(&b.layout->networks[online], block);
            assert_int_equal(ours->count, theirs->count);
            for (int s = 0; s < ours->count; s++) {
                assert_string_equal(ours->items[s].name, theirs->items[s].name);
                assert_int_equal(ours->items[s].offset, theirs->items[s].offset);
            }
        }
        release(&b);
    }
}

// Initial values belong to the recipe, not to what is computed.
static void rules_that_draw_weights_leave_the_graph_as_it_is(void **state) {
    (void)state;
    bl_model_options model = plain(), drawn = plain();
    drawn.encoder.zero_init_residual = true;
    drawn.encoder.init.convolution = drawn.projector.init = BL_INIT_TRUNCATED_FAN_IN;
    drawn.method.target_init = BL_TARGET_INDEPENDENT;
    drawn.encoder.statistics_rows = BATCH; // a view, as it is without the switch
    built b = build(&model), other = build(&drawn);
    assert_string_equal(b.step.graph->digest, other.step.graph->digest);
    const bl_segments *segments = &other.layout->networks[bl_layout_find_network(other.layout, "online")].parameters;
    const struct {
        const char *name;
        bl_init_kind kind;
    } cases[] = {
            {"conv1.weight", BL_INIT_TRUNCATED_FAN_IN}, {"layer1.0.bn1.weight", BL_INIT_ONE}, {"layer1.0.bn2.weight", BL_INIT_ZERO},
            {"layer2.0.downsample.1.weight", BL_INIT_ONE}, {"projector.0.weight", BL_INIT_TRUNCATED_FAN_IN},
            {"projector.0.bias", BL_INIT_ZERO}, {"projector.1.weight", BL_INIT_ONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(segments->items[bl_segments_find(segments, cases[i].name)].init.kind, cases[i].kind);
    assert_int_equal(segments->items[bl_segments_find(segments, "conv1.weight")].init.fan, 27);
    release(&b);
    release(&other);
}

EDIT(unset_depth, m->projector.depth = 0)
EDIT(unset_width, m->projector.hidden = 0)
EDIT(unset_init, m->encoder.init.convolution = BL_INIT_ZERO)
EDIT(unset_head_init, m->method.predictor_head.init = BL_INIT_ZERO)
EDIT(unset_padding, m->encoder.stem_padding = 0)
EDIT(padded_imagenet_stem, m->encoder.stem = BL_STEM_IMAGENET; m->encoder.stem_padding = 2)
EDIT(odd_statistics, m->encoder.statistics_rows = 3)
EDIT(running_without_average, m->method.target_running = true)
EDIT(frozen_first, m->method.target = BL_TARGET_FROZEN; m->method.target_update = BL_UPDATE_BEFORE_FORWARD)
EDIT(online_buffers, m->method.target = BL_TARGET_ONLINE; m->method.average_buffers = true)
EDIT(lars_without_trust, m->optimizer.kind = BL_OPTIMIZER_LARS)

static void what_cannot_be_built_says_why(void **state) {
    (void)state;
    const struct {
        void (*make)(bl_model_options *model);
        const char *says;
    } cases[] = {
            {unset_depth, "depth 0"},
            {unset_width, "at least one feature"},
            {unset_init, "convolutions have no initialisation"},
            {unset_head_init, "predictor.0: the linear layer has no initialisation"},
            {unset_padding, "stem_padding 0"},
            {padded_imagenet_stem, "stem_padding 2 is of the CIFAR stem"},
            {odd_statistics, "statistics_rows 3 does not divide the 8 rows"},
            {running_without_average, "must average"},
            {frozen_first, "never moves"},
            {online_buffers, "only an ema target averages"},
            {lars_without_trust, "eta"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bl_model_options model = plain();
        bl_layout *layout;
        bl_step_graph step;
        cases[i].make(&model);
        assert_ok(bl_layout_create(&layout));
        assert_int_equal(bl_byol_build(&step, layout, &model, BATCH), BL_FAILED);
        assert_null(step.graph);
        if (!strstr(bl_error(), cases[i].says)) fail_msg("case %zu says: %s", i, bl_error());
        bl_layout_free(layout);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(each_switch_puts_in_takes_out_and_wires_its_nodes),
            cmocka_unit_test(each_switch_has_a_digest_of_its_own),
            cmocka_unit_test(every_node_runs_after_what_it_reads_and_every_writer_after_its_readers),
            cmocka_unit_test(every_segment_that_learns_is_accumulated_once_and_no_other),
            cmocka_unit_test(the_targets_blocks_are_laid_out_as_the_onlines),
            cmocka_unit_test(rules_that_draw_weights_leave_the_graph_as_it_is),
            cmocka_unit_test(what_cannot_be_built_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
