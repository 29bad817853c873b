#include "run/sweep.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/stop.h"
#include "protocols/arms.h"      // bl_arms_renew
#include "protocols/evaluate.h"  // bl_is_measured
#include "record/container.h"    // bl_container_reader
#include "record/history_file.h" // bl_history_get
#include "record/recipe.h"       // bl_recipe_compare
#include "record/standing.h"
#include "run/checkpoint.h"      // bl_run_file_epoch
#include "run/longer.h"
#include "run/needed.h"

int bl_shard_read(bl_shard *shard, const char *text) {
    char *end;
    long index = strtol(text, &end, 10), count = 0;
    bool is_whole = end != text && *end == '/';
    if (is_whole) {
        const char *second = end + 1;
        count = strtol(second, &end, 10);
        is_whole = end != second && !*end;
    }
    if (!is_whole) return bl_fail("--shard %s: write i/n, the i-th of n parts, for example --shard 1/4", text);
    if (count < 1 || count > 1000000) return bl_fail("--shard %s: a study is cut into 1 to 1000000 parts", text);
    if (index < 1 || index > count) return bl_fail("--shard %s: parts are counted from 1 to %ld", text, count);
    *shard = (bl_shard){(int)index, (int)count};
    return BL_OK;
}

// ---- the list ----

typedef enum outcome { TO_DO, DONE, FAILED, BUSY } outcome;

typedef struct sweep_run {
    const bl_cell *cell;
    uint64_t seed;
    const char *path;        // of the run file
    const char *marker;      // path of seed-<k>.<backend>.failed
    struct timespec failure; // the marker's time when the sweep began; 0: there was none
    outcome outcome;
} sweep_run;

typedef struct sweep {
    const bl_sweep_request *request;
    bl_arena *arena;
    sweep_run *runs;
    int count;
    bool is_busy;            // the run in hand
    const char *first;       // failure's message
} sweep;

static struct timespec time_of(const char *path) {
    struct stat facts;
    return stat(path, &facts) ? (struct timespec){0} : facts.st_mtim;
}

static void list_runs(sweep *s) {
    const bl_sweep_request *request = s->request;
    const bl_experiment *experiment = request->experiment;
    s->runs = bl_arena_take(s->arena, (size_t)experiment->cell_count * (size_t)experiment->seed_count * sizeof *s->runs);
    int number = 0;
    for (int c = 0; c < experiment->cell_count; c++) {
        const bl_cell *cell = &experiment->cells[c];
        if (request->cell && request->cell != cell) continue;
        for (int k = 0; k < experiment->seed_count; k++) {
            if (number++ % request->shard.count != request->shard.index - 1) continue;
            const char *path = bl_run_path(s->arena, &(bl_run_key){experiment, cell, experiment->seeds[k], request->results_folder});
            const char *marker = bl_run_beside(s->arena, path, ".failed");
            s->runs[s->count++] = (sweep_run){.cell = cell, .seed = experiment->seeds[k], .path = path, .marker = marker,
                                              .failure = time_of(marker)};
        }
    }
}

// Of a run file or a checkpoint that is there: FINISHED, which says no more than that it is whole and of the cell's recipe, FAILED or
// OTHER_RECIPE, of which the error says why.
static bl_run_state state_of_file(const bl_cell *cell, const char *path) {
    bl_container_reader *reader = NULL;
    bl_text difference = {0};
    bool same, longer;
    bl_run_state state = BL_RUN_FAILED;
    if (bl_container_reader_open(&reader, path) || bl_recipe_compare(reader, cell, &same, &longer, &difference)) goto done;
    state = same ? BL_RUN_FINISHED : BL_RUN_OTHER_RECIPE;
    if (!same && bl_fail("%s: made by another recipe than the file now holds: %s", path, difference.chars)) goto done;
done:
    bl_text_free(&difference);
    bl_container_reader_close(reader);
    return state;
}

// "lacks knn/k5/test and 2 more rows": of a finished run's file of this recipe, to which rows can be added; NULL: it has them all. Where it
// cannot be read *state says so, and why is what is returned.
static const char *lacking_rows(bl_arena *arena, const bl_cell *cell, const char *path, bl_run_state *state) {
    bl_container_reader *reader = NULL;
    bl_history history = {0};
    int epoch, count = 0;
    const char *first = NULL, *damage = NULL;
    char *ended = NULL; // a report asks for it
    if (bl_container_reader_open(&reader, path) || bl_container_get_text(reader, "/manifest/status", &ended) || bl_history_get(&history, reader) ||
        bl_history_check(&history, reader, cell->train.epochs, 0) || bl_arms_renew(cell, &history, NULL) || bl_run_file_epoch(reader, cell, &epoch)) {
        damage = bl_arena_copy(arena, bl_error());
        *state = BL_RUN_FAILED;
        goto done;
    }
    for (int i = 0; i < cell->evaluation_count; i++) {
        if (bl_is_measured(&cell->evaluations[i], epoch, &history)) continue;
        if (!count++) first = cell->evaluations[i].row;
    }
done:
    bl_free(ended);
    bl_history_free(&history);
    bl_container_reader_close(reader);
    if (damage) return damage;
    if (count < 2) return count ? bl_arena_format(arena, "lacks %s; `byolab eval` adds it", first) : NULL;
    return bl_arena_format(arena, "lacks %s and %d more row%s; `byolab eval` adds them", first, count - 1, bl_plural(count - 1));
}

// ---- doing them ----

static void pass_on(void *context, const bl_event *event) {
    sweep *s = context;
    if (event->kind == BL_EVENT_BUSY) s->is_busy = true;
    if (s->request->sink.event) s->request->sink.event(s->request->sink.context, event);
}

static void fail_run(sweep *s, sweep_run *run, const char *message) {
    run->outcome = FAILED;
    if (!s->first) s->first = bl_arena_copy(s->arena, message);
    if (s->request->failed) s->request->failed(s->request->sink.context, run->cell, run->seed, message);
}

// Whether another process has seen the run failing since the sweep began. It is told as that process told it.
static bool failed_elsewhere(sweep *s, sweep_run *run) {
    const struct timespec now = time_of(run->marker);
    void *message;
    size_t bytes;
    if (s->request->evaluate_only || !(now.tv_sec || now.tv_nsec)) return false;
    if (now.tv_sec == run->failure.tv_sec && now.tv_nsec == run->failure.tv_nsec) return false;
    if (bl_read_file(run->marker, &message, &bytes)) return false; // gone: whoever repeated it succeeded
    fail_run(s, run, message);
    bl_free(message);
    return true;
}

static void do_run(sweep *s, sweep_run *run) {
    const bl_sweep_request *request = s->request;
    if (failed_elsewhere(s, run)) return;
    s->is_busy = false;
    const bl_run_request one = {.key = {request->experiment, run->cell, run->seed, request->results_folder},
                                .stop_after_epoch = request->stop_after_epoch,
                                .evaluate_only = request->evaluate_only, .sink = {pass_on, s}};
    if (bl_run(&one) == BL_OK) {
        run->outcome = s->is_busy ? BUSY : DONE;
        if (run->outcome == DONE) unlink(run->marker);
        return;
    }
    if (bl_stopped()) return; // to do, as before
    const char *message = bl_arena_copy(s->arena, bl_error());
    fail_run(s, run, message);
    // A run that cannot be evaluated because it is not finished has not failed; nor has the finished one of another recipe. Where
    // no marker can be written (a full disk, a folder that may not be changed) that is likely what the message says, and it is told
    // in any case.
    if (request->evaluate_only || (bl_file_exists(run->path) && state_of_file(run->cell, run->path) == BL_RUN_OTHER_RECIPE)) return;
    if (bl_atomic_write(run->marker, message, strlen(message))) return;
}

bool bl_sweep_is_finished(const bl_sweep_request *request) {
    sweep s = {.request = request, .arena = bl_arena_create()};
    bool finished = true;
    list_runs(&s);
    for (int k = 0; finished && k < s.count; k++)
        finished = bl_run_is_finished(&(bl_run_request){.key = {request->experiment, s.runs[k].cell, s.runs[k].seed, request->results_folder}});
    bl_arena_free(s.arena);
    return finished;
}

static int count_of(const sweep *s, outcome what) {
    int count = 0;
    for (int k = 0; k < s->count; k++) count += s->runs[k].outcome == what;
    return count;
}

static int conclude(const sweep *s) {
    const int failed = count_of(s, FAILED), busy = count_of(s, BUSY);
    if (!failed && !busy) return BL_OK;
    bl_text message = {0};
    if (failed) bl_text_add(&message, "%d of %d runs failed; the first: %s", failed, s->count, s->first);
    if (busy) {
        bl_text_add(&message, "%s%d of %d runs %s being done by other processes:", failed ? "; " : "", busy, s->count,
                    busy == 1 ? "is" : "are");
        const char *separator = " ";
        for (int k = 0; k < s->count; k++) {
            if (s->runs[k].outcome != BUSY) continue;
            bl_text_add(&message, "%s%s/%" PRIu64, separator, s->runs[k].cell->name, s->runs[k].seed);
            separator = ", ";
        }
    }
    const int status = bl_fail("%s", message.chars);
    bl_text_free(&message);
    return status;
}

// A run without a run file needs all that its cell does; one that has it may only lack rows, or nothing.
static bool is_needing(const sweep *s, const sweep_run *run) {
    if (!bl_file_exists(run->path)) return !s->request->evaluate_only;
    return !bl_run_is_finished(&(bl_run_request){.key = {s->request->experiment, run->cell, run->seed, s->request->results_folder}});
}

// Of a cell, whose first run is runs[first]. The error says what is not there.
static bool is_lacking(const sweep *s, int first) {
    bl_text message = {0};
    bool is_needed = false;
    bl_text_add(&message, "%s", bl_error());
    for (int k = first; !is_needed && k < s->count && s->runs[k].cell == s->runs[first].cell; k++) is_needed = is_needing(s, &s->runs[k]);
    const bool lacks = is_needed && bl_error_set(message.chars, bl_error_origin());
    bl_text_free(&message);
    return lacks;
}

// What is not there is said once, before hours are spent on other runs. Data that several cells share are looked at once.
static int look_for_files(const sweep *s) {
    const bl_cell **found = bl_arena_take(s->arena, (size_t)(s->count + 1) * sizeof *found);
    int count = 0;
    for (int k = 0; k < s->count; k++) {
        const bl_cell *cell = s->runs[k].cell;
        if (k && s->runs[k - 1].cell == cell) continue;
        bool is_found = false;
        for (int i = 0; !is_found && i < count; i++) is_found = bl_same_data(found[i], cell);
        if ((bl_weights_are_there(cell) || (!is_found && bl_data_are_there(cell))) && is_lacking(s, k)) return BL_FAILED;
        if (!is_found) found[count++] = cell;
    }
    return BL_OK;
}

// Said once, as missing data are. Nothing is written to see it.
static int look_at_results(const sweep *s) {
    const char *folder = bl_arena_format(s->arena, "%s/%s", s->request->results_folder, s->request->experiment->study);
    if (!s->count || s->request->evaluate_only) return BL_OK;
    if (bl_make_folders(folder)) return BL_FAILED;
    return access(folder, W_OK | X_OK) ? bl_fail("%s: no run can be written there: %s; --results names another folder", folder, strerror(errno)) : BL_OK;
}

int bl_sweep(const bl_sweep_request *request) {
    sweep s = {.request = request, .arena = bl_arena_create()};
    list_runs(&s);
    if (look_for_files(&s) || look_at_results(&s)) {
        bl_arena_free(s.arena);
        return BL_FAILED;
    }
    for (int pass = 0; pass < 2; pass++) // the second: whoever was at a run may be done with it, or gone
        for (int k = 0; k < s.count && !bl_stop_asked(); k++)
            if (s.runs[k].outcome == (pass ? BUSY : TO_DO)) do_run(&s, &s.runs[k]);
    const int status = count_of(&s, TO_DO) ? bl_stop_here() : conclude(&s);
    bl_arena_free(s.arena);
    return status;
}

// ---- where they stand ----

const char *bl_run_state_name(bl_run_state state) {
    static const char *const names[BL_RUN_STATES] = {"finished", "running", "failed", "other recipe", "interrupted", "missing"};
    return names[state];
}

// Whether the run of a file of another recipe goes on: from the checkpoint that it has left since, or from the one that was kept of it.
static bool goes_on(bl_arena *arena, const bl_run_key *key, const char *path, const char **how) {
    bl_container_reader *reader = NULL;
    const char *kept, *checkpoint = bl_run_beside(arena, path, ".ckpt");
    int epochs;
    bool does = false;
    if (bl_container_reader_open(&reader, path) || bl_longer(arena, key, reader, path, &kept, &epochs)) goto done;
    does = !bl_file_exists(checkpoint) || state_of_file(key->cell, checkpoint) == BL_RUN_FINISHED;
    if (!bl_file_exists(checkpoint)) *how = bl_arena_format(arena, "finished with %d epochs; it goes on to %d", epochs, key->cell->train.epochs);
done:
    bl_container_reader_close(reader);
    return does;
}

int bl_run_state_of(bl_arena *arena, const bl_experiment *experiment, const bl_cell *cell, uint64_t seed, const char *results_folder,
                    bl_run_state *state, const char **why) {
    const bl_run_key key = {experiment, cell, seed, results_folder};
    const char *path = bl_run_path(arena, &key), *marker = bl_run_beside(arena, path, ".failed"), *checkpoint = bl_run_beside(arena, path, ".ckpt");
    bool running = false;
    void *message;
    size_t bytes;
    *why = NULL;
    if (!experiment->machine.without_locks && bl_lock_is_held(bl_arena_format(arena, "%s.lock", path), &running)) return BL_FAILED;
    if (running) *state = BL_RUN_RUNNING;
    else if (bl_file_exists(path)) {
        *state = state_of_file(cell, path);
        *why = *state == BL_RUN_FINISHED ? lacking_rows(arena, cell, path, state) : bl_arena_copy(arena, bl_error());
        const char *how = NULL;
        if (*state == BL_RUN_OTHER_RECIPE && goes_on(arena, &key, path, &how)) {
            *state = BL_RUN_INTERRUPTED;
            *why = how;
        }
    } else if (bl_file_exists(marker) && bl_read_file(marker, &message, &bytes) == BL_OK) {
        *state = BL_RUN_FAILED;
        *why = bl_arena_copy(arena, message);
        bl_free(message);
    } else if (bl_file_exists(checkpoint)) {
        *state = state_of_file(cell, checkpoint);
        if (*state != BL_RUN_FINISHED) *why = bl_arena_copy(arena, bl_error());
        else *state = BL_RUN_INTERRUPTED;
    } else
        *state = BL_RUN_MISSING;
    return BL_OK;
}

// "interrupted: crossed/0: step 4000 of 19500, epoch 20 of 100, healthy"
static void add_standing(bl_text *text, bl_arena *arena, bl_run_state state, const bl_cell *cell, uint64_t seed, const char *path) {
    bl_standing standing;
    const char *checkpoint = bl_run_beside(arena, path, ".ckpt");
    const bool is_begun = bl_file_exists(checkpoint);
    if ((state != BL_RUN_RUNNING && state != BL_RUN_INTERRUPTED) || (bl_file_exists(path) && !is_begun)) return; // evaluated, or not begun
    bl_text_add(text, "%s: %s/%" PRIu64 ": ", bl_run_state_name(state), cell->name, seed);
    if (!is_begun) bl_text_add(text, "no checkpoint yet");
    else if (bl_standing_peek(&standing, checkpoint, cell)) bl_text_add(text, "%s", bl_error());
    else bl_standing_print(&standing, text);
    bl_text_add(text, "\n");
}

int bl_sweep_table(const bl_experiment *experiment, const char *results_folder, bl_text *text) {
    bl_arena *arena = bl_arena_create();
    bl_text table = {0}, failures = {0}, under_way = {0};
    int status = BL_FAILED, sums[BL_RUN_STATES] = {0}, width = 4;
    for (int c = 0; c < experiment->cell_count; c++)
        if ((int)strlen(experiment->cells[c].name) > width) width = (int)strlen(experiment->cells[c].name);
    bl_text_add(&table, "%-*s", width, "cell");
    for (int state = 0; state < BL_RUN_STATES; state++) bl_text_add(&table, "  %s", bl_run_state_name((bl_run_state)state));
    bl_text_add(&table, "\n");
    for (int c = 0; c < experiment->cell_count; c++) {
        int counts[BL_RUN_STATES] = {0};
        for (int k = 0; k < experiment->seed_count; k++) {
            bl_run_state state;
            const char *why;
            if (bl_run_state_of(arena, experiment, &experiment->cells[c], experiment->seeds[k], results_folder, &state, &why)) goto done;
            counts[state]++;
            sums[state]++;
            add_standing(&under_way, arena, state, &experiment->cells[c], experiment->seeds[k],
                         bl_run_path(arena, &(bl_run_key){experiment, &experiment->cells[c], experiment->seeds[k], results_folder}));
            if (why)
                bl_text_add(&failures, "%s: %s/%" PRIu64 ": %s\n", bl_run_state_name(state), experiment->cells[c].name, experiment->seeds[k],
                            why);
        }
        bl_text_add(&table, "%-*s", width, experiment->cells[c].name);
        for (int state = 0; state < BL_RUN_STATES; state++)
            bl_text_add(&table, "  %*d", (int)strlen(bl_run_state_name((bl_run_state)state)), counts[state]);
        bl_text_add(&table, "\n");
    }
    const int all = experiment->cell_count * experiment->seed_count;
    if (sums[BL_RUN_FINISHED] == all) bl_text_add(text, "Runs:      %d finished\n", all);
    else bl_text_add(text, "%s", table.chars);
    bl_text_add(text, "%s%s", failures.chars ? failures.chars : "", under_way.chars ? under_way.chars : "");
    for (int i = 0; i < experiment->skipped_count; i++) bl_text_add(text, "Left out:  %s\n", experiment->skipped[i]);
    status = BL_OK;
done:
    bl_text_free(&table);
    bl_text_free(&failures);
    bl_text_free(&under_way);
    bl_arena_free(arena);
    return status;
}
