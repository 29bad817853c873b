// report_rig.h - small studies as trainers would leave them, and what the report makes of them.

#ifndef BL_TESTS_REPORT_RIG_H
#define BL_TESTS_REPORT_RIG_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "record/container.h"
#include "record/history_file.h"
#include "record/paths.h"
#include "record/stretches.h"
#include "report/label_efficiency.h"
#include "report/report.h"
#include "support.h"

#define ROW "knn/k1_cv/test"
#define PIXELS "pixels/k1_cv/test"
#define ROW_ID "0123456789abcdef"
#define PIXELS_ID "fedcba9876543210"

enum { LAST = 2 }; // finished epochs

typedef struct fixture {
    char *folder;
    bl_evaluation evaluations[2];
    bl_cell cells[2];
    bl_expectation expectations[4];
    bl_experiment experiment;
    bool counts_unfinished;
} fixture;

static inline int open_study(void **state) {
    fixture *here = calloc(1, sizeof *here);
    here->folder = bl_test_folder();
    here->evaluations[0] = (bl_evaluation){.row = ROW, .id = ROW_ID, .knn = {.k = 1, .folds = 5}, .split = BL_TEST};
    here->evaluations[1] = (bl_evaluation){.row = PIXELS, .id = PIXELS_ID, .knn = {.k = 1, .folds = 5, .raw_pixels = true}, .split = BL_TEST};
    const char *names[] = {"byol", "no_stop_gradient"};
    for (int c = 0; c < 2; c++)
        here->cells[c] = (bl_cell){.name = names[c], .evaluations = here->evaluations, .evaluation_count = 2, .train_id = "of this recipe",
                                   .train = {.epochs = LAST}};
    here->experiment = (bl_experiment){.study = "tests/small", .machine = {.backend = "reference"}, .seeds = {0, 1, 7}, .seed_count = 3,
                                       .cells = here->cells, .cell_count = 2, .expectations = here->expectations};
    *state = here;
    return 0;
}

static inline int close_study(void **state) {
    fixture *here = *state;
    bl_test_folder_remove(here->folder);
    free(here);
    return 0;
}

typedef struct run_case { // a run file or a checkpoint as a trainer would leave it
    int cell;
    uint64_t seed;
    double accuracy[LAST + 1];
    const char *train_id, *status, *row_id, *digest; // NULL: as it should be
    bool mixed, supervised; // supervised: nothing is projected
    int last;             // epochs it was trained for; 0: LAST
    bl_verdict verdict;   // of its last diagnosis; UNDETERMINED: it has none
    int under_way;        // a checkpoint after so many of its four steps; 0: it is finished
    const bl_stretches *stretches; // this process's with those it found; NULL: a file of an earlier version
    bool of_earlier_version; // its trainer kept no epoch
} run_case;

static inline void add_diagnoses(bl_history *history, bl_verdict verdict) {
    for (int i = 0; i < 2; i++) {
        const bl_collapse_row row = {.step = 4 * i, .epoch = 2 * i, .loss = 2, .std = .5 - .4 * i, .std_ratio = 1 - .8 * i, .mean_cosine = .75 + .24 * i,
                                     .rank = 12 - 8 * i, .rankme = 14, .alignment = .3, .uniformity = -2, .norm = 3, .prediction_norm = 5,
                                     .verdict = i ? verdict : BL_UNDETERMINED};
        assert_ok(bl_history_add_collapse(history, &row));
    }
}

static inline void write_run(fixture *here, int cell, uint64_t seed, const run_case *run, const bl_history *history) {
    bl_arena *arena = bl_arena_create();
    const char *path = bl_run_path(arena, &(bl_run_key){&here->experiment, &here->experiment.cells[cell], seed, here->folder});
    assert_ok(bl_make_folders(bl_arena_format(arena, "%.*s", (int)(strrchr(path, '/') - path), path)));
    bl_container_writer *writer;
    const int64_t number = (int64_t)seed, mixed = run->mixed, step = run->under_way ? run->under_way : 4, epoch = step / 2;
    if (run->under_way) path = bl_run_beside(arena, path, ".ckpt");
    assert_ok(bl_container_writer_create(&writer));
    assert_ok(bl_history_put(history, writer));
    assert_ok(bl_container_put_text(writer, "/manifest/status", run->status ? run->status : run->under_way ? "incomplete" : "complete"));
    assert_ok(bl_container_put_text(writer, "/manifest/train_id", run->train_id ? run->train_id : "of this recipe"));
    assert_ok(bl_container_put_text(writer, "/manifest/run_id", "0a1b"));
    assert_ok(bl_container_put_text(writer, "/manifest/graph_digest", run->digest ? run->digest : "of this graph"));
    assert_ok(bl_container_put_text(writer, "/manifest/resolved", "data:\n  dataset: shapes\n"));
    assert_ok(bl_container_put_i64(writer, "/manifest/seed", &number, (int64_t[]){1}, 1));
    assert_ok(bl_container_put_i64(writer, "/trainer/mixed", &mixed, (int64_t[]){1}, 1));
    assert_ok(bl_container_put_i64(writer, "/trainer/step", &step, (int64_t[]){1}, 1));
    if (!run->of_earlier_version) assert_ok(bl_container_put_i64(writer, "/trainer/epoch", &epoch, (int64_t[]){1}, 1));
    if (run->stretches) assert_ok(bl_stretches_put(run->stretches, step, 3600, writer));
    assert_ok(bl_container_writer_save(writer, path));
    bl_container_writer_free(writer);
    bl_arena_free(arena);
}

static inline void leave_run(fixture *here, const run_case *run) {
    bl_history history = {0};
    const int steps = run->under_way ? run->under_way : 4;
    for (int step = 0; step <= steps; step++) {
        const double ratio = run->supervised ? NAN : 1. / (step + 1);
        const bl_step_row row = {.step = step, .epoch = step / 2., .loss = 4 - step, .std = .5 * ratio, .std_ratio = ratio,
                                 .learning_rate = 1e-3, .tau = .99};
        assert_ok(bl_history_add_step(&history, &row));
    }
    for (int epoch = 0; epoch <= (run->last ? run->last : steps / 2); epoch++) {
        bl_measurement row = {.row = ROW, .epoch = epoch, .value = run->accuracy[epoch], .chosen = NAN, .validation = NAN};
        strcpy(row.id, run->row_id ? run->row_id : ROW_ID);
        assert_ok(bl_history_add_measurement(&history, &row));
    }
    const bl_measurement pixels = {.row = PIXELS, .id = PIXELS_ID, .value = 17, .chosen = NAN, .validation = NAN};
    assert_ok(bl_history_add_measurement(&history, &pixels));
    if (run->verdict != BL_UNDETERMINED) add_diagnoses(&history, run->verdict);
    write_run(here, run->cell, run->seed, run, &history);
    bl_history_free(&history);
}

static const run_case all_runs[] = {
    {.cell = 0, .seed = 0, .accuracy = {30, 50, 70}}, {.cell = 0, .seed = 1, .accuracy = {31, 52, 74}},
    {.cell = 0, .seed = 7, .accuracy = {29, 54, 72}}, {.cell = 1, .seed = 0, .accuracy = {30, 51, 40}},
    {.cell = 1, .seed = 1, .accuracy = {31, 51, 43}}, {.cell = 1, .seed = 7, .accuracy = {29, 54, 43}},
};
enum { ALL_RUNS = sizeof all_runs / sizeof *all_runs };

static inline void leave_all_runs(fixture *here) {
    for (int i = 0; i < ALL_RUNS; i++) leave_run(here, &all_runs[i]);
}

static inline char *report_of(fixture *here) {
    bl_text summary = {0};
    bool written;
    assert_ok(bl_report_write(&here->experiment, here->folder, here->counts_unfinished, &summary, &written));
    assert_true(written);
    char *text = strdup(summary.chars);
    bl_text_free(&summary);
    return text;
}

static inline char *written_text(fixture *here, const char *name) {
    char path[600];
    void *data;
    size_t bytes;
    snprintf(path, sizeof path, "%s/tests/small/%s", here->folder, name);
    assert_ok(bl_read_file(path, &data, &bytes));
    char *text = strdup(data);
    bl_free(data);
    return text;
}

static inline void assert_written(fixture *here, const char *name, const char *part) {
    char *text = written_text(here, name);
    bl_test_holds(text, part);
    free(text);
}

static inline bool is_there(fixture *here, const char *name) {
    char path[600];
    snprintf(path, sizeof path, "%s/tests/small/%s", here->folder, name);
    return bl_file_exists(path);
}

static inline bool has_gnuplot(void) { return system("gnuplot --version >/dev/null 2>&1") == 0; }

// ---- label efficiency ----

enum { ARMS = 2, SHARES = 3, LABEL_ROWS = ARMS * SHARES };

typedef struct label_fixture {
    bl_evaluation rows[LABEL_ROWS];
    char names[LABEL_ROWS][64], ids[LABEL_ROWS][17];
    bl_cell cell;
} label_fixture;

// A protocol from two arms on shares of a data set's labels, the largest of them all; `split` as rows name it.
static inline void make_share_study(fixture *here, label_fixture *labels, bl_protocol_kind kind, const char *protocol, const char *split,
                                    const double shares[SHARES], bl_dataset_options data) {
    static const char *const arms[] = {"pretrained", "random"};
    for (int i = 0; i < LABEL_ROWS; i++) {
        const double share = shares[i % SHARES];
        const char *arm = arms[i / SHARES];
        if (share < 100) snprintf(labels->names[i], sizeof labels->names[i], "%s/%s/%g%%/%s", protocol, arm, share, split);
        else snprintf(labels->names[i], sizeof labels->names[i], "%s/%s/%s", protocol, arm, split);
        snprintf(labels->ids[i], sizeof labels->ids[i], "%016d", i);
        labels->rows[i] = (bl_evaluation){.row = labels->names[i], .id = labels->ids[i], .kind = kind, .split = BL_TEST, .scenes = BL_SCENE_VAL,
                                          .fit = {.share = share, .arm = {.name = arm}}};
    }
    labels->cell = (bl_cell){.name = "main", .evaluations = labels->rows, .evaluation_count = LABEL_ROWS, .train_id = "of this recipe",
                             .train = {.epochs = LAST}, .data = data};
    here->experiment.cells = &labels->cell;
    here->experiment.cell_count = 1;
}

// Fine-tuning from two arms on 1, 10 and 100 % of 500 labels.
static inline void make_label_study(fixture *here, label_fixture *labels) {
    make_share_study(here, labels, BL_PROTOCOL_FINETUNE, "finetune", "test", (const double[]){1, 10, 100},
                     (bl_dataset_options){.name = "shapes", .train = 500});
}

static inline void add_measured(bl_history *history, const bl_evaluation *row, double value, double chosen) {
    bl_measurement measured = {.epoch = LAST, .value = value, .chosen = chosen, .validation = NAN};
    strcpy(measured.row, row->row);
    strcpy(measured.id, row->id);
    assert_ok(bl_history_add_measurement(history, &measured));
}

static inline void leave_label_run(fixture *here, int cell, uint64_t seed, const double values[LABEL_ROWS]) {
    bl_history history = {0};
    for (int i = 0; i < LABEL_ROWS; i++) add_measured(&history, &here->experiment.cells[cell].evaluations[i], values[i], NAN);
    write_run(here, cell, seed, &(run_case){0}, &history);
    bl_history_free(&history);
}

#endif
