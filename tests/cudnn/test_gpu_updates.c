// The cuDNN backend's update kernels: running averages, the look for what is not finite, EMA, and optimisers over a block whose segments
// are awkward for them, against the reference's.

#include "gpu_rig.h"

#define EACH(table) (sizeof(table) / sizeof *(table))

// ---- running averages ----

static void running_averages_take_a_group_after_the_other(void **state) {
    (void)state;
    static const int sizes[][3] = {{1, 13, 2}, {2, 300, 4096}, {5, 1, 7}}; // groups, channels, rows
    for (size_t i = 0; i < EACH(sizes); i++) {
        const int64_t V = sizes[i][0], C = sizes[i][1];
        const bl_attributes attributes = {.momentum = 0.1, .rows = sizes[i][2]};
        array mean = sent("mean", V * C, false), variance = sent("variance", V * C, false);
        array running_mean = sent("running mean", C, false), running_variance = sent("running variance", C, false);
        lone l;
        operator_of(&l, BL_OP_RUNNING_AVERAGE, &attributes, shape_of(1, 0));
        add_input(&l, shape_of(V, C), mean.values);
        add_input(&l, shape_of(V, C), variance.values);
        const double *expected_mean = add_input(&l, shape_of(C, 0), running_mean.values);
        const double *expected_variance = add_input(&l, shape_of(C, 0), running_variance.values);
        run_reference(&l);
        const double n = (double)attributes.rows;
        bl_gpu_running_average(NULL, mean.data, variance.data, (int)V, C, attributes.momentum, n / (n - 1), running_mean.data,
                               running_variance.data);
        assert_close(expected_mean, &running_mean, "mean");
        assert_close(expected_variance, &running_variance, "variance");
    }
}

// ---- check_finite ----

static void one_value_that_is_not_finite_is_found_wherever_it_stands(void **state) {
    (void)state;
    static const int64_t counts[] = {1, 3, 4, 5, 4095, 4096, 4097, 10007};
    static const double bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < EACH(counts); i++) {
        array values = drawn("values", counts[i], false), finite = scalar(1);
        values.values[0] = 3.4e38; // the largest and the smallest are finite
        values.values[counts[i] / 2] = -1e-45;
        send(&values);
        bl_gpu_check_finite(NULL, values.data, values.count, finite.data);
        assert_same((double[]){1}, &finite, "all finite");
        const int64_t places[] = {0, counts[i] - 1, counts[i] / 2, counts[i] / 4 * 4 - 1, counts[i] - counts[i] % 4};
        for (size_t k = 0; k < EACH(places) * EACH(bad); k++) {
            const int64_t at = places[k / EACH(bad)];
            if (at < 0 || at >= counts[i]) continue;
            const double kept = values.values[at];
            values.values[at] = bad[k % EACH(bad)];
            send(&values);
            put(&finite, 1);
            bl_gpu_check_finite(NULL, values.data, values.count, finite.data);
            assert_same((double[]){0}, &finite, "one is not finite");
            values.values[at] = kept;
        }
        send(&values);
        bl_gpu_check_finite(NULL, values.data, values.count, finite.data);
        assert_same((double[]){0}, &finite, "what was lowered stays so");
    }
}

// ---- EMA ----

static void the_target_moves_exactly_as_the_form_says(void **state) {
    (void)state;
    static const int64_t counts[] = {1, 4, 7, 1024, 1031};
    static const double taus[] = {0, 0.99, 0.996, 1};
    for (size_t i = 0; i < EACH(counts); i++)
        for (size_t k = 0; k < EACH(taus); k++) {
            array target = sent("target", counts[i], false), online = sent("online", counts[i], false);
            array tau = scalar(taus[k]), finite = scalar(0);
            bl_gpu_ema(NULL, target.data, online.data, counts[i], tau.data, finite.data);
            assert_same(target.values, &target, "where it is not finite");
            put(&finite, 1);
            bl_gpu_ema(NULL, target.data, online.data, counts[i], tau.data, finite.data);
            const float t = (float)tau.values[0];
            for (int64_t n = 0; n < counts[i]; n++)
                target.values[n] = (double)(t * (float)target.values[n] + (1 - t) * (float)online.values[n]);
            assert_same(taus[k] == 0 ? online.values : target.values, &target, "moved");
        }
}

// ---- optimisers ----

// Segments of one value, of less than a vector, of whole pieces and of more; what is frozen, has no length or no gradient.
static const struct {
    int64_t count;
    double lr_scale;
    bool decay, adapts, frozen, is_zero, has_no_gradient;
} cuts[] = {
        {1, 1, false, false, false, false, false},    {5, 0.5, true, true, false, false, false},
        {4096, 1, true, true, false, false, false},   {4097, 1, true, true, true, false, false},
        {9001, 10, true, true, false, false, false},  {64, 1, true, true, false, true, false},
        {7, 1, false, true, false, false, true},      {3, 1, true, true, false, true, true},
        {8192, 1, true, false, false, false, false},  {1000, 1, false, true, false, false, false},
};

typedef struct block {
    bl_segment segments[EACH(cuts)];
    bl_layout layout;
    int64_t count;
    bl_gpu_piece pieces[EACH(cuts) + 8];
    bl_gpu_segment of_pieces[EACH(cuts)];
    int piece_count;
} block;

static void make_block(block *b, double weight_decay) {
    *b = (block){0};
    for (size_t s = 0; s < EACH(cuts); s++) {
        const int first = b->piece_count;
        b->segments[s] = (bl_segment){.name = "segment",
                                      .offset = (size_t)b->count,
                                      .shape = shape_of(cuts[s].count, 0),
                                      .lr_scale = cuts[s].lr_scale,
                                      .decay = cuts[s].decay,
                                      .lars_adapt = cuts[s].adapts,
                                      .frozen = cuts[s].frozen};
        for (int64_t at = 0; at < cuts[s].count; at += BL_GPU_PIECE) {
            const int64_t rest = cuts[s].count - at;
            assert_true((size_t)b->piece_count < EACH(b->pieces));
            b->pieces[b->piece_count++] = (bl_gpu_piece){b->count + at, (int)(rest < BL_GPU_PIECE ? rest : BL_GPU_PIECE), (int)s};
        }
        b->of_pieces[s] = (bl_gpu_segment){.lr_scale = cuts[s].lr_scale,
                                           .decay = cuts[s].decay ? (float)weight_decay : 0,
                                           .adapts = cuts[s].adapts,
                                           .is_frozen = cuts[s].frozen,
                                           .first_piece = first,
                                           .pieces = b->piece_count - first};
        b->count += (cuts[s].count + 15) / 16 * 16;
    }
    b->layout.network_count = 1;
    b->layout.networks[0].parameters = (bl_segments){b->segments, (int)EACH(cuts), (int)EACH(cuts), (size_t)b->count};
}

// Values of the segments, zeros between them.
static array block_of(const block *b, const char *name) {
    array a = {.values = host_values(b->count), .count = b->count};
    for (size_t s = 0; s < EACH(cuts); s++) {
        const array values = drawn(name, cuts[s].count, false);
        const bool is_zero = (!strcmp(name, "parameters") && cuts[s].is_zero) || (!strcmp(name, "gradients") && cuts[s].has_no_gradient);
        for (int64_t i = 0; i < cuts[s].count; i++) {
            const double value = !strcmp(name, "moment2") ? 0.5 + fabs(values.values[i]) : values.values[i];
            a.values[b->segments[s].offset + (size_t)i] = is_zero ? 0 : value;
        }
    }
    send(&a);
    return a;
}

static const void *table_on_device(const void *table, size_t bytes) {
    void *data = device_bytes(bytes);
    assert_cuda(cudaMemcpy(data, table, bytes, cudaMemcpyHostToDevice));
    return data;
}

typedef struct update_case {
    const char *name;
    bl_op op;
    bl_attributes attributes;
    double learning_rate, step;
    int accumulate;
    bool keeps; // the gradients
} update_case;

#define ADAM .op = BL_OP_ADAM, .learning_rate = 0.05, .accumulate = 1
#define SGD .op = BL_OP_SGD, .learning_rate = 0.05, .accumulate = 1
#define LARS .op = BL_OP_LARS, .learning_rate = 0.05, .accumulate = 1

static const update_case updates[] = {
        {"sgd", SGD},
        {"sgd: momentum and decay", SGD, .attributes = {.momentum = 0.9, .weight_decay = 0.1}},
        {"sgd: nesterov, of four micro steps", BL_OP_SGD, {.momentum = 0.9, .nesterov = true, .weight_decay = 0.1}, 0.05, 0, 4, false},
        {"sgd: gradients kept", SGD, .attributes = {.momentum = 0.9}, .keeps = true},
        {"adam: first step", ADAM, .attributes = {.beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8}, .step = 1},
        {"adam: decay", ADAM, .attributes = {.beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .weight_decay = 0.1}, .step = 3},
        {"adam: step 100,000", ADAM, .attributes = {.beta1 = 0.9, .beta2 = 0.99999, .epsilon = 1e-3}, .step = 100000},
        {"adam: of three micro steps, gradients kept", BL_OP_ADAM, {.beta1 = 0.5, .beta2 = 0.9, .epsilon = 1e-8}, 0.05, 2, 3, true},
        {"lars", LARS, .attributes = {.momentum = 0.9, .weight_decay = 0.1, .eta = 0.02}},
        {"lars: nesterov, trust epsilon, of four micro steps", BL_OP_LARS,
         {.momentum = 0.9, .nesterov = true, .weight_decay = 0.1, .eta = 0.02, .epsilon = 0.5}, 0.05, 0, 4, false},
        {"lars: clipped", LARS, .attributes = {.momentum = 0.9, .weight_decay = 0.1, .eta = 0.03, .clip = true}},
        {"lars: clipped, learning rate 0", BL_OP_LARS, {.momentum = 0.9, .weight_decay = 0.1, .eta = 0.03, .clip = true}, 0, 0, 1, true},
        {"lars: decay apart", LARS,
         .attributes = {.momentum = 0.9, .weight_decay = 0.1, .eta = 0.02, .decay_apart = true, .epsilon = 1e-8}},
};

typedef struct blocks { // parameters, gradients, moments
    array arrays[4];
} blocks;

// Of the update's kernels on the device.
static void run_update(const update_case *c, const block *b, const blocks *on, double finite) {
    const bl_attributes *a = &c->attributes;
    const array learning_rate = scalar(c->learning_rate), step = scalar(c->step), is_finite = scalar(finite);
    const bl_gpu_update update = {.pieces = table_on_device(b->pieces, sizeof b->pieces),
                                  .segments = table_on_device(b->of_pieces, sizeof b->of_pieces),
                                  .piece_count = b->piece_count,
                                  .segment_count = (int)EACH(cuts),
                                  .parameters = on->arrays[0].data,
                                  .gradients = on->arrays[1].data,
                                  .moment1 = on->arrays[2].data,
                                  .moment2 = on->arrays[3].data,
                                  .learning_rate = learning_rate.data,
                                  .step = step.data,
                                  .finite = is_finite.data,
                                  .share = 1.0f / (float)c->accumulate,
                                  .clears = !c->keeps,
                                  .momentum = a->momentum,
                                  .beta1 = a->beta1,
                                  .beta2 = a->beta2,
                                  .epsilon = a->epsilon,
                                  .eta = a->eta,
                                  .nesterov = a->nesterov,
                                  .clip = a->clip,
                                  .decay_apart = a->decay_apart};
    if (c->op == BL_OP_SGD) bl_gpu_sgd(NULL, &update);
    if (c->op == BL_OP_ADAM) bl_gpu_adam(NULL, &update);
    if (c->op == BL_OP_LARS)
        bl_gpu_lars(NULL, &update, device_bytes(2 * (size_t)b->piece_count * sizeof(double)), device_bytes(EACH(cuts) * sizeof(double)));
}

// What the reference makes of the same blocks: parameters, gradients, moments.
static void expect_update(const update_case *c, const block *b, const blocks *from, double *expected[4]) {
    const bool is_adam = c->op == BL_OP_ADAM;
    const int arrays = is_adam ? 4 : 3;
    const double rate = (double)(float)c->learning_rate;
    lone l;
    operator_of(&l, c->op, &c->attributes, shape_of(1, 0));
    for (int i = 0; i < arrays; i++) expected[i] = add_input(&l, shape_of(b->count, 0), from->arrays[i].values);
    if (!is_adam) expected[3] = from->arrays[3].values;
    add_input(&l, shape_of(1, 0), &rate);
    if (is_adam) add_input(&l, shape_of(1, 0), &c->step);
    add_input(&l, shape_of(1, 0), (double[]){1});
    l.operands.layout = &b->layout;
    l.operands.accumulate = c->accumulate;
    run_reference(&l);
    if (c->keeps) expected[1] = from->arrays[1].values;
}

static const char *const block_names[] = {"parameters", "gradients", "moment1", "moment2"};

static void an_optimizer_moves_each_segment_as_the_reference_does(void **state) {
    (void)state;
    for (size_t i = 0; i < EACH(updates); i++) {
        block b;
        blocks on;
        double *expected[4];
        make_block(&b, updates[i].attributes.weight_decay);
        for (int k = 0; k < 4; k++) on.arrays[k] = block_of(&b, block_names[k]);
        expect_update(&updates[i], &b, &on, expected);
        run_update(&updates[i], &b, &on, 1);
        for (size_t s = 0; s < EACH(cuts); s++) // a segment at a time: a large one hides no other
            for (int k = 0; k < 4; k++) {
                const int64_t first = (int64_t)b.segments[s].offset;
                int64_t worst;
                const double *found = receive(&on.arrays[k]) + first, *right = expected[k] + first;
                const double error = bl_nmse(right, found, cuts[s].count, 0, &worst);
                if (!(error <= (k == 1 ? 0 : 1e-12)))
                    fail_msg("%s: %s of segment %zu: [%lld] is %.9g, not %.9g; error %.2g", updates[i].name, block_names[k], s,
                             (long long)worst, found[worst], right[worst], error);
                for (int64_t n = cuts[s].count; n % 16; n++) assert_float_equal(found[n], 0, 0); // between the segments
            }
    }
}

static void an_update_that_is_not_finite_writes_nothing(void **state) {
    (void)state;
    static const double not_one[] = {0, NAN};
    for (size_t i = 0; i < EACH(updates); i++) {
        block b;
        blocks on;
        make_block(&b, updates[i].attributes.weight_decay);
        for (int k = 0; k < 4; k++) on.arrays[k] = block_of(&b, block_names[k]);
        run_update(&updates[i], &b, &on, not_one[i % 2]);
        for (int k = 0; k < 4; k++) assert_same(on.arrays[k].values, &on.arrays[k], block_names[k]);
    }
}

static void an_update_twice_gives_the_same_bits(void **state) {
    (void)state;
    const update_case *c = &updates[EACH(updates) - 1]; // with its sums over the pieces of a segment
    block b;
    blocks first, second;
    make_block(&b, c->attributes.weight_decay);
    for (int k = 0; k < 4; k++) first.arrays[k] = block_of(&b, block_names[k]), second.arrays[k] = block_of(&b, block_names[k]);
    run_update(c, &b, &first, 1);
    run_update(c, &b, &second, 1);
    for (int k = 0; k < 4; k++) assert_same(receive(&first.arrays[k]), &second.arrays[k], block_names[k]);
}

int main(void) {
#define TEST(name) cmocka_unit_test_teardown(name, rig_free)
    const struct CMUnitTest tests[] = {
            TEST(running_averages_take_a_group_after_the_other),
            TEST(one_value_that_is_not_finite_is_found_wherever_it_stands),
            TEST(the_target_moves_exactly_as_the_form_says),
            TEST(an_optimizer_moves_each_segment_as_the_reference_does),
            TEST(an_update_that_is_not_finite_writes_nothing),
            TEST(an_update_twice_gives_the_same_bits),
    };
    return cmocka_run_group_tests_name("gpu updates", tests, NULL, NULL);
}
