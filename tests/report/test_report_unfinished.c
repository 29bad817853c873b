// What a report says of runs that are not finished: as far as they are, marked, and in no average unless that is asked for.

#include "report_rig.h"
#include "run_rig.h"

// byol: two finished runs and one after two of its four steps; no_stop_gradient: one after three.
static void leave_some_unfinished(fixture *here, const bl_stretches *stretches) {
    run_case first = all_runs[2], second = all_runs[3];
    first.under_way = 2;
    first.verdict = BL_HEALTHY;
    second.under_way = 3;
    second.of_earlier_version = true;
    first.stretches = stretches;
    leave_run(here, &all_runs[0]);
    leave_run(here, &all_runs[1]);
    leave_run(here, &first);
    leave_run(here, &second);
}

static void an_unfinished_run_is_marked_and_enters_no_average(void **state) {
    fixture *here = *state;
    leave_some_unfinished(here, NULL);
    char *summary = report_of(here);
    bl_test_holds(summary, "| byol | " ROW " | 2 | 30.5 ± 6.4 | 2 | 72.0 ± 25.4 |");
    bl_test_holds(summary, "\n## Unfinished\n");
    bl_test_holds(summary, "| byol | 7 | 2 of 4 | 1 of 2 | healthy | " ROW " 54.0 (epoch 1) | - | - |\n"
                          "| no_stop_gradient | 0 | 3 of 4 | 1 of 2 | - | " ROW " 51.0 (epoch 1) | - | - |\n");
    bl_test_holds(summary, "They enter no average");
    assert_null(strstr(summary, "byol, seed 7:")); // it is not absent
    assert_null(strstr(summary, "Differences between cells"));
    free(summary);
    assert_written(here, "measurements.csv", "\"byol\",7,\"reference\",\"0a1b\",\"" ROW "\",\"" ROW_ID "\",1,54,,,0,0\n");
    assert_written(here, "measurements.csv", "\"byol\",1,\"reference\",\"0a1b\",\"" ROW "\",\"" ROW_ID "\",1,52,,,1,1\n");
    assert_written(here, "steps.csv", "\"no_stop_gradient\",0,3,1.5,1,0.125,0.25,0.001,0.99,0\n");
    assert_written(here, "collapse.csv", "\"byol\",7,4,2,2,0.1,0.2,0.99,4,14,0.3,-2,3,5,\"healthy\",0\n");
    assert_written(here, "verdicts.csv", "\"byol\",7,\"healthy\",0.2,4,4,0,0\n");
    assert_written(here, "aggregate.csv", "\"byol\",\"" ROW "\",1,2,51,1.4142135623730951,");
    assert_written(here, "manifest.yaml", "\"byol/seed-7.reference\":\n  graph_digest: \"of this graph\"\n");
    assert_written(here, "manifest.yaml", "  status: \"incomplete\"\n  train_id: \"of this recipe\"\n  step: 2\n");
    char *aggregate = written_text(here, "aggregate.csv"), *differences = written_text(here, "differences.csv");
    assert_null(strstr(aggregate, "no_stop_gradient"));
    assert_string_equal(strchr(differences, '\n'), "\n"); // the header alone
    free(aggregate);
    free(differences);
}

static void asked_for_it_counts_and_says_so(void **state) {
    fixture *here = *state;
    leave_some_unfinished(here, NULL);
    here->expectations[0] = (bl_expectation){.row = ROW, .cell = "byol", .source = "a paper", .epoch = 1, .n = 1, .value = 50};
    here->experiment.expectation_count = 1;
    here->counts_unfinished = true;
    char *summary = report_of(here);
    bl_test_holds(summary, "| byol | " ROW " | 1 (1 unfinished) | 30.0 ± 2.5 | 1 | 54.0 |");
    bl_test_holds(summary, "| byol | " ROW " | 2 | 30.0 ± 2.5 | 2 | 72.0 ± 25.4 |");
    bl_test_holds(summary, "of finished and unfinished runs on the backend");
    bl_test_holds(summary, "As was asked for (`--unfinished`) they count");
    bl_test_holds(summary, "| byol | " ROW " | 1 | 50 (n = 1) | 52.0 ± 5.0 (1 unfinished) | +2.0 | a paper |\n");
    bl_test_holds(summary, "| no_stop_gradient | byol | " ROW " | 1 | 1 (1 unfinished) | +1.0 | - | - | one pair |\n");
    free(summary);
    assert_written(here, "aggregate.csv", "\"byol\",\"" ROW "\",1,3,52,2,47.03");
    assert_written(here, "aggregate.csv", ",1\n\"byol\",\"" ROW "\",2,2,72,"); // that of epoch 1 holds one
    assert_written(here, "differences.csv", "\"no_stop_gradient\",\"byol\",1,1,,,,1,\"one pair\",\n");
    assert_written(here, "measurements.csv", "\"" ROW_ID "\",1,54,,,1,0\n");
    assert_written(here, "verdicts.csv", "\"byol\",7,\"healthy\",0.2,4,4,1,0\n");
}

static void it_stands_beside_published_figures_of_the_epochs_it_has_reached(void **state) {
    fixture *here = *state;
    leave_some_unfinished(here, NULL);
    here->expectations[0] = (bl_expectation){.row = ROW, .source = "a blog", .origin = "digitised", .epoch = 1, .value = 50};
    here->expectations[1] = (bl_expectation){.row = ROW, .cell = "byol", .epoch = 2, .value = 71.5};
    here->experiment.expectation_count = 2;
    char *summary = report_of(here);
    bl_test_holds(summary, "one run each:\n\n| cell | seed | row | epoch | published | so far | difference | source |\n"
                          "|---|---:|---|---:|---:|---:|---:|---|\n"
                          "| byol | 7 | " ROW " | 1 | 50 | 54.0 (unfinished) | +4.0 | a blog, digitised |\n"
                          "| no_stop_gradient | 0 | " ROW " | 1 | 50 | 51.0 (unfinished) | +1.0 | a blog, digitised |\n\n");
    bl_test_holds(summary, "| no_stop_gradient | " ROW " | 1 | 50 | - | - | a blog, digitised |\n"); // in the table of what counts
    free(summary);
}

static void a_report_of_unfinished_runs_alone_is_written(void **state) {
    fixture *here = *state;
    run_case only = all_runs[0];
    only.under_way = 2;
    leave_run(here, &only);
    char *summary = report_of(here);
    bl_test_holds(summary, "# tests/small\n\nNo run is finished.\n");
    bl_test_holds(summary, "| byol | 0 | 2 of 4 | 1 of 2 | - | " ROW " 50.0 (epoch 1) | - | - |\n");
    bl_test_holds(summary, "- byol, seed 1: not run yet\n");
    free(summary);
    assert_written(here, "aggregate.csv", "cell,row,epoch,n,mean,sd,low,high,unfinished\n");
    if (!has_gnuplot()) skip();
    assert_written(here, "curves.svg", ">byol (unfinished, step 2)</text>");
    assert_written(here, "curves.gp", "x_max = 1.015\n"); // of the epoch it has reached
}

static void its_curve_is_dashed_and_named_for_what_it_is(void **state) {
    fixture *here = *state;
    run_case other = all_runs[1];
    leave_some_unfinished(here, NULL);
    free(report_of(here));
    assert_written(here, "curves.gp",
                   "'measurements.csv' using (strcol(2) eq 'byol' && strcol(3) eq '7' && strcol(6) eq '" ROW "' && strcol(7) eq '" ROW_ID
                   "' ? $8 : NaN):9 with linespoints lc rgb '#0072B2' lw 1.2 dt (7,4)");
    assert_written(here, "curves.gp", "\nset datafile missing NaN\n"); // or other rows between its own would break the line
    if (has_gnuplot()) {
        assert_written(here, "curves.svg", ">byol</text>");
        assert_written(here, "curves.svg", ">byol (unfinished, step 2)</text>");
        char *svg = written_text(here, "curves.svg");
        assert_null(strstr(svg, ">no_stop_gradient</text>")); // nothing of it is finished
        free(svg);
    }
    // A finished run takes its place, and the checkpoint beside it, of a kill before it was removed, says nothing any more.
    leave_run(here, &all_runs[2]);
    other.under_way = 3;
    leave_run(here, &other); // beside a finished one
    char *summary = report_of(here);
    bl_test_holds(summary, "| byol | " ROW " | 3 | 30.0 ± 2.5 | 2 | 72.0 ± 5.0 |");
    assert_null(strstr(summary, "| byol | 1 | "));
    assert_null(strstr(summary, "| byol | 7 | "));
    free(summary);
    here->counts_unfinished = true;
    free(report_of(here));
    if (has_gnuplot()) assert_written(here, "curves.svg", ">no_stop_gradient (1 unfinished)</text>");
}

static void bars_show_finished_runs_alone(void **state) {
    fixture *here = *state;
    bl_cell cells[5];
    const char *names[] = {"a", "b", "c", "d", "under_way"};
    for (int c = 0; c < 5; c++) {
        cells[c] = here->cells[0];
        cells[c].name = names[c];
    }
    here->experiment.cells = cells;
    here->experiment.cell_count = 5;
    for (int c = 0; c < 5; c++) {
        run_case run = all_runs[0];
        run.cell = c;
        run.under_way = c == 4 ? 2 : 0;
        leave_run(here, &run);
    }
    free(report_of(here));
    char *script = written_text(here, "bars.gp");
    bl_test_holds(script, "'d'");
    assert_null(strstr(script, "under_way"));
    free(script);
}

static void a_checkpoint_that_cannot_be_read_or_is_of_another_recipe_is_named(void **state) {
    fixture *here = *state;
    run_case other = all_runs[1], torn = all_runs[2];
    other.train_id = "of another recipe";
    other.under_way = torn.under_way = 2;
    leave_run(here, &all_runs[0]);
    leave_run(here, &other);
    leave_run(here, &torn);
    char path[600];
    snprintf(path, sizeof path, "%s/tests/small/byol/seed-7.reference.ckpt", here->folder);
    void *data;
    size_t bytes;
    assert_ok(bl_read_file(path, &data, &bytes));
    ((char *)data)[bytes / 2] ^= 1;
    assert_ok(bl_atomic_write(path, data, bytes));
    bl_free(data);
    char *summary = report_of(here);
    bl_test_holds(summary, "- byol, seed 1: not finished; its checkpoint: trained by another recipe than the file now holds");
    bl_test_holds(summary, "- byol, seed 7: not finished; its checkpoint: ");
    bl_test_holds(summary, "damaged: its bytes do not match its digest");
    assert_null(strstr(summary, "## Unfinished"));
    free(summary);
}

static void one_of_another_graph_than_the_finished_ones_is_named(void **state) {
    fixture *here = *state;
    run_case first = all_runs[0], second = all_runs[1];
    first.digest = second.digest = "of an older graph";
    first.under_way = second.under_way = 2;
    leave_run(here, &first);
    leave_run(here, &second);
    leave_run(here, &all_runs[2]); // one finished run says which graph is meant, however many are under way
    char *summary = report_of(here);
    bl_test_holds(summary, "- byol, seed 0: of another graph than the cell's other runs (digest of an older , not of this grap)\n");
    bl_test_holds(summary, "| byol | " ROW " | 1 | 29.0 | 2 | 72.0 |");
    bl_test_holds(summary, "| byol | 0 | 2 of 4 |");
    free(summary);
}

static void what_failed_after_its_checkpoint_is_shown_and_named(void **state) {
    fixture *here = *state;
    run_case failed = all_runs[1];
    char path[600];
    failed.under_way = 3;
    failed.verdict = BL_DIVERGED;
    leave_run(here, &all_runs[0]);
    leave_run(here, &failed);
    snprintf(path, sizeof path, "%s/tests/small/byol/seed-1.reference.failed", here->folder);
    assert_ok(bl_atomic_write(path, "step 4 is not finite\n", 21));
    for (int asked = 0; asked < 2; asked++) {
        here->counts_unfinished = asked;
        char *summary = report_of(here);
        bl_test_holds(summary, "| byol | 1 | 3 of 4 | 1 of 2 | diverged |");
        bl_test_holds(summary, "- byol, seed 1: failed: step 4 is not finite\n");
        bl_test_holds(summary, "| byol | " ROW " | 1 | 30.0 | 2 | 70.0 |"); // it diverged: whoever asks, it counts nowhere
        bl_test_holds(summary, asked ? "| 0.200 | diverged 1 of 1 |" : "| 0.200 | - |"); // nor its verdict, unless asked
        free(summary);
    }
}

// ---- who made them ----

static void set_stretch(bl_stretch *stretch, int64_t first, int64_t last, const char *cpu, const char *isa, const char *commit) {
    *stretch = (bl_stretch){.first = first, .last = last, .threads = 2, .until = 1796060040, .hours = .5, .library = "onednn 3.2.0", .version = "0.1.0"};
    strcpy(stretch->cpu, cpu);
    strcpy(stretch->isa, isa);
    strcpy(stretch->commit, commit);
}

static void a_run_of_several_makers_says_which_steps_are_whose(void **state) {
    fixture *here = *state;
    bl_stretch past[3];
    const bl_stretches stretches = {.past = past, .past_count = 3}, late = {.past = past + 2, .past_count = 1}, one = {.past = past, .past_count = 2};
    set_stretch(&past[0], 1, 1, "AMD EPYC 9654", "avx512_bf16", "aaaaaaaaaaaa");
    set_stretch(&past[1], 2, 2, "AMD EPYC 9654", "avx512_bf16", "aaaaaaaaaaaa"); // the same again: a restart
    set_stretch(&past[2], 3, 4, "Intel Xeon | 8480", "avx512_amx", "bbbbbbbbbbbb");
    run_case crossed = all_runs[0], begun_early = all_runs[1], restarted = all_runs[2], unfinished = all_runs[3];
    crossed.stretches = &stretches;
    begun_early.stretches = &late;
    restarted.stretches = &one;
    unfinished.stretches = &stretches;
    unfinished.under_way = 2;
    leave_run(here, &crossed);
    leave_run(here, &begun_early);
    leave_run(here, &restarted);
    leave_run(here, &unfinished);
    char *summary = report_of(here);
    static const char crossing[] = ": steps 1-2 on AMD EPYC 9654, avx512_bf16, 2 threads, onednn 3.2.0, commit aaaaaaaaaaaa; "
                                   "3-4 on Intel Xeon | 8480, avx512_amx, 2 threads, onednn 3.2.0, commit bbbbbbbbbbbb\n";
    char expected[1000];
    snprintf(expected, sizeof expected,
             "\n## Made by several machines or programs\n\n- byol, seed 0%s"
             "- byol, seed 1: steps 1-2 by a program that did not record it; 3-4 on Intel Xeon | 8480, avx512_amx, 2 threads, onednn 3.2.0, "
             "commit bbbbbbbbbbbb\n"
             "- no_stop_gradient, seed 0 (unfinished)%s",
             crossing, crossing);
    bl_test_holds(summary, expected);
    assert_null(strstr(summary, "- byol, seed 7"));
    bl_test_holds(summary, "| no_stop_gradient | 0 | 2 of 4 | 1 of 2 | - | " ROW " 51.0 (epoch 1) | 2026-11-30 17:34 UTC | "
                          "Intel Xeon \\| 8480, avx512_amx, 2 threads, onednn 3.2.0, commit bbbbbbbbbbbb |\n");
    free(summary);
    assert_written(here, "manifest.yaml",
                   "  stretches:\n"
                   "    - {first: 1, last: 1, hours: 0.5, until: 1796060040, cpu: \"AMD EPYC 9654\", isa: \"avx512_bf16\", threads: 2, "
                   "library: \"onednn 3.2.0\", version: \"0.1.0\", commit: \"aaaaaaaaaaaa\"}\n"
                   "    - {first: 2, last: 2, ");
}

// ---- a run as it goes ----

static const char recipe[] =
        "data: {dataset: shapes, train: 20, test: 20}\n"
        "views: [{random_resized_crop: {size: 32}, flip: 0.5, normalize: imagenet}]\n"
        "network: {encoder: resnet18, stem: cifar, width: 2, projector: {hidden: 8, out: 4}}\n"
        "method: {predictor: {kind: mlp, hidden: 8}, target: {source: ema, tau: 0.9}}\n"
        "train: {epochs: 3, batch: 5, seeds: [7], optimizer: {kind: adam, lr: 1.0e-3}, precision: f32, log_every: 1, checkpoint_every: 3, collapse_every: 2}\n"
        "evaluate: [{knn: {at: {first: 0, every: 1}, k: 1, protocol: cross_validation, folds: 2, split: test, monitor: test}}]\n"
        "machine: {threads: 1, loader_threads: 1}\n"; // 12 steps

static void says_of(char *results, const char *command, char *says, size_t size) {
    char words[1000];
    snprintf(words, sizeof words, "%s '%s/recipe.yaml' --results '%s' --backend %s", command, bl_test_here(), results, bl_test_backend());
    assert_int_equal(bl_test_byolab(words, says, size), 0);
}

static void a_killed_run_is_reported_as_far_as_it_is_and_then_as_finished(void **state) {
    (void)state;
    enum { TEXT = 16384 };
    char *results = joined(bl_test_here(), "results"), says[TEXT], message[512];
    plan_of_run plan = {.backend = bl_test_backend(), .results = results, .kill_at = 7};
    assert_int_equal(run_child(plan, message), SIGKILL);
    says_of(results, "status", says, TEXT);
    bl_test_holds(says, "\ninterrupted: main/7: step 6 of 12, epoch 1 of 3, ");
    says_of(results, "report", says, TEXT);
    bl_test_holds(says, "\nNo run is finished.\n");
    bl_test_holds(says, "| main | 7 | 6 of 12 | 1 of 3 | ");
    bl_test_holds(says, " (epoch 1) | 2");
    char *measurements;
    size_t bytes;
    char *path = joined(results, "recipe/measurements.csv");
    void *data;
    assert_ok(bl_read_file(path, &data, &bytes));
    measurements = data;
    bl_test_holds(measurements, ",,0,0\n");
    assert_null(strstr(measurements, ",,1,1\n"));
    bl_free(data);
    plan.kill_at = 0;
    if (run_child(plan, message)) fail_msg("%s", message);
    says_of(results, "status", says, TEXT);
    assert_string_equal(says, "Runs:      1 finished\n");
    says_of(results, "report", says, TEXT);
    assert_null(strstr(says, "## Unfinished"));
    assert_null(strstr(says, "## Made by several")); // one machine, one program
    bl_test_holds(says, "| main | knn/k1_cv/test (monitored) | 1 | ");
    assert_ok(bl_read_file(path, &data, &bytes));
    measurements = data;
    assert_null(strstr(measurements, ",,0,0\n"));
    bl_test_holds(measurements, ",,1,1\n");
    bl_free(data);
    free(path);
    free(results);
}

static void a_run_that_has_just_begun_has_a_status_too(void **state) {
    (void)state;
    char *results = joined(bl_test_here(), "begun"), says[4096], message[512], path[600];
    plan_of_run plan = {.backend = bl_test_backend(), .results = results, .kill_at = 4};
    assert_int_equal(run_child(plan, message), SIGKILL);
    snprintf(path, sizeof path, "%s/recipe/main/seed-7.%s.ckpt", results, bl_test_backend());
    assert_int_equal(truncate(path, 5000), 0);
    says_of(results, "status", says, sizeof says);
    bl_test_holds(says, "\nfailed: main/7: "); // no run goes on from it
    bl_test_holds(says, ".ckpt: truncated: 5000 bytes are there of ");
    bl_lock lock;
    bool held;
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof path, "%s/recipe/main/seed-7.%s.h5.lock", results, bl_test_backend());
    assert_ok(bl_lock_try(&lock, path, &held));
    assert_true(held);
    says_of(results, "status", says, sizeof says);
    bl_test_holds(says, "\nrunning: main/7: no checkpoint yet\n");
    bl_lock_release(&lock);
    free(results);
}

static int open_recipe(void **state) {
    (void)state;
    write_recipe(recipe);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_unfinished_run_is_marked_and_enters_no_average, open_study, close_study),
        cmocka_unit_test_setup_teardown(asked_for_it_counts_and_says_so, open_study, close_study),
        cmocka_unit_test_setup_teardown(it_stands_beside_published_figures_of_the_epochs_it_has_reached, open_study, close_study),
        cmocka_unit_test_setup_teardown(a_report_of_unfinished_runs_alone_is_written, open_study, close_study),
        cmocka_unit_test_setup_teardown(its_curve_is_dashed_and_named_for_what_it_is, open_study, close_study),
        cmocka_unit_test_setup_teardown(bars_show_finished_runs_alone, open_study, close_study),
        cmocka_unit_test_setup_teardown(a_checkpoint_that_cannot_be_read_or_is_of_another_recipe_is_named, open_study, close_study),
        cmocka_unit_test_setup_teardown(one_of_another_graph_than_the_finished_ones_is_named, open_study, close_study),
        cmocka_unit_test_setup_teardown(what_failed_after_its_checkpoint_is_shown_and_named, open_study, close_study),
        cmocka_unit_test_setup_teardown(a_run_of_several_makers_says_which_steps_are_whose, open_study, close_study),
        cmocka_unit_test_setup_teardown(a_killed_run_is_reported_as_far_as_it_is_and_then_as_finished, open_recipe, bl_test_leave),
        cmocka_unit_test_setup_teardown(a_run_that_has_just_begun_has_a_status_too, open_recipe, bl_test_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
