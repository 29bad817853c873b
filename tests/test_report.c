// The report: what run files say, and nothing else, in tables and a figure.

#include <csv.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "run/csv.h"
#include "run/history.h"
#include "run/report.h"
#include "run/run_file.h"
#include "run/statistics.h"
#include "run/trainer.h"
#include "support.h"

#define ROW "knn/k1_cv/test"
#define PIXELS "pixels/k1_cv/test"
#define ROW_ID "0123456789abcdef"
#define PIXELS_ID "fedcba9876543210"

enum { LAST = 2 }; // finished epochs

typedef struct fixture {
    char *folder;
    bl_evaluation evaluations[2];
    bl_cell cells[2];
    bl_expectation expectations[3];
    bl_experiment experiment;
} fixture;

static int set_up(void **state) {
    fixture *here = calloc(1, sizeof *here);
    here->folder = bl_test_folder();
    here->evaluations[0] = (bl_evaluation){.row = ROW, .id = ROW_ID, .k = 1, .folds = 5, .split = BL_TEST};
    here->evaluations[1] = (bl_evaluation){.row = PIXELS, .id = PIXELS_ID, .k = 1, .folds = 5, .split = BL_TEST, .raw_pixels = true};
    const char *names[] = {"byol", "no_stop_gradient"};
    for (int c = 0; c < 2; c++)
        here->cells[c] = (bl_cell){.name = names[c], .evaluations = here->evaluations, .evaluation_count = 2, .train_id = "of this recipe",
                                   .train = {.epochs = LAST}};
    here->experiment = (bl_experiment){.study = "tests/small", .machine = {.backend = "reference"}, .seeds = {0, 1, 7}, .seed_count = 3,
                                       .cells = here->cells, .cell_count = 2, .expectations = here->expectations};
    *state = here;
    return 0;
}

static int tear_down(void **state) {
    fixture *here = *state;
    bl_test_folder_remove(here->folder);
    free(here);
    return 0;
}

typedef struct run_case { // a run file as a trainer would leave it
    int cell;
    uint64_t seed;
    double accuracy[LAST + 1];
    const char *train_id, *status, *row_id; // NULL: as it should be
} run_case;

static void leave_run(fixture *here, const run_case *run) {
    bl_arena *arena = bl_arena_create();
    const char *path = bl_run_path(arena, &here->experiment, &here->cells[run->cell], run->seed, here->folder);
    assert_ok(bl_make_folders(bl_arena_format(arena, "%.*s", (int)(strrchr(path, '/') - path), path)));
    bl_history history = {0};
    for (int step = 0; step <= 4; step++) {
        const bl_step_row row = {.step = step, .epoch = step / 2., .loss = 4 - step, .std = .5 / (step + 1), .std_ratio = 1. / (step + 1),
                                 .learning_rate = 1e-3, .tau = .99};
        assert_ok(bl_history_add_step(&history, &row));
    }
    for (int epoch = 0; epoch <= LAST; epoch++) {
        bl_measurement row = {.row = ROW, .epoch = epoch, .value = run->accuracy[epoch]};
        strcpy(row.id, run->row_id ? run->row_id : ROW_ID);
        assert_ok(bl_history_add_measurement(&history, &row));
    }
    const bl_measurement pixels = {.row = PIXELS, .id = PIXELS_ID, .value = 17};
    assert_ok(bl_history_add_measurement(&history, &pixels));
    bl_run_writer *writer;
    const int64_t seed = (int64_t)run->seed;
    assert_ok(bl_run_writer_create(&writer));
    assert_ok(bl_history_put(&history, writer));
    assert_ok(bl_run_put_text(writer, "/manifest/status", run->status ? run->status : "complete"));
    assert_ok(bl_run_put_text(writer, "/manifest/train_id", run->train_id ? run->train_id : "of this recipe"));
    assert_ok(bl_run_put_text(writer, "/manifest/run_id", "0a1b"));
    assert_ok(bl_run_put_text(writer, "/manifest/resolved", "data:\n  dataset: shapes\n"));
    assert_ok(bl_run_put_i64(writer, "/manifest/seed", &seed, (int64_t[]){1}, 1));
    assert_ok(bl_run_writer_save(writer, path));
    bl_run_writer_free(writer);
    bl_history_free(&history);
    bl_arena_free(arena);
}

static const run_case all_runs[] = {
    {0, 0, {30, 50, 70}, 0, 0, 0}, {0, 1, {31, 52, 74}, 0, 0, 0}, {0, 7, {29, 54, 72}, 0, 0, 0},
    {1, 0, {30, 51, 40}, 0, 0, 0}, {1, 1, {31, 51, 43}, 0, 0, 0}, {1, 7, {29, 54, 43}, 0, 0, 0},
};
enum { ALL_RUNS = sizeof all_runs / sizeof *all_runs };

static void leave_all_runs(fixture *here) {
    for (int i = 0; i < ALL_RUNS; i++) leave_run(here, &all_runs[i]);
}

static char *report_of(fixture *here) {
    bl_text summary = {0};
    assert_ok(bl_report_write(&here->experiment, here->folder, &summary));
    char *text = strdup(summary.chars);
    bl_text_free(&summary);
    return text;
}

static char *written(fixture *here, const char *name) {
    char path[600];
    void *data;
    size_t bytes;
    snprintf(path, sizeof path, "%s/tests/small/%s", here->folder, name);
    assert_ok(bl_read_file(path, &data, &bytes));
    char *text = strdup(data);
    bl_free(data);
    return text;
}

static void assert_holds(const char *text, const char *part) {
    if (!strstr(text, part)) fail_msg("\"%s\" is not in:\n%s", part, text);
}

static void assert_written(fixture *here, const char *name, const char *part) {
    char *text = written(here, name);
    assert_holds(text, part);
    free(text);
}

static void student_intervals_are_those_of_the_tables(void **state) {
    (void)state;
    const struct {
        int degrees;
        double share, t;
    } cases[] = {{1, .95, 12.7062047361747}, {2, .95, 4.30265272974946}, {3, .95, 3.18244630528371}, {9, .9, 1.83311293265624},
                 {10, .95, 2.22813885198627}, {29, .99, 2.75638590367061}, {120, .95, 1.97993040508244}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_true(fabs(bl_student_quantile(cases[i].degrees, cases[i].share) - cases[i].t) < 1e-11 * cases[i].t);
    const bl_estimate three = bl_estimate_of((double[]){70, 74, 72}, 3), one = bl_estimate_of((double[]){70}, 1);
    assert_true(three.n == 3 && three.mean == 72 && fabs(three.sd - 2) < 1e-15);
    assert_true(fabs(three.high - 76.9682750) < 1e-6 && fabs(three.low - 67.0317250) < 1e-6);
    assert_true(one.mean == 70 && isnan(one.sd) && isnan(one.low) && isnan(one.high));
}

static void take_field(void *field, size_t length, void *context) {
    char *fields = context;
    snprintf(fields + strlen(fields), 200 - strlen(fields), "<%.*s>", (int)length, (char *)field);
}

static void take_row(int end, void *context) {
    (void)end;
    strcat(context, ";");
}

static void csv_fields_come_back_through_a_parser(void **state) {
    (void)state;
    bl_text csv = {0};
    bl_csv_text(&csv, "a \"quoted\", word");
    bl_csv_none(&csv);
    bl_csv_number(&csv, .1, 0);
    bl_csv_number(&csv, 1. / 3, 3);
    bl_csv_number(&csv, NAN, 0);
    bl_csv_end(&csv);
    bl_csv_text(&csv, "two\nlines");
    bl_csv_integer(&csv, -7);
    bl_csv_end(&csv);
    char fields[200] = "";
    struct csv_parser parser;
    csv_init(&parser, CSV_STRICT | CSV_STRICT_FINI);
    assert_int_equal(csv_parse(&parser, csv.chars, csv.size, take_field, take_row, fields), csv.size);
    csv_fini(&parser, take_field, take_row, fields);
    csv_free(&parser);
    assert_string_equal(fields, "<a \"quoted\", word><><0.1><0.333><NaN>;<two\nlines><-7>;");
    bl_text_free(&csv);
}

static void tables_hold_every_measurement_and_its_mean(void **state) {
    fixture *here = *state;
    leave_all_runs(here);
    free(report_of(here));
    char *measurements = written(here, "measurements.csv");
    int lines = 0;
    for (const char *c = measurements; *c; c++) lines += *c == '\n';
    assert_int_equal(lines, 1 + ALL_RUNS * (LAST + 2));
    assert_holds(measurements, "\"tests/small\",\"byol\",7,\"reference\",\"0a1b\",\"" ROW "\",\"" ROW_ID "\",1,54\n");
    free(measurements);
    assert_written(here, "aggregate.csv", "\"byol\",\"" ROW "\",2,3,72,2,67.03");
    assert_written(here, "aggregate.csv", "\"byol\",\"" PIXELS "\",0,3,17,0,17,17\n");
    assert_written(here, "steps.csv", "\"no_stop_gradient\",7,2,1,2,0.1666667,0.3333333,0.001,0.99\n");
    assert_written(here, "manifest.yaml",
                   "\"byol/seed-7.reference\":\n  resolved: |\n    data:\n      dataset: shapes\n  run_id: \"0a1b\"\n  seed: 7\n");
}

static void one_seed_has_no_interval(void **state) {
    fixture *here = *state;
    leave_run(here, &all_runs[0]);
    leave_run(here, &all_runs[3]);
    free(report_of(here));
    assert_written(here, "aggregate.csv", "\"byol\",\"" ROW "\",2,1,70,,,\n");
    assert_written(here, "differences.csv", "\"" ROW "\",2,\"no_stop_gradient\",\"byol\",1,-30,,,,\"one pair\"\n");
}

static void differences_are_paired_by_seed_and_say_when_they_are_inconclusive(void **state) {
    fixture *here = *state;
    leave_all_runs(here);
    char *summary = report_of(here);
    // epoch 1: +1, -1, 0; epoch 2: -30, -31, -29
    assert_written(here, "differences.csv", "\"" ROW "\",1,\"no_stop_gradient\",\"byol\",3,0,1,-2.48");
    assert_written(here, "differences.csv", "\"inconclusive\"\n\"" ROW "\",2,\"no_stop_gradient\",\"byol\",3,-30,1,-32.48");
    assert_holds(summary, "| no_stop_gradient | byol | " ROW " | 2 | 3 | -30.0 | -32.5 to -27.5 | lower |");
    free(summary);
}

static void what_cannot_count_is_named_and_never_averaged(void **state) {
    fixture *here = *state;
    run_case other_recipe = all_runs[1], unfinished = all_runs[2];
    other_recipe.train_id = "of another recipe";
    unfinished.status = "incomplete";
    leave_run(here, &all_runs[0]);
    leave_run(here, &other_recipe);
    leave_run(here, &unfinished);
    leave_run(here, &all_runs[3]);
    char path[600];
    snprintf(path, sizeof path, "%s/tests/small/no_stop_gradient/seed-0.reference.h5", here->folder);
    assert_int_equal(truncate(path, 3000), 0);
    snprintf(path, sizeof path, "%s/tests/small/no_stop_gradient/seed-7.reference.ckpt", here->folder);
    assert_ok(bl_atomic_write(path, "", 0));
    char *summary = report_of(here);
    assert_holds(summary, "- byol, seed 1: trained by another recipe");
    assert_holds(summary, "- byol, seed 7: incomplete");
    assert_holds(summary, "- no_stop_gradient, seed 0: ");
    assert_holds(summary, "truncated: 3000 bytes are there of ");
    assert_holds(summary, "- no_stop_gradient, seed 1: not run yet");
    assert_holds(summary, "- no_stop_gradient, seed 7: not finished; a checkpoint is there");
    assert_holds(summary, "| byol | " ROW " | 1 | 30.0 | 2 | 70.0 | 0.200 |");
    assert_null(strstr(summary, "| no_stop_gradient |"));
    free(summary);
}

static void measurements_of_other_options_are_kept_apart(void **state) {
    fixture *here = *state;
    run_case earlier = all_runs[1];
    earlier.row_id = "1111111111111111";
    leave_run(here, &all_runs[0]);
    leave_run(here, &earlier);
    char *summary = report_of(here);
    assert_written(here, "aggregate.csv", "\"byol\",\"" ROW "\",2,1,70,,,\n");
    assert_written(here, "measurements.csv", "\"1111111111111111\",2,74\n");
    assert_holds(summary, "\n3 measurements were made with other options");
    free(summary);
}

static void a_difference_is_printed_only_where_figures_can_be_compared(void **state) {
    fixture *here = *state;
    here->expectations[0] = (bl_expectation){.row = ROW, .cell = "byol", .source = "a paper | table 1", .origin = "read", .epoch = 2, .n = 3,
                                             .value = 71.5};
    here->expectations[1] = (bl_expectation){.row = ROW, .source = "a blog", .origin = "digitised", .epoch = 100, .n = 1, .value = 80};
    here->expectations[2] = (bl_expectation){.row = ROW, .cell = "no_stop_gradient", .source = "a blog", .epoch = 1, .value = 24.4,
                                             .context = true};
    here->experiment.expectation_count = 3;
    leave_all_runs(here);
    char *summary = report_of(here);
    assert_holds(summary, "| byol | " ROW " | 2 | 71.5 (n = 3) | 72.0 ± 5.0 | +0.5 | a paper \\| table 1, read |\n");
    assert_holds(summary, "| byol | " ROW " | 100 | 80 (n = 1) | - | - | a blog, digitised |\n"
                          "| no_stop_gradient | " ROW " | 100 | 80 (n = 1) | - | - | a blog, digitised |\n");
    assert_holds(summary, "| no_stop_gradient | " ROW " | 1 | 24.4 | 52.0 ± 4.3 | context | a blog |\n");
    free(summary);
}

static bool has_gnuplot(void) { return system("gnuplot --version >/dev/null 2>&1") == 0; }

static void figure_shows_each_cell_with_the_published_points_and_raw_pixels(void **state) {
    fixture *here = *state;
    if (!has_gnuplot()) skip();
    here->experiment.title = "A study's figure & title";
    here->expectations[0] = (bl_expectation){.row = ROW, .cell = "byol", .epoch = 2, .value = 71.5};
    here->experiment.expectation_count = 1;
    leave_all_runs(here);
    free(report_of(here));
    const char *parts[] = {">byol</text>", ">no_stop_gradient</text>", ">published</text>", ">raw pixels</text>",
                           ">95 % interval, seeds</text>", "study's figure &amp; title", ">finished epochs</text>",
                           ">k-NN accuracy (%)</text>", ">std ratio</text>"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) assert_written(here, "curves.svg", parts[i]);
}

static void report_has_the_same_bytes_each_time(void **state) {
    fixture *here = *state;
    const char *names[] = {"measurements.csv", "aggregate.csv", "differences.csv", "published.csv", "steps.csv", "manifest.yaml",
                           "report.md", "curves.gp", "curves.svg"};
    enum { FILES = sizeof names / sizeof *names };
    char *first[FILES];
    const int files = has_gnuplot() ? FILES : FILES - 1;
    leave_all_runs(here);
    free(report_of(here));
    for (int i = 0; i < files; i++) first[i] = written(here, names[i]);
    usleep(1100000);
    free(report_of(here));
    for (int i = 0; i < files; i++) {
        char *second = written(here, names[i]);
        assert_string_equal(first[i], second);
        free(first[i]);
        free(second);
    }
}

static void without_gnuplot_the_tables_stand_and_the_summary_says_so(void **state) {
    fixture *here = *state;
    char *path = strdup(getenv("PATH"));
    leave_all_runs(here);
    setenv("PATH", here->folder, 1);
    char *summary = report_of(here);
    setenv("PATH", path, 1);
    assert_holds(summary, "gnuplot is not installed");
    assert_written(here, "curves.gp", "plot 'aggregate.csv'");
    char svg[600];
    snprintf(svg, sizeof svg, "%s/tests/small/curves.svg", here->folder);
    assert_false(bl_file_exists(svg));
    free(summary);
    free(path);
}

static void a_study_without_finished_runs_has_empty_tables(void **state) {
    fixture *here = *state;
    char *summary = report_of(here);
    assert_holds(summary, "No run is finished.");
    assert_holds(summary, "- byol, seed 0: not run yet");
    char *aggregate = written(here, "aggregate.csv");
    assert_string_equal(aggregate, "cell,row,epoch,n,mean,sd,low,high\n");
    free(aggregate);
    free(summary);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(student_intervals_are_those_of_the_tables),
        cmocka_unit_test(csv_fields_come_back_through_a_parser),
        cmocka_unit_test_setup_teardown(tables_hold_every_measurement_and_its_mean, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_seed_has_no_interval, set_up, tear_down),
        cmocka_unit_test_setup_teardown(differences_are_paired_by_seed_and_say_when_they_are_inconclusive, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_count_is_named_and_never_averaged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(measurements_of_other_options_are_kept_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_difference_is_printed_only_where_figures_can_be_compared, set_up, tear_down),
        cmocka_unit_test_setup_teardown(figure_shows_each_cell_with_the_published_points_and_raw_pixels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(report_has_the_same_bytes_each_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_gnuplot_the_tables_stand_and_the_summary_says_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_study_without_finished_runs_has_empty_tables, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
