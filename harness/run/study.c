#include "run/study.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "run/trainer.h" // bl_run_path

// ---- reading ----

static void add_absent(bl_study *study, const bl_cell *cell, uint64_t seed, const char *why) {
    study->absent[study->absent_count++] = bl_arena_format(study->arena, "%s, seed %" PRIu64 ": %s", cell->name, seed, why);
}

typedef struct manifest_walk {
    const bl_run_reader *reader;
    const char *group;
    bl_text *yaml;
} manifest_walk;

static int add_manifest_entry(void *context, const char *name) {
    manifest_walk *walk = context;
    char path[256];
    char *text = NULL;
    int64_t *values = NULL, count = 0;
    snprintf(path, sizeof path, "%s/%s", walk->group, name);
    if (bl_run_get_text(walk->reader, path, &text) == BL_OK) {
        if (!strchr(text, '\n')) {
            bl_text_add(walk->yaml, "  %s: \"", name);
            for (const char *c = text; *c; c++) bl_text_add(walk->yaml, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
            bl_text_add(walk->yaml, "\"\n");
        } else {
            bl_text_add(walk->yaml, "  %s: |\n", name);
            for (char *line = text, *end; *line; line = end) {
                end = line + strcspn(line, "\n");
                bl_text_add(walk->yaml, end == line ? "%.*s\n" : "    %.*s\n", (int)(end - line), line);
                end += *end == '\n';
            }
        }
    } else {
        if (bl_run_get_i64(walk->reader, path, &values, &count)) return BL_FAILED;
        bl_text_add(walk->yaml, "  %s:", name);
        for (int64_t i = 0; i < count; i++) bl_text_add(walk->yaml, " %" PRId64, values[i]);
        bl_text_add(walk->yaml, "\n");
    }
    bl_free(text);
    bl_free(values);
    return BL_OK;
}

static int read_manifest(const bl_run_reader *reader, bl_text *yaml) {
    manifest_walk walk = {reader, "/manifest", yaml};
    if (bl_run_list(reader, walk.group, add_manifest_entry, &walk)) return BL_FAILED;
    walk.group = "/host";
    return bl_run_has(reader, walk.group) ? bl_run_list(reader, walk.group, add_manifest_entry, &walk) : BL_OK;
}

// Takes the run in, or fails with the reason why it cannot count.
static int read_run(bl_study *study, bl_finished_run *run, const bl_cell *cell, const char *path) {
    int status = BL_FAILED;
    bl_run_reader *reader = NULL;
    char *run_status = NULL, *train_id = NULL, *run_id = NULL;
    bl_text manifest = {0};
    if (bl_run_reader_open(&reader, path) || bl_run_get_text(reader, "/manifest/status", &run_status) ||
        bl_run_get_text(reader, "/manifest/train_id", &train_id) || bl_run_get_text(reader, "/manifest/run_id", &run_id))
        goto done;
    if (strcmp(run_status, "complete") != 0) {
        bl_fail("%s, not complete", run_status);
        goto done;
    }
    if (strcmp(train_id, cell->train_id) != 0) {
        bl_fail("trained by another recipe than the file now holds (train id %.12s, not %.12s)", train_id, cell->train_id);
        goto done;
    }
    if (bl_history_get(&run->history, reader) || read_manifest(reader, &manifest)) goto done;
    run->run_id = bl_arena_copy(study->arena, run_id);
    run->manifest = bl_arena_copy(study->arena, manifest.chars ? manifest.chars : "");
    status = BL_OK;
done:
    bl_text_free(&manifest);
    bl_free(run_status);
    bl_free(train_id);
    bl_free(run_id);
    bl_run_reader_close(reader);
    return status;
}

int bl_study_read(bl_study *study, const bl_experiment *experiment, const char *results_folder) {
    const size_t most = (size_t)experiment->cell_count * (size_t)experiment->seed_count;
    *study = (bl_study){.experiment = experiment, .arena = bl_arena_create()};
    study->runs = bl_alloc(most * sizeof *study->runs);
    study->absent = bl_alloc(most * sizeof *study->absent);
    if (!study->runs || !study->absent) {
        bl_study_free(study);
        return BL_FAILED;
    }
    for (int c = 0; c < experiment->cell_count; c++)
        for (int s = 0; s < experiment->seed_count; s++) {
            const bl_cell *cell = &experiment->cells[c];
            const uint64_t seed = experiment->seeds[s];
            const char *path = bl_run_path(study->arena, experiment, cell, seed, results_folder);
            bl_finished_run *run = &study->runs[study->run_count];
            *run = (bl_finished_run){.cell = c, .seed = seed};
            if (!bl_file_exists(path)) {
                const char *checkpoint = bl_arena_format(study->arena, "%.*s.ckpt", (int)strlen(path) - 3, path); // without ".h5"
                add_absent(study, cell, seed, bl_file_exists(checkpoint) ? "not finished; a checkpoint is there" : "not run yet");
            } else if (read_run(study, run, cell, path)) {
                add_absent(study, cell, seed, bl_error());
                bl_history_free(&run->history);
            } else
                study->run_count++;
        }
    return BL_OK;
}

void bl_study_free(bl_study *study) {
    for (int i = 0; i < study->run_count; i++) bl_history_free(&study->runs[i].history);
    bl_free(study->runs);
    bl_free(study->absent);
    bl_arena_free(study->arena);
    *study = (bl_study){0};
}

// ---- what they say together ----

int bl_study_rows(const bl_study *study, const bl_evaluation **rows, int room) {
    int count = 0;
    for (int c = 0; c < study->experiment->cell_count; c++) {
        const bl_cell *cell = &study->experiment->cells[c];
        for (int e = 0; e < cell->evaluation_count; e++) {
            int known = 0;
            while (known < count && strcmp(rows[known]->row, cell->evaluations[e].row) != 0) known++;
            if (known == count && count < room) rows[count++] = &cell->evaluations[e];
        }
    }
    return count;
}

const bl_evaluation *bl_cell_row(const bl_cell *cell, const char *row) {
    for (int e = 0; e < cell->evaluation_count; e++)
        if (strcmp(cell->evaluations[e].row, row) == 0) return &cell->evaluations[e];
    return NULL;
}

static int by_value(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

const int *bl_study_epochs(const bl_study *study, int cell, const char *row, int *count) {
    *count = 0;
    const bl_evaluation *own = bl_cell_row(&study->experiment->cells[cell], row);
    size_t most = 0;
    for (int r = 0; r < study->run_count; r++) most += (size_t)study->runs[r].history.measurement_count;
    int *epochs = bl_arena_take(study->arena, most * sizeof *epochs), found = 0;
    for (int r = 0; own && r < study->run_count; r++) {
        const bl_history *history = &study->runs[r].history;
        for (int64_t m = 0; study->runs[r].cell == cell && m < history->measurement_count; m++)
            if (strcmp(history->measurements[m].row, row) == 0 && strcmp(history->measurements[m].id, own->id) == 0)
                epochs[found++] = history->measurements[m].epoch;
    }
    qsort(epochs, (size_t)found, sizeof *epochs, by_value);
    for (int i = 0; i < found; i++)
        if (!i || epochs[i] != epochs[i - 1]) epochs[(*count)++] = epochs[i];
    return epochs;
}

static const bl_finished_run *find_run(const bl_study *study, int cell, uint64_t seed) {
    for (int r = 0; r < study->run_count; r++)
        if (study->runs[r].cell == cell && study->runs[r].seed == seed) return &study->runs[r];
    return NULL;
}

static const bl_measurement *find_value(const bl_study *study, int cell, uint64_t seed, const char *row, int epoch) {
    const bl_finished_run *run = find_run(study, cell, seed);
    const bl_evaluation *own = bl_cell_row(&study->experiment->cells[cell], row);
    return run && own ? bl_history_find(&run->history, row, own->id, epoch) : NULL;
}

enum { MOST_SEEDS = sizeof((bl_experiment *)0)->seeds / sizeof(uint64_t) };

bl_estimate bl_study_value(const bl_study *study, int cell, const char *row, int epoch) {
    double values[MOST_SEEDS];
    int n = 0;
    for (int s = 0; s < study->experiment->seed_count; s++) {
        const bl_measurement *measurement = find_value(study, cell, study->experiment->seeds[s], row, epoch);
        if (measurement) values[n++] = measurement->value;
    }
    return n ? bl_estimate_of(values, n) : (bl_estimate){0};
}

bl_estimate bl_study_difference(const bl_study *study, int cell, int minus, const char *row, int epoch) {
    double values[MOST_SEEDS];
    int n = 0;
    for (int s = 0; s < study->experiment->seed_count; s++) {
        const bl_measurement *one = find_value(study, cell, study->experiment->seeds[s], row, epoch);
        const bl_measurement *other = find_value(study, minus, study->experiment->seeds[s], row, epoch);
        if (one && other) values[n++] = one->value - other->value;
    }
    return n ? bl_estimate_of(values, n) : (bl_estimate){0};
}

bl_estimate bl_study_std_ratio(const bl_study *study, int cell) {
    double values[MOST_SEEDS];
    int n = 0;
    for (int s = 0; s < study->experiment->seed_count; s++) {
        const bl_finished_run *run = find_run(study, cell, study->experiment->seeds[s]);
        if (run && run->history.step_count) values[n++] = run->history.steps[run->history.step_count - 1].std_ratio;
    }
    return n ? bl_estimate_of(values, n) : (bl_estimate){0};
}
