#include "experiment/schema.h"

#include <float.h>
#include <string.h>

#include "datasets/facts.h" // BL_DATASETS, bl_dataset_facts
#include "graph/encoders.h" // BL_ENCODERS

// Shorthands of the table alone.
#define FIELD(of, type, field) of, offsetof(type, field), 0, 0
#define LIST(of, type, list, count) of, offsetof(type, list), offsetof(type, count), (int)(sizeof ((type *)0)->list / sizeof *((type *)0)->list)
#define CELL(field) FIELD(BL_OF_CELL, bl_cell, field)
#define CELL_LIST(list, count) LIST(BL_OF_CELL, bl_cell, list, count)
#define MACHINE(field) FIELD(BL_OF_MACHINE, bl_machine, field)
#define STUDY(field) FIELD(BL_OF_STUDY, bl_experiment, field)
#define STUDY_LIST(list, count) LIST(BL_OF_STUDY, bl_experiment, list, count)
#define TRANSFORM(field) FIELD(BL_OF_TRANSFORM, bl_transform, field)
#define EVALUATION_LIST(list, count) LIST(BL_OF_EVALUATION, bl_evaluation_entry, list, count)
#define ROW(field) FIELD(BL_OF_EVALUATION, bl_evaluation_entry, row.field)
#define EXPECTATION(field) FIELD(BL_OF_EXPECTATION, bl_expectation, field)
#define SHARES EVALUATION_LIST(shares, share_count)
#define ARMS EVALUATION_LIST(arms, arm_count)
#define RATES EVALUATION_LIST(row.fit.learning_rates, row.fit.rate_count)
#define FORM BL_OF_STUDY, 0, 0, 0, BL_TYPE_STRUCTURE
#define TRAIN BL_KEY_TRAIN
#define EVALUATE BL_KEY_EVALUATE
#define HOST BL_KEY_MACHINE
#define REPORT BL_KEY_REPORT
#define ABOVE_0 DBL_MIN
#define ANY (-DBL_MAX), DBL_MAX
#define MAX_SEED 9007199254740992.0 // 2^53

#define DATASET(name, ...) {#name, 0},
static const bl_choice datasets[] = {BL_DATASETS(DATASET){0}};
static const bl_choice scene_splits[] = {
    {"train", BL_SCENE_TRAIN}, {"test", BL_SCENE_TEST}, {"train_extra", BL_SCENE_TRAIN_EXTRA}, {0}}; // what is scored, val, is no one's to train on
#define ENCODER(name, ...) {name, 0},
static const bl_choice encoders[] = {BL_ENCODERS(ENCODER) {0}};
static const bl_choice stems[] = {{"cifar", BL_STEM_CIFAR}, {"imagenet", BL_STEM_IMAGENET}, {0}};
static const bl_choice convolution_inits[] = {
    {"kaiming_fan_out", BL_INIT_KAIMING_FAN_OUT}, {"uniform_fan_in", BL_INIT_UNIFORM_FAN_IN}, {"truncated_fan_in", BL_INIT_TRUNCATED_FAN_IN}, {0}};
static const bl_choice linear_inits[] = {{"uniform_fan_in", BL_INIT_UNIFORM_FAN_IN}, {"truncated_fan_in", BL_INIT_TRUNCATED_FAN_IN}, {0}};
static const bl_choice norms[] = {{"none", BL_NORM_NONE}, {"hidden", BL_NORM_HIDDEN}, {"all", BL_NORM_ALL}, {0}};
static const bl_choice interpolations[] = {{"bilinear", BL_BILINEAR}, {"bicubic", BL_BICUBIC}, {0}};
static const bl_choice jitter_rules[] = {{"torchvision", BL_JITTER_TORCHVISION}, {"deepmind", BL_JITTER_DEEPMIND}, {0}};
static const bl_choice tasks[] = {{"byol", BL_TASK_BYOL}, {"supervised", BL_TASK_SUPERVISED}, {0}};
static const bl_choice predictors[] = {
    {"mlp", BL_PREDICTOR_MLP}, {"linear", BL_PREDICTOR_LINEAR}, {"none", BL_PREDICTOR_NONE}, {"fixed", BL_PREDICTOR_FIXED}, {0}};
static const bl_choice updates[] = {{"after_step", BL_UPDATE_AFTER_STEP}, {"before_forward", BL_UPDATE_BEFORE_FORWARD}, {0}};
static const bl_choice target_norms[] = {{"batch", 0}, {"running", 1}, {0}};
static const bl_choice buffers[] = {{"own", 0}, {"average", 1}, {0}};
static const bl_choice reductions[] = {{"sum", BL_REDUCE_SUM}, {"mean", BL_REDUCE_MEAN}, {"half", BL_REDUCE_HALF}, {0}};
static const bl_choice normalizations[] = {
    {"l2", BL_LOSS_L2}, {"none", BL_LOSS_NONE}, {"batch_norm", BL_LOSS_BATCH_NORM}, {"layer_norm", BL_LOSS_LAYER_NORM}, {0}};
static const bl_choice directions[] = {{"both", 0}, {"one", 1}, {0}};
static const bl_choice probes[] = {{"none", 0}, {"linear", 1}, {0}};
static const bl_choice sources[] = {{"ema", BL_TARGET_EMA}, {"online", BL_TARGET_ONLINE}, {"frozen", BL_TARGET_FROZEN}, {0}};
static const bl_choice inits[] = {{"copy", BL_TARGET_COPY}, {"independent", BL_TARGET_INDEPENDENT}, {0}};
static const bl_choice tau_schedules[] = {{"constant", BL_SCHEDULE_CONSTANT}, {"cosine", BL_SCHEDULE_COSINE}, {0}}; // and of a fit's learning rate
static const bl_choice schedules[] = {
    {"constant", BL_SCHEDULE_CONSTANT}, {"cosine", BL_SCHEDULE_COSINE}, {"step", BL_SCHEDULE_STEP}, {"plateau", BL_SCHEDULE_PLATEAU}, {0}};
static const bl_choice fit_schedules[] = {
    {"constant", BL_SCHEDULE_CONSTANT}, {"cosine", BL_SCHEDULE_COSINE}, {"poly", BL_SCHEDULE_POLY}, {"plateau", BL_SCHEDULE_PLATEAU}, {0}};
static const bl_choice label_orders[] = {{"seeded", 0}, {"listed", 1}, {0}};
static const bl_choice watches[] = {{"none", BL_WATCH_NONE}, {"held_out", BL_WATCH_HELD_OUT}, {"val", BL_WATCH_VAL}, {0}};
static const bl_choice steppings[] = {{"iteration", 0}, {"epoch", 1}, {0}};
static const bl_choice stops[] = {{"none", 0}, {"collapsed", 1}, {0}};
static const bl_choice pairings[] = {{"crossed", BL_CROSSED}, {"same_view", BL_SAME_VIEW}, {0}};
static const bl_choice optimizers[] = {{"adam", BL_OPTIMIZER_ADAM}, {"sgd", BL_OPTIMIZER_SGD}, {"lars", BL_OPTIMIZER_LARS}, {0}};
static const bl_choice denominators[] = {{"decayed_gradient", 0}, {"gradient_and_weights", 1}, {0}};
static const bl_choice precisions[] = {{"f32", BL_PRECISION_F32}, {"bf16", BL_PRECISION_BF16}, {"tf32", BL_PRECISION_TF32}, {0}};
static const bl_choice metrics[] = {{"cosine", BL_KNN_COSINE}, {0}};
static const bl_choice protocols[] = {{"cross_validation", BL_KNN_CROSS_VALIDATION}, {"train_to_test", BL_KNN_TRAIN_TO_TEST}, {0}};
static const bl_choice splits[] = {{"train", BL_TRAIN}, {"validation", BL_VALIDATION}, {"test", BL_TEST}, {0}};
static const bl_choice monitors[] = {{"none", 0}, {"test", 1}, {0}};
static const bl_choice features[] = {{"encoder", 0}, {"pixels", 1}, {0}};
static const bl_choice fitted_on[] = {{"cached", 1}, {"augmented", 0}, {0}};
static const bl_choice solvers[] = {{"lbfgs", 1}, {"sgd", 0}, {0}};
static const bl_choice keeps[] = {{"none", 0}, {"last", 1}, {0}};
static const bl_choice backends[] = {{"onednn", 0}, {"reference", 1}, {"cudnn", 2}, {0}};
static const bl_choice locks[] = {{"flock", false}, {"none", true}, {0}};
static const bl_choice instruction_sets[] = {{"", 0}, {"avx2", 1}, {"avx512", 2}, {"avx512_bf16", 3}, {"avx512_amx", 4}, {0}};
static const bl_choice origins[] = {{"read", 0}, {"digitised", 1}, {0}};
static const bl_choice spreads[] = {{"none", 0}, {"sd", 1}, {"half_range", 2}, {"interval", 3}, {0}};
static const bl_choice selections[] = {{"last", 0}, {"best_on_test", 1}, {"unknown", 2}, {0}};

// Kinds of data sets: bl_key_when writes out which they are.
#define FILES "data.dataset=<files>"
#define DRAWN "data.dataset=<drawn>"
#define IMAGES "data.dataset=<images>"
#define SCENES "data.dataset=<scenes>"
#define DRAWN_SCENES "data.dataset=<drawn scenes>"
#define SMALL_STEM "network.stem=cifar"
#define DILATED "network.encoder=" BL_DILATED_ENCODERS
#define BYOL "method.kind=byol"
#define SUPERVISED "method.kind=supervised"
#define HAS_LAYERS "method.predictor.kind=mlp|fixed"
#define LEARNS "method.predictor.kind=mlp|linear"
#define MOVING "method.target.source=ema"
#define OWN_TARGET "method.target.source=ema|frozen"
#define PROBED "method.probe.kind=linear"
#define SGD "train.optimizer.kind=sgd|lars"
#define ADAM "train.optimizer.kind=adam"
#define LARS "train.optimizer.kind=lars"
#define STEPPED "train.schedule=step"
#define DROPPING "train.schedule=step|plateau"
#define PLATEAU "train.schedule=plateau"
#define FALLING "train.schedule=cosine|plateau"
#define FOLDED "evaluate[].knn.protocol=cross_validation"
#define BANKED "evaluate[].knn.protocol=train_to_test"
#define ENCODED "evaluate[].knn.features=encoder"
#define BY_LBFGS "evaluate[].linear.solver=lbfgs"
#define BY_SGD "evaluate[].linear.solver=sgd"
#define GROWTH(protocol, when) \
    {protocol ".growth", ROW(fit.growth), BL_TYPE_NUMBER, "0", 0, 1, NULL, EVALUATE, when, "a share has steps * (share / 100) ** growth updates: 0, as many as all labels; 1, in proportion"}
#define AUGMENTED "evaluate[].linear.features=augmented"
#define IN_TURNS "evaluate[].segmentation.schedule=plateau"
#define ENDING "evaluate[].segmentation.schedule=cosine|poly|plateau"
#define SEEDED "evaluate[].segmentation.labels=seeded"
#define WATCHED "evaluate[].segmentation.watch=held_out|val"
#define CROP "views[].random_resized_crop"
#define JITTER "views[].color_jitter"
#define BLUR "views[].blur"
#define SOLARIZE "views[].solarize"
#define MIDDLE "views[].center_crop"
#define PROJECTOR "network.projector"
#define KNN "evaluate[].knn"
#define LINEAR "evaluate[].linear"
#define FINETUNE "evaluate[].finetune"
#define SEGMENTATION "evaluate[].segmentation"
#define PROBE "evaluate[].probe"
#define ACCURACY "evaluate[].accuracy"

// What several kinds of evaluation have; a macro because it is rows of one table.
#define ASKED_SPLIT(of) {of ".split", ROW(split), BL_TYPE_CHOICE, "validation", 0, 0, splits, EVALUATE, NULL, "the images asked about"}
#define ASKED_AT(of) {of ".at", ROW(at), BL_TYPE_EPOCHS, "[]", 0, 100000, NULL, REPORT, NULL, "finished epochs, 0 = before training: {first, every, also} or a list; the last always counts"}
#define MONITOR(of) {of ".monitor", ROW(monitor), BL_TYPE_CHOICE_BOOL, "none", 0, 0, monitors, REPORT, NULL, "test: owns that test is watched while training"}
#define VIEW_DEFAULT "{random_resized_crop: {size: 32}, flip: 0.5}"

_Static_assert(offsetof(bl_expectation, high) == offsetof(bl_expectation, low) + sizeof(double), "a pair: low, then high");

// The order is that of the resolved text.
const bl_key bl_schema[] = {
    // path, field or list, type, default, lowest, highest, choices, class, when, meaning
    {"base", FORM, "", 0, 0, NULL, REPORT, NULL, "a file this one is merged over, relative to it; cells, sweep and expect are not inherited"},

    {"data.dataset", CELL(data.name), BL_TYPE_NAME, NULL, 0, 0, datasets, TRAIN, NULL, "the images"},
    {"data.root", CELL(data.root), BL_TYPE_TEXT, NULL, 0, 0, NULL, HOST, FILES, "folder of the official binary files"},
    {"data.seed", CELL(data.seed), BL_TYPE_UINT64, "0", 0, MAX_SEED, NULL, TRAIN, DRAWN, "what the images are drawn from"},
    {"data.train", CELL(data.train), BL_TYPE_INT, "4096", 10, 1e6, NULL, TRAIN, DRAWN, "images to train on; of streets, in each split but val"},
    {"data.test", CELL(data.test), BL_TYPE_INT, "1024", 10, 1e6, NULL, TRAIN, DRAWN, "images to test on; of streets, in val"},
    {"data.extra", CELL(data.extra), BL_TYPE_INT, "0", 0, 1e6, NULL, TRAIN, DRAWN_SCENES, "scenes in train_extra; 0: as many as in train"},
    {"data.width", CELL(data.width), BL_TYPE_INT, "256", 32, 2048, NULL, TRAIN, DRAWN_SCENES, "of a drawn scene, in pixels"},
    {"data.height", CELL(data.height), BL_TYPE_INT, "128", 32, 1024, NULL, TRAIN, DRAWN_SCENES, "of a drawn scene, in pixels"},
    {"data.splits", CELL(data.scene_splits), BL_TYPE_SPLITS, "[train]", 0, 0, scene_splits, TRAIN, SCENES, "what is trained on, without labels"},
    {"data.crop", CELL(data.crop), BL_TYPE_INT, "0", 0, 4096, NULL, TRAIN, SCENES, "pixels a side of a random square of the scene, from which all its views are made; 0: the whole scene"},
    {"data.validation", CELL(data.validation), BL_TYPE_INT, "0", 0, 1e6, NULL, TRAIN, IMAGES, "images taken from train, by class, for choices"},
    {"data.split_seed", CELL(data.split_seed), BL_TYPE_UINT64, "0", 0, MAX_SEED, NULL, TRAIN, IMAGES, "which images those are"},
    {"data.limit", CELL(data.limit), BL_TYPE_INT, "0", 0, 1e6, NULL, TRAIN, IMAGES, "at most this many train images, the first; 0: all"},
    {"data.labels", CELL(label_share), BL_TYPE_NUMBER, "100", ABOVE_0, 100, NULL, TRAIN, SUPERVISED, "percent of the train labels, by class; a smaller share lies inside a larger one"},
    {"data.shuffle", CELL(train.shuffle), BL_TYPE_BOOL, "true", 0, 0, NULL, TRAIN, NULL, "a new order every epoch; false: file order"},

    {CROP ".size", TRANSFORM(size), BL_TYPE_INT, NULL, 8, 512, NULL, TRAIN, NULL, "pixels a side of the view"},
    {CROP ".scale", TRANSFORM(scale), BL_TYPE_PAIR, "[0.08, 1]", ABOVE_0, 1, NULL, TRAIN, NULL, "share of the image's area"},
    {CROP ".ratio", TRANSFORM(ratio), BL_TYPE_PAIR, "[0.75, 1.3333333333333333]", ABOVE_0, 100, NULL, TRAIN, NULL, "width / height"},
    {CROP ".antialias", TRANSFORM(antialias), BL_TYPE_BOOL, "true", 0, 0, NULL, TRAIN, NULL, "smooth where the crop shrinks"},
    {CROP ".interpolation", TRANSFORM(interpolation), BL_TYPE_CHOICE, "bilinear", 0, 0, interpolations, TRAIN, NULL, "between pixels"},
    {MIDDLE ".size", TRANSFORM(size), BL_TYPE_INT, NULL, 8, 512, NULL, TRAIN, NULL, "pixels a side of the middle that stays"},
    {MIDDLE ".resize", TRANSFORM(resize), BL_TYPE_INT, "0", 0, 1024, NULL, TRAIN, NULL, "pixels a side of the whole image before; 0: as it is"},
    {"views[].flip", TRANSFORM(p), BL_TYPE_NUMBER, NULL, 0, 1, NULL, TRAIN, NULL, "probability of a horizontal flip"},
    {JITTER ".p", TRANSFORM(p), BL_TYPE_NUMBER, "0.8", 0, 1, NULL, TRAIN, NULL, "probability of being applied"},
    {JITTER ".brightness", TRANSFORM(brightness), BL_TYPE_NUMBER, "0.4", 0, 10, NULL, TRAIN, NULL, "factors 1 - v to 1 + v"},
    {JITTER ".contrast", TRANSFORM(contrast), BL_TYPE_NUMBER, "0.4", 0, 10, NULL, TRAIN, NULL, "factors 1 - v to 1 + v"},
    {JITTER ".saturation", TRANSFORM(saturation), BL_TYPE_NUMBER, "0.2", 0, 10, NULL, TRAIN, NULL, "factors 1 - v to 1 + v"},
    {JITTER ".hue", TRANSFORM(hue), BL_TYPE_NUMBER, "0.1", 0, 0.5, NULL, TRAIN, NULL, "turns of the colour circle, -v to v"},
    {JITTER ".rule", TRANSFORM(rule), BL_TYPE_CHOICE, "torchvision", 0, 0, jitter_rules, TRAIN, NULL, "deepmind: additive brightness, contrast about each channel's mean, clipped after each"},
    {"views[].grayscale", TRANSFORM(p), BL_TYPE_NUMBER, NULL, 0, 1, NULL, TRAIN, NULL, "probability of losing all colour"},
    {BLUR ".p", TRANSFORM(p), BL_TYPE_NUMBER, "0.5", 0, 1, NULL, TRAIN, NULL, "probability of being applied"},
    {BLUR ".kernel", TRANSFORM(kernel), BL_TYPE_INT, "3", 3, 63, NULL, TRAIN, NULL, "pixels a side, odd"},
    {BLUR ".sigma", TRANSFORM(sigma), BL_TYPE_PAIR, "[0.1, 2]", ABOVE_0, 100, NULL, TRAIN, NULL, "of the Gaussian, in pixels"},
    {SOLARIZE ".p", TRANSFORM(p), BL_TYPE_NUMBER, NULL, 0, 1, NULL, TRAIN, NULL, "probability of being applied"},
    {SOLARIZE ".threshold", TRANSFORM(threshold), BL_TYPE_NUMBER, "0.5", 0, 1, NULL, TRAIN, NULL, "values from there on are inverted"},
    {"views[].normalize", TRANSFORM(mean), BL_TYPE_NORMALIZE, NULL, ANY, NULL, TRAIN, NULL, "imagenet, cifar10, or {mean: [r, g, b], std: [r, g, b]}"},

    {"network.encoder", CELL(model.encoder.name), BL_TYPE_NAME, "resnet18", 0, 0, encoders, TRAIN, NULL, "torchvision's definition"},
    {"network.stem", CELL(model.encoder.stem), BL_TYPE_CHOICE, "cifar", 0, 0, stems, TRAIN, NULL, "cifar: 3x3, stride 1, no pooling; imagenet: 7x7, stride 2, and max pooling, stride 2"},
    {"network.stem_padding", CELL(model.encoder.stem_padding), BL_TYPE_INT, "1", 1, 8, NULL, TRAIN, SMALL_STEM, "pixels around the image in the first convolution"},
    {"network.width", CELL(model.encoder.width), BL_TYPE_INT, "64", 1, 1024, NULL, TRAIN, NULL, "channels of the first stage; features have 8 times as many, of resnet50 32 times"},
    {"network.dilated_stages", CELL(model.encoder.dilated_stages), BL_TYPE_INT, "0", 0, 3, NULL, TRAIN, DILATED, "the last so many stages have dilation in place of their stride; 2: torchvision's replace_stride_with_dilation [false, true, true]"},
    {"network.zero_init_residual", CELL(model.encoder.zero_init_residual), BL_TYPE_BOOL, "false", 0, 0, NULL, TRAIN, NULL, "the last batch norm of each block starts at 0"},
    {"network.initialization.convolution", CELL(model.encoder.init.convolution), BL_TYPE_CHOICE, "kaiming_fan_out", 0, 0, convolution_inits, TRAIN, NULL, "torchvision's ResNet, nn.Conv2d, Haiku"},
    {"network.initialization.linear", CELL(model.encoder.init.linear), BL_TYPE_CHOICE, "uniform_fan_in", 0, 0, linear_inits, TRAIN, NULL, "nn.Linear, Haiku; of every head"},
    {"network.batch_norm.statistics_rows", CELL(model.encoder.statistics_rows), BL_TYPE_INT64, "0", 0, 65536, NULL, TRAIN, NULL, "images behind each statistic, as on one of several GPUs; 0: a whole view"},
    {PROJECTOR ".depth", CELL(model.projector.depth), BL_TYPE_INT, "2", 1, 8, NULL, TRAIN, BYOL, "linear layers"},
    {PROJECTOR ".hidden", CELL(model.projector.hidden), BL_TYPE_INT, "4096", 1, 65536, NULL, TRAIN, BYOL, "hidden width of the projector"},
    {PROJECTOR ".out", CELL(model.projector.out), BL_TYPE_INT, "256", 2, 65536, NULL, TRAIN, BYOL, "width of projections and predictions"},
    {PROJECTOR ".batch_norm", CELL(model.projector.batch_norm), BL_TYPE_CHOICE, "hidden", 0, 0, norms, TRAIN, BYOL, "where batch norm stands; all: behind the last layer too"},
    {PROJECTOR ".hidden_bias", CELL(model.projector.hidden_bias), BL_TYPE_BOOL, "true", 0, 0, NULL, TRAIN, BYOL, "of all linear layers but the last"},
    {PROJECTOR ".out_bias", CELL(model.projector.out_bias), BL_TYPE_BOOL, "true", 0, 0, NULL, TRAIN, BYOL, "of the last linear layer"},

    {"method.kind", CELL(task), BL_TYPE_CHOICE, "byol", 0, 0, tasks, TRAIN, NULL, "what is learned: two views' agreement, or labels"},
    {"method.head.hidden", CELL(head_hidden), BL_TYPE_INT, "0", 0, 65536, NULL, TRAIN, SUPERVISED, "hidden width of the classifier; 0: one linear layer"},
    {"method.head.lr_scale", CELL(head_lr_scale), BL_TYPE_NUMBER, "1", 0, 1e6, NULL, TRAIN, SUPERVISED, "times the learning rate"},
    {"method.predictor.kind", CELL(model.method.predictor), BL_TYPE_CHOICE, "mlp", 0, 0, predictors, TRAIN, BYOL, "what maps online to target; fixed: an mlp that keeps its random weights"},
    {"method.predictor.depth", CELL(model.method.predictor_head.depth), BL_TYPE_INT, "2", 1, 8, NULL, TRAIN, HAS_LAYERS, "linear layers"},
    {"method.predictor.hidden", CELL(model.method.predictor_head.hidden), BL_TYPE_INT, "4096", 1, 65536, NULL, TRAIN, HAS_LAYERS, "hidden width of the predictor"},
    {"method.predictor.batch_norm", CELL(model.method.predictor_head.batch_norm), BL_TYPE_CHOICE, "hidden", 0, 0, norms, TRAIN, HAS_LAYERS, "where batch norm stands; all: behind the last layer too"},
    {"method.predictor.hidden_bias", CELL(model.method.predictor_head.hidden_bias), BL_TYPE_BOOL, "true", 0, 0, NULL, TRAIN, HAS_LAYERS, "of all linear layers but the last"},
    {"method.predictor.out_bias", CELL(model.method.predictor_head.out_bias), BL_TYPE_BOOL, "true", 0, 0, NULL, TRAIN, HAS_LAYERS, "of the last linear layer"},
    {"method.predictor.lr_scale", CELL(model.method.predictor_lr_scale), BL_TYPE_NUMBER, "1", 0, 1e6, NULL, TRAIN, LEARNS, "times the learning rate"},
    {"method.target.source", CELL(model.method.target), BL_TYPE_CHOICE, "ema", 0, 0, sources, TRAIN, BYOL, "a moving average, the online network itself, or a fixed one"},
    {"method.target.init", CELL(model.method.target_init), BL_TYPE_CHOICE, "copy", 0, 0, inits, TRAIN, OWN_TARGET, "starts equal to online, or drawn on its own"},
    {"method.target.tau", CELL(model.method.tau), BL_TYPE_NUMBER, "0.99", 0, 1, NULL, TRAIN, MOVING, "share of the target that stays each step, below 1"},
    {"method.target.schedule", CELL(model.method.tau_schedule), BL_TYPE_CHOICE, "constant", 0, 0, tau_schedules, TRAIN, MOVING, "of tau; cosine rises to 1"},
    {"method.target.update", CELL(model.method.target_update), BL_TYPE_CHOICE, "after_step", 0, 0, updates, TRAIN, MOVING, "when the average moves"},
    {"method.target.batch_norm", CELL(model.method.target_running), BL_TYPE_CHOICE_BOOL, "batch", 0, 0, target_norms, TRAIN, MOVING, "what the target normalises by: its batch, or running statistics"},
    {"method.target.buffers", CELL(model.method.average_buffers), BL_TYPE_CHOICE_BOOL, "own", 0, 0, buffers, TRAIN, MOVING, "its running statistics: of its own batches, or averaged as its weights are"},
    {"method.stop_gradient", CELL(model.method.stop_gradient), BL_TYPE_BOOL, "true", 0, 0, NULL, TRAIN, BYOL, "no gradient through the target"},
    {"method.pairing", CELL(model.method.pairing), BL_TYPE_CHOICE, "crossed", 0, 0, pairings, TRAIN, BYOL, "which views the loss compares"},
    {"method.loss.reduction", CELL(model.method.reduction), BL_TYPE_CHOICE, "sum", 0, 0, reductions, TRAIN, BYOL, "of the two directions: l1 + l2, (l1 + l2) / 2, or (l1 + l2) / 4 - 1; of one: l1, l1 / 2, or l1 / 2 - 1"},
    {"method.loss.normalization", CELL(model.method.normalization), BL_TYPE_CHOICE, "l2", 0, 0, normalizations, TRAIN, BYOL, "of projections and predictions, before their distance is taken"},
    {"method.loss.directions", CELL(model.method.one_direction), BL_TYPE_CHOICE_BOOL, "both", 0, 0, directions, TRAIN, BYOL, "one: view 1 alone is predicted"},
    {"method.probe.kind", CELL(is_probed), BL_TYPE_CHOICE_BOOL, "none", 0, 0, probes, TRAIN, BYOL, "a classifier that trains along behind a stop_gradient"},
    {"method.probe.lr_scale", CELL(model.probe_lr_scale), BL_TYPE_NUMBER, "1", ABOVE_0, 1e6, NULL, TRAIN, PROBED, "times the learning rate"},

    {"train.epochs", CELL(train.epochs), BL_TYPE_INT, NULL, 1, 100000, NULL, TRAIN, "train.steps=0", "passes over the train images"},
    {"train.batch", CELL(train.batch), BL_TYPE_INT, "256", 1, 65536, NULL, TRAIN, NULL, "images of a micro step; a rest is left out"},
    {"train.accumulate", CELL(train.accumulate), BL_TYPE_INT, "1", 1, 65536, NULL, TRAIN, NULL, "micro steps of an update"},
    {"train.steps", CELL(train.steps), BL_TYPE_INT64, "0", 0, 1e12, NULL, TRAIN, NULL, "updates, instead of epochs; 0: as the epochs give"},
    {"train.optimizer.kind", CELL(model.optimizer.kind), BL_TYPE_CHOICE, "adam", 0, 0, optimizers, TRAIN, NULL, "as in torch.optim"},
    {"train.optimizer.lr", CELL(train.schedule.base), BL_TYPE_RATE, NULL, ABOVE_0, 1000, NULL, TRAIN, NULL, "learning rate; {value, per}: value times the images of an update / per"},
    {"train.optimizer.momentum", CELL(model.optimizer.momentum), BL_TYPE_NUMBER, "0.9", 0, 1, NULL, TRAIN, SGD, "of the gradients"},
    {"train.optimizer.nesterov", CELL(model.optimizer.nesterov), BL_TYPE_BOOL, "false", 0, 0, NULL, TRAIN, SGD, "look ahead"},
    {"train.optimizer.weight_decay", CELL(model.optimizer.weight_decay), BL_TYPE_NUMBER, "0", 0, 100, NULL, TRAIN, NULL, "added to the gradient, L2"},
    {"train.optimizer.decay_norms", CELL(model.optimizer.decay_norms), BL_TYPE_BOOL, "false", 0, 0, NULL, TRAIN, NULL, "biases and norms decay too"},
    {"train.optimizer.beta1", CELL(model.optimizer.beta1), BL_TYPE_NUMBER, "0.9", 0, 1, NULL, TRAIN, ADAM, "first moment"},
    {"train.optimizer.beta2", CELL(model.optimizer.beta2), BL_TYPE_NUMBER, "0.999", 0, 1, NULL, TRAIN, ADAM, "second moment"},
    {"train.optimizer.epsilon", CELL(model.optimizer.epsilon), BL_TYPE_NUMBER, "1e-8", ABOVE_0, 1, NULL, TRAIN, ADAM, "added to the root of the second moment"},
    {"train.optimizer.eta", CELL(model.optimizer.eta), BL_TYPE_NUMBER, "0.001", ABOVE_0, 1000, NULL, TRAIN, LARS, "trust coefficient"},
    {"train.optimizer.trust_epsilon", CELL(model.optimizer.trust_epsilon), BL_TYPE_NUMBER, "0", 0, 1, NULL, TRAIN, LARS, "added to the denominator of the trust ratio"},
    {"train.optimizer.clip", CELL(model.optimizer.clip), BL_TYPE_BOOL, "false", 0, 0, NULL, TRAIN, LARS, "trust ratio over learning rate, at most 1 (LARC)"},
    {"train.optimizer.trust_denominator", CELL(model.optimizer.decay_apart), BL_TYPE_CHOICE_BOOL, "decayed_gradient", 0, 0, denominators, TRAIN, LARS, "|g + decay p|, or |g| + decay |p|"},
    {"train.schedule", CELL(train.schedule.kind), BL_TYPE_CHOICE, "constant", 0, 0, schedules, TRAIN, NULL, "of the learning rate"},
    {"train.milestones", CELL_LIST(train.schedule.milestones, train.schedule.milestone_count), BL_TYPE_NUMBERS, NULL, ABOVE_0, 100000, NULL, TRAIN, STEPPED, "epochs after which it drops"},
    {"train.factor", CELL(train.schedule.factor), BL_TYPE_NUMBER, "0.1", ABOVE_0, 1, NULL, TRAIN, DROPPING, "of each drop"},
    {"train.patience", CELL(train.schedule.patience), BL_TYPE_INT, "10", 0, 100000, NULL, TRAIN, PLATEAU, "measurements without improvement that are borne"},
    {"train.plateau_row", CELL(train.plateau_row), BL_TYPE_TEXT, "loss", 0, 0, NULL, TRAIN, PLATEAU, "what is watched: loss, or an evaluation row of the validation split"},
    {"train.least_lr", CELL(train.schedule.least), BL_TYPE_NUMBER, "0", 0, 1000, NULL, TRAIN, FALLING, "where the learning rate ends"},
    {"train.stepping", CELL(train.schedule.per_epoch), BL_TYPE_CHOICE_BOOL, "iteration", 0, 0, steppings, TRAIN, NULL, "how often the learning rate moves"},
    {"train.warmup", CELL(train.schedule.warmup), BL_TYPE_NUMBER, "0", 0, 100000, NULL, TRAIN, NULL, "epochs in which the learning rate rises"},
    {"train.warmup_start", CELL(train.schedule.warmup_start), BL_TYPE_NUMBER, "0", -1000, 1000, NULL, TRAIN, NULL, "where the rise begins: one step before the first"},
    {"train.stop_on", CELL(train.stop_when_collapsed), BL_TYPE_CHOICE_BOOL, "none", 0, 0, stops, TRAIN, BYOL, "collapsed: ends where two diagnoses in a row say so"},
    {"train.seeds", STUDY_LIST(seeds, seed_count), BL_TYPE_SEEDS, "[0]", 0, MAX_SEED, NULL, REPORT, NULL, "one run each"},
    {"train.precision", CELL(train.precision), BL_TYPE_CHOICE, "f32", 0, 0, precisions, TRAIN, NULL, "of activations and packed weights; tf32: f32, but a GPU's products round their operands"},
    {"train.log_every", CELL(train.log_every), BL_TYPE_INT, "10", 1, 1e6, NULL, HOST, NULL, "steps between logged scalars"},
    {"train.collapse_every", CELL(train.collapse_every), BL_TYPE_INT, "50", 0, 1e9, NULL, HOST, BYOL, "steps between diagnoses of collapse; 0: none; of the run's id where stop_on is collapsed"},
    {"train.checkpoint_every", CELL(train.checkpoint_every), BL_TYPE_INTERVAL, "300 s", 0.01, 1e9, NULL, HOST, NULL, "between checkpoints, of training and inside the fits of evaluations. By time a thread writes them beside the steps; by steps each is on disk before the next step"},

    {KNN ".features", ROW(knn.raw_pixels), BL_TYPE_CHOICE_BOOL, "encoder", 0, 0, features, EVALUATE, NULL, "of the online encoder, or the image itself (once)"},
    {KNN ".protocol", ROW(knn.protocol), BL_TYPE_CHOICE, "train_to_test", 0, 0, protocols, EVALUATE, NULL, "who answers whom"},
    {KNN ".k", ROW(knn.k), BL_TYPE_INT, "200", 1, 1e6, NULL, EVALUATE, NULL, "neighbours that vote"},
    {KNN ".metric", ROW(knn.metric), BL_TYPE_CHOICE, "cosine", 0, 0, metrics, EVALUATE, NULL, "what is near"},
    {KNN ".temperature", ROW(knn.temperature), BL_TYPE_NUMBER, "0.1", 0, 1000, NULL, EVALUATE, BANKED, "votes weigh exp(cos / T); 0: one vote each"},
    {KNN ".folds", ROW(knn.folds), BL_TYPE_INT, "5", 2, 100, NULL, EVALUATE, FOLDED, "stratified, in file order"},
    ASKED_SPLIT(KNN),
    {KNN ".rows", ROW(knn.rows), BL_TYPE_INT64, "0", 0, 1e9, NULL, EVALUATE, NULL, "the first of the split; 0: all"},
    {KNN ".at", ROW(at), BL_TYPE_EPOCHS, "[]", 0, 100000, NULL, REPORT, ENCODED, "finished epochs, 0 = before training: {first, every, also} or a list; the last always counts"},
    MONITOR(KNN),

    {LINEAR ".features", ROW(linear.cached), BL_TYPE_CHOICE_BOOL, "cached", 0, 0, fitted_on, EVALUATE, NULL, "extracted once, or of augmented images through the frozen encoder"},
    {LINEAR ".solver", ROW(linear.lbfgs), BL_TYPE_CHOICE_BOOL, "lbfgs", 0, 0, solvers, EVALUATE, NULL, "lbfgs: choose an l2; sgd, the default of augmented features: choose a learning rate"},
    {LINEAR ".l2", ROW(linear.l2), BL_TYPE_PAIR, "[1e-6, 1e5]", ABOVE_0, 1e12, NULL, EVALUATE, BY_LBFGS, "times |W|^2 / 2 beside the mean cross-entropy: a logarithmic grid"},
    {LINEAR ".points", ROW(linear.l2_points), BL_TYPE_INT, "45", 1, 1000, NULL, EVALUATE, BY_LBFGS, "of that grid"},
    {LINEAR ".lr", RATES, BL_TYPE_NUMBERS, "[0.05, 0.1, 0.2, 0.3, 0.4]", ABOVE_0, 1000, NULL, EVALUATE, BY_SGD, "learning rates to choose from"},
    {LINEAR ".steps", ROW(fit.steps), BL_TYPE_INT, "2000", 0, 1e9, NULL, EVALUATE, BY_SGD, "updates with all labels, and with fewer where growth is 0; 0, the default beside epochs: as they give"},
    GROWTH(LINEAR, BY_SGD),
    {LINEAR ".epochs", ROW(fit.epochs), BL_TYPE_INT, "80", 1, 100000, NULL, EVALUATE, "evaluate[].linear.steps=0", "passes over the labelled images"},
    {LINEAR ".batch", ROW(fit.batch), BL_TYPE_INT, "256", 1, 65536, NULL, EVALUATE, BY_SGD, "images of an update"},
    {LINEAR ".momentum", ROW(fit.optimizer.momentum), BL_TYPE_NUMBER, "0.9", 0, 1, NULL, EVALUATE, BY_SGD, "of the gradients"},
    {LINEAR ".nesterov", ROW(fit.optimizer.nesterov), BL_TYPE_BOOL, "true", 0, 0, NULL, EVALUATE, BY_SGD, "look ahead"},
    {LINEAR ".weight_decay", ROW(fit.optimizer.weight_decay), BL_TYPE_NUMBER, "0", 0, 100, NULL, EVALUATE, BY_SGD, "added to the gradient, L2; biases are left out"},
    {LINEAR ".schedule", ROW(fit.schedule.kind), BL_TYPE_CHOICE, "cosine", 0, 0, tau_schedules, EVALUATE, BY_SGD, "of the learning rate"},
    {LINEAR ".validation", ROW(fit.validation), BL_TYPE_NUMBER, "0.1", 0, 0.9, NULL, EVALUATE, NULL, "part of the labelled images held out for the choice; 0: the validation split"},
    {LINEAR ".refit", ROW(fit.refit), BL_TYPE_BOOL, "true", 0, 0, NULL, EVALUATE, NULL, "after the choice, on all labelled images"},
    {LINEAR ".shares", SHARES, BL_TYPE_NUMBERS, "[100]", ABOVE_0, 100, NULL, REPORT, NULL, "percent of the train labels, a row each"},
    {LINEAR ".label_seed", ROW(fit.label_seed), BL_TYPE_INT64, "-1", -1, MAX_SEED, NULL, EVALUATE, NULL, "which labels those are; -1: the run's seed"},
    {LINEAR ".view", ROW(fit.view), BL_TYPE_VIEW, VIEW_DEFAULT, 0, 0, NULL, EVALUATE, AUGMENTED, "augmentation, as below `views:`; normalised as in evaluation. Left out, it crops to the size of the study's views"},
    ASKED_SPLIT(LINEAR),
    ASKED_AT(LINEAR),
    MONITOR(LINEAR),

    {FINETUNE ".arms", ARMS, BL_TYPE_ARMS, "[pretrained, random]", 0, 0, NULL, REPORT, NULL, "where the encoder starts, a row each: this run's weights, or its initial ones; {name: {run: PATH}}, {name: {weights: PATH, prefix: NAME, preprocessing: keep}}"},
    {FINETUNE ".shares", SHARES, BL_TYPE_NUMBERS, "[1, 10, 100]", ABOVE_0, 100, NULL, REPORT, NULL, "percent of the train labels, a row each"},
    {FINETUNE ".steps", ROW(fit.steps), BL_TYPE_INT, "500", 1, 1e9, NULL, EVALUATE, NULL, "updates with all labels, equal for every arm, and with fewer labels where growth is 0"},
    GROWTH(FINETUNE, NULL),
    {FINETUNE ".batch", ROW(fit.batch), BL_TYPE_INT, "64", 1, 65536, NULL, EVALUATE, NULL, "images of an update"},
    {FINETUNE ".lr", RATES, BL_TYPE_NUMBERS, "[0.01, 0.03, 0.1]", ABOVE_0, 1000, NULL, EVALUATE, NULL, "learning rates, chosen once an arm and share"},
    {FINETUNE ".momentum", ROW(fit.optimizer.momentum), BL_TYPE_NUMBER, "0.9", 0, 1, NULL, EVALUATE, NULL, "of the gradients"},
    {FINETUNE ".nesterov", ROW(fit.optimizer.nesterov), BL_TYPE_BOOL, "true", 0, 0, NULL, EVALUATE, NULL, "look ahead"},
    {FINETUNE ".weight_decay", ROW(fit.optimizer.weight_decay), BL_TYPE_NUMBER, "0", 0, 100, NULL, EVALUATE, NULL, "added to the gradient, L2; biases and norms are left out"},
    {FINETUNE ".schedule", ROW(fit.schedule.kind), BL_TYPE_CHOICE, "cosine", 0, 0, tau_schedules, EVALUATE, NULL, "of the learning rate"},
    {FINETUNE ".warmup_steps", ROW(fit.warmup_steps), BL_TYPE_NUMBER, "0", 0, 1e9, NULL, EVALUATE, NULL, "in which the learning rate rises"},
    {FINETUNE ".hidden", ROW(finetune.hidden), BL_TYPE_INT, "0", 0, 65536, NULL, EVALUATE, NULL, "hidden width of the classifier; 0: one linear layer"},
    {FINETUNE ".freeze", ROW(fit.frozen), BL_TYPE_BOOL, "false", 0, 0, NULL, EVALUATE, NULL, "the encoder stays"},
    {FINETUNE ".head_lr_scale", ROW(fit.head_lr_scale), BL_TYPE_NUMBER, "1", ABOVE_0, 1e6, NULL, EVALUATE, NULL, "times the learning rate"},
    {FINETUNE ".validation", ROW(fit.validation), BL_TYPE_NUMBER, "0.2", 0, 0.9, NULL, EVALUATE, NULL, "part of the labelled images held out for the choice; 0: the validation split"},
    {FINETUNE ".refit", ROW(fit.refit), BL_TYPE_BOOL, "true", 0, 0, NULL, EVALUATE, NULL, "after the choice, on all labelled images"},
    {FINETUNE ".label_seed", ROW(fit.label_seed), BL_TYPE_INT64, "-1", -1, MAX_SEED, NULL, EVALUATE, NULL, "which labels those are; -1: the run's seed"},
    {FINETUNE ".view", ROW(fit.view), BL_TYPE_VIEW, VIEW_DEFAULT, 0, 0, NULL, EVALUATE, NULL, "augmentation, as below `views:`; normalised as in evaluation. Left out, it crops to the size of the study's views"},
    ASKED_SPLIT(FINETUNE),

    {SEGMENTATION ".arms", ARMS, BL_TYPE_ARMS, "[pretrained, random]", 0, 0, NULL, REPORT, NULL, "where the encoder starts, a row each, as of finetune"},
    {SEGMENTATION ".shares", SHARES, BL_TYPE_NUMBERS, "[10, 100]", ABOVE_0, 100, NULL, REPORT, NULL, "percent of the labelled scenes of train, a row each"},
    {SEGMENTATION ".labels", ROW(fit.listed), BL_TYPE_CHOICE_BOOL, "seeded", 0, 0, label_orders, EVALUATE, NULL, "which scenes a share is: drawn, a smaller share inside a larger one; or the first ones as they are listed, city by city"},
    {SEGMENTATION ".label_seed", ROW(fit.label_seed), BL_TYPE_INT64, "-1", -1, MAX_SEED, NULL, EVALUATE, SEEDED, "what they are drawn from; -1: the run's seed"},
    {SEGMENTATION ".steps", ROW(fit.steps), BL_TYPE_INT, "500", 0, 1e9, NULL, EVALUATE, NULL, "updates with all labels, equal for every arm, and with fewer labels where growth is 0; 0, the default beside epochs: as they give"},
    GROWTH(SEGMENTATION, NULL),
    {SEGMENTATION ".epochs", ROW(fit.epochs), BL_TYPE_INT, "400", 1, 100000, NULL, EVALUATE, "evaluate[].segmentation.steps=0", "passes over the labelled scenes"},
    {SEGMENTATION ".batch", ROW(fit.batch), BL_TYPE_INT, "8", 1, 1024, NULL, EVALUATE, NULL, "crops of an update"},
    {SEGMENTATION ".crop", ROW(segmentation.crop), BL_TYPE_INT, "256", 32, 2048, NULL, EVALUATE, NULL, "pixels a side of a crop"},
    {SEGMENTATION ".scale", ROW(segmentation.scale), BL_TYPE_PAIR, "[0.5, 2]", 0.05, 20, NULL, EVALUATE, NULL, "of the scene before it is cropped"},
    {SEGMENTATION ".flip", ROW(segmentation.flip), BL_TYPE_NUMBER, "0.5", 0, 1, NULL, EVALUATE, NULL, "probability of a horizontal flip"},
    {SEGMENTATION ".lr", RATES, BL_TYPE_NUMBERS, "[0.01]", ABOVE_0, 1000, NULL, EVALUATE, NULL, "learning rates, chosen once an arm and share"},
    {SEGMENTATION ".momentum", ROW(fit.optimizer.momentum), BL_TYPE_NUMBER, "0.9", 0, 1, NULL, EVALUATE, NULL, "of the gradients"},
    {SEGMENTATION ".nesterov", ROW(fit.optimizer.nesterov), BL_TYPE_BOOL, "false", 0, 0, NULL, EVALUATE, NULL, "look ahead"},
    {SEGMENTATION ".weight_decay", ROW(fit.optimizer.weight_decay), BL_TYPE_NUMBER, "0", 0, 100, NULL, EVALUATE, NULL, "added to the gradient, L2"},
    {SEGMENTATION ".decay_norms", ROW(fit.optimizer.decay_norms), BL_TYPE_BOOL, "false", 0, 0, NULL, EVALUATE, NULL, "biases and norms decay too"},
    {SEGMENTATION ".schedule", ROW(fit.schedule.kind), BL_TYPE_CHOICE, "poly", 0, 0, fit_schedules, EVALUATE, NULL, "of the learning rate"},
    {SEGMENTATION ".power", ROW(fit.schedule.power), BL_TYPE_NUMBER, "0.9", ABOVE_0, 100, NULL, EVALUATE, "evaluate[].segmentation.schedule=poly", "of what is left of the budget"},
    {SEGMENTATION ".factor", ROW(fit.schedule.factor), BL_TYPE_NUMBER, "0.1", ABOVE_0, 1, NULL, EVALUATE, IN_TURNS, "of each drop"},
    {SEGMENTATION ".patience", ROW(fit.schedule.patience), BL_TYPE_INT, "10", 0, 100000, NULL, EVALUATE, IN_TURNS, "looks without a better mIoU that are borne"},
    {SEGMENTATION ".least_lr", ROW(fit.schedule.least), BL_TYPE_NUMBER, "0", 0, 1000, NULL, EVALUATE, ENDING, "where the learning rate ends"},
    {SEGMENTATION ".warmup_steps", ROW(fit.warmup_steps), BL_TYPE_NUMBER, "0", 0, 1e9, NULL, EVALUATE, NULL, "in which the learning rate rises"},
    {SEGMENTATION ".freeze", ROW(fit.frozen), BL_TYPE_BOOL, "false", 0, 0, NULL, EVALUATE, NULL, "the encoder stays"},
    {SEGMENTATION ".head_lr_scale", ROW(fit.head_lr_scale), BL_TYPE_NUMBER, "1", ABOVE_0, 1e6, NULL, EVALUATE, NULL, "of FCN-8s' own layers, times the learning rate"},
    {SEGMENTATION ".validation", ROW(fit.validation), BL_TYPE_NUMBER, "0.2", 0, 0.9, NULL, EVALUATE, NULL, "part of the labelled scenes held out for the choice"},
    {SEGMENTATION ".refit", ROW(fit.refit), BL_TYPE_BOOL, "true", 0, 0, NULL, EVALUATE, NULL, "after the choice, on all labelled scenes"},
    {SEGMENTATION ".watch", ROW(fit.watch), BL_TYPE_CHOICE, "none", 0, 0, watches, EVALUATE, NULL, "what is scored while it fits, and a plateau looks at; val owns that the best look is chosen where it is reported"},
    {SEGMENTATION ".every", ROW(fit.watch_every), BL_TYPE_INT, "100", 0, 1e9, NULL, EVALUATE, WATCHED, "updates between looks; 0: a pass over the labelled scenes"},
    {SEGMENTATION ".score_batch", ROW(segmentation.score_batch), BL_TYPE_INT, "1", 1, 256, NULL, EVALUATE, NULL, "whole scenes of a step while scoring; batch-averaged accuracy depends on it"},
    {SEGMENTATION ".pictures", ROW(segmentation.pictures), BL_TYPE_INT, "3", 0, 16, NULL, EVALUATE, NULL, "scenes of val whose prediction is kept for the report, of the largest share"},

    ASKED_SPLIT(PROBE),
    ASKED_AT(PROBE),
    MONITOR(PROBE),
    ASKED_SPLIT(ACCURACY),
    ASKED_AT(ACCURACY),
    MONITOR(ACCURACY),

    {"cells", FORM, "", 0, 0, NULL, REPORT, NULL, "name: {what differs from the file}, each a training of its own"},
    {"sweep.product", FORM, "", 0, 0, NULL, REPORT, NULL, "key: [values], a cell for each combination; keys with dots (method.target.tau) stand here and in --set alone"},
    {"sweep.exclude", FORM, "", 0, 0, NULL, REPORT, NULL, "a list of {key: value}: combinations left out"},

    {"save.checkpoints", CELL_LIST(save_checkpoints, save_checkpoint_count), BL_TYPE_EPOCH_LIST, "[]", 1, 100000, NULL, HOST, NULL, "finished epochs whose checkpoints stay"},
    {"save.checkpoint", CELL(save_last_checkpoint), BL_TYPE_CHOICE_BOOL, "none", 0, 0, keeps, HOST, NULL, "of the last epoch, beside the run file: where schedules are constant, more train.epochs go on from it"},
    {"save.weights", CELL(save_weights), BL_TYPE_CHOICE_BOOL, "last", 0, 0, keeps, HOST, NULL, "in the run file"},
    {"save.features", CELL(save_features), BL_TYPE_CHOICE_BOOL, "none", 0, 0, keeps, HOST, NULL, "in the run file: of the splits that evaluations ask about, learn from or choose by; of all where nothing is evaluated"},

    {"machine.backend", MACHINE(backend), BL_TYPE_NAME, "onednn", 0, 0, backends, HOST, NULL, "what computes: a CPU, f64 in plain loops, or an NVIDIA GPU"},
    {"machine.threads", MACHINE(threads), BL_TYPE_INT, "0", 0, 1024, NULL, HOST, NULL, "of the backend; 0: chosen from the processors"},
    {"machine.loader_threads", MACHINE(loader_threads), BL_TYPE_INT, "0", 0, 1024, NULL, HOST, NULL, "that make views; 0: chosen from the processors"},
    {"machine.isa", MACHINE(isa), BL_TYPE_NAME, "\"\"", 0, 0, instruction_sets, HOST, NULL, "the highest instruction set used, where the machine has it; \"\": the best there is"},
    {"machine.eager", MACHINE(eager), BL_TYPE_BOOL, "false", 0, 0, NULL, HOST, "machine.backend=cudnn", "launch each operation by itself instead of replaying CUDA graphs"},
    {"machine.lock", MACHINE(without_locks), BL_TYPE_CHOICE_BOOL, "flock", 0, 0, locks, HOST, NULL, "none: on a file system without locks, for who knows that no other process writes these results"},

    {"report.title", STUDY(title), BL_TYPE_TEXT, "\"\"", 0, 0, NULL, REPORT, NULL, "of the plot; \"\": the study's name"},
    {"expect[].row", EXPECTATION(row), BL_TYPE_TEXT, NULL, 0, 0, NULL, REPORT, NULL, "the measurement it stands beside: knn/k1_cv/test"},
    {"expect[].epoch", EXPECTATION(epoch), BL_TYPE_INT, "-1", -1, 100000, NULL, REPORT, NULL, "finished epochs; left out: it stands beside our last one, for orientation"},
    {"expect[].value", EXPECTATION(value), BL_TYPE_NUMBER, NULL, 0, 100, NULL, REPORT, NULL, "percent"},
    {"expect[].range", EXPECTATION(low), BL_TYPE_PAIR, "[0, 0]", 0, 100, NULL, REPORT, NULL, "instead of value, where the source contradicts itself: both its values"},
    {"expect[].n", EXPECTATION(n), BL_TYPE_INT, "1", 1, 1e6, NULL, REPORT, NULL, "runs behind it"},
    {"expect[].spread", EXPECTATION(spread), BL_TYPE_NUMBER, "0", 0, 100, NULL, REPORT, NULL, "of those runs, in points"},
    {"expect[].spread_kind", EXPECTATION(spread_kind), BL_TYPE_NAME, "none", 0, 0, spreads, REPORT, NULL, "what the spread is"},
    {"expect[].selection", EXPECTATION(selection), BL_TYPE_NAME, "last", 0, 0, selections, REPORT, NULL, "which epoch of theirs it is; ours is the one named"},
    {"expect[].origin", EXPECTATION(origin), BL_TYPE_NAME, "read", 0, 0, origins, REPORT, NULL, "from text or table, or off a plot"},
    {"expect[].source", EXPECTATION(source), BL_TYPE_TEXT, NULL, 0, 0, NULL, REPORT, NULL, "where it was published"},
    {"expect[].cell", EXPECTATION(cell), BL_TYPE_TEXT, "\"\"", 0, 0, NULL, REPORT, NULL, "the cell it speaks of; \"\": every cell"},
    {"expect[].about", EXPECTATION(about), BL_TYPE_TEXT, "\"\"", 0, 0, NULL, REPORT, NULL, "what differs from ours; where something does, no difference is printed"},
};
const int bl_schema_count = (int)(sizeof bl_schema / sizeof *bl_schema);

const bl_key *bl_schema_find(const char *path) {
    for (int i = 0; i < bl_schema_count; i++)
        if (!strcmp(bl_schema[i].path, path)) return &bl_schema[i];
    return NULL;
}

static bool is_of_kind(const bl_dataset_facts *set, const char *kind) {
    if (set->is_drawn ? strstr(kind, "files") : strstr(kind, "drawn")) return false;
    return set->scenes ? !strstr(kind, "images") : !strstr(kind, "scenes");
}

void bl_key_when(const bl_key *key, bl_text *text) {
    const char *kind = strchr(key->when, '<'), *before = "";
    bl_text_add(text, "%.*s", (int)(kind ? kind - key->when : (long)strlen(key->when)), key->when);
    for (int i = 0; kind && bl_dataset_facts_at(i); i++) {
        if (!is_of_kind(bl_dataset_facts_at(i), kind)) continue;
        bl_text_add(text, "%s%s", before, bl_dataset_facts_at(i)->name);
        before = "|";
    }
}

const char *bl_key_class_name(bl_key_class key_class) {
    static const char *const names[] = {
        [BL_KEY_TRAIN] = "train", [BL_KEY_EVALUATE] = "evaluate", [BL_KEY_MACHINE] = "machine", [BL_KEY_REPORT] = "report"};
    return names[key_class];
}

static void limits(const bl_key *key, bl_text *text) {
    if (key->low == -DBL_MAX && key->high == DBL_MAX) return;
    if (key->low == ABOVE_0) bl_text_add(text, " above 0, at most %.16g", key->high);
    else bl_text_add(text, " from %.16g to %.16g", key->low, key->high);
}

void bl_key_range(const bl_key *key, bl_text *text) {
    switch (key->type) {
    case BL_TYPE_INT:
    case BL_TYPE_INT64:
    case BL_TYPE_UINT64: bl_text_add(text, "a whole number"); break;
    case BL_TYPE_NUMBER: bl_text_add(text, "a number"); break;
    case BL_TYPE_INTERVAL: bl_text_add(text, "seconds (`300 s`) or steps (`200`)"); break;
    case BL_TYPE_BOOL: bl_text_add(text, "true or false"); return;
    case BL_TYPE_TEXT: bl_text_add(text, "text"); return;
    case BL_TYPE_PAIR: bl_text_add(text, "[low, high]"); break;
    case BL_TYPE_NUMBERS: bl_text_add(text, "an ascending list of numbers"); break;
    case BL_TYPE_RATE: bl_text_add(text, "a number, or {value, per}"); break;
    case BL_TYPE_VIEW: bl_text_add(text, "{transform: ...}"); return;
    case BL_TYPE_ARMS: bl_text_add(text, "[pretrained, random], or {name: pretrained | random | {run: PATH} | {weights: PATH}}"); return;
    case BL_TYPE_SPLITS:
        for (const bl_choice *choice = key->choices; choice->name; choice++)
            bl_text_add(text, "%s%s", choice == key->choices ? "a list of " : ", ", choice->name);
        return;
    case BL_TYPE_EPOCHS: bl_text_add(text, "{first, every, also} or a list of epochs"); return;
    case BL_TYPE_EPOCH_LIST: bl_text_add(text, "a list of epochs"); break;
    case BL_TYPE_SEEDS: bl_text_add(text, "a list of whole numbers"); break;
    case BL_TYPE_NORMALIZE: bl_text_add(text, "imagenet, cifar10 or {mean, std}"); return;
    case BL_TYPE_STRUCTURE: bl_text_add(text, "structure"); return;
    case BL_TYPE_NAME:
    case BL_TYPE_CHOICE:
    case BL_TYPE_CHOICE_BOOL:
        for (const bl_choice *choice = key->choices; choice->name; choice++)
            bl_text_add(text, "%s%s", choice == key->choices ? "" : " | ", *choice->name ? choice->name : "\"\"");
        return;
    }
    limits(key, text);
}

void bl_schema_print(bl_text *text) {
    for (int i = 0; i < bl_schema_count; i++) {
        const bl_key *key = &bl_schema[i];
        bl_text_add(text, "%s: ", key->path);
        bl_key_range(key, text);
        if (key->type != BL_TYPE_STRUCTURE) bl_text_add(text, key->default_text ? "; default %s" : "; required", key->default_text);
        bl_text_add(text, "; class %s", bl_key_class_name(key->key_class));
        if (key->when) {
            bl_text_add(text, "; only where ");
            bl_key_when(key, text);
        }
        bl_text_add(text, "\n    %s\n", key->meaning);
    }
}
