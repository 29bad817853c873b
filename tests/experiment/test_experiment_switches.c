// The switches of the method in an experiment file: every key reaches its field, stands at the paper's value when left out,
// changes what a run is called, and is refused where it means nothing.

#include "experiment/cell.h" // bl_cell_warn, bl_cell_precision
#include "experiment_rig.h"
#include "train/model.h"     // bl_model_build_step

static void switches_left_out_are_the_papers(void **state) {
    (void)state;
    bl_experiment *experiment = read_text(minimal);
    const bl_cell *cell = &experiment->cells[0];
    const bl_model_options *model = &cell->model;
    assert_int_equal(cell->task, BL_TASK_BYOL);
    assert_int_equal(model->encoder.stem_padding, 1);
    assert_false(model->encoder.zero_init_residual);
    assert_int_equal(model->encoder.init.convolution, BL_INIT_KAIMING_FAN_OUT);
    assert_int_equal(model->encoder.init.linear, BL_INIT_UNIFORM_FAN_IN);
    assert_int_equal(model->encoder.statistics_rows, 0);
    const bl_head_options *heads[] = {&model->projector, &model->method.predictor_head};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(heads[i]->depth, 2);
        assert_true(heads[i]->hidden_bias && heads[i]->out_bias);
        assert_int_equal(heads[i]->batch_norm, BL_NORM_HIDDEN);
        assert_int_equal(heads[i]->init, BL_INIT_UNIFORM_FAN_IN);
    }
    assert_int_equal(model->method.target_update, BL_UPDATE_AFTER_STEP);
    assert_false(model->method.target_running || model->method.average_buffers || model->method.one_direction);
    assert_int_equal(model->method.reduction, BL_REDUCE_SUM);
    assert_int_equal(model->method.normalization, BL_LOSS_L2);
    assert_int_equal(model->probe_classes, 0);
    assert_true(model->optimizer.eta == 1e-3 && model->optimizer.trust_epsilon == 0);
    assert_false(model->optimizer.clip || model->optimizer.decay_apart);
    const bl_schedule *schedule = &cell->train.schedule;
    assert_int_equal(schedule->kind, BL_SCHEDULE_CONSTANT);
    assert_true(schedule->base == 0.1 && schedule->warmup == 0 && schedule->warmup_start == 0 && schedule->least == 0);
    assert_false(schedule->per_epoch);
    assert_int_equal(cell->train.steps, 0);
    assert_false(cell->train.stop_when_collapsed);
    assert_int_equal(cell->train.collapse_every, 50);
    assert_true(cell->label_share == 100);
    bl_experiment_free(experiment);
}

static void every_switch_reaches_its_field(void **state) {
    (void)state;
    bl_experiment *experiment = read_over_minimal(
        "views:\n"
        "  - {random_resized_crop: {size: 32, interpolation: bicubic}, color_jitter: {rule: deepmind}, solarize: {p: 0.2, threshold: 0.4}}\n"
        "  - {center_crop: {size: 32, resize: 40}, solarize: {p: 0.3}}\n"
        "network:\n"
        "  stem_padding: 2\n"
        "  zero_init_residual: true\n"
        "  initialization: {convolution: truncated_fan_in, linear: truncated_fan_in}\n"
        "  batch_norm: {statistics_rows: 4}\n"
        "  projector: {depth: 3, batch_norm: all, hidden_bias: false, out_bias: false}\n"
        "method:\n"
        "  predictor: {kind: fixed, depth: 1, batch_norm: none, hidden_bias: false, out_bias: false}\n"
        "  target: {update: before_forward, batch_norm: running, buffers: average}\n"
        "  loss: {reduction: half, normalization: layer_norm, directions: one}\n"
        "  probe: {kind: linear, lr_scale: 0.5}\n"
        "train:\n"
        "  epochs: 9\n"
        "  accumulate: 2\n"
        "  optimizer:\n"
        "    {kind: lars, lr: {value: 0.2, per: 64}, nesterov: true, eta: 0.02, trust_epsilon: 1e-8, clip: true,\n"
        "     trust_denominator: gradient_and_weights}\n"
        "  schedule: step\n"
        "  milestones: [2, 4.5]\n"
        "  factor: 0.2\n"
        "  stepping: epoch\n"
        "  warmup: 1\n"
        "  warmup_start: 0.01\n"
        "  stop_on: collapsed\n"
        "  collapse_every: 7\n");
    const bl_cell *cell = &experiment->cells[0];
    const bl_model_options *model = &cell->model;
    const bl_transform *view = cell->views[0].items, *other = cell->views[1].items;
    assert_int_equal(view[0].interpolation, BL_BICUBIC);
    assert_int_equal(view[1].rule, BL_JITTER_DEEPMIND);
    assert_true(view[2].kind == BL_SOLARIZE && view[2].p == 0.2 && view[2].threshold == 0.4);
    assert_true(other[0].kind == BL_CENTER_CROP && other[0].size == 32 && other[0].resize == 40);
    assert_true(other[1].kind == BL_SOLARIZE && other[1].p == 0.3 && other[1].threshold == 0.5);
    assert_int_equal(model->encoder.stem_padding, 2);
    assert_true(model->encoder.zero_init_residual);
    assert_int_equal(model->encoder.init.convolution, BL_INIT_TRUNCATED_FAN_IN);
    assert_int_equal(model->encoder.statistics_rows, 4);
    assert_int_equal(model->projector.depth, 3);
    assert_int_equal(model->projector.batch_norm, BL_NORM_ALL);
    assert_int_equal(model->projector.init, BL_INIT_TRUNCATED_FAN_IN);
    assert_false(model->projector.hidden_bias || model->projector.out_bias);
    assert_int_equal(model->method.predictor, BL_PREDICTOR_FIXED);
    assert_int_equal(model->method.predictor_head.depth, 1);
    assert_int_equal(model->method.predictor_head.init, BL_INIT_TRUNCATED_FAN_IN);
    assert_false(model->method.predictor_head.hidden_bias || model->method.predictor_head.out_bias);
    assert_int_equal(model->method.target_update, BL_UPDATE_BEFORE_FORWARD);
    assert_true(model->method.target_running && model->method.average_buffers && model->method.one_direction);
    assert_int_equal(model->method.reduction, BL_REDUCE_HALF);
    assert_int_equal(model->method.normalization, BL_LOSS_LAYER_NORM);
    assert_int_equal(model->probe_classes, 10);
    assert_true(model->probe_lr_scale == 0.5);
    assert_int_equal(model->optimizer.kind, BL_OPTIMIZER_LARS);
    assert_true(model->optimizer.momentum == 0.9 && model->optimizer.nesterov && model->optimizer.eta == 0.02);
    assert_true(model->optimizer.trust_epsilon == 1e-8 && model->optimizer.clip && model->optimizer.decay_apart);
    const bl_schedule *schedule = &cell->train.schedule;
    assert_int_equal(schedule->kind, BL_SCHEDULE_STEP);
    assert_true(schedule->base == 0.2 * 16 * 2 / 64); // of an update of 32 images
    assert_int_equal(schedule->milestone_count, 2);
    assert_true(schedule->milestones[0] == 2 && schedule->milestones[1] == 4.5 && schedule->factor == 0.2);
    assert_true(schedule->per_epoch && schedule->warmup == 1 && schedule->warmup_start == 0.01);
    assert_true(cell->train.stop_when_collapsed);
    assert_int_equal(cell->train.collapse_every, 7);
    assert_non_null(strstr(cell->resolved, "lr: {value: 0.2, per: 64}\n")); // as written: it follows the batch
    assert_reads_back(experiment);
    bl_experiment_free(experiment);
}

static void a_plateau_watches_the_loss_or_a_row_of_validation(void **state) {
    (void)state;
    bl_experiment *experiment = read_over_minimal("train: {schedule: plateau, factor: 0.2, patience: 20, least_lr: 1e-4}\n");
    const bl_schedule *schedule = &experiment->cells[0].train.schedule;
    assert_int_equal(schedule->kind, BL_SCHEDULE_PLATEAU);
    assert_true(schedule->factor == 0.2 && schedule->patience == 20 && schedule->least == 1e-4);
    assert_string_equal(experiment->cells[0].train.plateau_row, "loss");
    bl_experiment_free(experiment);
    experiment = read_over_minimal("data: {validation: 50}\n"
                                   "train: {schedule: plateau, plateau_row: knn/k3/validation}\n"
                                   "evaluate: [{knn: {k: 3, at: {every: 1}}}]\n");
    assert_string_equal(experiment->cells[0].train.plateau_row, "knn/k3/validation");
    assert_reads_back(experiment);
    bl_experiment_free(experiment);
}

static void steps_stand_for_epochs_and_end_inside_the_last(void **state) {
    (void)state;
    const bl_override steps = {"train.steps", "60"};
    bl_experiment *experiment = read_with(minimal, &steps, 1); // 25 updates of 16 images an epoch; the file's epochs give way
    const bl_cell *cell = &experiment->cells[0];
    assert_int_equal(cell->train.steps, 60);
    assert_int_equal(cell->train.epochs, 3);
    assert_non_null(strstr(cell->resolved, "steps: 60\n"));
    assert_null(strstr(cell->resolved, "epochs:"));
    assert_reads_back(experiment);
    bl_experiment_free(experiment);
}

static void supervised_training_has_labels_and_a_head_and_nothing_of_byol(void **state) {
    (void)state;
    bl_experiment *experiment = read_over_minimal("data: {labels: 10}\n"
                                                  "method: {kind: supervised, head: {hidden: 32, lr_scale: 10}}\n"
                                                  "evaluate: [{accuracy: {split: test}}]\n");
    const bl_cell *cell = &experiment->cells[0];
    assert_int_equal(cell->task, BL_TASK_SUPERVISED);
    assert_true(cell->label_share == 10);
    assert_int_equal(cell->head_hidden, 32);
    assert_true(cell->head_lr_scale == 10);
    assert_string_equal(cell->evaluations[0].row, "accuracy/test");
    static const char *const idle[] = {"projector:", "predictor:", "target:", "pairing:", "loss:", "probe:", "stop_on:", "collapse_every:"};
    for (size_t i = 0; i < sizeof idle / sizeof *idle; i++) assert_null(strstr(cell->resolved, idle[i]));
    assert_reads_back(experiment);
    bl_experiment_free(experiment);

    // A cell of a study of BYOL need not take back what BYOL says.
    experiment = read_over_minimal("method: {predictor: {hidden: 64}, target: {tau: 0.9}, loss: {reduction: mean}}\n"
                                   "network: {projector: {hidden: 64}}\n"
                                   "cells: {byol: {}, supervised: {method: {kind: supervised}}}\n");
    assert_int_equal(experiment->cells[1].task, BL_TASK_SUPERVISED);
    assert_null(strstr(experiment->cells[1].resolved, "tau:"));
    bl_experiment_free(experiment);
}

static void a_switch_that_does_not_move_keeps_the_id_and_one_that_does_changes_it(void **state) {
    (void)state;
    static const struct {
        const char *key, *default_value, *other;
    } switches[] = {
        {"network.encoder", "resnet18", "resnet34"},
        {"network.encoder", "resnet18", "resnet50"},
        {"network.stem", "cifar", "imagenet"},
        {"network.stem_padding", "1", "2"},
        {"network.zero_init_residual", "false", "true"},
        {"network.initialization.convolution", "kaiming_fan_out", "uniform_fan_in"},
        {"network.initialization.linear", "uniform_fan_in", "truncated_fan_in"},
        {"network.batch_norm.statistics_rows", "0", "8"},
        {"network.projector.depth", "2", "3"},
        {"network.projector.batch_norm", "hidden", "all"},
        {"network.projector.hidden_bias", "true", "false"},
        {"network.projector.out_bias", "true", "false"},
        {"method.kind", "byol", "supervised"},
        {"method.predictor.kind", "mlp", "linear"},
        {"method.predictor.depth", "2", "3"},
        {"method.predictor.hidden_bias", "true", "false"},
        {"method.predictor.out_bias", "true", "false"},
        {"method.target.update", "after_step", "before_forward"},
        {"method.target.buffers", "own", "average"},
        {"method.loss.reduction", "sum", "mean"},
        {"method.loss.normalization", "l2", "batch_norm"},
        {"method.loss.directions", "both", "one"},
        {"method.probe.kind", "none", "linear"},
        {"train.optimizer.kind", "adam", "lars"},
        {"train.optimizer.lr", "0.1", "{value: 0.1, per: 256}"},
        {"train.schedule", "constant", "plateau"},
        {"train.stepping", "iteration", "epoch"},
        {"train.steps", "0", "10"},
        {"train.stop_on", "none", "collapsed"},
        {"train.collapse_every", "10", NULL}, // class machine
    };
    bl_experiment *before = read_text(minimal);
    for (size_t i = 0; i < sizeof switches / sizeof *switches; i++) {
        const bl_override still = {switches[i].key, switches[i].default_value}, moved = {switches[i].key, switches[i].other};
        bl_experiment *after = read_with(minimal, &still, 1);
        if (strcmp(before->cells[0].train_id, after->cells[0].train_id)) fail_msg("%s: %s changed the id", switches[i].key, switches[i].default_value);
        bl_experiment_free(after);
        if (!switches[i].other) continue;
        after = read_with(minimal, &moved, 1);
        if (!strcmp(before->cells[0].train_id, after->cells[0].train_id)) fail_msg("%s kept the id", switches[i].key);
        bl_experiment_free(after);
    }
    bl_experiment_free(before);
}

static void the_distance_of_diagnoses_is_of_the_id_where_one_can_end_the_run(void **state) {
    (void)state;
    const bl_override stop = {"train.stop_on", "collapsed"};
    bl_experiment *left_out = read_with(minimal, &stop, 1);
    static const struct {
        const char *every;
        bool same;
    } cases[] = {{"50", true}, {"10", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bl_experiment *set = read_with(minimal, (bl_override[]){stop, {"train.collapse_every", cases[i].every}}, 2);
        assert_true(!strcmp(left_out->cells[0].train_id, set->cells[0].train_id) == cases[i].same);
        bl_experiment_free(set);
    }
    bl_experiment_free(left_out);
}

static const refusal refusals[] = {
    // idle keys
    {"train: {optimizer: {kind: adam, eta: 0.1}}", ":2:38: ", "eta has no meaning where train.optimizer.kind is adam", "`kind: lars`"},
    {"train: {optimizer: {kind: sgd, clip: true}}", ":2:38: ", "clip has no meaning", "`kind: lars`"},
    {"train: {optimizer: {kind: sgd, trust_denominator: decayed_gradient}}", ":2:51: ", "trust_denominator has no meaning", "`kind: lars`"},
    {"train: {milestones: [2]}", ":2:9: ", "milestones has no meaning where train.schedule is constant", "`schedule: step`"},
    {"train: {schedule: cosine, patience: 3}", ":2:37: ", "patience has no meaning", "`schedule: plateau`"},
    {"train: {least_lr: 0.01}", ":2:19: ", "least_lr has no meaning", "`schedule: cosine`"},
    {"train: {steps: 10, epochs: 2}", ":2:28: ", "epochs has no meaning where train.steps is 10", "`steps: 0`"},
    {"network: {stem_padding: 0}", ":2:25: ", "network.stem_padding: 0 does not fit", "from 1 to 8"},
    {"network: {stem: imagenet, stem_padding: 2}", ":2:41: ", "network.stem_padding has no meaning where network.stem is imagenet", "`stem: cifar`"},
    {"data: {labels: 10}", ":2:16: ", "data.labels has no meaning where method.kind is byol", "`kind: supervised`"},
    {"method: {head: {hidden: 10}}", ":2:25: ", "method.head.hidden has no meaning", "`kind: supervised`"},
    {"method: {kind: supervised, pairing: crossed}", ":2:37: ", "method.pairing has no meaning where method.kind is supervised", "`kind: byol`"},
    {"method: {kind: supervised, predictor: {depth: 1}}", ":2:47: ", "depth has no meaning where method.kind is supervised", "`kind: byol`"},
    {"method: {kind: supervised}\nnetwork: {projector: {out: 8}}", ":3:28: ", "network.projector.out has no meaning", "`kind: byol`"},
    {"method: {kind: supervised}\ntrain: {stop_on: collapsed}", ":3:18: ", "train.stop_on has no meaning", "`kind: byol`"},
    {"method: {predictor: {kind: linear, depth: 2}}", ":2:43: ", "depth has no meaning where method.predictor.kind is linear", "`kind: mlp`"},
    {"method: {predictor: {kind: fixed, lr_scale: 2}}", ":2:45: ", "lr_scale has no meaning where method.predictor.kind is fixed", "`kind: mlp`"},
    {"method: {target: {source: online, update: before_forward}}", ":2:43: ", "update has no meaning", "`source: ema`"},
    {"method: {target: {source: frozen, buffers: average}}", ":2:44: ", "buffers has no meaning", "`source: ema`"},
    {"method: {probe: {lr_scale: 2}}", ":2:28: ", "lr_scale has no meaning where method.probe.kind is none", "`kind: linear`"},
    // values
    {"train: {optimizer: {lr: {value: 0.1}}}", ":2:21: ", "train.optimizer.lr: a map of keys does not fit", "{value, per}"},
    {"train: {optimizer: {lr: {value: 0.1, per: 0}}}", ":2:43: ", "train.optimizer.lr.per: 0 does not fit", "256"},
    {"train: {optimizer: {lr: {value: -1, per: 256}}}", ":2:33: ", "train.optimizer.lr: -1 does not fit", "above 0"},
    {"train: {schedule: step}", "minimal.yaml:4:1: ", "train.milestones is missing", "an ascending list of numbers"},
    {"train: {schedule: step, milestones: []}", ":2:25: ", "train.milestones: 0 numbers", "between 1 and 16"},
    {"train: {schedule: step, milestones: [2, 1]}", ":2:41: ", "train.milestones: 1 after 2", "in order"},
    {"method: {target: {schedule: step}}", ":2:29: ", "no choice is called step", "write one of constant, cosine"},
    {"views: [{solarize: {threshold: 0.4}}]", ":2:10: ", "views.solarize.p is missing", "write `p:`"},
    {"views: [{center_crop: {size: 24}}]", ":2:30: ", "24, but the images are evaluated at 32", "`size: 32`"},
    {"views: [{center_crop: {size: 32, resize: 30}}]", ":2:42: ", "images of 30 pixels have no middle of 32", "32 or more"},
    // contradictions
    {"network: {batch_norm: {statistics_rows: 5}}", ":2:41: ", "a batch of 16 does not fall into groups of 5", "like 4"},
    {"network: {batch_norm: {statistics_rows: 32}}", ":2:41: ", "a batch of 16 does not fall into groups of 32", "like 16"},
    {"network: {batch_norm: {statistics_rows: 1}}", ":2:41: ", "batch norm over one row", "2 or more"},
    {"method: {target: {batch_norm: running}}", ":2:31: ", "makes none of its own", "`buffers: average`"},
    {"method: {pairing: same_view, loss: {directions: one}}", ":2:49: ", "view 2 would be computed and never compared", "`pairing: crossed`"},
    {"method: {pairing: same_view, predictor: {kind: none}, target: {init: independent, tau: 0, update: before_forward}}", ":2:19: ", "the loss is 0", "crossed"},
    {"method: {target: {source: ema}, stop_gradient: false, predictor: {kind: fixed}}", ":2:48: ", "nowhere to go", "`source: online`"},
    {"method: {kind: supervised}\nviews: [{flip: 0.5}, {flip: 0.4}]", ":3:23: ", "a classifier sees one view", "one entry"},
    {"method: {kind: supervised}\ndata: {labels: 1}", ":3:16: ", "1 % of 40 images a class is less than one", "at least 1.25"},
    {"method: {kind: supervised}\ndata: {labels: 3}", ":3:16: ", "16 images from 12 labelled ones", "at most 12"},
    {"train: {schedule: step, milestones: [2, 4]}", ":2:25: ", "4 is never passed", "below 4"},
    {"train: {schedule: cosine, least_lr: 0.1}", ":2:37: ", "0.1 is not below the learning rate of 0.1", "less than 0.1"},
    {"train: {warmup_start: 0.01}", ":2:23: ", "there is no warmup", "`warmup:`"},
    {"train: {warmup: 1, warmup_start: 0.2}", ":2:34: ", "0.2 is above the learning rate of 0.1", "at most 0.1"},
    {"train: {schedule: plateau, plateau_row: knn/k9/test}", ":2:41: ", "no evaluation is called knn/k9/test", "`loss`"},
    {"train: {schedule: plateau, plateau_row: knn/k5/test}", ":2:41: ", "looks at test", "`split: validation`"},
    {"data: {validation: 50}\ntrain: {schedule: plateau, plateau_row: knn/k3/validation}\nevaluate: [{knn: {k: 3}}]", ":3:41: ", "is not measured while", "{every: 1}"},
    {"train: {stop_on: collapsed, collapse_every: 0}", ":2:18: ", "without diagnoses", "`collapse_every: 50`"},
    {"train: {optimizer: {kind: lars, momentum: 0, nesterov: true}}", ":2:56: ", "no momentum", "above 0"},
    {"train: {optimizer: {kind: lars, momentum: 1}}", ":2:43: ", "1 forgets nothing", "below 1"},
    {"train: {precision: tf32}", ":2:20: ", "backend onednn has no TF32", "`backend: cudnn`"},
    {"train: {precision: tf32}\nmachine: {backend: reference}", ":2:20: ", "backend reference has no TF32", "`precision: f32`"},
    {"machine: {eager: false}", ":2:18: ", "no meaning where machine.backend is onednn", "`backend: cudnn`"},
};

static void switches_that_mean_nothing_are_refused_where_they_stand(void **state) {
    (void)state;
    assert_refused(refusals, sizeof refusals / sizeof *refusals);
}

static void a_target_that_hardly_moves_is_warned_of(void **state) {
    (void)state;
    static const struct {
        const char *method;
        bool warned;
    } cases[] = {
        {"{target: {tau: 0.99}}", true}, // 100 steps are trained, 500 are needed
        {"{target: {tau: 0.96}}", true},
        {"{target: {tau: 0.95}}", false}, // 100 are needed
        {"{target: {source: online}}", false},
        {"{kind: supervised}", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[128];
        bl_text warnings = {0};
        snprintf(text, sizeof text, "method: %s\n", cases[i].method);
        bl_experiment *experiment = read_over_minimal(text);
        bl_cell_warn(&experiment->cells[0], &warnings);
        if ((warnings.size > 0) != cases[i].warned) fail_msg("%s: %s", cases[i].method, warnings.size ? warnings.chars : "no warning");
        if (!i) assert_string_equal(warnings.chars, "a target with tau 0.99 averages over 100 steps and needs 5 times as many to leave its start; 100 are trained\n");
        bl_text_free(&warnings);
        bl_experiment_free(experiment);
    }
}

static void tf32_is_f32_to_the_graph_and_a_recipe_of_its_own(void **state) {
    (void)state;
    static const char *const names[] = {"f32", "tf32", "bf16"};
    bl_experiment *experiments[3];
    char digests[3][65];
    for (int i = 0; i < 3; i++) {
        char text[128];
        bl_layout *layout;
        bl_step_graph step;
        snprintf(text, sizeof text, "machine: {backend: cudnn}\ntrain: {precision: %s}\n", names[i]);
        experiments[i] = read_over_minimal(text);
        const bl_cell *cell = &experiments[i]->cells[0];
        assert_string_equal(bl_cell_precision(cell), names[i]);
        assert_int_equal(cell->model.precision, i == 2 ? BL_BF16 : BL_F32);
        assert_ok(bl_layout_create(&layout));
        assert_ok(bl_model_build_step(&step, layout, cell));
        snprintf(digests[i], sizeof digests[i], "%s", step.graph->digest);
        bl_graph_free(step.graph);
        bl_layout_free(layout);
    }
    assert_string_equal(digests[1], digests[0]);
    assert_string_not_equal(digests[2], digests[0]);
    assert_string_not_equal(experiments[1]->cells[0].train_id, experiments[0]->cells[0].train_id);
    bl_experiment *on_cpu = read_over_minimal("machine: {backend: onednn}\n");
    assert_string_equal(on_cpu->cells[0].train_id, experiments[0]->cells[0].train_id);
    bl_experiment_free(on_cpu);
    assert_reads_back(experiments[1]);
    for (int i = 0; i < 3; i++) bl_experiment_free(experiments[i]);
}

static void eager_is_of_the_machine_and_idle_on_another_backend(void **state) {
    (void)state;
    static const char eager[] = "base: minimal.yaml\nmachine: {backend: cudnn, eager: true}\n";
    const bl_override to_cpu[] = {{"machine.backend", "onednn"}};
    write_file("minimal.yaml", minimal);
    bl_experiment *plain = read_text(minimal), *on_gpu = read_text(eager), *on_cpu = read_with(eager, to_cpu, 1);
    assert_true(on_gpu->machine.eager);
    assert_false(on_cpu->machine.eager || plain->machine.eager);
    assert_string_equal(on_gpu->cells[0].train_id, plain->cells[0].train_id);
    bl_test_holds(on_gpu->cells[0].resolved, "  eager: true\n");
    assert_null(strstr(on_cpu->cells[0].resolved, "eager"));
    bl_experiment_free(plain);
    bl_experiment_free(on_gpu);
    bl_experiment_free(on_cpu);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(switches_left_out_are_the_papers),
        cmocka_unit_test(every_switch_reaches_its_field),
        cmocka_unit_test(a_plateau_watches_the_loss_or_a_row_of_validation),
        cmocka_unit_test(steps_stand_for_epochs_and_end_inside_the_last),
        cmocka_unit_test(supervised_training_has_labels_and_a_head_and_nothing_of_byol),
        cmocka_unit_test(a_switch_that_does_not_move_keeps_the_id_and_one_that_does_changes_it),
        cmocka_unit_test(the_distance_of_diagnoses_is_of_the_id_where_one_can_end_the_run),
        cmocka_unit_test(switches_that_mean_nothing_are_refused_where_they_stand),
        cmocka_unit_test(a_target_that_hardly_moves_is_warned_of),
        cmocka_unit_test(tf32_is_f32_to_the_graph_and_a_recipe_of_its_own),
        cmocka_unit_test(eager_is_of_the_machine_and_idle_on_another_backend),
    };
    return cmocka_run_group_tests(tests, set_environment, bl_test_leave);
}
