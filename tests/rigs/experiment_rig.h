// experiment_rig.h - what the tests of the experiment file share: the environment, the smallest experiment, and a judge of refusals.

#ifndef BL_TESTS_EXPERIMENT_RIG_H
#define BL_TESTS_EXPERIMENT_RIG_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "experiment/experiment.h"
#include "support.h"

static inline int set_environment(void **state) {
    (void)state;
    setenv("BYOLAB_DATA", "/data", 1);
    setenv("BYOLAB_WEIGHTS", "/weights", 1);
    unsetenv("BYOLAB_UNSET");
    return 0;
}

static inline const char *write_file(const char *name, const char *text) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", bl_test_here(), name);
    assert_ok(bl_atomic_write(path, text, strlen(text)));
    return path;
}

// What every experiment must say, and one evaluation.
static const char minimal[] = "data: {dataset: shapes, train: 400, test: 100}\n"
                              "views:\n"
                              "  - {flip: 0.5, normalize: imagenet}\n"
                              "train: {epochs: 4, batch: 16, optimizer: {lr: 0.1}}\n"
                              "evaluate:\n"
                              "  - knn: {k: 5, split: test}\n";

static inline bl_experiment *read_with(const char *text, const bl_override *overrides, int count) {
    bl_experiment *experiment = NULL;
    assert_ok(bl_experiment_read(&experiment, write_file("mine.yaml", text), overrides, count));
    return experiment;
}

static inline bl_experiment *read_text(const char *text) {
    return read_with(text, NULL, 0);
}

// `minimal` as the base of `text`.
static inline bl_experiment *read_over_minimal(const char *text) {
    char *whole = NULL;
    write_file("minimal.yaml", minimal);
    if (asprintf(&whole, "base: minimal.yaml\n%s", text) < 0) fail_msg("out of memory");
    bl_experiment *experiment = read_text(whole);
    free(whole);
    return experiment;
}

typedef struct refusal { // a file over `minimal` whose line 1 names the base; what its first line, its message and its advice hold
    const char *text, *at, *says, *advice;
} refusal;

static inline void assert_refused(const refusal *refusals, size_t count) {
    int wrong = 0;
    write_file("minimal.yaml", minimal);
    for (size_t i = 0; i < count; i++) {
        char text[512];
        bl_experiment *experiment;
        snprintf(text, sizeof text, "base: minimal.yaml\n%s\n", refusals[i].text);
        if (bl_experiment_read(&experiment, write_file("mine.yaml", text), NULL, 0) == BL_OK) fail_msg("accepted: %s", refusals[i].text);
        assert_null(experiment);
        const char *error = bl_error(), *at = strstr(error, refusals[i].at), *last_line = strrchr(error, '\n');
        bool is_there = at && at < error + strcspn(error, "\n") && strstr(error, refusals[i].says) &&
                        strstr(last_line ? last_line : "", refusals[i].advice);
        wrong += !is_there;
        if (!is_there)
            print_error("%s\nshould say %s%s ... %s, but says\n%s\n", refusals[i].text, refusals[i].at, refusals[i].says, refusals[i].advice, error);
    }
    assert_int_equal(wrong, 0);
}

// Each cell's resolved text, read as a file of its own, gives the same text and the same ids.
static inline void assert_reads_back(const bl_experiment *experiment) {
    for (int i = 0; i < experiment->cell_count; i++) {
        const bl_cell *cell = &experiment->cells[i];
        bl_experiment *again = read_text(cell->resolved);
        assert_string_equal(again->cells[0].resolved, cell->resolved);
        assert_string_equal(again->cells[0].train_id, cell->train_id);
        assert_int_equal(again->cells[0].evaluation_count, cell->evaluation_count);
        for (int k = 0; k < cell->evaluation_count; k++) {
            assert_string_equal(again->cells[0].evaluations[k].row, cell->evaluations[k].row);
            assert_string_equal(again->cells[0].evaluations[k].id, cell->evaluations[k].id);
        }
        bl_experiment_free(again);
    }
}

#endif
