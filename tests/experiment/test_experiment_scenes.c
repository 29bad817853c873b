// What an experiment file asks of street scenes: which of them are trained on without labels, what segmentation measures, and what a
// set with a label a pixel has no answer to.

#include "experiment_rig.h"

// Scenes over `minimal`, whose own evaluation asks for a label an image.
#define STREETS "data: {dataset: streets, crop: 64}\n"

static bl_experiment *read_scenes(const char *text) {
    char *whole = NULL;
    if (asprintf(&whole, STREETS "%s", text) < 0) fail_msg("out of memory");
    bl_experiment *experiment = read_over_minimal(whole);
    free(whole);
    return experiment;
}

static void an_entry_becomes_a_row_for_each_arm_and_share(void **state) {
    (void)state;
    bl_experiment *experiment = read_scenes("evaluate: [{segmentation: {arms: {byol: pretrained, old: {run: a.h5}}, shares: [5, 100]}}]\n");
    static const char *const names[] = {"segmentation/byol/5%/val", "segmentation/byol/val", "segmentation/old/5%/val", "segmentation/old/val"};
    const bl_cell *cell = &experiment->cells[0];
    assert_int_equal(cell->evaluation_count, 4);
    for (int i = 0; i < 4; i++) {
        assert_string_equal(cell->evaluations[i].row, names[i]);
        assert_int_equal(cell->evaluations[i].kind, BL_PROTOCOL_SEGMENTATION);
    }
    assert_true(cell->data.labelled);
    assert_int_equal(cell->model.image_size, 64); // views are the square that they share
    assert_reads_back(experiment);
    bl_experiment_free(experiment);
}

static void segmentation_has_its_defaults(void **state) {
    (void)state;
    bl_experiment *experiment = read_scenes("evaluate: [{segmentation: {}}]\n");
    const bl_cell *cell = &experiment->cells[0];
    const bl_fit_options *fit = &cell->evaluations[0].fit;
    const bl_scene_fit_options *scenes = &cell->evaluations[0].segmentation;
    assert_int_equal(cell->evaluation_count, 2 * 2);
    assert_true(cell->data.scene_splits == 1u << BL_SCENE_TRAIN && cell->data.width == 256 && cell->data.height == 128);
    assert_true(fit->steps == 500 && fit->batch == 8 && scenes->crop == 256 && scenes->scale[0] == 0.5 && scenes->scale[1] == 2 && scenes->flip == 0.5);
    assert_true(fit->rate_count == 1 && fit->learning_rates[0] == 0.01 && fit->optimizer.momentum == 0.9 && !fit->optimizer.decay_norms);
    assert_true(fit->schedule.kind == BL_SCHEDULE_POLY && fit->schedule.power == 0.9 && !fit->listed && fit->watch == BL_WATCH_NONE);
    assert_true(fit->head_lr_scale == 1 && !fit->frozen && fit->refit && scenes->score_batch == 1 && scenes->pictures == 3);
    assert_int_equal(fit->optimizer.kind, BL_OPTIMIZER_SGD);
    bl_experiment_free(experiment);
}

static void every_key_of_a_segmentation_reaches_its_field(void **state) {
    (void)state;
    bl_experiment *experiment = read_scenes(
        "evaluate: [{segmentation: {shares: [40], labels: listed, epochs: 7, batch: 3, crop: 96, scale: [0.25, 1], flip: 0, lr: [0.1, 0.2],"
        " momentum: 0.5, nesterov: true, weight_decay: 1e-5, decay_norms: true, schedule: plateau, factor: 0.5, patience: 4, least_lr: 1e-6,"
        " warmup_steps: 2, freeze: true, head_lr_scale: 10, validation: 0.3, refit: false, watch: held_out, every: 0, score_batch: 4,"
        " pictures: 2}}]\n");
    const bl_fit_options *fit = &experiment->cells[0].evaluations[0].fit;
    const bl_scene_fit_options *scenes = &experiment->cells[0].evaluations[0].segmentation;
    assert_true(fit->share == 40 && fit->listed && !fit->steps && fit->epochs == 7 && fit->batch == 3 && scenes->crop == 96);
    assert_true(scenes->scale[0] == 0.25 && scenes->scale[1] == 1 && scenes->flip == 0 && fit->rate_count == 2 && fit->learning_rates[1] == 0.2);
    assert_true(fit->optimizer.momentum == 0.5 && fit->optimizer.nesterov && fit->optimizer.weight_decay == 1e-5 && fit->optimizer.decay_norms);
    assert_true(fit->schedule.kind == BL_SCHEDULE_PLATEAU && fit->schedule.factor == 0.5 && fit->schedule.patience == 4 && fit->schedule.least == 1e-6 && fit->warmup_steps == 2);
    assert_true(fit->frozen && fit->head_lr_scale == 10 && fit->validation == 0.3 && !fit->refit && fit->watch == BL_WATCH_HELD_OUT);
    assert_true(!fit->watch_every && scenes->score_batch == 4 && scenes->pictures == 2);
    assert_reads_back(experiment);
    bl_experiment_free(experiment);
}

static void a_folder_of_scenes_says_how_many_there_are_when_it_is_opened(void **state) {
    (void)state;
    bl_experiment *experiment = read_text("data: {dataset: cityscapes, root: \"${BYOLAB_DATA}/c\", splits: [train_extra, train]}\n"
                                          "views: [{random_resized_crop: {size: 224}}]\n"
                                          "train: {epochs: 2, batch: 8, optimizer: {lr: 0.1}}\n"
                                          "evaluate: [{segmentation: {schedule: cosine}}]\n");
    const bl_cell *cell = &experiment->cells[0];
    assert_string_equal(cell->data.root, "/data/c");
    assert_int_equal(cell->data.scene_splits, 1u << BL_SCENE_TRAIN | 1u << BL_SCENE_TRAIN_EXTRA);
    assert_int_equal(cell->data.crop, 0); // views are cut from whole scenes
    assert_int_equal(cell->model.image_size, 224);
    assert_non_null(strstr(cell->resolved, "splits: [train, train_extra]"));
    assert_reads_back(experiment);
    bl_experiment_free(experiment);
}

static void only_what_a_row_measures_is_its_own(void **state) {
    (void)state;
    static const struct {
        const char *key, *value;
        bool row, training;
    } cases[] = {
        {"evaluate.0.segmentation.crop", "128", true, false}, {"evaluate.0.segmentation.scale", "[0.5, 2]", false, false},
        {"evaluate.0.segmentation.shares", "[5, 10]", false, false}, {"evaluate.0.segmentation.label_seed", "3", true, false},
        {"evaluate.0.segmentation.steps", "400", true, false}, {"data.crop", "96", false, true},
        {"data.splits", "[train, test]", false, true}, {"data.width", "320", false, true},
    };
    write_file("minimal.yaml", minimal);
    static const char text[] = "base: minimal.yaml\n" STREETS "evaluate: [{segmentation: {shares: [10]}}]\n";
    bl_experiment *before = read_text(text);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const bl_override override = {cases[i].key, cases[i].value};
        bl_experiment *after = read_with(text, &override, 1);
        const bl_cell *a = &before->cells[0], *b = &after->cells[0];
        const bl_evaluation *same = NULL;
        for (int k = 0; k < b->evaluation_count; k++)
            if (!strcmp(b->evaluations[k].row, a->evaluations[0].row)) same = &b->evaluations[k];
        assert_non_null(same);
        if ((strcmp(same->id, a->evaluations[0].id) != 0) != cases[i].row || (strcmp(a->train_id, b->train_id) != 0) != cases[i].training)
            fail_msg("%s=%s changes something else", cases[i].key, cases[i].value);
        bl_experiment_free(after);
    }
    bl_experiment_free(before);
}

#define SEGMENTED(keys) STREETS "evaluate: [{segmentation: {" keys "}}]"
static const refusal refusals[] = {
    {STREETS, "minimal.yaml:6:", "evaluate.knn: streets are scenes", "`- segmentation:`"},
    {"evaluate: [{segmentation: {}}]", ":2:13: ", "shapes has a label an image", "`dataset: cityscapes`"},
    {"data: {dataset: streets}\nevaluate: [{segmentation: {}}]", "minimal.yaml:2:", "no square for view 1", "`crop: 512`"},
    {STREETS "method: {kind: supervised}\nevaluate: [{segmentation: {}}]", ":3:16: ", "a label a pixel", "`kind: byol`"},
    {STREETS "method: {probe: {kind: linear}}\nevaluate: [{segmentation: {}}]", ":3:24: ", "no label an image", "`- segmentation:`"},
    {STREETS "save: {features: last}\nevaluate: [{segmentation: {}}]", ":3:18: ", "of any size", "leave it out"},
    {"data: {dataset: streets, crop: 64, validation: 5}", ":2:48: ", "validation has no meaning", "`dataset: cifar10`"},
    {"data: {dataset: streets, crop: 64, splits: [val]}", ":2:45: ", "data.splits: no choice is called val", "write one of train, test, train_extra"},
    {"data: {dataset: streets, crop: 64, splits: [train, train]}", ":2:52: ", "train stands there twice", "each once"},
    {"data: {dataset: streets, crop: 64, splits: []}", ":2:36: ", "data.splits", "a list of train, test, train_extra"},
    {"data: {dataset: streets, crop: 64, splits: [train, test], extra: 5}\nevaluate: []", ":2:66: ", "data.extra: scenes of train_extra, which is not trained on",
     "write `splits: [train, train_extra]`"},
    {"data: {crop: 64}", ":2:14: ", "crop has no meaning where data.dataset is shapes", "`dataset: cityscapes`"},
    {SEGMENTED("lr: [0.1, 0.2], validation: 0"), ":3:", "nothing is held out", "a part above 0"},
    {SEGMENTED("watch: held_out"), ":3:", "a refit trains on what is held out", "`refit: false`"},
    {SEGMENTED("schedule: plateau"), ":3:", "a plateau of what?", "`watch: held_out`"},
    {SEGMENTED("every: 3"), ":3:", "every has no meaning where evaluate.segmentation.watch is none", "`watch: held_out`"},
    {SEGMENTED("schedule: cosine, power: 2"), ":3:", "power has no meaning", "`schedule: poly`"},
    {SEGMENTED("least_lr: 0.01"), ":3:", "not below the learning rate", "less than 0.01"},
    {SEGMENTED("labels: listed, label_seed: 1"), ":3:", "label_seed has no meaning", "`labels: seeded`"},
    {SEGMENTED("split: test"), ":3:", "evaluate.segmentation.split: no such key", ""},
    {SEGMENTED("arms: {val: random}"), ":3:", "cannot name an arm", "no split"},
    {SEGMENTED("momentum: 1"), ":3:", "1 forgets nothing", "below 1"},
    {SEGMENTED("warmup_steps: 501"), ":3:", "501 of 500", "at most 500"},
    {SEGMENTED("arms: [random], shares: [100]") "\ntrain: {schedule: plateau, plateau_row: segmentation/random/val}", ":4:41: ", "looks at val", "`split: validation`"},
    {"data: {dataset: streets, crop: 64, test: 10}\nevaluate: [{segmentation: {pictures: 12}}]", ":3:38: ", "12 of the 10 scenes of val", "at most 10"},
};

static void what_scenes_cannot_answer_is_refused_where_it_stands(void **state) {
    (void)state;
    assert_refused(refusals, sizeof refusals / sizeof *refusals);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_becomes_a_row_for_each_arm_and_share),
        cmocka_unit_test(segmentation_has_its_defaults),
        cmocka_unit_test(every_key_of_a_segmentation_reaches_its_field),
        cmocka_unit_test(a_folder_of_scenes_says_how_many_there_are_when_it_is_opened),
        cmocka_unit_test(only_what_a_row_measures_is_its_own),
        cmocka_unit_test(what_scenes_cannot_answer_is_refused_where_it_stands),
    };
    return cmocka_run_group_tests(tests, set_environment, bl_test_leave);
}
