// Every switch of the method has the effect it is named after: steps of a tiny model on `reference`.

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "step_rig.h"

#define BATCH 4
#define ROWS (BL_VIEWS * BATCH)
#define SIZE 8
#define IMAGE (SIZE * SIZE * 3)
#define OUT 6
#define FEATURES 16
#define RATE .05
#define TAU .75

static bl_model_options plain(void) {
    return (bl_model_options){
        .encoder = RESNET18(2),
        .projector = MLP(10, OUT, BL_NORM_HIDDEN),
        .method = {.predictor_head = MLP(10, OUT, BL_NORM_HIDDEN), .predictor_lr_scale = 1, .stop_gradient = true,
                   .target_init = BL_TARGET_INDEPENDENT},
        .optimizer = {.kind = BL_OPTIMIZER_SGD, .momentum = .9, .weight_decay = 1e-3},
        .image_size = SIZE,
    };
}

static void draw_images(double *images, int64_t rows, uint32_t step) {
    for (uint32_t row = 0; row < rows; row++) {
        bl_random random = bl_random_stream(5, "images", row, step, 0);
        for (int i = 0; i < IMAGE; i++) images[row * IMAGE + i] = (float)bl_random_normal(&random);
    }
}

static bl_rig opened(const bl_model_options *model, int64_t batch, int accumulate) {
    bl_rig rig = rig_open("reference", model, batch, accumulate);
    assert_ok(bl_store_initialize(rig.store, 1, model->method.target_init == BL_TARGET_COPY));
    rig_scalars(&rig, RATE, TAU, 0);
    return rig;
}

static void run_step(bl_rig *rig, uint32_t step, unsigned phases) {
    double images[ROWS * IMAGE];
    draw_images(images, ROWS, step);
    rig_run(rig, images, phases);
}

#define WHOLE_STEP (BL_PHASE_BEGIN | BL_PHASE_MICRO | BL_PHASE_UPDATE)

static double *read_block(const bl_rig *rig, const char *network, bl_block_kind block, int64_t *count) {
    return rig_read(rig, rig_block(rig, network, block), count);
}

static double *read_tensor(const bl_rig *rig, const bl_tensor *tensor) {
    double *values = malloc((size_t)bl_shape_count(&tensor->shape) * sizeof *values);
    assert_non_null(values);
    assert_ok(bl_plan_read(rig->plan, tensor, values));
    return values;
}

static double *read_named(const bl_rig *rig, const char *name) {
    const bl_tensor *tensor = bl_graph_find(rig->step.graph, name);
    if (!tensor) fail_msg("there is no tensor '%s'", name);
    return read_tensor(rig, tensor);
}

// Compares and frees both.
static void expect_equal(double *a, double *b, int64_t count, const char *what) {
    if (memcmp(a, b, (size_t)count * sizeof *a)) fail_msg("%s differ, by up to %.3g", what, bl_test_worst(a, b, count));
    free(a);
    free(b);
}

static void expect_near(double a, double b, double allowed, const char *what) {
    if (!(fabs(a - b) <= allowed * fmax(1, fabs(b)))) fail_msg("%s: %.17g, expected %.17g", what, a, b);
}

// ---- predictor ----

static void a_fixed_predictor_keeps_its_weights_and_the_encoder_learns_through_it(void **state) {
    (void)state;
    bl_model_options model = plain();
    model.method.predictor = BL_PREDICTOR_FIXED;
    bl_rig rig = opened(&model, BATCH, 1);
    int64_t count, weights;
    double *before = read_block(&rig, "predictor", BL_PARAMETERS, &count), *online = read_block(&rig, "online", BL_PARAMETERS, &weights);
    for (uint32_t step = 0; step < 3; step++) run_step(&rig, step, WHOLE_STEP);
    double *after = read_block(&rig, "online", BL_PARAMETERS, NULL);
    assert_true(bl_test_worst(online, after, weights) > 1e-3);
    expect_equal(read_block(&rig, "predictor", BL_PARAMETERS, NULL), before, count, "weights of a fixed predictor");
    free(online);
    free(after);
    rig_close(&rig);
}

static void a_linear_predictor_is_one_matrix_and_a_bias(void **state) {
    (void)state;
    bl_model_options model = plain();
    model.method.predictor = BL_PREDICTOR_LINEAR;
    bl_rig rig = opened(&model, BATCH, 1);
    run_step(&rig, 0, BL_PHASE_MICRO);
    double *x = read_tensor(&rig, rig.step.projection), *y = read_tensor(&rig, rig.step.prediction);
    double *w = rig_read(&rig, rig_place(&rig, "predictor", BL_PARAMETERS, "predictor.0.weight"), NULL);
    double *b = rig_read(&rig, rig_place(&rig, "predictor", BL_PARAMETERS, "predictor.0.bias"), NULL);
    for (int row = 0; row < ROWS; row++)
        for (int o = 0; o < OUT; o++) {
            double sum = b[o];
            for (int i = 0; i < OUT; i++) sum += w[o * OUT + i] * x[row * OUT + i];
            expect_near(y[row * OUT + o], sum, 1e-12, "prediction");
        }
    free(x);
    free(y);
    free(w);
    free(b);
    rig_close(&rig);
}

// ---- target ----

// t <- tau t + (1 - tau) o, in the form that backends use.
static void average(double *t, const double *o, int64_t count) {
    for (int64_t i = 0; i < count; i++) t[i] = TAU * t[i] + (1 - TAU) * o[i];
}

static void a_target_updated_before_the_forward_is_one_average_ahead(void **state) {
    (void)state;
    bl_model_options after = plain(), before = plain();
    before.method.target_update = BL_UPDATE_BEFORE_FORWARD;
    bl_rig a = opened(&after, BATCH, 1), b = opened(&before, BATCH, 1);
    int64_t count;
    double *target = read_block(&a, "target", BL_PARAMETERS, &count), *online = read_block(&a, "online", BL_PARAMETERS, NULL);
    average(target, online, count);
    assert_ok(bl_store_write(a.store, rig_block(&a, "target", BL_PARAMETERS), target));
    free(target);
    free(online);
    for (uint32_t step = 0; step < 3; step++) {
        run_step(&a, step, WHOLE_STEP);
        run_step(&b, step, WHOLE_STEP);
        assert_true(rig_value(&a, a.step.loss) == rig_value(&b, b.step.loss));
    }
    run_step(&b, 3, BL_PHASE_BEGIN);
    expect_equal(read_block(&b, "target", BL_PARAMETERS, NULL), read_block(&a, "target", BL_PARAMETERS, NULL), count, "targets");
    rig_close(&a);
    rig_close(&b);
}

static void averaged_buffers_mix_the_targets_with_the_onlines(void **state) {
    (void)state;
    bl_model_options model = plain();
    model.method.average_buffers = true;
    bl_rig rig = opened(&model, BATCH, 1);
    int64_t count;
    double *target = read_block(&rig, "target", BL_BUFFERS, &count);
    for (uint32_t step = 0; step < 2; step++) {
        run_step(&rig, step, WHOLE_STEP);
        double *online = read_block(&rig, "online", BL_BUFFERS, NULL);
        average(target, online, count);
        free(online);
    }
    expect_equal(read_block(&rig, "target", BL_BUFFERS, NULL), target, count, "averaged buffers");
    rig_close(&rig);
}

static double loss_with_shifted_target_buffers(bool running) {
    bl_model_options model = plain();
    model.method.average_buffers = true;
    model.method.target_running = running;
    bl_rig rig = opened(&model, BATCH, 1);
    run_step(&rig, 0, BL_PHASE_MICRO);
    const double before = rig_value(&rig, rig.step.loss);
    int64_t count;
    double *buffers = read_block(&rig, "target", BL_BUFFERS, &count);
    for (int64_t i = 0; i < count; i++) buffers[i] = buffers[i] * 1.5 + (i % 3) * .1;
    assert_ok(bl_store_write(rig.store, rig_block(&rig, "target", BL_BUFFERS), buffers));
    free(buffers);
    run_step(&rig, 0, BL_PHASE_MICRO);
    const double change = fabs(rig_value(&rig, rig.step.loss) - before);
    rig_close(&rig);
    return change;
}

static void a_running_target_uses_its_buffers_and_another_does_not(void **state) {
    (void)state;
    assert_true(loss_with_shifted_target_buffers(true) > 1e-3);
    assert_true(loss_with_shifted_target_buffers(false) == 0);
}

// ---- loss ----

static void reductions_scale_the_gradient_by_one_a_half_and_a_quarter(void **state) {
    (void)state;
    static const struct {
        bl_reduction reduction;
        double scale, shift;
    } cases[] = {{BL_REDUCE_MEAN, .5, 0}, {BL_REDUCE_HALF, .25, -1}};
    const bl_model_options summed = plain();
    bl_rig sum = opened(&summed, BATCH, 1);
    run_step(&sum, 0, BL_PHASE_MICRO);
    for (int i = 0; i < 2; i++) {
        bl_model_options model = plain();
        model.method.reduction = cases[i].reduction;
        bl_rig rig = opened(&model, BATCH, 1);
        run_step(&rig, 0, BL_PHASE_MICRO);
        expect_near(rig_value(&rig, rig.step.loss), rig_value(&sum, sum.step.loss) * cases[i].scale + cases[i].shift, 1e-14, "loss");
        int64_t count;
        double *scaled = read_block(&sum, "online", BL_GRADIENTS, &count);
        for (int64_t k = 0; k < count; k++) scaled[k] *= cases[i].scale; // powers of two: exact
        expect_equal(read_block(&rig, "online", BL_GRADIENTS, NULL), scaled, count, "gradients");
        rig_close(&rig);
    }
    rig_close(&sum);
}

static void one_direction_leaves_the_predictions_of_view_2_alone(void **state) {
    (void)state;
    bl_model_options both = plain(), one = plain();
    one.method.one_direction = true;
    bl_rig a = opened(&both, BATCH, 1), b = opened(&one, BATCH, 1);
    double images[ROWS * IMAGE], swapped[ROWS * IMAGE];
    draw_images(images, ROWS, 0);
    memcpy(swapped, images + BATCH * IMAGE, BATCH * IMAGE * sizeof *images);
    memcpy(swapped + BATCH * IMAGE, images, BATCH * IMAGE * sizeof *images);
    rig_run(&a, images, BL_PHASE_MICRO);
    rig_run(&b, images, BL_PHASE_MICRO);
    double *whole = read_named(&a, "loss.backward"), *half = read_named(&b, "loss.backward");
    const double first = rig_value(&b, b.step.loss);
    for (int i = 0; i < BATCH * OUT; i++) {
        assert_true(half[i] == whole[i] && half[i] != 0);
        assert_true(half[BATCH * OUT + i] == 0);
    }
    rig_run(&b, swapped, BL_PHASE_MICRO);
    expect_near(first + rig_value(&b, b.step.loss), rig_value(&a, a.step.loss), 1e-13, "sum of both directions");
    free(whole);
    free(half);
    rig_close(&a);
    rig_close(&b);
}

// Row i of one view as the loss compares it; `of_view` are the view's rows, whose statistics the batch norm takes.
static void normalized(bl_loss_norm how, const double *of_view, int i, double *row) {
    double mean = 0, squares = 0;
    memcpy(row, of_view + i * OUT, OUT * sizeof *row);
    if (how == BL_LOSS_NONE) return;
    if (how == BL_LOSS_BATCH_NORM) {
        for (int d = 0; d < OUT; d++) {
            double center = 0, variance = 0;
            for (int k = 0; k < BATCH; k++) center += of_view[k * OUT + d] / BATCH;
            for (int k = 0; k < BATCH; k++) variance += pow(of_view[k * OUT + d] - center, 2) / BATCH;
            row[d] = (row[d] - center) / sqrt(variance + 1e-5) / sqrt(OUT);
        }
        return;
    }
    for (int d = 0; d < OUT; d++) mean += how == BL_LOSS_LAYER_NORM ? row[d] / OUT : 0;
    for (int d = 0; d < OUT; d++) squares += pow(row[d] - mean, 2);
    for (int d = 0; d < OUT; d++) row[d] = (row[d] - mean) / sqrt(squares);
}

static void each_normalization_is_the_distance_it_says(void **state) {
    (void)state;
    for (bl_loss_norm how = BL_LOSS_L2; how <= BL_LOSS_LAYER_NORM; how++) {
        bl_model_options model = plain();
        model.method.normalization = how;
        bl_rig rig = opened(&model, BATCH, 1);
        run_step(&rig, 0, BL_PHASE_MICRO);
        double *p = read_tensor(&rig, rig.step.prediction), *z = read_tensor(&rig, rig.step.target), sum = 0;
        for (int view = 0; view < 2; view++)
            for (int i = 0; i < BATCH; i++) {
                double a[OUT], b[OUT];
                normalized(how, p + view * BATCH * OUT, i, a);
                normalized(how, z + (1 - view) * BATCH * OUT, i, b);
                for (int d = 0; d < OUT; d++) sum += pow(a[d] - b[d], 2) / BATCH;
            }
        expect_near(rig_value(&rig, rig.step.loss), sum, 1e-12, "loss");
        free(p);
        free(z);
        rig_close(&rig);
    }
}

static double loss_at(bl_rig *rig, bl_place place, double *block, int64_t index, double value) {
    const double kept = block[index];
    block[index] = value;
    assert_ok(bl_store_write(rig->store, place, block));
    block[index] = kept;
    run_step(rig, 0, BL_PHASE_MICRO);
    return rig_value(rig, rig->step.loss);
}

// Of a few weights of the head and of the stem, whose paths hold every node of the switch.
static void expect_slopes(const bl_model_options *model, const char *what) {
    static const char *const weights[] = {"projector.3.weight", "projector.0.weight", "conv1.weight"};
    const double step = 1e-6;
    bl_rig rig = opened(model, BATCH, 1);
    int64_t count;
    run_step(&rig, 0, BL_PHASE_MICRO);
    double *gradients = read_block(&rig, "online", BL_GRADIENTS, &count), *block = read_block(&rig, "online", BL_PARAMETERS, NULL);
    for (int w = 0; w < 3; w++) {
        const bl_place place = rig_place(&rig, "online", BL_PARAMETERS, weights[w]), whole = rig_block(&rig, "online", BL_PARAMETERS);
        const int64_t at = (int64_t)rig.layout->networks[place.network].parameters.items[place.segment].offset + 5;
        const double up = loss_at(&rig, whole, block, at, block[at] + step), down = loss_at(&rig, whole, block, at, block[at] - step);
        const double slope = (up - down) / (2 * step);
        if (!(fabs(slope - gradients[at]) <= 1e-6 * fmax(1e-2, fabs(slope))))
            fail_msg("%s: d loss / d %s is %.12g, the slope %.12g", what, weights[w], gradients[at], slope);
    }
    free(gradients);
    free(block);
    rig_close(&rig);
}

static void each_losss_gradient_is_its_slope(void **state) {
    (void)state;
    for (bl_loss_norm how = BL_LOSS_L2; how <= BL_LOSS_LAYER_NORM; how++)
        for (int leaks = 0; leaks < 2; leaks++)
            for (int one_way = 0; one_way < 2; one_way++) {
                char what[64];
                bl_model_options model = plain();
                model.method.normalization = how;
                model.method.one_direction = one_way;
                model.method.pairing = leaks && one_way ? BL_SAME_VIEW : BL_CROSSED;
                model.method.stop_gradient = !leaks;
                if (leaks) model.method.target = BL_TARGET_ONLINE;
                snprintf(what, sizeof what, "normalization %d%s%s", (int)how, leaks ? ", both sides" : "", one_way ? ", one way" : "");
                expect_slopes(&model, what);
            }
}

// ---- networks ----

static void groups_of_statistics_equal_separate_forwards(void **state) {
    (void)state;
    enum { PART = 2 };
    bl_model_options model = plain();
    bl_rig apart = opened(&model, PART, 1);
    model.encoder.statistics_rows = PART;
    bl_rig together = opened(&model, BATCH, 1);
    double images[ROWS * IMAGE], losses = 0;
    draw_images(images, ROWS, 0);
    rig_run(&together, images, BL_PHASE_MICRO);
    double *whole = read_tensor(&together, together.step.prediction);
    for (int part = 0; part < BATCH / PART; part++) {
        double few[2 * PART * IMAGE];
        for (int view = 0; view < 2; view++)
            memcpy(few + view * PART * IMAGE, images + (view * BATCH + part * PART) * IMAGE, PART * IMAGE * sizeof *few);
        rig_run(&apart, few, BL_PHASE_MICRO);
        losses += rig_value(&apart, apart.step.loss) * PART / BATCH;
        double *rows = read_tensor(&apart, apart.step.prediction);
        for (int view = 0; view < 2; view++)
            assert_memory_equal(rows + view * PART * OUT, whole + (view * BATCH + part * PART) * OUT, PART * OUT * sizeof *rows);
        free(rows);
    }
    expect_near(rig_value(&together, together.step.loss), losses, 1e-13, "loss");
    free(whole);
    rig_close(&apart);
    rig_close(&together);
}

static void blocks_that_start_at_zero_pass_their_input_on(void **state) {
    (void)state;
    for (int zero = 0; zero < 2; zero++) {
        bl_model_options model = plain();
        model.encoder.zero_init_residual = zero;
        bl_rig rig = opened(&model, BATCH, 1);
        run_step(&rig, 0, BL_PHASE_MICRO);
        const int64_t count = bl_shape_count(&bl_graph_find(rig.step.graph, "online/relu")->shape);
        double *in = read_named(&rig, "online/relu"), *out = read_named(&rig, "online/layer1.1.relu2");
        assert_int_equal(memcmp(in, out, (size_t)count * sizeof *in) == 0, zero);
        free(in);
        free(out);
        rig_close(&rig);
    }
}

// ---- probe ----

static bl_rig opened_with_probe(const double *labels) {
    bl_model_options model = plain();
    model.probe_classes = 3;
    model.probe_lr_scale = 2;
    bl_rig rig = opened(&model, BATCH, 1);
    assert_ok(bl_plan_write(rig.plan, rig.step.labels, labels));
    return rig;
}

static void a_probe_learns_and_leaves_the_encoder_alone(void **state) {
    (void)state;
    static const double labels[ROWS] = {0, 1, 2, -1, 0, 1, 2, -1};
    const bl_model_options without = plain();
    bl_rig a = opened(&without, BATCH, 1), b = opened_with_probe(labels);
    double first = 0;
    int64_t count;
    for (uint32_t step = 0; step < 8; step++) {
        run_step(&a, 0, BL_PHASE_MICRO);
        run_step(&b, 0, BL_PHASE_MICRO);
        if (!step) first = rig_value(&b, b.step.probe_loss);
        double *gradients = read_block(&a, "online", BL_GRADIENTS, &count);
        expect_equal(read_block(&b, "online", BL_GRADIENTS, NULL), gradients, count, "gradients of the online network");
        assert_ok(bl_plan_step(a.plan, 0, BL_PHASE_UPDATE));
        assert_ok(bl_plan_step(b.plan, 0, BL_PHASE_UPDATE));
    }
    expect_equal(read_block(&a, "online", BL_PARAMETERS, &count), read_block(&b, "online", BL_PARAMETERS, NULL), count, "online weights");
    assert_true(rig_value(&b, b.step.probe_loss) < first);
    rig_close(&a);
    rig_close(&b);
}

static void a_probe_that_is_not_finite_stops_the_updates(void **state) {
    (void)state;
    static const double labels[ROWS] = {0, 1, 2, 0, 0, 1, 2, 0};
    bl_rig rig = opened_with_probe(labels);
    int64_t count;
    double *weights = read_block(&rig, "probe", BL_PARAMETERS, &count);
    weights[0] = NAN;
    assert_ok(bl_store_write(rig.store, rig_block(&rig, "probe", BL_PARAMETERS), weights));
    free(weights);
    double *before = read_block(&rig, "online", BL_PARAMETERS, &count);
    run_step(&rig, 0, WHOLE_STEP);
    expect_equal(read_block(&rig, "online", BL_PARAMETERS, NULL), before, count, "online weights");
    rig_close(&rig);
}

// ---- accumulation ----

static void every_optimiser_takes_the_mean_of_its_micro_steps(void **state) {
    (void)state;
    static const bl_optimizer_options optimizers[] = {
        {.kind = BL_OPTIMIZER_SGD, .momentum = .9, .weight_decay = 1e-3},
        {.kind = BL_OPTIMIZER_ADAM, .beta1 = .9, .beta2 = .99, .epsilon = 1e-8},
        {.kind = BL_OPTIMIZER_LARS, .momentum = .9, .weight_decay = 1e-3, .eta = .1},
        {.kind = BL_OPTIMIZER_LARS, .momentum = .9, .nesterov = true, .weight_decay = 1e-3, .eta = .1, .trust_epsilon = 1e-8, .clip = true,
         .decay_apart = true},
    };
    for (size_t i = 0; i < sizeof optimizers / sizeof *optimizers; i++) {
        bl_model_options model = plain();
        model.optimizer = optimizers[i];
        bl_rig once = opened(&model, BATCH, 1), twice = opened(&model, BATCH, 2);
        for (uint32_t step = 0; step < 2; step++) {
            rig_scalars(&once, RATE, TAU, (int)step);
            rig_scalars(&twice, RATE, TAU, (int)step);
            run_step(&once, step, WHOLE_STEP);
            run_step(&twice, step, BL_PHASE_MICRO); // the same images twice: their mean gradient is the one of once, exactly
            run_step(&twice, step, WHOLE_STEP);
        }
        int64_t count;
        double *weights = read_block(&once, "online", BL_PARAMETERS, &count);
        expect_equal(read_block(&twice, "online", BL_PARAMETERS, NULL), weights, count, "online weights");
        rig_close(&once);
        rig_close(&twice);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fixed_predictor_keeps_its_weights_and_the_encoder_learns_through_it),
        cmocka_unit_test(a_linear_predictor_is_one_matrix_and_a_bias),
        cmocka_unit_test(a_target_updated_before_the_forward_is_one_average_ahead),
        cmocka_unit_test(averaged_buffers_mix_the_targets_with_the_onlines),
        cmocka_unit_test(a_running_target_uses_its_buffers_and_another_does_not),
        cmocka_unit_test(reductions_scale_the_gradient_by_one_a_half_and_a_quarter),
        cmocka_unit_test(one_direction_leaves_the_predictions_of_view_2_alone),
        cmocka_unit_test(each_normalization_is_the_distance_it_says),
        cmocka_unit_test(each_losss_gradient_is_its_slope),
        cmocka_unit_test(groups_of_statistics_equal_separate_forwards),
        cmocka_unit_test(blocks_that_start_at_zero_pass_their_input_on),
        cmocka_unit_test(a_probe_learns_and_leaves_the_encoder_alone),
        cmocka_unit_test(a_probe_that_is_not_finite_stops_the_updates),
        cmocka_unit_test(every_optimiser_takes_the_mean_of_its_micro_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
