// The network held still: the first row of a diagnosis is the untrained network, the last one the network that is saved, and neither
// has a part in training.

#include <math.h>
#include <stddef.h>

#include "run_rig.h"

static const char recipe[] =
        "data: {dataset: shapes, train: 48, test: 16}\n"
        "views:\n"
        "  - {random_resized_crop: {size: 32}, flip: 0.5, normalize: imagenet}\n"
        "network: {encoder: resnet18, stem: cifar, width: 4, projector: {hidden: 8, out: 8}}\n" // 8 D rows are 4 batches of 2 x 8
        "method: {predictor: {kind: mlp, hidden: 8}, target: {source: ema, tau: 0.9}}\n"
        "train: {epochs: 4, batch: 8, optimizer: {kind: sgd, lr: 0.05}, precision: f32, log_every: 1, collapse_every: 7}\n";

static int set_up(void **state) {
    (void)state;
    write_recipe(recipe);
    return 0;
}

// Freed by the caller.
static char *trained(const char *name, const char *key, const char *value, bl_history *history) {
    char *results = joined(bl_test_here(), name), says[512];
    const plan_of_run plan = {.backend = bl_test_backend(), .results = results, .set_key = key, .set_value = value};
    if (run_child(plan, says)) fail_msg("%s", says);
    char *path = run_file(results, plan.backend);
    *history = history_in(path);
    free(results);
    return path;
}

static void the_first_row_is_the_untrained_network_however_it_learns(void **state) {
    (void)state;
    bl_history slow, fast;
    char *one = trained("slow", "train.optimizer.lr", "1.0e-6", &slow), *other = trained("fast", "train.optimizer.lr", "0.5", &fast);
    assert_memory_equal(&slow.collapse[0], &fast.collapse[0], offsetof(bl_collapse_row, verdict));
    assert_true(slow.collapse[0].step == 0 && slow.collapse[0].epoch == 0);
    assert_true(fabs(slow.collapse[0].std - slow.steps[0].std) < 1e-5); // the same batch opens both
    assert_true(fabs(slow.collapse[0].loss - slow.steps[0].loss) < 1e-4);
    const bl_collapse_row *window = &slow.collapse[1]; // that hardly moved: other batches, the same network
    assert_int_equal(window->step, 7);
    assert_true(fabs(window->rank - slow.collapse[0].rank) < 0.25 * slow.collapse[0].rank);
    assert_true(fabs(fast.collapse[1].rank - slow.collapse[1].rank) > 1e-3); // that one moved
    bl_history_free(&slow);
    bl_history_free(&fast);
    free(one);
    free(other);
}

static void the_last_row_is_the_network_that_is_saved(void **state) {
    (void)state;
    bl_history whole, begun;
    char *one = trained("whole", NULL, NULL, &whole), *other = trained("begun", "train.steps", "5", &begun);
    const bl_collapse_row *last = &whole.collapse[whole.collapse_count - 1];
    assert_int_equal(last->step, 24);
    assert_true(last->epoch == 4);
    assert_int_equal(whole.collapse_count, 4); // 0, 7, 14, 24: the window that 21 opens is not full when training ends
    assert_int_equal(begun.collapse_count, 2); // no window fits between
    assert_int_equal(begun.collapse[1].step, 5);
    // The loss that step 5 of the longer run begins with is of the same network and batch.
    assert_true(fabs(begun.collapse[1].loss - whole.steps[5].loss) < 1e-4 && fabs(begun.collapse[1].std - whole.steps[5].std) < 1e-5);
    bl_history_free(&whole);
    bl_history_free(&begun);
    free(one);
    free(other);
}

static void training_does_not_know_of_it(void **state) {
    (void)state;
    bl_history with, without;
    char *one = trained("with", "train.collapse_every", "7", &with), *other = trained("without", "train.collapse_every", "0", &without);
    assert_int_equal(without.collapse_count, 0);
    assert_int_equal(with.step_count, without.step_count);
    assert_memory_equal(with.steps, without.steps, (size_t)with.step_count * sizeof *with.steps);
    bl_container_reader *a = opened(one), *b = opened(other);
    for (int network = 0; network < 2; network++) {
        const char *const sets[] = {"/weights/online/conv1.weight", "/weights/online/layer4.1.bn2.running_var"};
        double *values[2];
        int64_t counts[2];
        assert_ok(bl_container_get_f64(a, sets[network], &values[0], &counts[0]));
        assert_ok(bl_container_get_f64(b, sets[network], &values[1], &counts[1]));
        assert_int_equal(counts[0], counts[1]);
        assert_memory_equal(values[0], values[1], (size_t)counts[0] * sizeof(double));
        bl_free(values[0]);
        bl_free(values[1]);
    }
    bl_container_reader_close(a);
    bl_container_reader_close(b);
    bl_history_free(&with);
    bl_history_free(&without);
    free(one);
    free(other);
}

// Everything collapses within steps that no window opens in.
static void a_collapse_between_windows_is_told(void **state) {
    (void)state;
    write_recipe("data: {dataset: shapes, train: 256, test: 32}\n"
                 "views: [{random_resized_crop: {size: 32, scale: [0.2, 1]}, flip: 0.5, normalize: imagenet}]\n"
                 "network: {encoder: resnet18, stem: cifar, width: 8, projector: {hidden: 32, out: 16}}\n"
                 "method: {predictor: {kind: none}, target: {source: online}, stop_gradient: false}\n"
                 "train: {steps: 48, batch: 16, optimizer: {kind: sgd, lr: 0.1}, log_every: 1}\n");
    bl_history history;
    char *path = trained("collapse", NULL, NULL, &history);
    assert_int_equal(history.collapse_count, 2);
    assert_int_equal(history.collapse[1].step, 48);
    assert_int_equal(history.collapse[1].verdict, BL_COLLAPSED);
    assert_true(history.collapse[1].std_ratio < 0.1);
    bl_history_free(&history);
    free(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_row_is_the_untrained_network_however_it_learns),
        cmocka_unit_test(the_last_row_is_the_network_that_is_saved),
        cmocka_unit_test(training_does_not_know_of_it),
        cmocka_unit_test(a_collapse_between_windows_is_told),
    };
    return cmocka_run_group_tests(tests, set_up, bl_test_leave);
}
