// Lengths, shares, means and choices that a file gets wrong: refused in the unit in which they run, or said where they do no harm.

#include "experiment/cell.h" // bl_cell_warn, bl_cell_check_length
#include "experiment_rig.h"

// 400 images in batches of 16: 25 steps an epoch.
static const refusal refusals[] = {
    // warm-up and milestones, in steps
    {"train: {epochs: null, steps: 6, warmup: 1}", ":2:41: ", "train.warmup: 1 epochs of 0.24, 25 steps of 6", "fewer"},
    {"train: {epochs: null, steps: 26, warmup: 1.1}", ":2:42: ", "28 steps of 26", "fewer"}, // two epochs, rounded up
    {"train: {warmup: 4.1, schedule: cosine}", ":2:17: ", "4.1 epochs of 4, 102 steps of 100", "fewer"},
    {"train: {warmup: 0.01}", ":2:17: ", "0.01 epochs are less than a step", "at least 0.04"},
    {"train: {epochs: null, steps: 6, schedule: step, milestones: [0.5]}", ":2:49: ", "0.5 is never passed, 13 steps of 6", "below 0.24"},
    {"train: {epochs: null, steps: 30, schedule: step, milestones: [1, 1.5]}", ":2:50: ", "1.5 is never passed", "below 1.2"},
    {"train: {schedule: step, milestones: [0.01, 2]}", ":2:25: ", "0.01 epochs are less than a step", "at least 0.04"},
    {"train: {schedule: step, milestones: [1, 1.01]}", ":2:25: ", "1 and 1.01 fall at the same step", "one of them"},
    {"train: {schedule: step, milestones: [1.2, 1.6], stepping: epoch}", ":2:25: ", "1.2 and 1.6 fall at the same step", "whole epochs"},
    {"train: {schedule: step, milestones: [3.5], stepping: epoch}", ":2:25: ", "3.5 is never passed", "below 4"}, // it falls at epoch 4
    {"train: {batch: 50, accumulate: 2, schedule: step, milestones: [3.95]}", ":2:51: ", "3.95 is never passed, 16 steps of 16", "below 4"},
    {"train: {warmup: 2}\ncells: {a: {}, b: {train: {epochs: 1}}}", ":3:36: ", "2 epochs of 1, 50 steps of 25", "fewer"}, // who shortens it
    {"data: {dataset: cityscapes, root: /c, crop: 64}\ntrain: {warmup: 5}\nevaluate: []", ":3:17: ", "5 epochs of 4", "fewer"}, // not known in steps
    {"data: {dataset: streets, crop: 64, train: 40}\nevaluate: [{segmentation: {epochs: 2, warmup_steps: 11, shares: [100], crop: 32}}]", ":3:", "11 of 10", "at most 10"},
    {"data: {dataset: streets, crop: 64, train: 40}\nevaluate: [{segmentation: {warmup_steps: 0.5, crop: 32}}]", ":3:", "0.5 is less than a step", "1 or more"},
    // means of pixels
    {"views: [{normalize: {mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375]}}]", ":2:22: ", "a mean of 123.675 is on the scale of pixels from 0 to 255",
     "mean: [0.485, 0.456, 0.406] (123.675 / 255 = 0.485), and the std likewise where it is on that scale"},
    {"views: [{normalize: {mean: [0.485, 0.456, 0.406], std: [58.395, 57.12, 57.375]}}]", ":2:51: ", "a std of 58.395 is on the scale", "std: [0.229, 0.224, 0.225]"},
    {"views: [{normalize: {mean: [0.485, 0.456, 103.53], std: [1, 1, 1]}}]", ":2:22: ", "a mean of 103.53", "mean: [0.485, 0.456, 0.406] (103.53"},
    {"views: [{normalize: {mean: [-0.5, 0, 0], std: [1, 1, 1]}}]", ":2:22: ", "a mean of -0.5, but pixels are values from 0 to 1", "numbers from 0 to 1"},
    {"views: [{normalize: {mean: [0.5, 0.5, 0.5], std: [300, 1, 1]}}]", ":2:45: ", "a std of 300", "above 0, at most 1"},
    {"views: [{flip: 0.5, normalize: imagenet}, {normalize: {mean: [124, 116, 104], std: [58, 57, 57]}}]", ":2:56: ", "a mean of 124", "/ 255"},
    // what is chosen where it is reported
    {"data: {validation: 50}\nevaluate: [{linear: {validation: 0}}]", ":3:34: ", "0 chooses l2 on the split validation", "`split: test`"},
    {"data: {validation: 50}\nevaluate: [{linear: {solver: sgd, validation: 0}}]", ":3:47: ", "0 chooses the learning rate on the split validation", "such as 0.1"},
    {"data: {validation: 50}\nevaluate: [{linear: {features: augmented, validation: 0}}]", ":3:55: ", "where the row reports", "such as 0.1"},
    {"data: {validation: 50}\nevaluate: [{finetune: {shares: [100], validation: 0, split: validation}}]", ":3:51: ", "where the row reports", "`split: test`"},
    // rows
    {"data: {train: 4000}\nevaluate: [{linear: {split: test, shares: [33.333331, 33.333332]}}]", ":3:", "two rows are called linear/33.3333%/test", "another k, share"},
};

static void what_has_no_room_or_flatters_is_refused_where_it_stands(void **state) {
    (void)state;
    assert_refused(refusals, sizeof refusals / sizeof *refusals);
}

static const char *const right[] = {
    "train: {warmup: 4, schedule: cosine}", "train: {epochs: null, steps: 25, warmup: 1}",
    "train: {schedule: step, milestones: [1, 3.95]}", "train: {schedule: step, milestones: [1, 3], stepping: epoch}",
    "views: [{normalize: {mean: [0, 0, 0], std: [1, 1, 1]}}]", "views: [{normalize: {mean: [1, 0.5, 0], std: [0.01, 0.5, 1]}}]",
    "data: {validation: 50}\nevaluate: [{linear: {validation: 0, points: 1}}]", // nothing is chosen
    "data: {validation: 50}\nevaluate: [{linear: {solver: sgd, lr: [0.1], validation: 0}}]",
    "data: {validation: 50}\nevaluate: [{linear: {validation: 0, split: test}}]",
    "data: {validation: 50}\nevaluate: [{linear: {}}]",
};

static void what_just_fits_is_read(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        bl_experiment *experiment = read_over_minimal(right[i]);
        assert_reads_back(experiment);
        bl_experiment_free(experiment);
    }
}

static const struct {
    const char *text, *says; // says NULL: nothing
} warnings[] = {
    {"train: {log_every: 1}", NULL},
    {"train: {warmup: 4, schedule: cosine}", "train.warmup: 4 epochs are all of training"},
    {"train: {warmup: 3.5, stepping: epoch}", "train.warmup: 3.5 epochs are all of training"}, // the last epoch's rate is of its first step
    {"train: {warmup: 3}", NULL},
    {"train: {schedule: plateau, patience: 2}", "train.patience: 2 measurements are borne, and 3 are made before the end"},
    {"train: {schedule: plateau, patience: 1}", NULL},
    {"data: {validation: 50}\ntrain: {schedule: plateau, patience: 0, plateau_row: knn/k3/validation}\nevaluate: [{knn: {k: 3, at: [2]}}]", "0 measurements are borne, and 1 are made"},
    {"data: {validation: 50}\ntrain: {schedule: plateau, patience: 0, plateau_row: knn/k3/validation}\nevaluate: [{knn: {k: 3, at: [2, 3]}}]", NULL},
    {"train: {log_every: 100}", "train.log_every: 100 of 100 steps"},
    {"train: {collapse_every: 200}", "train.collapse_every: 200 of 100 steps"},
    {"train: {checkpoint_every: 100}", "train.checkpoint_every: 100 of 100 steps"},
    {"train: {checkpoint_every: 99}", NULL},
    {"train: {stop_on: collapsed, collapse_every: 50}", "train.stop_on: two diagnoses, 50 steps apart"},
    {"train: {stop_on: collapsed, collapse_every: 10}", NULL},
    {"save: {checkpoints: [2, 5]}", "save.checkpoints: epoch 5 of 4 is never reached"},
    {"evaluate: [{knn: {k: 5, split: test, at: [0, 7], monitor: test}}]", "evaluate.knn.at: epoch 7 of 4 is never reached"},
    {"evaluate: [{knn: {k: 5, split: test, at: {every: 1, also: [9]}, monitor: test}}]", "epoch 9 of 4 is never reached"},
    {"evaluate: [{knn: {k: 5, split: test, at: {first: 5, every: 1}, monitor: test}}]", "{first: 5, every: 1} of 4 epochs"},
    {"evaluate: [{knn: {k: 5, split: test, at: {first: 0, every: 4}, monitor: test}}]", NULL},
    {"evaluate: [{finetune: {split: test, shares: [50], arms: {a: random, b: random}}}]", "evaluate.finetune.arms: a and b start from the same weights"},
    {"evaluate: [{finetune: {split: test, shares: [50], arms: {a: {weights: x}, b: {weights: x, preprocessing: keep}}}}]", "a and b start from the same weights"},
    {"evaluate: [{finetune: {split: test, shares: [50], arms: {a: {weights: x}, b: {run: x}, c: {weights: y}}}}]", NULL},
    {"evaluate: [{linear: {split: test, shares: [20, 21]}}]", "evaluate.linear.shares: 20 and 21 % are the same 80 labels"},
    {"evaluate: [{linear: {split: test, shares: [20, 22]}}]", NULL},
    {"evaluate: [{finetune: {split: test, shares: [50], arms: [random], warmup_steps: 500}}]", "finetune/random/50%/test: 500 steps of warmup are all of the fit"},
    {"data: {dataset: streets, crop: 64, train: 40}\nevaluate: [{segmentation: {crop: 32, shares: [5, 6], arms: [random]}}]", "5 and 6 % are the same 2 labels"},
    {"data: {dataset: streets, crop: 64, train: 40}\n"
     "evaluate: [{segmentation: {crop: 32, shares: [100], arms: [random], schedule: plateau, watch: val, every: 100, patience: 3}}]",
     "segmentation/random/val: patience: 3 looks are borne, and 4 are taken before the end of 500 steps"},
    {"data: {dataset: streets, crop: 64, train: 40}\n"
     "evaluate: [{segmentation: {crop: 32, shares: [100], arms: [random], schedule: plateau, watch: val, every: 100, patience: 2}}]", NULL},
    {"data: {dataset: streets, crop: 64, train: 40}\nevaluate: [{segmentation: {crop: 32, shares: [100], arms: [random], watch: val, every: 600}}]",
     "every: 600 of 500 steps: the fit is looked at once"},
};

static void what_never_comes_to_be_but_does_no_harm_is_said(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof warnings / sizeof *warnings; i++) {
        char text[600];
        snprintf(text, sizeof text, "method: {target: {tau: 0}}\n%s", warnings[i].text);
        bl_experiment *experiment = read_over_minimal(text);
        bl_text said = {0};
        bl_text_add(&said, "%s", "");
        bl_cell_warn(&experiment->cells[0], &said);
        if (warnings[i].says ? !strstr(said.chars, warnings[i].says) : said.size > 0) fail_msg("%s: %s", warnings[i].text, said.chars);
        bl_text_free(&said);
        bl_experiment_free(experiment);
    }
}

// The run asks again, with the steps that the opened folder gives.
static void what_the_folder_tells_is_held_against_the_same_keys(void **state) {
    (void)state;
    bl_experiment *experiment = read_over_minimal("data: {dataset: cityscapes, root: /c, crop: 64}\n"
                                                  "train: {schedule: step, milestones: [0.1, 3.9], warmup: 0.05}\nevaluate: []\n");
    const bl_cell *cell = &experiment->cells[0];
    assert_ok(bl_cell_check_length(cell, 100));
    assert_int_equal(bl_cell_check_length(cell, 8), BL_FAILED);
    bl_test_holds(bl_error(), "mine.yaml:3:57: train.warmup: 0.05 epochs are less than a step");
    assert_int_equal(bl_cell_check_length(cell, 12), BL_OK); // 0.6, 1.2 and 46.8 steps
    assert_int_equal(bl_cell_check_length(cell, 4), BL_FAILED);
    bl_experiment_free(experiment);
}

// A learning rate that fell by what was measured on validation was chosen there.
static void rows_of_the_images_that_a_plateau_watches_are_marked(void **state) {
    (void)state;
    bl_experiment *experiment = read_over_minimal("data: {validation: 50}\n"
                                                  "train: {schedule: plateau, patience: 0, plateau_row: knn/k3/validation}\n"
                                                  "evaluate: [{knn: {k: 3, at: {every: 1}}}, {knn: {k: 4, split: test}}, {knn: {k: 7}}]\n");
    const bl_evaluation *rows = experiment->cells[0].evaluations;
    assert_true(rows[0].chosen_on && !rows[1].chosen_on && rows[2].chosen_on);
    bl_experiment_free(experiment);
    experiment = read_over_minimal("data: {validation: 50}\ntrain: {schedule: plateau, patience: 0}\nevaluate: [{knn: {k: 3}}]\n"); // by the loss
    assert_false(experiment->cells[0].evaluations[0].chosen_on);
    bl_experiment_free(experiment);
    static const char *const watched[] = {"schedule: plateau, watch: val, patience: 1", "schedule: poly, watch: val",
                                          "schedule: plateau, watch: held_out, refit: false, patience: 1"};
    for (int i = 0; i < 3; i++) {
        char text[400];
        snprintf(text, sizeof text, "data: {dataset: streets, crop: 64}\nevaluate: [{segmentation: {crop: 32, %s}}]\n", watched[i]);
        experiment = read_over_minimal(text);
        assert_true(experiment->cells[0].evaluations[0].chosen_on == (i == 0));
        bl_experiment_free(experiment);
    }
}

static void a_split_is_asked_by_rows_that_ask_about_it_learn_from_it_or_choose_by_it(void **state) {
    (void)state;
    static const struct {
        const char *rows;
        bool train, validation, test;
    } cases[] = {
        {"{knn: {k: 5}}", true, true, false},
        {"{knn: {k: 5, protocol: cross_validation}}", false, true, false},
        {"{knn: {k: 5, protocol: cross_validation, split: test}}", false, false, true},
        {"{linear: {split: test}}", true, false, true},
        {"{linear: {split: test, validation: 0}}", true, true, true},
        {"{knn: {k: 5, protocol: cross_validation}}, {knn: {k: 4, split: test}}", true, true, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[200];
        snprintf(text, sizeof text, "data: {validation: 50}\nevaluate: [%s]\n", cases[i].rows);
        bl_experiment *experiment = read_over_minimal(text);
        const bl_cell *cell = &experiment->cells[0];
        if (bl_cell_asks(cell, BL_TRAIN) != cases[i].train || bl_cell_asks(cell, BL_VALIDATION) != cases[i].validation ||
            bl_cell_asks(cell, BL_TEST) != cases[i].test)
            fail_msg("%s", cases[i].rows);
        bl_experiment_free(experiment);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_has_no_room_or_flatters_is_refused_where_it_stands),
        cmocka_unit_test(what_just_fits_is_read),
        cmocka_unit_test(what_never_comes_to_be_but_does_no_harm_is_said),
        cmocka_unit_test(what_the_folder_tells_is_held_against_the_same_keys),
        cmocka_unit_test(rows_of_the_images_that_a_plateau_watches_are_marked),
        cmocka_unit_test(a_split_is_asked_by_rows_that_ask_about_it_learn_from_it_or_choose_by_it),
    };
    return cmocka_run_group_tests(tests, set_environment, bl_test_leave);
}
