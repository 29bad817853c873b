// Where runs stand, as `status` tells it: what their files hold, and nothing of it changed. And what is not there to begin with.

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "run/sweep.h"
#include "run_rig.h"

// ---- a folder that may only be read, also by root ----

static bool is_read_only;
static int changes; // that were tried

static int refuse_change(void) {
    changes++;
    errno = EROFS;
    return -1;
}

int open(const char *path, int flags, ...) {
    int (*next)(const char *, int, ...);
    va_list arguments;
    va_start(arguments, flags);
    const unsigned mode = flags & O_CREAT ? va_arg(arguments, unsigned) : 0;
    va_end(arguments);
    if (is_read_only && ((flags & O_ACCMODE) != O_RDONLY || flags & (O_CREAT | O_TRUNC))) return refuse_change();
    bl_test_next("open", &next);
    return next(path, flags, mode);
}

int unlink(const char *path) {
    int (*next)(const char *);
    if (is_read_only) return refuse_change();
    bl_test_next("unlink", &next);
    return next(path);
}

int mkdir(const char *path, mode_t mode) {
    int (*next)(const char *, mode_t);
    if (is_read_only) return refuse_change();
    bl_test_next("mkdir", &next);
    return next(path, mode);
}

static const char recipe[] =
        "data: {dataset: shapes, train: 10, test: 20}\n"
        "views: [{random_resized_crop: {size: 32}, flip: 0.5, normalize: imagenet}]\n"
        "network: {encoder: resnet18, stem: cifar, width: 2, projector: {hidden: 8, out: 4}}\n"
        "method: {predictor: {hidden: 16}, target: {tau: 0.9}}\n"
        "train: {epochs: 2, batch: 5, optimizer: {kind: adam, lr: 1.0e-3}, checkpoint_every: 1, collapse_every: 0, seeds: [7]}\n"
        "machine: {threads: 1, loader_threads: 1}\n";

// The table of recipe.yaml with another override, read with the folder of results closed to changes. Freed by the caller.
static char *table_of(const char *results, const char *key, const char *value) {
    char *path = joined(bl_test_here(), "recipe.yaml");
    const bl_override overrides[] = {{"machine.backend", bl_test_backend()}, {key, value}};
    bl_experiment *experiment;
    bl_text table = {0};
    assert_ok(bl_experiment_read(&experiment, path, overrides, key ? 2 : 1));
    is_read_only = true;
    changes = 0;
    const int status = bl_sweep_table(experiment, results, &table);
    is_read_only = false;
    assert_ok(status);
    assert_int_equal(changes, 0);
    char *text = strdup(table.chars);
    bl_text_free(&table);
    bl_experiment_free(experiment);
    free(path);
    return text;
}

static void assert_table(const char *results, const char *key, const char *value, const char *says) {
    char *table = table_of(results, key, value);
    bl_test_holds(table, says);
    free(table);
}

static int open_recipe(void **state) {
    (void)state;
    write_recipe(recipe);
    return 0;
}

static void a_status_changes_nothing_and_reads_what_is_there(void **state) {
    (void)state;
    char *results = joined(bl_test_here(), "results"), *path = run_file(results, bl_test_backend()), says[512], lock[600], checkpoint[600];
    snprintf(lock, sizeof lock, "%s.lock", path);
    snprintf(checkpoint, sizeof checkpoint, "%.*s.ckpt", (int)strlen(path) - 3, path);
    assert_table(results, NULL, NULL, "main         0        0       0             0            0        1\n");
    assert_false(bl_file_exists(results));
    const plan_of_run killed = {.backend = bl_test_backend(), .results = results, .kill_at = 3};
    assert_int_equal(run_child(killed, says), SIGKILL);
    assert_true(bl_file_exists(lock)); // of the dead process: no lock, and none of ours to remove
    assert_table(results, NULL, NULL, "interrupted: main/7: step ");
    assert_table(results, "method.predictor.hidden", "32", "other recipe: main/7: ");
    assert_table(results, "method.predictor.hidden", "32", "ckpt: made by another recipe than the file now holds: method.predictor.hidden: 32, was 16\n");
    assert_true(bl_file_exists(lock));
    bl_lock held;
    bool is_held;
    assert_ok(bl_lock_try(&held, lock, &is_held));
    assert_true(is_held);
    assert_table(results, NULL, NULL, "running: main/7: step ");
    bl_lock_release(&held);
    void *bytes; // one bit in the middle: no run goes on from it
    size_t size;
    assert_ok(bl_read_file(checkpoint, &bytes, &size));
    ((char *)bytes)[size / 2] ^= 1;
    assert_ok(bl_atomic_write(checkpoint, bytes, size));
    assert_table(results, NULL, NULL, "failed: main/7: ");
    assert_table(results, NULL, NULL, "damaged: its bytes do not match its digest");
    ((char *)bytes)[size / 2] ^= 1;
    assert_ok(bl_atomic_write(checkpoint, bytes, size));
    bl_free(bytes);
    if (run_child((plan_of_run){.backend = bl_test_backend(), .results = results}, says)) fail_msg("%s", says);
    assert_table(results, NULL, NULL, "Runs:      1 finished\n");
    assert_table(results, "evaluate", "[{knn: {k: 3, split: test}}]", "Runs:      1 finished\nfinished: main/7: lacks knn/k3/test; `byolab eval` adds it\n");
    assert_table(results, "evaluate", "[{knn: {k: 3, split: test}}, {knn: {k: 5, split: test}}]", "lacks knn/k3/test and 1 more row; `byolab eval` adds them\n");
    assert_table(results, "train.epochs", "3", "other recipe: main/7: ");
    assert_table(results, "train.epochs", "3", "made by another recipe than the file now holds: train.epochs: 3, was 2\n");
    free(results);
    free(path);
}

// ---- what is not there ----

static const char of_files[] =
        "data: {dataset: cifar10, root: '${BYOLAB_TEST_DATA}/cifar10'}\n"
        "views: [{random_resized_crop: {size: 32}, flip: 0.5, normalize: imagenet}]\n"
        "network: {encoder: resnet18, stem: cifar, width: 2, projector: {hidden: 8, out: 4}}\n"
        "train: {epochs: 1, batch: 5, optimizer: {kind: adam, lr: 1.0e-3}, seeds: [0, 1, 2]}\n"
        "cells: {a: {}, b: {train: {batch: 8}}, c: {data: {dataset: shapes, root: null}}}\n"
        "machine: {threads: 1, loader_threads: 1, backend: reference}\n";

static int times_in(const char *text, const char *part) {
    int count = 0;
    for (; (text = strstr(text, part)); text++) count++;
    return count;
}

static int write_of_files(void **state) {
    (void)state;
    char *path = joined(bl_test_here(), "files.yaml");
    write_text(path, of_files);
    setenv("F", path, 1);
    free(path);
    path = joined(bl_test_here(), "files_results");
    setenv("R", path, 1);
    free(path);
    return 0;
}

static void data_that_are_missing_stop_a_sweep_once_before_its_first_run(void **state) {
    (void)state;
    char says[8192];
    unsetenv("BYOLAB_TEST_DATA");
    assert_int_equal(bl_test_byolab("run \"$F\" --results \"$R\"", says, sizeof says), 1);
    bl_test_holds(says, "files.yaml:1:32: data.root: the environment variable BYOLAB_TEST_DATA is not set\n");
    setenv("BYOLAB_TEST_DATA", "/nowhere", 1);
    assert_int_equal(bl_test_byolab("run \"$F\" --results \"$R\"", says, sizeof says), 1);
    bl_test_holds(says, "byolab run: ");
    bl_test_holds(says, "files.yaml:1:32: /nowhere/cifar10");
    bl_test_holds(says, "data.root is where they are looked for; BYOLAB_TEST_DATA is /nowhere\n");
    assert_int_equal(times_in(says, "/nowhere/cifar10"), 1);
    assert_false(bl_file_exists(getenv("R"))); // not even a message beside a run
    assert_int_equal(bl_test_byolab("run \"$F\" --results \"$R\" --cell a --set 'data.root=$BYOLAB_TEST_DATA/cifar10'", says, sizeof says), 1);
    bl_test_holds(says, "$BYOLAB_TEST_DATA is not replaced: write ${BYOLAB_TEST_DATA}\n");
    // Weights too, and what needs nothing that is missing runs.
    assert_int_equal(bl_test_byolab("run \"$F\" --results \"$R\" --cell c --set "
                                    "'evaluate=[{finetune: {split: test, arms: {x: {weights: /nowhere/w.safetensors}}}}]'", says, sizeof says), 1);
    assert_int_equal(times_in(says, ": /nowhere/w.safetensors: no such file\n"), 1);
    assert_false(bl_file_exists(getenv("R")));
    assert_int_equal(bl_test_byolab("run \"$F\" --results \"$R\" --cell c --seeds 0 --set cells.c.data.train=10", says, sizeof says), 0);
    // And a folder where nothing can be made.
    assert_int_equal(bl_test_byolab("run \"$F\" --results /proc/self --cell c", says, sizeof says), 1);
    assert_int_equal(times_in(says, "/proc/self/files: cannot make this folder"), 1);
}

static void a_check_warns_of_what_is_not_here(void **state) {
    (void)state;
    static const struct {
        const char *data, *words, *says;
        int times;
    } cases[] = {
        {NULL, "", "  warning: the environment variable BYOLAB_TEST_DATA is not set here (files.yaml:1:32)\n", 1},
        {"/nowhere", "", "/nowhere/cifar10", 1}, // of two cells
        {"/nowhere", "--set 'data.root=$HOME/cifar10'", "  warning: root: $HOME is not replaced: write ${HOME} (--set data.root=$HOME/cifar10)\n", 1},
        {"/nowhere", "--set 'data.root=~/cifar10'", "  warning: root: ~ is not replaced: write ${HOME} (--set data.root=~/cifar10)\n", 1},
        {"/nowhere", "--set 'evaluate=[{finetune: {split: test, arms: {x: {weights: \"/nowhere/w.safetensors\"}}}}]'", ": /nowhere/w.safetensors: no such file", 1},
        {"/nowhere", "--set 'evaluate=[{finetune: {split: test, arms: {x: {run: \"/nowhere/r.h5\"}}}}]'", ": /nowhere/r.h5: no such file", 1},
    };
    char says[8192], words[400];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (cases[i].data) setenv("BYOLAB_TEST_DATA", cases[i].data, 1);
        else unsetenv("BYOLAB_TEST_DATA");
        snprintf(words, sizeof words, "check \"$F\" %s", cases[i].words);
        if (bl_test_byolab(words, says, sizeof says) || times_in(says, cases[i].says) != cases[i].times) fail_msg("%s: %s", words, says);
    }
    unsetenv("BYOLAB_TEST_DATA"); // what reads only results, or builds only a graph, has no need of it
    assert_int_equal(bl_test_byolab("status \"$F\" --results \"$R\"", says, sizeof says), 0);
    assert_int_equal(bl_test_byolab("graph \"$F\" --cell c | tail -1", says, sizeof says), 0);
    assert_int_equal(bl_test_byolab("check \"$F\" --resolved | grep root:", says, sizeof says), 0);
    bl_test_holds(says, "  root: \"${BYOLAB_TEST_DATA}/cifar10\"\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_status_changes_nothing_and_reads_what_is_there, open_recipe, bl_test_leave),
        cmocka_unit_test_setup_teardown(data_that_are_missing_stop_a_sweep_once_before_its_first_run, write_of_files, bl_test_leave),
        cmocka_unit_test_setup_teardown(a_check_warns_of_what_is_not_here, write_of_files, bl_test_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
