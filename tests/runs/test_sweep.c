// Many runs at once: what a sweep leaves when runs fail, when it is killed, and when others work on the same study.

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/backend.h"
#include "base/file.h"
#include "experiment/experiment.h"
#include "report/report.h"
#include "run/sweep.h"
#include "support.h"

// Two steps a run: two cells, two seeds.
static const char recipe[] =
        "data: {dataset: shapes, train: 10, test: 20}\n"
        "views:\n"
        "  - {random_resized_crop: {size: 32}, flip: 0.5, normalize: imagenet}\n"
        "network: {encoder: resnet18, stem: cifar, width: 2, projector: {hidden: 8, out: 4, batch_norm: hidden}}\n"
        "method:\n"
        "  predictor: {kind: mlp, hidden: 8, batch_norm: none}\n"
        "  target: {source: ema, tau: 0.9}\n"
        "train: {epochs: 1, batch: 5, optimizer: {kind: adam, lr: 1.0e-3}, precision: f32, log_every: 1, checkpoint_every: 1, collapse_every: 0, seeds: [0, 1]}\n"
        "evaluate:\n"
        "  - knn: {k: 1, protocol: cross_validation, folds: 2, split: test}\n"
        "cells:\n"
        "  crossed: {}\n"
        "  same_view: {method: {pairing: same_view}}\n"
        "machine: {threads: 1, loader_threads: 1}\n";

enum { RUNS = 4, TEXT = 8192 };

typedef struct fixture {
    char *folder;
    char file[300], results[300], log[300]; // log: a line an event, of every process
    bl_experiment *experiment;
} fixture;


static int set_up(void **state) {
    fixture *here = calloc(1, sizeof *here);
    here->folder = bl_test_folder();
    snprintf(here->file, sizeof here->file, "%s/tiny.yaml", here->folder);
    snprintf(here->results, sizeof here->results, "%s/results", here->folder);
    snprintf(here->log, sizeof here->log, "%s/events", here->folder);
    assert_ok(bl_atomic_write(here->file, recipe, sizeof recipe - 1));
    assert_ok(bl_experiment_read(&here->experiment, here->file, (bl_override[]){{"machine.backend", bl_test_backend()}}, 1));
    *state = here;
    return 0;
}

static int tear_down(void **state) {
    fixture *here = *state;
    bl_experiment_free(here->experiment);
    bl_test_folder_remove(here->folder);
    free(here);
    return 0;
}

// Of the run's files: "h5", "h5.lock", "ckpt", "failed".
static const char *path_of(fixture *here, int run, const char *ending) {
    static char path[8][700];
    static int next;
    char *out = path[next++ % 8];
    const bl_experiment *experiment = here->experiment;
    snprintf(out, 700, "%s/%s/%s/seed-%d.%s.%s", here->results, experiment->study, experiment->cells[run / 2].name, run % 2, bl_test_backend(), ending);
    return out;
}

static void make_folder_of(fixture *here, int run) {
    char folder[700];
    snprintf(folder, sizeof folder, "%s", path_of(here, run, "h5"));
    *strrchr(folder, '/') = '\0';
    assert_ok(bl_make_folders(folder));
}

// ---- a sweep in a process of its own ----

typedef struct sweep_plan {
    bl_shard shard;
    int64_t kill_at; // SIGKILL after this many steps of all its runs; 0: never
    int mark;        // run that is marked as failed, as another process would, when the first one begins; -1: none
} sweep_plan;
static const sweep_plan all = {{1, 1}, 0, -1};

typedef struct watcher {
    fixture *here;
    const sweep_plan *plan;
    int64_t steps;
} watcher;

static void note(fixture *here, const char *what, const char *cell, uint64_t seed) {
    char line[120];
    const int size = snprintf(line, sizeof line, "%s %s/%d\n", what, cell, (int)seed);
    const int log = open(here->log, O_WRONLY | O_CREAT | O_APPEND, 0666); // one write appends as a whole
    if (log < 0 || write(log, line, (size_t)size) != size) _exit(3);
    close(log);
}

static void watch(void *context, const bl_event *event) {
    watcher *w = context;
    if (event->kind == BL_EVENT_BEGIN) {
        note(w->here, "begin", event->cell, event->seed);
        if (w->plan->mark >= 0 && bl_atomic_write(path_of(w->here, w->plan->mark, "failed"), "seen by another", 15)) _exit(3);
    }
    if (event->kind == BL_EVENT_END) note(w->here, "end", event->cell, event->seed);
    if (event->kind == BL_EVENT_STEP && ++w->steps == w->plan->kill_at) raise(SIGKILL);
}

static pid_t start_sweep(fixture *here, const sweep_plan *plan, int says) {
    fflush(NULL);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child) return child;
    watcher w = {here, plan, 0};
    const bl_sweep_request request = {.experiment = here->experiment, .shard = plan->shard, .results_folder = here->results, .sink = {watch, &w}};
    const int status = bl_sweep(&request);
    if (status && write(says, bl_error(), strlen(bl_error())) < 0) _exit(2);
    _exit(status ? 1 : 0); // past the leak check: cmocka's memory is the parent's
}

static int end_of(pid_t child) {
    int how;
    assert_true(waitpid(child, &how, 0) == child);
    return WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how);
}

static void read_all(int from, char says[TEXT]) {
    int size = 0;
    for (int got; size < TEXT - 1 && (got = (int)read(from, says + size, (size_t)(TEXT - 1 - size))) > 0;) size += got;
    says[size] = '\0';
}

// 0 success, 1 failure (its message on `says`), 9 killed.
static int sweep(fixture *here, const sweep_plan *plan, char says[TEXT]) {
    int channel[2];
    assert_int_equal(pipe(channel), 0);
    const pid_t child = start_sweep(here, plan, channel[1]);
    close(channel[1]);
    read_all(channel[0], says);
    close(channel[0]);
    return end_of(child);
}

// ---- what is asked of it afterwards ----

static int lines_of(fixture *here, const char *line) {
    void *data;
    size_t bytes;
    int count = 0;
    if (!bl_file_exists(here->log)) return 0;
    assert_ok(bl_read_file(here->log, &data, &bytes));
    for (const char *at = data; (at = strstr(at, line)); at++) count++;
    bl_free(data);
    return count;
}

static void assert_each_run_began_and_ended_once(fixture *here) {
    for (int run = 0; run < RUNS; run++) {
        char line[80];
        snprintf(line, sizeof line, "begin %s/%d\n", here->experiment->cells[run / 2].name, run % 2);
        if (lines_of(here, line) != 1) fail_msg("%d times: %s", lines_of(here, line), line);
        assert_true(bl_file_exists(path_of(here, run, "h5")));
    }
    assert_int_equal(lines_of(here, "end "), RUNS);
}

static void assert_only_run_files_are_left(fixture *here) {
    const char *const endings[] = {"h5.lock", "ckpt", "failed"};
    for (int run = 0; run < RUNS; run++)
        for (int i = 0; i < 3; i++)
            if (bl_file_exists(path_of(here, run, endings[i]))) fail_msg("%s is left", path_of(here, run, endings[i]));
}

static void assert_states(fixture *here, const bl_run_state expected[RUNS]) {
    bl_arena *arena = bl_arena_create();
    for (int run = 0; run < RUNS; run++) {
        bl_run_state state;
        const char *why;
        assert_ok(bl_run_state_of(arena, here->experiment, &here->experiment->cells[run / 2], (uint64_t)(run % 2), here->results, &state, &why));
        if (state != expected[run]) fail_msg("run %d is %s, not %s", run, bl_run_state_name(state), bl_run_state_name(expected[run]));
    }
    bl_arena_free(arena);
}

// ---- the tests ----

static void a_shard_is_i_of_n_and_nothing_else(void **state) {
    (void)state;
    bl_shard shard;
    assert_ok(bl_shard_read(&shard, "2/4"));
    assert_true(shard.index == 2 && shard.count == 4);
    const struct {
        const char *text, *says;
    } cases[] = {{"0/4", "counted from 1 to 4"}, {"5/4", "counted from 1 to 4"}, {"-1/4", "counted from 1 to 4"}, {"1/0", "1 to 1000000 parts"},
                 {"1", "write i/n"},             {"1/", "write i/n"},            {"/2", "write i/n"},             {"1/2x", "write i/n"},
                 {"a/b", "write i/n"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(bl_shard_read(&shard, cases[i].text), BL_FAILED);
        bl_test_holds(bl_error(), cases[i].says);
    }
}

static void count_failure(void *context, const bl_cell *cell, uint64_t seed, const char *message) {
    const char *const *first = ((void **)context)[0];
    int *counts = ((void **)context)[1];
    assert_non_null(strstr(message, "not finished"));
    counts[2 * (strcmp(cell->name, *first) != 0) + (int)seed]++;
}

static void shards_partition_the_list_of_runs(void **state) {
    fixture *here = *state;
    for (int n = 1; n <= RUNS + 2; n++) {
        int counts[RUNS] = {0};
        for (int i = 1; i <= n; i++) {
            int before = 0, after = 0;
            void *context[] = {&here->experiment->cells[0].name, counts};
            // Nothing can be evaluated before it is trained: every run that is asked for says so.
            const bl_sweep_request request = {.experiment = here->experiment, .shard = {i, n}, .results_folder = here->results,
                                              .evaluate_only = true, .sink = {NULL, context}, .failed = count_failure};
            for (int run = 0; run < RUNS; run++) before += counts[run];
            const int status = bl_sweep(&request);
            for (int run = 0; run < RUNS; run++) after += counts[run];
            assert_true((status == BL_OK) == (after == before));
            assert_true(after - before >= RUNS / n && after - before <= (RUNS + n - 1) / n);
        }
        for (int run = 0; run < RUNS; run++) assert_int_equal(counts[run], 1);
    }
    for (int run = 0; run < RUNS; run++) assert_false(bl_file_exists(path_of(here, run, "failed"))); // they did not fail, they were not there
}

static void a_failed_run_does_not_stop_the_others_and_stays_told_until_it_succeeds(void **state) {
    fixture *here = *state;
    char says[TEXT], words[1000];
    snprintf(words, sizeof words, "run '%s' --results '%s' --backend %s", here->file, here->results, bl_test_backend());
    make_folder_of(here, 1);
    assert_ok(bl_atomic_write(path_of(here, 1, "h5"), "garbage", 7)); // no run file
    assert_int_equal(bl_test_byolab(words, says, sizeof says), 1);
    bl_test_holds(says, "byolab run: 1 of 4 runs failed; the first: ");
    bl_test_holds(says, "- crossed, seed 1: ");
    bl_test_holds(says, "cell       finished  running  failed  other recipe  interrupted  missing\n"
                       "crossed           1        0       1             0            0        0\n"
                       "same_view         2        0       0             0            0        0\n"
                       "failed: crossed/1: ");
    assert_states(here, (const bl_run_state[]){BL_RUN_FINISHED, BL_RUN_FAILED, BL_RUN_FINISHED, BL_RUN_FINISHED});
    assert_int_equal(unlink(path_of(here, 1, "h5")), 0);
    assert_states(here, (const bl_run_state[]){BL_RUN_FINISHED, BL_RUN_FAILED, BL_RUN_FINISHED, BL_RUN_FINISHED}); // by its marker
    assert_int_equal(bl_test_byolab(words, says, sizeof says), 0);
    bl_test_holds(says, "Runs:      4 finished\n");
    assert_only_run_files_are_left(here);
    snprintf(words, sizeof words, "status '%s' --results '%s' --backend %s", here->file, here->results, bl_test_backend());
    assert_int_equal(bl_test_byolab(words, says, sizeof says), 0);
    assert_string_equal(says, "Runs:      4 finished\n");
}

static void finished_runs_of_another_recipe_are_refused_and_keep_no_marker(void **state) {
    fixture *here = *state;
    char says[TEXT], words[1000];
    const sweep_plan first = {{1, 4}, 0, -1};
    if (sweep(here, &first, says)) fail_msg("%s", says);
    snprintf(words, sizeof words, "run '%s' --results '%s' --backend %s --shard 1/4 --set train.epochs=2", here->file, here->results, bl_test_backend());
    assert_int_equal(bl_test_byolab(words, says, sizeof says), 1);
    bl_test_holds(says, "made by another recipe");
    bl_test_holds(says, "No run of tiny is finished or under way: no report is written.\n");
    bl_test_holds(says, "other recipe: crossed/0: ");
    assert_only_run_files_are_left(here);
    assert_states(here, (const bl_run_state[]){BL_RUN_FINISHED, BL_RUN_MISSING, BL_RUN_MISSING, BL_RUN_MISSING});
    snprintf(words, sizeof words, "report '%s' --results '%s/typo' --backend %s", here->file, here->results, bl_test_backend());
    assert_int_equal(bl_test_byolab(words, says, sizeof says), 1);
    bl_test_holds(says, "byolab report: no run of tiny is finished or under way below ");
    snprintf(words, sizeof words, "report '%s' --results '%s' --cell crossed", here->file, here->results);
    assert_int_equal(bl_test_byolab(words, says, sizeof says), 2);
    bl_test_holds(says, "--cell");
}

static void a_sweep_is_finished_whoever_did_its_runs(void **state) {
    fixture *here = *state;
    char says[TEXT];
    const bl_sweep_request second = {.experiment = here->experiment, .shard = {2, 2}, .results_folder = here->results};
    const sweep_plan plan = {{2, 2}, 0, -1};
    assert_false(bl_sweep_is_finished(&second));
    if (sweep(here, &plan, says)) fail_msg("%s", says); // another process
    assert_true(bl_sweep_is_finished(&second));
    const bl_sweep_request whole = {.experiment = here->experiment, .shard = {1, 1}, .results_folder = here->results};
    assert_false(bl_sweep_is_finished(&whole));
}

static void a_killed_sweep_goes_on_where_it_stood(void **state) {
    fixture *here = *state;
    char says[TEXT];
    sweep_plan killed = all;
    killed.kill_at = 4; // in the second run, after its second step: its first step's checkpoint is there
    assert_int_equal(sweep(here, &killed, says), SIGKILL);
    assert_states(here, (const bl_run_state[]){BL_RUN_FINISHED, BL_RUN_INTERRUPTED, BL_RUN_MISSING, BL_RUN_MISSING});
    bl_text table = {0};
    assert_ok(bl_sweep_table(here->experiment, here->results, &table));
    bl_test_holds(table.chars, "\nsame_view         0        0       0             0            0        2\ninterrupted: crossed/1: step 1, epoch 0 of 1\n");
    bl_text_free(&table);
    struct stat before, after;
    assert_int_equal(stat(path_of(here, 0, "h5"), &before), 0);
    killed.kill_at = 2; // the second run has one step left: now the third one dies after its first
    assert_int_equal(sweep(here, &killed, says), SIGKILL);
    if (sweep(here, &all, says)) fail_msg("%s", says);
    assert_states(here, (const bl_run_state[]){BL_RUN_FINISHED, BL_RUN_FINISHED, BL_RUN_FINISHED, BL_RUN_FINISHED});
    assert_int_equal(stat(path_of(here, 0, "h5"), &after), 0);
    assert_true(before.st_ino == after.st_ino && before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
    assert_only_run_files_are_left(here);
    assert_int_equal(lines_of(here, "end "), RUNS);
    bl_text summary = {0};
    bool written;
    assert_ok(bl_report_write(here->experiment, here->results, false, &summary, &written));
    assert_null(strstr(summary.chars, "Not counted"));
    bl_test_holds(summary.chars, "| crossed | knn/k1_cv/test | 2 |");
    bl_text_free(&summary);
}

static void two_processes_on_one_study_do_each_run_once(void **state) {
    fixture *here = *state;
    char says[TEXT];
    int channel[2];
    assert_int_equal(pipe(channel), 0);
    pid_t children[2];
    for (int i = 0; i < 2; i++) children[i] = start_sweep(here, &all, channel[1]);
    close(channel[1]);
    read_all(channel[0], says);
    close(channel[0]);
    for (int i = 0; i < 2; i++) {
        const int status = end_of(children[i]);
        assert_true(status == 0 || status == 1);
    }
    // Whoever ended first may have left a run to the other: that is all that can be missing from its success.
    if (*says) bl_test_holds(says, "being done by other processes: ");
    assert_null(strstr(says, "failed"));
    assert_each_run_began_and_ended_once(here);
    assert_only_run_files_are_left(here);
}

static void a_run_of_another_process_is_named_and_left_alone(void **state) {
    fixture *here = *state;
    char says[TEXT];
    bl_lock lock;
    bool held;
    make_folder_of(here, 3);
    assert_ok(bl_lock_try(&lock, path_of(here, 3, "h5.lock"), &held));
    assert_true(held);
    const sweep_plan second = {{2, 2}, 0, -1}; // runs 1 and 3
    assert_int_equal(sweep(here, &second, says), 1);
    assert_string_equal(says, "1 of 2 runs is being done by other processes: same_view/1");
    assert_states(here, (const bl_run_state[]){BL_RUN_MISSING, BL_RUN_FINISHED, BL_RUN_MISSING, BL_RUN_RUNNING});
    bl_lock_release(&lock); // as a kill does: the file stays, the lock does not
    assert_states(here, (const bl_run_state[]){BL_RUN_MISSING, BL_RUN_FINISHED, BL_RUN_MISSING, BL_RUN_MISSING});
    if (sweep(here, &second, says)) fail_msg("%s", says);
    assert_states(here, (const bl_run_state[]){BL_RUN_MISSING, BL_RUN_FINISHED, BL_RUN_MISSING, BL_RUN_FINISHED});
}

static void a_run_that_another_process_saw_failing_is_not_repeated_at_once(void **state) {
    fixture *here = *state;
    char says[TEXT];
    const sweep_plan marked = {{1, 2}, 0, 2}; // runs 0 and 2
    make_folder_of(here, 2);
    assert_int_equal(sweep(here, &marked, says), 1);
    assert_string_equal(says, "1 of 2 runs failed; the first: seen by another");
    assert_int_equal(lines_of(here, "begin "), 1);
    const sweep_plan again = {{1, 2}, 0, -1};
    if (sweep(here, &again, says)) fail_msg("%s", says); // asked for once more it is tried once more
    assert_int_equal(lines_of(here, "begin "), 2);
    assert_false(bl_file_exists(path_of(here, 2, "failed")));
}

static void cells_that_are_left_out_are_listed_with_the_reason(void **state) {
    fixture *here = *state;
    static const char crossed[] = "sweep:\n"
                                  "  product: {method.predictor.kind: [mlp, none], method.pairing: [crossed, same_view]}\n"
                                  "  exclude: [{method.predictor.kind: none, method.pairing: crossed}]\n";
    static const char meaningless[] = "predictor.kind=none_pairing=same_view: crossed.yaml:";
    static const char excluded[] = "predictor.kind=none_pairing=crossed: sweep.exclude, crossed.yaml:13:14\n";
    static const char *const commands[] = {"check", "run", "status"};
    char text[2000], file[400], words[1200], says[TEXT];
    const char *cells = strstr(recipe, "cells:"), *machine = strstr(recipe, "machine:");
    snprintf(text, sizeof text, "%.*s%s%s", (int)(cells - recipe), recipe, crossed, machine);
    snprintf(file, sizeof file, "%s/crossed.yaml", here->folder);
    assert_ok(bl_atomic_write(file, text, strlen(text)));
    for (int i = 0; i < 3; i++) {
        snprintf(words, sizeof words, "%s '%s' --results '%s' --backend %s --seeds 0", commands[i], file, here->results, bl_test_backend());
        assert_int_equal(bl_test_byolab(words, says, sizeof says), 0);
        bl_test_holds(says, i ? "Left out:  predictor.kind=none_pairing=same_view: crossed.yaml:" : meaningless);
        bl_test_holds(says, meaningless);
        bl_test_holds(says, excluded);
        if (i) bl_test_holds(says, "Runs:      2 finished\n");
    }
    snprintf(text, sizeof text, "%s/crossed/report.md", here->results);
    void *report;
    size_t bytes;
    assert_ok(bl_read_file(text, &report, &bytes));
    bl_test_holds(report, "\n## Cells left out\n\n- predictor.kind=none_pairing=same_view: crossed.yaml:");
    bl_test_holds(report, excluded);
    bl_free(report);
    snprintf(words, sizeof words, "run '%s' --results '%s' --cell predictor.kind=none_pairing=crossed", file, here->results);
    assert_int_equal(bl_test_byolab(words, says, sizeof says), 1);
    bl_test_holds(says, "it is left out: predictor.kind=none_pairing=crossed: sweep.exclude");
}

static void the_slurm_script_gives_each_task_its_part(void **state) {
    fixture *here = *state;
    char line[600], says[TEXT];
    snprintf(line, sizeof line,
             "BYOLAB=echo SLURM_SUBMIT_DIR='%s' SLURM_ARRAY_TASK_ID=2 SLURM_ARRAY_TASK_COUNT=6 SLURM_CPUS_PER_TASK=8 '%s' study.yaml --seeds 0,1",
             here->folder, BYOLAB_SOURCE "/experiments/slurm_array.sh");
    FILE *pipe_end = popen(line, "r");
    assert_non_null(pipe_end);
    says[fread(says, 1, TEXT - 1, pipe_end)] = '\0';
    assert_int_equal(pclose(pipe_end), 0);
    assert_string_equal(says, "run study.yaml --seeds 0,1 --shard 2/6 --set machine.threads=8\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_shard_is_i_of_n_and_nothing_else),
            cmocka_unit_test_setup_teardown(shards_partition_the_list_of_runs, set_up, tear_down),
            cmocka_unit_test_setup_teardown(a_failed_run_does_not_stop_the_others_and_stays_told_until_it_succeeds, set_up, tear_down),
            cmocka_unit_test_setup_teardown(finished_runs_of_another_recipe_are_refused_and_keep_no_marker, set_up, tear_down),
            cmocka_unit_test_setup_teardown(a_sweep_is_finished_whoever_did_its_runs, set_up, tear_down),
            cmocka_unit_test_setup_teardown(a_killed_sweep_goes_on_where_it_stood, set_up, tear_down),
            cmocka_unit_test_setup_teardown(two_processes_on_one_study_do_each_run_once, set_up, tear_down),
            cmocka_unit_test_setup_teardown(a_run_of_another_process_is_named_and_left_alone, set_up, tear_down),
            cmocka_unit_test_setup_teardown(a_run_that_another_process_saw_failing_is_not_repeated_at_once, set_up, tear_down),
            cmocka_unit_test_setup_teardown(cells_that_are_left_out_are_listed_with_the_reason, set_up, tear_down),
            cmocka_unit_test_setup_teardown(the_slurm_script_gives_each_task_its_part, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
