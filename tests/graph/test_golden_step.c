// Golden steps by PyTorch (tests/golden/step.py): the mathematics of `reference` in f64, and whole steps of every other backend,
// which may be no further from f64 than PyTorch itself is.
//
//     test_golden_step            the committed files
//     test_golden_step FILE       the whole step of a file made by `step.py --full-width FILE`

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "golden_spread.h"
#include "step_rig.h"

#define TRAINED "step_trained.h5"
#define CASES "step_cases.h5"

static const char *whole_step_file = TRAINED;

// ---- reading golden files ----

static double *golden(const char *file, int64_t *count, const char *format, ...) __attribute__((format(printf, 3, 4)));
static double *golden(const char *file, int64_t *count, const char *format, ...) {
    char path[256];
    int64_t ignored;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(path, sizeof path, format, arguments);
    va_end(arguments);
    return bl_test_golden(file, path, count ? count : &ignored);
}

static double golden_number(const char *file, const char *path) {
    int64_t count;
    double *values = bl_test_golden(file, path, &count), value = values[0];
    assert_int_equal(count, 1);
    free(values);
    return value;
}

// A gradient is stored as integers in a unit of its own.
static double *golden_gradient(const char *file, const char *group, const char *network, const char *segment, int64_t *count) {
    double *g = golden(file, count, "%s/gradients/%s/%s", group, network, segment);
    double *unit = golden(file, NULL, "%s/gradients_unit/%s/%s", group, network, segment);
    for (int64_t i = 0; i < *count; i++) g[i] *= *unit;
    free(unit);
    return g;
}

// ---- the batch of a step, as step.py's views_at makes it ----

typedef struct golden_images {
    double *views[BL_VIEWS]; // [count, S, S, 3]
    int64_t count;
    int size;
} golden_images;

static golden_images read_images(const char *file) {
    golden_images images = {.size = 32};
    int64_t values;
    images.views[0] = golden(file, &values, "images/view1");
    images.views[1] = golden(file, &values, "images/view2");
    images.count = values / (3 * images.size * images.size);
    return images;
}

static void free_images(golden_images *images) {
    for (int view = 0; view < BL_VIEWS; view++) free(images->views[view]);
}

// dst[r][c] = src[r - down][c - right], around the edges, as numpy.roll.
static void roll(const double *src, double *dst, int size, int down, int right) {
    for (int r = 0; r < size; r++)
        for (int c = 0; c < size; c++) {
            const int from_r = (r + size - down % size) % size, from_c = (c + size - right % size) % size;
            memcpy(dst + (r * size + c) * 3, src + (from_r * size + from_c) * 3, 3 * sizeof *dst);
        }
}

static double *batch_at(const golden_images *images, int64_t batch, int step) {
    const int64_t image_values = 3 * images->size * images->size;
    double *rows = malloc((size_t)(BL_VIEWS * batch * image_values) * sizeof *rows);
    assert_non_null(rows);
    for (int64_t i = 0; i < batch; i++) {
        const int k = (int)(i / images->count);
        const int64_t from = i % images->count * image_values;
        roll(images->views[0] + from, rows + i * image_values, images->size, step + 5 * k, 3 * step + 2 * k);
        roll(images->views[1] + from, rows + (batch + i) * image_values, images->size, 2 * step + 3 * k, step + 5 * k);
    }
    return rows;
}

// ---- weights ----

// torch.nn.Sequential counts layers: a head without batch norm calls its second linear layer 2, with it 3.
static const char *golden_name(const char *segment, const bl_model_options *model) {
    const bool is_plain = model->method.predictor_head.batch_norm == BL_NORM_NONE;
    if (is_plain && !strcmp(segment, "predictor.2.weight")) return "predictor.3.weight";
    if (is_plain && !strcmp(segment, "predictor.2.bias")) return "predictor.3.bias";
    return segment;
}

// Writes the golden values of every parameter of `network` read from `source`, and fresh running statistics.
static void write_network(bl_rig *rig, const bl_model_options *model, const char *file, const char *group, const char *network,
                          const char *source) {
    const int n = rig_network(rig, network);
    const bl_network *described = &rig->layout->networks[n];
    for (int s = 0; s < described->parameters.count; s++) {
        const char *name = described->parameters.items[s].name;
        int64_t count;
        double *values = golden(file, &count, "%s/%s/%s", group, source, golden_name(name, model));
        assert_int_equal(count, bl_shape_count(&described->parameters.items[s].shape));
        assert_ok(bl_store_write(rig->store, (bl_place){n, BL_PARAMETERS, s}, values));
        free(values);
    }
    for (int s = 0; s < described->buffers.count; s++) {
        const int64_t count = bl_shape_count(&described->buffers.items[s].shape);
        double *values = malloc((size_t)count * sizeof *values);
        assert_non_null(values);
        for (int64_t i = 0; i < count; i++) values[i] = strstr(described->buffers.items[s].name, "running_var") ? 1 : 0;
        assert_ok(bl_store_write(rig->store, (bl_place){n, BL_BUFFERS, s}, values));
        free(values);
    }
}

static void write_networks(bl_rig *rig, const bl_model_options *model, const char *file, const char *group, bool target_is_copy) {
    for (int n = 0; n < rig->layout->network_count; n++) {
        const char *name = rig->layout->networks[n].name;
        write_network(rig, model, file, group, name, target_is_copy && !strcmp(name, "target") ? "online" : name);
    }
}

// ---- (a) mathematics ----

typedef struct golden_case {
    const char *sentence, *group;
    bool is_trained; // random weights else, with a target that copies the online network
    bl_method_options method;
    bl_optimizer_options optimizer;
    double learning_rate;
    int losses;      // of the golden ten that this case can repeat
} golden_case;

#define SGD(...) {.kind = BL_OPTIMIZER_SGD, .momentum = .9, .weight_decay = 5e-4, __VA_ARGS__}
#define ADAM(...) {.kind = BL_OPTIMIZER_ADAM, .beta1 = .9, .beta2 = .999, .epsilon = 1e-8, .decay_norms = true, __VA_ARGS__}
#define METHOD(norm, ...) {.predictor_head = MLP(32, 16, norm), .predictor_lr_scale = 1, \
                           .stop_gradient = true, __VA_ARGS__}

static golden_case cases[] = {
    {"random weights, crossed, ema: reference equals PyTorch in f64", "random_crossed", false, METHOD(BL_NORM_HIDDEN),
     ADAM(), 1e-3, 10},
    {"random weights, online target with stop-gradient: equals a target that is a copy", "random_crossed", false,
     METHOD(BL_NORM_HIDDEN, .target = BL_TARGET_ONLINE), ADAM(), 1e-3, 1},
    {"trained weights, crossed, ema: reference equals PyTorch in f64", "trained_crossed", true, METHOD(BL_NORM_HIDDEN),
     SGD(.decay_norms = true), .05, 10},
    {"trained weights, same view, predictor without batch norm, Nesterov without decay of norms", "trained_same_view", true,
     {.predictor_head = MLP(32, 16, BL_NORM_NONE), .predictor_lr_scale = 10, .stop_gradient = true,
      .pairing = BL_SAME_VIEW},
     SGD(.nesterov = true), .05, 10},
    {"trained weights, online target, no predictor, Adam with weight decay", "trained_online_no_predictor", true,
     METHOD(BL_NORM_HIDDEN, .target = BL_TARGET_ONLINE, .predictor = BL_PREDICTOR_NONE), ADAM(.weight_decay = 1e-2), 1e-3, 10},
    {"trained weights, online target without stop-gradient", "trained_online_with_gradient", true,
     {.predictor_head = MLP(32, 16, BL_NORM_HIDDEN), .predictor_lr_scale = 1, .target = BL_TARGET_ONLINE},
     ADAM(), 1e-3, 10},
};

static double norm(const double *values, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += values[i] * values[i];
    return sqrt(sum);
}

// Visits every gradient segment of the rig with the golden values of the same name.
typedef void (*compare_gradient)(void *context, const char *name, const double *ours, const double *truth, int64_t count);
static void each_gradient(const bl_rig *rig, const char *file, const char *group, compare_gradient compare, void *context) {
    for (int n = 0; n < rig->layout->network_count; n++) {
        const bl_network *network = &rig->layout->networks[n];
        for (int s = 0; network->trainable && s < network->parameters.count; s++) {
            const char *name = network->parameters.items[s].name;
            int64_t count, own_count;
            double *truth = golden_gradient(file, group, network->name, name, &count);
            double *ours = rig_read(rig, (bl_place){n, BL_GRADIENTS, s}, &own_count);
            assert_int_equal(own_count, count);
            compare(context, name, ours, truth, count);
            free(truth);
            free(ours);
        }
    }
}

typedef struct gradient_sums {
    double error, power; // of the whole gradient
} gradient_sums;

static void add_up(void *context, const char *name, const double *ours, const double *truth, int64_t count) {
    (void)name;
    gradient_sums *sums = context;
    for (int64_t i = 0; i < count; i++) {
        sums->error += (ours[i] - truth[i]) * (ours[i] - truth[i]);
        sums->power += truth[i] * truth[i];
    }
}

// The error is divided by the tensor's norm, or by 1e-6 of all gradients' where that is more: a bias before batch norm has true
// gradient 0 and nothing but rounding to compare.
static void expect_equal_gradient(void *context, const char *name, const double *ours, const double *truth, int64_t count) {
    const double whole = sqrt(((gradient_sums *)context)->power), scale = fmax(norm(truth, count), 1e-6 * whole);
    double error = 0;
    for (int64_t i = 0; i < count; i++) error += (ours[i] - truth[i]) * (ours[i] - truth[i]);
    if (!(error / (scale * scale) <= 1e-18)) fail_msg("gradient of %s: NMSE %.3g, at most 1e-18", name, error / (scale * scale));
}

static void expect_equal_buffers(const bl_rig *rig, const char *group) {
    for (int n = 0; n < rig->layout->network_count; n++) {
        const bl_network *network = &rig->layout->networks[n];
        for (int s = 0; s < network->buffers.count; s++) {
            int64_t count;
            double *truth = golden(CASES, &count, "%s/buffers/%s/%s", group, network->name, network->buffers.items[s].name);
            double *ours = rig_read(rig, (bl_place){n, BL_BUFFERS, s}, NULL);
            const double worst = bl_test_worst(ours, truth, count);
            if (!(worst <= 1e-12)) fail_msg("%s of '%s' is off by %.3g", network->buffers.items[s].name, network->name, worst);
            free(truth);
            free(ours);
        }
    }
}

static void reference_equals_pytorch(void **state) {
    if (bl_test_backend_is_named()) skip(); // the reference is the same whichever it is
    const golden_case *c = *state;
    const bl_model_options model = {.encoder = RESNET18(8), .projector = MLP(32, 16, BL_NORM_HIDDEN), .method = c->method,
                                    .optimizer = c->optimizer, .image_size = 32, .precision = BL_F32};
    const int64_t batch = (int64_t)golden_number(CASES, "batch");
    const double tau = golden_number(TRAINED, "step/tau");
    golden_images images = read_images(TRAINED);
    double *losses = golden(CASES, NULL, "%s/losses", c->group);
    bl_rig rig = rig_open("reference", &model, batch, 1);
    write_networks(&rig, &model, c->is_trained ? TRAINED : CASES, c->is_trained ? "weights" : "random", !c->is_trained);
    for (int step = 0; step < c->losses; step++) {
        double *rows = batch_at(&images, batch, step);
        rig_scalars(&rig, c->learning_rate, tau, step);
        rig_run(&rig, rows, BL_PHASE_MICRO);
        const double off = fabs(rig_value(&rig, rig.step.loss) - losses[step]), allowed = step == 0 ? 1e-12 : 1e-8;
        if (!(off <= allowed)) fail_msg("loss %d is off by %.3g, at most %.0e", step, off, allowed);
        if (step == 0) {
            gradient_sums sums = {0};
            each_gradient(&rig, CASES, c->group, add_up, &sums);
            each_gradient(&rig, CASES, c->group, expect_equal_gradient, &sums);
            expect_equal_buffers(&rig, c->group);
        }
        assert_ok(bl_plan_step(rig.plan, 0, BL_PHASE_UPDATE));
        free(rows);
    }
    rig_close(&rig);
    free(losses);
    free_images(&images);
}

// ---- (c) the whole step of every other backend ----

typedef struct distance { // from f64
    double gradient;      // NMSE of the whole gradient of the first step
    double loss;          // the worst of the first three losses
} distance;

static distance read_distance(const char *variant) {
    double *values = golden(whole_step_file, NULL, "distance/f32/%s", variant);
    const distance read = {values[0], values[1]};
    free(values);
    return read;
}

static distance whole_step_distance(const char *backend, const bl_model_options *model, int64_t batch) {
    golden_images images = read_images(whole_step_file);
    double *losses = golden(whole_step_file, NULL, "step/losses");
    const double learning_rate = golden_number(whole_step_file, "step/lr"), tau = golden_number(whole_step_file, "step/tau");
    distance ours = {0};
    bl_rig rig = rig_open(backend, model, batch, 1);
    write_networks(&rig, model, whole_step_file, "weights", false);
    for (int step = 0; step < 3; step++) {
        double *rows = batch_at(&images, batch, step);
        rig_scalars(&rig, learning_rate, tau, step);
        rig_run(&rig, rows, BL_PHASE_MICRO);
        const double loss = rig_value(&rig, rig.step.loss);
        assert_true(isfinite(loss)); // fmax would lose a NaN
        ours.loss = fmax(ours.loss, fabs(loss - losses[step]));
        if (step == 0) {
            gradient_sums sums = {0};
            each_gradient(&rig, whole_step_file, "step", add_up, &sums);
            ours.gradient = sums.error / sums.power;
        }
        assert_ok(bl_plan_step(rig.plan, 0, BL_PHASE_UPDATE));
        free(rows);
    }
    rig_close(&rig);
    free(losses);
    free_images(&images);
    return ours;
}

static bl_model_options whole_step_model(bl_dtype precision) {
    const bl_head_options head = MLP((int)golden_number(whole_step_file, "sizes/hidden"), (int)golden_number(whole_step_file, "sizes/out"),
                                     BL_NORM_HIDDEN);
    return (bl_model_options){
        .encoder = RESNET18((int)golden_number(whole_step_file, "sizes/width")), .projector = head,
        .method = {.predictor_head = head, .predictor_lr_scale = 1, .stop_gradient = true},
        .optimizer = SGD(.decay_norms = true), .image_size = 32, .precision = precision};
}

static void f32_is_within_three_times_the_worst_pytorch_variant(void **state) {
    (void)state;
    static const char *const variants[] = {"nchw", "channels_last", "nchw_without_onednn", "channels_last_without_onednn"};
    const double factor = 3;
    const bl_model_options model = whole_step_model(BL_F32);
    const int64_t batch = (int64_t)golden_number(whole_step_file, "sizes/batch");
    distance worst = {0};
    int run_count = 0;
    for (size_t v = 0; v < sizeof variants / sizeof *variants; v++) {
        const distance one = read_distance(variants[v]);
        worst = (distance){fmax(worst.gradient, one.gradient), fmax(worst.loss, one.loss)};
    }
    for (const char *const *name = bl_test_backends(); *name; name++) {
        if (!strcmp(*name, "reference") || !rig_can_run(*name, &model, batch)) continue;
        const distance ours = whole_step_distance(*name, &model, batch);
        print_message("%s f32: whole gradient %.3g from f64 (PyTorch %.3g), three losses %.3g (PyTorch %.3g)\n", *name, ours.gradient,
                      worst.gradient, ours.loss, worst.loss);
        if (!(ours.gradient <= factor * worst.gradient)) fail_msg("%s: the gradient is more than %g times PyTorch's away", *name, factor);
        if (!(ours.loss <= factor * worst.loss)) fail_msg("%s: a loss is more than %g times PyTorch's away", *name, factor);
        run_count++;
    }
    if (!run_count) skip();
}

// ---- (d) the same in bf16, on several batches ----

typedef struct outcome {
    double losses[SPREAD_STEPS];
    double *gradients[2]; // of the first step: online, predictor; malloc'ed
    int64_t counts[2];
} outcome;

static outcome take_steps(const char *backend, bl_dtype precision, int64_t batch, const golden_images *images, int first, int steps) {
    const bl_model_options model = whole_step_model(precision);
    const double learning_rate = golden_number(whole_step_file, "step/lr"), tau = golden_number(whole_step_file, "step/tau");
    outcome made = {0};
    bl_rig rig = rig_open(backend, &model, batch, 1);
    write_networks(&rig, &model, whole_step_file, "weights", false);
    for (int step = 0; step < steps; step++) {
        double *rows = batch_at(images, batch, first + step);
        rig_scalars(&rig, learning_rate, tau, step);
        rig_run(&rig, rows, BL_PHASE_MICRO);
        made.losses[step] = rig_value(&rig, rig.step.loss);
        for (int n = 0; n < 2 && step == 0; n++)
            made.gradients[n] = rig_read(&rig, rig_block(&rig, n ? "predictor" : "online", BL_GRADIENTS), &made.counts[n]);
        assert_ok(bl_plan_step(rig.plan, 0, BL_PHASE_UPDATE));
        free(rows);
    }
    rig_close(&rig);
    return made;
}

// The gradient's truth is the backend's own in f32, which (c) holds to f64: the reference would take minutes.
static spread_distances distances_of(const char *backend, int64_t batch, const golden_images *images, int first, const double *losses) {
    outcome truth = take_steps(backend, BL_F32, batch, images, first, 1);
    outcome ours = take_steps(backend, BL_BF16, batch, images, first, SPREAD_STEPS);
    gradient_sums sums = {0};
    spread_distances distances;
    const double off = fabs(truth.losses[0] - losses[0]);
    if (!(off <= 1e-5)) fail_msg("%s: the loss in f32 is off by %.3g", backend, off);
    for (int n = 0; n < 2; n++) {
        add_up(&sums, NULL, ours.gradients[n], truth.gradients[n], truth.counts[n]);
        free(ours.gradients[n]);
        free(truth.gradients[n]);
    }
    distances.of[0] = sums.error / sums.power;
    for (int step = 0; step < SPREAD_STEPS; step++) distances.of[1 + step] = fabs(ours.losses[step] - losses[step]);
    return distances;
}

static void bf16_is_no_further_from_f64_than_autocast(void **state) {
    (void)state;
    const bl_model_options model = whole_step_model(BL_BF16);
    const int64_t batch = (int64_t)golden_number(whole_step_file, "bf16/batch");
    golden_images images = read_images(whole_step_file);
    int64_t count;
    int run_count = 0;
    double *losses = golden(whole_step_file, &count, "bf16/losses");
    const int recorded = (int)(count / SPREAD_STEPS), draws = spread_draws(recorded);
    spread_distances *distances = malloc((size_t)draws * sizeof *distances);
    assert_non_null(distances);
    for (const char *const *name = bl_test_backends(); *name; name++) {
        if (!strcmp(*name, "reference") || !rig_can_run(*name, &model, batch)) continue;
        for (int draw = 0; draw < draws; draw++)
            distances[draw] = distances_of(*name, batch, &images, SPREAD_STEPS * draw, losses + SPREAD_STEPS * draw);
        expect_within_spread(*name, distances, recorded, whole_step_file, "bf16");
        run_count++;
    }
    free(distances);
    free(losses);
    free_images(&images);
    if (!run_count) skip();
}

int main(int argc, char **argv) {
    const struct CMUnitTest whole[] = {
        cmocka_unit_test(f32_is_within_three_times_the_worst_pytorch_variant),
        cmocka_unit_test(bf16_is_no_further_from_f64_than_autocast),
    };
    struct CMUnitTest mathematics[sizeof cases / sizeof *cases];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        mathematics[i] = (struct CMUnitTest){.name = cases[i].sentence, .test_func = reference_equals_pytorch, .initial_state = &cases[i]};
    if (argc > 1) {
        whole_step_file = realpath(argv[1], NULL);
        if (!whole_step_file) return perror(argv[1]), EXIT_FAILURE;
        return cmocka_run_group_tests(whole, NULL, NULL);
    }
    return cmocka_run_group_tests(mathematics, NULL, NULL) + cmocka_run_group_tests(whole, NULL, NULL);
}
