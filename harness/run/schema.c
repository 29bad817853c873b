#include "run/schema.h"

#include <float.h>
#include <string.h>

// Shorthands of the table alone.
#define CELL(field) BL_OF_CELL, offsetof(bl_cell, field)
#define MACHINE(field) BL_OF_MACHINE, offsetof(bl_machine, field)
#define STUDY(field) BL_OF_STUDY, offsetof(bl_experiment, field)
#define TRANSFORM(field) BL_OF_TRANSFORM, offsetof(bl_transform, field)
#define EVALUATION(field) BL_OF_EVALUATION, offsetof(bl_evaluation, field)
#define EXPECTATION(field) BL_OF_EXPECTATION, offsetof(bl_expectation, field)
#define NO_FIELD(of) of, BL_NO_FIELD
#define FORM NO_FIELD(BL_OF_STUDY), BL_TYPE_STRUCTURE
#define TRAIN BL_KEY_TRAIN
#define EVALUATE BL_KEY_EVALUATE
#define HOST BL_KEY_MACHINE
#define REPORT BL_KEY_REPORT
#define ABOVE_0 DBL_MIN
#define ANY (-DBL_MAX), DBL_MAX
#define MAX_SEED 9007199254740992.0 // 2^53

static const bl_choice datasets[] = {{"cifar10", 0}, {"shapes", 1}, {0}};
static const bl_choice encoders[] = {{"resnet18", 18}, {0}};
static const bl_choice stems[] = {{"cifar", BL_STEM_CIFAR}, {0}};
static const bl_choice norms[] = {{"none", BL_NORM_NONE}, {"hidden", BL_NORM_HIDDEN}, {0}};
static const bl_choice predictors[] = {{"mlp", BL_PREDICTOR_MLP}, {"none", BL_PREDICTOR_NONE}, {0}};
static const bl_choice sources[] = {{"ema", BL_TARGET_EMA}, {"online", BL_TARGET_ONLINE}, {"frozen", BL_TARGET_FROZEN}, {0}};
static const bl_choice inits[] = {{"copy", BL_TARGET_COPY}, {"independent", BL_TARGET_INDEPENDENT}, {0}};
static const bl_choice schedules[] = {{"constant", BL_SCHEDULE_CONSTANT}, {"cosine", BL_SCHEDULE_COSINE}, {0}};
static const bl_choice pairings[] = {{"crossed", BL_CROSSED}, {"same_view", BL_SAME_VIEW}, {0}};
static const bl_choice optimizers[] = {{"adam", BL_OPTIMIZER_ADAM}, {"sgd", BL_OPTIMIZER_SGD}, {0}};
static const bl_choice precisions[] = {{"f32", BL_F32}, {"bf16", BL_BF16}, {0}};
static const bl_choice metrics[] = {{"cosine", 0}, {0}};
static const bl_choice protocols[] = {{"cross_validation", BL_KNN_CROSS_VALIDATION}, {"train_to_test", BL_KNN_TRAIN_TO_TEST}, {0}};
static const bl_choice splits[] = {{"train", BL_TRAIN}, {"validation", BL_VALIDATION}, {"test", BL_TEST}, {0}};
static const bl_choice monitors[] = {{"none", 0}, {"test", 1}, {0}};
static const bl_choice features[] = {{"encoder", 0}, {"pixels", 1}, {0}};
static const bl_choice keeps[] = {{"none", 0}, {"last", 1}, {0}};
static const bl_choice backends[] = {{"onednn", 0}, {"reference", 1}, {0}};
static const bl_choice instruction_sets[] = {{"", 0}, {"avx2", 1}, {"avx512", 2}, {"avx512_bf16", 3}, {0}};
static const bl_choice origins[] = {{"read", 0}, {"digitised", 1}, {0}};

#define PREDICTOR "method.predictor.kind=mlp"
#define MOVING "method.target.source=ema"
#define OWN_TARGET "method.target.source=ema|frozen"
#define SGD "train.optimizer.kind=sgd"
#define ADAM "train.optimizer.kind=adam"
#define FOLDED "evaluate[].knn.protocol=cross_validation"
#define BANKED "evaluate[].knn.protocol=train_to_test"
#define ENCODED "evaluate[].knn.features=encoder"
#define CROP "views[].random_resized_crop"
#define JITTER "views[].color_jitter"
#define BLUR "views[].blur"
#define KNN "evaluate[].knn"

// The order is that of the resolved text.
const bl_key bl_schema[] = {
    // path, field, type, default, lowest, highest, choices, class, when, meaning
    {"base", FORM, "", 0, 0, NULL, REPORT, NULL, "a file this one is merged over, relative to it; cells, sweep and expect are not inherited"},

    {"data.dataset", CELL(data.name), BL_TYPE_NAME, NULL, 0, 0, datasets, TRAIN, NULL, "the images"},
    {"data.root", CELL(data.root), BL_TYPE_TEXT, NULL, 0, 0, NULL, HOST, "data.dataset=cifar10", "folder of the official binary files"},
    {"data.seed", CELL(data.seed), BL_TYPE_UINT64, "0", 0, MAX_SEED, NULL, TRAIN, "data.dataset=shapes", "what the images are drawn from"},
    {"data.train", CELL(data.train), BL_TYPE_INT, "4096", 10, 1e6, NULL, TRAIN, "data.dataset=shapes", "images to train on"},
    {"data.test", CELL(data.test), BL_TYPE_INT, "1024", 10, 1e6, NULL, TRAIN, "data.dataset=shapes", "images to test on"},
    {"data.validation", CELL(data.validation), BL_TYPE_INT, "0", 0, 1e6, NULL, TRAIN, NULL, "images taken from train, by class, for choices"},
    {"data.split_seed", CELL(data.split_seed), BL_TYPE_UINT64, "0", 0, MAX_SEED, NULL, TRAIN, NULL, "which images those are"},
    {"data.limit", CELL(data.limit), BL_TYPE_INT, "0", 0, 1e6, NULL, TRAIN, NULL, "at most this many train images, the first; 0: all"},
    {"data.shuffle", CELL(train.shuffle), BL_TYPE_BOOL, "true", 0, 0, NULL, TRAIN, NULL, "a new order every epoch; false: file order"},

    {CROP ".size", TRANSFORM(size), BL_TYPE_INT, NULL, 8, 512, NULL, TRAIN, NULL, "pixels a side of the view"},
    {CROP ".scale", TRANSFORM(scale), BL_TYPE_PAIR, "[0.08, 1]", ABOVE_0, 1, NULL, TRAIN, NULL, "share of the image's area"},
    {CROP ".ratio", TRANSFORM(ratio), BL_TYPE_PAIR, "[0.75, 1.3333333333333333]", ABOVE_0, 100, NULL, TRAIN, NULL, "width / height"},
    {CROP ".antialias", TRANSFORM(antialias), BL_TYPE_BOOL, "true", 0, 0, NULL, TRAIN, NULL, "smooth where the crop shrinks"},
    {"views[].flip", TRANSFORM(p), BL_TYPE_NUMBER, NULL, 0, 1, NULL, TRAIN, NULL, "probability of a horizontal flip"},
    {JITTER ".p", TRANSFORM(p), BL_TYPE_NUMBER, "0.8", 0, 1, NULL, TRAIN, NULL, "probability of being applied"},
    {JITTER ".brightness", TRANSFORM(brightness), BL_TYPE_NUMBER, "0.4", 0, 10, NULL, TRAIN, NULL, "factors 1 - v to 1 + v"},
    {JITTER ".contrast", TRANSFORM(contrast), BL_TYPE_NUMBER, "0.4", 0, 10, NULL, TRAIN, NULL, "factors 1 - v to 1 + v"},
    {JITTER ".saturation", TRANSFORM(saturation), BL_TYPE_NUMBER, "0.2", 0, 10, NULL, TRAIN, NULL, "factors 1 - v to 1 + v"},
    {JITTER ".hue", TRANSFORM(hue), BL_TYPE_NUMBER, "0.1", 0, 0.5, NULL, TRAIN, NULL, "turns of the colour circle, -v to v"},
    {"views[].grayscale", TRANSFORM(p), BL_TYPE_NUMBER, NULL, 0, 1, NULL, TRAIN, NULL, "probability of losing all colour"},
    {BLUR ".p", TRANSFORM(p), BL_TYPE_NUMBER, "0.5", 0, 1, NULL, TRAIN, NULL, "probability of being applied"},
    {BLUR ".kernel", TRANSFORM(kernel), BL_TYPE_INT, "3", 3, 63, NULL, TRAIN, NULL, "pixels a side, odd"},
    {BLUR ".sigma", TRANSFORM(sigma), BL_TYPE_PAIR, "[0.1, 2]", ABOVE_0, 100, NULL, TRAIN, NULL, "of the Gaussian, in pixels"},
    {"views[].normalize", TRANSFORM(mean), BL_TYPE_NORMALIZE, NULL, ANY, NULL, TRAIN, NULL, "imagenet, cifar10, or {mean: [r, g, b], std: [r, g, b]}"},

    {"network.encoder", CELL(model.encoder.depth), BL_TYPE_CHOICE, "resnet18", 0, 0, encoders, TRAIN, NULL, "torchvision's definition"},
    {"network.stem", CELL(model.encoder.stem), BL_TYPE_CHOICE, "cifar", 0, 0, stems, TRAIN, NULL, "cifar: 3x3, stride 1, no pooling"},
    {"network.width", CELL(model.encoder.width), BL_TYPE_INT, "64", 1, 1024, NULL, TRAIN, NULL, "channels of the first stage; features have 8 times as many"},
    {"network.projector.hidden", CELL(model.projector.hidden), BL_TYPE_INT, "4096", 1, 65536, NULL, TRAIN, NULL, "hidden width of the projector"},
    {"network.projector.out", CELL(model.projector.out), BL_TYPE_INT, "256", 2, 65536, NULL, TRAIN, NULL, "width of projections and predictions"},
    {"network.projector.batch_norm", CELL(model.projector.batch_norm), BL_TYPE_CHOICE, "hidden", 0, 0, norms, TRAIN, NULL, "where batch norm stands"},

    {"method.predictor.kind", CELL(model.method.predictor), BL_TYPE_CHOICE, "mlp", 0, 0, predictors, TRAIN, NULL, "what maps online to target"},
    {"method.predictor.hidden", CELL(model.method.predictor_head.hidden), BL_TYPE_INT, "4096", 1, 65536, NULL, TRAIN, PREDICTOR, "hidden width of the predictor"},
    {"method.predictor.batch_norm", CELL(model.method.predictor_head.batch_norm), BL_TYPE_CHOICE, "hidden", 0, 0, norms, TRAIN, PREDICTOR, "where batch norm stands"},
    {"method.predictor.lr_scale", CELL(model.method.predictor_lr_scale), BL_TYPE_NUMBER, "1", 0, 1e6, NULL, TRAIN, PREDICTOR, "times the learning rate"},
    {"method.target.source", CELL(model.method.target), BL_TYPE_CHOICE, "ema", 0, 0, sources, TRAIN, NULL, "a moving average, the online network itself, or a fixed one"},
    {"method.target.init", CELL(model.method.target_init), BL_TYPE_CHOICE, "copy", 0, 0, inits, TRAIN, OWN_TARGET, "starts equal to online, or drawn on its own"},
    {"method.target.tau", CELL(train.tau), BL_TYPE_NUMBER, "0.99", 0, 1, NULL, TRAIN, MOVING, "share of the target that stays each step, below 1"},
    {"method.target.schedule", CELL(train.tau_schedule), BL_TYPE_CHOICE, "constant", 0, 0, schedules, TRAIN, MOVING, "of tau; cosine rises to 1"},
    {"method.stop_gradient", CELL(model.method.stop_gradient), BL_TYPE_BOOL, "true", 0, 0, NULL, TRAIN, NULL, "no gradient through the target"},
    {"method.pairing", CELL(model.method.pairing), BL_TYPE_CHOICE, "crossed", 0, 0, pairings, TRAIN, NULL, "which views the loss compares"},

    {"train.epochs", CELL(train.epochs), BL_TYPE_INT, NULL, 1, 100000, NULL, TRAIN, NULL, "passes over the train images"},
    {"train.batch", CELL(train.batch), BL_TYPE_INT, "256", 1, 65536, NULL, TRAIN, NULL, "images of a micro step; a rest is left out"},
    {"train.accumulate", CELL(train.accumulate), BL_TYPE_INT, "1", 1, 65536, NULL, TRAIN, NULL, "micro steps of an update"},
    {"train.optimizer.kind", CELL(model.optimizer.kind), BL_TYPE_CHOICE, "adam", 0, 0, optimizers, TRAIN, NULL, "as in torch.optim"},
    {"train.optimizer.lr", CELL(train.learning_rate), BL_TYPE_NUMBER, NULL, ABOVE_0, 1000, NULL, TRAIN, NULL, "learning rate, as it is used: not scaled by the batch"},
    {"train.optimizer.momentum", CELL(model.optimizer.momentum), BL_TYPE_NUMBER, "0.9", 0, 1, NULL, TRAIN, SGD, "of the gradients"},
    {"train.optimizer.nesterov", CELL(model.optimizer.nesterov), BL_TYPE_BOOL, "false", 0, 0, NULL, TRAIN, SGD, "look ahead"},
    {"train.optimizer.weight_decay", CELL(model.optimizer.weight_decay), BL_TYPE_NUMBER, "0", 0, 100, NULL, TRAIN, NULL, "added to the gradient, L2"},
    {"train.optimizer.decay_norms", CELL(model.optimizer.decay_norms), BL_TYPE_BOOL, "false", 0, 0, NULL, TRAIN, NULL, "biases and norms decay too"},
    {"train.optimizer.beta1", CELL(model.optimizer.beta1), BL_TYPE_NUMBER, "0.9", 0, 1, NULL, TRAIN, ADAM, "first moment"},
    {"train.optimizer.beta2", CELL(model.optimizer.beta2), BL_TYPE_NUMBER, "0.999", 0, 1, NULL, TRAIN, ADAM, "second moment"},
    {"train.optimizer.epsilon", CELL(model.optimizer.epsilon), BL_TYPE_NUMBER, "1e-8", ABOVE_0, 1, NULL, TRAIN, ADAM, "added to the root of the second moment"},
    {"train.schedule", CELL(train.schedule), BL_TYPE_CHOICE, "constant", 0, 0, schedules, TRAIN, NULL, "of the learning rate; cosine falls to 0"},
    {"train.warmup", CELL(train.warmup_epochs), BL_TYPE_NUMBER, "0", 0, 100000, NULL, TRAIN, NULL, "epochs in which the learning rate rises"},
    {"train.seeds", STUDY(seeds), BL_TYPE_SEEDS, "[0]", 0, MAX_SEED, NULL, REPORT, NULL, "one run each"},
    {"train.precision", CELL(model.precision), BL_TYPE_CHOICE, "f32", 0, 0, precisions, TRAIN, NULL, "of activations and packed weights"},
    {"train.log_every", CELL(train.log_every), BL_TYPE_INT, "10", 1, 1e6, NULL, HOST, NULL, "steps between logged scalars"},
    {"train.checkpoint_every", CELL(train.checkpoint_every), BL_TYPE_INT, "200", 1, 1e9, NULL, HOST, NULL, "steps between checkpoints"},

    {KNN ".features", EVALUATION(raw_pixels), BL_TYPE_CHOICE_BOOL, "encoder", 0, 0, features, EVALUATE, NULL, "of the online encoder, or the image itself (once)"},
    {KNN ".protocol", EVALUATION(protocol), BL_TYPE_CHOICE, "train_to_test", 0, 0, protocols, EVALUATE, NULL, "who answers whom"},
    {KNN ".k", EVALUATION(k), BL_TYPE_INT, "200", 1, 1e6, NULL, EVALUATE, NULL, "neighbours that vote"},
    {KNN ".metric", NO_FIELD(BL_OF_EVALUATION), BL_TYPE_CHOICE, "cosine", 0, 0, metrics, EVALUATE, NULL, "what is near"},
    {KNN ".temperature", EVALUATION(temperature), BL_TYPE_NUMBER, "0.1", 0, 1000, NULL, EVALUATE, BANKED, "votes weigh exp(cos / T); 0: one vote each"},
    {KNN ".folds", EVALUATION(folds), BL_TYPE_INT, "5", 2, 100, NULL, EVALUATE, FOLDED, "stratified, in file order"},
    {KNN ".split", EVALUATION(split), BL_TYPE_CHOICE, "validation", 0, 0, splits, EVALUATE, NULL, "the images asked about"},
    {KNN ".rows", EVALUATION(rows), BL_TYPE_INT64, "0", 0, 1e9, NULL, EVALUATE, NULL, "the first of the split; 0: all"},
    {KNN ".at", EVALUATION(at), BL_TYPE_EPOCHS, "[]", 0, 100000, NULL, REPORT, ENCODED, "finished epochs, 0 = before training: {first, every, also} or a list; the last always counts"},
    {KNN ".monitor", EVALUATION(monitor), BL_TYPE_CHOICE_BOOL, "none", 0, 0, monitors, REPORT, NULL, "test: owns that test is watched while training"},

    {"cells", FORM, "", 0, 0, NULL, REPORT, NULL, "name: {what differs from the file}, each a training of its own"},
    {"sweep.product", FORM, "", 0, 0, NULL, REPORT, NULL, "key: [values], a cell for each combination"},
    {"sweep.exclude", FORM, "", 0, 0, NULL, REPORT, NULL, "a list of {key: value}: combinations left out"},

    {"save.checkpoints", CELL(save_checkpoints), BL_TYPE_EPOCH_LIST, "[]", 1, 100000, NULL, HOST, NULL, "finished epochs whose checkpoints stay"},
    {"save.weights", CELL(save_weights), BL_TYPE_CHOICE_BOOL, "last", 0, 0, keeps, HOST, NULL, "in the run file"},
    {"save.features", CELL(save_features), BL_TYPE_CHOICE_BOOL, "none", 0, 0, keeps, HOST, NULL, "of the evaluated splits, in the run file"},

    {"machine.backend", MACHINE(backend), BL_TYPE_NAME, "onednn", 0, 0, backends, HOST, NULL, "what computes"},
    {"machine.threads", MACHINE(threads), BL_TYPE_INT, "0", 0, 1024, NULL, HOST, NULL, "of the backend; 0: chosen from the processors"},
    {"machine.loader_threads", MACHINE(loader_threads), BL_TYPE_INT, "0", 0, 1024, NULL, HOST, NULL, "that make views; 0: chosen from the processors"},
    {"machine.isa", MACHINE(isa), BL_TYPE_NAME, "\"\"", 0, 0, instruction_sets, HOST, NULL, "the highest instruction set used; \"\": the best there is"},

    {"report.title", STUDY(title), BL_TYPE_TEXT, "\"\"", 0, 0, NULL, REPORT, NULL, "of the plot; \"\": the study's name"},
    {"expect[].row", EXPECTATION(row), BL_TYPE_TEXT, NULL, 0, 0, NULL, REPORT, NULL, "the measurement it stands beside: knn/k1_cv/test"},
    {"expect[].epoch", EXPECTATION(epoch), BL_TYPE_INT, NULL, 0, 100000, NULL, REPORT, NULL, "finished epochs"},
    {"expect[].value", EXPECTATION(value), BL_TYPE_NUMBER, NULL, 0, 100, NULL, REPORT, NULL, "percent"},
    {"expect[].n", EXPECTATION(n), BL_TYPE_INT, "1", 1, 1e6, NULL, REPORT, NULL, "runs behind it"},
    {"expect[].origin", EXPECTATION(origin), BL_TYPE_NAME, "read", 0, 0, origins, REPORT, NULL, "from text or table, or off a plot"},
    {"expect[].source", EXPECTATION(source), BL_TYPE_TEXT, NULL, 0, 0, NULL, REPORT, NULL, "where it was published"},
    {"expect[].cell", EXPECTATION(cell), BL_TYPE_TEXT, "\"\"", 0, 0, NULL, REPORT, NULL, "the cell it speaks of; \"\": every cell"},
    {"expect[].context", EXPECTATION(context), BL_TYPE_BOOL, "false", 0, 0, NULL, REPORT, NULL, "drawn for orientation: no difference is printed"},
};
const int bl_schema_count = (int)(sizeof bl_schema / sizeof *bl_schema);

const bl_key *bl_schema_find(const char *path) {
    for (int i = 0; i < bl_schema_count; i++)
        if (!strcmp(bl_schema[i].path, path)) return &bl_schema[i];
    return NULL;
}

const char *bl_key_class_name(bl_key_class key_class) {
    static const char *const names[] = {
        [BL_KEY_TRAIN] = "train", [BL_KEY_EVALUATE] = "evaluate", [BL_KEY_MACHINE] = "machine", [BL_KEY_REPORT] = "report"};
    return names[key_class];
}

static void limits(const bl_key *key, bl_text *text) {
    if (key->low == -DBL_MAX && key->high == DBL_MAX) return;
    if (key->low == ABOVE_0) bl_text_add(text, " above 0, at most %.12g", key->high);
    else bl_text_add(text, " from %.12g to %.12g", key->low, key->high);
}

void bl_key_range(const bl_key *key, bl_text *text) {
    switch (key->type) {
    case BL_TYPE_INT:
    case BL_TYPE_INT64:
    case BL_TYPE_UINT64: bl_text_add(text, "a whole number"); break;
    case BL_TYPE_NUMBER: bl_text_add(text, "a number"); break;
    case BL_TYPE_BOOL: bl_text_add(text, "true or false"); return;
    case BL_TYPE_TEXT: bl_text_add(text, "text"); return;
    case BL_TYPE_PAIR: bl_text_add(text, "[low, high]"); break;
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
        if (key->when) bl_text_add(text, "; only where %s", key->when);
        bl_text_add(text, "\n    %s\n", key->meaning);
    }
}
