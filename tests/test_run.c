// Whole runs through the real entry points: an experiment file in, a run file out. Every run is a child process, so that a kill
// is a kill and each backend starts fresh.

#include <hdf5.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/backend.h"
#include "base/file.h"
#include "run/trainer.h"
#include "support.h"

static const char recipe[] =
        "data: {dataset: shapes, train: 48, test: 60}\n"
        "views:\n"
        "  - {random_resized_crop: {size: 32}, flip: 0.5, color_jitter: {p: 0.8, brightness: 0.4}, blur: {p: 0.5}, grayscale: 0.2, normalize: imagenet}\n"
        "network: {encoder: resnet18, stem: cifar, width: 4, projector: {hidden: 16, out: 8, batch_norm: hidden}}\n"
        "method:\n"
        "  predictor: {kind: mlp, hidden: 16, batch_norm: none}\n"
        "  target: {source: ema, init: copy, tau: 0.9, schedule: cosine}\n"
        "train: {epochs: 3, batch: 8, optimizer: {kind: adam, lr: 1.0e-3}, schedule: cosine, warmup: 1, precision: f32, log_every: 1, checkpoint_every: 4}\n"
        "evaluate:\n"
        "  - knn: {at: {first: 0, every: 1}, k: 3, protocol: train_to_test, split: test, monitor: test, temperature: 0.1}\n"
        "  - knn: {at: {first: 0, every: 2}, k: 1, protocol: cross_validation, folds: 5, split: test, monitor: test}\n";

enum { STEPS = 18 };

static char *folder;

static void write_text(const char *path, const char *text) {
    assert_ok(bl_atomic_write(path, text, strlen(text)));
}

static char *joined(const char *a, const char *b) {
    char *path;
    assert_true(asprintf(&path, "%s/%s", a, b) > 0);
    return path;
}

typedef struct killer {
    int64_t at; // SIGKILL after this many finished steps; 0: never
} killer;

static void kill_at(void *context, const bl_event *event) {
    const killer *k = context;
    if (k->at && event->kind == BL_EVENT_STEP && event->step == k->at) raise(SIGKILL);
}

typedef struct plan_of_run {
    const char *backend, *results;
    const char *set_key, *set_value; // one more override, or NULL
    int64_t kill_at, stop_after;
    bool evaluate_only;
} plan_of_run;

static int run_here(const plan_of_run *plan) {
    char *path = joined(folder, "recipe.yaml");
    const bl_override overrides[] = {{"machine.backend", plan->backend}, {plan->set_key, plan->set_value}};
    bl_experiment *experiment;
    killer k = {plan->kill_at};
    if (bl_experiment_read(&experiment, path, overrides, plan->set_key ? 2 : 1)) return BL_FAILED;
    const bl_run_request request = {.experiment = experiment, .cell = &experiment->cells[0], .seed = 7, .results_folder = plan->results,
            .stop_after = plan->stop_after, .evaluate_only = plan->evaluate_only, .sink = {kill_at, &k}};
    const int status = bl_run(&request);
    bl_experiment_free(experiment);
    free(path);
    return status;
}

// Runs in a child: 0 success, 1 failure (its message on `says`), 9 killed.
static int run_child(plan_of_run plan, char says[512]) {
    int channel[2];
    assert_int_equal(pipe(channel), 0);
    fflush(NULL);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        close(channel[0]);
        const int status = run_here(&plan);
        if (status && write(channel[1], bl_error(), strlen(bl_error())) < 0) _exit(2);
        _exit(status ? 1 : 0); // past the leak check: a killed run cannot free, and cmocka's memory is the parent's
    }
    close(channel[1]);
    int how, size = 0;
    for (int got; says && size < 511 && (got = (int)read(channel[0], says + size, (size_t)(511 - size))) > 0;) size += got;
    if (says) says[size] = '\0';
    assert_true(waitpid(child, &how, 0) == child);
    close(channel[0]);
    return WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how);
}

static char *run_file(const char *results, const char *backend) {
    char *path;
    assert_true(asprintf(&path, "%s/recipe/main/seed-7.%s.h5", results, backend) > 0);
    return path;
}

// ---- two run files are equal outside /timing and /host ----

typedef struct comparison {
    hid_t other;
    int sets;
} comparison;

static herr_t compare_object(hid_t object, const char *name, const H5O_info_t *info, void *context) {
    comparison *c = context;
    if (info->type != H5O_TYPE_DATASET || !strncmp(name, "timing", 6) || !strncmp(name, "host", 4)) return 0;
    void *bytes[2];
    size_t sizes[2];
    const hid_t files[2] = {object, c->other};
    for (int i = 0; i < 2; i++) {
        const hid_t set = H5Dopen2(files[i], name, H5P_DEFAULT);
        if (set < 0) fail_msg("%s is missing in one file", name);
        const hid_t type = H5Dget_type(set), space = H5Dget_space(set);
        sizes[i] = (size_t)H5Sget_simple_extent_npoints(space) * H5Tget_size(type);
        bytes[i] = calloc(sizes[i] + 1, 1);
        assert_true(H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes[i]) >= 0);
        H5Tclose(type);
        H5Sclose(space);
        H5Dclose(set);
    }
    if (sizes[0] != sizes[1] || memcmp(bytes[0], bytes[1], sizes[0]) != 0) fail_msg("%s differs", name);
    free(bytes[0]);
    free(bytes[1]);
    c->sets++;
    return 0;
}

static void assert_same_run(const char *a, const char *b) {
    const hid_t first = H5Fopen(a, H5F_ACC_RDONLY, H5P_DEFAULT);
    comparison c = {H5Fopen(b, H5F_ACC_RDONLY, H5P_DEFAULT), 0};
    assert_true(first >= 0 && c.other >= 0);
    assert_true(H5Ovisit2(first, H5_INDEX_NAME, H5_ITER_INC, compare_object, &c, H5O_INFO_BASIC) >= 0);
    assert_true(c.sets > 100); // weights, buffers, scalars, rows, manifest
    H5Fclose(first);
    H5Fclose(c.other);
}

// ---- the tests ----

static const char *best_backend(void) {
    return bl_backend_present("onednn") ? "onednn" : "reference";
}

static void a_run_killed_at_five_steps_equals_an_uninterrupted_one_bit_for_bit(void **state) {
    (void)state;
    static const int64_t kills[] = {2, 5, 9, 12, 17}; // before the first checkpoint, after one, on one, at an epoch's end, near the end
    const char *backend = best_backend();
    char *whole = joined(folder, "whole"), *broken = joined(folder, "broken");
    char says[512];
    if (run_child((plan_of_run){.backend = backend, .results = whole}, says)) fail_msg("%s", says);
    for (size_t i = 0; i < sizeof kills / sizeof *kills; i++)
        assert_int_equal(run_child((plan_of_run){.backend = backend, .results = broken, .kill_at = kills[i]}, NULL), SIGKILL);
    if (run_child((plan_of_run){.backend = backend, .results = broken}, says)) fail_msg("%s", says);
    char *a = run_file(whole, backend), *b = run_file(broken, backend);
    assert_same_run(a, b);
    free(a);
    free(b);
    free(whole);
    free(broken);
}

static void the_reference_resumes_bit_for_bit_too(void **state) {
    (void)state;
    char *whole = joined(folder, "whole_r"), *broken = joined(folder, "broken_r");
    char says[512];
    const plan_of_run plan = {.backend = "reference", .set_key = "train.epochs", .set_value = "1"};
    plan_of_run first = plan, second = plan;
    first.results = whole;
    second.results = broken;
    second.kill_at = 5;
    if (run_child(first, says)) fail_msg("%s", says);
    assert_int_equal(run_child(second, NULL), SIGKILL);
    second.kill_at = 0;
    if (run_child(second, says)) fail_msg("%s", says);
    char *a = run_file(whole, "reference"), *b = run_file(broken, "reference");
    assert_same_run(a, b);
    free(a);
    free(b);
    free(whole);
    free(broken);
}

static void loader_threads_change_no_bit(void **state) {
    (void)state;
    char *one = joined(folder, "whole"), *four = joined(folder, "four");
    char says[512];
    if (run_child((plan_of_run){.backend = best_backend(), .results = one}, says)) fail_msg("%s", says);
    if (run_child((plan_of_run){.backend = best_backend(), .results = four, .set_key = "machine.loader_threads", .set_value = "4"}, says))
        fail_msg("%s", says);
    char *a = run_file(one, best_backend()), *b = run_file(four, best_backend());
    // /manifest/resolved names the loader threads, which are of the machine: everything else must agree.
    const hid_t files[2] = {H5Fopen(a, H5F_ACC_RDONLY, H5P_DEFAULT), H5Fopen(b, H5F_ACC_RDONLY, H5P_DEFAULT)};
    const char *const groups[] = {"weights", "step", "evaluation"};
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        comparison c = {H5Gopen2(files[1], groups[i], H5P_DEFAULT), 0};
        const hid_t group = H5Gopen2(files[0], groups[i], H5P_DEFAULT);
        assert_true(group >= 0 && c.other >= 0);
        assert_true(H5Ovisit2(group, H5_INDEX_NAME, H5_ITER_INC, compare_object, &c, H5O_INFO_BASIC) >= 0);
        assert_true(c.sets > 0);
        H5Gclose(group);
        H5Gclose(c.other);
    }
    H5Fclose(files[0]);
    H5Fclose(files[1]);
    free(a);
    free(b);
    free(one);
    free(four);
}

static void a_finished_run_is_skipped_and_its_bytes_stay(void **state) {
    (void)state;
    char *results = joined(folder, "whole"), *path = run_file(results, best_backend());
    char says[512];
    void *before, *after;
    size_t size_before, size_after;
    if (run_child((plan_of_run){.backend = best_backend(), .results = results}, says)) fail_msg("%s", says);
    assert_ok(bl_read_file(path, &before, &size_before));
    if (run_child((plan_of_run){.backend = best_backend(), .results = results}, says)) fail_msg("%s", says);
    assert_ok(bl_read_file(path, &after, &size_after));
    assert_int_equal(size_before, size_after);
    assert_memory_equal(before, after, size_before);
    bl_free(before);
    bl_free(after);
    free(path);
    free(results);
}

static void another_recipe_under_the_same_name_is_refused(void **state) {
    (void)state;
    char *results = joined(folder, "whole");
    char says[512];
    if (run_child((plan_of_run){.backend = best_backend(), .results = results}, says)) fail_msg("%s", says);
    assert_int_equal(run_child((plan_of_run){.backend = best_backend(), .results = results, .set_key = "train.batch", .set_value = "6"}, says), 1);
    assert_non_null(strstr(says, "another recipe"));
    free(results);
}

static void a_damaged_run_file_is_named_and_left_alone(void **state) {
    (void)state;
    char *results = joined(folder, "damaged"), *path = run_file(results, best_backend());
    char says[512];
    void *data;
    size_t size;
    if (run_child((plan_of_run){.backend = best_backend(), .results = results}, says)) fail_msg("%s", says);
    assert_ok(bl_read_file(path, &data, &size));
    ((char *)data)[size / 2] ^= 1;
    assert_ok(bl_atomic_write(path, data, size));
    assert_int_equal(run_child((plan_of_run){.backend = best_backend(), .results = results}, says), 1);
    assert_non_null(strstr(says, path));
    bl_free(data);
    free(path);
    free(results);
}

static void eval_adds_a_row_without_training_and_refuses_what_is_not_finished(void **state) {
    (void)state;
    char *results = joined(folder, "evaluated"), *path = run_file(results, best_backend());
    char says[512];
    assert_int_equal(run_child((plan_of_run){.backend = best_backend(), .results = results, .evaluate_only = true}, says), 1);
    assert_non_null(strstr(says, "not finished"));
    if (run_child((plan_of_run){.backend = best_backend(), .results = results}, says)) fail_msg("%s", says);
    char *file = joined(folder, "recipe.yaml"), *longer;
    assert_true(asprintf(&longer, "%s  - knn: {at: [3], k: 5, protocol: train_to_test, split: test}\n", recipe) > 0);
    write_text(file, longer);
    if (run_child((plan_of_run){.backend = best_backend(), .results = results, .evaluate_only = true}, says)) fail_msg("%s", says);
    write_text(file, recipe);
    bl_run_reader *reader;
    bl_history history = {0};
    assert_ok(bl_run_reader_open(&reader, path));
    assert_ok(bl_history_get(&history, reader));
    bool found = false;
    for (int64_t i = 0; i < history.measurement_count; i++)
        found = found || (!strcmp(history.measurements[i].row, "knn/k5/test") && history.measurements[i].epoch == 3);
    assert_true(found);
    assert_int_equal(history.step_count, STEPS);
    bl_history_free(&history);
    bl_run_reader_close(reader);
    free(longer);
    free(file);
    free(path);
    free(results);
}

static void a_learning_rate_that_explodes_names_the_step_and_the_first_bad_tensor(void **state) {
    (void)state;
    char *results = joined(folder, "exploded");
    char says[512];
    // SGD whose decay overshoots: every weight grows a thousandfold a step until f32 ends.
    assert_int_equal(run_child((plan_of_run){.backend = best_backend(), .results = results, .set_key = "train.optimizer",
                                             .set_value = "{kind: sgd, lr: 1000, momentum: 0, weight_decay: 1}"}, says), 1);
    if (!strstr(says, "is not finite, first in '")) fail_msg("%s", says);
    char *path = run_file(results, best_backend());
    assert_false(bl_file_exists(path));
    free(path);
    free(results);
}

static int set_up(void **state) {
    (void)state;
    folder = bl_test_folder();
    char *path = joined(folder, "recipe.yaml");
    write_text(path, recipe);
    free(path);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    bl_test_folder_remove(folder);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_run_killed_at_five_steps_equals_an_uninterrupted_one_bit_for_bit),
            cmocka_unit_test(the_reference_resumes_bit_for_bit_too),
            cmocka_unit_test(loader_threads_change_no_bit),
            cmocka_unit_test(a_finished_run_is_skipped_and_its_bytes_stay),
            cmocka_unit_test(another_recipe_under_the_same_name_is_refused),
            cmocka_unit_test(a_damaged_run_file_is_named_and_left_alone),
            cmocka_unit_test(eval_adds_a_row_without_training_and_refuses_what_is_not_finished),
            cmocka_unit_test(a_learning_rate_that_explodes_names_the_step_and_the_first_bad_tensor),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
