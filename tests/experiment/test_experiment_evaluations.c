// What an experiment file asks to be measured, and what it expects: entries become rows with names and ids, figures keep their
// spread and what differs, and what cannot be measured is refused.

#include <math.h>

#include "experiment_rig.h"

static const bl_evaluation *row_called(const bl_experiment *experiment, const char *name) {
    for (int i = 0; i < experiment->cells[0].evaluation_count; i++)
        if (!strcmp(experiment->cells[0].evaluations[i].row, name)) return &experiment->cells[0].evaluations[i];
    fail_msg("no row is called %s", name);
    return NULL;
}

static void an_entry_becomes_a_row_for_each_arm_and_share(void **state) {
    (void)state;
    bl_experiment *experiment = read_over_minimal(
        "data: {train: 4000}\n"
        "evaluate:\n"
        "  - linear: {shares: [10, 100], split: test}\n"
        "  - linear: {features: augmented, split: test}\n"
        "  - finetune: {shares: [2.5, 100], split: test}\n"
        "  - finetune: {arms: {imagenet: {weights: \"${BYOLAB_DATA}/r.safetensors\", prefix: module.encoder_q, preprocessing: keep}, old: {run: old.h5}}, shares: [50], split: test}\n");
    static const char *const names[] = {
        "linear/10%/test",          "linear/test", "linear_augmented/test", "finetune/pretrained/2.5%/test", "finetune/pretrained/test",
        "finetune/random/2.5%/test", "finetune/random/test", "finetune/imagenet/50%/test", "finetune/old/50%/test",
    };
    assert_int_equal(experiment->cells[0].evaluation_count, sizeof names / sizeof *names);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) assert_string_equal(experiment->cells[0].evaluations[i].row, names[i]);
    const bl_evaluation *linear = row_called(experiment, "linear/10%/test"), *random = row_called(experiment, "finetune/random/2.5%/test");
    assert_true(linear->kind == BL_PROTOCOL_LINEAR && linear->fit.share == 10 && linear->fit.arm.source == BL_ARM_PRETRAINED);
    assert_true(random->kind == BL_PROTOCOL_FINETUNE && random->fit.share == 2.5 && random->fit.arm.source == BL_ARM_RANDOM);
    const bl_arm *imagenet = &row_called(experiment, "finetune/imagenet/50%/test")->fit.arm;
    assert_true(imagenet->source == BL_ARM_WEIGHTS && imagenet->keep_preprocessing);
    assert_string_equal(imagenet->prefix, "module.encoder_q");
    assert_string_equal(imagenet->path, "/data/r.safetensors");
    const bl_arm *old = &row_called(experiment, "finetune/old/50%/test")->fit.arm;
    assert_true(old->source == BL_ARM_RUN && !old->keep_preprocessing);
    assert_string_equal(old->path, "old.h5");
    assert_reads_back(experiment);
    bl_experiment_free(experiment);
}

static void linear_and_finetune_have_their_defaults(void **state) {
    (void)state;
    bl_experiment *experiment = read_over_minimal("data: {train: 4000}\n"
                                                  "evaluate: [{linear: {split: test}}, {linear: {features: augmented, split: test}}, {finetune: {split: test}}]\n");
    const bl_evaluation *cached = row_called(experiment, "linear/test");
    assert_true(cached->linear.cached && cached->linear.lbfgs && cached->fit.refit);
    assert_true(cached->linear.l2[0] == 1e-6 && cached->linear.l2[1] == 1e5 && cached->linear.l2_points == 45);
    assert_true(cached->fit.validation == 0.1 && cached->fit.label_seed == -1);
    const bl_evaluation *never_ending = row_called(experiment, "linear_augmented/test");
    const bl_fit_options *augmented = &never_ending->fit;
    assert_false(never_ending->linear.cached || never_ending->linear.lbfgs); // augmented features never end: SGD
    assert_int_equal(augmented->rate_count, 5);
    assert_true(augmented->learning_rates[0] == 0.05 && augmented->optimizer.momentum == 0.9 && augmented->optimizer.nesterov);
    assert_int_equal(augmented->view.count, 2);
    assert_true(augmented->view.items[0].kind == BL_RANDOM_RESIZED_CROP && augmented->view.items[1].kind == BL_FLIP);
    const bl_fit_options *finetune = &row_called(experiment, "finetune/pretrained/1%/test")->fit;
    assert_int_equal(experiment->cells[0].evaluation_count, 2 + 2 * 3); // shares 1, 10, 100 of two arms
    assert_true(finetune->steps == 500 && finetune->batch == 64 && finetune->rate_count == 3 && finetune->validation == 0.2);
    assert_int_equal(finetune->optimizer.kind, BL_OPTIMIZER_SGD);
    assert_int_equal(finetune->schedule.kind, BL_SCHEDULE_COSINE);
    assert_true(finetune->head_lr_scale == 1 && !finetune->frozen && finetune->refit);
    assert_int_equal(row_called(experiment, "finetune/pretrained/1%/test")->finetune.hidden, 0);
    bl_experiment_free(experiment);
}

// 1000 * 0.1 ** 0.5 = 316.2, 1000 * 0.01 ** 0.5 = 100; the ids are a file's own, whatever other shares stand beside.
static void budgets_grow_with_the_share_as_the_file_says(void **state) {
    (void)state;
#define GROWING(more) "data: {train: 4000, validation: 100}\nevaluate:\n" \
                      "  - finetune: {shares: [" more "10, 100], steps: 1000, growth: 0.5, arms: [random], split: test}\n" \
                      "  - linear: {solver: sgd, shares: [10, 100], steps: 300, growth: 1, split: test}\n"
    bl_experiment *experiment = read_over_minimal(GROWING("1, ")), *fewer = read_over_minimal(GROWING(""));
    assert_int_equal(row_called(experiment, "finetune/random/1%/test")->fit.steps, 100);
    assert_int_equal(row_called(experiment, "finetune/random/10%/test")->fit.steps, 316);
    assert_int_equal(row_called(experiment, "finetune/random/test")->fit.steps, 1000);
    assert_int_equal(row_called(experiment, "linear/10%/test")->fit.steps, 30);
    assert_string_equal(row_called(experiment, "finetune/random/10%/test")->id, row_called(fewer, "finetune/random/10%/test")->id);
    assert_reads_back(experiment);
    bl_experiment_free(experiment);
    bl_experiment_free(fewer);
    static const refusal refusals[] = {
        {"data: {dataset: streets, crop: 64}\nevaluate: [{segmentation: {steps: 0, growth: 0.5, crop: 64}}]", ":3:46: ", "evaluate.segmentation.growth: of no steps",
         "epochs are in proportion to the labels"},
        {"data: {train: 4000}\nevaluate: [{finetune: {split: test, shares: [1, 100], steps: 100, growth: 1, warmup_steps: 2}}]", ":3:92: ",
         "evaluate.finetune.warmup_steps: 2 of 1", "write at most 1"},
    };
    assert_refused(refusals, sizeof refusals / sizeof *refusals);
}

static void every_key_of_a_fit_reaches_its_field(void **state) {
    (void)state;
    bl_experiment *experiment = read_over_minimal(
        "data: {validation: 100, train: 4000}\n"
        "method: {probe: {kind: linear}}\n"
        "evaluate:\n"
        "  - linear: {solver: lbfgs, l2: [1e-3, 10], points: 7, validation: 0, refit: false, label_seed: 3, at: {every: 2}, monitor: test, split: test}\n"
        "  - linear: {features: augmented, lr: [1, 3], epochs: 12, batch: 32, momentum: 0.8, nesterov: false, weight_decay: 1e-4,\n"
        "             schedule: constant, view: {flip: 0.25}, split: validation}\n"
        "  - finetune: {arms: [random], shares: [100], steps: 20, batch: 8, lr: [0.5], momentum: 0.5, nesterov: false, weight_decay: 1e-3,\n"
        "               schedule: constant, warmup_steps: 5, hidden: 16, freeze: true, head_lr_scale: 10, validation: 0.5, refit: false,\n"
        "               label_seed: 9, view: {grayscale: 1}, split: test}\n"
        "  - probe: {split: test, at: [1], monitor: test}\n");
    const bl_evaluation *rows = experiment->cells[0].evaluations;
    const bl_fit_options *fit = &rows[0].fit;
    assert_true(rows[0].linear.l2[0] == 1e-3 && rows[0].linear.l2[1] == 10 && rows[0].linear.l2_points == 7 && fit->validation == 0 && !fit->refit);
    assert_true(fit->label_seed == 3 && rows[0].monitor && rows[0].at.every == 2);
    fit = &rows[1].fit;
    assert_true(fit->rate_count == 2 && fit->learning_rates[1] == 3 && fit->steps == 0 && fit->epochs == 12 && fit->batch == 32);
    assert_true(fit->optimizer.momentum == 0.8 && !fit->optimizer.nesterov && fit->optimizer.weight_decay == 1e-4);
    assert_int_equal(fit->schedule.kind, BL_SCHEDULE_CONSTANT);
    assert_true(fit->view.count == 1 && fit->view.items[0].p == 0.25);
    fit = &rows[2].fit;
    assert_true(fit->steps == 20 && fit->batch == 8 && fit->rate_count == 1 && fit->warmup_steps == 5 && rows[2].finetune.hidden == 16 && fit->frozen);
    assert_true(fit->head_lr_scale == 10 && fit->validation == 0.5 && !fit->refit && fit->label_seed == 9);
    assert_true(fit->view.count == 1 && fit->view.items[0].kind == BL_GRAYSCALE);
    assert_string_equal(rows[3].row, "probe/test");
    assert_true(rows[3].kind == BL_PROTOCOL_PROBE && rows[3].monitor && rows[3].at.list[0] == 1);
    assert_reads_back(experiment);
    bl_experiment_free(experiment);
}

static void a_rows_id_changes_with_its_own_keys_alone(void **state) {
    (void)state;
    static const char text[] = "data: {dataset: shapes, train: 4000, test: 100}\n"
                               "views: [{flip: 0.5}]\n"
                               "train: {epochs: 4, batch: 16, optimizer: {lr: 0.1}}\n"
                               "evaluate:\n"
                               "  - finetune: {shares: [10], split: test}\n"
                               "  - linear: {shares: [10], split: test}\n";
    static const struct {
        const char *key, *value;
        bool finetune, linear; // whose id is another
    } cases[] = {
        {"evaluate.0.finetune.shares", "[1, 10, 50]", false, false}, // more rows, the same ones
        {"evaluate.0.finetune.arms", "[random, pretrained]", false, false},
        {"evaluate.0.finetune.steps", "501", true, false},
        {"evaluate.0.finetune.lr", "[0.01, 0.03]", true, false},
        {"evaluate.0.finetune.lr", "[1.0e-2, 0.03, 0.1]", false, false}, // the default, written
        {"evaluate.0.finetune.view", "{flip: 0.5}", true, false},
        {"evaluate.0.finetune.view", "{random_resized_crop: {size: 32, scale: [0.08, 1]}, flip: 0.5}", false, false},
        {"evaluate.0.finetune.label_seed", "0", true, false},
        {"evaluate.1.linear.points", "15", false, true},
        {"evaluate.1.linear.at", "[2]", false, false},
        {"evaluate.1.linear.solver", "sgd", false, true},
        {"train.epochs", "5", false, false},
    };
    bl_experiment *before = read_text(text);
    const char *finetune = row_called(before, "finetune/random/10%/test")->id, *linear = row_called(before, "linear/10%/test")->id;
    assert_string_not_equal(finetune, row_called(before, "finetune/pretrained/10%/test")->id);
    assert_int_equal(strlen(finetune), 16);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const bl_override overrides[] = {{cases[i].key, cases[i].value}, {"evaluate.1.linear.monitor", "test"}}; // of class report
        bl_experiment *after = read_with(text, overrides, 2);
        const bool moved = strcmp(finetune, row_called(after, "finetune/random/10%/test")->id) != 0;
        const bool other = strcmp(linear, row_called(after, "linear/10%/test")->id) != 0;
        if (moved != cases[i].finetune || other != cases[i].linear)
            fail_msg("%s=%s: finetune %s, linear %s", cases[i].key, cases[i].value, moved ? "changed" : "kept", other ? "changed" : "kept");
        bl_experiment_free(after);
    }
    bl_experiment_free(before);
}

// As an entry of its own and as the default of another study: 32 where nothing else is said.
static void a_view_left_out_is_as_large_as_the_studys(void **state) {
    (void)state;
    static const char *const studies[] = {"views: [{random_resized_crop: {size: 64}}]\nevaluate: [{finetune: {split: test, shares: [50]}}, {linear: {split: test, features: augmented}}]\n",
                                          "evaluate: [{finetune: {split: test, shares: [50]}}, {linear: {split: test, features: augmented}}]\n"};
    static const char *const views[] = {"{random_resized_crop: {size: 64}, flip: 0.5}", "{random_resized_crop: {size: 32}, flip: 0.5}"};
    write_file("minimal.yaml", minimal);
    for (int i = 0; i < 2; i++) {
        char text[512];
        snprintf(text, sizeof text, "base: minimal.yaml\n%s", studies[i]);
        const bl_override written[] = {{"evaluate.0.finetune.view", views[i]}, {"evaluate.1.linear.view", views[i]}};
        bl_experiment *left_out = read_text(text), *said = read_with(text, written, 2);
        for (int row = 0; row < left_out->cells[0].evaluation_count; row++) {
            const bl_evaluation *a = &left_out->cells[0].evaluations[row], *b = &said->cells[0].evaluations[row];
            assert_int_equal(a->fit.view.items[0].size, i ? 32 : 64);
            assert_string_equal(a->id, b->id);
        }
        assert_string_equal(left_out->cells[0].resolved, said->cells[0].resolved);
        assert_reads_back(left_out);
        bl_experiment_free(left_out);
        bl_experiment_free(said);
    }
}

static void published_figures_keep_spread_range_and_what_differs(void **state) {
    (void)state;
    bl_experiment *experiment = read_over_minimal(
        "expect:\n"
        "  - {row: knn/k5/test, epoch: 2, value: 70, source: a}\n"
        "  - {row: knn/k5/test, epoch: 4, value: 60, n: 3, spread: 0.5, spread_kind: half_range, source: b}\n"
        "  - {row: knn/k5/test, epoch: 4, range: [0.3, 5.5], source: c}\n"
        "  - {row: knn/k5/test, epoch: 4, value: 60, selection: best_on_test, source: d}\n"
        "  - {row: knn/k5/test, epoch: 4, value: 60, about: \"ImageNet\", source: e}\n"
        "  - {row: knn/k5/test, value: 60, source: f}\n");
    const bl_expectation *figures = experiment->expectations;
    assert_int_equal(experiment->expectation_count, 6);
    assert_true(figures[0].low == 70 && figures[0].high == 70 && isnan(figures[0].spread) && !figures[0].context);
    assert_string_equal(figures[0].selection, "last");
    assert_string_equal(figures[0].about, "");
    assert_string_equal(figures[0].spread_kind, "none");
    assert_true(figures[1].spread == 0.5 && figures[1].n == 3 && !figures[1].context);
    assert_string_equal(figures[1].spread_kind, "half_range");
    assert_true(figures[2].low == 0.3 && figures[2].high == 5.5 && figures[2].value == 2.9 && !figures[2].context);
    assert_true(figures[3].context && figures[4].context && figures[5].context);
    assert_string_equal(figures[4].about, "ImageNet");
    assert_int_equal(figures[5].epoch, 4); // the last of ours
    bl_experiment_free(experiment);
}

static const refusal refusals[] = {
    // k-NN
    {"evaluate: [{knn: {k: 5}}]", ":2:13: ", "validation, but data.validation is 0", "`validation: 5000`"},
    {"evaluate: [{knn: {k: 5, split: test, at: {every: 1}}}]", ":2:38: ", "test is looked at before training ends", "`monitor: test`"},
    {"evaluate: [{knn: {k: 5, split: test, at: [0]}}]", ":2:38: ", "test is looked at before training ends", "`monitor: test`"},
    {"evaluate: [{knn: {k: 5, split: train, protocol: cross_validation, monitor: test}}]", ":2:76: ", "does not look at test", "`split: test`"},
    {"evaluate: [{knn: {k: 5, split: train}}]", ":2:32: ", "find itself", "cross_validation"},
    {"evaluate: [{knn: {k: 401, split: test}}]", ":2:22: ", "401 neighbours from a bank of 400", "at most 400"},
    {"evaluate: [{knn: {k: 81, split: test, protocol: cross_validation}}]", ":2:22: ", "81 neighbours from a bank of 80", "at most 80"},
    {"evaluate: [{knn: {k: 5, split: test, rows: 101}}]", ":2:44: ", "101 of the 100 images of test", "at most 100"},
    {"evaluate: [{knn: {k: 5, split: test, folds: 3}}]", ":2:45: ", "folds has no meaning", "`protocol: cross_validation`"},
    {"evaluate: [{knn: {k: 5, split: test, features: pixels, at: [0]}}]", ":2:56: ", "at has no meaning", "`features: encoder`"},
    {"evaluate: [{knn: {k: 5, split: test}}, {knn: {k: 5, split: test, rows: 9}}]", ":2:41: ", "two rows are called knn/k5/test", "another k"},
    {"evaluate: [{knn: {k: 5, split: test, at: {first: 2}, monitor: test}}]", ":2:38: ", "every is missing", "`every: 1`"},
    {"evaluate: [{knn: {k: 5, split: test, at: [3, 2], monitor: test}}]", ":2:46: ", "2 after 3", "in order"},
    {"evaluate: [{}]", ":2:1: ", "an entry without a protocol", "- knn"},
    {"expect: [{row: knn/k6/test, epoch: 1, value: 1, source: me}]", ":2:16: ", "no evaluation is called knn/k6/test", "`knn/k5/test`"},
    {"expect: [{row: knn/k5/test, epoch: 1, value: 101, source: me}]", ":2:46: ", "expect.value: 101", "from 0 to 100"},
    {"expect: [{row: knn/k5/test, epoch: 1, value: 1}]", ":2:11: ", "expect.source is missing", "`source:`"},
    {"expect: [{row: knn/k5/test, epoch: 1, value: 1, source: me, cell: b}]", ":2:67: ", "no cell is called b", "`main`"},
    {"expect: [{row: knn/k5/test, value: 1, range: [1, 2], source: me}]", ":2:36: ", "expect.value beside expect.range", "one of the two"},
    {"expect: [{row: knn/k5/test, range: [2, 1], source: me}]", ":2:29: ", "2 is above 1", "lower end first"},
    {"expect: [{row: knn/k5/test, value: 1, spread: 1, source: me}]", ":2:47: ", "expect.spread: of what kind?", "`spread_kind: sd`"},
    {"expect: [{row: knn/k5/test, value: 1, spread_kind: sd, source: me}]", ":2:52: ", "of what spread?", "`spread:`"},
    {"expect: [{row: knn/k5/test, value: 1, selection: average, source: me}]", ":2:50: ", "expect.selection: no choice is called average", "best_on_test"},
    // entries
    {"evaluate: [{knn: {k: 5, split: test}, linear: {split: test}}]", ":2:39: ", "linear stands in the entry of knn", "a `-` before each"},
    {"evaluate: [{probe: {split: test}}]", ":2:13: ", "no probe trains along", "`probe: {kind: linear}`"},
    {"method: {kind: supervised}\nevaluate: [{probe: {split: test}}]", ":3:13: ", "no probe trains along", "`- accuracy:`"},
    {"evaluate: [{accuracy: {split: test}}]", ":2:13: ", "BYOL trains no classifier", "`- linear:`"},
    {"evaluate: [{linear: {}}]", ":2:13: ", "evaluate.linear.split: validation, but data.validation is 0", "`split: test`"},
    {"evaluate: [{linear: {split: train}}]", ":2:29: ", "not asked about the labels it was fitted to", "`split: test`"},
    {"evaluate: [{linear: {split: test, at: [1]}}]", ":2:35: ", "evaluate.linear.at: test is looked at", "`monitor: test`"},
    {"evaluate: [{finetune: {split: test, at: [1]}}]", ":2:37: ", "evaluate.finetune.at: no such key", "write one of arms"},
    // fits
    {"data: {validation: 100}\nevaluate: [{linear: {split: test, shares: [50], validation: 0}}]", ":3:61: ", "by labels outside it", "a part above 0"},
    {"evaluate: [{linear: {split: test, shares: []}}]", ":2:35: ", "evaluate.linear.shares: 0 numbers", "between 1 and 16"},
    {"evaluate: [{linear: {split: test, shares: [0]}}]", ":2:44: ", "evaluate.linear.shares: 0 does not fit", "above 0"},
    {"evaluate: [{linear: {split: test, shares: [10, 5]}}]", ":2:48: ", "5 after 10", "in order"},
    {"evaluate: [{linear: {split: test, shares: [1, 10]}}]", ":2:44: ", "1 % of 40 images a class is less than one", "at least 3.75"},
    {"evaluate: [{linear: {split: test, shares: [2.5]}}]", ":2:44: ", "is one, and one is held out", "or `validation: 0`"},
    {"evaluate: [{finetune: {split: test}}]", ":2:13: ", "evaluate.finetune.shares: 1 % of 40 images", "at least 3.75"},
    {"evaluate: [{linear: {split: test, validation: 0}}]", ":2:47: ", "0 means the split validation", "`validation: 5000`"},
    {"evaluate: [{linear: {split: test, features: augmented, solver: lbfgs}}]", ":2:64: ", "augmented ones never end", "`solver: sgd`"},
    {"evaluate: [{linear: {split: test, lr: [0.1]}}]", ":2:35: ", "lr has no meaning where evaluate.linear.solver is lbfgs", "`solver: sgd`"},
    {"evaluate: [{linear: {split: test, solver: sgd, points: 3}}]", ":2:56: ", "points has no meaning", "`solver: lbfgs`"},
    {"evaluate: [{linear: {split: test, solver: sgd, view: {flip: 1}}}]", ":2:48: ", "view has no meaning where evaluate.linear.features is cached", "`features: augmented`"},
    {"evaluate: [{linear: {split: test, solver: sgd, steps: 5, epochs: 3}}]", ":2:66: ", "epochs has no meaning where evaluate.linear.steps is 5", "`steps: 0`"},
    {"evaluate: [{linear: {split: test, solver: sgd, momentum: 0}}]", ":2:58: ", "no momentum", "`nesterov: false`"},
    {"evaluate: [{finetune: {split: test, shares: [50], warmup_steps: 501}}]", ":2:65: ", "501 of 500", "at most 500"},
    {"evaluate: [{finetune: {split: test, shares: [50], batch: 6}}]\nnetwork: {batch_norm: {statistics_rows: 4}}", ":2:58: ", "a batch of 6 does not fall", "a multiple of 4"},
    {"evaluate: [{finetune: {split: test, shares: [50], view: {flp: 1}}}]", ":2:58: ", "views.flp: no such key", "`flip`"},
    {"evaluate: [{finetune: {split: test, shares: [50], view: {random_resized_crop: {size: 32}}}}]\nviews: [{random_resized_crop: {size: 64}}]", ":2:86: ", "evaluated at 64 pixels", "`size: 64`"},
    {"evaluate: [{finetune: {split: test, shares: [50], view: 3}}]", ":2:57: ", "expected a map of transforms", "{flip: 0.5, ...}"},
    {"evaluate: [{finetune: {split: test, shares: [50], view: {flip: 1, normalize: imagenet}}}]", ":2:67: ", "the evaluation's own is used", "leave it out"},
    {"evaluate: [{finetune: {split: test, shares: [50], view: {random_resized_crop: {size: 16}}}}]", ":2:86: ", "evaluated at 32 pixels", "`size: 32`"},
    // arms
    {"evaluate: [{finetune: {split: test, shares: [50], arms: []}}]", ":2:51: ", "evaluate.finetune.arms: 0 arms", "between 1 and 8"},
    {"evaluate: [{finetune: {split: test, shares: [50], arms: [imagenet]}}]", ":2:58: ", "evaluate.finetune.arms: no such arm", "{name: {weights: PATH}}"},
    {"evaluate: [{finetune: {split: test, shares: [50], arms: [random, random]}}]", ":2:66: ", "random stands there twice", "each once"},
    {"evaluate: [{finetune: {split: test, shares: [50], arms: {mine: other}}}]", ":2:64: ", "no such arm", "pretrained, random"},
    {"evaluate: [{finetune: {split: test, shares: [50], arms: {a/b: random}}}]", ":2:58: ", "cannot name an arm", "letters, digits"},
    {"evaluate: [{finetune: {split: test, shares: [50], arms: {test: random}}}]", ":2:58: ", "cannot name an arm", "no split"},
    {"evaluate: [{finetune: {split: test, shares: [50], arms: {a: {run: x, weights: y}}}}]", ":2:58: ", "expected one file", "{run: PATH}"},
    {"evaluate: [{finetune: {split: test, shares: [50], arms: {a: {run: x, prefix: online}}}}]", ":2:78: ", "prefix: online does not fit", "beside `weights`"},
    {"evaluate: [{finetune: {split: test, shares: [50], arms: {a: {run: x, preprocessing: drop}}}}]", ":2:85: ", "preprocessing: drop does not fit", "`keep`"},
    {"evaluate: [{finetune: {split: test, shares: [50], arms: {a: {weights: \"${BYOLAB_UNSET}/x\"}}}}]", ":2:71: ", "BYOLAB_UNSET is not set", "export"},
};

static void what_cannot_be_measured_is_refused_where_it_stands(void **state) {
    (void)state;
    assert_refused(refusals, sizeof refusals / sizeof *refusals);
}

static void a_list_that_is_too_long_is_refused_with_its_limit(void **state) {
    (void)state;
    static const struct {
        const char *key;
        int most;
        bool is_map;
        const char *advice;
    } lists[] = {
        {"train.seeds", 64, false, "between 1 and 64 of them"},
        {"save.checkpoints", 32, false, "write at most 32"},
        {"evaluate.0.knn.at", 32, false, "write at most 32, or {first, every}"},
        {"evaluate.1.linear.shares", 16, false, "between 1 and 16 of them"},
        {"evaluate.1.linear.lr", 16, false, "between 1 and 16 of them"},
        {"evaluate.2.finetune.arms", 8, true, "between 1 and 8 of them"},
    };
    write_file("minimal.yaml", minimal);
    static const char text[] = "base: minimal.yaml\n"
                               "evaluate: [{knn: {k: 5, split: test, monitor: test}}, {linear: {split: test, solver: sgd}}, {finetune: {split: test, shares: [50]}}]\n";
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        for (int count = lists[i].most; count <= lists[i].most + 1; count++) {
            bl_experiment *experiment;
            bl_text list = {0};
            for (int k = 0; k < count; k++)
                bl_text_add(&list, lists[i].is_map ? "%sa%d: random" : "%s%d", k ? ", " : lists[i].is_map ? "{" : "[", 20 + k);
            bl_text_add(&list, lists[i].is_map ? "}" : "]");
            const bl_override set = {lists[i].key, list.chars};
            const int status = bl_experiment_read(&experiment, write_file("mine.yaml", text), &set, 1);
            if ((status == BL_OK) != (count == lists[i].most)) fail_msg("%s: %d of them: %s", lists[i].key, count, bl_error());
            if (status && !strstr(bl_error(), lists[i].advice)) fail_msg("%s: %s", lists[i].key, bl_error());
            bl_experiment_free(experiment);
            bl_text_free(&list);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_becomes_a_row_for_each_arm_and_share),
        cmocka_unit_test(linear_and_finetune_have_their_defaults),
        cmocka_unit_test(budgets_grow_with_the_share_as_the_file_says),
        cmocka_unit_test(every_key_of_a_fit_reaches_its_field),
        cmocka_unit_test(a_rows_id_changes_with_its_own_keys_alone),
        cmocka_unit_test(published_figures_keep_spread_range_and_what_differs),
        cmocka_unit_test(a_view_left_out_is_as_large_as_the_studys),
        cmocka_unit_test(what_cannot_be_measured_is_refused_where_it_stands),
        cmocka_unit_test(a_list_that_is_too_long_is_refused_with_its_limit),
    };
    return cmocka_run_group_tests(tests, set_environment, bl_test_leave);
}
