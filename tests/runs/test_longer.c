// A finished run whose recipe has more epochs now: where it goes on, and where and why it does not.

#include "run_rig.h"

// Two epochs of six steps. Every step is logged and every epoch measured: a longer run leaves no other rows.
static const char recipe[] =
        "data: {dataset: shapes, train: 48, test: 60}\n"
        "views:\n"
        "  - {random_resized_crop: {size: 32}, flip: 0.5, color_jitter: {p: 0.8, brightness: 0.4}, normalize: imagenet}\n"
        "network: {encoder: resnet18, stem: cifar, width: 2, projector: {hidden: 8, out: 4, batch_norm: hidden}}\n"
        "method:\n"
        "  predictor: {kind: mlp, hidden: 8, batch_norm: none}\n"
        "  target: {source: ema, tau: 0.9}\n"
        "train: {epochs: 2, batch: 8, optimizer: {kind: adam, lr: 1.0e-3}, warmup: 0.5, log_every: 1, checkpoint_every: 4, collapse_every: 4}\n"
        "evaluate:\n"
        "  - knn: {at: {first: 0, every: 1}, k: 3, protocol: train_to_test, split: test, monitor: test, temperature: 0.1}\n"
        "save: {checkpoint: last}\n";

static int open_recipe(void **state) {
    (void)state;
    write_recipe(recipe);
    return 0;
}

static plan_of_run plan_in(const char *results, const char *epochs) {
    return (plan_of_run){.backend = bl_test_backend(), .results = results, .set_key = "train.epochs", .set_value = epochs};
}

static void do_run(plan_of_run plan) {
    char says[512];
    if (run_child(plan, says)) fail_msg("%s", says);
}

static char *kept_beside(const char *run_path, int epochs) {
    char *path;
    assert_true(asprintf(&path, "%.*s.epoch-%d.ckpt", (int)strlen(run_path) - 3, run_path, epochs) > 0);
    return path;
}

static void a_longer_run_is_the_run_of_that_many_epochs(void **state) {
    (void)state;
    char *whole = joined(bl_test_here(), "whole"), *grown = joined(bl_test_here(), "grown");
    char *a = run_file(whole, bl_test_backend()), *b = run_file(grown, bl_test_backend());
    do_run(plan_in(whole, "5"));
    do_run(plan_in(grown, "2"));
    do_run(plan_in(grown, "3"));
    char *second = kept_beside(b, 2), *third = kept_beside(b, 3), *fifth = kept_beside(b, 5);
    assert_false(bl_file_exists(second)); // `last` is one
    assert_true(bl_file_exists(third));
    do_run(plan_in(grown, "5"));
    assert_true(bl_file_exists(fifth));
    assert_same_run(a, b);
    for (char **path = (char *[]){whole, grown, a, b, second, third, fifth, NULL}; *path; path++) free(*path);
}

static void ask(const char *results, const char *command, char answer[], size_t size) {
    char words[900];
    snprintf(words, sizeof words, "%s '%s/recipe.yaml' --results '%s' --set train.epochs=5 --seeds 7 --backend %s", command, bl_test_here(), results,
             bl_test_backend());
    if (bl_test_byolab(words, answer, size)) fail_msg("%s", answer);
}

static void a_longer_run_that_is_killed_continues_and_the_short_one_stays_until_it_is_done(void **state) {
    (void)state;
    char *whole = joined(bl_test_here(), "whole"), *grown = joined(bl_test_here(), "killed"), says[512], answer[8192];
    char *a = run_file(whole, bl_test_backend()), *b = run_file(grown, bl_test_backend()), *kept = kept_beside(b, 2);
    do_run(plan_in(whole, "5"));
    do_run(plan_in(grown, "2"));
    plan_of_run killed = plan_in(grown, "5");
    for (const int64_t *at = (const int64_t[]){13, 17, 26, 0}; *at; at++) { // before its first checkpoint, and behind others
        killed.kill_at = *at;
        if (run_child(killed, says) != SIGKILL) fail_msg("%s", says);
        char *resolved = text_in(b, "/manifest/resolved");
        bl_test_holds(resolved, "  epochs: 2\n");
        bl_free(resolved);
        ask(grown, "status", answer, sizeof answer);
        bl_test_holds(answer, *at == 13 ? "interrupted: main/7: finished with 2 epochs; it goes on to 5\n" : "interrupted: main/7: step ");
        if (*at == 13) continue;
        ask(grown, "report", answer, sizeof answer);
        bl_test_holds(answer, "## Unfinished");
    }
    do_run(plan_in(grown, "2")); // the short one is finished, and the beginning of the longer one is not its own to remove
    do_run(plan_in(grown, "5"));
    assert_same_run(a, b);
    assert_false(bl_file_exists(kept));
    for (char **path = (char *[]){whole, grown, a, b, kept, NULL}; *path; path++) free(*path);
}

// Rows that only a run's end measures stay; all that both have is the same.
static void measurements_of_a_former_end_stay(void **state) {
    (void)state;
    char *whole = joined(bl_test_here(), "sparse_whole"), *grown = joined(bl_test_here(), "sparse");
    char *a = run_file(whole, bl_test_backend()), *b = run_file(grown, bl_test_backend());
    plan_of_run at_once = plan_in(whole, "5"), before = plan_in(grown, "2"), then = plan_in(grown, "5");
    for (plan_of_run **plan = (plan_of_run *[]){&at_once, &before, &then, NULL}; *plan; plan++) {
        (*plan)->more[0] = (bl_override){"evaluate.0.knn.at", "[1]"};
        (*plan)->more[1] = (bl_override){"train.log_every", "7"};
        do_run(**plan);
    }
    bl_history one = history_in(a), other = history_in(b);
    assert_int_equal(one.measurement_count, 2);
    assert_int_equal(other.measurement_count, 3);
    assert_int_equal(other.measurements[1].epoch, 2);
    for (int64_t i = 0; i < one.step_count; i++) {
        int64_t k = 0;
        while (k < other.step_count && other.steps[k].step != one.steps[i].step) k++;
        assert_true(k < other.step_count && one.steps[i].loss == other.steps[k].loss && one.steps[i].std_ratio == other.steps[k].std_ratio);
    }
    assert_true(one.measurements[1].value == other.measurements[2].value && one.measurements[1].epoch == 5);
    bl_history_free(&one);
    bl_history_free(&other);
    for (char **path = (char *[]){whole, grown, a, b, NULL}; *path; path++) free(*path);
}

static void what_cannot_go_on_says_why_and_how_to_start_from_its_weights(void **state) {
    (void)state;
    char *results = joined(bl_test_here(), "refused"), *path = run_file(results, bl_test_backend()), says[512];
    static const struct {
        bl_override set[3], more;
        const char *says;
    } cases[] = {
        {{{"train.schedule", "cosine"}}, {"train.epochs", "3"}, "train.epochs: 3, was 2; it cannot go on: train.schedule depends on where training ends"},
        {{{"method.target.schedule", "cosine"}}, {"train.epochs", "3"}, "method.target.schedule depends on where training ends"},
        {{{"save.checkpoint", "none"}}, {"train.epochs", "3"}, "`save: {checkpoint: last}` keeps it"},
        {{{"save.checkpoint", "last"}}, {"train.epochs", "1"}, "made by another recipe: train.epochs: 1, was 2\n"},
        {{{"method.predictor.hidden", "16"}}, {"method.predictor.hidden", "32"}, "made by another recipe: method.predictor.hidden: 32, was 16\n"},
        {{{"save.checkpoint", "last"}}, {"train.batch", "4"}, "made by another recipe: train.batch: 4, was 8\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        plan_of_run plan = {.backend = bl_test_backend(), .results = results, .more = {cases[i].set[0]}};
        unlink(path);
        char *kept = kept_beside(path, 2);
        unlink(kept);
        free(kept);
        do_run(plan);
        const bool is_same_key = !strcmp(cases[i].set[0].key, cases[i].more.key);
        plan.more[is_same_key ? 0 : 1] = cases[i].more;
        assert_int_equal(run_child(plan, says), 1);
        bl_test_holds(says, cases[i].says);
        plan.evaluate_only = true;
        assert_int_equal(run_child(plan, says), 1);
        bl_test_holds(says, "made by another recipe: ");
    }
    // The advice, done.
    char arm[600];
    snprintf(arm, sizeof arm, "[{finetune: {split: test, shares: [100], validation: 0.5, steps: 1, lr: [0.1], arms: {earlier: {run: '%s'}}}}]", path);
    char *elsewhere = joined(bl_test_here(), "from_its_weights");
    do_run((plan_of_run){.backend = bl_test_backend(), .results = elsewhere, .more = {{"method.predictor.hidden", "32"}, {"evaluate", arm}}});
    free(elsewhere);
    free(results);
    free(path);
}

// Kept by its number the last checkpoint is as good, and stays; milestones are counted from the start.
static void a_named_checkpoint_and_milestones_go_on_too(void **state) {
    (void)state;
    char *whole = joined(bl_test_here(), "steps_whole"), *grown = joined(bl_test_here(), "steps");
    char *a = run_file(whole, bl_test_backend()), *b = run_file(grown, bl_test_backend()), *kept = kept_beside(b, 2);
    const char *const epochs[] = {"4", "2", "4"};
    for (int i = 0; i < 3; i++) {
        plan_of_run plan = plan_in(i ? grown : whole, epochs[i]);
        plan.more[0] = (bl_override){"train.schedule", "step"};
        plan.more[1] = (bl_override){"train.milestones", "[1]"};
        plan.more[2] = (bl_override){"save", "{checkpoint: none, checkpoints: [2]}"};
        do_run(plan);
    }
    assert_same_run(a, b);
    assert_true(bl_file_exists(kept));
    for (char **path = (char *[]){whole, grown, a, b, kept, NULL}; *path; path++) free(*path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_longer_run_is_the_run_of_that_many_epochs, open_recipe, bl_test_leave),
        cmocka_unit_test_setup_teardown(a_longer_run_that_is_killed_continues_and_the_short_one_stays_until_it_is_done, open_recipe, bl_test_leave),
        cmocka_unit_test_setup_teardown(measurements_of_a_former_end_stay, open_recipe, bl_test_leave),
        cmocka_unit_test_setup_teardown(what_cannot_go_on_says_why_and_how_to_start_from_its_weights, open_recipe, bl_test_leave),
        cmocka_unit_test_setup_teardown(a_named_checkpoint_and_milestones_go_on_too, open_recipe, bl_test_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
