// The cuDNN backend's own kernels, one by one, on sizes that are awkward for them: against the reference's operators and plain sums.

#include "gpu_rig.h"

static const int64_t counts[] = {1, 3, 4, 5, 8, 255, 1027}; // of vectors: none whole, one, several and a rest
// More rows than a block has threads, once: the CPU takes its time for them.
static bool is_long(int64_t rows) {
    return rows > 256;
}

#define EACH(table) (sizeof(table) / sizeof *(table))

static const char *type_name(bool is_half) {
    return is_half ? "bf16" : "f32";
}

// ---- values ----

// The NaN that a GPU makes: rounded like a number it would become 0.
static double full_nan(void) {
    const uint32_t bits = 0x7fffffff;
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

static void values_change_type_as_the_graph_rounds_them(void **state) {
    (void)state;
    // Ties to even either way, too large for bf16, denormal, not finite.
    const double special[] = {1 + 1. / 256, 1 + 3. / 256, -1 - 1. / 256, 3.4e38, 1e-40, INFINITY, -INFINITY, full_nan(), -full_nan(), 0};
    for (size_t i = 0; i < EACH(counts); i++)
        for (int types = 0; types < 4; types++) {
            array src = drawn("x", counts[i], types & 1), dst = sent("y", counts[i], types & 2);
            for (int64_t k = 0; k < src.count && k < (int64_t)EACH(special); k++) src.values[src.count - 1 - k] = special[k];
            send(&src);
            bl_gpu_cast(NULL, src.data, src.is_half, dst.data, dst.is_half, src.count);
            for (int64_t k = 0; k < src.count; k++) dst.values[k] = bl_round_to(dst.is_half ? BL_BF16 : BL_F32, src.values[k]);
            assert_same(dst.values, &dst, type_name(dst.is_half));
        }
}

static void rows_grow_by_zeros_and_lose_their_ends(void **state) {
    (void)state;
    static const int sizes[][3] = {{1, 3, 8}, {300, 3, 8}, {5, 13, 16}, {7, 8, 3}, {2, 5, 5}, {4, 1, 7}, {3, 3, 4}, {3, 24, 16}, {1, 20, 9}};
    for (size_t i = 0; i < EACH(sizes); i++)
        for (int types = 0; types < 4; types++) {
            const int rows = sizes[i][0], from = sizes[i][1], to = sizes[i][2];
            array src = sent("x", rows * from, types & 1), dst = sent("y", rows * to, types & 2);
            bl_gpu_resize_rows(NULL, src.data, src.is_half, rows, from, dst.data, dst.is_half, to);
            for (int k = 0; k < rows * to; k++)
                dst.values[k] = bl_round_to(dst.is_half ? BL_BF16 : BL_F32, k % to < from ? src.values[k / to * from + k % to] : 0);
            assert_same(dst.values, &dst, type_name(dst.is_half));
        }
}

typedef void (*combining)(cudaStream_t, const void *, const void *, void *, bool, int64_t);

static void relu_of_first(cudaStream_t stream, const void *a, const void *b, void *y, bool is_half, int64_t count) {
    (void)b;
    bl_gpu_relu(stream, a, y, is_half, count);
}

static void sums_and_rectified_values_keep_what_is_not_a_number(void **state) {
    (void)state;
    static const struct {
        bl_op op;
        combining run;
    } table[] = {{BL_OP_ADD, bl_gpu_add}, {BL_OP_RELU, relu_of_first}, {BL_OP_RELU_BACKWARD, bl_gpu_relu_backward}};
    const double special[] = {NAN, INFINITY, -INFINITY, 0, -0.0};
    for (size_t i = 0; i < EACH(counts); i++)
        for (size_t t = 0; t < 2 * EACH(table); t++) {
            const bool is_half = t % 2;
            array a = drawn("a", counts[i], is_half), b = drawn("b", counts[i], is_half), y = sent("y", counts[i], is_half);
            for (int64_t k = 0; k < a.count && k < (int64_t)EACH(special); k++) a.values[a.count - 1 - k] = special[k];
            if (a.count > 8) b.values[3] = b.values[7] = NAN;
            send(&a);
            send(&b);
            lone l;
            operator_of(&l, table[t / 2].op, NULL, shape_of(a.count, 0));
            add_input(&l, shape_of(a.count, 0), a.values);
            add_input(&l, shape_of(a.count, 0), b.values);
            double *expected = add_output(&l, 0, a.count);
            run_reference(&l);
            for (int64_t k = 0; k < a.count; k++) expected[k] = bl_round_to(is_half ? BL_BF16 : BL_F32, expected[k]);
            table[t / 2].run(NULL, a.data, b.data, y.data, is_half, a.count);
            assert_same(expected, &y, type_name(is_half));
        }
}

static void the_first_gradient_is_written_and_the_next_added(void **state) {
    (void)state;
    for (size_t i = 0; i < EACH(counts); i++) {
        array first = sent("first", counts[i], false), next = sent("next", counts[i], false), sum = sent("sum", counts[i], false);
        bl_gpu_accumulate(NULL, first.data, sum.data, true, sum.count);
        assert_same(first.values, &sum, "the first");
        bl_gpu_accumulate(NULL, next.data, sum.data, false, sum.count);
        for (int64_t k = 0; k < sum.count; k++) sum.values[k] = (double)((float)first.values[k] + (float)next.values[k]);
        assert_same(sum.values, &sum, "the next");
    }
}

static void a_scalar_is_set_and_watched_ones_come_together(void **state) {
    (void)state;
    array a = scalar(1), b = scalar(2), finite = scalar(0), out = sent("out", 3, false);
    bl_gpu_set_scalar(NULL, b.data, 0.125f);
    const float *sources[] = {a.data, b.data, finite.data};
    bl_gpu_collect(NULL, sources, 3, out.data);
    sources[0] = NULL; // the launch has its own
    assert_same((double[]){1, 0.125, 0}, &out, "watched");
}

// ---- batch norm by known statistics ----

static array positive(const char *name, int64_t count) {
    array a = drawn(name, count, false);
    for (int64_t i = 0; i < count; i++) a.values[i] = 0.1 + fabs(a.values[i]);
    send(&a);
    return a;
}

static void known_statistics_normalise_rows(void **state) {
    (void)state;
    static const int sizes[][2] = {{1, 1}, {9, 64}, {17, 13}, {3, 8}, {2, 4}, {1, 300}}; // rows, channels
    for (size_t i = 0; i < EACH(sizes); i++)
        for (int how = 0; how < 8; how++) {
            const bool is_half = how & 1, has_residual = how & 2, relu = how & 4;
            const int64_t rows = sizes[i][0], channels = sizes[i][1], count = rows * channels;
            array x = sent("x", count, is_half), residual = sent("residual", count, is_half), y = sent("y", count, is_half);
            array gamma = positive("gamma", channels), beta = sent("beta", channels, false), mean = sent("mean", channels, false);
            array variance = positive("variance", channels);
            const bl_attributes attributes = {.epsilon = 0.01};
            lone l;
            operator_of(&l, BL_OP_BATCH_NORM_RUNNING, &attributes, shape_of(rows, channels));
            add_input(&l, shape_of(rows, channels), x.values);
            const array *const rest[] = {&gamma, &beta, &mean, &variance};
            for (int k = 0; k < 4; k++) add_input(&l, shape_of(channels, 0), rest[k]->values);
            double *expected = add_output(&l, 0, count);
            run_reference(&l);
            for (int64_t k = 0; k < count; k++) {
                if (has_residual) expected[k] += residual.values[k];
                if (relu && expected[k] < 0) expected[k] = 0;
            }
            bl_gpu_normalize(NULL, x.data, gamma.data, beta.data, mean.data, variance.data, 0.01f, has_residual ? residual.data : NULL, relu,
                             y.data, is_half, rows, (int)channels);
            assert_close(expected, &y, type_name(is_half));
        }
}

static void a_variance_returns_from_its_inverse(void **state) {
    (void)state;
    array variance = positive("variance", 300), inverse = sent("inverse", 300, false), back = sent("back", 300, false);
    variance.values[0] = 0;
    variance.values[1] = 1e-4; // ten epsilons
    send(&variance);
    bl_gpu_inverse_of_variance(NULL, variance.data, 1e-5f, inverse.data, 300);
    double *expected = host_values(300);
    for (int i = 0; i < 300; i++) expected[i] = 1 / sqrt(variance.values[i] + (double)1e-5f);
    assert_close(expected, &inverse, "1 / sd");
    bl_gpu_variance_of_inverse(NULL, inverse.data, 1e-5f, back.data, 300);
    const double *made = receive(&inverse), *found = receive(&back);
    for (int i = 0; i < 300; i++) { // with no rounding but the inverse's own and the result's
        expected[i] = (double)(float)fmax(0, 1 / (made[i] * made[i]) - (double)1e-5f);
        assert_true(fabs(found[i] - variance.values[i]) <= 2e-7 * (variance.values[i] + 1e-5));
    }
    assert_same(expected, &back, "variance");
}

// ---- sums over rows ----

static void rows_and_groups_are_summed_in_order(void **state) {
    (void)state;
    static const int sizes[][2] = {{1, 1}, {1, 300}, {31, 10}, {32, 3}, {33, 3}, {700, 13}}; // rows, channels
    for (size_t i = 0; i < EACH(sizes); i++)
        for (int is_half = 0; is_half < 2; is_half++) {
            const int64_t rows = sizes[i][0], channels = sizes[i][1];
            array x = sent("x", rows * channels, is_half), sum = sent("sum", channels, false);
            array partial = sent("partial", bl_gpu_column_partials(rows) * channels, false);
            double *expected = host_values(channels);
            for (int64_t k = 0; k < x.count; k++) expected[k % channels] += x.values[k];
            bl_gpu_sum_columns(NULL, x.data, is_half, rows, channels, partial.data, sum.data);
            assert_close(expected, &sum, "columns");
            receive(&partial); // its guard
            if (is_half) continue;
            bl_gpu_sum_groups(NULL, x.data, (int)rows, sum.data, channels);
            assert_close(expected, &sum, "groups");
        }
}

static void a_row_is_added_to_each(void **state) {
    (void)state;
    array row = sent("row", 13, false), x = sent("x", 13 * 70, false);
    bl_gpu_add_row(NULL, row.data, x.data, 70, 13);
    for (int64_t k = 0; k < x.count; k++) x.values[k] = (double)((float)x.values[k] + (float)row.values[k % 13]);
    assert_same(x.values, &x, "row");
}

// ---- BYOL's loss ----

typedef struct loss_case {
    const char *name;
    int64_t N, D;
    bl_attributes attributes;
    float weight, constant;
} loss_case;

static const loss_case losses[] = {
        {"crossed", 16, 256, {.groups = 2}, 1, 0},
        {"same view, wider than a block", 6, 300, {.groups = 2, .pairing = BL_SAME_VIEW}, 1, 0},
        {"one image, one feature", 2, 1, {.groups = 2}, 1, 0},
        {"more rows than threads", 258, 5, {.groups = 2}, 1, 0},
        {"mean", 6, 37, {.groups = 2, .reduction = BL_REDUCE_MEAN}, .5f, 0},
        {"half", 6, 37, {.groups = 2, .reduction = BL_REDUCE_HALF}, .25f, -1},
        {"one direction, half", 6, 37, {.groups = 2, .one_direction = true, .reduction = BL_REDUCE_HALF}, .5f, -1},
        {"one direction, same view", 6, 37, {.groups = 2, .one_direction = true, .pairing = BL_SAME_VIEW}, 1, 0},
        {"not normalised", 6, 37, {.groups = 2, .normalization = BL_NORMALIZE_NONE}, 1, 0},
        {"layer norm", 6, 300, {.groups = 2, .normalization = BL_NORMALIZE_LAYER_NORM}, 1, 0},
        {"layer norm, same view, one direction", 4, 3,
         {.groups = 2, .normalization = BL_NORMALIZE_LAYER_NORM, .pairing = BL_SAME_VIEW, .one_direction = true}, 1, 0},
};

static bl_gpu_loss loss_of(const loss_case *c) {
    const bl_attributes *a = &c->attributes;
    return (bl_gpu_loss){.rows = c->N,
                         .features = c->D,
                         .view_rows = c->N / 2,
                         .compared = a->one_direction ? c->N / 2 : c->N,
                         .crossed = a->pairing == BL_CROSSED,
                         .centers = a->normalization == BL_NORMALIZE_LAYER_NORM,
                         .normalizes = a->normalization != BL_NORMALIZE_NONE,
                         .weight = c->weight,
                         .constant = c->constant};
}

// The loss and both gradients of p and z.
static void hold_loss(const loss_case *c, const array *p, const array *z) {
    const bl_gpu_loss of = loss_of(c);
    array loss = scalar(-5), dp = sent("dp", p->count, p->is_half), dz = sent("dz", z->count, z->is_half);
    lone l;
    operator_of(&l, BL_OP_BYOL_LOSS, &c->attributes, shape_of(1, 0));
    add_input(&l, shape_of(c->N, c->D), p->values);
    add_input(&l, shape_of(c->N, c->D), z->values);
    const double *expected = add_output(&l, 0, 1);
    run_reference(&l);
    bl_gpu_byol_loss(NULL, &of, p->data, z->data, p->is_half, device_bytes((size_t)c->N * sizeof(double)), loss.data);
    assert_float_equal(receive(&loss)[0], *expected, 2e-7 * (fabs(*expected) + 1));

    l.node.op = BL_OP_BYOL_LOSS_BACKWARD;
    const double *expected_dp = add_output(&l, 0, p->count), *expected_dz = add_output(&l, 1, z->count);
    run_reference(&l);
    bl_gpu_byol_loss_backward(NULL, &of, p->data, z->data, p->is_half, dp.data, dz.data);
    if (c->D > 1) { // of one feature normalised the gradient is 0 up to rounding
        assert_close(expected_dp, &dp, c->name);
        assert_close(expected_dz, &dz, c->name);
    }
    // Either one alone is the same.
    array alone = sent("alone", p->count, p->is_half);
    bl_gpu_byol_loss_backward(NULL, &of, p->data, z->data, p->is_half, alone.data, NULL);
    assert_same(receive(&dp), &alone, c->name);
    bl_gpu_byol_loss_backward(NULL, &of, p->data, z->data, p->is_half, NULL, alone.data);
    assert_same(receive(&dz), &alone, c->name);
}

static void the_loss_and_its_gradient_are_those_of_the_reference(void **state) {
    (void)state;
    for (size_t i = 0; i < 2 * EACH(losses); i++) {
        const loss_case *c = &losses[i / 2];
        if (is_long(c->N) && i % 2) continue;
        const array p = sent("p", c->N * c->D, i % 2), z = sent("z", c->N * c->D, i % 2);
        hold_loss(c, &p, &z);
    }
}

static void rows_without_length_have_a_gradient_that_is_clamped(void **state) {
    (void)state;
    for (size_t i = 0; i < EACH(losses); i++) {
        const loss_case *c = &losses[i];
        array p = drawn("p", c->N * c->D, false), z = sent("z", c->N * c->D, false);
        for (int64_t d = 0; d < c->D; d++) p.values[d] = 0, p.values[(c->N - 1) * c->D + d] *= 1e-9;
        send(&p);
        if (c->D > 1 && !is_long(c->N)) hold_loss(c, &p, &z);
    }
}

static void a_value_that_is_not_finite_shows_in_the_loss(void **state) {
    (void)state;
    for (size_t i = 0; i < EACH(losses); i++) {
        const loss_case *c = &losses[i];
        const bl_gpu_loss of = loss_of(c);
        array p = drawn("p", c->N * c->D, false), z = sent("z", c->N * c->D, false), loss = scalar(0);
        p.values[0] = i % 2 ? NAN : INFINITY;
        send(&p);
        bl_gpu_byol_loss(NULL, &of, p.data, z.data, false, device_bytes((size_t)c->N * sizeof(double)), loss.data);
        assert_false(isfinite(receive(&loss)[0]));
    }
}

// ---- the projection's spread ----

static void the_spread_is_that_of_the_reference(void **state) {
    (void)state;
    static const int64_t sizes[][2] = {{32, 256}, {6, 37}, {2, 1}, {30, 33}, {260, 3}}; // rows, features
    for (size_t i = 0; i < EACH(sizes); i++)
        for (int how = 0; how < 4; how++) {
            const int64_t N = sizes[i][0], D = sizes[i][1];
            if (is_long(N) && how) continue;
            array z = drawn("z", N * D, how & 1), std = scalar(-5);
            for (int64_t d = 0; d < D; d++) z.values[d] = 0; // a row without length
            if (how & 2) // nearly collapsed
                for (int64_t k = D; k < N * D; k++) z.values[k] = 1 + 1e-3 * z.values[k];
            send(&z);
            const bl_attributes attributes = {.groups = 2};
            lone l;
            operator_of(&l, BL_OP_PROJECTION_STD, &attributes, shape_of(1, 0));
            add_input(&l, shape_of(N, D), z.values);
            const double *expected = add_output(&l, 0, 1);
            run_reference(&l);
            bl_gpu_projection_std(NULL, z.data, z.is_half, N, D, N / 2, device_bytes((size_t)N * sizeof(double)),
                                  device_bytes((size_t)(2 * D) * sizeof(double)), std.data);
            assert_float_equal(receive(&std)[0], *expected, 1e-7 * *expected);
        }
}

// ---- cross-entropy ----

static void hold_cross_entropy(const array *logits, const array *labels, int64_t N, int64_t K) {
    array loss = scalar(-5), correct = scalar(-5), gradient = sent("dlogits", N * K, logits->is_half);
    lone l;
    operator_of(&l, BL_OP_CROSS_ENTROPY, NULL, shape_of(1, 0));
    add_input(&l, shape_of(N, K), logits->values);
    add_input(&l, shape_of(N, 0), labels->values);
    const double *expected_loss = add_output(&l, 0, 1), *expected_correct = add_output(&l, 1, 1);
    run_reference(&l);
    double *parts = device_bytes((size_t)(3 * N) * sizeof *parts);
    bl_gpu_cross_entropy(NULL, logits->data, labels->data, logits->is_half, N, K, parts, loss.data, correct.data);
    assert_close(expected_loss, &loss, "loss");
    assert_same((double[]){(double)(float)*expected_correct}, &correct, "correct");
    put(&loss, -5); // either alone
    bl_gpu_cross_entropy(NULL, logits->data, labels->data, logits->is_half, N, K, parts, NULL, correct.data);
    assert_same((double[]){-5}, &loss, "loss");
    bl_gpu_cross_entropy(NULL, logits->data, labels->data, logits->is_half, N, K, parts, loss.data, NULL);
    assert_close(expected_loss, &loss, "loss");

    l.node.op = BL_OP_CROSS_ENTROPY_BACKWARD;
    const double *expected = add_output(&l, 0, N * K);
    run_reference(&l);
    bl_gpu_cross_entropy_backward(NULL, logits->data, labels->data, logits->is_half, N, K, parts, gradient.data);
    assert_close(expected, &gradient, "gradient");
}

typedef enum labelling { ALL, SOME, NONE } labelling;

static void cross_entropy_counts_labelled_rows_alone(void **state) {
    (void)state;
    static const int64_t sizes[][2] = {{16, 10}, {7, 37}, {1, 2}, {3, 1000}, {258, 3}}; // rows, classes
    for (size_t i = 0; i < EACH(sizes); i++)
        for (int how = 0; how < 12; how++) {
            const int64_t N = sizes[i][0], K = sizes[i][1];
            const labelling which = (labelling)(how % 3);
            if (is_long(N) && how != SOME) continue;
            array logits = drawn("logits", N * K, how / 3 % 2), labels = drawn("labels", N, false);
            for (int64_t n = 0; n < N; n++) {
                const bool is_labelled = which == ALL || (which == SOME && n % 4 != 1);
                labels.values[n] = is_labelled ? (double)(n * 7 % K) : n % 2 ? -1 : (double)K;
            }
            if (how >= 6) // ties, and beyond exp's range
                for (int64_t k = 0; k < N * K; k++) logits.values[k] = 800 + round(2 * logits.values[k]) / 2;
            send(&logits);
            send(&labels);
            hold_cross_entropy(&logits, &labels, N, K);
        }
}

static void the_first_of_equal_logits_is_the_answer(void **state) {
    (void)state;
    array logits = drawn("logits", 300, false), label = scalar(0), correct = scalar(0);
    double *parts = device_bytes(3 * sizeof *parts);
    for (int64_t first = 0; first < 300; first += 37) {
        for (int64_t k = 0; k < 300; k++) logits.values[k] = k < first ? -1 : 2;
        send(&logits);
        put(&label, (double)first);
        bl_gpu_cross_entropy(NULL, logits.data, label.data, false, 1, 300, parts, NULL, correct.data);
        assert_same((double[]){1}, &correct, "the first");
        put(&label, (double)(first + 1));
        bl_gpu_cross_entropy(NULL, logits.data, label.data, false, 1, 300, parts, NULL, correct.data);
        assert_same((double[]){0}, &correct, "the second");
        array place = scalar(-5);
        bl_gpu_argmax(NULL, logits.data, false, 1, 300, place.data);
        assert_same((double[]){(double)first}, &place, "its place");
    }
}

static void a_logit_that_is_not_a_number_shows_in_the_loss(void **state) {
    (void)state;
    for (int64_t at = 0; at < 10; at += 9) {
        array logits = drawn("logits", 10, false), label = scalar(3), loss = scalar(0);
        logits.values[at] = NAN;
        send(&logits);
        bl_gpu_cross_entropy(NULL, logits.data, label.data, false, 1, 10, device_bytes(3 * sizeof(double)), loss.data, NULL);
        assert_true(isnan(receive(&loss)[0]));
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_teardown(name, rig_free)
    const struct CMUnitTest tests[] = {
            TEST(values_change_type_as_the_graph_rounds_them),
            TEST(rows_grow_by_zeros_and_lose_their_ends),
            TEST(sums_and_rectified_values_keep_what_is_not_a_number),
            TEST(the_first_gradient_is_written_and_the_next_added),
            TEST(a_scalar_is_set_and_watched_ones_come_together),
            TEST(known_statistics_normalise_rows),
            TEST(a_variance_returns_from_its_inverse),
            TEST(rows_and_groups_are_summed_in_order),
            TEST(a_row_is_added_to_each),
            TEST(the_loss_and_its_gradient_are_those_of_the_reference),
            TEST(rows_without_length_have_a_gradient_that_is_clamped),
            TEST(a_value_that_is_not_finite_shows_in_the_loss),
            TEST(the_spread_is_that_of_the_reference),
            TEST(cross_entropy_counts_labelled_rows_alone),
            TEST(the_first_of_equal_logits_is_the_answer),
            TEST(a_logit_that_is_not_a_number_shows_in_the_loss),
    };
    return cmocka_run_group_tests_name("gpu kernels", tests, NULL, NULL);
}
