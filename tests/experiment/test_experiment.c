// The experiment file: what is left out gets its default, what is wrong is refused at its line with what to write instead,
// and the ids change with what they stand for and with nothing else.

#include "experiment/cell.h" // bl_epochs_hit
#include "experiment_rig.h"

static void keys_left_out_get_their_defaults(void **state) {
    (void)state;
    bl_experiment *experiment = read_text(minimal);
    const bl_cell *cell = &experiment->cells[0];
    assert_int_equal(experiment->cell_count, 1);
    assert_string_equal(cell->name, "main");
    assert_string_equal(experiment->study, "mine");
    assert_string_equal(experiment->title, "mine");
    assert_string_equal(experiment->machine.backend, "onednn");
    assert_int_equal(experiment->seed_count, 1);
    assert_int_equal(experiment->seeds[0], 0);
    assert_string_equal(cell->model.encoder.name, "resnet18");
    assert_int_equal(cell->model.encoder.width, 64);
    assert_int_equal(cell->model.image_size, 32);
    assert_int_equal(cell->model.projector.batch_norm, BL_NORM_HIDDEN);
    assert_int_equal(cell->model.method.predictor, BL_PREDICTOR_MLP);
    assert_int_equal(cell->model.method.predictor_head.out, cell->model.projector.out);
    assert_int_equal(cell->model.method.target, BL_TARGET_EMA);
    assert_true(cell->model.method.stop_gradient);
    assert_int_equal(cell->model.method.pairing, BL_CROSSED);
    assert_int_equal(cell->model.optimizer.kind, BL_OPTIMIZER_ADAM);
    assert_true(cell->model.optimizer.epsilon == 1e-8);
    assert_true(cell->model.method.tau == 0.99);
    assert_true(cell->train.shuffle);
    assert_int_equal(cell->train.accumulate, 1);
    assert_true(cell->evaluations[0].knn.temperature == 0.1);
    assert_true(cell->save_weights);
    assert_false(cell->save_features);
    bl_experiment_free(experiment);
}

static void what_is_written_reaches_its_field(void **state) {
    (void)state;
    bl_experiment *experiment = read_text(
        "data: {dataset: shapes, seed: 3, train: 500, test: 200, validation: 50, split_seed: 4, limit: 300, shuffle: false}\n"
        "views:\n"
        "  - random_resized_crop: {size: 32, scale: [0.2, 0.9], ratio: [0.5, 2], antialias: false}\n"
        "    flip: 0.25\n"
        "    color_jitter: {p: 0.7, brightness: 0.1, contrast: 0.2, saturation: 0.3, hue: 0.4}\n"
        "    blur: {p: 0.6, kernel: 5, sigma: [0.5, 1.5]}\n"
        "    grayscale: 0.15\n"
        "    normalize: {mean: [0.1, 0.2, 0.3], std: [0.5, 0.25, 1]}\n"
        "  - {grayscale: 1, normalize: {mean: [0.1, 0.2, 0.3], std: [0.5, 0.25, 1]}}\n"
        "network: {encoder: resnet18, stem: cifar, width: 8, projector: {hidden: 20, out: 10, batch_norm: none}}\n"
        "method: {predictor: {kind: mlp, hidden: 30, batch_norm: none, lr_scale: 10},\n"
        "         target: {source: ema, init: independent, tau: 0, schedule: cosine}, stop_gradient: true, pairing: same_view}\n"
        "train: {epochs: 7, batch: 25, accumulate: 2, schedule: cosine, warmup: 1.5, seeds: [5, 9007199254740991], precision: bf16,\n"
        "        log_every: 3, checkpoint_every: 11,\n"
        "        optimizer: {kind: sgd, lr: 3e-2, momentum: 0.8, nesterov: true, weight_decay: 5.0e-4, decay_norms: true}}\n"
        "evaluate:\n"
        "  - knn: {at: [0, 2, 5], k: 3, metric: cosine, protocol: cross_validation, folds: 4, split: test, rows: 80, monitor: test}\n"
        "  - knn: {at: {first: 1, every: 2, also: [0]}, k: 9, temperature: 0.07}\n"
        "  - knn: {k: 9, features: pixels, split: test}\n"
        "save: {checkpoints: [2, 4], weights: none, features: last}\n"
        "machine: {backend: reference, threads: 2, loader_threads: 3, isa: avx2}\n"
        "report: {title: \"Mine, ${BYOLAB_DATA}\"}\n"
        "expect:\n"
        "  - {row: knn/k3_cv/test, epoch: 5, value: 71.9, n: 3, origin: digitised, source: there, cell: main, about: another width}\n");
    const bl_cell *cell = &experiment->cells[0];
    const bl_transform *crop = &cell->views[0].items[0], *jitter = &cell->views[0].items[2], *blur = &cell->views[0].items[3];
    assert_int_equal(cell->data.seed, 3);
    assert_int_equal(cell->data.train, 500);
    assert_int_equal(cell->data.test, 200);
    assert_int_equal(cell->data.validation, 50);
    assert_int_equal(cell->data.split_seed, 4);
    assert_int_equal(cell->data.limit, 300);
    assert_false(cell->train.shuffle);
    assert_int_equal(cell->views[0].count, 6);
    assert_int_equal(crop->kind, BL_RANDOM_RESIZED_CROP);
    assert_true(crop->p == 1 && crop->scale[0] == 0.2 && crop->scale[1] == 0.9 && crop->ratio[0] == 0.5 && crop->ratio[1] == 2);
    assert_false(crop->antialias);
    assert_true(cell->views[0].items[1].kind == BL_FLIP && cell->views[0].items[1].p == 0.25);
    assert_true(jitter->kind == BL_COLOR_JITTER && jitter->p == 0.7 && jitter->brightness == 0.1 && jitter->contrast == 0.2 &&
                jitter->saturation == 0.3 && jitter->hue == 0.4);
    assert_true(blur->kind == BL_GAUSSIAN_BLUR && blur->p == 0.6 && blur->kernel == 5 && blur->sigma[0] == 0.5 && blur->sigma[1] == 1.5);
    assert_true(cell->views[0].items[5].kind == BL_NORMALIZE && cell->views[0].items[5].p == 1);
    assert_int_equal(cell->views[1].count, 2);
    assert_true(cell->views[1].items[0].kind == BL_GRAYSCALE && cell->views[1].items[0].p == 1);
    assert_int_equal(cell->evaluation_view.count, 1);
    assert_true(cell->evaluation_view.items[0].mean[2] == 0.3 && cell->evaluation_view.items[0].std[2] == 1);
    assert_int_equal(cell->model.encoder.width, 8);
    assert_int_equal(cell->model.projector.hidden, 20);
    assert_int_equal(cell->model.projector.out, 10);
    assert_int_equal(cell->model.projector.batch_norm, BL_NORM_NONE);
    assert_int_equal(cell->model.method.predictor_head.hidden, 30);
    assert_int_equal(cell->model.method.predictor_head.batch_norm, BL_NORM_NONE);
    assert_true(cell->model.method.predictor_lr_scale == 10);
    assert_int_equal(cell->model.method.target_init, BL_TARGET_INDEPENDENT);
    assert_true(cell->model.method.tau == 0);
    assert_int_equal(cell->model.method.tau_schedule, BL_SCHEDULE_COSINE);
    assert_int_equal(cell->model.method.pairing, BL_SAME_VIEW);
    assert_int_equal(cell->train.epochs, 7);
    assert_int_equal(cell->train.batch, 25);
    assert_int_equal(cell->train.accumulate, 2);
    assert_int_equal(cell->train.schedule.kind, BL_SCHEDULE_COSINE);
    assert_true(cell->train.schedule.warmup == 1.5);
    assert_int_equal(experiment->seed_count, 2);
    assert_true(experiment->seeds[1] == 9007199254740991);
    assert_int_equal(cell->model.precision, BL_BF16);
    assert_int_equal(cell->train.log_every, 3);
    assert_int_equal(cell->train.checkpoint_every.steps, 11);
    assert_true(cell->train.checkpoint_every.seconds == 0);
    assert_int_equal(cell->model.optimizer.kind, BL_OPTIMIZER_SGD);
    assert_true(cell->train.schedule.base == 0.03 && cell->model.optimizer.momentum == 0.8 && cell->model.optimizer.nesterov);
    assert_true(cell->model.optimizer.weight_decay == 5e-4 && cell->model.optimizer.decay_norms);
    assert_int_equal(cell->evaluation_count, 3);
    assert_string_equal(cell->evaluations[0].row, "knn/k3_cv/test");
    assert_int_equal(cell->evaluations[0].knn.folds, 4);
    assert_int_equal(cell->evaluations[0].knn.rows, 80);
    assert_true(cell->evaluations[0].monitor);
    assert_string_equal(cell->evaluations[1].row, "knn/k9/validation");
    assert_true(cell->evaluations[1].knn.temperature == 0.07);
    assert_string_equal(cell->evaluations[2].row, "pixels/k9/test");
    assert_true(cell->evaluations[2].knn.raw_pixels);
    assert_int_equal(cell->save_checkpoint_count, 2);
    assert_int_equal(cell->save_checkpoints[1], 4);
    assert_false(cell->save_weights);
    assert_true(cell->save_features);
    assert_string_equal(experiment->machine.backend, "reference");
    assert_int_equal(experiment->machine.threads, 2);
    assert_int_equal(experiment->machine.loader_threads, 3);
    assert_string_equal(experiment->machine.isa, "avx2");
    assert_string_equal(experiment->title, "Mine, /data");
    const bl_expectation *figure = &experiment->expectations[0];
    assert_int_equal(experiment->expectation_count, 1);
    assert_string_equal(figure->row, "knn/k3_cv/test");
    assert_string_equal(figure->origin, "digitised");
    assert_string_equal(figure->source, "there");
    assert_string_equal(figure->cell, "main");
    assert_true(figure->epoch == 5 && figure->n == 3 && figure->value == 71.9 && figure->context);
    bl_experiment_free(experiment);
}

static void epochs_are_hit_as_written_and_the_last_always(void **state) {
    (void)state;
    const bl_epochs every_fourth = {.first = 1, .every = 4, .list = {0}, .list_count = 1}, none = {0};
    const bool hit[] = {true, true, false, false, false, true, false, true};
    for (int epoch = 0; epoch < 8; epoch++) assert_int_equal(bl_epochs_hit(&every_fourth, epoch, 7), hit[epoch]);
    assert_false(bl_epochs_hit(&none, 0, 3));
    assert_true(bl_epochs_hit(&none, 3, 3));
}

static void bases_merge_maps_replace_lists_and_null_takes_back(void **state) {
    (void)state;
    write_file("minimal.yaml", minimal);
    write_file("middle.yaml", "base: minimal.yaml\n"
                              "network: {width: 16, projector: {hidden: 32}}\n"
                              "train: {steps: 60, log_every: 3}\n"
                              "cells: {a: {}}\n"
                              "expect: [{row: knn/k5/test, epoch: 1, value: 1, source: there}]\n");
    bl_experiment *experiment = read_text("base: middle.yaml\n"
                                          "network: {projector: {out: 8}}\n"
                                          "train: {steps: null, log_every: null}\n"
                                          "views: [{flip: 1}]\n");
    const bl_cell *cell = &experiment->cells[0];
    assert_string_equal(cell->name, "main"); // cells and expect are not inherited
    assert_int_equal(experiment->expectation_count, 0);
    assert_int_equal(cell->model.encoder.width, 16);
    assert_int_equal(cell->model.projector.hidden, 32);
    assert_int_equal(cell->model.projector.out, 8);
    assert_int_equal(cell->train.steps, 0); // the default, and none as well
    assert_int_equal(cell->train.log_every, 10);
    assert_int_equal(cell->views[0].count, 1);
    assert_int_equal(cell->evaluation_view.count, 0);
    bl_experiment_free(experiment);
}

static void the_size_of_the_views_is_what_the_encoder_sees_and_is_evaluated_at(void **state) {
    (void)state;
    bl_experiment *experiment = read_over_minimal("views: [{random_resized_crop: {size: 224, interpolation: bicubic}, normalize: imagenet}]\n");
    const bl_cell *cell = &experiment->cells[0];
    const bl_transform *whole = &cell->evaluation_view.items[0];
    assert_int_equal(cell->model.image_size, 224);
    assert_int_equal(cell->evaluation_view.count, 2);
    assert_true(whole->kind == BL_CENTER_CROP && whole->resize == 224 && whole->size == 224 && whole->interpolation == BL_BICUBIC);
    assert_int_equal(cell->evaluation_view.items[1].kind, BL_NORMALIZE);
    assert_int_equal(bl_recipe_size(&cell->evaluation_view, 32), 224);
    assert_reads_back(experiment);
    bl_experiment_free(experiment);

    experiment = read_over_minimal("views: [{random_resized_crop: {size: 32}, normalize: imagenet}]\n"); // the data's own: nothing to resize
    assert_int_equal(experiment->cells[0].evaluation_view.count, 1);
    assert_int_equal(experiment->cells[0].evaluation_view.items[0].kind, BL_NORMALIZE);
    bl_experiment_free(experiment);
}

static void overrides_stand_above_the_file(void **state) {
    (void)state;
    char text[1024];
    snprintf(text, sizeof text, "%scells: {short: {train: {epochs: 2}}, long: {train: {epochs: 9}, network: {width: 8}}}\n", minimal);
    const bl_override overrides[] = {{"train.optimizer.lr", "0.5"}, {"cells.short", "null"}, {"evaluate.0.knn.k", "7"},
                                     {"cells.long.train.epochs", "3"}, {"machine", "{backend: reference}"}};
    bl_experiment *experiment = read_with(text, overrides, 5);
    assert_int_equal(experiment->cell_count, 1);
    assert_string_equal(experiment->cells[0].name, "long");
    assert_int_equal(experiment->cells[0].train.epochs, 3);
    assert_int_equal(experiment->cells[0].model.encoder.width, 8);
    assert_true(experiment->cells[0].train.schedule.base == 0.5);
    assert_string_equal(experiment->cells[0].evaluations[0].row, "knn/k7/test");
    assert_string_equal(experiment->machine.backend, "reference");
    bl_experiment_free(experiment);
}

static void keys_that_a_cell_makes_idle_are_dropped(void **state) {
    (void)state;
    bl_experiment *experiment = read_over_minimal("method: {predictor: {hidden: 64}, target: {source: ema, tau: 0.9}}\n"
                                                  "cells:\n"
                                                  "  with: {}\n"
                                                  "  without: {method: {predictor: {kind: none}, target: {source: online}}}\n");
    assert_non_null(strstr(experiment->cells[0].resolved, "tau: 0.9\n"));
    assert_null(strstr(experiment->cells[1].resolved, "tau:"));
    assert_null(strstr(experiment->cells[1].resolved, "lr_scale:"));
    assert_int_equal(experiment->cells[1].model.method.target, BL_TARGET_ONLINE);
    bl_experiment_free(experiment);
}

static void products_make_a_cell_each_and_skip_the_meaningless(void **state) {
    (void)state;
    bl_experiment *experiment = read_over_minimal("sweep:\n"
                                                  "  product:\n"
                                                  "    method.predictor.kind: [mlp, none]\n"
                                                  "    method.target.source: [ema, online]\n"
                                                  "    method.pairing: [crossed, same_view]\n"
                                                  "  exclude:\n"
                                                  "    - {method.target.source: ema, method.pairing: crossed}\n");
    static const char *const names[] = {
        "predictor.kind=mlp_target.source=ema_pairing=same_view",
        "predictor.kind=mlp_target.source=online_pairing=crossed",
        "predictor.kind=mlp_target.source=online_pairing=same_view",
        "predictor.kind=none_target.source=online_pairing=crossed",
    };
    assert_int_equal(experiment->cell_count, 4);
    for (int i = 0; i < 4; i++) assert_string_equal(experiment->cells[i].name, names[i]);
    assert_int_equal(experiment->skipped_count, 4); // two without predictor, of the same view, with a target that starts equal
    assert_non_null(strstr(experiment->skipped[0], "predictor.kind=none_target.source=ema_pairing=same_view: "));
    assert_non_null(strstr(experiment->skipped[0], "the loss is 0"));
    assert_string_equal(experiment->skipped[2], "predictor.kind=mlp_target.source=ema_pairing=crossed: sweep.exclude, mine.yaml:8:8"); // by the file
    assert_string_equal(experiment->skipped[3], "predictor.kind=none_target.source=ema_pairing=crossed: sweep.exclude, mine.yaml:8:8");
    bl_experiment_free(experiment);

    experiment = read_over_minimal("sweep: {product: {method.target.source: [ema, online], method.target.tau: [0.5, 1]}}\n");
    assert_int_equal(experiment->cell_count, 1);
    assert_int_equal(experiment->skipped_count, 3); // tau 1, and tau beside an online target
    bl_experiment_free(experiment);
}

// What a run's name rests on: neither a new key nor a new default may change it. The first 12 digits `byolab check` shows.
static const struct {
    const char *study;
    int cells;
    const char *recipe; // of the first cell; NULL: free to change until it is run
} studies[] = {
    {"shapes/quickstart", 2, "ec5f270bf585"},
    {"cifar10/understanding_byol", 2, "8c9f4ee5a834"},
    {"cifar10/understanding_byol_two_cores", 2, "8c9f4ee5a834"}, // the same run
    {"cifar10/understanding_byol_narrow", 2, "c242e00b30d2"},
    {"cifar10/label_efficiency", 1, "99628e6d8e11"},
    {"cifar10/lightly_200", 2, NULL},
    {"cifar10/lightly_800", 1, NULL},
    {"cifar10/sololearn_1000", 1, NULL},
    {"cifar10/simsiam", 1, NULL},
    {"cifar10/ablation_collapse", 6, NULL},
    {"cifar10/ablation_collapse_20_epochs", 6, "315d0ed83842"},
    {"cifar10/ablation_tau", 5, NULL},
    {"cifar10/ablation_predictor_lr", 6, NULL},
    {"cifar10/ablation_predictor_lr_narrow", 4, NULL},
    {"cifar10/ablation_heads", 14, NULL},
    {"cifar10/supervised", 5, NULL},
    {"bench/pytorch_step", 1, "040505316e49"},
    {"bench/pytorch_step_224", 1, "4229b4d7f72f"},
    {"bench/segmentation_step", 1, NULL},
    {"bench/epoch_cifar10", 1, NULL},
    {"streets/classifier", 1, "1e5141edb004"},
    {"streets/label_efficiency", 1, "7199149e539f"},
    {"camvid/label_efficiency", 1, "1f5f7a2730d4"},
    {"cityscapes/hands_on_review", 2, NULL},
    {"cityscapes/byol_224", 1, NULL},
};

static void shipped_studies_keep_their_recipes_and_read_back_to_the_same(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof studies / sizeof *studies; i++) {
        char path[512];
        bl_experiment *experiment;
        snprintf(path, sizeof path, "%s/experiments/%s.yaml", BYOLAB_SOURCE, studies[i].study);
        assert_ok(bl_experiment_read(&experiment, path, NULL, 0));
        assert_string_equal(experiment->study, studies[i].study);
        assert_int_equal(experiment->cell_count, studies[i].cells);
        if (studies[i].recipe) assert_memory_equal(experiment->cells[0].train_id, studies[i].recipe, 12);
        assert_reads_back(experiment);
        bl_experiment_free(experiment);
    }
}

static void ids_change_with_their_own_keys_alone(void **state) {
    (void)state;
    static const struct {
        const char *key, *value;
        bool training, evaluation; // whose id is another
    } cases[] = {
        {"network.width", "32", true, false},          {"train.precision", "bf16", true, false},
        {"views.0.flip", "0.4", true, false},          {"views.0.normalize", "cifar10", true, false},
        {"method.pairing", "same_view", true, false},  {"data.shuffle", "false", true, false},
        {"train.optimizer.lr", "0.2", true, false},    {"train.epochs", "5", true, false},
        {"evaluate.0.knn.k", "6", false, true},        {"evaluate.0.knn.temperature", "0.2", false, true},
        {"evaluate.0.knn.rows", "50", false, true},    {"evaluate.0.knn.features", "pixels", false, true},
        {"evaluate.0.knn.monitor", "test", false, false},
        {"train.log_every", "1", false, false},        {"train.checkpoint_every", "7 s", false, false},
        {"train.seeds", "[1, 2]", false, false},       {"machine.backend", "reference", false, false},
        {"machine.threads", "1", false, false},        {"save.features", "last", false, false},
        {"report.title", "other", false, false},       {"train.optimizer.lr", "1.0e-1", false, false}, // the same number
        {"views.0.normalize", "{mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}", false, false},
        {"views", "[{flip: 0.5, normalize: imagenet}, {flip: 0.5, normalize: imagenet}]", false, false},
    };
    bl_experiment *before = read_text(minimal);
    assert_int_equal(strlen(before->cells[0].train_id), 64);
    assert_int_equal(strlen(before->cells[0].evaluations[0].id), 16);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const bl_override override = {cases[i].key, cases[i].value};
        bl_experiment *after = read_with(minimal, &override, 1);
        bool training = strcmp(before->cells[0].train_id, after->cells[0].train_id) != 0;
        bool evaluation = strcmp(before->cells[0].evaluations[0].id, after->cells[0].evaluations[0].id) != 0;
        if (training != cases[i].training || evaluation != cases[i].evaluation)
            fail_msg("%s=%s: train id %s, evaluation id %s", cases[i].key, cases[i].value, training ? "changed" : "kept", evaluation ? "changed" : "kept");
        bl_experiment_free(after);
    }
    bl_experiment_free(before);
}

static const refusal refusals[] = {
    // the kinds of mistakes
    {"train: {epoch: 3}", ":2:9: ", "train.epoch: no such key", "write `epochs`"},
    {"colour: 3", ":2:1: ", "colour: no such key", "write one of base, data, views"},
    {"evaluate: [{lineal: {k: 1}}]", ":2:13: ", "evaluate.lineal: no such key", "write `linear`"},
    {"evaluate: [{linear: {k: 1}}]", ":2:22: ", "evaluate.linear.k: no such key", "write one of features, solver"},
    {"views: [{blurr: {p: 1}}]", ":2:10: ", "views.blurr: no such key", "write `blur`"},
    {"report: {title: \"a\\0b\"}", ":2:17: ", "a zero byte in a text", "leave the \\0 out"},
    {"train: {epochs: many}", ":2:17: ", "train.epochs: many does not fit", "a whole number from 1 to 100000"},
    {"train: {epochs: \"3\"}", ":2:17: ", "the text \"3\" does not fit", "a whole number"},
    {"train: {epochs: 2.5}", ":2:17: ", "train.epochs: 2.5", "a whole number"},
    {"train: {epochs: [3]}", ":2:9: ", "train.epochs: a list does not fit", "a whole number"},
    {"train: {optimizer: adam}", ":2:20: ", "train.optimizer: expected a map of keys", "write {kind: adam}"},
    {"train: 3", ":2:8: ", "train: expected a map of keys", "write {epochs: ...}"},
    {"views: {flip: 0.5}", ":2:1: ", "views: expected a list", "begin with `-`"},
    {"views: [{blur: 0.5}]", ":2:16: ", "views.blur: expected a map of keys", "write {p: ...}"},
    {"method: {stop_gradient: yes}", ":2:25: ", "method.stop_gradient: yes", "true or false"},
    {"method: {pairing: crosed}", ":2:19: ", "no choice is called crosed", "write `crossed`"},
    {"train: {accumulate: 0}", ":2:21: ", "train.accumulate: 0 does not fit", "from 1 to"},
    {"method: {target: {tau: 1.5}}", ":2:24: ", "method.target.tau: 1.5 does not fit", "from 0 to 1"},
    {"method: {target: {tau: nan}}", ":2:24: ", "method.target.tau: nan does not fit", "a number"},
    {"train: {optimizer: {lr: 0}}", ":2:25: ", "train.optimizer.lr: 0 does not fit", "above 0"},
    {"train: {seeds: [1, -1]}", ":2:20: ", "train.seeds: -1 does not fit", "whole numbers"},
    {"train: {seeds: [1, 1]}", ":2:20: ", "train.seeds: 1 stands there twice", "each once"},
    {"train: {optimizer: {lr: null}}", "minimal.yaml:4:31: ", "train.optimizer.lr is missing", "write `lr:`"},
    {"views: null", ":1:1: ", "views is missing", "write `views:`"},
    {"train: {epochs: 3", ":2:8: ", "this { is never closed", "write }"},
    {"network: {width: 8}\nnetwork: {width: 9}", ":3:1: ", "network stands there twice, first in line 2", "leave one of them out"},
    // views
    {"views: []", ":2:1: ", "views: 0 entries", "one entry for both"},
    {"views: [{}, {}, {}]", ":2:1: ", "views: 3 entries", "one entry for both"},
    {"views: [{random_resized_crop: {scale: [0.5, 1]}}]", ":2:10: ", "size is missing", "write `size:`"},
    {"views: [{random_resized_crop: {size: 24}}, {random_resized_crop: {size: 32}}]", ":2:73: ", "evaluated at 24 pixels", "write `size: 24`"},
    {"views: [{random_resized_crop: {size: 24}}, {flip: 0.5}]", ":2:45: ", "one of 24 pixels a side and one of 32", "write `random_resized_crop: {size: 24}` here too"},
    {"views: [{random_resized_crop: {size: 32, scale: [1, 0.5]}}]", ":2:42: ", "1 is above 0.5", "lower end first"},
    {"views: [{blur: {kernel: 4}}]", ":2:25: ", "4 has no middle", "write 3 or 5"},
    {"views: [{normalize: {mean: [0, 0, 0]}}]", ":2:10: ", "views.normalize", "imagenet, cifar10 or"},
    {"views: [{normalize: {mean: [0, 0, 0], std: [1, 0, 1]}}]", ":2:39: ", "a std of 0", "above 0"},
    {"views: [{normalize: imagenet, flip: 0.5}]", ":2:31: ", "flip after normalize", "normalize last"},
    {"views: [{flip: 0.5}, {normalize: cifar10}]", ":2:23: ", "two ways to normalise", "the same normalize"},
    // method
    {"method: {target: {source: ema}, stop_gradient: false}", ":2:48: ", "the gradient has nowhere to go", "`source: online`"},
    {"method: {target: {source: frozen}, stop_gradient: false}", ":2:51: ", "the gradient has nowhere to go", "`stop_gradient: true`"},
    {"method: {target: {source: ema, tau: 1}}", ":2:37: ", "1 would never move the target", "write `source: frozen`"},
    {"method: {target: {source: online, tau: 0.5}}", ":2:40: ", "tau has no meaning where method.target.source is online", "`source: ema`"},
    {"method: {target: {source: frozen, schedule: cosine}}", ":2:45: ", "schedule has no meaning", "`source: ema`"},
    {"method: {target: {source: online, init: copy}}", ":2:41: ", "init has no meaning", "`source: ema`"},
    {"method: {predictor: {kind: none, hidden: 5}}", ":2:42: ", "hidden has no meaning where method.predictor.kind is none", "`kind: mlp`"},
    {"method: {predictor: {kind: none}, pairing: same_view}", ":2:44: ", "the loss is 0 before the first step", "`pairing: crossed`"},
    {"method: {predictor: {kind: none}, pairing: same_view, target: {source: online}}", ":2:44: ", "the loss is 0", "`pairing: crossed`"},
    {"method: {predictor: {kind: none}, pairing: same_view, target: {source: frozen}}", ":2:44: ", "the loss is 0", "`pairing: crossed`"},
    // train
    {"train: {batch: 401}", ":2:16: ", "401 images from 400", "at most 400"},
    {"train: {batch: 200, accumulate: 3}", ":2:33: ", "600 images from 400", "at most 400"},
    {"data: {limit: 10}", ":2:15: ", "16 images from 10", "at most 10"},
    {"train: {batch: 1}", ":2:16: ", "batch norm over one row", "2 or more"},
    {"data: {validation: 400}", ":2:20: ", "leave none to train on", "fewer"},
    {"train: {warmup: 5}", ":2:17: ", "5 epochs of 4", "fewer"},
    {"train: {optimizer: {kind: adam, momentum: 0.9}}", ":2:43: ", "momentum has no meaning", "`kind: sgd`"},
    {"train: {optimizer: {kind: sgd, beta1: 0.9}}", ":2:39: ", "beta1 has no meaning", "`kind: adam`"},
    {"train: {optimizer: {kind: sgd, momentum: 0, nesterov: true}}", ":2:55: ", "no momentum", "above 0"},
    {"train: {checkpoint_every: 0 s}", ":2:27: ", "checkpoint_every: 0 s does not fit", "seconds (`300 s`) or steps"},
    {"train: {checkpoint_every: 5 min}", ":2:27: ", "5 min does not fit", "seconds (`300 s`)"},
    {"train: {checkpoint_every: 0}", ":2:27: ", "0 does not fit", "from 0.01 to"},
    {"train: {checkpoint_every: 2.5}", ":2:27: ", "2.5 does not fit", "steps (`200`)"},
    // cells, sweep
    {"cells: {}", ":2:1: ", "none is named", "`cells: {name: {key: value}}`"},
    {"cells: {a: {}, b: {}}", ":2:16: ", "cells a and b train the same thing", "leave one"},
    {"cells: {a: {}, a: {}}", ":2:16: ", "stands there twice, first in line 2", ""},
    {"cells: {a/b: {}}", ":2:9: ", "\"a/b\" cannot name a cell", "letters, digits"},
    {"cells: {a: {machine: {threads: 2}}}", ":2:13: ", "machine belongs to the study", "at the top"},
    {"cells: {a: {train: {seeds: [1]}}}", ":2:21: ", "train.seeds belongs to the study", "at the top"},
    {"cells: {a: {method: {target: {tau: 1}}}}", ":2:36: ", "1 would never move the target", "`source: frozen`"},
    {"cells: {a: {network: {widht: 8}}}", ":2:23: ", "network.widht: no such key", "`width`"},
    {"cells: {a: {}}\nsweep: {product: {network.width: [8]}}", ":3:1: ", "sweep beside cells", "one of the two"},
    {"sweep: {product: {network.width: 8}}", ":2:34: ", "needs a list of values", "[value, value]"},
    {"sweep: {product: {network.widht: [8]}}", ":2:27: ", "network.widht: no such key", "`width`"},
    {"sweep: {product: {method.target.tau: [1]}}", ":2:39: ", "1 would never move the target", "`source: frozen`"},
    {"sweep: {product: {network.width: [8]}, exclude: [{network.stem: cifar}]}", ":2:51: ", "network.stem is not swept", "sweep.product"},
    {"sweep: {product: {network.width: [8, 16]}, exclude: [{network.width: 61}]}", ":2:70: ", "network.width is not swept over this value", "one of 8, 16"},
    {"sweep: {product: {network.width: [8, 16]}, exclude: {network.width: 8}}", ":2:44: ", "expected a list", "[{key: value}]"},
    // environment and bases
    {"data: {dataset: cifar10, root: \"${BYOLAB_UNSET}/x\"}", ":2:32: ", "BYOLAB_UNSET is not set", "export BYOLAB_UNSET="},
    {"data: {dataset: cifar10}", "minimal.yaml:1:1: ", "data.root is missing", "`root:`"},
};

static void mistakes_are_refused_where_they_stand_with_what_to_write(void **state) {
    (void)state;
    assert_refused(refusals, sizeof refusals / sizeof *refusals);
}

static void a_refusal_shows_the_line_and_a_caret(void **state) {
    (void)state;
    char text[512], expected[1024];
    bl_experiment *experiment;
    write_file("minimal.yaml", minimal);
    snprintf(text, sizeof text, "base: minimal.yaml\nmethod:\n  target: {source: ema, tau: 1}\n");
    const char *path = write_file("mine.yaml", text);
    assert_int_not_equal(bl_experiment_read(&experiment, path, NULL, 0), BL_OK);
    snprintf(expected, sizeof expected,
             "%s:3:30: method.target.tau: 1 would never move the target\n"
             "    target: {source: ema, tau: 1}\n"
             "                               ^\n"
             "  write `source: frozen` for a target that stays, or tau below 1",
             path);
    assert_string_equal(bl_error(), expected);
}

static void a_mistake_in_a_base_is_shown_in_the_base(void **state) {
    (void)state;
    bl_experiment *experiment;
    write_file("minimal.yaml", minimal);
    write_file("wrong.yaml", "base: minimal.yaml\n\nnetwork:\n  width: wide\n");
    assert_int_not_equal(bl_experiment_read(&experiment, write_file("mine.yaml", "base: wrong.yaml\n"), NULL, 0), BL_OK);
    assert_non_null(strstr(bl_error(), "/wrong.yaml:4:10: network.width: wide"));
    assert_non_null(strstr(bl_error(), "    width: wide\n           ^\n"));
}

static void a_mistake_in_an_override_names_the_override(void **state) {
    (void)state;
    static const bl_override wrong[] = {
        {"train.epochs", "many"}, {"train.epoch", "3"}, {"evaluate.9.knn.k", "3"}, {"evaluate[0].knn.k", "3"}, {"base", "other.yaml"}, {"train", "[1"}, {"method.target.tau", "1"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char name[64];
        bl_experiment *experiment;
        snprintf(name, sizeof name, "--set %s=%s: ", wrong[i].key, wrong[i].value);
        assert_int_not_equal(bl_experiment_read(&experiment, write_file("mine.yaml", minimal), &wrong[i], 1), BL_OK);
        if (strncmp(bl_error(), name, strlen(name))) fail_msg("should begin with %s, but is\n%s", name, bl_error());
        if (strchr(wrong[i].key, '[')) assert_non_null(strstr(bl_error(), "write `evaluate.0.knn.k`"));
    }
}

static void an_override_shows_itself_and_a_caret(void **state) {
    (void)state;
    static const struct {
        bl_override set;
        const char *says;
    } cases[] = {
        {{"train.epochs", "many"}, "--set train.epochs=many: train.epochs: many does not fit here\n    --set train.epochs=many\n                       ^\n"},
        {{"train.epoch", "3"}, "--set train.epoch=3: train.epoch: no such key\n    --set train.epoch=3\n                ^\n  write `epochs`"},
        {{"views.0.blur", "{p: 2}"}, "\n    --set views.0.blur={p: 2}\n                           ^\n"},
        {{"evaluate.9.knn.k", "3"}, "\n    --set evaluate.9.knn.k=3\n                   ^\n"},
        {{"evaluate[0].knn.k", "3"}, "\n    --set evaluate[0].knn.k=3\n          ^\n"},
        {{"method.target.tau", "1"}, "\n    --set method.target.tau=1\n                            ^\n"},
        {{"base", "other.yaml"}, "\n    --set base=other.yaml\n          ^\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bl_experiment *experiment;
        assert_int_not_equal(bl_experiment_read(&experiment, write_file("mine.yaml", minimal), &cases[i].set, 1), BL_OK);
        bl_test_holds(bl_error(), cases[i].says);
    }
}

// What --set says, and a file over that one with the same line, as keys or as a whole: one recipe.
static void an_override_is_a_line_of_a_file_over_this_one(void **state) {
    (void)state;
    static const char cells[] = "method: {predictor: {hidden: 64}}\n"
                                "cells:\n  a: {}\n  b: {method: {predictor: {kind: none}, target: {source: online}}}\n  c: {network: {width: 8}}\n";
    static const struct {
        bl_override set;
        const char *line;
    } cases[] = {
        {{"train.epochs", "9"}, "train: {epochs: 9}\n"},
        {{"train", "{epochs: 9, batch: null}"}, "train: {epochs: 9, batch: null}\n"},
        {{"train.epochs", " 9 # as long as it takes"}, "train: {epochs: 9}\n"},
        {{"method.predictor.hidden", "32"}, "method: {predictor: {hidden: 32}}\n"}, // idle in b
        {{"method.predictor", "{hidden: 32, depth: 3}"}, "method: {predictor: {hidden: 32, depth: 3}}\n"},
        {{"method.target.tau", "0.5"}, "method: {target: {tau: 0.5}}\n"},
        {{"evaluate", "[{knn: {k: 3, split: test}}]"}, "evaluate: [{knn: {k: 3, split: test}}]\n"},
        {{"evaluate.0", "{knn: {k: 3, split: test}}"}, "evaluate: [{knn: {k: 3, split: test}}]\n"},
        {{"train.seeds", "[3, 1]"}, "train: {seeds: [3, 1]}\n"},
        {{"report.title", "'a: b'"}, "report: {title: 'a: b'}\n"},
        {{"data.train", "300"}, "data: {train: 300}\n"},
        {{"data.train", "null"}, "data: {train: null}\n"},
    };
    char text[1500], over[1500];
    snprintf(text, sizeof text, "%s%s", minimal, cells);
    write_file("minimal.yaml", minimal);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bl_experiment *set = read_with(text, &cases[i].set, 1);
        snprintf(over, sizeof over, "base: under.yaml\n%s%s", cases[i].line, strstr(cells, "cells:"));
        write_file("under.yaml", text);
        bl_experiment *file = read_text(over);
        assert_int_equal(set->cell_count, 3);
        assert_int_equal(file->cell_count, 3);
        for (int c = 0; c < 3; c++) {
            assert_string_equal(set->cells[c].resolved, file->cells[c].resolved);
            assert_string_equal(set->cells[c].train_id, file->cells[c].train_id);
        }
        assert_string_equal(set->title, i == 9 ? "a: b" : "mine");
        assert_int_equal(set->seed_count, file->seed_count);
        assert_int_equal(set->seeds[0], file->seeds[0]);
        bl_experiment_free(set);
        bl_experiment_free(file);
    }
}

static void an_override_that_a_cell_would_not_hear_of_is_refused(void **state) {
    (void)state;
    static const char named[] = "cells:\n  a: {}\n  b: {train: {batch: 8}, evaluate: [{knn: {k: 3, split: test}}], network: {width: 8}}\n  c: {train: {epochs: 2}}\n"
                               "  d: {train: {optimizer: {lr: {value: 0.1, per: 32}}}, method: {target: {tau: 0.5}}}\n";
    static const char crossed[] = "sweep: {product: {method.predictor.kind: [mlp, linear]}}\n";
    static const struct {
        const char *study;
        bl_override set;
        const char *says; // NULL: it is heard
    } cases[] = {
        {named, {"train.batch", "4"}, "train.batch: cell b has its own, which stands above the file and this: mine.yaml:9:22"},
        {named, {"train", "{batch: 4}"}, "train.batch: cell b has its own"},
        {named, {"train.batch", "null"}, "train.batch: cell b has its own"},
        {named, {"train.batch", "8"}, NULL}, // as the cell says
        {named, {"cells.b.train.batch", "4"}, NULL},
        {named, {"train.accumulate", "2"}, NULL},
        {named, {"evaluate.0.knn.k", "7"}, "evaluate.0.knn.k: cell b has its own"},
        {named, {"train.optimizer.lr", "0.2"}, "train.optimizer.lr: cell d has its own"}, // a map
        {named, {"method.target.tau", "0.5"}, NULL},                                      // d takes it back
        {named, {"evaluate", "[]"}, "write --set cells.b.evaluate for this cell"},
        {crossed, {"method.predictor.kind", "none"}, "method.predictor.kind: cell predictor.kind=mlp has its own"},
        {crossed, {"method.predictor.hidden", "8"}, NULL}, // of one cell alone: no reason to leave the other out
        {crossed, {"method.predictor", "{kind: none}"}, "change sweep.product in the file"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[1500];
        bl_experiment *experiment;
        snprintf(text, sizeof text, "%s%s", minimal, cases[i].study);
        const int status = bl_experiment_read(&experiment, write_file("mine.yaml", text), &cases[i].set, 1);
        if (cases[i].says) {
            assert_int_not_equal(status, BL_OK);
            bl_test_holds(bl_error(), cases[i].says);
            continue;
        }
        assert_ok(status);
        assert_int_equal(experiment->skipped_count, 0);
        bl_experiment_free(experiment);
    }
}

static void files_that_are_no_experiment_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "not an experiment"},
        {"- a\n- b\n", "not an experiment"},
        {"base: mine.yaml\n", "a circle of them"},
        {"base: nowhere.yaml\n", "no file"},
        {"base: [a, b]\n", "the path of one file"},
        {"train:\n\tepochs: 3\n", "mine.yaml:2:1: a tab in the indentation"},
        {"train: *nowhere\n", "*nowhere: nothing above is called so"},
    };
    bl_experiment *experiment;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_not_equal(bl_experiment_read(&experiment, write_file("mine.yaml", cases[i].text), NULL, 0), BL_OK);
        if (!strstr(bl_error(), cases[i].says)) fail_msg("%s: should say %s, but says\n%s", cases[i].text, cases[i].says, bl_error());
    }
    assert_int_not_equal(bl_experiment_read(&experiment, "/nowhere/at/all.yaml", NULL, 0), BL_OK);
    assert_non_null(strstr(bl_error(), "/nowhere/at/all.yaml"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_left_out_get_their_defaults),
        cmocka_unit_test(what_is_written_reaches_its_field),
        cmocka_unit_test(epochs_are_hit_as_written_and_the_last_always),
        cmocka_unit_test(bases_merge_maps_replace_lists_and_null_takes_back),
        cmocka_unit_test(the_size_of_the_views_is_what_the_encoder_sees_and_is_evaluated_at),
        cmocka_unit_test(overrides_stand_above_the_file),
        cmocka_unit_test(keys_that_a_cell_makes_idle_are_dropped),
        cmocka_unit_test(products_make_a_cell_each_and_skip_the_meaningless),
        cmocka_unit_test(shipped_studies_keep_their_recipes_and_read_back_to_the_same),
        cmocka_unit_test(ids_change_with_their_own_keys_alone),
        cmocka_unit_test(mistakes_are_refused_where_they_stand_with_what_to_write),
        cmocka_unit_test(a_refusal_shows_the_line_and_a_caret),
        cmocka_unit_test(a_mistake_in_a_base_is_shown_in_the_base),
        cmocka_unit_test(a_mistake_in_an_override_names_the_override),
        cmocka_unit_test(an_override_shows_itself_and_a_caret),
        cmocka_unit_test(an_override_is_a_line_of_a_file_over_this_one),
        cmocka_unit_test(an_override_that_a_cell_would_not_hear_of_is_refused),
        cmocka_unit_test(files_that_are_no_experiment_are_refused),
    };
    return cmocka_run_group_tests(tests, set_environment, bl_test_leave);
}
