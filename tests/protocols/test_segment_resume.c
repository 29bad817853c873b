// Segmentation rows of a whole run on drawn streets: the same run after kills among its rows. Half of the scenes, less those held out, are
// fewer than a batch.

#include "run_rig.h"

static const char recipe[] =
        "data: {dataset: streets, train: 12, test: 10, width: 64, height: 32, crop: 32, splits: [train, train_extra]}\n"
        "views:\n"
        "  - {random_resized_crop: {size: 32}, flip: 0.5, normalize: imagenet}\n"
        "network: {encoder: resnet18, stem: imagenet, width: 8, projector: {hidden: 8, out: 4}}\n"
        "method:\n"
        "  predictor: {kind: mlp, hidden: 8}\n"
        "  target: {source: ema, tau: 0.9}\n"
        "train: {epochs: 1, batch: 8, optimizer: {kind: adam, lr: 1.0e-3}, precision: f32, collapse_every: 0}\n"
        "evaluate:\n"
        "  - segmentation: {arms: [pretrained, random], shares: [50, 100], steps: 5, batch: 5, crop: 32, lr: [0.02, 0.1], validation: 0.3,\n"
        "                   refit: false, schedule: plateau, patience: 0, watch: held_out, every: 2, score_batch: 4, pictures: 2}\n";

static void a_row_that_was_killed_is_measured_again_as_it_was(void **state) {
    (void)state;
    const plan_of_run plan = {.backend = bl_test_backend()};
    plan_of_run broken = plan;
    broken.more[0] = (bl_override){"machine.loader_threads", "3"};
    // Of the measurements the one handed out is lost, those before it are kept.
    const pair_of_runs files = run_whole_and_broken(plan, broken, "rows", "segmentation", (const int64_t[MOST_KILLS]){1},
                                                    (const int[MOST_KILLS]){1, 2, 1});
    assert_same_run_but(files.whole, files.broken, "manifest/resolved"); // which has the threads
    bl_history history = history_in(files.broken);
    assert_int_equal(history.measurement_count, 4);
    assert_int_equal(history.look_count, 4 * 4); // after 2, 4 and 5 updates, and at val
    assert_int_equal(history.picture_count, 2 * 2);
    bl_history_free(&history);
    free_pair(files);
}

static int set_up(void **state) {
    (void)state;
    write_recipe(recipe);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_row_that_was_killed_is_measured_again_as_it_was)};
    return cmocka_run_group_tests(tests, set_up, bl_test_leave);
}
