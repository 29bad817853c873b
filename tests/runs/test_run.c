// Whole runs: killed and continued, skipped, refused, evaluated again.

#include <math.h>

#include "run_rig.h"

static const char recipe[] =
        "data: {dataset: shapes, train: 48, test: 60}\n"
        "views:\n"
        "  - {random_resized_crop: {size: 32}, flip: 0.5, color_jitter: {p: 0.8, brightness: 0.4}, blur: {p: 0.5}, grayscale: 0.2, normalize: imagenet}\n"
        "network: {encoder: resnet18, stem: cifar, width: 4, projector: {hidden: 16, out: 8, batch_norm: hidden}}\n"
        "method:\n"
        "  predictor: {kind: mlp, hidden: 16, batch_norm: none}\n"
        "  target: {source: ema, init: copy, tau: 0.9, schedule: cosine}\n"
        "train: {epochs: 3, batch: 8, optimizer: {kind: adam, lr: 1.0e-3}, schedule: cosine, warmup: 1, precision: f32, log_every: 1, checkpoint_every: 4}\n"
        "evaluate:\n"
        "  - knn: {at: {first: 0, every: 1}, k: 3, protocol: train_to_test, split: test, monitor: test, temperature: 0.1}\n"
        "  - knn: {at: {first: 0, every: 2}, k: 1, protocol: cross_validation, folds: 5, split: test, monitor: test}\n";

enum { STEPS = 18 };

// ---- the tests ----

static void a_run_killed_at_five_steps_equals_an_uninterrupted_one_bit_for_bit(void **state) {
    (void)state;
    // before the first checkpoint, after one, on one, at an epoch's end, near the end
    static const int64_t kills[MOST_KILLS] = {2, 5, 9, 12, 17};
    const plan_of_run plan = {.backend = bl_test_backend()};
    const pair_of_runs files = run_whole_and_broken(plan, plan, "whole", "five kills", kills, (const int[MOST_KILLS]){0});
    assert_same_run(files.whole, files.broken);
    free_pair(files);
}

static void the_reference_resumes_bit_for_bit_too(void **state) {
    (void)state;
    const plan_of_run plan = {.backend = "reference", .set_key = "train.epochs", .set_value = "1"};
    const pair_of_runs files = run_whole_and_broken(plan, plan, "reference", "the reference", (const int64_t[MOST_KILLS]){5}, (const int[MOST_KILLS]){0});
    assert_same_run(files.whole, files.broken);
    free_pair(files);
}

static void loader_threads_change_no_bit(void **state) {
    (void)state;
    char *one = joined(bl_test_here(), "whole"), *four = joined(bl_test_here(), "four");
    char says[512];
    if (run_child((plan_of_run){.backend = bl_test_backend(), .results = one}, says)) fail_msg("%s", says);
    if (run_child((plan_of_run){.backend = bl_test_backend(), .results = four, .set_key = "machine.loader_threads", .set_value = "4"}, says))
        fail_msg("%s", says);
    char *a = run_file(one, bl_test_backend()), *b = run_file(four, bl_test_backend());
    // /manifest/resolved names the loader threads, which are of the machine: everything else must agree.
    const hid_t files[2] = {H5Fopen(a, H5F_ACC_RDONLY, H5P_DEFAULT), H5Fopen(b, H5F_ACC_RDONLY, H5P_DEFAULT)};
    const char *const groups[] = {"weights", "step", "evaluation"};
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        comparison c = {.other = H5Gopen2(files[1], groups[i], H5P_DEFAULT)};
        const hid_t group = H5Gopen2(files[0], groups[i], H5P_DEFAULT);
        assert_true(group >= 0 && c.other >= 0);
        assert_true(H5Ovisit2(group, H5_INDEX_NAME, H5_ITER_INC, compare_object, &c, H5O_INFO_BASIC) >= 0);
        assert_true(c.sets > 0);
        H5Gclose(group);
        H5Gclose(c.other);
    }
    H5Fclose(files[0]);
    H5Fclose(files[1]);
    free(a);
    free(b);
    free(one);
    free(four);
}

static void a_finished_run_is_skipped_and_its_bytes_stay(void **state) {
    (void)state;
    char *results = joined(bl_test_here(), "whole"), *path = run_file(results, bl_test_backend());
    char says[512];
    void *before, *after;
    size_t size_before, size_after;
    if (run_child((plan_of_run){.backend = bl_test_backend(), .results = results}, says)) fail_msg("%s", says);
    assert_ok(bl_read_file(path, &before, &size_before));
    if (run_child((plan_of_run){.backend = bl_test_backend(), .results = results}, says)) fail_msg("%s", says);
    assert_ok(bl_read_file(path, &after, &size_after));
    assert_int_equal(size_before, size_after);
    assert_memory_equal(before, after, size_before);
    bl_free(before);
    bl_free(after);
    free(path);
    free(results);
}

static void features_are_kept_where_nothing_is_evaluated(void **state) {
    (void)state;
    char *results = joined(bl_test_here(), "features"), *path = run_file(results, bl_test_backend());
    char says[512];
    const plan_of_run plan = {.backend = bl_test_backend(), .results = results,
                              .more = {{"evaluate", "[]"}, {"save.features", "last"}, {"train.epochs", "1"}, {"train.warmup", "0"}}};
    if (run_child(plan, says)) fail_msg("%s", says);
    bl_container_reader *reader = opened(path);
    assert_true(bl_container_has(reader, "/features/train") && bl_container_has(reader, "/features/test"));
    bl_container_reader_close(reader);
    free(path);
    free(results);
}

static void features_are_kept_of_the_splits_that_rows_look_at(void **state) {
    (void)state;
    static const struct {
        const char *rows;
        bool train, validation, test;
    } cases[] = {{"[{knn: {k: 3}}]", true, true, false},
                 {"[{knn: {k: 3, protocol: cross_validation, split: test}}]", false, false, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *results = joined(bl_test_here(), i ? "features of test" : "features of validation"), *path = run_file(results, bl_test_backend());
        char says[512];
        const plan_of_run plan = {.backend = bl_test_backend(), .results = results,
                                  .more = {{"evaluate", cases[i].rows}, {"data.validation", "10"}, {"save.features", "last"}, {"train.epochs", "1"}}};
        if (run_child(plan, says)) fail_msg("%s", says);
        bl_container_reader *reader = opened(path);
        assert_true(bl_container_has(reader, "/features/train") == cases[i].train);
        assert_true(bl_container_has(reader, "/features/validation") == cases[i].validation);
        assert_true(bl_container_has(reader, "/features/test") == cases[i].test);
        bl_container_reader_close(reader);
        free(path);
        free(results);
    }
}

// An online target is no average: no tau is kept, though one may stand in the file's defaults.
static void tau_is_kept_where_there_is_an_average_alone(void **state) {
    (void)state;
    for (int moves = 0; moves < 2; moves++) {
        char *results = joined(bl_test_here(), moves ? "average" : "no average"), *path = run_file(results, bl_test_backend());
        char says[512];
        const plan_of_run plan = {.backend = bl_test_backend(), .results = results,
                                  .more = {{"method.target", moves ? "{source: ema}" : "{source: online, init: null, tau: null, schedule: null}"},
                                           {"evaluate", "[]"}, {"train.epochs", "1"}}};
        if (run_child(plan, says)) fail_msg("%s", says);
        bl_history history = history_in(path);
        assert_true(history.step_count > 0);
        for (int64_t i = 0; i < history.step_count; i++) assert_true(isnan(history.steps[i].tau) == !moves);
        bl_history_free(&history);
        free(path);
        free(results);
    }
}

static void another_recipe_under_the_same_name_is_refused(void **state) {
    (void)state;
    char *results = joined(bl_test_here(), "whole");
    char says[512];
    if (run_child((plan_of_run){.backend = bl_test_backend(), .results = results}, says)) fail_msg("%s", says);
    assert_int_equal(run_child((plan_of_run){.backend = bl_test_backend(), .results = results, .set_key = "train.batch", .set_value = "6"}, says), 1);
    assert_non_null(strstr(says, "another recipe"));
    free(results);
}

static void a_damaged_run_file_is_named_and_left_alone(void **state) {
    (void)state;
    char *results = joined(bl_test_here(), "damaged"), *path = run_file(results, bl_test_backend());
    char says[512];
    void *data;
    size_t size;
    if (run_child((plan_of_run){.backend = bl_test_backend(), .results = results}, says)) fail_msg("%s", says);
    assert_ok(bl_read_file(path, &data, &size));
    ((char *)data)[size / 2] ^= 1;
    assert_ok(bl_atomic_write(path, data, size));
    assert_int_equal(run_child((plan_of_run){.backend = bl_test_backend(), .results = results}, says), 1);
    assert_non_null(strstr(says, path));
    bl_free(data);
    free(path);
    free(results);
}

static void eval_adds_a_row_without_training_and_refuses_what_is_not_finished(void **state) {
    (void)state;
    char *results = joined(bl_test_here(), "evaluated"), *path = run_file(results, bl_test_backend());
    char says[512];
    assert_int_equal(run_child((plan_of_run){.backend = bl_test_backend(), .results = results, .evaluate_only = true}, says), 1);
    assert_non_null(strstr(says, "not finished"));
    if (run_child((plan_of_run){.backend = bl_test_backend(), .results = results}, says)) fail_msg("%s", says);
    char *file = joined(bl_test_here(), "recipe.yaml"), *longer;
    assert_true(asprintf(&longer, "%s  - knn: {at: [3], k: 5, protocol: train_to_test, split: test}\n", recipe) > 0);
    write_text(file, longer);
    if (run_child((plan_of_run){.backend = bl_test_backend(), .results = results, .evaluate_only = true}, says)) fail_msg("%s", says);
    write_text(file, recipe);
    bl_history history = history_in(path);
    bool found = false;
    for (int64_t i = 0; i < history.measurement_count; i++)
        found = found || (!strcmp(history.measurements[i].row, "knn/k5/test") && history.measurements[i].epoch == 3);
    assert_true(found);
    assert_int_equal(history.step_count, STEPS);
    bl_history_free(&history);
    free(longer);
    // Nothing that trains can change pixels: a finished run adds their row as epoch 0.
    assert_true(asprintf(&longer, "%s  - knn: {k: 5, split: test, features: pixels}\n", recipe) > 0);
    write_text(file, longer);
    if (run_child((plan_of_run){.backend = bl_test_backend(), .results = results, .evaluate_only = true}, says)) fail_msg("%s", says);
    write_text(file, recipe);
    history = history_in(path);
    assert_string_equal(history.measurements[history.measurement_count - 1].row, "pixels/k5/test");
    assert_int_equal(history.measurements[history.measurement_count - 1].epoch, 0);
    bl_history_free(&history);
    free(longer);
    free(file);
    free(path);
    free(results);
}

static void a_learning_rate_that_explodes_names_the_step_and_the_first_bad_tensor(void **state) {
    (void)state;
    char *results = joined(bl_test_here(), "exploded");
    char says[512];
    // SGD whose decay overshoots: every weight grows a thousandfold a step until f32 ends.
    assert_int_equal(run_child((plan_of_run){.backend = bl_test_backend(), .results = results, .set_key = "train.optimizer",
                                             .set_value = "{kind: sgd, lr: 1000, momentum: 0, weight_decay: 1}"}, says), 1);
    if (!strstr(says, "is not finite, first in '")) fail_msg("%s", says);
    char *path = run_file(results, bl_test_backend());
    assert_false(bl_file_exists(path));
    free(path);
    free(results);
}

static int set_up(void **state) {
    (void)state;
    write_recipe(recipe);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_run_killed_at_five_steps_equals_an_uninterrupted_one_bit_for_bit),
            cmocka_unit_test(the_reference_resumes_bit_for_bit_too),
            cmocka_unit_test(loader_threads_change_no_bit),
            cmocka_unit_test(a_finished_run_is_skipped_and_its_bytes_stay),
            cmocka_unit_test(features_are_kept_of_the_splits_that_rows_look_at),
            cmocka_unit_test(tau_is_kept_where_there_is_an_average_alone),
            cmocka_unit_test(features_are_kept_where_nothing_is_evaluated),
            cmocka_unit_test(another_recipe_under_the_same_name_is_refused),
            cmocka_unit_test(a_damaged_run_file_is_named_and_left_alone),
            cmocka_unit_test(eval_adds_a_row_without_training_and_refuses_what_is_not_finished),
            cmocka_unit_test(a_learning_rate_that_explodes_names_the_step_and_the_first_bad_tensor),
    };
    return cmocka_run_group_tests(tests, set_up, bl_test_leave);
}
