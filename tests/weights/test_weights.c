// Weights that travel: bit for bit out of a run and back, torch's files read as torch means them, and no header believed.

#include "support.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "experiment/experiment.h"
#include "run/checkpoint.h"
#include "weights/weights.h"

// Of a file in the test's folder; good until the sixteenth call after this one.
static const char *at(const char *name) {
    static char paths[16][512];
    static int next;
    char *path = paths[next++ % 16];
    snprintf(path, sizeof *paths, "%s/%s", bl_test_here(), name);
    return path;
}

static void assert_says(const char *reason) {
    if (!strstr(bl_error(), reason)) fail_msg("'%s' does not say '%s'", bl_error(), reason);
    if (strchr(bl_error(), '\n')) fail_msg("'%s' is more than one line", bl_error());
}

// ---- a run: a model of narrow networks with weights of its own ----

static const char recipe[] =
        "data: {dataset: shapes, train: 48, test: 60}\n"
        "views:\n"
        "  - {random_resized_crop: {size: 32}, flip: 0.5, normalize: {mean: [0.1, 0.2, 0.3], std: [0.4, 0.5, 0.6]}}\n"
        "network: {encoder: resnet18, stem: cifar, width: 4, projector: {hidden: 16, out: 8, batch_norm: hidden}}\n"
        "method: {predictor: {kind: mlp, hidden: 16, batch_norm: none}, target: {source: ema, tau: 0.9}}\n"
        "train: {epochs: 1, batch: 4, optimizer: {kind: adam, lr: 1.0e-3}}\n"
        "save: {weights: last, features: none}\n";

typedef struct small_run {
    bl_experiment *experiment;
    const bl_cell *cell;
    bl_backend *backend;
    bl_model model;
} small_run;


// Initial weights of `seed`; batch-norm buffers, which start alike everywhere, get values of their own.
static small_run open_run_with(uint64_t seed, const bl_override *overrides, int override_count) {
    small_run run = {0};
    assert_ok(bl_atomic_write(at("small.yaml"), recipe, strlen(recipe)));
    assert_ok(bl_experiment_read(&run.experiment, at("small.yaml"), overrides, override_count));
    run.cell = &run.experiment->cells[0];
    assert_ok(bl_backend_open(&run.backend, bl_test_backend(), &(bl_backend_options){.threads = 1, .isa = ""}));
    assert_ok(bl_model_create(&run.model, run.backend, run.cell, seed));
    bl_random random = bl_random_stream(seed, "buffers", 0, 0, 0);
    for (int n = 0; n < run.model.layout->network_count; n++) {
        const bl_segments *buffers = &run.model.layout->networks[n].buffers;
        for (int s = 0; s < buffers->count; s++) {
            double values[64];
            const size_t count = (size_t)bl_shape_count(&buffers->items[s].shape);
            assert_true(count <= 64);
            for (size_t i = 0; i < count; i++) values[i] = (float)bl_random_between(&random, 0.1, 2);
            assert_ok(bl_store_write(run.model.store, (bl_place){n, BL_BUFFERS, s}, values));
        }
    }
    return run;
}

static small_run open_run(uint64_t seed) {
    return open_run_with(seed, NULL, 0);
}

static void close_run(small_run *run) {
    bl_model_free(&run->model);
    bl_backend_close(run->backend);
    bl_experiment_free(run->experiment);
}

// As the trainer writes them.
static void save(small_run *run, const char *run_file, const char *checkpoint) {
    const bl_identity identity = {.run_id = "a", .machine = "b"};
    const bl_run_key key = {.experiment = run->experiment, .cell = run->cell};
    const bl_evaluator evaluator = {.model = &run->model, .cell = run->cell};
    const bl_progress progress = {0};
    const bl_history history = {0};
    if (run_file) assert_ok(bl_run_file_write(run_file, &identity, &key, &evaluator, &progress, &history));
    if (!checkpoint) return;
    bl_container_writer *snapshot;
    assert_ok(bl_checkpoint_take(&snapshot, &identity, &key, &run->model, &progress, NULL, &history));
    assert_ok(bl_container_writer_save(snapshot, checkpoint));
    bl_container_writer_free(snapshot);
}

static double *values_of(const small_run *run, bl_place place) {
    double *values = malloc(bl_place_count(run->model.layout, place) * sizeof *values);
    assert_ok(bl_store_read(run->model.store, place, values));
    return values;
}

static bool is_same_segment(const small_run *a, const small_run *b, bl_place place) {
    double *x = values_of(a, place), *y = values_of(b, place);
    const bool is_same = !memcmp(x, y, bl_place_count(a->model.layout, place) * sizeof *x);
    free(x), free(y);
    return is_same;
}

static void assert_same_weights(const bl_weights *a, const bl_weights *b) {
    assert_int_equal(a->count, b->count);
    for (int i = 0; i < a->count; i++) {
        assert_string_equal(a->items[i].name, b->items[i].name);
        assert_true(bl_shape_equal(&a->items[i].shape, &b->items[i].shape));
        assert_memory_equal(a->items[i].values, b->items[i].values, (size_t)bl_shape_count(&a->items[i].shape) * sizeof(float));
    }
    assert_memory_equal(&a->preprocessing, &b->preprocessing, sizeof a->preprocessing);
}

static const bl_weight *named(const bl_weights *weights, const char *name) {
    for (int i = 0; i < weights->count; i++)
        if (!strcmp(weights->items[i].name, name)) return &weights->items[i];
    fail_msg("there is no %s", name);
    return NULL;
}

static void expect_return(const bl_override *overrides, int override_count, int tensors) {
    small_run from = open_run_with(3, overrides, override_count), into = open_run_with(4, overrides, override_count);
    bl_weights exported, read;
    save(&from, at("run.h5"), NULL);
    assert_ok(bl_weights_read_run(&exported, at("run.h5")));
    assert_ok(bl_weights_write_safetensors(&exported, at("run.safetensors")));
    assert_ok(bl_weights_read_safetensors(&read, at("run.safetensors")));
    assert_same_weights(&exported, &read);
    assert_ok(bl_weights_apply_encoder(&read, into.model.store, "online"));

    const int online = bl_layout_find_network(from.model.layout, "online");
    int encoders = 0;
    for (int k = 0; k < 2; k++) {
        const bl_block_kind kind = k ? BL_BUFFERS : BL_PARAMETERS;
        const bl_segments *segments = bl_network_segments(&from.model.layout->networks[online], kind);
        for (int s = 0; s < segments->count; s++) {
            const bool is_encoders = strncmp(segments->items[s].name, "projector.", 10) != 0;
            const bool starts_alike = segments->items[s].init.kind == BL_INIT_ONE || segments->items[s].init.kind == BL_INIT_ZERO;
            encoders += is_encoders;
            if (is_encoders || kind == BL_BUFFERS || !starts_alike)
                assert_int_equal(is_same_segment(&from, &into, (bl_place){online, kind, s}), is_encoders);
        }
    }
    assert_int_equal(encoders, read.count);
    assert_int_equal(encoders, tensors);
    bl_weights_free(&exported), bl_weights_free(&read);
    close_run(&from), close_run(&into);
}

static void an_encoder_comes_back_from_its_safetensors_bit_for_bit(void **state) {
    (void)state;
    const bl_override deeper[] = {{"network.encoder", "resnet34"}}, deepest[] = {{"network.encoder", "resnet50"}, {"network.width", "2"}};
    expect_return(NULL, 0, 60 + 40); // torchvision's parameters and running statistics, without fc
    expect_return(deeper, 1, 108 + 72);
    expect_return(deepest, 2, 159 + 106);
}

// Value (o, y, x, i) of the store is value (o, i, y, x) of the file.
static void convolutions_leave_as_torch_lays_them_out(void **state) {
    (void)state;
    small_run run = open_run(3);
    bl_weights weights;
    save(&run, at("run.h5"), NULL);
    assert_ok(bl_weights_read_run(&weights, at("run.h5")));
    const bl_weight *weight = named(&weights, "layer2.0.conv1.weight");
    assert_true(bl_shape_equal(&weight->shape, &(bl_shape){4, {8, 4, 3, 3}}));
    const int online = bl_layout_find_network(run.model.layout, "online");
    const int segment = bl_segments_find(&run.model.layout->networks[online].parameters, "layer2.0.conv1.weight");
    double *stored = values_of(&run, (bl_place){online, BL_PARAMETERS, segment});
    for (int o = 0; o < 8; o++)
        for (int i = 0; i < 4; i++)
            for (int y = 0; y < 3; y++)
                for (int x = 0; x < 3; x++)
                    assert_true(weight->values[((o * 4 + i) * 3 + y) * 3 + x] == (float)stored[((o * 3 + y) * 3 + x) * 4 + i]);
    free(stored);
    bl_weights_free(&weights);
    close_run(&run);
}

static void a_checkpoint_holds_the_same_weights_as_the_run_file(void **state) {
    (void)state;
    small_run run = open_run(5);
    bl_weights a, b;
    save(&run, at("run.h5"), at("run.ckpt"));
    assert_ok(bl_weights_read_run(&a, at("run.h5")));
    assert_ok(bl_weights_read_run(&b, at("run.ckpt")));
    assert_same_weights(&a, &b);
    bl_weights_free(&a), bl_weights_free(&b);
    assert_ok(bl_weights_read_run_all(&a, at("run.h5")));
    assert_ok(bl_weights_read_run_all(&b, at("run.ckpt")));
    assert_same_weights(&a, &b);
    bl_weights_free(&a), bl_weights_free(&b);
    close_run(&run);
}

static void a_checkpoint_is_read_where_its_images_are_not(void **state) {
    (void)state;
    small_run run = open_run_with(5, &(bl_override){"data", "{dataset: cifar10, root: /nowhere}"}, 1);
    bl_weights a, b;
    save(&run, at("run.h5"), at("run.ckpt"));
    assert_ok(bl_weights_read_run(&a, at("run.h5")));
    assert_ok(bl_weights_read_run(&b, at("run.ckpt")));
    assert_same_weights(&a, &b);
    bl_weights_free(&a), bl_weights_free(&b);
    close_run(&run);
}

static void everything_carries_the_names_of_its_networks(void **state) {
    (void)state;
    small_run run = open_run(6);
    bl_weights all;
    save(&run, at("run.h5"), NULL);
    assert_ok(bl_weights_read_run_all(&all, at("run.h5")));
    int segments = 0;
    for (int n = 0; n < run.model.layout->network_count; n++)
        segments += run.model.layout->networks[n].parameters.count + run.model.layout->networks[n].buffers.count;
    assert_int_equal(all.count, segments);
    static const char *const names[] = {"encoder.conv1.weight", "encoder.layer4.1.bn2.running_var", "projector.0.weight",
                                        "predictor.0.weight",   "target.encoder.conv1.weight",      "target.projector.0.weight"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) named(&all, names[i]);
    for (int i = 1; i < all.count; i++) assert_true(strcmp(all.items[i - 1].name, all.items[i].name) < 0);
    assert_int_equal(bl_weights_apply_encoder(&all, run.model.store, "online"), BL_FAILED);
    assert_says("holds 2 networks: encoder, target.encoder (by its name an averaged copy): write `prefix: encoder` beside its path");
    all.prefix = "encoder";
    assert_ok(bl_weights_apply_encoder(&all, run.model.store, "online"));
    bl_weights_free(&all);
    close_run(&run);
}

static void what_images_must_look_like_travels_with_the_weights(void **state) {
    (void)state;
    small_run run = open_run(7);
    bl_weights weights;
    const bl_preprocessing expected = {.known = true, .mean = {0.1, 0.2, 0.3}, .std = {0.4, 0.5, 0.6}, .image_size = 32};
    save(&run, at("run.h5"), at("run.ckpt")); // the one in a group of its own, the other in its recipe
    static const char *const files[] = {"run.h5", "run.ckpt"};
    for (int i = 0; i < 2; i++) {
        assert_ok(bl_weights_read_run(&weights, at(files[i])));
        assert_memory_equal(&weights.preprocessing, &expected, sizeof expected);
        assert_ok(bl_weights_write_safetensors(&weights, at("run.safetensors")));
        bl_weights_free(&weights);
        assert_ok(bl_weights_read_safetensors(&weights, at("run.safetensors")));
        assert_memory_equal(&weights.preprocessing, &expected, sizeof expected);
        bl_weights_free(&weights);
    }
    close_run(&run);
}

static void weights_of_imagenets_stem_travel_with_their_shape_and_size(void **state) {
    (void)state;
    const bl_override larger[] = {{"network.stem", "imagenet"}, {"views.0.random_resized_crop.size", "64"}};
    small_run from = open_run_with(8, larger, 2), into = open_run_with(9, larger, 2), cifar = open_run(9);
    const bl_place conv1 = {bl_layout_find_network(from.model.layout, "online"), BL_PARAMETERS, 0};
    bl_weights weights, checkpoint;
    save(&from, at("run.h5"), at("run.ckpt"));
    assert_ok(bl_weights_read_run(&weights, at("run.h5")));
    assert_ok(bl_weights_read_run(&checkpoint, at("run.ckpt")));
    assert_same_weights(&weights, &checkpoint);
    bl_weights_free(&checkpoint);
    assert_true(bl_shape_equal(&named(&weights, "conv1.weight")->shape, &(bl_shape){4, {4, 3, 7, 7}}));
    assert_true(weights.preprocessing.image_size == 64 && weights.preprocessing.resize == 64);

    assert_ok(bl_weights_write_safetensors(&weights, at("run.safetensors")));
    bl_weights_free(&weights);
    assert_ok(bl_weights_read_safetensors(&weights, at("run.safetensors")));
    assert_false(is_same_segment(&from, &into, conv1));
    assert_ok(bl_weights_apply_encoder(&weights, into.model.store, "online"));
    assert_true(is_same_segment(&from, &into, conv1));
    assert_int_equal(bl_weights_apply_encoder(&weights, cifar.model.store, "online"), BL_FAILED);
    assert_says("conv1.weight is [4, 3, 7, 7], the experiment's network has [4, 3, 3, 3]: write the `network` (encoder, stem, width)");
    bl_weights_free(&weights);
    close_run(&from), close_run(&into), close_run(&cifar);
}

static void other_preprocessing_is_refused_with_what_differs(void **state) {
    (void)state;
    const bl_preprocessing ours = {.known = true, .mean = {0.485, 0.456, 0.406}, .std = {0.229, 0.224, 0.225}, .image_size = 32};
    bl_preprocessing theirs = ours;
    theirs.mean[1] = (float)ours.mean[1]; // a file that went through f32
    assert_ok(bl_preprocessing_check("w", &theirs, &ours));
    assert_ok(bl_preprocessing_check("w", &(bl_preprocessing){0}, &ours)); // the file does not say
    assert_ok(bl_preprocessing_check("w", &(bl_preprocessing){.image_size = 32}, &ours));
    assert_int_equal(bl_preprocessing_check("w", &(bl_preprocessing){.image_size = 224}, &ours), BL_FAILED); // says as much
    assert_says("size 224, the experiment's have 32");
    theirs.mean[1] = 0.5;
    assert_int_equal(bl_preprocessing_check("w", &theirs, &ours), BL_FAILED);
    assert_says("w: its weights saw images of mean 0.485 0.5 0.406, the experiment's have 0.485 0.456 0.406");
    assert_says("preprocessing: keep");
    theirs = ours, theirs.std[2] = 1;
    assert_int_equal(bl_preprocessing_check("w", &theirs, &ours), BL_FAILED);
    assert_says("std 0.229 0.224 1");
    theirs = ours, theirs.image_size = 224;
    assert_int_equal(bl_preprocessing_check("w", &theirs, &ours), BL_FAILED);
    assert_says("size 224, the experiment's have 32");
    theirs = ours, theirs.resize = 256;
    assert_int_equal(bl_preprocessing_check("w", &theirs, &ours), BL_FAILED);
    assert_says("resize (0: none) 256");

    const bl_recipe plain = {0}, cropped = {.items = {{.kind = BL_CENTER_CROP, .resize = 40, .size = 32}}, .count = 1};
    const bl_preprocessing bare = bl_preprocessing_of(&plain, 32), after_crop = bl_preprocessing_of(&cropped, 32);
    assert_true(bare.known && bare.mean[0] == 0 && bare.std[0] == 1 && bare.image_size == 32 && bare.resize == 0);
    assert_int_equal(after_crop.resize, 40);
}

// ---- torch's file ----

static const bl_encoder_options golden_encoder = {
        .name = "resnet18", .stem = BL_STEM_CIFAR, .stem_padding = 1, .width = 4, .init = {BL_INIT_KAIMING_FAN_OUT, BL_INIT_UNIFORM_FAN_IN}};

static void golden_features_on(const char *name) {
    bl_layout *layout;
    bl_features_graph graph;
    bl_backend *backend;
    bl_store *store;
    bl_plan *plan;
    bl_weights weights;
    int64_t pixels, count;
    double *images = bl_test_golden("encoder.h5", "images", &pixels), *theirs = bl_test_golden("encoder.h5", "features", &count);
    double *ours = malloc((size_t)count * sizeof *ours), power = 0;
    assert_ok(bl_layout_create(&layout));
    assert_ok(bl_features_build(&graph, layout, &golden_encoder, 16, 6));
    assert_ok(bl_backend_open(&backend, name, &(bl_backend_options){.threads = 1, .isa = ""}));
    assert_ok(bl_store_create(backend, layout, &store));
    assert_ok(bl_weights_read_safetensors(&weights, BYOLAB_SOURCE "/tests/golden/encoder.safetensors"));
    assert_true(weights.preprocessing.known && weights.preprocessing.image_size == 16 && weights.preprocessing.mean[0] == 0.4914);
    assert_ok(bl_weights_apply_encoder(&weights, store, "online"));
    assert_ok(bl_plan_compile(store, graph.graph, &(bl_compile_options){.accumulate = 1, .observe = &graph.features, .observe_count = 1}, &plan));
    assert_int_equal(pixels, bl_shape_count(&graph.images->shape));
    assert_int_equal(count, bl_shape_count(&graph.features->shape));
    assert_ok(bl_plan_write(plan, graph.images, images));
    assert_ok(bl_plan_step(plan, 0, BL_PHASE_MICRO));
    assert_ok(bl_plan_read(plan, graph.features, ours));
    for (int64_t i = 0; i < count; i++) power += theirs[i] * theirs[i];
    const double worst = bl_test_worst(ours, theirs, count) / sqrt(power / (double)count);
    if (!(worst <= (strcmp(name, "reference") ? 1e-5 : 1e-9))) fail_msg("%s: worst difference %g of the features' RMS", name, worst);
    bl_plan_free(plan), bl_store_free(store), bl_backend_close(backend), bl_graph_free(graph.graph), bl_layout_free(layout);
    bl_weights_free(&weights);
    free(images), free(theirs), free(ours);
}

static void torchvisions_encoder_gives_torchvisions_features(void **state) {
    (void)state;
    golden_features_on("reference");
    if (bl_test_has_backend("onednn")) golden_features_on("onednn");
}

// ---- names and shapes against an encoder ----

static int by_name(const void *a, const void *b) { return strcmp(((const bl_weight *)a)->name, ((const bl_weight *)b)->name); }

static void sort(bl_weights *weights) { qsort(weights->items, (size_t)weights->count, sizeof *weights->items, by_name); }

typedef struct change { // of the golden file's table
    const char *name, *renamed; // NULL: taken out
    const char *says;           // NULL: accepted
} change;

static void names_and_shapes_are_compared_one_by_one(void **state) {
    (void)state;
    static const change changes[] = {
        {"layer3.1.bn2.running_var", NULL, "encoder.safetensors: layer3.1.bn2.running_var is missing"},
        {"layer3.1.bn2.running_var", "layer3.1.bn2.running_variance", "layer3.1.bn2.running_var is missing"},
        {"fc.weight", "head.weight", "head.weight is left over"},
        {"fc.bias", "projector.0.bias", "projector.0.bias is left over"},
        {"conv1.weight", "conv1.0.weight", "conv1.weight is missing, there is conv1.0.weight: write the `network`"},
        {"bn1.bias", "conv1.bias", "bn1.bias is missing, there is bn1.num_batches_tracked"},
        {"bn1.num_batches_tracked", "conv1.bias", "conv1.bias is left over: the experiment's encoder has no such tensor"},
        {"fc.weight", "fc.0.weight", NULL}, // a projector in the classifier's place
        {"fc.weight", "layer1.0.fc.0.weight", "layer1.0.fc.0.weight is left over"},
        {"fc.weight", NULL, NULL},
        {"bn1.num_batches_tracked", NULL, NULL},
    };
    bl_layout *layout;
    bl_features_graph graph;
    bl_backend *backend;
    bl_store *store;
    bl_weights weights;
    assert_ok(bl_layout_create(&layout));
    assert_ok(bl_features_build(&graph, layout, &golden_encoder, 16, 1));
    assert_ok(bl_backend_open(&backend, "reference", &(bl_backend_options){.threads = 1, .isa = ""}));
    assert_ok(bl_store_create(backend, layout, &store));
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        assert_ok(bl_weights_read_safetensors(&weights, BYOLAB_SOURCE "/tests/golden/encoder.safetensors"));
        for (int k = 0; k < weights.count; k++) {
            if (strcmp(weights.items[k].name, changes[i].name) != 0) continue;
            if (changes[i].renamed) weights.items[k].name = changes[i].renamed;
            else weights.items[k] = weights.items[--weights.count];
        }
        sort(&weights);
        const int status = bl_weights_apply_encoder(&weights, store, "online");
        if (status && !changes[i].says) fail_msg("%s: %s", changes[i].name, bl_error());
        if (changes[i].says) assert_int_equal(status, BL_FAILED), assert_says(changes[i].says);
        bl_weights_free(&weights);
    }

    assert_ok(bl_weights_read_safetensors(&weights, BYOLAB_SOURCE "/tests/golden/encoder.safetensors"));
    for (int k = 0; k < weights.count; k++) // what a wrapper puts before all but the classifier comes off
        if (strncmp(weights.items[k].name, "fc.", 3) != 0)
            weights.items[k].name = bl_arena_format(weights.arena, "module.encoder.%s", weights.items[k].name);
    sort(&weights);
    assert_ok(bl_weights_apply_encoder(&weights, store, "online"));
    bl_weight *weight = (bl_weight *)named(&weights, "module.encoder.layer1.0.conv1.weight");
    weight->shape = (bl_shape){4, {4, 4, 1, 9}};
    assert_int_equal(bl_weights_apply_encoder(&weights, store, "online"), BL_FAILED);
    assert_says("module.encoder.layer1.0.conv1.weight is [4, 4, 1, 9], the experiment's network has [4, 4, 3, 3]");
    weight->shape = (bl_shape){4, {4, 4, 3, 3}};
    *(float *)weight->values = NAN;
    assert_int_equal(bl_weights_apply_encoder(&weights, store, "online"), BL_FAILED);
    assert_says("holds a value that is not finite");
    *(float *)weight->values = 0;
    float *variance = (float *)named(&weights, "module.encoder.bn1.running_var")->values;
    variance[3] = -0.25f;
    assert_int_equal(bl_weights_apply_encoder(&weights, store, "online"), BL_FAILED);
    assert_says("module.encoder.bn1.running_var holds -0.25, and no variance is below 0");
    variance[3] = 0;
    weight->dtype = "F8_E4M3";
    assert_int_equal(bl_weights_apply_encoder(&weights, store, "online"), BL_FAILED);
    assert_says("module.encoder.layer1.0.conv1.weight: dtype F8_E4M3: weights are F32, F16, BF16 or F64");
    weight->dtype = NULL;
    weight = (bl_weight *)named(&weights, "module.encoder.conv1.weight");
    weight->shape.dims[1] = 1;
    assert_int_equal(bl_weights_apply_encoder(&weights, store, "online"), BL_FAILED);
    assert_says("conv1.weight is [4, 1, 3, 3], the experiment's network has [4, 3, 3, 3]: these weights saw images of another number of channels");
    bl_weights_free(&weights);
    bl_store_free(store), bl_backend_close(backend), bl_graph_free(graph.graph), bl_layout_free(layout);
}

// ---- several networks in one file ----

// The golden file's encoder once for each prefix, and tensors of other names beside it.
static void gather(bl_weights *weights, const char *const prefixes[], const char *const beside[]) {
    bl_weights one;
    assert_ok(bl_weights_read_safetensors(&one, BYOLAB_SOURCE "/tests/golden/encoder.safetensors"));
    assert_ok(bl_weights_read_safetensors(weights, BYOLAB_SOURCE "/tests/golden/encoder.safetensors"));
    bl_weight *items = bl_arena_take(weights->arena, (size_t)(4 * one.count) * sizeof *items);
    int count = 0;
    for (int p = 0; prefixes[p]; p++)
        for (int i = 0; i < one.count; i++) {
            if (!strncmp(one.items[i].name, "fc.", 3)) continue;
            items[count] = weights->items[i];
            items[count++].name = bl_arena_format(weights->arena, "%s%s", prefixes[p], one.items[i].name);
        }
    for (int b = 0; beside[b]; b++) items[count++] = (bl_weight){.name = beside[b], .shape = {1, {1}}, .dtype = "I64"};
    weights->items = items;
    weights->count = count;
    sort(weights);
    bl_weights_free(&one);
}

// As MoCo, SimSiam, solo-learn, DINO, lightly and DistributedDataParallel name theirs.
static void several_networks_of_a_file_are_named_and_one_is_chosen_by_its_prefix(void **state) {
    (void)state;
    static const struct {
        const char *prefixes[3], *beside[4], *prefix, *says;
    } cases[] = {
        {{"module.", NULL}, {NULL}, NULL, NULL},
        {{"_orig_mod.module.", NULL}, {"_orig_mod.module.fc.weight", "fc.bias", NULL}, NULL, NULL},
        {{"module.encoder_k.", "module.encoder_q.", NULL}, {"module.queue_ptr", "module.encoder_q.fc.2.bias", NULL}, NULL,
         "holds 2 networks: module.encoder_k (by its name an averaged copy), module.encoder_q: write `prefix: module.encoder_q` beside its path "
         "(import: --prefix module.encoder_q), or another of them"},
        {{"module.encoder_k.", "module.encoder_q.", NULL}, {"module.queue_ptr", "module.encoder_q.fc.2.bias", NULL}, "module.encoder_q", NULL},
        {{"module.encoder_k.", "module.encoder_q.", NULL}, {NULL}, "module.encoder_k.", NULL},
        {{"module.encoder_k.", "module.encoder_q.", NULL}, {NULL}, "encoder_q", "holds 2 networks"},
        {{"module.encoder_k.", "module.encoder_q.", NULL}, {NULL}, "module", "module.conv1.weight is missing"},
        {{"module.encoder_k.", "module.encoder_q.", NULL}, {"module.encoder_q.head.bias", NULL}, "module.encoder_q", "module.encoder_q.head.bias is left over"},
        {{"backbone.", "momentum_backbone.", NULL}, {"classifier.bias", NULL}, NULL, "backbone, momentum_backbone (by its name an averaged copy): write `prefix: backbone`"},
        {{"student.backbone.", "teacher.backbone.", NULL}, {NULL}, NULL, "student.backbone, teacher.backbone (by its name an averaged copy)"},
        {{"", "target.", NULL}, {NULL}, NULL, "holds 2 networks: ., target (by its name an averaged copy): write `prefix: .`"},
        {{"", "target.", NULL}, {NULL}, ".", NULL},
        {{"module.encoder.", NULL}, {"module.predictor.0.weight", NULL}, NULL,
         "holds an encoder below module.encoder, and module.predictor.0.weight beside it: write `prefix: module.encoder` beside its path (import: --prefix module.encoder)"},
        {{"module.encoder.", NULL}, {"module.predictor.0.weight", NULL}, "module.encoder", NULL},
        {{NULL}, {"backbone.0.weight", "backbone.4.0.conv1.weight", NULL}, NULL, "its tensors are numbered below \"backbone\" (backbone.4.0.conv1.weight), as torch.nn.Sequential"},
        {{NULL}, {"0.weight", "4.0.conv1.weight", NULL}, NULL, "its tensors are numbered below \"\" (4.0.conv1.weight)"},
        {{NULL}, {"blocks.0.weight", NULL}, NULL, "conv1.weight is missing"},
        {{NULL}, {"blocks.0.weight", NULL}, "encoder", "no name in it begins with encoder., the prefix: its first is blocks.0.weight"},
        {{NULL}, {"m.conv1.weight", "m.bn1.bias", NULL}, NULL, "m.conv1.weight: dtype I64: weights are F32, F16, BF16 or F64"},
    };
    bl_layout *layout;
    bl_features_graph graph;
    assert_ok(bl_layout_create(&layout));
    assert_ok(bl_features_build(&graph, layout, &golden_encoder, 16, 1));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bl_weights weights;
        gather(&weights, cases[i].prefixes, cases[i].beside);
        weights.prefix = cases[i].prefix;
        const int status = bl_weights_check_encoder(&weights, layout, "online");
        if (status && !cases[i].says) fail_msg("case %zu: %s", i, bl_error());
        if (cases[i].says) assert_int_equal(status, BL_FAILED), assert_says(cases[i].says);
        bl_weights_free(&weights);
    }
    bl_graph_free(graph.graph), bl_layout_free(layout);
}

// ---- headers that lie ----

// Of this header and so many bytes of zeros.
static const char *write_header(const char *header, size_t data_bytes) {
    const size_t length = strlen(header), bytes = 8 + length + data_bytes;
    unsigned char *file = calloc(1, bytes);
    for (int i = 0; i < 8; i++) file[i] = (unsigned char)(length >> (8 * i));
    memcpy(file + 8, header, length);
    assert_ok(bl_atomic_write(at("header.safetensors"), file, bytes));
    free(file);
    return at("header.safetensors");
}

#define A "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}"

static void headers_that_lie_are_refused_with_one_line(void **state) {
    (void)state;
    static const struct {
        const char *header;
        size_t data_bytes;
        const char *says;
    } cases[] = {
        {"{" A "}", 7, "a: its data end at byte 8 of 7"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 8, "a: its data end at 0, before they begin at 8"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-8,0]}}", 8, "a: data_offsets are not two whole numbers"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8.0]}}", 8, "a: data_offsets are not two whole numbers"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,\"8\"]}}", 8, "a: data_offsets are not two whole numbers"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8,16]}}", 8, "a: data_offsets are not two whole numbers"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,99999999999999999999]}}", 8, "a: data_offsets are not two whole"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,7]}}", 8, "a: shape [2] of F32 takes 8 bytes, its data have 7"},
        {"{\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "a: shape [2] of F16 takes 4 bytes, its data have 8"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}", 8, "a: shape [3] of F32 takes 12 bytes, its data have 8"},
        {"{" A ",\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}", 12, "the data of a and b overlap"},
        {"{" A ",\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "overlap"},
        {"{" A ",\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[12,16]}}", 16, "bytes 8 to 12 of the data belong to no tensor"},
        {"{" A "}", 9, "the last 1 bytes of the data belong to no tensor"},
        {"{" A "," A "}", 8, "a stands there twice"},
        {"{\"a\":{\"dtype\":\"F31\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "a: dtype F31: weights are F32, F16, BF16 or F64"},
        {"{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,2]}}", 2, "a: shape [3] of F4 takes 2 bytes"},
        {"{\"a\":{\"dtype\":\"I32\",\"shape\":[3],\"data_offsets\":[0,8]}}", 8, "a: shape [3] of I32 takes 12 bytes, its data have 8"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[0,4503599627370496],\"data_offsets\":[0,8]}}", 8, "takes 0 bytes, its data have 8"},
        {"{\"a\":{\"dtype\":7,\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "a: dtype 7: weights are"},
        {"{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "a: dtype missing"},
        {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", 8, "a: its shape is no list"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "a: data_offsets are not two whole numbers"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}}", 8, "a: its shape is no list"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8, "a: its shape is no list of whole numbers"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,2],\"data_offsets\":[0,8]}}", 8, "a: more than 4 dimensions"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,8]}}", 8, "a: its shape holds more values than any file"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"more\":1}}", 8, "a: its entry is not dtype, shape and data_offsets"},
        {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "once each"},
        {"{\"a\":[1,2]}", 8, "a: its entry is no object"},
        {"{\"\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "a tensor's name has 0 characters"},
        {"{\"a\\u0000b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "its header is not JSON"},
        {"{\"a\\u0007b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "characters that no name has"},
        {"{}", 0, "no tensors in it"},
        {"{\"__metadata__\":{}}", 0, "no tensors in it"},
        {"{\"__metadata__\":{}," A ",\"__metadata__\":{}}", 8, "__metadata__ stands there twice"},
        {"{\"__metadata__\":[]," A "}", 8, "__metadata__ is no object"},
        {"{\"__metadata__\":{\"mean\":\"0.5 0.5\"}," A "}", 8, "__metadata__: mean \"0.5 0.5\": write \"0.485 0.456 0.406\""},
        {"{\"__metadata__\":{\"std\":\"0.5 0 0.5\"}," A "}", 8, "__metadata__: std \"0.5 0 0.5\""},
        {"{\"__metadata__\":{\"mean\":\"0.5 0.5 0.5 0.5\"}," A "}", 8, "mean \"0.5 0.5 0.5 0.5\": write \"0.485 0.456 0.406\""},
        {"{\"__metadata__\":{\"mean\":\"[0.5, 0.5, 0.5\"}," A "}", 8, "mean \"[0.5, 0.5, 0.5\": write"},
        {"{\"__metadata__\":{\"mean\":\"0.5,,0.5,0.5\"}," A "}", 8, "mean \"0.5,,0.5,0.5\": write"},
        {"{\"__metadata__\":{\"mean\":\"0,485 0,456 0,406\"}," A "}", 8, "mean \"0,485 0,456 0,406\": write"},
        {"{\"__metadata__\":{\"mean\":\"0.5 0.5 nan\"}," A "}", 8, "mean \"0.5 0.5 nan\": write"},
        {"{\"__metadata__\":{\"mean\":\"0.5 0.5 0.5\"}," A "}", 8, "mean without std: write both, or neither"},
        {"{\"__metadata__\":{\"std\":\"0.5 0.5 0.5\"}," A "}", 8, "std without mean: write both, or neither"},
        {"{\"__metadata__\":{\"std\":\"1 1 1\",\"std\":\"1 1 1\"}," A "}", 8, "std stands there twice"},
        {"{\"__metadata__\":{\"mean\":[0.5,0.5,0.5]}," A "}", 8, "mean is no text, and metadata are texts"},
        {"{\"__metadata__\":{\"epoch\":7}," A "}", 8, "epoch is no text, and metadata are texts"},
        {"{\"__metadata__\":{\"resize\":\"half\"}," A "}", 8, "resize \"half\": write pixels a side before the centre crop"},
        {"{\"__metadata__\":{\"mean\":\"123.675 116.28 103.53\",\"std\":\"58.395 57.12 57.375\"}," A "}", 8, "write mean: [0.485, 0.456, 0.406] (123.675 / 255 = 0.485)"},
        {"{\"__metadata__\":{\"std\":\"58.395 57.12 57.375\"}," A "}", 8, "write std: [0.229, 0.224, 0.225]"},
        {"{\"__metadata__\":{\"image_size\":\"32.5\"}," A "}", 8, "__metadata__: image_size \"32.5\""},
        {"{\"__metadata__\":{\"channel_order\":\"bgr\"}," A "}", 8, "__metadata__: channel_order \"bgr\""},
        {"{" A, 8, "its header is not JSON"},
        {"{a: {dtype: F32, shape: [2], data_offsets: [0, 8]}}", 8, "its header is not JSON"},
        {"{" A "} {" A "}", 8, "its header is not JSON"},
        {"[" "1" "]", 8, "its header is no JSON object"},
        {"not json at all", 8, "its header is no JSON object"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bl_weights weights;
        const char *path = write_header(cases[i].header, cases[i].data_bytes);
        if (!bl_weights_read_safetensors(&weights, path)) fail_msg("%s was read", cases[i].header);
        if (!strstr(bl_error(), cases[i].says)) fail_msg("%s: '%s' does not say '%s'", cases[i].header, bl_error(), cases[i].says);
        assert_says(path);
        assert_null(weights.arena);
    }
}

static void files_that_are_none_are_refused_with_what_they_are(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t count;
        const char *says;
    } cases[] = {
        {"", 0, "too few bytes"},
        {"\x02\0\0\0\0\0\0\0{", 9, "too few bytes"},
        {"\x09\0\0\0\0\0\0\0{}      ", 16, "a header of 9 bytes, but 8 are there"},
        {"\xff\xff\xff\xff\xff\xff\xff\xff{}      ", 16, "a header of 18446744073709551615 bytes, but 8 are there"},
        {"PK\3\4\24\0\0\0\10\10\0\0\0\0\0\0\0\0\0\0", 20, "safetensors.torch.save_file"},
        {"\x80\x02\x8a\x0al\xfc\x9c\x46\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.", 20, "safetensors.torch.save_file"},
    };
    bl_weights weights;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_ok(bl_atomic_write(at("weights.pth"), cases[i].bytes, cases[i].count));
        assert_int_equal(bl_weights_read_safetensors(&weights, at("weights.pth")), BL_FAILED);
        assert_says(cases[i].says);
        assert_says("weights.pth: ");
    }
    enum { LARGE = (4 << 20) + 8 };
    char *header = malloc(LARGE + 1);
    memset(header, ' ', LARGE);
    memcpy(header, "{}", 2);
    header[LARGE] = 0;
    assert_int_equal(bl_weights_read_safetensors(&weights, write_header(header, 0)), BL_FAILED);
    assert_says("a header of 4194312 bytes, more than 4194304");
    free(header);
    assert_int_equal(bl_weights_read_safetensors(&weights, at("absent.safetensors")), BL_FAILED);
    assert_says("absent.safetensors");
}

static void every_float_type_reads_as_its_value(void **state) {
    (void)state;
    static const char header[] =
            "{\"__metadata__\":{\"note\":\"of no concern\"},"
            "\"d\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[0,16]},\"h\":{\"dtype\":\"F16\",\"shape\":[3],\"data_offsets\":[16,22]},"
            "\"b\":{\"dtype\":\"BF16\",\"shape\":[3,1],\"data_offsets\":[22,28]},\"f\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[28,32]},"
            "\"x.num_batches_tracked\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[32,40]},"
            "\"e\":{\"dtype\":\"F32\",\"shape\":[0,3],\"data_offsets\":[40,40]}}";
    const double d[2] = {0.1, -2.5};
    const uint16_t h[3] = {0x3c00, 0xc500, 0x0001}, b[3] = {0x3f80, 0xc0a0, 0x4049}; // 1, -5, 2^-24; 1, -5, 3.140625
    const float f = 1.5f;
    const int64_t batches = 7; // an integer lies beside the weights, and is not read
    unsigned char file[8 + sizeof header - 1 + 40] = {(sizeof header - 1) & 255, (sizeof header - 1) >> 8}, *data = file + 8 + sizeof header - 1;
    memcpy(file + 8, header, sizeof header - 1);
    memcpy(data, d, 16), memcpy(data + 16, h, 6), memcpy(data + 22, b, 6), memcpy(data + 28, &f, 4), memcpy(data + 32, &batches, 8);
    assert_ok(bl_atomic_write(at("types.safetensors"), file, sizeof file));
    bl_weights weights;
    assert_ok(bl_weights_read_safetensors(&weights, at("types.safetensors")));
    assert_int_equal(weights.count, 6);
    assert_false(weights.preprocessing.known);
    const float *read = named(&weights, "d")->values;
    assert_true(read[0] == 0.1f && read[1] == -2.5f);
    read = named(&weights, "h")->values;
    assert_true(read[0] == 1 && read[1] == -5 && read[2] == 0x1p-24f);
    read = named(&weights, "b")->values;
    assert_true(read[0] == 1 && read[1] == -5 && read[2] == 3.140625f);
    assert_true(named(&weights, "f")->values[0] == 1.5f && named(&weights, "f")->shape.rank == 0);
    assert_null(named(&weights, "x.num_batches_tracked")->values);
    assert_string_equal(named(&weights, "x.num_batches_tracked")->dtype, "I64");
    bl_weights_free(&weights);
}

static void metadata_that_people_write_are_read_as_they_are_meant(void **state) {
    (void)state;
    static const char *const means[] = {"0.5 0.25 0.125", "0.5,0.25,0.125", "0.5, 0.25 , 0.125", "[0.5, 0.25, 0.125]", " ( 0.5,0.25,0.125 ) ", "[.5 25e-2 1.25e-1]"};
    for (size_t i = 0; i < sizeof means / sizeof *means; i++) {
        char header[256];
        bl_weights weights;
        snprintf(header, sizeof header, "{\"__metadata__\":{\"mean\":\"%s\",\"std\":\"1 1 1\",\"note\":\"a\\nb\",\"resize\":\"none\"}," A "}", means[i]);
        assert_ok(bl_weights_read_safetensors(&weights, write_header(header, 8)));
        const bl_preprocessing *p = &weights.preprocessing;
        assert_true(p->known && p->mean[0] == 0.5 && p->mean[1] == 0.25 && p->mean[2] == 0.125 && p->std[2] == 1 && !p->image_size);
        bl_weights_free(&weights);
    }
}

// Whatever a byte becomes and wherever the file ends, it is read or refused, and nothing beyond it is touched (under sanitizers).
static void damaged_files_are_read_or_refused_but_never_crash(void **state) {
    (void)state;
    static const char header[] = "{\"__metadata__\":{\"mean\":\"0.5 0.5 0.5\",\"std\":\"1 1 1\",\"image_size\":\"32\"}," A
                                 ",\"b\":{\"dtype\":\"F16\",\"shape\":[2,2],\"data_offsets\":[8,16]}}";
    static const unsigned char becomes[] = {0, '"', '{', '}', ',', '9', '-', 0xff, '\\', ':'};
    enum { LENGTH = sizeof header - 1, BYTES = 8 + LENGTH + 16 };
    unsigned char whole[BYTES] = {LENGTH & 255, LENGTH >> 8}, file[BYTES];
    memcpy(whole + 8, header, LENGTH);
    bl_random random = bl_random_stream(1, "damage", 0, 0, 0);
    bl_weights weights;
    int refused = 0;
    for (int i = 0; i < 600; i++) {
        memcpy(file, whole, BYTES);
        size_t bytes = BYTES;
        if (i < 300)
            for (int k = 0; k <= i % 3; k++) file[bl_random_below(&random, 8 + LENGTH)] = becomes[bl_random_below(&random, sizeof becomes)];
        else
            bytes = bl_random_below(&random, BYTES);
        assert_ok(bl_atomic_write(at("damaged.safetensors"), file, bytes));
        if (bl_weights_read_safetensors(&weights, at("damaged.safetensors"))) {
            assert_says("damaged.safetensors: ");
            refused++;
        } else {
            bl_weights_free(&weights);
        }
    }
    assert_in_range(refused, 400, 600);
    assert_ok(bl_atomic_write(at("damaged.safetensors"), whole, BYTES));
    assert_ok(bl_weights_read_safetensors(&weights, at("damaged.safetensors")));
    bl_weights_free(&weights);
}

static void a_file_without_weights_says_so(void **state) {
    (void)state;
    bl_container_writer *writer;
    bl_weights weights;
    assert_ok(bl_container_writer_create(&writer));
    assert_ok(bl_container_put_text(writer, "/manifest/status", "complete"));
    assert_ok(bl_container_writer_save(writer, at("empty.h5")));
    bl_container_writer_free(writer);
    assert_int_equal(bl_weights_read_run(&weights, at("empty.h5")), BL_FAILED);
    assert_says("holds no weights: its experiment says `save: {weights: none}`");
    assert_int_equal(bl_weights_read_run(&weights, BYOLAB_SOURCE "/tests/golden/encoder.safetensors"), BL_FAILED);
    assert_says("not a run file of byolab");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_encoder_comes_back_from_its_safetensors_bit_for_bit),
        cmocka_unit_test(convolutions_leave_as_torch_lays_them_out),
        cmocka_unit_test(a_checkpoint_holds_the_same_weights_as_the_run_file),
        cmocka_unit_test(a_checkpoint_is_read_where_its_images_are_not),
        cmocka_unit_test(everything_carries_the_names_of_its_networks),
        cmocka_unit_test(what_images_must_look_like_travels_with_the_weights),
        cmocka_unit_test(weights_of_imagenets_stem_travel_with_their_shape_and_size),
        cmocka_unit_test(other_preprocessing_is_refused_with_what_differs),
        cmocka_unit_test(torchvisions_encoder_gives_torchvisions_features),
        cmocka_unit_test(names_and_shapes_are_compared_one_by_one),
        cmocka_unit_test(several_networks_of_a_file_are_named_and_one_is_chosen_by_its_prefix),
        cmocka_unit_test(metadata_that_people_write_are_read_as_they_are_meant),
        cmocka_unit_test(headers_that_lie_are_refused_with_one_line),
        cmocka_unit_test(files_that_are_none_are_refused_with_what_they_are),
        cmocka_unit_test(every_float_type_reads_as_its_value),
        cmocka_unit_test(damaged_files_are_read_or_refused_but_never_crash),
        cmocka_unit_test(a_file_without_weights_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, bl_test_leave);
}
