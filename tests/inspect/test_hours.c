// Hours of a study: which steps are counted. How fast they are is the machine's affair.

#include "experiment_rig.h"
#include "inspect/hours.h"

static void each_step_of_training_and_of_fits_is_counted(void **state) {
    (void)state;
    static const char recipe[] =
            "data: {dataset: shapes, train: 100, test: 20}\n"
            "views: [{random_resized_crop: {size: 8}, normalize: imagenet}]\n"
            "network: {encoder: resnet18, stem: cifar, width: 1, projector: {hidden: 2, out: 2}}\n"
            "method: {predictor: {hidden: 2}, target: {tau: 0.9}}\n"
            "train: {epochs: 3, batch: 30, optimizer: {kind: adam, lr: 1.0e-3}}\n"
            "evaluate:\n"
            "  - finetune: {shares: [50, 100], steps: 7, batch: 10, lr: [0.001, 0.01, 0.1], validation: 0.2, split: test}\n"
            "  - linear: {features: augmented, steps: 5, batch: 10, lr: [0.1], split: test}\n"
            "  - linear: {split: test}\n"
            "  - knn: {k: 1, split: test}\n"
            "machine: {backend: reference, threads: 1, loader_threads: 1}\n";
    bl_experiment *experiment = read_text(recipe);
    bl_hours hours;
    assert_ok(bl_hours_of(&experiment->cells[0], &experiment->machine, &hours));
    assert_int_equal(hours.training_steps, 9);
    assert_int_equal(hours.fit_count, 2 * 2 * 4 + 1); // arms, shares, three candidates and the fit after the choice; the row of linear
    assert_int_equal(hours.fit_steps, 16 * 7 + 5);
    assert_true(hours.training > 0 && hours.fits > 0);
    bl_experiment_free(experiment);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_step_of_training_and_of_fits_is_counted)};
    return cmocka_run_group_tests(tests, NULL, bl_test_leave);
}
