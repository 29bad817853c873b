// Whatever a run is made of, it is the same run after a kill: every optimiser, schedule and way of averaging, the diagnosis of
// collapse in the middle of its window, a supervised run, and an evaluation that was interrupted.
//
//     BYOLAB_TEST_ALL_RUNS=1 test_resume    # where a backend is named, every kind of run, not a share of them
//     BYOLAB_TEST_DAY=20000 test_resume     # the share of that day

#include <time.h>

#include "run_rig.h"

#define RECIPE(train, test, epochs, checkpoint_every) \
        "data: {dataset: shapes, train: " train ", test: " test "}\n" \
        "views:\n" \
        "  - {random_resized_crop: {size: 32}, flip: 0.5, grayscale: 0.2, normalize: imagenet}\n" \
        "network: {encoder: resnet18, stem: cifar, width: 4, projector: {hidden: 8, out: 4}}\n" \
        "method:\n" \
        "  predictor: {kind: mlp, hidden: 8}\n" \
        "  target: {source: ema, tau: 0.9}\n" \
        "train: {epochs: " epochs ", batch: 8, optimizer: {kind: adam, lr: 1.0e-3}, precision: f32, log_every: 1, checkpoint_every: " checkpoint_every ", collapse_every: 3}\n" \
        "evaluate:\n" \
        "  - knn: {at: {first: 0, every: 1}, k: 3, protocol: train_to_test, split: test, monitor: test}\n"

#define SUPERVISED_ROWS "[{accuracy: {at: [1, 2], split: test, monitor: test}}]"
#define LABELLED_ROWS \
    "[{linear: {split: test, points: 3, l2: [1.0e-4, 1.0e-2], shares: [50, 100]}}, " \
    "{finetune: {arms: [pretrained, random], shares: [50, 100], steps: 3, batch: 8, lr: [0.01, 0.1], split: test}}]"

static const struct {
    const char *what;
    bl_override set[6];
    int64_t kills[MOST_KILLS]; // finished steps; 0 ends
    int row_kills[MOST_KILLS]; // measurements
    int64_t early;             // the one step where the run is a short one
} cases[] = {
        {"sgd", {{"train.optimizer", "{kind: sgd, lr: 0.05, momentum: 0.9, nesterov: true, weight_decay: 1.0e-4}"}}, {5, 17}, {0}, 5},
        {"lars", {{"train.optimizer", "{kind: lars, lr: 0.5, weight_decay: 1.0e-4, eta: 0.02, clip: true}"}, {"train.schedule", "cosine"}, {"train.warmup", "1"}}, {6}, {0}, 4},
        {"accumulation", {{"train.batch", "4"}, {"train.accumulate", "3"}, {"train.epochs", "4"}}, {3, 7}, {0}, 3},
        {"step schedule, once an epoch", {{"train.schedule", "step"}, {"train.milestones", "[1, 2]"}, {"train.stepping", "epoch"}, {"train.epochs", "3"}}, {7, 13}, {0}, 5},
        {"plateau on the loss", {{"train.schedule", "plateau"}, {"train.factor", "0.5"}, {"train.patience", "0"}, {"train.optimizer.lr", "0.5"}}, {5, 14}, {0}, 5},
        {"target before the forward, buffers averaged", {{"method.target", "{source: ema, tau: 0.9, schedule: cosine, update: before_forward, buffers: average, batch_norm: running}"}}, {5, 11}, {0}, 5},
        {"probe", {{"method.probe", "{kind: linear, lr_scale: 10}"}}, {5}, {0}, 5},
        {"a window of the diagnosis", {{"train.collapse_every", "4"}}, {1, 2, 9}, {0}, 1},
        {"a fixed number of steps", {{"train.steps", "15"}}, {13}, {0}, 13},
        {"supervised", {{"method", "{kind: supervised}"}, {"data.labels", "50"}, {"evaluate", SUPERVISED_ROWS}}, {4, 7}, {1}, 1},
        {"linear evaluation and fine-tuning", {{"data.train", "48"}, {"train.epochs", "1"}, {"evaluate", LABELLED_ROWS}}, {3}, {1, 2, 2}, 3},
};

enum { CASES = sizeof cases / sizeof *cases };

// Where a backend is named, its own part is in question: its store, an EMA in a phase of its own, plans made between steps. One kill
// while it trains and two while it evaluates show that; its runs are short ones (set_up). Of the kinds it runs the last, which makes
// the most plans, and as many others by turns as five days need to have them all.
static bool is_its_turn(size_t i, int day) {
    const char *all = getenv("BYOLAB_TEST_ALL_RUNS");
    return !bl_test_backend_is_named() || (all && *all) || i == CASES - 1 || (i + (size_t)day) % 5 == 0;
}

static int day_of_turn(void) {
    const char *wanted = getenv("BYOLAB_TEST_DAY");
    return wanted && *wanted ? atoi(wanted) : (int)(time(NULL) / 86400);
}

static void every_kind_of_run_continues_bit_for_bit(void **state) {
    (void)state;
    const bool is_named = bl_test_backend_is_named();
    const int day = day_of_turn();
    if (is_named) print_message("of the kinds of runs those of day %d (BYOLAB_TEST_DAY=%d)\n", day, day);
    for (size_t i = 0; i < CASES; i++) {
        if (!is_its_turn(i, day)) continue;
        plan_of_run plan = {.backend = bl_test_backend()};
        char name[32];
        int64_t kills[MOST_KILLS] = {cases[i].early};
        int row_kills[MOST_KILLS] = {cases[i].row_kills[0], cases[i].row_kills[1]};
        memcpy(plan.more, cases[i].set, sizeof plan.more);
        snprintf(name, sizeof name, "case_%zu", i);
        const pair_of_runs files = run_whole_and_broken(plan, plan, name, cases[i].what, is_named ? kills : cases[i].kills,
                                                        is_named ? row_kills : cases[i].row_kills);
        print_message("%s\n", cases[i].what);
        assert_same_run(files.whole, files.broken);
        free_pair(files);
    }
}

// Asked twice for the same epoch it does nothing more; asked for one past its end it ends.
static void a_run_that_is_left_after_an_epoch_is_the_same_run(void **state) {
    (void)state;
    if (bl_test_backend_is_named()) skip(); // no backend has a part in it
    plan_of_run plan = {.backend = bl_test_backend()};
    char *whole = joined(bl_test_here(), "in_one_go"), *left = joined(bl_test_here(), "left"), says[512];
    plan.results = whole;
    if (run_child(plan, says)) fail_msg("%s", says);
    plan.results = left;
    const pair_of_runs files = {run_file(whole, plan.backend), run_file(left, plan.backend)};
    for (const int *epoch = (const int[]){1, 1, 2, 9, 0}; *epoch; epoch++) {
        assert_false(bl_file_exists(files.broken));
        plan.stop_after_epoch = *epoch;
        if (run_child(plan, says)) fail_msg("%s", says);
    }
    assert_same_run(files.whole, files.broken);
    free_pair(files);
    free(whole);
    free(left);
}

static void a_collapse_stops_the_run_where_the_file_asks_for_it(void **state) {
    (void)state;
    if (bl_test_backend_is_named()) skip(); // no backend has a part in it
    plan_of_run plan = {.backend = bl_test_backend(),
                        .more = {{"method", "{predictor: {kind: none}, target: {source: online}, stop_gradient: false}"},
                                 {"train.stop_on", "collapsed"}, {"train.epochs", "60"}, {"train.optimizer.lr", "1.0e-2"},
                                 {"train.collapse_every", "5"}}};
    char *results = joined(bl_test_here(), "collapsed"), says[512];
    plan.results = results;
    if (run_child(plan, says)) fail_msg("%s", says);
    char *path = run_file(results, plan.backend), *status = text_in(path, "/manifest/status");
    bl_history history = history_in(path);
    assert_string_equal(status, "stopped: collapsed");
    const int64_t last = history.collapse_count - 1; // the network that the run ended with
    assert_int_equal(history.collapse[last].step, history.steps[history.step_count - 1].step + 1);
    for (int i = 0; i < 3; i++) assert_int_equal(history.collapse[last - i].verdict, BL_COLLAPSED); // before it twice: a dip does not stop it
    assert_true(history.collapse[last - 3].verdict != BL_COLLAPSED);
    assert_true(history.steps[history.step_count - 1].step < 359); // of 360
    assert_int_equal(history.measurements[history.measurement_count - 1].epoch, history.steps[history.step_count - 1].step / 6 + 1); // of 6 steps
    bl_free(status);
    bl_history_free(&history);
    if (run_child(plan, says)) fail_msg("%s", says); // a stopped run is finished: nothing is done again
    free(path);
    free(results);
}

// A kill while a stopped run's last rows are measured does not let it train on.
static void a_stopped_run_stays_stopped(void **state) {
    (void)state;
    if (bl_test_backend_is_named()) skip();
    plan_of_run plan = {.backend = bl_test_backend(),
                        .more = {{"method", "{predictor: {kind: none}, target: {source: online}, stop_gradient: false}"},
                                 {"train.stop_on", "collapsed"}, {"train.epochs", "60"}, {"train.optimizer.lr", "1.0e-2"},
                                 {"train.collapse_every", "5"},
                                 {"evaluate", "[{linear: {split: test, points: 2, l2: [1.0e-4, 1.0e-2], shares: [50, 100]}}]"}}};
    const pair_of_runs files = run_whole_and_broken(plan, plan, "stopped", "stopped as collapsed", (const int64_t[MOST_KILLS]){0},
                                                    (const int[MOST_KILLS]){2}); // the first row is in the checkpoint
    assert_same_run(files.whole, files.broken);
    free_pair(files);
}

static int set_up(void **state) {
    (void)state;
    write_recipe(bl_test_backend_is_named() ? RECIPE("24", "16", "2", "2") : RECIPE("48", "40", "3", "4"));
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(every_kind_of_run_continues_bit_for_bit),
            cmocka_unit_test(a_run_that_is_left_after_an_epoch_is_the_same_run),
            cmocka_unit_test(a_collapse_stops_the_run_where_the_file_asks_for_it),
            cmocka_unit_test(a_stopped_run_stays_stopped),
    };
    return cmocka_run_group_tests(tests, set_up, bl_test_leave);
}
