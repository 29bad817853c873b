// The diagnosis of collapse: its numbers against cases worked by hand, its windows, its verdicts.

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "support.h"
#include "train/collapse.h"

#define assert_near(value, expected, tolerance) \
    do { \
        const double value_ = (value), expected_ = (expected); \
        if (!(fabs(value_ - expected_) <= (tolerance))) fail_msg("%s is %.17g, not %.17g", #value, value_, expected_); \
    } while (0)

// ---- spectra ----

static void eigenvalues_equal_closed_forms(void **state) {
    (void)state;
    double values[3];
    double two[] = {2, 1, 1, 2}; // 2 -+ 1
    assert_ok(bl_eigenvalues(two, 2, values));
    assert_near(values[0], 1, 1e-15);
    assert_near(values[1], 3, 1e-15);
    double uneven[] = {4, 2, 2, 1}; // trace 5, determinant 0
    assert_ok(bl_eigenvalues(uneven, 2, values));
    assert_near(values[0], 0, 1e-14);
    assert_near(values[1], 5, 1e-14);
    double path[] = {2, -1, 0, -1, 2, -1, 0, -1, 2}; // 2 - 2 cos(k pi / 4)
    assert_ok(bl_eigenvalues(path, 3, values));
    for (int k = 1; k <= 3; k++) assert_near(values[k - 1], 2 - 2 * cos(k * M_PI / 4), 1e-14);
}

static void ranks_of_known_spectra(void **state) {
    (void)state;
    // 1, 1/2, 1/4, 1/8: p = 8/15, 4/15, 2/15, 1/15, and -sum p log p = log 15 - (24 + 8 + 2) / 15 log 2.
    const double geometric = exp(log(15) - 34.0 / 15 * log(2));
    const struct {
        const char *name;
        double spectrum[4], rank;
    } cases[] = {
        {"four equal values", {3, 3, 3, 3}, 4},
        {"one value", {0, 0, 0, 7}, 1},
        {"two equal values", {0, 0, 5, 5}, 2},
        {"a geometric spectrum", {0.125, 0.25, 0.5, 1}, geometric},
        {"rounding below zero", {-1e-18, 0, 5, 5}, 2},
        {"no value above zero", {0, 0, 0, 0}, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const double rank = bl_entropy_rank(cases[i].spectrum, 4, 0);
        if (!(fabs(rank - cases[i].rank) < 1e-14)) fail_msg("%s: %.17g, not %.17g", cases[i].name, rank, cases[i].rank);
    }
    // RankMe adds to every share: (1/2 + a), twice.
    assert_near(bl_entropy_rank((double[]){4, 4}, 2, 0.1), exp(-2 * 0.6 * log(0.6)), 1e-15);
}

// ---- distances ----

static void alignment_of_three_pairs_by_hand(void **state) {
    (void)state;
    // The same point, opposite points, a right angle: 0, 4, 2.
    const double x[] = {1, 0, 0, 1, 1, 0}, y[] = {1, 0, 0, -1, 0, 1};
    assert_near(bl_alignment(x, y, 3, 2), 2, 1e-15);
    assert_near(bl_alignment(x, x, 3, 2), 0, 0);
}

static void uniformity_of_two_to_four_points_by_hand(void **state) {
    (void)state;
    assert_near(bl_uniformity((double[]){1, 0, -1, 0}, 2, 2), -8, 1e-14);
    // A square: four sides of squared length 2, two diagonals of 4.
    const double square[] = {1, 0, 0, 1, -1, 0, 0, -1};
    assert_near(bl_uniformity(square, 3, 2), log((2 * exp(-4) + exp(-8)) / 3), 1e-14);
    assert_near(bl_uniformity(square, 4, 2), log((4 * exp(-4) + 2 * exp(-8)) / 6), 1e-14);
    // Eleven channels: more than a vector holds, and no multiple of it.
    double wide[22] = {0};
    wide[9] = wide[11 + 10] = 1;
    assert_near(bl_uniformity(wide, 2, 11), -4, 1e-14);
    assert_near(bl_uniformity((double[]){1, 0, 1, 0, 1, 0}, 3, 2), 0, 0);
    assert_near(bl_uniformity((double[]){1, 0}, 1, 2), 0, 0); // no pair
}

// ---- windows ----

enum { WIDTH = 5, ROWS = 10, BATCHES = 4 }; // 8 x 5 rows are four batches of 10

// Rows with a mean far from 0, and channels of unlike size.
static void fill(double *values, int64_t rows, uint64_t seed) {
    bl_random random = bl_random_stream(seed, "collapse", 0, 0, 0);
    for (int64_t i = 0; i < rows * WIDTH; i++) values[i] = 1 + bl_random_normal(&random) * (double)(1 + i % WIDTH);
}

static bl_collapse *diagnosis(int64_t rows, int width, int every) {
    bl_collapse *collapse;
    assert_ok(bl_collapse_create(&collapse, rows, width, every));
    return collapse;
}

// Feeds batches from `values`, the projections being the predictions too, until a row comes.
static int observe_all(bl_collapse *collapse, const double *values, int64_t batch_values, int first, int batches, bl_collapse_row *row) {
    bool complete = false;
    for (int b = first; b < batches; b++) {
        const bl_step_row step = {.step = 100 + b, .epoch = 1 + 0.25 * b, .loss = 3 - b};
        assert_true(bl_collapse_wants(collapse, step.step));
        assert_ok(bl_collapse_observe(collapse, &step, values + b * batch_values, values + b * batch_values, &complete, row));
        if (complete) return b + 1;
    }
    return 0;
}

// std and mean cosine of `rows` stacked views, by their definitions.
static void by_definition(const double *values, int rows, int width, double *std, double *mean_cosine) {
    double cosines = 0, variances = 0;
    for (int view = 0; view < 2; view++) {
        const double *v = values + view * rows / 2 * width;
        for (int c = 0; c < width; c++) {
            double sum = 0, squares = 0;
            for (int i = 0; i < rows / 2; i++) {
                double norm = 0;
                for (int k = 0; k < width; k++) norm += v[i * width + k] * v[i * width + k];
                sum += v[i * width + c] / sqrt(norm);
                squares += v[i * width + c] * v[i * width + c] / norm;
            }
            variances += squares / (rows / 2.0) - sum * sum / (rows / 2.0 * rows / 2.0);
        }
        for (int i = 0; i < rows / 2; i++)
            for (int j = 0; j < rows / 2; j++) {
                double ab = 0, aa = 0, bb = 0;
                for (int k = 0; k < width; k++) {
                    ab += v[i * width + k] * v[j * width + k];
                    aa += v[i * width + k] * v[i * width + k];
                    bb += v[j * width + k] * v[j * width + k];
                }
                cosines += ab / sqrt(aa * bb);
            }
    }
    *std = sqrt(variances / (2.0 * width)) * sqrt(width);
    *mean_cosine = cosines / (2 * rows / 2.0 * rows / 2.0);
}

static void std_is_the_root_of_one_minus_the_mean_cosine(void **state) {
    (void)state;
    double values[BATCHES * ROWS * WIDTH], std, mean_cosine;
    bl_collapse_row row;
    fill(values, BATCHES * ROWS, 1);
    bl_collapse *collapse = diagnosis(ROWS, WIDTH, 100);
    assert_int_equal(observe_all(collapse, values, ROWS * WIDTH, 0, BATCHES, &row), BATCHES);
    by_definition(values, ROWS, WIDTH, &std, &mean_cosine);
    assert_near(row.std, std, 1e-14);
    assert_near(row.mean_cosine, mean_cosine, 1e-14);
    assert_near(row.std, sqrt(1 - row.mean_cosine), 1e-15);
    bl_collapse_free(collapse);
}

// One window over four batches, against a single batch that holds all their rows.
static void ranks_of_a_window_are_those_of_all_its_rows(void **state) {
    (void)state;
    double values[BATCHES * ROWS * WIDTH];
    bl_collapse_row row, whole;
    fill(values, BATCHES * ROWS, 2);
    bl_collapse *collapse = diagnosis(ROWS, WIDTH, 100), *once = diagnosis(BATCHES * ROWS, WIDTH, 100);
    assert_int_equal(observe_all(collapse, values, ROWS * WIDTH, 0, BATCHES, &row), BATCHES);
    assert_int_equal(observe_all(once, values, BATCHES * ROWS * WIDTH, 0, 1, &whole), 1);
    assert_near(row.rank, whole.rank, 1e-12);
    assert_near(row.rankme, whole.rankme, 1e-12);
    assert_true(row.rank > 1.5 && row.rank < WIDTH);
    // What is judged is that of the opening batch.
    assert_true(row.step == 100 && row.epoch == 1 && row.loss == 3);
    bl_collapse *opening = diagnosis(ROWS, WIDTH, 100);
    bl_collapse_row again;
    double repeated[BATCHES * ROWS * WIDTH];
    for (int b = 0; b < BATCHES; b++) memcpy(repeated + b * ROWS * WIDTH, values, ROWS * WIDTH * sizeof *values);
    assert_int_equal(observe_all(opening, repeated, ROWS * WIDTH, 0, BATCHES, &again), BATCHES);
    assert_true(row.std == again.std && row.alignment == again.alignment && row.uniformity == again.uniformity && row.norm == again.norm);
    bl_collapse_free(collapse);
    bl_collapse_free(once);
    bl_collapse_free(opening);
}

// Rows +-e_k / 2 around the mean (3, 0, 0, 0): covariance I / 16, second moment diag(9, 0, 0, 0) + I / 16.
static void a_window_by_hand(void **state) {
    (void)state;
    enum { D = 4, N = 32 };
    double projection[N * D] = {0}, prediction[N * D] = {0};
    for (int i = 0; i < N; i++) {
        projection[i * D + i % 8 / 2] = i % 2 ? 0.5 : -0.5;
        projection[i * D] += 3;
        prediction[i * D + 1] = i < N / 2 ? 2 : 4;
    }
    bl_collapse *collapse = diagnosis(N, D, 1);
    bl_collapse_row row;
    bool complete;
    assert_ok(bl_collapse_observe(collapse, &(bl_step_row){.step = 7}, projection, prediction, &complete, &row));
    assert_true(complete);
    assert_near(row.rank, 4, 1e-12);
    const double singular[] = {sqrt(9 + 1.0 / 16), 0.25, 0.25, 0.25};
    assert_near(row.rankme, bl_entropy_rank(singular, 4, 1e-7), 1e-12);
    assert_near(row.alignment, 0, 1e-15); // the views are the same rows
    assert_near(row.prediction_norm, 3, 1e-15);
    // Of eight rows two have norm 2.5 and 3.5, six sqrt(9.25).
    assert_near(row.norm, (2.5 + 3.5 + 6 * sqrt(9.25)) / 8, 1e-14);
    bl_collapse_free(collapse);
}

static void views_are_compared_row_by_row(void **state) {
    (void)state;
    // View 2 is view 1 turned by a right angle: every pair is at squared distance 2.
    const double values[] = {1, 0, 0, 3, 0, 1, -2, 0};
    bl_collapse *collapse = diagnosis(4, 2, 1);
    bl_collapse_row row;
    bool complete;
    for (int i = 0; i < 4; i++) assert_ok(bl_collapse_observe(collapse, &(bl_step_row){0}, values, values, &complete, &row));
    assert_true(complete);
    assert_near(row.alignment, 2, 1e-15);
    assert_near(row.uniformity, -4, 1e-14); // one pair a view, a right angle each
    bl_collapse_free(collapse);
}

static void uniformity_looks_at_the_first_rows_of_a_large_view(void **state) {
    (void)state;
    enum { VIEW = BL_UNIFORMITY_ROWS + 40 };
    double *values = calloc(2 * VIEW, 2 * sizeof *values);
    // Opposite points by turns; behind the rows that count, all the same.
    for (int i = 0; i < 2 * VIEW; i++) values[2 * i] = i % VIEW < BL_UNIFORMITY_ROWS && i % 2 ? -1 : 1;
    bl_collapse *collapse = diagnosis(2 * VIEW, 2, 1);
    bl_collapse_row row;
    bool complete;
    assert_ok(bl_collapse_observe(collapse, &(bl_step_row){0}, values, values, &complete, &row));
    const double half = BL_UNIFORMITY_ROWS / 2.0, pairs = half * (2 * half - 1), apart = half * half;
    assert_near(row.uniformity, log((pairs - apart + apart * exp(-8)) / pairs), 1e-12);
    bl_collapse_free(collapse);
    free(values);
}

static void windows_open_every_so_many_steps(void **state) {
    (void)state;
    double values[BATCHES * ROWS * WIDTH];
    bl_collapse_row row;
    bool complete;
    fill(values, BATCHES * ROWS, 3);
    bl_collapse *collapse = diagnosis(ROWS, WIDTH, 6);
    int rows = 0;
    int64_t opened[8] = {0};
    assert_int_equal(bl_collapse_batches(ROWS, WIDTH), BATCHES);
    for (int64_t step = 0; step < 36; step++) {
        const bool is_wanted = step >= 6 && step % 6 < BATCHES; // the untrained network has a row of its own
        assert_int_equal(bl_collapse_wants(collapse, step), is_wanted);
        if (!is_wanted) continue;
        assert_ok(bl_collapse_observe(collapse, &(bl_step_row){.step = step}, values, values, &complete, &row));
        assert_int_equal(complete, step % 6 == BATCHES - 1);
        if (complete) opened[rows++] = row.step;
    }
    assert_int_equal(rows, 5);
    for (int i = 0; i < rows; i++) assert_int_equal(opened[i], 6 * (i + 1));
    bl_collapse_free(collapse);
}

// ---- what has no spread, and what is not finite ----

static bl_collapse_row row_of(const double *values, int64_t rows, int width) {
    bl_collapse *collapse = diagnosis(rows, width, 1);
    bl_collapse_row row;
    bool complete = false;
    while (!complete) assert_ok(bl_collapse_observe(collapse, &(bl_step_row){.step = 1000, .loss = 1}, values, values, &complete, &row));
    bl_collapse_free(collapse);
    row.std_ratio = 1;
    return row;
}

static void no_spread_reads_collapsed_and_not_nan(void **state) {
    (void)state;
    static const double constants[] = {0, 1, 0.1, 1e-30, 12345.678};
    double values[16 * 3];
    for (size_t k = 0; k < sizeof constants / sizeof constants[0]; k++) {
        for (int i = 0; i < 16; i++)
            for (int c = 0; c < 3; c++) values[i * 3 + c] = constants[k] * (c + 1);
        const bl_collapse_row row = row_of(values, 16, 3);
        assert_near(row.std, 0, 1e-15);
        assert_near(row.mean_cosine, 1, 1e-15);
        assert_near(row.rank, 1, 0);
        assert_near(row.rankme, 1, 1e-4); // 1e-7 added to each share; rounding of the roots
        assert_near(row.alignment, 0, 0);
        assert_near(row.uniformity, 0, 0);
        assert_int_equal(bl_collapse_judge(&row, 1, 0), BL_COLLAPSED);
    }
}

static void spread_of_the_size_of_rounding_is_no_rank(void **state) {
    (void)state;
    double values[ROWS * WIDTH];
    bl_random random = bl_random_stream(4, "collapse", 0, 0, 0);
    for (int i = 0; i < ROWS * WIDTH; i++) values[i] = 5 + 1e-8 * bl_random_normal(&random);
    assert_near(row_of(values, ROWS, WIDTH).rank, 1, 0);
    for (int i = 0; i < ROWS * WIDTH; i++) values[i] = 5 + 1e-4 * bl_random_normal(&random);
    assert_true(row_of(values, ROWS, WIDTH).rank > 2);
}

static void what_is_not_finite_ends_the_window_and_reads_diverged(void **state) {
    (void)state;
    static const double bad[] = {NAN, INFINITY, -INFINITY};
    double values[ROWS * WIDTH], spoilt[ROWS * WIDTH];
    bl_collapse_row row;
    bool complete;
    fill(values, ROWS, 5);
    for (int k = 0; k < 3; k++)
        for (int in_prediction = 0; in_prediction < 2; in_prediction++) {
            memcpy(spoilt, values, sizeof values);
            spoilt[ROWS * WIDTH - 1] = bad[k];
            bl_collapse *collapse = diagnosis(ROWS, WIDTH, 10);
            assert_ok(bl_collapse_observe(collapse, &(bl_step_row){.step = 0}, values, values, &complete, &row));
            assert_false(complete);
            assert_ok(bl_collapse_observe(collapse, &(bl_step_row){.step = 1, .loss = 2}, in_prediction ? values : spoilt,
                                          in_prediction ? spoilt : values, &complete, &row));
            assert_true(complete && row.step == 1 && row.loss == 2);
            assert_int_equal(bl_collapse_judge(&row, 1, 0), BL_DIVERGED);
            assert_false(bl_collapse_wants(collapse, 2)); // the window is gone
            bl_collapse_free(collapse);
        }
    for (int i = 0; i < ROWS * WIDTH; i++) spoilt[i] = values[i] * 1e200; // finite, but no square of it is
    row = row_of(spoilt, ROWS, WIDTH);
    assert_int_equal(bl_collapse_judge(&row, 1, 0), BL_DIVERGED);
}

// ---- checkpoints ----

// The window's rows after `kept` of its batches went through a file.
static bl_collapse_row continued(const char *path, const double *values, int kept) {
    bl_collapse *before = diagnosis(ROWS, WIDTH, 100), *after = diagnosis(ROWS, WIDTH, 100);
    bl_collapse_row row;
    bl_container_writer *writer;
    bl_container_reader *reader;
    assert_int_equal(observe_all(before, values, ROWS * WIDTH, 0, kept, &row), 0);
    assert_ok(bl_container_writer_create(&writer));
    assert_ok(bl_container_put_i64(writer, "/trainer/step", (int64_t[]){101}, NULL, 0));
    assert_ok(bl_collapse_put(before, writer));
    assert_ok(bl_container_writer_save(writer, path));
    bl_container_writer_free(writer);
    assert_ok(bl_container_reader_open(&reader, path));
    assert_ok(bl_collapse_get(after, reader));
    bl_container_reader_close(reader);
    assert_int_equal(bl_collapse_wants(after, 101), kept > 0);
    assert_int_equal(observe_all(after, values, ROWS * WIDTH, kept, BATCHES, &row), BATCHES);
    bl_collapse_free(before);
    bl_collapse_free(after);
    return row;
}

static void half_a_window_continues_bit_for_bit(void **state) {
    (void)state;
    char *folder = bl_test_folder(), path[512];
    double values[BATCHES * ROWS * WIDTH];
    bl_collapse_row whole;
    snprintf(path, sizeof path, "%s/half.ckpt", folder);
    fill(values, BATCHES * ROWS, 6);
    bl_collapse *collapse = diagnosis(ROWS, WIDTH, 100);
    assert_int_equal(observe_all(collapse, values, ROWS * WIDTH, 0, BATCHES, &whole), BATCHES);
    bl_collapse_free(collapse);
    for (int kept = 0; kept < BATCHES; kept++) {
        const bl_collapse_row row = continued(path, values, kept);
        assert_memory_equal(&row, &whole, offsetof(bl_collapse_row, verdict));
    }
    bl_test_folder_remove(folder);
}

static void a_window_of_another_width_is_refused(void **state) {
    (void)state;
    char *folder = bl_test_folder(), path[512];
    double values[ROWS * WIDTH];
    bl_collapse_row row;
    bl_container_writer *writer;
    bl_container_reader *reader;
    snprintf(path, sizeof path, "%s/half.ckpt", folder);
    fill(values, ROWS, 7);
    bl_collapse *five = diagnosis(ROWS, WIDTH, 100), *nine = diagnosis(ROWS, 9, 100);
    assert_int_equal(observe_all(five, values, ROWS * WIDTH, 0, 1, &row), 0);
    assert_ok(bl_container_writer_create(&writer));
    assert_ok(bl_collapse_put(five, writer));
    assert_ok(bl_container_writer_save(writer, path));
    bl_container_writer_free(writer);
    assert_ok(bl_container_reader_open(&reader, path));
    assert_int_not_equal(bl_collapse_get(nine, reader), BL_OK);
    assert_non_null(strstr(bl_error(), "/trainer/collapse/"));
    bl_container_reader_close(reader);
    assert_int_equal(bl_collapse_wants(nine, 101), false);
    bl_collapse_free(five);
    bl_collapse_free(nine);
    bl_test_folder_remove(folder);
}

// ---- verdicts ----

// A row of a run that learns: what a case leaves at 0 here, its series sets.
static bl_collapse_row healthy(int64_t step) {
    return (bl_collapse_row){.step = step, .loss = step ? 1 : 4, .std = 0.8, .std_ratio = 1, .mean_cosine = 0.36, .rank = 50, .rankme = 60,
                             .alignment = 1, .uniformity = -2, .norm = 10, .prediction_norm = 5};
}

// Two rows: the untrained network and `last`.
static bl_verdict judged(bl_collapse_row last) { return bl_collapse_judge((bl_collapse_row[]){healthy(0), last}, 2, 0); }

static void each_verdict_has_its_series(void **state) {
    (void)state;
    bl_collapse_row row = healthy(500);
    assert_int_equal(judged(row), BL_HEALTHY);
    row.std_ratio = 0.2;
    assert_int_equal(judged(row), BL_COLLAPSING);
    row.std_ratio = 0.04;
    assert_int_equal(judged(row), BL_COLLAPSED);
    row = healthy(500), row.rank = 1.02; // of 50
    assert_int_equal(judged(row), BL_DIMENSIONAL);
    row.rank = 1.1; // as runs that learn have been seen to end
    assert_int_equal(judged(row), BL_HEALTHY);
    row = healthy(500), row.loss = 3.9;
    assert_int_equal(judged(row), BL_STUCK);
    row = healthy(500), row.norm = 2e5;
    assert_int_equal(judged(row), BL_DIVERGED);
    assert_int_equal(judged(healthy(5)), BL_UNDETERMINED);
    assert_int_equal(bl_collapse_judge(NULL, 0, 0), BL_UNDETERMINED);
    const bl_collapse_row first = healthy(0);
    assert_int_equal(bl_collapse_judge(&first, 1, 0), BL_UNDETERMINED);
}

static void a_threshold_belongs_to_the_better_side(void **state) {
    (void)state;
    bl_collapse_row row = healthy(500);
    row.std_ratio = BL_COLLAPSED_STD;
    assert_int_equal(judged(row), BL_COLLAPSING);
    row.std_ratio = nextafter(BL_COLLAPSED_STD, 0);
    assert_int_equal(judged(row), BL_COLLAPSED);
    row.std_ratio = BL_COLLAPSING_STD;
    assert_int_equal(judged(row), BL_HEALTHY);
    row.std_ratio = nextafter(BL_COLLAPSING_STD, 0);
    assert_int_equal(judged(row), BL_COLLAPSING);
    row = healthy(500), row.rank = 1 + BL_DIMENSIONAL_RANK * (healthy(0).rank - 1);
    assert_int_equal(judged(row), BL_HEALTHY);
    row.rank = nextafter(row.rank, 0);
    assert_int_equal(judged(row), BL_DIMENSIONAL);
    row = healthy(500), row.norm = BL_DIVERGED_NORM * healthy(0).norm;
    assert_int_equal(judged(row), BL_HEALTHY);
    row.norm = nextafter(row.norm, INFINITY);
    assert_int_equal(judged(row), BL_DIVERGED);
    row = healthy(BL_STUCK_STEPS), row.loss = BL_STUCK_LOSS * healthy(0).loss;
    assert_int_equal(judged(row), BL_STUCK);
    row.loss = nextafter(row.loss, 0);
    assert_int_equal(judged(row), BL_HEALTHY);
    row = healthy(BL_STUCK_STEPS - 1), row.loss = healthy(0).loss;
    assert_int_equal(judged(row), BL_HEALTHY);
    row = healthy(BL_JUDGED_STEPS), row.std_ratio = 0.01;
    assert_int_equal(judged(row), BL_COLLAPSED);
    row.step = BL_JUDGED_STEPS - 1;
    assert_int_equal(judged(row), BL_UNDETERMINED);
}

static void the_graver_verdict_speaks(void **state) {
    (void)state;
    bl_collapse_row row = healthy(500); // everything at once, then less and less
    row.std_ratio = 0.01, row.rank = 1, row.loss = 4, row.norm = 1e6;
    assert_int_equal(judged(row), BL_DIVERGED);
    row.step = 5; // even at the start
    assert_int_equal(judged(row), BL_DIVERGED);
    row.step = 500, row.norm = 10;
    assert_int_equal(judged(row), BL_COLLAPSED);
    row.std_ratio = 0.2;
    assert_int_equal(judged(row), BL_COLLAPSING);
    row.std_ratio = 1;
    assert_int_equal(judged(row), BL_DIMENSIONAL);
    row.rank = 50;
    assert_int_equal(judged(row), BL_STUCK);
}

static void a_run_that_recovers_from_its_dip_is_healthy(void **state) {
    (void)state;
    bl_collapse_row rows[] = {healthy(0), healthy(100), healthy(200)};
    rows[1].std_ratio = 0.08;
    assert_int_equal(bl_collapse_judge(rows, 2, 0), BL_COLLAPSED);
    assert_int_equal(bl_collapse_judge(rows, 3, 0), BL_HEALTHY);
}

static void a_loss_that_fell_and_rose_again_is_not_stuck(void **state) {
    (void)state;
    bl_collapse_row rows[] = {healthy(0), healthy(100), healthy(200)};
    rows[2].loss = 4;
    assert_int_equal(bl_collapse_judge(rows, 3, 0), BL_HEALTHY);
    rows[1].loss = 4;
    assert_int_equal(bl_collapse_judge(rows, 3, 0), BL_STUCK);
}

// The half of the two directions runs from about 0 down to -1.
static void a_loss_is_counted_from_the_least_it_can_be(void **state) {
    (void)state;
    bl_collapse_row rows[] = {healthy(0), healthy(500)};
    rows[0].loss = 0.01, rows[1].loss = -0.05;
    assert_int_equal(bl_collapse_judge(rows, 2, -1), BL_STUCK);
    rows[1].loss = -0.6;
    assert_int_equal(bl_collapse_judge(rows, 2, -1), BL_HEALTHY);
}

static void a_network_that_starts_without_spread_is_collapsed(void **state) {
    (void)state;
    bl_collapse_row rows[] = {healthy(0), healthy(500)};
    rows[0].std = rows[1].std = 1e-8; // the ratio of two roundings says nothing
    assert_int_equal(bl_collapse_judge(rows, 2, 0), BL_COLLAPSED);
}

static void anything_not_finite_is_diverged(void **state) {
    (void)state;
    static const size_t fields[] = {offsetof(bl_collapse_row, loss),      offsetof(bl_collapse_row, std),
                                    offsetof(bl_collapse_row, std_ratio), offsetof(bl_collapse_row, mean_cosine),
                                    offsetof(bl_collapse_row, rank),      offsetof(bl_collapse_row, rankme),
                                    offsetof(bl_collapse_row, alignment), offsetof(bl_collapse_row, uniformity),
                                    offsetof(bl_collapse_row, norm),      offsetof(bl_collapse_row, prediction_norm)};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        bl_collapse_row row = healthy(3);
        const double bad = i % 2 ? NAN : INFINITY;
        memcpy((char *)&row + fields[i], &bad, sizeof bad);
        assert_int_equal(judged(row), BL_DIVERGED);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eigenvalues_equal_closed_forms),
        cmocka_unit_test(ranks_of_known_spectra),
        cmocka_unit_test(alignment_of_three_pairs_by_hand),
        cmocka_unit_test(uniformity_of_two_to_four_points_by_hand),
        cmocka_unit_test(std_is_the_root_of_one_minus_the_mean_cosine),
        cmocka_unit_test(ranks_of_a_window_are_those_of_all_its_rows),
        cmocka_unit_test(a_window_by_hand),
        cmocka_unit_test(views_are_compared_row_by_row),
        cmocka_unit_test(uniformity_looks_at_the_first_rows_of_a_large_view),
        cmocka_unit_test(windows_open_every_so_many_steps),
        cmocka_unit_test(no_spread_reads_collapsed_and_not_nan),
        cmocka_unit_test(spread_of_the_size_of_rounding_is_no_rank),
        cmocka_unit_test(what_is_not_finite_ends_the_window_and_reads_diverged),
        cmocka_unit_test(half_a_window_continues_bit_for_bit),
        cmocka_unit_test(a_window_of_another_width_is_refused),
        cmocka_unit_test(each_verdict_has_its_series),
        cmocka_unit_test(a_threshold_belongs_to_the_better_side),
        cmocka_unit_test(the_graver_verdict_speaks),
        cmocka_unit_test(a_run_that_recovers_from_its_dip_is_healthy),
        cmocka_unit_test(a_loss_that_fell_and_rose_again_is_not_stuck),
        cmocka_unit_test(a_loss_is_counted_from_the_least_it_can_be),
        cmocka_unit_test(a_network_that_starts_without_spread_is_collapsed),
        cmocka_unit_test(anything_not_finite_is_diverged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
