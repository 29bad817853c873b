// What a run remembers of its collapse and its choices, in files of today and of before.

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "run/history.h"
#include "support.h"

static char *folder, path[512];

static int set_up(void **state) {
    (void)state;
    folder = bl_test_folder();
    snprintf(path, sizeof path, "%s/seed-0.reference.h5", folder);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    bl_test_folder_remove(folder);
    return 0;
}

static bl_run_writer *writer_of(const bl_history *history) {
    bl_run_writer *writer;
    assert_ok(bl_run_writer_create(&writer));
    if (history) assert_ok(bl_history_put(history, writer));
    return writer;
}

static bl_run_reader *saved(bl_run_writer *writer) {
    bl_run_reader *reader;
    assert_ok(bl_run_writer_save(writer, path));
    bl_run_writer_free(writer);
    assert_ok(bl_run_reader_open(&reader, path));
    return reader;
}

static bl_collapse_row row_number(int i) {
    return (bl_collapse_row){.step = 100 * i, .epoch = 0.5 * i, .loss = 4 - i / 7.0, .std = 0.9, .std_ratio = 1.0 / (1 + i),
                             .mean_cosine = 0.19, .rank = 20 + i, .rankme = 30 + i, .alignment = 0.4 * i, .uniformity = -0.1 * i,
                             .norm = 7.0 * i, .prediction_norm = i ? 1.0 / i : NAN, .verdict = (bl_verdict)(i % BL_VERDICTS)};
}

static void diagnoses_come_back(void **state) {
    (void)state;
    enum { ROWS = 100 };
    bl_history history = {0}, back = {0};
    for (int i = 0; i < ROWS; i++) {
        const bl_collapse_row row = row_number(i);
        assert_ok(bl_history_add_collapse(&history, &row));
    }
    bl_run_reader *reader = saved(writer_of(&history));
    assert_ok(bl_history_get(&back, reader));
    assert_int_equal(back.collapse_count, ROWS);
    for (int i = 0; i < ROWS; i++) {
        assert_memory_equal(&back.collapse[i], &history.collapse[i], offsetof(bl_collapse_row, verdict));
        assert_int_equal(back.collapse[i].verdict, i % BL_VERDICTS);
    }
    bl_run_reader_close(reader);
    bl_history_free(&history);
    bl_history_free(&back);
    assert_null(back.collapse);
}

static void the_file_itself_names_the_verdicts(void **state) {
    (void)state;
    char *names, expected[256] = "";
    bl_run_reader *reader = saved(writer_of(&(bl_history){0}));
    assert_ok(bl_run_get_text(reader, "/collapse/verdicts", &names));
    for (int i = 0; i < BL_VERDICTS; i++) strcat(strcat(expected, bl_verdict_name((bl_verdict)i)), "\n");
    assert_string_equal(names, expected);
    assert_string_equal(names, "undetermined\nhealthy\ncollapsing\ncollapsed\ndimensional\nstuck\ndiverged\n");
    bl_free(names);
    bl_run_reader_close(reader);
}

static void choices_come_back_beside_what_had_none(void **state) {
    (void)state;
    bl_history history = {0}, back = {0};
    assert_ok(bl_history_add_measurement(&history, &(bl_measurement){"knn/k1_cv/test", "0123456789abcdef", 2, 61.5, NAN, NAN}));
    assert_ok(bl_history_add_measurement(&history, &(bl_measurement){"linear/test", "fedcba9876543210", 2, 70.25, 0.001, 69.5}));
    bl_run_reader *reader = saved(writer_of(&history));
    assert_ok(bl_history_get(&back, reader));
    assert_int_equal(back.measurement_count, 2);
    assert_true(back.measurements[0].value == 61.5 && isnan(back.measurements[0].chosen) && isnan(back.measurements[0].validation));
    assert_true(back.measurements[1].value == 70.25 && back.measurements[1].chosen == 0.001 && back.measurements[1].validation == 69.5);
    bl_run_reader_close(reader);
    bl_history_free(&history);
    bl_history_free(&back);
}

// The data sets that a file had before there were diagnoses and choices.
static bl_run_writer *older_writer(void) {
    static const char *const columns[] = {"/step/epoch", "/step/loss", "/step/std", "/step/std_ratio", "/step/learning_rate", "/step/tau"};
    const int64_t two = 2, one = 1;
    bl_run_writer *writer = writer_of(NULL);
    assert_ok(bl_run_put_i64(writer, "/step/step", (int64_t[]){0, 10}, &two, 1));
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        assert_ok(bl_run_put_f64(writer, columns[i], (double[]){1 + (double)i, 0.5}, &two, 1));
    assert_ok(bl_run_put_text(writer, "/evaluation/row", "knn/k1_cv/test\n"));
    assert_ok(bl_run_put_text(writer, "/evaluation/id", "0123456789abcdef\n"));
    assert_ok(bl_run_put_i64(writer, "/evaluation/epoch", (int64_t[]){4}, &one, 1));
    assert_ok(bl_run_put_f64(writer, "/evaluation/value", (double[]){55}, &one, 1));
    return writer;
}

static void an_older_file_has_no_diagnosis_and_no_choice(void **state) {
    (void)state;
    bl_history back = {0};
    bl_run_reader *reader = saved(older_writer());
    assert_ok(bl_history_get(&back, reader));
    assert_int_equal(back.step_count, 2);
    assert_true(back.steps[0].tau == 6 && back.steps[1].step == 10 && back.steps[1].loss == 0.5);
    assert_int_equal(back.collapse_count, 0);
    assert_int_equal(back.measurement_count, 1);
    assert_true(back.measurements[0].value == 55 && isnan(back.measurements[0].chosen) && isnan(back.measurements[0].validation));
    bl_run_reader_close(reader);
    bl_history_free(&back);
}

static void columns_that_do_not_match_are_refused(void **state) {
    (void)state;
    const int64_t one = 1, two = 2;
    const struct {
        int64_t verdicts, verdict, losses;
        const char *message;
    } cases[] = {
        {2, 1, 1, "/collapse/verdict holds 2 values, /collapse/step 1"},
        {1, BL_VERDICTS, 1, "/collapse/verdict holds 7, which is no verdict"},
        {1, -1, 1, "/collapse/verdict holds -1, which is no verdict"},
        {1, 1, 2, "/collapse/epoch holds 2 values, /collapse/step 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bl_history back = {0};
        bl_run_writer *writer = older_writer();
        assert_ok(bl_run_put_i64(writer, "/collapse/step", (int64_t[]){0}, &one, 1));
        assert_ok(bl_run_put_i64(writer, "/collapse/verdict", (int64_t[]){cases[i].verdict, 0}, cases[i].verdicts == 2 ? &two : &one, 1));
        assert_ok(bl_run_put_f64(writer, "/collapse/epoch", (double[]){0, 1}, cases[i].losses == 2 ? &two : &one, 1));
        bl_run_reader *reader = saved(writer);
        assert_int_not_equal(bl_history_get(&back, reader), BL_OK);
        assert_string_equal(bl_error(), cases[i].message);
        bl_run_reader_close(reader);
        bl_history_free(&back);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(diagnoses_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_file_itself_names_the_verdicts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(choices_come_back_beside_what_had_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_older_file_has_no_diagnosis_and_no_choice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(columns_that_do_not_match_are_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
