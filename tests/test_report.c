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
#include "run/label_efficiency.h"
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
    bl_expectation expectations[4];
    bl_experiment experiment;
} fixture;

static int set_up(void **state) {
    fixture *here = calloc(1, sizeof *here);
    here->folder = bl_test_folder();
    here->evaluations[0] = (bl_evaluation){.row = ROW, .id = ROW_ID, .knn = {.k = 1, .folds = 5}, .split = BL_TEST};
    here->evaluations[1] = (bl_evaluation){.row = PIXELS, .id = PIXELS_ID, .knn = {.k = 1, .folds = 5, .raw_pixels = true}, .split = BL_TEST};
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
    const char *train_id, *status, *row_id, *digest; // NULL: as it should be
    bool mixed;
    int last;             // epochs it was trained for; 0: LAST
    bl_verdict verdict;   // of its last diagnosis; UNDETERMINED: it has none
} run_case;

static void add_diagnoses(bl_history *history, bl_verdict verdict) {
    for (int i = 0; i < 2; i++) {
        const bl_collapse_row row = {.step = 4 * i, .epoch = 2 * i, .loss = 2, .std = .5 - .4 * i, .std_ratio = 1 - .8 * i, .mean_cosine = .75 + .24 * i,
                                     .rank = 12 - 8 * i, .rankme = 14, .alignment = .3, .uniformity = -2, .norm = 3, .prediction_norm = 5,
                                     .verdict = i ? verdict : BL_UNDETERMINED};
        assert_ok(bl_history_add_collapse(history, &row));
    }
}

// A run file as a trainer would leave it.
static void write_run(fixture *here, int cell, uint64_t seed, const run_case *run, const bl_history *history) {
    bl_arena *arena = bl_arena_create();
    const char *path = bl_run_path(arena, &here->experiment, &here->experiment.cells[cell], seed, here->folder);
    assert_ok(bl_make_folders(bl_arena_format(arena, "%.*s", (int)(strrchr(path, '/') - path), path)));
    bl_run_writer *writer;
    const int64_t number = (int64_t)seed, mixed = run->mixed;
    assert_ok(bl_run_writer_create(&writer));
    assert_ok(bl_history_put(history, writer));
    assert_ok(bl_run_put_text(writer, "/manifest/status", run->status ? run->status : "complete"));
    assert_ok(bl_run_put_text(writer, "/manifest/train_id", run->train_id ? run->train_id : "of this recipe"));
    assert_ok(bl_run_put_text(writer, "/manifest/run_id", "0a1b"));
    assert_ok(bl_run_put_text(writer, "/manifest/graph_digest", run->digest ? run->digest : "of this graph"));
    assert_ok(bl_run_put_text(writer, "/manifest/resolved", "data:\n  dataset: shapes\n"));
    assert_ok(bl_run_put_i64(writer, "/manifest/seed", &number, (int64_t[]){1}, 1));
    assert_ok(bl_run_put_i64(writer, "/trainer/mixed", &mixed, (int64_t[]){1}, 1));
    assert_ok(bl_run_writer_save(writer, path));
    bl_run_writer_free(writer);
    bl_arena_free(arena);
}

static void leave_run(fixture *here, const run_case *run) {
    bl_history history = {0};
    for (int step = 0; step <= 4; step++) {
        const bl_step_row row = {.step = step, .epoch = step / 2., .loss = 4 - step, .std = .5 / (step + 1), .std_ratio = 1. / (step + 1),
                                 .learning_rate = 1e-3, .tau = .99};
        assert_ok(bl_history_add_step(&history, &row));
    }
    for (int epoch = 0; epoch <= (run->last ? run->last : LAST); epoch++) {
        bl_measurement row = {.row = ROW, .epoch = epoch, .value = run->accuracy[epoch], .chosen = NAN, .validation = NAN};
        strcpy(row.id, run->row_id ? run->row_id : ROW_ID);
        assert_ok(bl_history_add_measurement(&history, &row));
    }
    const bl_measurement pixels = {.row = PIXELS, .id = PIXELS_ID, .value = 17, .chosen = NAN, .validation = NAN};
    assert_ok(bl_history_add_measurement(&history, &pixels));
    if (run->verdict != BL_UNDETERMINED) add_diagnoses(&history, run->verdict);
    write_run(here, run->cell, run->seed, run, &history);
    bl_history_free(&history);
}

static const run_case all_runs[] = {
    {.cell = 0, .seed = 0, .accuracy = {30, 50, 70}}, {.cell = 0, .seed = 1, .accuracy = {31, 52, 74}},
    {.cell = 0, .seed = 7, .accuracy = {29, 54, 72}}, {.cell = 1, .seed = 0, .accuracy = {30, 51, 40}},
    {.cell = 1, .seed = 1, .accuracy = {31, 51, 43}}, {.cell = 1, .seed = 7, .accuracy = {29, 54, 43}},
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
    assert_holds(measurements, "\"tests/small\",\"byol\",7,\"reference\",\"0a1b\",\"" ROW "\",\"" ROW_ID "\",1,54,,,1\n");
    free(measurements);
    assert_written(here, "aggregate.csv", "\"byol\",\"" ROW "\",2,3,72,2,67.03");
    assert_written(here, "aggregate.csv", "\"byol\",\"" PIXELS "\",0,3,17,0,17,17\n");
    assert_written(here, "steps.csv", "\"no_stop_gradient\",7,2,1,2,0.1666667,0.3333333,0.001,0.99\n");
    assert_written(here, "manifest.yaml",
                   "\"byol/seed-7.reference\":\n  graph_digest: \"of this graph\"\n  resolved: |\n    data:\n      dataset: shapes\n  run_id: \"0a1b\"\n  seed: 7\n");
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
    assert_holds(summary, "| byol | " ROW " | 1 | 30.0 | 2 | 70.0 | 0.200 | - |");
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
    assert_written(here, "measurements.csv", "\"1111111111111111\",2,74,,,0\n");
    assert_holds(summary, "\n3 measurements were made with other options");
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
    assert_holds(summary, "| byol | " ROW " | 2 | 71.5 (n = 3) | 72.0 ± 5.0 | +0.5 | a paper \\| table 1, read |\n");
    assert_holds(summary, "| byol | " ROW " | 100 | 80 (n = 1) | - | - | a blog, digitised |\n"
                          "| no_stop_gradient | " ROW " | 100 | 80 (n = 1) | - | - | a blog, digitised |\n");
    assert_holds(summary, "| no_stop_gradient | " ROW " | 1 | 24.4 ± 0.5 (half range, n = 3) | 52.0 ± 4.3 | context: ImageNet; theirs is best on test | "
                          "a blog |\n");
    assert_holds(summary, "| byol | " ROW " | 300 | 0.3 to 5.5 (the source contradicts itself; n = 3) | 72.0 ± 5.0 (epoch 2) | "
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
    assert_holds(summary, "- byol, seed 1: diverged (step 4)\n");
    assert_holds(summary, "- no_stop_gradient, seed 1: of another graph than the cell's other runs (digest of another g, not of this grap)\n");
    assert_written(here, "aggregate.csv", "\"byol\",\"" ROW "\",2,2,71,");
    assert_written(here, "aggregate.csv", "\"no_stop_gradient\",\"" ROW "\",2,2,41.5,");
    assert_written(here, "differences.csv", "\"" ROW "\",2,\"no_stop_gradient\",\"byol\",2,");
    assert_written(here, "measurements.csv", "\"" ROW_ID "\",2,74,,,0\n");
    assert_written(here, "verdicts.csv", "\"byol\",1,\"diverged\",0.2,4,4,0\n");
    assert_holds(summary, "| byol | " ROW " | 2 | 29.5 ± 6.4 | 2 | 71.0 ± 12.7 | 0.200 ± 0.000 | diverged 1 of 1 |\n");
    free(summary);
}

static void the_graph_that_most_runs_of_a_cell_have_is_the_one_that_counts(void **state) {
    fixture *here = *state;
    run_case first = all_runs[0];
    first.digest = "of an older graph";
    leave_all_runs(here);
    leave_run(here, &first);
    char *summary = report_of(here);
    assert_holds(summary, "- byol, seed 0: of another graph than the cell's other runs");
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
    assert_holds(summary, "| byol | " ROW " | 3 (1 mixed) | 30.0 ± 2.5 | 2 | 72.0 ± 5.0 |");
    assert_holds(summary, "\nMixed runs were continued on another machine");
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
    assert_holds(summary, "| no_stop_gradient | " ROW " | 1 | 30.0 ± 2.5 | 1 (stopped: collapsed) | 51.0 | 0.200 ± 0.000 | collapsed 3 of 3 |\n"
                          "| no_stop_gradient | " ROW " | 2 | 30.0 ± 2.5 | 2 | 41.5 ± 19.1 | 0.200 ± 0.000 | collapsed 3 of 3 |\n");
    assert_written(here, "aggregate.csv", "\"no_stop_gradient\",\"" ROW "\",2,2,41.5,");
    assert_written(here, "collapse.csv",
                   "\"no_stop_gradient\",1,4,2,2,0.1,0.2,0.99,4,14,0.3,-2,3,5,\"collapsed\"\n");
    assert_written(here, "verdicts.csv", "\"no_stop_gradient\",1,\"collapsed\",0.2,4,4,1\n");
    free(summary);
}

static void a_failed_run_says_what_failed(void **state) {
    fixture *here = *state;
    char path[600];
    leave_run(here, &all_runs[0]);
    snprintf(path, sizeof path, "%s/tests/small/byol/seed-1.reference.failed", here->folder);
    assert_ok(bl_atomic_write(path, "step 3 is not finite\n", 21));
    char *summary = report_of(here);
    assert_holds(summary, "- byol, seed 1: failed: step 3 is not finite\n- byol, seed 7: not run yet\n");
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
    assert_written(here, "measurements.csv", "\"" ROW_ID "\",2,61,0.03,62.5,1\n");
}

// ---- label efficiency ----

static void shares_are_read_between_points_on_a_logarithmic_axis(void **state) {
    (void)state;
    const double shares[] = {1, 10, 100}, rising[] = {20, 40, 60}, early[] = {50, 55, 60}, falling[] = {30, 50, 45};
    const struct {
        const double *values;
        double target, share; // NaN: never
    } cases[] = {{rising, 30, 3.16227766016838}, {rising, 40, 10}, {rising, 45, 17.7827941003892}, {rising, 60, 100}, {rising, 61, NAN},
                 {rising, 20, 1},                {early, 10, 1},   {falling, 48, 7.94328234724281}, {falling, 51, NAN}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const double share = bl_share_reaching(shares, cases[i].values, 3, cases[i].target);
        if (isnan(cases[i].share)) assert_true(isnan(share));
        else assert_true(fabs(share - cases[i].share) < 1e-12 * cases[i].share);
    }
}

enum { ARMS = 2, SHARES = 3, LABEL_ROWS = ARMS * SHARES };

typedef struct label_fixture {
    bl_evaluation rows[LABEL_ROWS];
    char names[LABEL_ROWS][64], ids[LABEL_ROWS][17];
    bl_cell cell;
} label_fixture;

// Fine-tuning from two arms on 1, 10 and 100 % of 48 labels.
static void make_label_study(fixture *here, label_fixture *labels) {
    static const double shares[] = {1, 10, 100};
    static const char *const arms[] = {"pretrained", "random"};
    for (int i = 0; i < LABEL_ROWS; i++) {
        const double share = shares[i % SHARES];
        const char *arm = arms[i / SHARES];
        if (share < 100) snprintf(labels->names[i], sizeof labels->names[i], "finetune/%s/%g%%/test", arm, share);
        else snprintf(labels->names[i], sizeof labels->names[i], "finetune/%s/test", arm);
        snprintf(labels->ids[i], sizeof labels->ids[i], "%016d", i);
        labels->rows[i] = (bl_evaluation){.row = labels->names[i], .id = labels->ids[i], .kind = BL_PROTOCOL_FINETUNE, .split = BL_TEST,
                                          .fit = {.share = share, .arm = {.name = arm}}};
    }
    labels->cell = (bl_cell){.name = "main", .evaluations = labels->rows, .evaluation_count = LABEL_ROWS, .train_id = "of this recipe",
                             .train = {.epochs = LAST}, .data = {.name = "shapes", .train = 500}};
    here->experiment.cells = &labels->cell;
    here->experiment.cell_count = 1;
}

static void leave_label_run(fixture *here, uint64_t seed, const double values[LABEL_ROWS]) {
    bl_history history = {0};
    for (int i = 0; i < LABEL_ROWS; i++) {
        bl_measurement row = {.epoch = LAST, .value = values[i], .chosen = NAN, .validation = NAN};
        strcpy(row.row, here->experiment.cells[0].evaluations[i].row);
        strcpy(row.id, here->experiment.cells[0].evaluations[i].id);
        assert_ok(bl_history_add_measurement(&history, &row));
    }
    write_run(here, 0, seed, &(run_case){0}, &history);
    bl_history_free(&history);
}

static void label_efficiency_says_how_many_labels_one_arm_saves(void **state) {
    fixture *here = *state;
    label_fixture labels;
    make_label_study(here, &labels);
    // The pretrained arm reaches the other's 100 % at 10^0.5, 10 and 10^1.5 percent: 10 in the geometric mean.
    leave_label_run(here, 0, (const double[]){20, 40, 60, 10, 20, 30});
    leave_label_run(here, 1, (const double[]){20, 40, 60, 10, 20, 40});
    leave_label_run(here, 7, (const double[]){20, 40, 60, 10, 20, 50});
    char *summary = report_of(here);
    assert_holds(summary, "## Label efficiency: fine-tuning, test\n\n| labels (images) | pretrained | random | difference |\n|---:|---:|---:|---:|\n"
                          "| 1 % (5) | 20.0 ± 0.0 | 10.0 ± 0.0 | +10.0 ± 0.0 (higher) |\n");
    assert_holds(summary, "| 100 % (500) | 60.0 ± 0.0 | 40.0 ± 24.8 | +20.0 ± 24.8 (inconclusive) |\n");
    assert_holds(summary, "| pretrained | random | 3 | 10 % (50) | 0.573 % to 100 % |\n");
    assert_holds(summary, "| random | pretrained | 3 | never | - |\n");
    assert_holds(summary, "| main | - | 3 | - | - | - | - | - |\n"); // no line a share in the table of results
    assert_written(here, "labels.csv", "\"finetune/pretrained/test\",\"finetune\",\"pretrained\",\"main\",10,50,3,40,0,40,40\n");
    assert_written(here, "labels_needed.csv", "\"finetune/random/test\",\"random\",\"main\",\"pretrained\",\"main\",3,0,0,,,,\n");
    free(summary);
}

static void an_arm_that_not_every_seed_reaches_has_no_mean_share(void **state) {
    fixture *here = *state;
    label_fixture labels;
    make_label_study(here, &labels);
    leave_label_run(here, 0, (const double[]){20, 40, 60, 10, 20, 30});
    leave_label_run(here, 1, (const double[]){20, 40, 60, 10, 20, 61});
    char *summary = report_of(here);
    assert_holds(summary, "| pretrained | random | 2 | in 1 of 2 seeds alone | - |\n");
    free(summary);
    leave_label_run(here, 1, (const double[]){32, 40, 60, 10, 20, 31}); // with fewer labels than were tried
    leave_label_run(here, 0, (const double[]){31, 40, 60, 10, 20, 30});
    summary = report_of(here);
    assert_holds(summary, "| pretrained | random | 2 | 1 % (5) or less | - |\n");
    free(summary);
}

// ---- figures ----

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

static bool is_there(fixture *here, const char *name) {
    char path[600];
    snprintf(path, sizeof path, "%s/tests/small/%s", here->folder, name);
    return bl_file_exists(path);
}

static void many_cells_have_bars_and_shares_have_a_figure_of_their_own(void **state) {
    fixture *here = *state;
    bl_cell cells[4];
    label_fixture labels;
    if (!has_gnuplot()) skip();
    const char *names[] = {"ema", "online", "no_predictor", "it's_frozen"};
    for (int c = 0; c < 4; c++) {
        cells[c] = here->cells[0];
        cells[c].name = names[c];
    }
    here->experiment.cells = cells;
    here->experiment.cell_count = 4;
    here->expectations[0] = (bl_expectation){.row = ROW, .cell = "ema", .epoch = 2, .value = 2.9, .low = .3, .high = 5.5, .context = true};
    here->experiment.expectation_count = 1;
    for (int c = 0; c < 4; c++)
        for (int i = 0; i < 2; i++) {
            run_case run = all_runs[i];
            run.cell = c;
            run.verdict = c == 1 ? BL_COLLAPSED : BL_HEALTHY;
            leave_run(here, &run);
        }
    free(report_of(here));
    const char *parts[] = {">ema</text>", ">it's_frozen</text>", ">72.0</text>", ">collapsed</text>", ">95 % interval, seeds</text>",
                           ">published, other set-up</text>"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) assert_written(here, "bars.svg", parts[i]);
    assert_written(here, "curves.svg", ">effective rank of the projection (centred)</text>");
    assert_false(is_there(here, "labels.svg"));

    // The study shrinks: what is not drawn now does not stay behind.
    here->experiment.expectation_count = 0;
    make_label_study(here, &labels);
    leave_label_run(here, 0, (const double[]){20, 40, 60, 10, 20, 30});
    leave_label_run(here, 1, (const double[]){22, 40, 61, 11, 24, 35});
    free(report_of(here));
    const char *label_parts[] = {">pretrained</text>", ">random</text>", ">10 %</text>", ">50</text>", ">fine-tuning, test</text>"};
    for (size_t i = 0; i < sizeof label_parts / sizeof *label_parts; i++) assert_written(here, "labels.svg", label_parts[i]);
    assert_false(is_there(here, "bars.svg") || is_there(here, "bars.gp") || is_there(here, "curves.svg"));
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
        cmocka_unit_test_setup_teardown(a_run_that_diverged_or_has_another_graph_is_named_and_enters_no_mean, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_graph_that_most_runs_of_a_cell_have_is_the_one_that_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(mixed_runs_count_and_are_flagged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_run_stopped_by_collapse_keeps_the_epoch_its_accuracy_is_of, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failed_run_says_what_failed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_chosen_stands_beside_its_value, set_up, tear_down),
        cmocka_unit_test(shares_are_read_between_points_on_a_logarithmic_axis),
        cmocka_unit_test_setup_teardown(label_efficiency_says_how_many_labels_one_arm_saves, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_arm_that_not_every_seed_reaches_has_no_mean_share, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_cells_have_bars_and_shares_have_a_figure_of_their_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(figure_shows_each_cell_with_the_published_points_and_raw_pixels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(report_has_the_same_bytes_each_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_gnuplot_the_tables_stand_and_the_summary_says_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_study_without_finished_runs_has_empty_tables, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
