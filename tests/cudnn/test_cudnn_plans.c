// Every operation that steps of BYOL and of FCN-8s ask of cuDNN has a plan on an H200, and what has none is refused with a reason: seen without a
// GPU, on a device that is only described (tests/cudnn/h200.json). Numbers are not: nothing runs here.
//
// The first pass only collects what the steps ask for; each pattern is then built in a process of its own, as cuDNN has crashed on some.
// What they chose, written down, compiles the whole steps at last.
//
//     BYOLAB_TEST_ALL_PLANS=1 test_cudnn_plans    # all eight steps, not four: twice the time

#include "support.h"

#ifndef BYOLAB_NO_DRIVER
int main(void) {
    print_message("skipped: this build has no cuDNN backend\n");
    return 77;
}
#else

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "backends/cudnn/gpu.h"
#include "backends/cudnn/record.h"
#include "base/file.h"   // bl_read_file
#include "base/memory.h" // bl_free
#include "graph/segmentation.h"
#include "models.h"

#define CHILDREN 2  // processes at a time
#define SECONDS 300 // that one may take

static const char *device; // the description

// cuDNN and its compiler keep what they once made. That this backend gives everything back shows in the tests on the stand-in.
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void) {
    return 1;
}

// ---- one pattern, in a process of its own ----

typedef struct wanted { // a pattern, and what became of it
    bl_gpu_pattern pattern;
    char *text, *json;  // json: of the plan; NULL: there is none
    char node[80];      // the first that asks for it
    int nodes;
    char said[1000];    // the engine's name, or cuDNN's reason
    size_t workspace;
    double seconds;
    pid_t child;
} wanted;

static void path_of(char *path, size_t size, const char *folder, int index) {
    snprintf(path, size, "%s/%d", folder, index);
}

// Writes "name\nworkspace seconds\njson", or "\nreason".
static void build_alone(const bl_gpu_pattern *pattern, const char *path) {
    struct timespec begin, end;
    bl_gpu_engines *engines;
    const bl_gpu_engine *engine;
    alarm(SECONDS);
    FILE *file = fopen(path, "w");
    if (!file) _exit(1);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    if (bl_gpu_engines_create(&engines, NULL, device) || bl_gpu_engine_find(engines, pattern, &engine)) {
        fprintf(file, "\n%s\n", bl_error());
    } else {
        clock_gettime(CLOCK_MONOTONIC, &end);
        fprintf(file, "%s\n%zu %.3f\n%s", engine->name, engine->workspace,
                (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec), engine->json);
    }
    _exit(fclose(file) != 0);
}

static void read_result(wanted *of, const char *path, int status) {
    if (WIFSIGNALED(status)) {
        snprintf(of->said, sizeof of->said, "the process ended by signal %d", WTERMSIG(status));
        return;
    }
    assert_int_equal(WEXITSTATUS(status), 0);
    void *data;
    size_t bytes;
    assert_ok(bl_read_file(path, &data, &bytes));
    unlink(path);
    const char *text = data, *rest = strchr(text, '\n') + 1;
    if (text[0] != '\n') {
        snprintf(of->said, sizeof of->said, "%.*s", (int)(rest - text) - 1, text);
        assert_int_equal(sscanf(rest, "%zu %lf", &of->workspace, &of->seconds), 2);
        of->json = strdup(strchr(rest, '\n') + 1);
    } else {
        snprintf(of->said, sizeof of->said, "%.*s", (int)strcspn(rest, "\n"), rest);
    }
    bl_free(data);
}

static void build_each(wanted *list, int count) {
    char *folder = bl_test_folder(), path[1024];
    int begun = 0, running = 0;
    while (begun < count || running) {
        while (begun < count && running < CHILDREN) {
            path_of(path, sizeof path, folder, begun);
            fflush(stdout);
            list[begun].child = fork();
            assert_true(list[begun].child >= 0);
            if (!list[begun].child) build_alone(&list[begun].pattern, path);
            begun++;
            running++;
        }
        int status;
        const pid_t ended = wait(&status);
        for (int i = 0; i < begun; i++) {
            if (list[i].child != ended) continue;
            path_of(path, sizeof path, folder, i);
            read_result(&list[i], path, status);
            running--;
        }
    }
    bl_test_folder_remove(folder);
}

// ---- the steps ----

typedef struct setting {
    const char *name;
    int size;
    bl_stem stem;
    int64_t batch;
    bl_dtype precision;
    const char *fcn; // the encoder under FCN-8s; NULL: BYOL on ResNet-18
} setting;

// The first four have each network and each precision, and between them every kind of pattern; the others ask for the same at other sizes.
static const setting settings[] = {
    {"ResNet-18, 32 px, batch 512, f32", 32, BL_STEM_CIFAR, 512, BL_F32, NULL},
    {"ResNet-18, 224 px, batch 256, bf16", 224, BL_STEM_IMAGENET, 256, BL_BF16, NULL},
    {"FCN-8s on ResNet-18, 256 px, batch 8, f32", 256, BL_STEM_IMAGENET, 8, BL_F32, "resnet18"},
    {"FCN-8s on ResNet-50, 768 px, batch 8, bf16", 768, BL_STEM_IMAGENET, 8, BL_BF16, "resnet50"},
    {"ResNet-18, 32 px, batch 512, bf16", 32, BL_STEM_CIFAR, 512, BL_BF16, NULL},
    {"ResNet-18, 224 px, batch 256, f32", 224, BL_STEM_IMAGENET, 256, BL_F32, NULL},
    {"FCN-8s on ResNet-18, 256 px, batch 8, bf16", 256, BL_STEM_IMAGENET, 8, BL_BF16, "resnet18"},
    {"FCN-8s on ResNet-50, 768 px, batch 8, f32", 768, BL_STEM_IMAGENET, 8, BL_F32, "resnet50"},
};

static int setting_count(void) {
    return getenv("BYOLAB_TEST_ALL_PLANS") ? (int)(sizeof settings / sizeof *settings) : 4;
}

typedef struct compiled {
    bl_layout *layout;
    bl_step_graph step;
    bl_backend *backend;
    bl_store *store;
    bl_plan *plan;
} compiled;

static bl_model_options model_of(const setting *s, int width) {
    bl_model_options model = {
        .encoder = RESNET18(width),
        .projector = MLP(4096, 256, BL_NORM_HIDDEN),
        .method = {.predictor_head = MLP(4096, 256, BL_NORM_HIDDEN), .predictor_lr_scale = 1, .stop_gradient = true},
        .optimizer = {.kind = BL_OPTIMIZER_SGD, .momentum = .9, .weight_decay = 5e-4, .decay_norms = true},
        .image_size = s->size,
        .precision = s->precision,
    };
    model.encoder.stem = s->stem;
    return model;
}

static int build(const setting *s, int width, bl_step_graph *step, bl_layout *layout) {
    const bl_model_options model = model_of(s, width);
    bl_segmentation_options fcn = {
        .encoder = model.encoder, .optimizer = model.optimizer, .precision = s->precision, .classes = 19, .head_lr_scale = 1};
    if (!s->fcn) return bl_byol_build(step, layout, &model, s->batch);
    fcn.encoder.name = s->fcn;
    return bl_segmentation_build(step, layout, &fcn, s->batch, s->size, s->size);
}

// choices: NULL collects, "" chooses, else recalled. Returns compile's status.
static int compile(compiled *c, const setting *s, int width, const char *choices) {
    *c = (compiled){0};
    assert_ok(bl_layout_create(&c->layout));
    assert_ok(build(s, width, &c->step, c->layout));
    assert_ok(bl_gpu_open_described(&c->backend, device));
    bl_gpu_backend *backend = (bl_gpu_backend *)c->backend;
    if (!choices) {
        bl_gpu_engines_free(backend->engines);
        assert_ok(bl_gpu_engines_create(&backend->engines, NULL, NULL));
    } else {
        assert_ok(bl_backend_recall(c->backend, choices));
    }
    assert_ok(bl_store_create(c->backend, c->layout, &c->store));
    return bl_plan_compile(c->store, c->step.graph, &(bl_compile_options){.batch = (int)s->batch}, &c->plan);
}

static void release(compiled *c) {
    if (c->plan) bl_plan_free(c->plan);
    bl_store_free(c->store);
    bl_backend_close(c->backend);
    bl_graph_free(c->step.graph);
    bl_layout_free(c->layout);
}

static wanted *list;
static int count;

static wanted *want(const bl_gpu_pattern *pattern, const char *text) {
    for (int i = 0; i < count; i++)
        if (!strcmp(list[i].text, text)) return &list[i];
    list = realloc(list, (size_t)(count + 1) * sizeof *list);
    assert_non_null(list);
    list[count] = (wanted){.pattern = *pattern, .text = strdup(text)};
    return &list[count++];
}

static void collect(const setting *s) {
    compiled c;
    bl_plan_report report;
    assert_ok(compile(&c, s, 64, NULL));
    const bl_gpu_engines *engines = ((bl_gpu_backend *)c.backend)->engines;
    assert_true(bl_gpu_engines_count(engines) > 0);
    c.backend->table->report(c.plan, &report);
    for (int i = 0; i < bl_gpu_engines_count(engines); i++) {
        const char *text;
        const bl_gpu_pattern *pattern = bl_gpu_engines_pattern(engines, i, &text);
        wanted *of = want(pattern, text);
        for (int n = 0; n < report.count; n++) {
            int index;
            if (sscanf(report.rows[n].implementation, "pattern %d", &index) != 1 || index != i) continue;
            if (!of->nodes++) snprintf(of->node, sizeof of->node, "%s", report.rows[n].node->name);
        }
    }
    print_message("%s: %d patterns for %d nodes\n", s->name, bl_gpu_engines_count(engines), report.count);
    release(&c);
}

static bool is_exact_convolution(const wanted *of) {
    return !strncmp(of->text, "convolution", 11) && of->pattern.tensors[0].type == BL_GPU_F32;
}

static void every_operation_of_the_steps_has_a_plan_on_an_h200(void **state) {
    (void)state;
    size_t bytes[2] = {0}; // recorded: of engines that were there, of engines compiled at run time
    int counts[2] = {0}, missing = 0;
    for (int s = 0; s < setting_count(); s++) collect(&settings[s]);
    build_each(list, count);
    print_message("%-34s %5s  %-46s %10s %6s  %s\n", "first node", "nodes", "engine", "workspace", "s", "pattern");
    for (int i = 0; i < count; i++) {
        const wanted *of = &list[i];
        print_message("%-34s %5d  %-46s %10zu %6.2f  %s\n", of->node, of->nodes, of->json ? of->said : "NONE", of->workspace, of->seconds, of->text);
        if (!of->json) {
            print_message("    %s\n", of->said);
            missing++;
            continue;
        }
        const bool is_compiled = strstr(of->said, "compiled");
        counts[is_compiled]++;
        bytes[is_compiled] += strlen(of->json);
        assert_true(of->workspace <= (size_t)1 << 30);
        if (is_exact_convolution(of)) assert_null(strstr(of->said, "tensor cores"));
    }
    for (int k = 0; k < 2; k++)
        if (counts[k])
            print_message("%d engines %s: %zu bytes of JSON each on average\n", counts[k], k ? "compiled at run time" : "at hand", bytes[k] / (size_t)counts[k]);
    if (missing) fail_msg("%d of %d patterns have no plan", missing, count);
}

static void steps_compile_from_what_was_written_down_with_the_same_engines(void **state) {
    (void)state;
    bl_text choices = {0};
    bl_text_add(&choices, "[");
    for (int i = 0; i < count; i++) {
        assert_non_null(list[i].json);
        bl_gpu_record_write(&choices, i == 0, list[i].text, list[i].json);
    }
    bl_text_add(&choices, "]");
    for (int s = 0; s < setting_count(); s++) {
        compiled c;
        bl_plan_report report;
        const bl_gpu_engine *engine;
        assert_ok(compile(&c, &settings[s], 64, choices.chars));
        c.backend->table->report(c.plan, &report);
        print_message("%s: arena %.2f GiB, packed %.3f GiB, staging %.2f GiB\n", settings[s].name, (double)report.arena_bytes / 0x1p30,
                      (double)report.packed_bytes / 0x1p30, (double)report.staging_bytes / 0x1p30);
        for (int i = 0; s == 0 && i < count; i++) {
            if (list[i].pattern.tensors[0].type != BL_GPU_BF16) continue;
            assert_ok(bl_gpu_engine_find(((bl_gpu_backend *)c.backend)->engines, &list[i].pattern, &engine));
            assert_string_equal(engine->name, list[i].said);
            assert_int_equal(engine->workspace, list[i].workspace);
        }
        release(&c);
    }
    bl_text_free(&choices);
}

// ---- what has none ----

static int image(bl_gpu_pattern *pattern, bl_gpu_type type, int64_t side, int64_t channels) {
    return bl_gpu_pattern_image(pattern, type, 8, side, side, channels, false);
}

static void convolution(bl_gpu_pattern *pattern, bl_gpu_type x, bl_gpu_type w, int64_t channels, int64_t side) {
    const int operands[] = {image(pattern, x, 32, 64), bl_gpu_pattern_image(pattern, w, 64, 3, 3, channels, false), image(pattern, x, side, 64)};
    bl_gpu_operation *operation = bl_gpu_pattern_add(pattern, BL_GPU_CONVOLUTION, operands, 3);
    operation->kernel = 3;
    operation->stride = operation->padding = operation->dilation = 1;
}

static void relu(bl_gpu_pattern *pattern, bl_gpu_type type) {
    bl_gpu_pattern_add(pattern, BL_GPU_RELU, (int[]){image(pattern, type, 32, 64), image(pattern, type, 32, 64)}, 2);
}

static void small_convolution(bl_gpu_pattern *pattern) {
    convolution(pattern, BL_GPU_BF16, BL_GPU_BF16, 64, 32);
}

static void small_relu(bl_gpu_pattern *pattern) {
    relu(pattern, BL_GPU_BF16);
}

static void wrong_side(bl_gpu_pattern *pattern) {
    convolution(pattern, BL_GPU_BF16, BL_GPU_BF16, 64, 31);
}

static void wrong_channels(bl_gpu_pattern *pattern) {
    convolution(pattern, BL_GPU_BF16, BL_GPU_BF16, 48, 32);
}

static void mixed_types(bl_gpu_pattern *pattern) {
    convolution(pattern, BL_GPU_BF16, BL_GPU_F32, 64, 32);
}

static void norm_of_60_channels(bl_gpu_pattern *pattern) {
    const int operands[] = {image(pattern, BL_GPU_BF16, 32, 60), bl_gpu_pattern_channels(pattern, 60), bl_gpu_pattern_channels(pattern, 60),
                            bl_gpu_pattern_value(pattern, 1e-5f), image(pattern, BL_GPU_BF16, 32, 60), bl_gpu_pattern_channels(pattern, 60),
                            bl_gpu_pattern_channels(pattern, 60)};
    bl_gpu_pattern_add(pattern, BL_GPU_NORM, operands, 7);
}

static void exact_matmul(bl_gpu_pattern *pattern) {
    const int operands[] = {bl_gpu_pattern_matrix(pattern, BL_GPU_F32, 512, 2048, false, false),
                            bl_gpu_pattern_matrix(pattern, BL_GPU_F32, 2048, 256, true, false),
                            bl_gpu_pattern_matrix(pattern, BL_GPU_F32, 512, 256, false, false)};
    bl_gpu_pattern_add(pattern, BL_GPU_MATMUL, operands, 3);
}

static void what_cudnn_has_no_engine_for_is_refused_with_its_reason(void **state) {
    (void)state;
    static const struct {
        void (*build)(bl_gpu_pattern *);
        const char *operation, *reason;
    } cases[] = {
        {wrong_side, "convolution x#0 bf16 [8,64,32,32]", "CUDNN_STATUS_BAD_PARAM"},
        {wrong_channels, "w#1 bf16 [64,48,3,3]", "CUDNN_STATUS_BAD_PARAM"},
        {mixed_types, "w#1 f32 [64,64,3,3]", "NOT_SUPPORTED"},
        {norm_of_60_channels, "norm x#0 bf16 [8,60,32,32]", "NOT_SUPPORTED"},
        {exact_matmul, "matmul a#0 f32 [1,512,2048]", "none is deterministic and computes in f32"},
    };
    enum { CASES = sizeof cases / sizeof *cases };
    wanted refused[CASES] = {0};
    for (int i = 0; i < CASES; i++) cases[i].build(&refused[i].pattern);
    build_each(refused, CASES);
    for (int i = 0; i < CASES; i++) {
        print_message("%s\n", refused[i].said);
        assert_null(refused[i].json);
        bl_test_holds(refused[i].said, "cuDNN has no engine for ");
        bl_test_holds(refused[i].said, cases[i].operation);
        bl_test_holds(refused[i].said, cases[i].reason);
    }
}

static void a_step_with_such_an_operation_is_refused_with_the_nodes_name(void **state) {
    (void)state;
    const setting small = {"", 32, BL_STEM_CIFAR, 8, BL_BF16, NULL};
    compiled c;
    assert_int_not_equal(compile(&c, &small, 12, ""), BL_OK);
    print_message("%s\n", bl_error());
    bl_test_holds(bl_error(), "online/bn1");
    bl_test_holds(bl_error(), "multiple of 8, not 12");
    release(&c);
}

// ---- choices written down ----

static bl_gpu_engines *described(void) {
    bl_gpu_engines *engines;
    assert_ok(bl_gpu_engines_create(&engines, NULL, device));
    return engines;
}

static void a_recalled_choice_is_the_same_engine(void **state) {
    (void)state;
    void (*const builds[])(bl_gpu_pattern *) = {small_convolution, small_relu};
    bl_gpu_engines *chosen = described(), *recalled = described();
    const bl_gpu_engine *engine, *again;
    bl_text first = {0}, second = {0};
    bl_gpu_pattern patterns[2] = {0};
    for (int i = 0; i < 2; i++) {
        builds[i](&patterns[i]);
        assert_ok(bl_gpu_engine_find(chosen, &patterns[i], &engine));
        assert_ok(bl_gpu_engine_find(chosen, &patterns[i], &again));
        assert_ptr_equal(engine, again);
    }
    bl_gpu_engines_print(chosen, &first);
    assert_ok(bl_gpu_engines_recall(recalled, first.chars));
    bl_gpu_engines_print(recalled, &second); // as they wait for their patterns
    assert_string_equal(first.chars, second.chars);
    for (int i = 0; i < 2; i++) {
        assert_ok(bl_gpu_engine_find(chosen, &patterns[i], &engine));
        assert_ok(bl_gpu_engine_find(recalled, &patterns[i], &again));
        assert_string_equal(engine->name, again->name);
        assert_int_equal(engine->workspace, again->workspace);
        assert_string_equal(engine->json, again->json);
    }
    bl_text_free(&first);
    bl_text_free(&second);
    bl_gpu_engines_free(chosen);
    bl_gpu_engines_free(recalled);
}

static void a_damaged_record_is_refused(void **state) {
    (void)state;
    static const char *const damaged[] = {
        "",
        "[",
        "{}",
        "[{}]",
        "[{\"pattern\": \"relu\"}]",
        "[{\"pattern\": \"relu\", \"plan\": 3}]",
        "[{\"pattern\": \"\", \"plan\": {}}]",
        "[{\"pattern\": \"re\\nlu\", \"plan\": {}}]",
        "[{\"pattern\": \"relu\", \"plan\": {}}",
        "[{\"pattern\": \"relu\", \"plan\": {}}] and more",
        "[{\"pattern\": \"relu\", \"plan\": {}},]",
        "[{\"pattern\": \"relu\", \"plan\": {\"a\" 1}}]",
        "[{\"pattern\": \"relu\", \"plan\": {\"a\": 1,}}]",
        "[{\"pattern\": \"relu\", \"plan\": {\"a\": [1, 2}}]",
        "[{\"pattern\": \"relu\", \"plan\": {\"a\": \"open}}]",
        "[{\"pattern\": \"relu\", \"plan\": {\"a\": \"\\x\"}}]",
        "[{\"pattern\": \"relu\", \"plan\": {\"a\": 1.}}]",
        "[{\"pattern\": \"relu\", \"plan\": {\"a\": yes}}]",
        "[{\"pattern\": \"relu\", \"plan\": {}, \"more\": 1}]",
    };
    bl_gpu_engines *engines = described();
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        if (bl_gpu_engines_recall(engines, damaged[i]) == BL_OK) fail_msg("taken: %s", damaged[i]);
        bl_test_holds(bl_error(), "the recorded engines are damaged: at character ");
    }
    char deep[400] = "[{\"pattern\": \"relu\", \"plan\": {\"a\": ";
    memset(deep + strlen(deep), '[', 300);
    assert_int_not_equal(bl_gpu_engines_recall(engines, deep), BL_OK);
    assert_int_equal(bl_gpu_engines_count(engines), 0); // nothing of a damaged record is kept
    assert_ok(bl_gpu_engines_recall(engines, " [ { \"pattern\" : \"relu\" , \"plan\" : { \"a\" : [-1.5e-3, 0, true, null, {}, [], \"\\u00e9\\\"\"] } } ] \n"));
    assert_int_equal(bl_gpu_engines_count(engines), 1);
    bl_gpu_engines_free(engines);
}

static void a_recorded_plan_that_cudnn_does_not_build_is_an_error(void **state) {
    (void)state;
    bl_gpu_engines *engines = described();
    const bl_gpu_engine *engine;
    bl_gpu_pattern pattern = {0};
    bl_text text = {0};
    small_relu(&pattern);
    bl_text_add(&text, "[{\"pattern\": \"");
    bl_gpu_pattern_print(&pattern, &text);
    bl_text_add(&text, "\", \"plan\": {\"engine\": 3}}]");
    assert_ok(bl_gpu_engines_recall(engines, text.chars));
    assert_int_not_equal(bl_gpu_engine_find(engines, &pattern, &engine), BL_OK);
    print_message("%s\n", bl_error());
    bl_test_holds(bl_error(), "no longer builds, on this device, the plan recorded for relu x#0 bf16 [8,64,32,32]");
    bl_text_free(&text);
    bl_gpu_engines_free(engines);
}

int main(void) {
    // cuDNN looks for the driver's library by name, and finds the one that is loaded.
    if (!dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL) && !dlopen(BYOLAB_NO_DRIVER, RTLD_NOW | RTLD_GLOBAL)) {
        print_message("skipped: %s\n", dlerror());
        return 77;
    }
    void *description;
    size_t bytes;
    if (bl_read_file(BYOLAB_SOURCE "/tests/cudnn/h200.json", &description, &bytes)) {
        print_message("%s\n", bl_error());
        return 1;
    }
    device = description;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_of_the_steps_has_a_plan_on_an_h200),
        cmocka_unit_test(what_cudnn_has_no_engine_for_is_refused_with_its_reason),
        cmocka_unit_test(steps_compile_from_what_was_written_down_with_the_same_engines),
        cmocka_unit_test(a_step_with_such_an_operation_is_refused_with_the_nodes_name),
        cmocka_unit_test(a_recalled_choice_is_the_same_engine),
        cmocka_unit_test(a_damaged_record_is_refused),
        cmocka_unit_test(a_recorded_plan_that_cudnn_does_not_build_is_an_error),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (int i = 0; i < count; i++) {
        free(list[i].text);
        free(list[i].json);
    }
    free(list);
    bl_free(description);
    return failed;
}
#endif
