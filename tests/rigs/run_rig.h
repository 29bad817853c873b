// run_rig.h - whole runs through the real entry points, as tests drive them: an experiment file in, a run file out. Every run is a
// child process, so that a kill is a kill and each backend starts fresh.

#ifndef BL_TESTS_RUN_RIG_H
#define BL_TESTS_RUN_RIG_H

#include <hdf5.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/backend.h"
#include "base/file.h"
#include "experiment/experiment.h"
#include "record/history_file.h"
#include "run/trainer.h"
#include "support.h"

static inline void write_text(const char *path, const char *text) {
    assert_ok(bl_atomic_write(path, text, strlen(text)));
}

static inline char *joined(const char *a, const char *b) {
    char *path;
    assert_true(asprintf(&path, "%s/%s", a, b) > 0);
    return path;
}

typedef struct killer {
    int64_t at; // SIGKILL after this many finished steps; 0: never
    int at_row; // or after this many measurements
    int rows;
} killer;

static inline void kill_at(void *context, const bl_event *event) {
    killer *k = context;
    if (k->at && event->kind == BL_EVENT_STEP && event->step == k->at) raise(SIGKILL);
    k->rows += event->kind == BL_EVENT_EVALUATION;
    if (k->at_row && k->rows == k->at_row) raise(SIGKILL);
}

// Of bl_test_here()'s recipe.yaml.
typedef struct plan_of_run {
    const char *backend, *results;
    const char *set_key, *set_value; // one more override, or NULL
    bl_override more[6];             // and others; a NULL key ends them
    int64_t kill_at, stop_after;
    int stop_after_epoch;
    int kill_at_row;                 // while the measurement is handed out: before anything after it is kept
    bool evaluate_only;
} plan_of_run;

static inline int run_here(const plan_of_run *plan) {
    char *path = joined(bl_test_here(), "recipe.yaml");
    bl_override overrides[8] = {{"machine.backend", plan->backend}};
    int count = 1;
    if (plan->set_key) overrides[count++] = (bl_override){plan->set_key, plan->set_value};
    for (int i = 0; i < 6 && plan->more[i].key; i++) overrides[count++] = plan->more[i];
    bl_experiment *experiment;
    killer k = {.at = plan->kill_at, .at_row = plan->kill_at_row};
    if (bl_experiment_read(&experiment, path, overrides, count)) return BL_FAILED;
    const bl_run_request request = {.key = {experiment, &experiment->cells[0], 7, plan->results},
            .stop_after = plan->stop_after, .stop_after_epoch = plan->stop_after_epoch, .evaluate_only = plan->evaluate_only, .sink = {kill_at, &k}};
    const int status = bl_run(&request);
    bl_experiment_free(experiment);
    free(path);
    return status;
}

// Runs in a child: 0 success, 1 failure (its message on `says`), 9 killed.
static inline int run_child(plan_of_run plan, char says[512]) {
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

static inline char *run_file(const char *results, const char *backend) {
    char *path;
    assert_true(asprintf(&path, "%s/recipe/main/seed-7.%s.h5", results, backend) > 0);
    return path;
}

// ---- what is in a run file ----

// Closed by the caller: bl_container_reader_close.
static inline bl_container_reader *opened(const char *path) {
    bl_container_reader *reader;
    assert_ok(bl_container_reader_open(&reader, path));
    return reader;
}

// Freed by the caller: bl_history_free.
static inline bl_history history_in(const char *path) {
    bl_container_reader *reader = opened(path);
    bl_history history = {0};
    assert_ok(bl_history_get(&history, reader));
    bl_container_reader_close(reader);
    return history;
}

// Freed by the caller: bl_free.
static inline char *text_in(const char *path, const char *name) {
    bl_container_reader *reader = opened(path);
    char *text;
    assert_ok(bl_container_get_text(reader, name, &text));
    bl_container_reader_close(reader);
    return text;
}

// ---- two run files are equal outside /timing and /host ----

typedef struct comparison {
    hid_t other;
    int sets;
    const char *but; // a data set that may differ, or NULL
} comparison;

static inline herr_t compare_object(hid_t object, const char *name, const H5O_info_t *info, void *context) {
    comparison *c = context;
    if (info->type != H5O_TYPE_DATASET || !strncmp(name, "timing", 6) || !strncmp(name, "host", 4)) return 0;
    if (c->but && !strcmp(name, c->but)) return 0;
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

static inline void assert_same_run_but(const char *a, const char *b, const char *but) {
    const hid_t first = H5Fopen(a, H5F_ACC_RDONLY, H5P_DEFAULT);
    comparison c = {.other = H5Fopen(b, H5F_ACC_RDONLY, H5P_DEFAULT), .but = but};
    assert_true(first >= 0 && c.other >= 0);
    assert_true(H5Ovisit2(first, H5_INDEX_NAME, H5_ITER_INC, compare_object, &c, H5O_INFO_BASIC) >= 0);
    assert_true(c.sets > 100); // weights, buffers, scalars, rows, manifest
    H5Fclose(first);
    H5Fclose(c.other);
}

static inline void assert_same_run(const char *a, const char *b) { assert_same_run_but(a, b, NULL); }

// ---- a run beside itself, killed ----

enum { MOST_KILLS = 5 };

typedef struct pair_of_runs {
    char *whole, *broken; // run files
} pair_of_runs;

// `whole` in one go, and `broken` with a kill at each of these finished steps and then of these measurements; 0 ends them. Both have
// results of their own under `name`; `what` is said where one goes wrong.
static inline pair_of_runs run_whole_and_broken(plan_of_run whole, plan_of_run broken, const char *name, const char *what,
                                                const int64_t kills[MOST_KILLS], const int row_kills[MOST_KILLS]) {
    char *results = joined(bl_test_here(), name), *others = joined(results, "broken"), says[512];
    whole.results = results;
    broken.results = others;
    if (run_child(whole, says)) fail_msg("%s: %s", what, says);
    for (int k = 0; k < MOST_KILLS && kills[k]; k++) {
        broken.kill_at = kills[k];
        if (run_child(broken, says) != SIGKILL) fail_msg("%s: not killed at step %d: %s", what, (int)kills[k], says);
    }
    broken.kill_at = 0;
    for (int k = 0; k < MOST_KILLS && row_kills[k]; k++) {
        broken.kill_at_row = row_kills[k];
        if (run_child(broken, says) != SIGKILL) fail_msg("%s: not killed at row %d: %s", what, row_kills[k], says);
    }
    broken.kill_at_row = 0;
    if (run_child(broken, says)) fail_msg("%s: %s", what, says);
    const pair_of_runs files = {run_file(results, whole.backend), run_file(others, broken.backend)};
    free(results);
    free(others);
    return files;
}

static inline void free_pair(pair_of_runs files) {
    free(files.whole);
    free(files.broken);
}

static inline void write_recipe(const char *text) {
    char *path = joined(bl_test_here(), "recipe.yaml");
    write_text(path, text);
    free(path);
}

#endif
