// The protocols that learn from labels, through bl_evaluate: what they choose and on what, that the test split is asked last and
// once, that arms and shares differ in nothing but what their names say.
//
// bl_dataset_image and bl_dataset_label stand here in front of the library's own, so that every access to a split is seen and the
// test split can be poisoned.

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/labels.h"
#include "encoder_file.h"
#include "evaluate_rig.h"
#include "protocols/learner.h"
#include "weights/weights.h"

enum { TRAIN = 60, VALIDATION = 20, TEST = 32, CLASSES = 10, SIDE = 16, STEPS = 4, BATCH = 8 };

// ---- every access to the data set ----

static atomic_llong train_images, test_images, test_labels, train_after_test, validation_images, validation_labels;
static int poisoned_label = -1;  // what every test label reads as; -1: itself
static bool poisoned_images;     // every test image reads as gray

static void forget(void) {
    train_images = test_images = test_labels = train_after_test = validation_images = validation_labels = 0;
}

static void see(bl_split split, bool is_image) {
    if (split == BL_TEST) {
        (is_image ? &test_images : &test_labels)[0]++;
    } else {
        if (split == BL_VALIDATION) (is_image ? &validation_images : &validation_labels)[0]++;
        else if (is_image) train_images++;
        if (test_images || test_labels) train_after_test++;
    }
}

const uint8_t *bl_dataset_image(const bl_dataset *dataset, bl_split split, int64_t index) {
    static uint8_t gray[32 * 32 * 3];
    const uint8_t *(*next)(const bl_dataset *, bl_split, int64_t);
    bl_test_next("bl_dataset_image", &next);
    see(split, true);
    return split == BL_TEST && poisoned_images ? gray : next(dataset, split, index);
}

int bl_dataset_label(const bl_dataset *dataset, bl_split split, int64_t index) {
    int (*next)(const bl_dataset *, bl_split, int64_t);
    bl_test_next("bl_dataset_label", &next);
    see(split, false);
    return split == BL_TEST && poisoned_label >= 0 ? poisoned_label : next(dataset, split, index);
}

// ---- a cell, small ----

static const bl_optimizer_options sgd = {.kind = BL_OPTIMIZER_SGD, .momentum = .9, .nesterov = true};
static const bl_recipe evaluation_view = CENTER_VIEW(SIDE);

static bl_cell small_cell(bl_evaluation *rows, int count) {
    for (int i = 0; i < count; i++) {
        if (!rows[i].row) rows[i].row = "row";
        rows[i].id = "0123456789abcdef";
        rows[i].at.every = 1;
    }
    return (bl_cell){
        .name = "main",
        .data = {.name = "shapes", .seed = 2, .train = TRAIN + VALIDATION, .test = TEST, .validation = VALIDATION},
        .evaluation_view = evaluation_view,
        .model = {.encoder = RESNET18(4), .projector = SMALL_PROJECTOR, .method = SMALL_METHOD, .optimizer = sgd, .image_size = SIDE,
                  .probe_classes = CLASSES, .probe_lr_scale = 1},
        .head_lr_scale = 1,
        .label_share = 100,
        .train = {.epochs = 1, .batch = BATCH, .accumulate = 1},
        .evaluations = rows,
        .evaluation_count = count,
    };
}

static bl_fit_options small_fit(void) {
    return (bl_fit_options){.share = 50, .label_seed = -1, .validation = .34, .refit = true,
                            .learning_rates = {.01, .1, .3}, .rate_count = 3, .steps = STEPS, .batch = BATCH, .optimizer = sgd,
                            .schedule = {.kind = BL_SCHEDULE_COSINE}, .head_lr_scale = 1,
                            .view = {.count = 1, .items = {{.kind = BL_FLIP, .p = .5}}}};
}

enum { LBFGS, SGD, AUGMENTED, FINETUNE, VARIANTS };
static const char *const variant_names[VARIANTS] = {"cached, L-BFGS", "cached, SGD", "augmented", "fine-tuning"};

static bl_evaluation variant(int kind) {
    bl_evaluation row = {.kind = kind == FINETUNE ? BL_PROTOCOL_FINETUNE : BL_PROTOCOL_LINEAR, .split = BL_TEST, .fit = small_fit(),
                         .linear = {.cached = kind == LBFGS || kind == SGD, .lbfgs = kind == LBFGS, .l2 = {1e-4, 1}, .l2_points = 5}};
    return row;
}

static bl_measurement first_of(bl_history history) {
    const bl_measurement measurement = history.measurements[0];
    bl_history_free(&history);
    return measurement;
}

static bl_measurement measure(bl_evaluation row, uint64_t weights_seed, int threads) {
    const bl_cell cell = small_cell(&row, 1);
    return first_of(measure_all(&cell, weights_seed, threads));
}

static void refuse(bl_evaluation row, const char *says) {
    const bl_cell cell = small_cell(&row, 1);
    refuse_all(&cell, says);
}

static bool same_number(double a, double b) { return a == b || (isnan(a) && isnan(b)); }

static void assert_same(const bl_measurement *a, const bl_measurement *b, const char *what) {
    if (!same_number(a->value, b->value) || !same_number(a->chosen, b->chosen) || !same_number(a->validation, b->validation))
        fail_msg("%s: %.17g (%.17g, %.17g) and %.17g (%.17g, %.17g)", what, a->value, a->chosen, a->validation, b->value, b->chosen,
                 b->validation);
}

// ---- the test split ----

static void the_test_split_is_asked_once_and_after_everything_else(void **state) {
    (void)state;
    for (int v = 0; v < VARIANTS; v++) {
        bl_evaluation row = variant(v);
        measure(row, 1, 2);
        if (train_after_test) fail_msg("%s: %lld accesses to train after the first to test", variant_names[v], (long long)train_after_test);
        // Features come in padded blocks; nothing is read a second time.
        assert_in_range(test_images, TEST, BL_FEATURE_ROWS);
        assert_in_range(test_labels, TEST, BL_FEATURE_ROWS);
    }
}

// Where all test labels read c, the value is the share of images that are taken for c: over all c they make 100 %, if what was
// fitted is the same each time.
static void poisoned_test_labels_move_the_final_value_alone(void **state) {
    (void)state;
    for (int v = 0; v < VARIANTS; v++) {
        bl_evaluation row = variant(v);
        const bl_cell cell = small_cell(&row, 1);
        double sum = 0;
        measuring r;
        open_rig(&r, &cell, 1, 2);
        const bl_measurement clean = first_of(measure_in(&r));
        for (poisoned_label = 0; poisoned_label < CLASSES; poisoned_label++) {
            const bl_measurement poisoned = first_of(measure_in(&r));
            assert_true(poisoned.chosen == clean.chosen && poisoned.validation == clean.validation);
            sum += poisoned.value;
        }
        poisoned_label = -1;
        close_rig(&r);
        if (fabs(sum - 100) > 1e-9) fail_msg("%s: %.17g %%", variant_names[v], sum);
    }
}

static void poisoned_test_images_move_no_choice(void **state) {
    (void)state;
    for (int v = 0; v < VARIANTS; v++) {
        const bl_measurement clean = measure(variant(v), 1, 2);
        poisoned_images = true;
        const bl_measurement poisoned = measure(variant(v), 1, 2);
        poisoned_images = false;
        assert_true(poisoned.chosen == clean.chosen && poisoned.validation == clean.validation);
        // Gray images are all taken for one class, whose share of the test set this is: 4 or 3 of 32.
        if (poisoned.value != 12.5 && poisoned.value != 9.375) fail_msg("%s: %.17g %%", variant_names[v], poisoned.value);
    }
}

// ---- what is chosen ----

// Worked by hand from the features: each l2 alone, the best on the held-out images, then a fit to all labelled ones.
static void l2_is_the_best_on_the_held_out_images_and_refitted_on_all_labelled_ones(void **state) {
    (void)state;
    bl_evaluation row = variant(LBFGS);
    const bl_cell cell = small_cell(&row, 1);
    measuring r;
    open_rig(&r, &cell, 1, 1);
    const bl_measurement measurement = first_of(measure_in(&r));
    uint8_t labels[2][TRAIN];
    float *values[2];
    bl_features sets[2];
    for (int s = 0; s < 2; s++) {
        const bl_split split = s ? BL_TEST : BL_TRAIN;
        const int64_t count = bl_dataset_count(r.dataset, split);
        for (int64_t i = 0; i < count; i++) labels[s][i] = (uint8_t)bl_dataset_label(r.dataset, split, i);
        assert_ok(bl_extract_features(&r.evaluator, split, 0, &values[s]));
        sets[s] = (bl_features){values[s], labels[s], count, (int)r.model.features.features->shape.dims[1], CLASSES};
    }
    bl_labelled chosen;
    assert_ok(bl_labels_choose(&chosen, labels[0], TRAIN, CLASSES, 50, .34, SEED));
    double best = -1, best_l2 = 0, accuracy;
    for (double l2 = 1; l2 > 5e-5; l2 /= 10) {
        bl_logistic model = {0};
        assert_ok(bl_logistic_fit(&model, &sets[0], chosen.fitted, chosen.fitted_count, l2, 1000, 1e-5, r.pool));
        assert_ok(bl_logistic_accuracy(&model, &sets[0], chosen.held_out, chosen.held_out_count, r.pool, &accuracy));
        if (accuracy > best) {
            best = accuracy;
            best_l2 = l2;
        }
        bl_logistic_free(&model);
    }
    assert_true(fabs(measurement.chosen / best_l2 - 1) < 1e-9);
    assert_true(measurement.validation == 100 * best);
    bl_logistic model = {0};
    assert_ok(bl_logistic_fit(&model, &sets[0], chosen.all, chosen.count, best_l2, 1000, 1e-5, r.pool));
    assert_ok(bl_logistic_accuracy(&model, &sets[1], NULL, TEST, r.pool, &accuracy));
    assert_true(measurement.value == 100 * accuracy);
    bl_logistic_free(&model);
    bl_labelled_free(&chosen);
    bl_free(values[0]);
    bl_free(values[1]);
    close_rig(&r);
}

static void a_single_candidate_is_not_tried_and_takes_every_labelled_image(void **state) {
    (void)state;
    for (int v = SGD; v < VARIANTS; v++) {
        bl_evaluation row = variant(v);
        row.fit.rate_count = 1;
        const bl_measurement one = measure(row, 1, 2);
        assert_true(one.chosen == row.fit.learning_rates[0] && isnan(one.validation));
        row.fit.validation = 0; // then the split `validation` would be asked
        const bl_measurement other = measure(row, 1, 2);
        assert_same(&one, &other, variant_names[v]);
    }
}

static void a_candidate_that_diverges_is_out_and_the_others_are_as_without_it(void **state) {
    (void)state;
    for (int v = SGD; v < VARIANTS; v++) {
        bl_evaluation row = variant(v);
        const bl_measurement clean = measure(row, 1, 2);
        memmove(row.fit.learning_rates + 1, row.fit.learning_rates, 3 * sizeof *row.fit.learning_rates);
        row.fit.learning_rates[0] = 1e200;
        row.fit.rate_count = 4;
        const bl_measurement other = measure(row, 1, 2);
        assert_same(&clean, &other, variant_names[v]);
        row.fit.learning_rates[1] = 1e201;
        row.fit.rate_count = 2;
        refuse(row, "every candidate diverged");
    }
}

// Each image of 21 is a share that 10 held-out ones cannot give, but for none and all.
static void without_a_held_out_part_the_validation_split_decides(void **state) {
    (void)state;
    enum { ODD = 21 };
    for (int v = 0; v < VARIANTS; v++) {
        bl_evaluation row = variant(v);
        bl_cell cell = small_cell(&row, 1);
        cell.data.train = TRAIN + ODD;
        cell.data.validation = ODD;
        first_of(measure_all(&cell, 1, 2));
        if (validation_images || validation_labels) fail_msg("%s: the validation split was read beside a held-out part", variant_names[v]);
        row.fit.validation = 0;
        const bl_measurement measurement = first_of(measure_all(&cell, 1, 2));
        const double right = measurement.validation * ODD / 100;
        if (fabs(right - round(right)) > 1e-9 || right < .5 || right > ODD - .5)
            fail_msg("%s: %.17g %% are %.17g images of %d", variant_names[v], measurement.validation, right, ODD);
        assert_true(validation_images >= ODD && validation_labels >= ODD);
        assert_false(isnan(measurement.chosen));
    }
    bl_evaluation row = variant(LBFGS);
    row.fit.validation = 0;
    bl_cell cell = small_cell(&row, 1);
    cell.data.validation = 0;
    refuse_all(&cell, "there is nothing to choose on: write `validation: 0.1`");
}

// ---- shares ----

static void every_share_has_the_same_number_of_steps_also_one_below_a_batch(void **state) {
    (void)state;
    const double shares[] = {17, 50, 100}; // of six a class: 10, 30 and 60 images
    for (int i = 0; i < 3; i++) {
        bl_evaluation row = variant(FINETUNE);
        row.fit.share = shares[i];
        row.fit.rate_count = 1;
        row.fit.batch = 16;
        measure(row, 1, 2);
        assert_int_equal(train_images, STEPS * 16);
    }
}

static void without_a_budget_in_steps_epochs_of_the_labelled_part_count(void **state) {
    (void)state;
    bl_evaluation row = variant(FINETUNE);
    row.fit.steps = 0;
    row.fit.epochs = 2;
    row.fit.rate_count = 1;
    measure(row, 1, 2);
    assert_int_equal(train_images, 2 * (30 / BATCH) * BATCH); // whole batches of the 30 labelled images, twice
}

static void what_no_label_budget_can_give_is_refused(void **state) {
    (void)state;
    for (int v = 0; v < VARIANTS; v++) {
        bl_evaluation row = variant(v);
        row.fit.share = 1;
        refuse(row, "is less than one; write a share of at least");
        row.fit.share = 17; // one image a class, of which one would be held out
        refuse(row, "none is left to fit");
    }
}

// ---- arms ----

static void every_measurement_is_the_same_twice_whatever_the_threads(void **state) {
    (void)state;
    for (int v = 0; v < VARIANTS; v++) {
        const bl_measurement first = measure(variant(v), 1, 1), second = measure(variant(v), 1, 3);
        assert_same(&first, &second, variant_names[v]);
    }
}

static void arms_start_from_one_head_and_from_their_own_encoder(void **state) {
    (void)state;
    bl_evaluation row = variant(FINETUNE);
    const bl_cell cell = small_cell(&row, 1);
    const bl_classifier_options options = {.encoder = cell.model.encoder, .optimizer = sgd, .image_size = SIDE, .classes = CLASSES,
                                           .head_lr_scale = 1};
    measuring r;
    open_rig(&r, &cell, 77, 1); // "pretrained": the initial weights of another seed
    double *random[2], *pretrained[2];
    static const char *const networks[2] = {"online", "classifier"};
    size_t counts[2];
    bl_learner learner;
    assert_ok(bl_learner_create(&learner, &r.evaluator, &row.fit, &options, false));
    for (int n = 0; n < 2; n++) read_network(learner.store, networks[n], &random[n], &counts[n]);
    assert_ok(bl_learner_take_encoder(&learner));
    for (int n = 0; n < 2; n++) read_network(learner.store, networks[n], &pretrained[n], &counts[n]);
    assert_memory_not_equal(random[0], pretrained[0], counts[0] * sizeof **random);
    assert_memory_equal(random[1], pretrained[1], counts[1] * sizeof **random);
    // The encoder is the model's: its last segment, by name.
    const bl_segments *ours = &learner.layout->networks[bl_layout_find_network(learner.layout, "online")].parameters;
    const bl_segments *theirs = &r.model.layout->networks[bl_layout_find_network(r.model.layout, "online")].parameters;
    const bl_segment *last = &ours->items[ours->count - 1];
    double *model;
    read_network(r.model.store, "online", &model, &counts[0]);
    assert_memory_equal(pretrained[0] + last->offset, model + theirs->items[bl_segments_find(theirs, last->name)].offset,
                        (size_t)bl_shape_count(&last->shape) * sizeof *model);
    free(model);
    for (int n = 0; n < 2; n++) {
        free(random[n]);
        free(pretrained[n]);
    }
    bl_learner_free(&learner);
    close_rig(&r);
}

static void arms_that_start_alike_measure_alike(void **state) {
    (void)state;
    bl_evaluation row = variant(FINETUNE);
    const bl_measurement pretrained = measure(row, SEED, 2); // at the initial weights of the run's own seed
    row.fit.arm.source = BL_ARM_RANDOM;
    const bl_measurement random = measure(row, 77, 2); // whatever the model holds now
    assert_same(&pretrained, &random, "pretrained and random");
}

static void an_arm_from_a_file_starts_from_its_encoder_and_wants_its_preprocessing(void **state) {
    (void)state;
    char *folder = bl_test_folder(), path[256];
    snprintf(path, sizeof path, "%s/encoder.safetensors", folder);
    bl_evaluation row = variant(FINETUNE);
    const bl_cell cell = small_cell(&row, 1);
    row.fit.arm.source = BL_ARM_RANDOM;
    const bl_measurement random = measure(row, 77, 2);
    row.fit.arm = (bl_arm){.source = BL_ARM_WEIGHTS, .path = path};
    bl_preprocessing preprocessing = bl_preprocessing_of(&evaluation_view, SIDE);
    write_encoder(&cell.model.encoder, SEED, path, preprocessing);
    bl_measurement file = measure(row, 77, 2);
    assert_same(&random, &file, "random weights and the same in a file");
    preprocessing.mean[1] = .4;
    write_encoder(&cell.model.encoder, SEED, path, preprocessing);
    refuse(row, path);
    row.fit.arm.keep_preprocessing = true;
    file = measure(row, 77, 2);
    assert_same(&random, &file, "random weights and the same in a file of another mean");
    bl_test_folder_remove(folder);
}

static void measuring_leaves_the_model_as_it_was(void **state) {
    (void)state;
    for (int v = 0; v < VARIANTS; v++) {
        bl_evaluation row = variant(v);
        const bl_cell cell = small_cell(&row, 1);
        double *before, *after;
        size_t count;
        measuring r;
        open_rig(&r, &cell, 1, 2);
        read_network(r.model.store, "online", &before, &count);
        first_of(measure_in(&r));
        read_network(r.model.store, "online", &after, &count);
        assert_memory_equal(before, after, count * sizeof *before);
        free(before);
        free(after);
        close_rig(&r);
    }
}

// ---- what trained along ----

// Zero weights and one intercept above the rest: every image is taken for that class, whose share of the test set comes out.
static void answer_always(bl_store *store, const char *network, const char *bias, int class) {
    const int n = bl_layout_find_network(store->layout, network);
    assert_true(n >= 0);
    const bl_segments *segments = &store->layout->networks[n].parameters;
    double *zeros = calloc(segments->floats, sizeof *zeros), values[CLASSES] = {0};
    values[class] = 1;
    assert_ok(bl_store_write(store, (bl_place){n, BL_PARAMETERS, BL_WHOLE_BLOCK}, zeros));
    assert_ok(bl_store_write(store, (bl_place){n, BL_PARAMETERS, bl_segments_find(segments, bias)}, values));
    free(zeros);
}

static void probe_and_accuracy_ask_the_heads_of_the_run(void **state) {
    (void)state;
    const struct {
        bl_protocol_kind kind;
        bl_task_kind task;
        int hidden;
        const char *network, *bias;
    } cases[] = {{BL_PROTOCOL_PROBE, BL_TASK_BYOL, 0, "probe", "fc.bias"},
                 {BL_PROTOCOL_ACCURACY, BL_TASK_SUPERVISED, 0, "classifier", "fc.bias"},
                 {BL_PROTOCOL_ACCURACY, BL_TASK_SUPERVISED, 6, "classifier", "fc.2.bias"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bl_evaluation row = {.kind = cases[i].kind, .split = BL_TEST};
        bl_cell cell = small_cell(&row, 1);
        cell.task = cases[i].task;
        cell.head_hidden = cases[i].hidden;
        measuring r;
        open_rig(&r, &cell, 1, 2);
        for (int class = 0; class < CLASSES; class += 9) {
            answer_always(r.model.store, cases[i].network, cases[i].bias, class);
            const bl_measurement measurement = first_of(measure_in(&r));
            assert_true(measurement.value == (class ? 9.375 : 12.5)); // 3 and 4 of 32
            assert_true(isnan(measurement.chosen) && isnan(measurement.validation));
        }
        close_rig(&r);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_test_split_is_asked_once_and_after_everything_else),
        cmocka_unit_test(poisoned_test_labels_move_the_final_value_alone),
        cmocka_unit_test(poisoned_test_images_move_no_choice),
        cmocka_unit_test(l2_is_the_best_on_the_held_out_images_and_refitted_on_all_labelled_ones),
        cmocka_unit_test(a_single_candidate_is_not_tried_and_takes_every_labelled_image),
        cmocka_unit_test(a_candidate_that_diverges_is_out_and_the_others_are_as_without_it),
        cmocka_unit_test(without_a_held_out_part_the_validation_split_decides),
        cmocka_unit_test(every_share_has_the_same_number_of_steps_also_one_below_a_batch),
        cmocka_unit_test(without_a_budget_in_steps_epochs_of_the_labelled_part_count),
        cmocka_unit_test(what_no_label_budget_can_give_is_refused),
        cmocka_unit_test(every_measurement_is_the_same_twice_whatever_the_threads),
        cmocka_unit_test(arms_start_from_one_head_and_from_their_own_encoder),
        cmocka_unit_test(arms_that_start_alike_measure_alike),
        cmocka_unit_test(an_arm_from_a_file_starts_from_its_encoder_and_wants_its_preprocessing),
        cmocka_unit_test(measuring_leaves_the_model_as_it_was),
        cmocka_unit_test(probe_and_accuracy_ask_the_heads_of_the_run),
    };
    return cmocka_run_group_tests(tests, open_backend, close_backend);
}
