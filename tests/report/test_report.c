// The report: what run files say, and nothing else, in tables.

#include <csv.h>

#include "report/csv.h"
#include "report/statistics.h"
#include "report_rig.h"

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
    char *measurements = written_text(here, "measurements.csv");
    int lines = 0;
    for (const char *c = measurements; *c; c++) lines += *c == '\n';
    assert_int_equal(lines, 1 + ALL_RUNS * (LAST + 2));
    bl_test_holds(measurements, "\"tests/small\",\"byol\",7,\"reference\",\"0a1b\",\"" ROW "\",\"" ROW_ID "\",1,54,,,1,1\n");
    free(measurements);
    assert_written(here, "aggregate.csv", "\"byol\",\"" ROW "\",2,3,72,2,67.03");
    assert_written(here, "aggregate.csv", "\"byol\",\"" PIXELS "\",0,3,17,0,17,17,0\n");
    assert_written(here, "steps.csv", "\"no_stop_gradient\",7,2,1,2,0.1666667,0.3333333,0.001,0.99,1\n");
    assert_written(here, "manifest.yaml",
                   "\"byol/seed-7.reference\":\n  graph_digest: \"of this graph\"\n  resolved: |\n    data:\n      dataset: shapes\n  run_id: \"0a1b\"\n  seed: 7\n");
}

static void one_seed_has_no_interval(void **state) {
    fixture *here = *state;
    leave_run(here, &all_runs[0]);
    leave_run(here, &all_runs[3]);
    free(report_of(here));
    assert_written(here, "aggregate.csv", "\"byol\",\"" ROW "\",2,1,70,,,,0\n");
    assert_written(here, "differences.csv", "\"" ROW "\",2,\"no_stop_gradient\",\"byol\",1,-30,,,,0,\"one pair\",\n");
}

// By hand: t of 7 degrees is 2.3646; of 2 and 32 they are 4.3027 and 2.0369. 95 % of chi-squared of 2 and 7 degrees lies above 0.10259 and 2.16735.
static void seeds_resolve_what_their_spread_lets_them(void **state) {
    (void)state;
    assert_true(fabs(bl_resolution(1.45, 8) - 1.2122) < 1e-4);
    assert_true(isnan(bl_resolution(1.45, 1)));
    assert_int_equal(bl_pairs_that_resolve(1.45, 1.2123, 100), 8);
    assert_int_equal(bl_pairs_that_resolve(1.45, 1.2121, 100), 9);
    assert_int_equal(bl_pairs_that_resolve(13.88, 5, 100), 33);
    assert_int_equal(bl_pairs_that_resolve(13.88, 5, 32), 0);
    assert_int_equal(bl_pairs_that_resolve(0, 1, 100), 2);
    assert_true(fabs(bl_sd_factor(3) - sqrt(2 / .1025866)) < 1e-5 && fabs(bl_sd_factor(8) - sqrt(7 / 2.167350)) < 1e-5);
}

static void differences_are_paired_by_seed_and_say_when_they_are_inconclusive(void **state) {
    fixture *here = *state;
    leave_all_runs(here);
    char *summary = report_of(here);
    // epoch 1: +1, -1, 0; epoch 2: -30, -31, -29
    assert_written(here, "differences.csv", "\"" ROW "\",1,\"no_stop_gradient\",\"byol\",3,0,1,-2.48");
    assert_written(here, "differences.csv", "0,\"inconclusive\",2.4841377117503285\n\"" ROW "\",2,\"no_stop_gradient\",\"byol\",3,-30,1,-32.48");
    bl_test_holds(summary, "| no_stop_gradient | byol | " ROW " | 2 | 3 | -30.0 | -32.5 to -27.5 | 2.5 | lower |");
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
    bl_test_holds(summary, "- byol, seed 1: trained by another recipe");
    bl_test_holds(summary, "- byol, seed 7: incomplete");
    bl_test_holds(summary, "- no_stop_gradient, seed 0: ");
    bl_test_holds(summary, "truncated: 3000 bytes are there of ");
    bl_test_holds(summary, "- no_stop_gradient, seed 1: not run yet");
    bl_test_holds(summary, "- no_stop_gradient, seed 7: not finished; its checkpoint: ");
    bl_test_holds(summary, "seed-7.reference.ckpt: truncated: 0 bytes are there");
    bl_test_holds(summary, "| byol | " ROW " | 1 | 30.0 | 2 | 70.0 | 0.200 | - |");
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
    assert_written(here, "aggregate.csv", "\"byol\",\"" ROW "\",2,1,70,,,,0\n");
    assert_written(here, "measurements.csv", "\"1111111111111111\",2,74,,,0,1\n");
    bl_test_holds(summary, "\n3 measurements were made with other options");
    free(summary);
}

static void a_difference_is_printed_only_where_figures_can_be_compared(void **state) {
    fixture *here = *state;
    here->expectations[0] = (bl_expectation){.row = ROW, .cell = "byol", .source = "a paper | table 1", .origin = "read", .epoch = 2, .n = 3,
                                             .value = 71.5};
    here->expectations[1] = (bl_expectation){.row = ROW, .source = "a blog", .origin = "digitised", .epoch = 100, .n = 1, .value = 80};
    here->expectations[2] = (bl_expectation){.row = ROW, .cell = "no_stop_gradient", .source = "a blog", .epoch = 1, .value = 24.4,
                                             .spread = .5, .spread_kind = "half_range", .n = 3, .selection = "best_on_test",
                                             .about = "ImageNet", .context = true};
    here->expectations[3] = (bl_expectation){.row = ROW, .cell = "byol", .source = "two tables", .epoch = 300, .n = 3, .value = 2.9, .low = .3,
                                             .high = 5.5, .about = "ImageNet, 300 epochs", .context = true};
    here->experiment.expectation_count = 4;
    leave_all_runs(here);
    char *summary = report_of(here);
    bl_test_holds(summary, "| byol | " ROW " | 2 | 71.5 (n = 3) | 72.0 ± 5.0 | +0.5 | a paper \\| table 1, read |\n");
    bl_test_holds(summary, "| byol | " ROW " | 100 | 80 (n = 1) | - | - | a blog, digitised |\n"
                          "| no_stop_gradient | " ROW " | 100 | 80 (n = 1) | - | - | a blog, digitised |\n");
    bl_test_holds(summary, "| no_stop_gradient | " ROW " | 1 | 24.4 ± 0.5 (half range, n = 3) | 52.0 ± 4.3 | context: ImageNet; theirs is best on test | "
                          "a blog |\n");
    bl_test_holds(summary, "| byol | " ROW " | 300 | 0.3 to 5.5 (the source contradicts itself; n = 3) | 72.0 ± 5.0 (epoch 2) | "
                          "context: ImageNet, 300 epochs | two tables |\n");
    assert_written(here, "published.csv", "\"byol\",\"" ROW "\",300,,0.3,5.5,3,,\"\",\"\",1,\"ImageNet, 300 epochs\",\"\",\"two tables\"\n");
    free(summary);
}

// ---- which runs count ----

static void a_run_that_diverged_or_has_another_graph_is_named_and_enters_no_mean(void **state) {
    fixture *here = *state;
    run_case diverged = all_runs[1], other_graph = all_runs[4];
    diverged.verdict = BL_DIVERGED;
    other_graph.digest = "of another graph";
    leave_all_runs(here);
    leave_run(here, &diverged);
    leave_run(here, &other_graph);
    char *summary = report_of(here);
    bl_test_holds(summary, "- byol, seed 1: diverged (step 4)\n");
    bl_test_holds(summary, "- no_stop_gradient, seed 1: of another graph than the cell's other runs (digest of another g, not of this grap)\n");
    assert_written(here, "aggregate.csv", "\"byol\",\"" ROW "\",2,2,71,");
    assert_written(here, "aggregate.csv", "\"no_stop_gradient\",\"" ROW "\",2,2,41.5,");
    assert_written(here, "differences.csv", "\"" ROW "\",2,\"no_stop_gradient\",\"byol\",2,");
    assert_written(here, "measurements.csv", "\"" ROW_ID "\",2,74,,,0,1\n");
    assert_written(here, "verdicts.csv", "\"byol\",1,\"diverged\",0.2,4,4,0,1\n");
    bl_test_holds(summary, "| byol | " ROW " | 2 | 29.5 ± 6.4 | 2 | 71.0 ± 12.7 | 0.200 ± 0.000 | diverged 1 of 1 |\n");
    free(summary);
}

static void the_graph_that_most_runs_of_a_cell_have_is_the_one_that_counts(void **state) {
    fixture *here = *state;
    run_case first = all_runs[0];
    first.digest = "of an older graph";
    leave_all_runs(here);
    leave_run(here, &first);
    char *summary = report_of(here);
    bl_test_holds(summary, "- byol, seed 0: of another graph than the cell's other runs");
    assert_written(here, "aggregate.csv", "\"byol\",\"" ROW "\",2,2,73,");
    free(summary);
}

static void mixed_runs_count_and_are_flagged(void **state) {
    fixture *here = *state;
    run_case mixed = all_runs[2];
    mixed.mixed = true;
    leave_all_runs(here);
    leave_run(here, &mixed);
    char *summary = report_of(here);
    bl_test_holds(summary, "| byol | " ROW " | 3 (1 mixed) | 30.0 ± 2.5 | 2 | 72.0 ± 5.0 |");
    bl_test_holds(summary, "\nMixed runs were continued on another machine");
    free(summary);
}

static void a_run_stopped_by_collapse_keeps_the_epoch_its_accuracy_is_of(void **state) {
    fixture *here = *state;
    leave_all_runs(here);
    for (int i = 3; i < ALL_RUNS; i++) {
        run_case stopped = all_runs[i];
        stopped.verdict = BL_COLLAPSED;
        if (i == 4) {
            stopped.status = "stopped: collapsed";
            stopped.last = 1;
        }
        leave_run(here, &stopped);
    }
    char *summary = report_of(here);
    bl_test_holds(summary, "| no_stop_gradient | " ROW " | 1 | 30.0 ± 2.5 | 1 (stopped: collapsed) | 51.0 | 0.200 ± 0.000 | collapsed 3 of 3 |\n"
                          "| no_stop_gradient | " ROW " | 2 | 30.0 ± 2.5 | 2 | 41.5 ± 19.1 | 0.200 ± 0.000 | collapsed 3 of 3 |\n");
    assert_written(here, "aggregate.csv", "\"no_stop_gradient\",\"" ROW "\",2,2,41.5,");
    assert_written(here, "collapse.csv",
                   "\"no_stop_gradient\",1,4,2,2,0.1,0.2,0.99,4,14,0.3,-2,3,5,\"collapsed\",1\n");
    assert_written(here, "verdicts.csv", "\"no_stop_gradient\",1,\"collapsed\",0.2,4,4,1,1\n");
    free(summary);
}

static void a_failed_run_says_what_failed(void **state) {
    fixture *here = *state;
    char path[600];
    leave_run(here, &all_runs[0]);
    snprintf(path, sizeof path, "%s/tests/small/byol/seed-1.reference.failed", here->folder);
    assert_ok(bl_atomic_write(path, "step 3 is not finite\n", 21));
    char *summary = report_of(here);
    bl_test_holds(summary, "- byol, seed 1: failed: step 3 is not finite\n- byol, seed 7: not run yet\n");
    free(summary);
}

static void what_was_chosen_stands_beside_its_value(void **state) {
    fixture *here = *state;
    bl_history history = {0};
    const bl_measurement row = {.row = ROW, .id = ROW_ID, .epoch = 2, .value = 61, .chosen = .03, .validation = 62.5};
    assert_ok(bl_history_add_measurement(&history, &row));
    write_run(here, 0, 0, &(run_case){0}, &history);
    bl_history_free(&history);
    free(report_of(here));
    assert_written(here, "measurements.csv", "\"" ROW_ID "\",2,61,0.03,62.5,1,1\n");
}

static void report_has_the_same_bytes_each_time(void **state) {
    fixture *here = *state;
    const char *names[] = {"measurements.csv", "aggregate.csv", "differences.csv", "published.csv", "steps.csv", "collapse.csv", "verdicts.csv",
                           "manifest.yaml", "report.md", "curves.gp", "curves.svg"};
    enum { FILES = sizeof names / sizeof *names };
    char *first[FILES];
    const int files = has_gnuplot() ? FILES : FILES - 1;
    leave_all_runs(here);
    run_case diagnosed = all_runs[0];
    diagnosed.verdict = BL_HEALTHY;
    leave_run(here, &diagnosed);
    free(report_of(here));
    for (int i = 0; i < files; i++) first[i] = written_text(here, names[i]);
    usleep(1100000);
    free(report_of(here));
    for (int i = 0; i < files; i++) {
        char *second = written_text(here, names[i]);
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
    bl_test_holds(summary, "gnuplot is not installed");
    assert_written(here, "curves.gp", "plot 'aggregate.csv'");
    char svg[600];
    snprintf(svg, sizeof svg, "%s/tests/small/curves.svg", here->folder);
    assert_false(bl_file_exists(svg));
    free(summary);
    free(path);
}

static void nothing_is_written_where_no_run_is_finished(void **state) {
    fixture *here = *state;
    bl_text summary = {0};
    bool written = true;
    char path[600];
    snprintf(path, sizeof path, "%s/elsewhere", here->folder);
    assert_ok(bl_report_write(&here->experiment, path, false, &summary, &written));
    assert_false(written || summary.size || bl_file_exists(path));
    leave_all_runs(here);
    free(report_of(here));
    char *before = written_text(here, "aggregate.csv");
    for (int c = 0; c < 2; c++) here->cells[c].train_id = "of another recipe"; // as a --set would
    assert_ok(bl_report_write(&here->experiment, here->folder, here->counts_unfinished, &summary, &written));
    assert_false(written);
    bl_test_holds(summary.chars, "trained by another recipe"); // why nothing is
    bl_text_free(&summary);
    assert_written(here, "aggregate.csv", before);
    free(before);
}

static void seeds_that_were_not_asked_for_are_named(void **state) {
    fixture *here = *state;
    leave_all_runs(here);
    here->experiment.seed_count = 1;
    char *summary = report_of(here);
    bl_test_holds(summary, "- byol, seeds 1, 7: not asked for, though run files are there\n");
    bl_test_holds(summary, "| byol | " ROW " | 1 | 30.0 | 2 | 70.0 |");
    free(summary);
    here->experiment.seed_count = 2;
    summary = report_of(here);
    bl_test_holds(summary, "- no_stop_gradient, seed 7: not asked for, though a run file is there\n");
    free(summary);
}

static void a_supervised_run_has_no_spread(void **state) {
    fixture *here = *state;
    run_case supervised = all_runs[0];
    supervised.supervised = true;
    leave_run(here, &supervised);
    char *summary = report_of(here);
    bl_test_holds(summary, "| byol | " ROW " | 1 | 30.0 | 2 | 70.0 | - | - |");
    assert_written(here, "steps.csv", "\"byol\",0,2,1,2,,,0.001,0.99,1\n");
    char *script = written_text(here, "curves.gp");
    assert_null(strstr(script, "std ratio"));
    assert_null(strstr(script, "steps.csv' using"));
    free(script);
    free(summary);
}

// Every run file holds a number; what it would be of is not there.
static void a_column_is_empty_where_there_is_nothing_to_measure(void **state) {
    fixture *here = *state;
    const struct {
        bl_task_kind task;
        bl_target_source target;
        bl_predictor_kind predictor;
        const char *rates, *prediction; // learning rate and tau; norms of projection and prediction
    } cases[] = {
        {BL_TASK_BYOL, BL_TARGET_EMA, BL_PREDICTOR_MLP, "0.001,0.99,1\n", "3,5,"},
        {BL_TASK_BYOL, BL_TARGET_ONLINE, BL_PREDICTOR_MLP, "0.001,,1\n", "3,5,"},
        {BL_TASK_BYOL, BL_TARGET_FROZEN, BL_PREDICTOR_NONE, "0.001,,1\n", "3,,"},
        {BL_TASK_SUPERVISED, BL_TARGET_EMA, BL_PREDICTOR_MLP, "0.001,,1\n", "3,5,"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[100];
        run_case run = all_runs[0];
        run.verdict = BL_HEALTHY;
        here->cells[0].task = cases[i].task;
        here->cells[0].model.method.target = cases[i].target;
        here->cells[0].model.method.predictor = cases[i].predictor;
        leave_run(here, &run);
        free(report_of(here));
        snprintf(line, sizeof line, "\"byol\",0,2,1,2,0.1666667,0.3333333,%s", cases[i].rates);
        assert_written(here, "steps.csv", line);
        snprintf(line, sizeof line, ",-2,%s\"healthy\"", cases[i].prediction);
        assert_written(here, "collapse.csv", line);
    }
}

static void rows_that_were_chosen_on_are_marked(void **state) {
    fixture *here = *state;
    leave_all_runs(here);
    here->evaluations[0].chosen_on = true;
    char *summary = report_of(here);
    bl_test_holds(summary, "| byol | " ROW " (chosen on it) | 3 |");
    bl_test_holds(summary, "was measured on the images that they report on: they flatter.\n");
    free(summary);
    here->evaluations[0].chosen_on = false;
    summary = report_of(here);
    assert_null(strstr(summary, "chosen on it"));
    free(summary);
}

static void pairs_that_all_differ_by_the_same_are_inconclusive(void **state) {
    fixture *here = *state;
    const run_case runs[] = {{.cell = 0, .seed = 0, .accuracy = {30, 50, 70.3}}, {.cell = 0, .seed = 1, .accuracy = {31, 52, 74.1}},
                             {.cell = 1, .seed = 0, .accuracy = {30, 51, 67.8}}, {.cell = 1, .seed = 1, .accuracy = {31, 51, 71.6}}};
    for (int i = 0; i < 4; i++) leave_run(here, &runs[i]);
    char *summary = report_of(here);
    bl_test_holds(summary, "| no_stop_gradient | byol | " ROW " | 2 | 2 | -2.5 | no spread | - | inconclusive |");
    free(summary);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(student_intervals_are_those_of_the_tables),
        cmocka_unit_test(csv_fields_come_back_through_a_parser),
        cmocka_unit_test_setup_teardown(tables_hold_every_measurement_and_its_mean, open_study, close_study),
        cmocka_unit_test_setup_teardown(one_seed_has_no_interval, open_study, close_study),
        cmocka_unit_test(seeds_resolve_what_their_spread_lets_them),
        cmocka_unit_test_setup_teardown(differences_are_paired_by_seed_and_say_when_they_are_inconclusive, open_study, close_study),
        cmocka_unit_test_setup_teardown(what_cannot_count_is_named_and_never_averaged, open_study, close_study),
        cmocka_unit_test_setup_teardown(measurements_of_other_options_are_kept_apart, open_study, close_study),
        cmocka_unit_test_setup_teardown(a_difference_is_printed_only_where_figures_can_be_compared, open_study, close_study),
        cmocka_unit_test_setup_teardown(a_run_that_diverged_or_has_another_graph_is_named_and_enters_no_mean, open_study, close_study),
        cmocka_unit_test_setup_teardown(the_graph_that_most_runs_of_a_cell_have_is_the_one_that_counts, open_study, close_study),
        cmocka_unit_test_setup_teardown(mixed_runs_count_and_are_flagged, open_study, close_study),
        cmocka_unit_test_setup_teardown(a_run_stopped_by_collapse_keeps_the_epoch_its_accuracy_is_of, open_study, close_study),
        cmocka_unit_test_setup_teardown(a_failed_run_says_what_failed, open_study, close_study),
        cmocka_unit_test_setup_teardown(what_was_chosen_stands_beside_its_value, open_study, close_study),
        cmocka_unit_test_setup_teardown(report_has_the_same_bytes_each_time, open_study, close_study),
        cmocka_unit_test_setup_teardown(without_gnuplot_the_tables_stand_and_the_summary_says_so, open_study, close_study),
        cmocka_unit_test_setup_teardown(nothing_is_written_where_no_run_is_finished, open_study, close_study),
        cmocka_unit_test_setup_teardown(seeds_that_were_not_asked_for_are_named, open_study, close_study),
        cmocka_unit_test_setup_teardown(a_column_is_empty_where_there_is_nothing_to_measure, open_study, close_study),
        cmocka_unit_test_setup_teardown(rows_that_were_chosen_on_are_marked, open_study, close_study),
        cmocka_unit_test_setup_teardown(a_supervised_run_has_no_spread, open_study, close_study),
        cmocka_unit_test_setup_teardown(pairs_that_all_differ_by_the_same_are_inconclusive, open_study, close_study),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
