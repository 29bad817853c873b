// What must hold of a BYOL step whatever the numbers are, on every backend that is here.

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "base/random.h"
#include "graph/encoders.h"
#include "step_rig.h"

#define BATCH 6
#define SIZE 16
#define OUT 32
#define IMAGE (SIZE * SIZE * 3)

static const bl_model_options plain = {
    .encoder = RESNET18(16),
    .projector = MLP(64, OUT, BL_NORM_HIDDEN),
    .method = {.predictor_head = MLP(64, OUT, BL_NORM_HIDDEN), .predictor_lr_scale = 1, .stop_gradient = true},
    .optimizer = {.kind = BL_OPTIMIZER_SGD, .momentum = .9, .weight_decay = 5e-4, .decay_norms = true},
    .image_size = SIZE,
};

static bool is_f64(const char *backend) {
    return !strcmp(backend, "reference");
}

// Plain loops take their time: the reference checks the same claims at half the width.
static bl_model_options model_for(const char *backend, bl_dtype precision) {
    bl_model_options model = plain;
    model.precision = precision;
    if (is_f64(backend)) model.encoder.width = 8;
    return model;
}

typedef void (*invariant)(const char *backend, bl_dtype precision);

// `reference` computes in f64 whatever the precision says: it is asked once.
static void on_every_backend(invariant check, bool with_bf16) {
    for (const char *const *name = bl_test_backends(); *name; name++) {
        check(*name, BL_F32);
        const bl_model_options model = model_for(*name, BL_BF16);
        if (with_bf16 && !is_f64(*name) && rig_can_run(*name, &model, BATCH)) check(*name, BL_BF16);
    }
}

static void draw_images(double *images, uint32_t step) {
    for (uint32_t row = 0; row < BL_VIEWS * BATCH; row++) {
        bl_random random = bl_random_stream(5, "images", row, step, 0);
        for (int i = 0; i < IMAGE; i++) images[row * IMAGE + i] = (float)bl_random_normal(&random);
    }
}

static bl_rig opened(const char *backend, const bl_model_options *model, int accumulate) {
    bl_rig rig = rig_open(backend, model, BATCH, accumulate);
    assert_ok(bl_store_initialize(rig.store, 0, true));
    return rig;
}

static void expect_same_bits(const bl_rig *a, bl_place place_a, const bl_rig *b, bl_place place_b, const char *what) {
    int64_t count_a, count_b;
    double *values_a = rig_read(a, place_a, &count_a), *values_b = rig_read(b, place_b, &count_b);
    assert_int_equal(count_a, count_b);
    if (memcmp(values_a, values_b, (size_t)count_a * sizeof *values_a))
        fail_msg("%s differ, by up to %.3g", what, bl_test_worst(values_a, values_b, count_a));
    free(values_a);
    free(values_b);
}

// |a - b| <= allowed |b|, over the whole block.
static void expect_close(const double *a, const double *b, int64_t count, double allowed, const char *what) {
    const double off = sqrt(bl_test_nmse(a, b, count));
    if (!(off <= allowed)) fail_msg("%s is off by %.3g of its norm, at most %.0e", what, off, allowed);
}

// ---- the target ----

static void check_tau_zero(const char *backend, bl_dtype precision) {
    bl_model_options ema = model_for(backend, precision), online = ema;
    online.method.target = BL_TARGET_ONLINE;
    bl_rig a = opened(backend, &ema, 1), b = opened(backend, &online, 1);
    double images[BL_VIEWS * BATCH * IMAGE];
    for (int step = 0; step < 4; step++) {
        draw_images(images, (uint32_t)step);
        rig_scalars(&a, .05, 0, step);
        rig_scalars(&b, .05, 0, step);
        rig_run(&a, images, BL_PHASE_MICRO | BL_PHASE_UPDATE);
        rig_run(&b, images, BL_PHASE_MICRO | BL_PHASE_UPDATE);
        const double with_ema = rig_value(&a, a.step.loss), without = rig_value(&b, b.step.loss);
        if (with_ema != without) fail_msg("%s: loss %d is %.17g with a target, %.17g without", backend, step, with_ema, without);
        expect_same_bits(&a, rig_block(&a, "online", BL_PARAMETERS), &b, rig_block(&b, "online", BL_PARAMETERS), "online weights");
        expect_same_bits(&a, rig_block(&a, "online", BL_BUFFERS), &b, rig_block(&b, "online", BL_BUFFERS), "online running statistics");
        expect_same_bits(&a, rig_block(&a, "target", BL_BUFFERS), &b, rig_block(&b, "online", BL_BUFFERS), "target running statistics");
        expect_same_bits(&a, rig_block(&a, "predictor", BL_BUFFERS), &b, rig_block(&b, "predictor", BL_BUFFERS),
                         "predictor running statistics");
    }
    rig_close(&a);
    rig_close(&b);
}

static void tau_zero_with_a_copy_equals_an_online_target_bit_for_bit(void **state) {
    (void)state;
    on_every_backend(check_tau_zero, true);
}

static void check_frozen(const char *backend, bl_dtype precision) {
    bl_model_options model = model_for(backend, precision);
    model.method.target = BL_TARGET_FROZEN;
    bl_rig rig = opened(backend, &model, 1);
    int64_t count;
    double *target = rig_read(&rig, rig_block(&rig, "target", BL_PARAMETERS), &count);
    double images[BL_VIEWS * BATCH * IMAGE];
    for (int step = 0; step < 3; step++) {
        draw_images(images, (uint32_t)step);
        rig_scalars(&rig, .05, .5, step);
        rig_run(&rig, images, BL_PHASE_MICRO | BL_PHASE_UPDATE);
    }
    double *after = rig_read(&rig, rig_block(&rig, "target", BL_PARAMETERS), NULL);
    double *online = rig_read(&rig, rig_block(&rig, "online", BL_PARAMETERS), NULL);
    assert_memory_equal(target, after, (size_t)count * sizeof *target);
    assert_true(bl_test_worst(online, target, count) > 1e-3); // the online network did move
    free(target);
    free(after);
    free(online);
    rig_close(&rig);
}

static void frozen_target_does_not_move(void **state) {
    (void)state;
    on_every_backend(check_frozen, true);
}

// ---- views ----

// In bf16 a view's place moves rounding, which the ReLUs then spread: f32 only.
static void check_swap(const char *backend, bl_dtype precision) {
    const double allowed = is_f64(backend) ? 1e-12 : 1e-6;
    const bl_model_options model = model_for(backend, precision);
    bl_rig rig = opened(backend, &model, 1), swapped = opened(backend, &model, 1);
    double images[BL_VIEWS * BATCH * IMAGE], exchanged[BL_VIEWS * BATCH * IMAGE];
    draw_images(images, 0);
    memcpy(exchanged, images + BATCH * IMAGE, BATCH * IMAGE * sizeof *images);
    memcpy(exchanged + BATCH * IMAGE, images, BATCH * IMAGE * sizeof *images);
    rig_run(&rig, images, BL_PHASE_MICRO);
    rig_run(&swapped, exchanged, BL_PHASE_MICRO);
    const double loss = rig_value(&rig, rig.step.loss), other = rig_value(&swapped, swapped.step.loss);
    expect_close(&other, &loss, 1, allowed, "loss");
    static const char *const networks[] = {"online", "predictor"};
    for (int n = 0; n < 2; n++) {
        int64_t count;
        double *g = rig_read(&rig, rig_block(&rig, networks[n], BL_GRADIENTS), &count);
        double *h = rig_read(&swapped, rig_block(&swapped, networks[n], BL_GRADIENTS), NULL);
        expect_close(h, g, count, allowed, networks[n]);
        free(g);
        free(h);
    }
    rig_close(&rig);
    rig_close(&swapped);
}

static void swapped_views_keep_crossed_loss_and_gradients(void **state) {
    (void)state;
    on_every_backend(check_swap, false);
}

typedef struct forward { // encoder and projector in train mode, without a loss
    bl_layout *layout;
    bl_graph *graph;
    bl_tensor *images, *projection;
    bl_backend *backend;
    bl_store *store;
    bl_plan *plan;
} forward;

static forward forward_open(const char *backend, const bl_model_options *model, int64_t rows, int groups) {
    forward f = {0};
    int online;
    bl_taps taps;
    const bl_norm_mode mode = {.training = true, .update_buffers = true, .groups = groups};
    assert_ok(bl_layout_create(&f.layout));
    assert_ok(bl_graph_create(&f.graph, f.layout));
    assert_ok(bl_layout_network(f.layout, "online", true, &online));
    assert_ok(bl_graph_input(f.graph, "images", BL_F32, (bl_shape){4, {rows, SIZE, SIZE, 3}}, &f.images));
    assert_ok(bl_encoder_build(f.graph, online, "online/", &model->encoder, mode, f.images, &taps));
    assert_ok(bl_mlp_build(f.graph, online, "online/", "projector", &model->projector, 1, mode, taps.pooled, &f.projection));
    bl_graph_seal(f.graph);
    assert_ok(bl_backend_open(&f.backend, backend, &(bl_backend_options){.threads = 2, .isa = ""}));
    assert_ok(bl_store_create(f.backend, f.layout, &f.store));
    assert_ok(bl_store_initialize(f.store, 0, true));
    assert_ok(bl_plan_compile(f.store, f.graph,
                              &(bl_compile_options){.accumulate = 1, .observe = &f.projection, .observe_count = 1}, &f.plan));
    return f;
}

static void forward_run(forward *f, const double *images, double *projection) {
    assert_ok(bl_plan_write(f->plan, f->images, images));
    assert_ok(bl_plan_step(f->plan, 0, BL_PHASE_MICRO));
    assert_ok(bl_plan_read(f->plan, f->projection, projection));
}

static void forward_close(forward *f) {
    bl_plan_free(f->plan);
    bl_store_free(f->store);
    bl_backend_close(f->backend);
    bl_graph_free(f->graph);
    bl_layout_free(f->layout);
}

// A backend may choose another algorithm for another number of rows; through 20 layers that moved an f32 projection by 2e-6.
static void check_groups(const char *backend, bl_dtype precision) {
    const double allowed = is_f64(backend) ? 1e-13 : 1e-5;
    const bl_model_options model = model_for(backend, precision);
    forward stacked = forward_open(backend, &model, BL_VIEWS * BATCH, BL_VIEWS), single = forward_open(backend, &model, BATCH, 1);
    double images[BL_VIEWS * BATCH * IMAGE], together[BL_VIEWS * BATCH * OUT], apart[BL_VIEWS * BATCH * OUT];
    draw_images(images, 0);
    forward_run(&stacked, images, together);
    forward_run(&single, images, apart);
    forward_run(&single, images + BATCH * IMAGE, apart + BATCH * OUT);
    expect_close(together, apart, BL_VIEWS * BATCH * OUT, allowed, "projection");
    const bl_segments *buffers = &stacked.layout->networks[0].buffers;
    for (int s = 0; s < buffers->count; s++) {
        double ours[512], theirs[512];
        const int64_t count = bl_shape_count(&buffers->items[s].shape);
        assert_true(count <= 512);
        assert_ok(bl_store_read(stacked.store, (bl_place){0, BL_BUFFERS, s}, ours));
        assert_ok(bl_store_read(single.store, (bl_place){0, BL_BUFFERS, s}, theirs));
        expect_close(ours, theirs, count, allowed, buffers->items[s].name);
    }
    forward_close(&stacked);
    forward_close(&single);
}

static void two_groups_equal_two_separate_forwards(void **state) {
    (void)state;
    on_every_backend(check_groups, false);
}

// ---- accumulation ----

static void check_accumulation(const char *backend, bl_dtype precision) {
    const double allowed = is_f64(backend) ? 1e-13 : 1e-6;
    bl_model_options model = model_for(backend, precision);
    model.optimizer.weight_decay = 0; // then the first momentum is the gradient that the optimiser saw
    bl_rig once = opened(backend, &model, 1), twice = opened(backend, &model, 2);
    double images[BL_VIEWS * BATCH * IMAGE], *sum = NULL;
    int64_t count;
    rig_scalars(&once, 0, 1, 0); // updates that move nothing clear the gradients
    for (uint32_t step = 0; step < 2; step++) {
        draw_images(images, step);
        rig_run(&once, images, BL_PHASE_MICRO);
        rig_run(&twice, images, BL_PHASE_MICRO);
        double *g = rig_read(&once, rig_block(&once, "online", BL_GRADIENTS), &count);
        if (sum)
            for (int64_t i = 0; i < count; i++) g[i] += sum[i];
        free(sum);
        sum = g;
        assert_ok(bl_plan_step(once.plan, 0, BL_PHASE_UPDATE));
    }
    double *accumulated = rig_read(&twice, rig_block(&twice, "online", BL_GRADIENTS), NULL);
    expect_close(accumulated, sum, count, allowed, "sum of two gradients");
    rig_scalars(&twice, 0, 1, 0);
    assert_ok(bl_plan_step(twice.plan, 0, BL_PHASE_UPDATE));
    double *seen = rig_read(&twice, rig_block(&twice, "online", BL_MOMENT1), NULL);
    for (int64_t i = 0; i < count; i++) sum[i] /= 2;
    expect_close(seen, sum, count, allowed, "mean of two gradients");
    free(seen);
    free(accumulated);
    free(sum);
    rig_close(&once);
    rig_close(&twice);
}

static void micro_steps_add_and_the_optimiser_takes_their_mean(void **state) {
    (void)state;
    on_every_backend(check_accumulation, false);
}

// ---- initial weights ----

static bl_rig opened_with_seed(const bl_model_options *model, uint64_t seed, bool target_copies_online) {
    bl_rig rig = rig_open("reference", model, BATCH, 1);
    assert_ok(bl_store_initialize(rig.store, seed, target_copies_online));
    return rig;
}

static void removing_the_predictor_changes_no_other_initial_weight(void **state) {
    (void)state;
    bl_model_options without = plain;
    without.method.predictor = BL_PREDICTOR_NONE;
    bl_rig a = opened_with_seed(&plain, 3, true), b = opened_with_seed(&without, 3, true);
    expect_same_bits(&a, rig_block(&a, "online", BL_PARAMETERS), &b, rig_block(&b, "online", BL_PARAMETERS), "online weights");
    expect_same_bits(&a, rig_block(&a, "target", BL_PARAMETERS), &b, rig_block(&b, "target", BL_PARAMETERS), "target weights");
    rig_close(&a);
    rig_close(&b);
}

// Every weight is drawn by its own name: another target changes neither the online network nor the predictor.
static void another_target_changes_no_other_initial_weight(void **state) {
    (void)state;
    bl_model_options online = plain;
    online.method.target = BL_TARGET_ONLINE;
    bl_rig a = opened_with_seed(&plain, 3, false), b = opened_with_seed(&online, 3, true);
    expect_same_bits(&a, rig_block(&a, "online", BL_PARAMETERS), &b, rig_block(&b, "online", BL_PARAMETERS), "online weights");
    expect_same_bits(&a, rig_block(&a, "predictor", BL_PARAMETERS), &b, rig_block(&b, "predictor", BL_PARAMETERS), "predictor weights");
    rig_close(&a);
    rig_close(&b);
}

static void expect_digest(const bl_rig *rig, const char *network, const char *expected) {
    int64_t count;
    double *weights = rig_read(rig, rig_block(rig, network, BL_PARAMETERS), &count);
    float *floats = malloc((size_t)count * sizeof *floats);
    char digest[65];
    assert_non_null(floats);
    for (int64_t i = 0; i < count; i++) floats[i] = (float)weights[i];
    bl_digest_hex(floats, (size_t)count * sizeof *floats, digest);
    assert_string_equal(digest, expected);
    free(weights);
    free(floats);
}

static void initial_weights_of_seed_0_never_change(void **state) {
    (void)state;
    bl_rig copy = opened_with_seed(&plain, 0, true), independent = opened_with_seed(&plain, 0, false);
    expect_digest(&copy, "online", "b2b9b065856f227d984545225bda9180f433b43318e52af61b8fb1a4b301b676");
    expect_digest(&copy, "target", "b2b9b065856f227d984545225bda9180f433b43318e52af61b8fb1a4b301b676");
    expect_digest(&copy, "predictor", "72c9f975c2650e6f716483d4c8f09c4e1d71d9bfa1bd2c6d5f3e9c08bf4e416d");
    expect_digest(&independent, "target", "24b0a8b40dd851cac881d4839feffd8aa145c5c2cc9b4abdb93f4fc6ce73028d");
    rig_close(&copy);
    rig_close(&independent);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tau_zero_with_a_copy_equals_an_online_target_bit_for_bit),
        cmocka_unit_test(frozen_target_does_not_move),
        cmocka_unit_test(swapped_views_keep_crossed_loss_and_gradients),
        cmocka_unit_test(two_groups_equal_two_separate_forwards),
        cmocka_unit_test(micro_steps_add_and_the_optimiser_takes_their_mean),
        cmocka_unit_test(removing_the_predictor_changes_no_other_initial_weight),
        cmocka_unit_test(another_target_changes_no_other_initial_weight),
        cmocka_unit_test(initial_weights_of_seed_0_never_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
