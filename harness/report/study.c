#include "report/study.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "record/history_file.h" // bl_history_get
#include "record/paths.h"        // bl_run_path
#include "record/recipe.h"       // bl_recipe_compare

// ---- reading ----

static void add_absent(bl_study *study, const bl_cell *cell, uint64_t seed, const char *why) {
    study->absent[study->absent_count++] = bl_arena_format(study->arena, "%s, seed %" PRIu64 ": %s", cell->name, seed, why);
}

typedef struct manifest_walk {
    const bl_container_reader *reader;
    const char *group;
    bl_text *yaml;
} manifest_walk;

static int add_manifest_entry(void *context, const char *name) {
    manifest_walk *walk = context;
    char path[256];
    char *text = NULL;
    int64_t *values = NULL, count = 0;
    snprintf(path, sizeof path, "%s/%s", walk->group, name);
    if (!strcmp(path, "/host/data_root")) return BL_OK; // its user's folders are nobody else's
    if (bl_container_get_text(walk->reader, path, &text) == BL_OK) {
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
        if (bl_container_get_i64(walk->reader, path, &values, &count)) return BL_FAILED;
        bl_text_add(walk->yaml, "  %s:", name);
        for (int64_t i = 0; i < count; i++) bl_text_add(walk->yaml, " %" PRId64, values[i]);
        bl_text_add(walk->yaml, "\n");
    }
    bl_free(text);
    bl_free(values);
    return BL_OK;
}

static int read_manifest(const bl_container_reader *reader, bl_text *yaml) {
    manifest_walk walk = {reader, "/manifest", yaml};
    if (bl_container_list(reader, walk.group, add_manifest_entry, &walk)) return BL_FAILED;
    walk.group = "/host";
    return bl_container_has(reader, walk.group) ? bl_container_list(reader, walk.group, add_manifest_entry, &walk) : BL_OK;
}

// Takes the run in from its run file or its checkpoint, or fails with the reason why there is nothing to read.
static int read_run(bl_study *study, bl_study_run *run, const bl_cell *cell, const char *path) {
    static const char early[] = "stopped: ";
    int status = BL_FAILED;
    bl_container_reader *reader = NULL;
    char *run_status = NULL, *run_id = NULL, *digest = NULL;
    bl_text difference = {0};
    bool same, longer;
    int64_t mixed = 0;
    bl_text manifest = {0};
    if (bl_container_reader_open(&reader, path) || bl_container_get_text(reader, "/manifest/status", &run_status) ||
        bl_recipe_compare(reader, cell, &same, &longer, &difference) || bl_container_get_text(reader, "/manifest/run_id", &run_id) ||
        bl_container_get_text(reader, "/manifest/graph_digest", &digest))
        goto done;
    const bool is_stopped = strncmp(run_status, early, sizeof early - 1) == 0;
    if (run->is_finished && !is_stopped && strcmp(run_status, "complete") != 0) {
        bl_fail("%s, not complete", run_status);
        goto done;
    }
    if (!same) {
        bl_fail("trained by another recipe than the file now holds (%s)", difference.chars);
        goto done;
    }
    if (bl_container_read_i64(reader, "/trainer/mixed", &mixed, 1) || bl_history_get(&run->history, reader) ||
        bl_history_check(&run->history, reader, cell->train.epochs, 0) ||
        bl_stretches_get(&run->stretches, reader) || read_manifest(reader, &manifest) ||
        (!run->is_finished && bl_standing_of(&run->standing, reader, &run->history, cell)))
        goto done;
    run->run_id = bl_arena_copy(study->arena, run_id);
    run->digest = bl_arena_copy(study->arena, digest);
    run->manifest = bl_arena_copy(study->arena, manifest.chars ? manifest.chars : "");
    run->mixed = mixed != 0;
    if (is_stopped) run->stopped = bl_arena_copy(study->arena, run_status + sizeof early - 1);
    status = BL_OK;
done:
    bl_text_free(&manifest);
    bl_free(run_status);
    bl_text_free(&difference);
    bl_free(run_id);
    bl_free(digest);
    bl_container_reader_close(reader);
    return status;
}

static void free_run(bl_study_run *run) {
    bl_history_free(&run->history);
    bl_stretches_free(&run->stretches);
}

// The message of the last attempt, or NULL.
static const char *failure_of(const bl_study *study, const char *path) {
    const char *marker = bl_run_beside(study->arena, path, ".failed"), *why = NULL;
    void *message;
    size_t bytes;
    if (bl_file_exists(marker) && bl_read_file(marker, &message, &bytes) == BL_OK) {
        why = bl_arena_format(study->arena, "failed: %.*s", (int)strcspn(message, "\n"), (char *)message);
        bl_free(message);
    }
    return why;
}

// A run that ends while it is looked for has its run file when its checkpoint is gone.
static void take_in(bl_study *study, const bl_cell *cell, bl_study_run *run, const char *path) {
    const char *checkpoint = bl_run_beside(study->arena, path, ".ckpt"), *why = NULL;
    if (!bl_file_exists(path)) {
        why = failure_of(study, path);
        if (bl_file_exists(checkpoint)) {
            if (read_run(study, run, cell, checkpoint) == BL_OK) {
                study->run_count++;
                if (why) add_absent(study, cell, run->seed, why); // and is unfinished
                return;
            }
            free_run(run);
            study->unreadable = bl_arena_copy(study->arena, bl_error());
            if (!why) why = bl_arena_format(study->arena, "not finished; its checkpoint: %s", study->unreadable);
        }
        if (!why) why = "not run yet";
    }
    if (bl_file_exists(path)) {
        run->is_finished = true;
        if (read_run(study, run, cell, path) == BL_OK) {
            study->run_count++;
            return;
        }
        free_run(run);
        why = study->unreadable = bl_arena_copy(study->arena, bl_error());
        run->is_finished = false; // where more epochs go on from it, they have left a checkpoint
        if (bl_file_exists(checkpoint) && read_run(study, run, cell, checkpoint) == BL_OK) {
            study->run_count++;
            return;
        }
        if (bl_file_exists(checkpoint)) free_run(run);
    }
    add_absent(study, cell, run->seed, why);
}

static bool is_asked_for(const bl_study *study, const bl_study_run *run) { return run->is_finished || study->counts_unfinished; }

static int runs_with(const bl_study *study, int cell, const char *digest) {
    int count = 0;
    for (int r = 0; r < study->run_count; r++)
        count += study->runs[r].cell == cell && is_asked_for(study, &study->runs[r]) && strcmp(study->runs[r].digest, digest) == 0;
    return count;
}

static void leave_out(bl_study *study, bl_study_run *run, const char *why) {
    run->left_out = why;
    add_absent(study, &study->experiment->cells[run->cell], run->seed, why);
}

// The digest of most of the cell's runs that are asked for, of equals the first one's; NULL: there are none.
static const char *usual_graph(const bl_study *study, int cell) {
    const char *usual = NULL;
    for (int r = 0; r < study->run_count; r++) {
        const bl_study_run *run = &study->runs[r];
        if (run->cell != cell || !is_asked_for(study, run)) continue;
        if (!usual || runs_with(study, cell, run->digest) > runs_with(study, cell, usual)) usual = run->digest;
    }
    return usual;
}

static void leave_out_what_cannot_be_averaged(bl_study *study) {
    for (int r = 0; r < study->run_count; r++) {
        bl_study_run *run = &study->runs[r];
        const char *usual = usual_graph(study, run->cell), *other_graph = NULL;
        if (usual && strcmp(run->digest, usual) != 0)
            other_graph = bl_arena_format(study->arena, "of another graph than the cell's other runs (digest %.12s, not %.12s)", run->digest, usual);
        const bl_collapse_row *last = bl_run_diagnosis(run);
        if (other_graph) leave_out(study, run, other_graph);
        else if (!is_asked_for(study, run)) run->left_out = "unfinished"; // it has a section of its own
        else if ((last && last->verdict == BL_DIVERGED) || (run->stopped && strcmp(run->stopped, bl_verdict_name(BL_DIVERGED)) == 0))
            leave_out(study, run, last ? bl_arena_format(study->arena, "diverged (step %" PRId64 ")", last->step) : "diverged");
    }
}

static bool is_seed_of(const bl_experiment *experiment, uint64_t seed) {
    for (int s = 0; s < experiment->seed_count; s++)
        if (experiment->seeds[s] == seed) return true;
    return false;
}

static int by_seed(const void *a, const void *b) {
    const uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;
    return (one > other) - (one < other);
}

// A line of `absent`: a report of some seeds alone must not look like one of all.
static void name_unasked_seeds(bl_study *study, const bl_cell *cell, const char *results_folder) {
    enum { MOST = 64 };
    uint64_t seeds[MOST], seed;
    int count = 0;
    const char *any = bl_run_path(study->arena, &(bl_run_key){study->experiment, cell, 0, results_folder});
    DIR *folder = opendir(bl_arena_format(study->arena, "%.*s", (int)(strrchr(any, '/') - any), any));
    if (!folder) return;
    for (const struct dirent *entry; count < MOST && (entry = readdir(folder));) {
        if (sscanf(entry->d_name, "seed-%" SCNu64, &seed) != 1 || is_seed_of(study->experiment, seed)) continue;
        const char *path = bl_run_path(study->arena, &(bl_run_key){study->experiment, cell, seed, results_folder});
        if (strcmp(strrchr(path, '/') + 1, entry->d_name) == 0) seeds[count++] = seed;
    }
    closedir(folder);
    if (!count) return;
    qsort(seeds, (size_t)count, sizeof *seeds, by_seed);
    bl_text list = {0};
    for (int i = 0; i < count; i++) bl_text_add(&list, "%s%" PRIu64, i ? ", " : "", seeds[i]);
    study->absent[study->absent_count++] = bl_arena_format(study->arena, "%s, seed%s %s: not asked for, though %s there", cell->name,
                                                           count > 1 ? "s" : "", list.chars, count > 1 ? "run files are" : "a run file is");
    bl_text_free(&list);
}

int bl_study_read(bl_study *study, const bl_experiment *experiment, const char *results_folder, bool counts_unfinished) {
    const size_t most = (size_t)experiment->cell_count * (size_t)experiment->seed_count;
    *study = (bl_study){.experiment = experiment, .arena = bl_arena_create(), .counts_unfinished = counts_unfinished};
    study->runs = bl_alloc(most * sizeof *study->runs);
    study->absent = bl_alloc((2 * most + (size_t)experiment->cell_count) * sizeof *study->absent);
    if (!study->runs || !study->absent) {
        bl_study_free(study);
        return BL_FAILED;
    }
    for (int c = 0; c < experiment->cell_count; c++)
        for (int s = 0; s < experiment->seed_count; s++) {
            const bl_cell *cell = &experiment->cells[c];
            const uint64_t seed = experiment->seeds[s];
            bl_study_run *run = &study->runs[study->run_count];
            *run = (bl_study_run){.cell = c, .seed = seed};
            take_in(study, cell, run, bl_run_path(study->arena, &(bl_run_key){experiment, cell, seed, results_folder}));
        }
    leave_out_what_cannot_be_averaged(study);
    for (int c = 0; c < experiment->cell_count; c++) name_unasked_seeds(study, &experiment->cells[c], results_folder);
    return BL_OK;
}

void bl_study_free(bl_study *study) {
    for (int i = 0; i < study->run_count; i++) free_run(&study->runs[i]);
    bl_free(study->runs);
    bl_free(study->absent);
    bl_arena_free(study->arena);
    *study = (bl_study){0};
}

// ---- what they say together ----

const bl_evaluation **bl_study_rows(const bl_study *study, int *count) {
    size_t most = 0;
    for (int c = 0; c < study->experiment->cell_count; c++) most += (size_t)study->experiment->cells[c].evaluation_count;
    const bl_evaluation **rows = bl_arena_take(study->arena, most * sizeof *rows);
    *count = 0;
    for (int c = 0; c < study->experiment->cell_count; c++) {
        const bl_cell *cell = &study->experiment->cells[c];
        for (int e = 0; e < cell->evaluation_count; e++) {
            int known = 0;
            while (known < *count && strcmp(rows[known]->row, cell->evaluations[e].row) != 0) known++;
            if (known == *count) rows[(*count)++] = &cell->evaluations[e];
        }
    }
    return rows;
}

const bl_evaluation *bl_cell_row(const bl_cell *cell, const char *row) {
    for (int e = 0; e < cell->evaluation_count; e++)
        if (strcmp(cell->evaluations[e].row, row) == 0) return &cell->evaluations[e];
    return NULL;
}

const char *bl_evaluation_arm(const bl_evaluation *row) { return row->fit.arm.name ? row->fit.arm.name : "pretrained"; }

static bool counts_for(const bl_study_run *run, int cell) { return run->cell == cell && !run->left_out; }

int bl_study_runs(const bl_study *study, int cell, int *mixed) {
    int count = 0, mixed_count = 0;
    for (int r = 0; r < study->run_count; r++) {
        if (!counts_for(&study->runs[r], cell)) continue;
        count++;
        mixed_count += study->runs[r].mixed;
    }
    if (mixed) *mixed = mixed_count;
    return count;
}

static int by_value(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

const int *bl_study_epochs(const bl_study *study, int cell, const char *row, int *count) {
    *count = 0;
    const bl_evaluation *own = bl_cell_row(&study->experiment->cells[cell], row);
    size_t most = 0;
    for (int r = 0; r < study->run_count; r++) most += (size_t)study->runs[r].history.measurement_count;
    int *epochs = bl_alloc(most * sizeof *epochs), found = 0;
    if (!epochs) bl_out_of_memory(); // as the arena does
    for (int r = 0; own && r < study->run_count; r++) {
        const bl_history *history = &study->runs[r].history;
        for (int64_t m = 0; counts_for(&study->runs[r], cell) && m < history->measurement_count; m++)
            if (strcmp(history->measurements[m].row, row) == 0 && strcmp(history->measurements[m].id, own->id) == 0)
                epochs[found++] = history->measurements[m].epoch;
    }
    qsort(epochs, (size_t)found, sizeof *epochs, by_value);
    for (int i = 0; i < found; i++)
        if (!i || epochs[i] != epochs[i - 1]) epochs[(*count)++] = epochs[i];
    int *kept = bl_arena_take(study->arena, (size_t)*count * sizeof *kept);
    if (*count) memcpy(kept, epochs, (size_t)*count * sizeof *kept);
    bl_free(epochs);
    return kept;
}

int bl_study_last_epoch(const bl_study *study, int cell, const char *row) {
    int count;
    const int *epochs = bl_study_epochs(study, cell, row, &count);
    return count ? epochs[count - 1] : -1;
}

static const bl_study_run *find_run(const bl_study *study, int cell, uint64_t seed) {
    for (int r = 0; r < study->run_count; r++)
        if (counts_for(&study->runs[r], cell) && study->runs[r].seed == seed) return &study->runs[r];
    return NULL;
}

bool bl_study_is_finished(const bl_study *study, int cell, uint64_t seed) {
    const bl_study_run *run = find_run(study, cell, seed);
    return run && run->is_finished;
}

const bl_measurement *bl_study_find(const bl_study *study, int cell, uint64_t seed, const char *row, int epoch) {
    const bl_study_run *run = find_run(study, cell, seed);
    const bl_evaluation *own = bl_cell_row(&study->experiment->cells[cell], row);
    return run && own ? bl_history_find(&run->history, row, own->id, epoch) : NULL;
}

const bl_look *bl_study_look(const bl_study *study, int cell, uint64_t seed, const char *row, bool best) {
    const bl_study_run *run = find_run(study, cell, seed);
    const bl_evaluation *own = bl_cell_row(&study->experiment->cells[cell], row);
    if (!run || !own) return NULL;
    if (!best) return bl_history_last_look(&run->history, row, own->id);
    return bl_history_looks(&run->history, row, own->id) > 1 ? bl_history_best_look(&run->history, row, own->id) : NULL;
}

typedef struct seed_values {
    double values[BL_MOST_SEEDS];
    int n, unfinished;
} seed_values;

static void add_value(seed_values *all, double value, bool is_finished) {
    all->values[all->n++] = value;
    all->unfinished += !is_finished;
}

static bl_estimate estimate_of(const seed_values *all) {
    bl_estimate estimate = bl_estimate_of(all->values, all->n);
    estimate.unfinished = all->unfinished;
    return estimate;
}

bl_estimate bl_study_value(const bl_study *study, int cell, const char *row, int epoch) {
    seed_values all = {0};
    for (int s = 0; s < study->experiment->seed_count; s++) {
        const uint64_t seed = study->experiment->seeds[s];
        const bl_measurement *measurement = bl_study_find(study, cell, seed, row, epoch);
        if (measurement) add_value(&all, measurement->value, bl_study_is_finished(study, cell, seed));
    }
    return estimate_of(&all);
}

static bool measured_later(const bl_study_run *run, const char *row, const char *id, int epoch) {
    for (int64_t m = 0; m < run->history.measurement_count; m++) {
        const bl_measurement *measurement = &run->history.measurements[m];
        if (measurement->epoch > epoch && strcmp(measurement->row, row) == 0 && strcmp(measurement->id, id) == 0) return true;
    }
    return false;
}

bl_estimate bl_study_end(const bl_study *study, int cell, const char *row, int epoch, const char **stopped) {
    seed_values all = {0};
    *stopped = NULL;
    for (int s = 0; s < study->experiment->seed_count; s++) {
        const bl_study_run *run = find_run(study, cell, study->experiment->seeds[s]);
        const bl_measurement *measurement = bl_study_find(study, cell, study->experiment->seeds[s], row, epoch);
        if (!measurement || measured_later(run, row, measurement->id, epoch)) continue;
        add_value(&all, measurement->value, run->is_finished);
        if (run->stopped) *stopped = run->stopped;
    }
    return estimate_of(&all);
}

bl_estimate bl_study_difference(const bl_study *study, int cell, int minus, const char *row, int epoch) {
    seed_values all = {0};
    for (int s = 0; s < study->experiment->seed_count; s++) {
        const uint64_t seed = study->experiment->seeds[s];
        const bl_measurement *one = bl_study_find(study, cell, seed, row, epoch), *other = bl_study_find(study, minus, seed, row, epoch);
        if (!one || !other) continue;
        add_value(&all, one->value - other->value, bl_study_is_finished(study, cell, seed) && bl_study_is_finished(study, minus, seed));
    }
    return estimate_of(&all);
}

bl_estimate bl_study_last_difference(const bl_study *study, int cell, int minus, const char *row, int *epoch) {
    int e;
    const int *epochs = bl_study_epochs(study, cell, row, &e);
    bl_estimate difference = {0};
    while (!difference.n && e-- > 0) difference = bl_study_difference(study, cell, minus, row, *epoch = epochs[e]);
    return difference;
}

bl_estimate bl_study_std_ratio(const bl_study *study, int cell) {
    seed_values all = {0};
    for (int s = 0; s < study->experiment->seed_count; s++) {
        const bl_study_run *run = find_run(study, cell, study->experiment->seeds[s]);
        if (!run) continue;
        const bl_collapse_row *last = bl_run_diagnosis(run);
        if (last) add_value(&all, last->std_ratio, run->is_finished);
        else if (bl_run_has_std(run)) add_value(&all, run->history.steps[run->history.step_count - 1].std_ratio, run->is_finished);
    }
    return estimate_of(&all);
}

// Its first step would have one of more than 0. Older files hold 0 where nothing was projected, younger ones NaN.
bool bl_run_has_std(const bl_study_run *run) { return run->history.step_count && run->history.steps[0].std > 0; }

const bl_collapse_row *bl_run_diagnosis(const bl_study_run *run) {
    return run->history.collapse_count ? &run->history.collapse[run->history.collapse_count - 1] : NULL;
}

int bl_study_verdicts(const bl_study *study, int cell, int counts[BL_VERDICTS]) {
    int sum = 0;
    memset(counts, 0, BL_VERDICTS * sizeof *counts);
    for (int r = 0; r < study->run_count; r++) {
        const bl_study_run *run = &study->runs[r];
        const bl_collapse_row *last = bl_run_diagnosis(run);
        if (run->cell != cell || !last || !is_asked_for(study, run) || (run->left_out && last->verdict != BL_DIVERGED)) continue;
        counts[last->verdict]++;
        sum++;
    }
    return sum;
}
