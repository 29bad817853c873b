// What an experiment file may leave open and what it may not: null, keys with dots, words that nothing is called, numbers that are texts.
// Each refusal names the cause and what to write.

#include "experiment/names.h"
#include "experiment_rig.h"

static const refusal refusals[] = {
    // null, or nothing, where none and the default are two things
    {"method: {predictor: null}", ":2:21: ", "method.predictor: null", "write `predictor: {kind: none}` for none, or leave the key out for the default, {kind: mlp}"},
    {"method: {predictor: ~}", ":2:21: ", "method.predictor: null", "{kind: none}"},
    {"method:\n  predictor:", ":3:3: ", "method.predictor: null, or nothing at all", "{kind: none}"},
    {"method: {predictor: {kind: null}}", ":2:28: ", "method.predictor.kind", "write `kind: none` for none, or leave the key out for the default, mlp"},
    {"method: {target: ~}", ":2:18: ", "method.target", "(ema | online | frozen)"},
    {"method: {target: {tau: null}}", ":2:24: ", "method.target.tau", "write `tau: 0` for none, or leave the key out for the default, 0.99"},
    {"method:", ":2:1: ", "method", "leave the key out"},
    {"evaluate:", ":2:1: ", "evaluate", "write `evaluate: []` for none"},
    {"evaluate: ~", ":2:11: ", "evaluate", "write `evaluate: []` for none"},
    {"evaluate:\n  - knn:", ":3:5: ", "evaluate.knn", "write `knn: {}` for its defaults"},
    {"evaluate: [{knn: {monitor: null}}]", ":2:28: ", "evaluate.knn.monitor", "write `monitor: none` for none"},
    {"evaluate: [{knn: {at: null}}]", ":2:23: ", "evaluate.knn.at", "write `at: []` for none"},
    {"evaluate: [{finetune: {arms: {a: null}}}]", ":2:34: ", "no such arm", "pretrained"},
    {"evaluate: [{finetune: {lr: [0.1, null]}}]", ":2:34: ", "nothing does not fit", "numbers"},
    {"evaluate: [null]", ":2:12: ", "expected a map", ""},
    {"views: [{blur: }]", ":2:10: ", "views.blur", "write `blur: {}` for its defaults, or leave it out for none"},
    {"views: [{flip: null}]", ":2:16: ", "views.flip", "or leave the key out for none"},
    {"train: {schedule: null}", ":2:19: ", "train.schedule", "constant | cosine | step | plateau, or leave the key out for the default, constant"},
    {"train: {seeds: null}", ":2:16: ", "train.seeds", "a list of whole numbers"},
    {"train: {stop_on: null}", ":2:18: ", "null takes back what was written before, and nothing was", "write `stop_on: none` for none"},
    {"train: {optimizer: null}", ":2:20: ", "train.optimizer", "(adam | sgd | lars)"},
    {"network: {projector: null}", ":2:22: ", "network.projector", "leave the key out for the defaults"},
    {"save: {weights: null}", ":2:17: ", "save.weights", "write `weights: none`"},
    {"save: {checkpoints: null}", ":2:21: ", "save.checkpoints", "write `checkpoints: []`"},
    {"machine: null", ":2:10: ", "machine", "leave the key out"},
    {"expect: null", ":2:9: ", "expect", "write `expect: []`"},
    {"cells:", ":2:1: ", "cells", "write `cells: {name: {key: value}}`"},
    {"cells: {a: , b: {}}", ":2:9: ", "cells.a: expected a map of keys", "write `a: {key: value}`, or `a: {}` for the file as it is"},
    {"cells: {a: {}, b: {method: {predictor: null}}}", ":2:40: ", "method.predictor", "{kind: none}"},
    {"sweep:", ":2:1: ", "sweep", "leave the key out"},
    {"sweep: {product: {method.predictor: [null, {kind: none}]}}", ":2:38: ", "method.predictor", "{kind: none}"},
    {"foo: null", ":2:1: ", "foo: no such key", "write one of base"},
    // keys with dots
    {"method.stop_gradient: false", ":2:1: ", "method.stop_gradient: a key with dots", "write `method: {stop_gradient: false}`"},
    {"method: {target.tau: 0.5}", ":2:10: ", "method.target.tau: a key with dots", "write `target: {tau: 0.5}`"},
    {"method.target.tau: 0.5", ":2:1: ", "a key with dots", "write `method: {target: {tau: 0.5}}`"},
    {"cells: {a: {}, b: {method.stop_gradient: false}}", ":2:20: ", "a key with dots", "write `method: {stop_gradient: false}`"},
    {"evaluate: [{knn.k: 5}]", ":2:13: ", "a key with dots", "write `knn: {k: 5}`"},
    {"evaluate: [{knn: {at.every: 5}}]", ":2:19: ", "a key with dots", "write `at: {every: 5}`"},
    {"evaluate: [{linear: {features: augmented, view: {blur.p: 1}}}]", ":2:50: ", "a key with dots", "write `blur: {p: 1}`"},
    {"views: [{blur.p: 0.5}]", ":2:10: ", "a key with dots", "write `blur: {p: 0.5}`"},
    {"report.title: \"a b\"", ":2:1: ", "a key with dots", "write `report: {title: \"a b\"}`"},
    {"evaluate.0.knn.k: 5", ":2:1: ", "a key with dots", "a list's with its entries"},
    {"evaluate[]: [{knn: {k: 5}}]", ":2:1: ", "a key with dots or brackets", "a list's with its entries"},
    {"expect[].row: knn/k5/test", ":2:1: ", "a key with dots or brackets", "a list's with its entries"},
    {"sweep: {product: {method: [{target.tau: 0.5}]}}", ":2:29: ", "a key with dots", "write `target: {tau: 0.5}`"},
    {"\"\": 3", ":2:1: ", "a key without a name", "write one of base"},
    // words
    {"train: {optimizer: {kind: adamw}}", ":2:27: ", "no choice is called adamw", "write one of adam, sgd, lars"},
    {"network: {encoder: resnet152}", ":2:20: ", "no choice is called resnet152", "write one of resnet18"},
    {"network: {encoder: resent18}", ":2:20: ", "no choice is called resent18", "write `resnet18`"},
    {"tr\xd0\xb0in: {epochs: 3}", ":2:1: ", "(U+0430) is no letter of ours", "write one of base"},
    {"train: {optimizer: {kind: \xd0\xb0" "dam}}", ":2:27: ", "(U+0430) is no letter of ours", "write one of adam"},
    {"train: {epochs:3}", ":2:9: ", "train.epochs:3: no such key", "write `epochs: 3`, with a space"},
    {"train:\n  epochs:3", ":3:3: ", "train: expected a map of keys", "write a space behind the colon"},
    {"expect: [{row: knn/k5/test, value: 1, source: a, cell: mian}]", ":2:56: ", "no cell is called mian", "write `main`"},
    // numbers that are none of ours, and texts
    {"train: {epochs: 0x10}", ":2:17: ", "0x10 does not fit", "a whole number"},
    {"train: {epochs: 0o7}", ":2:17: ", "0o7 does not fit", "a whole number"},
    {"train: {epochs: 1_000}", ":2:17: ", "1_000 does not fit", "a whole number"},
    {"train: {epochs: 3.0}", ":2:17: ", "3.0 does not fit", "a whole number"},
    {"train: {optimizer: {lr: .inf}}", ":2:25: ", ".inf does not fit", "a number"},
    {"train: {optimizer: {lr: 1e400}}", ":2:25: ", "1e400 does not fit", "a number"},
    {"train: {optimizer: {weight_decay: 1e-400}}", ":2:35: ", "1e-400 does not fit", "a number"},
    {"train: {optimizer: {weight_decay: \"0\"}}", ":2:35: ", "the text \"0\" does not fit", "write it without quotes: a number"},
    {"train: {batch: 1000000}", ":2:16: ", "1000000 does not fit", "from 1 to 65536"},
    {"train: {steps: -1}", ":2:16: ", "-1 does not fit", "from 0 to 1000000000000"},
    {"train: {seeds: [1.5]}", ":2:17: ", "1.5 does not fit", "from 0 to 9007199254740992"},
    {"method: {stop_gradient: on}", ":2:25: ", "on does not fit", "write true or false"},
    {"method: {stop_gradient: \"true\"}", ":2:25: ", "the text \"true\" does not fit", "write it without quotes: true or false"},
    {"report: {title: 2024}", ":2:17: ", "report.title: 2024 is no text as it stands", "write \"2024\", between quotes"},
    {"report: {title: true}", ":2:17: ", "true is no text", "write \"true\""},
    {"report: {title: -.inf}", ":2:17: ", "-.inf is no text", "write \"-.inf\""},
    {"train: {milestones: [100000, 50000], schedule: step}", ":2:30: ", "50000 after 100000", ""},
};

static void what_could_mean_two_things_is_refused_with_both(void **state) {
    (void)state;
    assert_refused(refusals, sizeof refusals / sizeof *refusals);
}

// Where it can mean one thing only, null takes back what an earlier layer wrote: a base, the file below its cells, what --set stands over.
static void null_takes_back_what_was_written_before(void **state) {
    (void)state;
    write_file("minimal.yaml", minimal);
    write_file("middle.yaml", "base: minimal.yaml\ntrain: {steps: 60, log_every: 3}\n");
    bl_experiment *experiment = read_text("base: middle.yaml\ntrain: {steps: null}\ncells: {a: {train: {log_every: ~}}, b: {network: {width: 8}}}\n");
    assert_int_equal(experiment->cells[0].train.steps, 0);
    assert_int_equal(experiment->cells[0].train.log_every, 10);
    assert_int_equal(experiment->cells[1].train.log_every, 3);
    bl_experiment_free(experiment);

    static const bl_override overrides[] = {{"views.0.flip", "null"}, {"train.epochs", "null"}, {"train.steps", "5"}, {"cells.a", "null"}};
    char text[1024];
    snprintf(text, sizeof text, "%scells: {a: {}, b: {network: {width: 8}}}\n", minimal);
    experiment = read_with(text, overrides, 4);
    assert_int_equal(experiment->cell_count, 1);
    assert_string_equal(experiment->cells[0].name, "b");
    assert_int_equal(experiment->cells[0].views[0].count, 1);
    assert_int_equal(experiment->cells[0].views[0].items[0].kind, BL_NORMALIZE);
    assert_int_equal(experiment->cells[0].train.steps, 5);
    bl_experiment_free(experiment);
}

static void null_as_an_override_is_refused_like_a_line_of_the_file(void **state) {
    (void)state;
    static const bl_override wrong[] = {{"method.predictor", "null"}, {"method.predictor", ""}, {"evaluate", ""}, {"train.schedule", "~"}, {"method", "{target.tau: 0.5}"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char name[64];
        bl_experiment *experiment;
        snprintf(name, sizeof name, "--set %s=%s: ", wrong[i].key, wrong[i].value);
        assert_int_not_equal(bl_experiment_read(&experiment, write_file("mine.yaml", minimal), &wrong[i], 1), BL_OK);
        if (strncmp(bl_error(), name, strlen(name))) fail_msg("should begin with %s, but is\n%s", name, bl_error());
    }
}

// One is suggested where a letter slipped; where another thing is meant all are named.
static void slips_are_told_from_other_words(void **state) {
    (void)state;
    static const struct {
        const char *typed, *name;
        bool is_slip;
    } cases[] = {
        {"cosin", "cosine", true},      {"cosnie", "cosine", true},   {"cosinee", "cosine", true},  {"cosime", "cosine", true}, {"Cosine", "cosine", true},
        {"adm", "adam", true},          {"adma", "adam", true},       {"adamm", "adam", true},      {"SGD", "sgd", true},       {"flp", "flip", true},
        {"epoch", "epochs", true},      {"batchs", "batch", true},    {"held-out", "held_out", true}, {"stopgradient", "stop_gradient", true},
        {"ResNet-18", "resnet18", true}, {"resent18", "resnet18", true}, {"adamw", "adam", false},   {"nadam", "adam", false},   {"adan", "adam", false},
        {"resnet152", "resnet18", false}, {"resnet19", "resnet18", false}, {"resnet1", "resnet18", false}, {"cifar10", "cifar100", false},
        {"none", "one", false},         {"f16", "bf16", false},       {"fp32", "tf32", false},      {"lbfgsb", "lbfgs", false}, {"linear", "bilinear", false},
        {"q", "p", false},              {"", "p", false},             {"mlp2", "mlp", false},
    };
    bl_arena *arena = bl_arena_create();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *const names[] = {"something else", cases[i].name};
        const char *advice = bl_name_advice(arena, cases[i].typed, names, 2);
        const char *expected = bl_arena_format(arena, cases[i].is_slip ? "write `%s`" : "write one of something else, %s", cases[i].name);
        if (strcmp(advice, expected) != 0) fail_msg("%s: %s", cases[i].typed, advice);
    }
    bl_arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_could_mean_two_things_is_refused_with_both),
        cmocka_unit_test(null_takes_back_what_was_written_before),
        cmocka_unit_test(null_as_an_override_is_refused_like_a_line_of_the_file),
        cmocka_unit_test(slips_are_told_from_other_words),
    };
    return cmocka_run_group_tests(tests, set_environment, bl_test_leave);
}
