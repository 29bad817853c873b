// What a recipe that differs is told by.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiment_rig.h"
#include "record/recipe.h"

// `minimal` with a line over it, against `minimal` with another.
static void each_key_that_differs_is_told_with_both_values(void **state) {
    (void)state;
    static const struct {
        const char *now, *was, *says;
        bool longer;
    } cases[] = {
        {"method: {predictor: {hidden: 32}}", "method: {predictor: {hidden: 16}}", "method.predictor.hidden: 32, was 16", false},
        {"method: {predictor: {hidden: 32}}", "", "method.predictor.hidden: 32, was 4096", false},
        {"train: {epochs: 8}", "", "train.epochs: 8, was 4", true},
        {"train: {epochs: 12}", "train: {epochs: 9}", "train.epochs: 12, was 9", true}, // as numbers
        {"train: {epochs: 2}", "", "train.epochs: 2, was 4", false},
        {"train: {epochs: 8, batch: 8}", "", "train.epochs: 8, was 4; train.batch: 8, was 16", false},
        {"train: {epochs: null, steps: 20}", "", "train.steps: 20, was 0", false},
        {"train: {optimizer: {lr: {value: 0.1, per: 16}}}", "", "train.optimizer.lr: {value: 0.1, per: 16}, was 0.1", false},
        {"data: {dataset: cifar10, root: /a, train: null, test: null}", "", "data.dataset: cifar10, was shapes", false},
        // What has no meaning beside a key that differs is not told.
        {"method: {predictor: {kind: none}, target: {source: online}}", "", "method.predictor.kind: none, was mlp; method.target.source: online, was ema", false},
        {"method: {target: {init: independent}}", "", "method.target.init: independent, was copy", false},
        {"views: [{flip: 0.25, normalize: imagenet}]", "", "views.0.flip: 0.25, was 0.5", false},
        {"views: [{normalize: imagenet}]", "", "views.0.flip: not there, was 0.5", false},
        {"views: [{flip: 0.5, solarize: {p: 0.2}, normalize: imagenet}]", "views: [{solarize: {p: 0.2}, flip: 0.5, normalize: imagenet}]",
         "views.0: flip, then solarize, then normalize, was solarize, then flip, then normalize", false},
        {"views: [{flip: 0.5, normalize: imagenet}, {flip: 0.5, grayscale: 0.1, normalize: imagenet}]", "",
         "views: [{flip: 0.5, normalize: {mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] ..., was [{flip: 0.5, normalize: {mean: [0.485, "
         "0.456, 0.406], std: [0.229, 0.224, 0.225] ...", false},
        // Keys of other classes are no recipe's.
        {"machine: {threads: 3}", "", "", false},
        {"save: {features: last}", "", "", false},
        {"evaluate: []", "", "", false},
        {"network: {encoder: resnet34, stem: imagenet, width: 8, zero_init_residual: true, batch_norm: {statistics_rows: 4}}\ntrain: {batch: 8}", "",
         "network.encoder: resnet34, was resnet18; network.stem: imagenet, was cifar; network.width: 8, was 64; network.zero_init_residual: true, was "
         "false; network.batch_norm.statistics_rows: 4, was 0; and 1 more", false},
    };
    write_file("minimal.yaml", minimal);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[300];
        bl_text text = {0};
        bool longer;
        snprintf(line, sizeof line, "%s\n", cases[i].now);
        bl_experiment *now = read_over_minimal(line);
        snprintf(line, sizeof line, "%s\n", cases[i].was);
        bl_experiment *was = read_over_minimal(line);
        assert_ok(bl_recipe_differences(now->cells[0].resolved, was->cells[0].resolved, &longer, &text));
        assert_string_equal(text.size ? text.chars : "", cases[i].says);
        assert_int_equal(longer, cases[i].longer);
        // What is told is what makes an id.
        assert_int_equal(!text.size, !strcmp(now->cells[0].train_id, was->cells[0].train_id));
        bl_text_free(&text);
        bl_experiment_free(now);
        bl_experiment_free(was);
    }
}

// A text of an earlier version lacks keys: they stand at their default, which says nothing, unless ours do not.
static void a_key_that_an_earlier_version_did_not_know_stands_at_its_default(void **state) {
    (void)state;
    static const char was[] = "method:\n  target:\n    tau: 0.99\ntrain:\n  epochs: 4\n";
    static const struct {
        const char *now, *says;
        bool longer;
    } cases[] = {
        {"method:\n  target:\n    tau: 0.990\n    buffers: own\ntrain:\n  epochs: 4\n", "", false},
        {"method:\n  target:\n    tau: 0.99\n    buffers: average\ntrain:\n  epochs: 4\n", "method.target.buffers: average, was own", false},
        {"method:\n  target:\n    tau: 0.99\n    buffers: own\ntrain:\n  epochs: 5\n", "train.epochs: 5, was 4", true},
        {"method:\n  target:\n    tau: 0.99\n    buffers: average\ntrain:\n  epochs: 5\n", "train.epochs: 5, was 4", false}, // not longer alone
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bl_text text = {0};
        bool longer;
        assert_ok(bl_recipe_differences(cases[i].now, was, &longer, &text));
        assert_string_equal(text.size ? text.chars : "", cases[i].says);
        assert_int_equal(longer, cases[i].longer);
        bl_text_free(&text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_key_that_differs_is_told_with_both_values),
        cmocka_unit_test(a_key_that_an_earlier_version_did_not_know_stands_at_its_default),
    };
    return cmocka_run_group_tests(tests, set_environment, bl_test_leave);
}
