// k-NN: scikit-learn's folds and accuracies, the stated order at ties, one answer for every thread count.

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "protocols/knn.h"
#include "support.h"

static const char golden[] = "knn.h5";

static double *read_set(const char *group, const char *name, int64_t *count) {
    char path[64];
    snprintf(path, sizeof path, "/%s/%s", group, name);
    return bl_test_golden(golden, path, count);
}

static uint8_t *read_labels(const char *group, const char *name, int64_t *count) {
    double *values = read_set(group, name, count);
    uint8_t *labels = malloc((size_t)*count);
    for (int64_t i = 0; i < *count; i++) labels[i] = (uint8_t)values[i];
    free(values);
    return labels;
}

static bl_features read_features(const char *group, const char *values_name, const char *labels_name) {
    int64_t count, rows;
    uint8_t *labels = read_labels(group, labels_name, &rows);
    double *values = read_set(group, values_name, &count);
    float *narrow = malloc((size_t)count * sizeof *narrow);
    for (int64_t i = 0; i < count; i++) narrow[i] = (float)values[i];
    free(values);
    return (bl_features){.values = narrow, .labels = labels, .rows = rows, .width = (int)(count / rows), .classes = 10};
}

static void free_features(bl_features features) {
    free((void *)features.values);
    free((void *)features.labels);
}

static bl_pool *pool_of(int threads) {
    bl_pool *pool;
    assert_ok(bl_pool_create(&pool, threads));
    return pool;
}

static void assert_folds(const char *group, const char *name, int folds) {
    int64_t rows, expected_rows;
    uint8_t *labels = read_labels(group, "labels", &rows), *expected = read_labels(group, name, &expected_rows);
    uint8_t *fold = malloc((size_t)rows);
    assert_int_equal(rows, expected_rows);
    assert_ok(bl_stratified_folds(labels, rows, 10, folds, fold));
    assert_memory_equal(fold, expected, (size_t)rows);
    free(labels);
    free(expected);
    free(fold);
}

static void folds_are_those_of_scikit_learn(void **state) {
    (void)state;
    assert_folds("balanced", "fold", 5);
    assert_folds("unbalanced", "fold", 5); // a class smaller than the fold count, classes that first appear out of order
    assert_folds("unbalanced", "fold_of_three", 3);
}

static void cross_validation_is_that_of_scikit_learn(void **state) {
    (void)state;
    bl_pool *pool = pool_of(2);
    const char *groups[] = {"balanced", "unbalanced"};
    for (int g = 0; g < 2; g++) {
        bl_features features = read_features(groups[g], "values", "labels");
        int64_t cases;
        double *k = read_set(groups[g], "k", &cases), *expected = read_set(groups[g], "accuracy", &cases);
        for (int i = 0; i < cases; i++) {
            double accuracy;
            assert_ok(bl_knn_cross_validation(&features, (int)k[i], 0, 5, pool, &accuracy));
            if (fabs(accuracy - expected[i]) > 1e-12) fail_msg("%s, k = %g: %.17g, not %.17g", groups[g], k[i], accuracy, expected[i]);
        }
        free(k);
        free(expected);
        free_features(features);
    }
    bl_pool_free(pool);
}

static void weighted_votes_are_those_of_scikit_learn(void **state) {
    (void)state;
    bl_pool *pool = pool_of(2);
    bl_features bank = read_features("weighted", "bank", "bank_labels"), queries = read_features("weighted", "queries", "query_labels");
    int64_t cases;
    double *k = read_set("weighted", "k", &cases), *temperature = read_set("weighted", "temperature", &cases);
    double *expected = read_set("weighted", "accuracy", &cases);
    for (int i = 0; i < cases; i++) {
        double accuracy;
        assert_ok(bl_knn_accuracy(&bank, &queries, (int)k[i], temperature[i], pool, &accuracy));
        if (fabs(accuracy - expected[i]) > 1e-12) fail_msg("k = %g, T = %g: %.17g, not %.17g", k[i], temperature[i], accuracy, expected[i]);
    }
    free(k);
    free(temperature);
    free(expected);
    free_features(bank);
    free_features(queries);
    bl_pool_free(pool);
}

static void ties_go_to_the_lowest_index_and_class(void **state) {
    (void)state;
    bl_pool *pool = pool_of(2);
    bl_features bank = read_features("ties", "bank", "bank_labels"), queries = read_features("ties", "queries", "query_labels");
    int64_t cases;
    double *k = read_set("ties", "k", &cases), *expected = read_set("ties", "accuracy", &cases);
    for (int i = 0; i < cases; i++) {
        double accuracy;
        assert_ok(bl_knn_accuracy(&bank, &queries, (int)k[i], 0, pool, &accuracy));
        if (fabs(accuracy - expected[i]) > 1e-12) fail_msg("k = %g: %.17g, not %.17g", k[i], accuracy, expected[i]);
    }
    free(k);
    free(expected);
    free_features(bank);
    free_features(queries);
    bl_pool_free(pool);
}

static void lengths_of_features_do_not_matter_but_a_zero_row_resembles_nothing(void **state) {
    (void)state;
    bl_pool *pool = pool_of(1);
    const float bank_values[] = {0, 0, 100, 1, 1e-3f, 1, -1, -1}, query_values[] = {1e-4f, 0, 0, 1e4f, -2, -3};
    const uint8_t bank_labels[] = {0, 1, 2, 3}, query_labels[] = {1, 2, 3};
    const bl_features bank = {bank_values, bank_labels, 4, 2, 4}, queries = {query_values, query_labels, 3, 2, 4};
    double accuracy;
    assert_ok(bl_knn_accuracy(&bank, &queries, 1, 0, pool, &accuracy));
    assert_true(accuracy == 1);
    bl_pool_free(pool);
}

static void a_low_temperature_trusts_the_nearest_alone(void **state) {
    (void)state;
    bl_pool *pool = pool_of(1);
    const float bank_values[] = {1, 0, 1, .5f, 1, .5f, 1, .5f}, query_values[] = {1, .01f};
    const uint8_t bank_labels[] = {1, 0, 0, 0}, query_label[] = {1};
    const bl_features bank = {bank_values, bank_labels, 4, 2, 2}, query = {query_values, query_label, 1, 2, 2};
    double accuracy;
    assert_ok(bl_knn_accuracy(&bank, &query, 4, 1e-5, pool, &accuracy)); // exp(1 / T) is beyond a double
    assert_true(accuracy == 1);
    assert_ok(bl_knn_accuracy(&bank, &query, 4, 0, pool, &accuracy)); // one vote each: outvoted
    assert_true(accuracy == 0);
    bl_pool_free(pool);
}

static void the_thread_count_does_not_matter(void **state) {
    (void)state;
    bl_features bank = read_features("weighted", "bank", "bank_labels"), queries = read_features("weighted", "queries", "query_labels");
    double one = 0;
    for (int threads = 1; threads <= 4; threads *= 2) {
        bl_pool *pool = pool_of(threads);
        double accuracy;
        assert_ok(bl_knn_accuracy(&bank, &queries, 50, .1, pool, &accuracy));
        if (threads == 1) one = accuracy;
        assert_true(accuracy == one);
        bl_pool_free(pool);
    }
    free_features(bank);
    free_features(queries);
}

static void every_row_of_a_bank_larger_than_the_cache_is_met(void **state) {
    (void)state;
    enum { ROWS = 12001, WIDTH = 64 };
    float *values = malloc(sizeof *values * ROWS * WIDTH);
    uint8_t *labels = malloc(ROWS);
    for (int i = 0; i < ROWS; i++) {
        bl_random bits = bl_random_stream(1, "rows", (uint32_t)i, 0, 0);
        for (int d = 0; d < WIDTH; d++) values[i * WIDTH + d] = (float)bl_random_normal(&bits);
        labels[i] = (uint8_t)bl_random_below(&bits, 251);
    }
    const bl_features bank = {values, labels, ROWS, WIDTH, 251}, first = {values, labels, 1001, WIDTH, 251};
    const bl_features queries = {values + 11000 * WIDTH, labels + 11000, ROWS - 11000, WIDTH, 251};
    bl_pool *pool = pool_of(2);
    double accuracy;
    assert_ok(bl_knn_accuracy(&bank, &queries, 1, 0, pool, &accuracy)); // each finds itself
    assert_true(accuracy == 1);
    assert_ok(bl_knn_accuracy(&bank, &first, 1, 0, pool, &accuracy));
    assert_true(accuracy == 1);
    bl_pool_free(pool);
    free(values);
    free(labels);
}

static void what_cannot_be_answered_is_refused(void **state) {
    (void)state;
    bl_pool *pool = pool_of(1);
    const float values[] = {1, 2, 3, 4, 5, NAN};
    const uint8_t labels[] = {0, 1, 0, 1, 0, 1};
    const bl_features good = {values, labels, 5, 1, 2}, not_finite = {values, labels, 6, 1, 2}, label_beyond = {values, labels, 5, 1, 1};
    const bl_features empty = {values, labels, 0, 1, 2}, wider = {values, labels, 2, 2, 2};
    const struct {
        const bl_features *bank, *queries;
        int k;
        const char *says;
    } cases[] = {
        {&good, &good, 6, "k = 6 neighbours of 5 rows"},   {&good, &good, 0, "k = 0"},
        {&not_finite, &good, 1, "row 5 of the bank is not finite"}, {&good, &not_finite, 1, "row 5 of the query set is not finite"},
        {&label_beyond, &good, 1, "label 1 of row 1"},     {&good, &empty, 1, "empty"},
        {&good, &wider, 1, "2 features"},
    };
    double accuracy;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_not_equal(bl_knn_accuracy(cases[i].bank, cases[i].queries, cases[i].k, 0, pool, &accuracy), BL_OK);
        if (!strstr(bl_error(), cases[i].says)) fail_msg("\"%s\" is not in \"%s\"", cases[i].says, bl_error());
    }
    uint8_t fold[6];
    assert_int_not_equal(bl_knn_cross_validation(&good, 1, 0, 4, pool, &accuracy), BL_OK);
    assert_non_null(strstr(bl_error(), "no class has more than 3 rows"));
    assert_int_not_equal(bl_knn_cross_validation(&good, 5, 0, 2, pool, &accuracy), BL_OK); // k of the rows outside a fold
    assert_int_not_equal(bl_stratified_folds(labels, 6, 2, 1, fold), BL_OK);
    bl_pool_free(pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folds_are_those_of_scikit_learn),
        cmocka_unit_test(cross_validation_is_that_of_scikit_learn),
        cmocka_unit_test(weighted_votes_are_those_of_scikit_learn),
        cmocka_unit_test(ties_go_to_the_lowest_index_and_class),
        cmocka_unit_test(lengths_of_features_do_not_matter_but_a_zero_row_resembles_nothing),
        cmocka_unit_test(a_low_temperature_trusts_the_nearest_alone),
        cmocka_unit_test(the_thread_count_does_not_matter),
        cmocka_unit_test(every_row_of_a_bank_larger_than_the_cache_is_met),
        cmocka_unit_test(what_cannot_be_answered_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
