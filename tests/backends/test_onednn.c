// What the oneDNN backend promises beyond its operators: fusion changes no bit in f32, a repeated run no bit at all, and weights
// that change are packed again. Exits with 77 where the backend was not built.

#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "step_rig.h"

#define BATCH 4
#define SIZE 16
#define OUT 32
#define IMAGES (BL_VIEWS * BATCH * SIZE * SIZE * 3)
#define STEPS 3

static bl_model_options model_of(bl_dtype precision) {
    return (bl_model_options){
        .encoder = RESNET18(16),
        .projector = MLP(64, OUT, BL_NORM_HIDDEN),
        .method = {.predictor_head = MLP(64, OUT, BL_NORM_HIDDEN), .predictor_lr_scale = 1, .stop_gradient = true},
        .optimizer = {.kind = BL_OPTIMIZER_SGD, .momentum = .9, .weight_decay = 5e-4, .decay_norms = true},
        .image_size = SIZE,
        .precision = precision,
    };
}

static void compile(bl_rig *rig, const bl_compile_options *options) {
    bl_plan_free(rig->plan);
    rig->plan = NULL;
    assert_ok(bl_plan_compile(rig->store, rig->step.graph, options, &rig->plan));
}

static bl_rig opened(bl_dtype precision) {
    const bl_model_options model = model_of(precision);
    bl_rig rig = rig_open("onednn", &model, BATCH, 1);
    assert_ok(bl_store_initialize(rig.store, 0, true));
    return rig;
}

static void train(bl_rig *rig) {
    static double images[IMAGES];
    for (int step = 0; step < STEPS; step++) {
        bl_random random = bl_random_stream(7, "images", (uint32_t)step, 0, 0);
        for (int i = 0; i < IMAGES; i++) images[i] = (float)bl_random_normal(&random);
        rig_scalars(rig, .05, .9, step);
        rig_run(rig, images, BL_PHASE_MICRO | BL_PHASE_UPDATE);
    }
}

static void expect_same_block(const bl_rig *a, const bl_rig *b, const char *network, bl_block_kind block) {
    int64_t count;
    double *left = rig_read(a, rig_block(a, network, block), &count), *right = rig_read(b, rig_block(b, network, block), NULL);
    for (int64_t i = 0; i < count; i++)
        if (memcmp(&left[i], &right[i], sizeof *left))
            fail_msg("%s, block %d, value %lld: %.9g and %.9g", network, block, (long long)i, left[i], right[i]);
    free(left);
    free(right);
}

static void expect_same_state(const bl_rig *a, const bl_rig *b) {
    static const char *const networks[] = {"online", "target", "predictor"};
    for (size_t n = 0; n < 3; n++) expect_same_block(a, b, networks[n], BL_PARAMETERS);
    expect_same_block(a, b, "online", BL_BUFFERS);
    expect_same_block(a, b, "target", BL_BUFFERS);
    expect_same_block(a, b, "online", BL_GRADIENTS);
    expect_same_block(a, b, "online", BL_MOMENT1);
}

// The same operations in the same order, only in fewer passes over memory.
static void fused_f32_step_equals_one_node_at_a_time_bit_for_bit(void **state) {
    (void)state;
    bl_rig fused = opened(BL_F32), alone = opened(BL_F32);
    compile(&alone, &(bl_compile_options){.accumulate = 1, .observe_all = true});
    train(&fused);
    train(&alone);
    expect_same_state(&fused, &alone);
    rig_close(&fused);
    rig_close(&alone);
}

static void expect_repeatable(bl_dtype precision) {
    bl_rig first = opened(precision), second = opened(precision);
    train(&first);
    train(&second);
    expect_same_state(&first, &second);
    rig_close(&first);
    rig_close(&second);
}

static void repeated_run_gives_the_same_bits(void **state) {
    (void)state;
    const bl_model_options bf16 = model_of(BL_BF16);
    expect_repeatable(BL_F32);
    if (rig_can_run("onednn", &bf16, BATCH)) expect_repeatable(BL_BF16);
}

static const bl_node_report *row_of(const bl_plan_report *report, const char *node) {
    for (int i = 0; i < report->count; i++)
        if (!strcmp(report->rows[i].node->name, node)) return &report->rows[i];
    fail_msg("the report has no node '%s'", node);
    return NULL;
}

static const char *implementation(const bl_plan_report *report, const char *node) {
    return row_of(report, node)->implementation;
}

static bool is_fused(const bl_plan_report *report, const char *node) {
    return strstr(implementation(report, node), "fused into") != NULL;
}

static bl_tensor *found(const bl_rig *rig, const char *name) {
    bl_tensor *tensor = bl_graph_find(rig->step.graph, name);
    if (!tensor) fail_msg("there is no tensor '%s'", name);
    return tensor;
}

static void observed_value_is_not_fused_away(void **state) {
    (void)state;
    bl_rig rig = opened(BL_F32);
    bl_plan_report report;
    rig.backend->table->report(rig.plan, &report);
    assert_true(is_fused(&report, "online/relu"));
    bl_tensor *inner = found(&rig, "online/bn1");
    double *values = malloc((size_t)bl_shape_count(&inner->shape) * sizeof *values);
    assert_non_null(values);
    assert_int_equal(bl_plan_read(rig.plan, inner, values), BL_FAILED);
    assert_non_null(strstr(bl_error(), "online/bn1"));

    compile(&rig, &(bl_compile_options){.accumulate = 1, .observe = &inner, .observe_count = 1});
    rig.backend->table->report(rig.plan, &report);
    assert_false(is_fused(&report, "online/relu"));
    train(&rig);
    assert_ok(bl_plan_read(rig.plan, inner, values));
    double lowest = 0;
    for (int64_t i = 0; i < bl_shape_count(&inner->shape); i++) lowest = values[i] < lowest ? values[i] : lowest;
    assert_true(lowest < 0); // not what the ReLU made of it
    free(values);
    rig_close(&rig);
}

static void expect_winograd(bl_dtype precision, bool expected) {
    bl_rig rig = opened(precision);
    bl_plan_report report;
    rig.backend->table->report(rig.plan, &report);
    assert_int_equal(!strcmp(implementation(&report, "online/layer1.0.conv1"), "winograd_2x2"), expected);
    assert_string_not_equal(implementation(&report, "online/conv1"), "winograd_2x2");          // three channels
    assert_string_not_equal(implementation(&report, "online/layer2.0.conv1"), "winograd_2x2"); // stride two
    assert_string_not_equal(implementation(&report, "online/layer4.1.conv2"), "winograd_2x2"); // a tile an image
    rig_close(&rig);
}

static void three_by_three_convolutions_are_winograds_where_channels_and_tiles_suffice(void **state) {
    (void)state;
    expect_winograd(BL_F32, bl_test_has_avx512());
}

static void bf16_convolutions_are_winograds_where_f32_products_are_as_fast(void **state) {
    (void)state;
    const char *isa = bl_test_instruction_set();
    if (!bl_test_has_avx512()) skip();
    expect_winograd(BL_BF16, !strcmp(isa, "avx512") || !strcmp(isa, "avx512_vnni") || !strcmp(isa, "avx512_fp16"));
}

// ---- how often threads meet ----

static bool is_library(const bl_node_report *row) {
    switch (row->node->op) {
    case BL_OP_CONVOLUTION:
    case BL_OP_CONVOLUTION_BACKWARD_DATA:
    case BL_OP_CONVOLUTION_BACKWARD_WEIGHTS:
    case BL_OP_LINEAR:
    case BL_OP_LINEAR_BACKWARD_DATA:
    case BL_OP_LINEAR_BACKWARD_WEIGHTS: return strcmp(row->implementation, "winograd_2x2") != 0;
    default: return false;
    }
}

// Passes of the kernels, as they are written: statistics and application, and backward the same; packing and convolution.
static int passes_of(const bl_node_report *row) {
    const bool is_winograd = !strcmp(row->implementation, "winograd_2x2");
    if (strstr(row->implementation, "fused into") || strstr(row->implementation, "in place")) return 0;
    switch (row->node->op) {
    case BL_OP_BATCH_NORM:
    case BL_OP_BATCH_NORM_BACKWARD: return 2;
    case BL_OP_CONVOLUTION_BACKWARD_WEIGHTS: return is_winograd ? 2 : 0;
    case BL_OP_CONVOLUTION:
    case BL_OP_CONVOLUTION_BACKWARD_DATA: return is_winograd ? 2 : 0;
    case BL_OP_RUNNING_AVERAGE:
    case BL_OP_STOP_GRADIENT:
    case BL_OP_PROJECTION_STD: return 0;
    default: return !is_library(row);
    }
}

// Own nodes between two of oneDNN's share a region, or have none where they touch little: then they have no barriers either.
static void threads_meet_once_for_own_nodes_that_follow_one_another(void **state) {
    (void)state;
    bl_rig rig = opened(BL_F32);
    bl_plan_report report;
    rig.backend->table->timing(rig.plan, true);
    train(&rig);
    rig.backend->table->report(rig.plan, &report);
    int64_t regions = 0, barriers = 0, of_update = 0, of_own = 0;
    int library = 0;
    for (int i = 0; i < report.count; i++) {
        const bl_node_report *row = &report.rows[i];
        regions += row->regions;
        barriers += row->barriers;
        of_update += row->node->phase == BL_PHASE_UPDATE ? row->regions : 0;
        library += is_library(row);
        of_own += is_library(row) ? 0 : row->regions;
        if (is_library(row) && (row->regions < STEPS || row->barriers)) fail_msg("%s is oneDNN's: a region or more, no barrier", row->node->name);
        const int most = is_library(row) ? 3 : strstr(row->implementation, "+ add") ? 2 : 1; // a reorder, packing; a branch's convolution
        if (row->regions > STEPS * most) fail_msg("%s: %g regions a step", row->node->name, (double)row->regions / STEPS);
        if (row->barriers > STEPS * passes_of(row)) fail_msg("%s: %g barriers a step", row->node->name, (double)row->barriers / STEPS);
    }
    assert_true(of_own <= STEPS * (library + 1)); // there is one of oneDNN's between any two
    assert_true(of_update <= STEPS);              // finite, SGD of two networks and EMA in one, and that may be the backward pass's last
    assert_int_equal(row_of(&report, "loss")->regions, 0); // little
    assert_int_equal(row_of(&report, "online/layer1.0.bn1")->barriers, 2 * STEPS);
    assert_int_equal(row_of(&report, "online/layer1.0.bn1")->regions, bl_test_has_avx512() ? 0 : STEPS); // Winograd's has one open
    assert_int_equal(row_of(&report, "target/projector.1")->barriers, 0); // eight rows
    assert_int_equal(report.regions, regions);
    assert_int_equal(report.barriers, barriers + STEPS); // packing is a pass of no node's
    rig_close(&rig);
}

// Packed weights belong to a plan, the master to the store: whoever writes the master, every plan sees it.
static void weights_written_by_hand_are_packed_again(void **state) {
    (void)state;
    bl_rig trained = opened(BL_F32), copied = opened(BL_F32);
    train(&trained);
    train(&copied);
    static const char *const networks[] = {"online", "target", "predictor"};
    for (size_t n = 0; n < 3; n++)
        for (bl_block_kind kind = BL_PARAMETERS; kind <= BL_MOMENT1; kind++) {
            if (n == 1 && kind > BL_BUFFERS) continue;
            const bl_place place = rig_block(&trained, networks[n], kind);
            double *values = rig_read(&trained, place, NULL);
            const size_t count = bl_place_count(trained.layout, place);
            for (size_t i = 0; i < count; i++) values[i] = kind == BL_MOMENT1 ? 0 : (float)(.9 * values[i]);
            assert_ok(bl_store_write(trained.store, place, values));
            assert_ok(bl_store_write(copied.store, place, values));
            free(values);
        }
    compile(&copied, &(bl_compile_options){.accumulate = 1}); // nothing packed yet
    train(&trained);
    train(&copied);
    expect_same_state(&trained, &copied);
    rig_close(&trained);
    rig_close(&copied);
}

static void unknown_instruction_set_is_refused_with_those_there_are(void **state) {
    (void)state;
    bl_backend *backend = NULL;
    assert_int_equal(bl_backend_open(&backend, "onednn", &(bl_backend_options){.threads = 2, .isa = "avx3"}), BL_FAILED);
    assert_non_null(strstr(bl_error(), "avx512_bf16 or avx512_amx"));
}

static void not_a_number_stops_every_update(void **state) {
    (void)state;
    bl_rig rig = opened(BL_F32), untouched = opened(BL_F32);
    static double images[IMAGES];
    images[5] = 0. / 0.;
    rig_scalars(&rig, .05, .9, 0);
    rig_run(&rig, images, BL_PHASE_MICRO | BL_PHASE_UPDATE);
    double finite;
    assert_ok(bl_store_read(rig.store, (bl_place){.network = BL_SCALAR_NETWORK, .segment = BL_SCALAR_FINITE}, &finite));
    assert_true(finite == 0);
    assert_true(rig_value(&rig, rig.step.loss) != rig_value(&rig, rig.step.loss));
    for (size_t n = 0; n < 3; n++) expect_same_block(&rig, &untouched, (const char *[]){"online", "target", "predictor"}[n], BL_PARAMETERS);
    rig_close(&rig);
    rig_close(&untouched);
}

int main(void) {
    if (!bl_test_has_backend("onednn")) {
        puts("skipped: the oneDNN backend was not built");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fused_f32_step_equals_one_node_at_a_time_bit_for_bit),
        cmocka_unit_test(repeated_run_gives_the_same_bits),
        cmocka_unit_test(observed_value_is_not_fused_away),
        cmocka_unit_test(three_by_three_convolutions_are_winograds_where_channels_and_tiles_suffice),
        cmocka_unit_test(bf16_convolutions_are_winograds_where_f32_products_are_as_fast),
        cmocka_unit_test(threads_meet_once_for_own_nodes_that_follow_one_another),
        cmocka_unit_test(weights_written_by_hand_are_packed_again),
        cmocka_unit_test(unknown_instruction_set_is_refused_with_those_there_are),
        cmocka_unit_test(not_a_number_stops_every_update),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
