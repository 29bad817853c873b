// Whole steps of FCN-8s in bf16: no backend may be further from f64 than PyTorch's autocast is (tests/golden/segmentation.py).
// Weights are made of their names; the gradient in f64 is the reference's, which test_golden_segmentation holds against PyTorch's.

#include "golden_marks.h"
#include "golden_spread.h"
#include "graph/segmentation.h"

#define GOLDEN "segmentation.h5"
enum { BATCH = 2, CLASSES = 5, HEIGHT = 64, WIDTH = 96, SEEDS = 32 };

typedef struct rig {
    bl_layout *layout;
    bl_step_graph step;
    bl_backend *backend;
    bl_store *store;
    bl_plan *plan;
} rig;

static void build(bl_dtype precision, rig *r) {
    double *width = golden_values(GOLDEN, NULL, "whole/width");
    const bl_segmentation_options options = {
        .encoder = {.name = "resnet18", .stem = BL_STEM_IMAGENET, .stem_padding = 1, .width = (int)*width,
                    .init = {BL_INIT_KAIMING_FAN_OUT, BL_INIT_UNIFORM_FAN_IN}},
        .optimizer = {.kind = BL_OPTIMIZER_SGD, .momentum = .9},
        .precision = precision,
        .classes = CLASSES,
        .head_lr_scale = 1};
    free(width);
    *r = (rig){0};
    assert_ok(bl_layout_create(&r->layout));
    assert_ok(bl_segmentation_build(&r->step, r->layout, &options, BATCH, HEIGHT, WIDTH));
}

static void release(rig *r) {
    bl_plan_free(r->plan);
    bl_store_free(r->store);
    if (r->backend) bl_backend_close(r->backend);
    bl_graph_free(r->step.graph);
    bl_layout_free(r->layout);
}

// ---- weights, as segmentation.py's `formed` makes them ----

static void draw(const char *name, double *values, uint32_t count) {
    uint32_t state = 2166136261;
    for (const char *c = name; *c; c++) state = (state ^ (unsigned char)*c) * 16777619;
    for (uint32_t place = 0; place < count; place++) {
        uint32_t hash = state;
        for (int shift = 0; shift < 32; shift += 8) hash = (hash ^ (place >> shift & 255)) * 16777619;
        hash ^= hash >> 15;
        values[place] = hash / 2147483648. - 1;
    }
}

static bool ends(const char *name, const char *end) {
    const size_t length = strlen(name), tail = strlen(end);
    return length >= tail && !strcmp(name + length - tail, end);
}

static void form(const rig *r, int seed, int network, bl_block_kind block) {
    const bl_network *of = &r->layout->networks[network];
    const bl_segments *segments = bl_network_segments(of, block);
    for (int s = 0; s < segments->count; s++) {
        const bl_segment *segment = &segments->items[s];
        const int64_t count = bl_shape_count(&segment->shape);
        double *values = malloc((size_t)count * sizeof *values);
        char name[GOLDEN_NAME];
        assert_non_null(values);
        snprintf(name, sizeof name, "%d/%s/%s", seed, of->name, segment->name);
        draw(name, values, (uint32_t)count);
        for (int64_t i = 0; i < count; i++) {
            const double plain = values[i];
            if (segment->shape.rank > 1)
                values[i] = plain * sqrt(6 / ((double)count / (double)segment->shape.dims[0]));
            else if (ends(name, "running_var") || ends(name, "weight"))
                values[i] = (ends(name, "var") ? 1 : .5) * (1 + plain / 4);
            else
                values[i] = plain / 4;
            values[i] = (double)(float)values[i];
        }
        assert_ok(bl_store_write(r->store, (bl_place){network, block, s}, values));
        free(values);
    }
}

static void write_input(const rig *r, const bl_tensor *input, const char *what) {
    double *values = golden_values(GOLDEN, NULL, "%s/%dx%d", what, HEIGHT, WIDTH);
    assert_ok(bl_plan_write(r->plan, input, values));
    free(values);
}

static void begin(rig *r, const char *backend, bl_dtype precision) {
    build(precision, r);
    assert_ok(bl_backend_open(&r->backend, backend, &(bl_backend_options){.threads = 2, .isa = ""}));
    assert_ok(bl_store_create(r->backend, r->layout, &r->store));
    assert_ok(bl_plan_compile(r->store, r->step.graph, &(bl_compile_options){.accumulate = 1, .observe = &r->step.loss, .observe_count = 1},
                              &r->plan));
    write_input(r, r->step.images, "images");
    write_input(r, r->step.labels, "labels");
}

// Other weights, and no momentum.
static void start(rig *r, int seed) {
    for (int n = 0; n < r->layout->network_count; n++) {
        const bl_place momentum = {n, BL_MOMENT1, BL_WHOLE_BLOCK};
        double *zeros = calloc(bl_place_count(r->layout, momentum), sizeof *zeros);
        assert_non_null(zeros);
        assert_ok(bl_store_write(r->store, momentum, zeros));
        free(zeros);
        form(r, seed, n, BL_PARAMETERS);
        form(r, seed, n, BL_BUFFERS);
    }
}

// ---- distances ----

typedef struct outcome {
    double losses[SPREAD_STEPS];
    double *gradient[2]; // of the first step, a block a network; malloc'ed
    size_t count[2];
} outcome;

static void run(rig *r, int seed, int steps, outcome *o) {
    double *rate = golden_values(GOLDEN, NULL, "whole/lr");
    start(r, seed);
    assert_ok(bl_store_scalar(r->store, BL_SCALAR_LEARNING_RATE, *rate));
    for (int step = 0; step < steps; step++) {
        assert_ok(bl_plan_step(r->plan, 0, BL_PHASE_MICRO));
        assert_ok(bl_plan_read(r->plan, r->step.loss, &o->losses[step]));
        for (int n = 0; n < 2 && step == 0; n++) {
            const bl_place place = {n, BL_GRADIENTS, BL_WHOLE_BLOCK};
            o->count[n] = bl_place_count(r->layout, place);
            o->gradient[n] = malloc(o->count[n] * sizeof(double));
            assert_non_null(o->gradient[n]);
            assert_ok(bl_store_read(r->store, place, o->gradient[n]));
        }
        assert_ok(bl_plan_step(r->plan, 0, BL_PHASE_UPDATE));
    }
    free(rate);
}

static void outcome_free(outcome *o) {
    for (int n = 0; n < 2; n++) free(o->gradient[n]);
}

static double gradient_distance(const outcome *ours, const outcome *truth) {
    double error = 0, power = 0;
    for (int n = 0; n < 2; n++)
        for (size_t i = 0; i < truth->count[n]; i++) {
            const double away = ours->gradient[n][i] - truth->gradient[n][i];
            error += away * away;
            power += truth->gradient[n][i] * truth->gradient[n][i];
        }
    return error / power;
}

static bool can_run(const char *backend) {
    rig r;
    build(BL_BF16, &r);
    const bool can = bl_test_can_run(backend, r.step.graph);
    release(&r);
    return can;
}

static void hold(const char *backend, const outcome *truths, const double *losses) {
    spread_distances distances[SEEDS];
    rig r;
    begin(&r, backend, BL_BF16);
    for (int seed = 0; seed < SEEDS; seed++) {
        outcome ours;
        run(&r, seed, SPREAD_STEPS, &ours);
        distances[seed].of[0] = gradient_distance(&ours, &truths[seed]);
        for (int step = 0; step < SPREAD_STEPS; step++)
            distances[seed].of[1 + step] = fabs(ours.losses[step] - losses[seed * SPREAD_STEPS + step]);
        outcome_free(&ours);
    }
    release(&r);
    expect_within_spread(backend, distances, SEEDS, GOLDEN, "whole");
}

static void bf16_is_no_further_from_f64_than_autocast(void **state) {
    (void)state;
    double *losses = golden_values(GOLDEN, NULL, "whole/losses");
    outcome truths[SEEDS];
    int judged = 0;
    rig r;
    begin(&r, "reference", BL_F32);
    for (int seed = 0; seed < SEEDS; seed++) {
        run(&r, seed, 1, &truths[seed]);
        const double ours = truths[seed].losses[0], theirs = losses[seed * SPREAD_STEPS];
        if (!(fabs(ours - theirs) <= 1e-11)) fail_msg("the loss of weights %d is %.15g, not %.15g", seed, ours, theirs);
    }
    release(&r);
    for (const char *const *name = bl_test_backends(); *name; name++) {
        if (!strcmp(*name, "reference") || !can_run(*name)) continue;
        hold(*name, truths, losses);
        judged++;
    }
    for (int seed = 0; seed < SEEDS; seed++) outcome_free(&truths[seed]);
    free(losses);
    if (!judged) skip();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(bf16_is_no_further_from_f64_than_autocast)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
