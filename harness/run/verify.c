#include "run/verify.h"

#include <inttypes.h>
#include <string.h>

#include "base/digest.h"
#include "base/file.h" // bl_file_exists
#include "base/threads.h"
#include "datasets/facts.h"
#include "record/identity.h" // bl_identity_check_data
#include "run/needed.h"      // bl_open_data, bl_same_data

typedef struct verification {
    const bl_experiment *experiment;
    const char *results_folder;
    bl_arena *arena;
    bl_text *said;
    bl_pool *pool;
    const bl_cell **cells; // whose data were read
    const char **lists;    // of their files, as read
    int count;             // of both
    int runs, changed;
} verification;

// ---- reading ----

static void say_what_was_read(verification *v, const bl_cell *cell, const char *list) {
    char digest[65];
    int64_t files = 0;
    for (const char *line = list; *line; line += strcspn(line, "\n"), line += *line != 0) files += *line != '#';
    bl_digest_hex(list, strlen(list), digest);
    bl_text_add(v->said, "%s in %s: %" PRId64 " file%s read, digest %.12s\n", cell->data.name, cell->data.root, files, bl_plural(files), digest);
}

// Cells that share their files are read once.
static int read_once(verification *v, const bl_cell *cell, const bl_dataset *dataset, const char **list) {
    bl_text text = {0};
    for (int i = 0; i < v->count; i++) {
        *list = v->lists[i];
        if (bl_same_data(v->cells[i], cell)) return BL_OK;
    }
    const int status = bl_dataset_read_files(dataset, v->pool, &text);
    if (!status) {
        *list = v->lists[v->count] = bl_arena_copy(v->arena, text.chars ? text.chars : "");
        v->cells[v->count++] = cell;
        say_what_was_read(v, cell, *list);
    }
    bl_text_free(&text);
    return status;
}

// ---- comparing ----

static int compare_contents(const bl_container_reader *reader, const char *list) {
    char *was;
    if (bl_container_get_text(reader, BL_DATA_CONTENTS, &was)) return BL_FAILED;
    const int status = bl_dataset_compare_read(was, list);
    bl_free(was);
    return status;
}

// Of scenes what the file does not have of their contents is compared by name, length and checksums alone; of images it has all.
static int compare(const bl_container_reader *reader, const char *path, const bl_identity *now, const char *list, const char **how) {
    const bool has_contents = bl_container_has(reader, BL_DATA_CONTENTS);
    *how = has_contents || !bl_dataset_is_decoded(now->dataset)
               ? "as it was"
               : "names, lengths and checksums are as they were; what is in the files it has no digests of";
    return bl_identity_check_data(now, reader, path) || (has_contents && compare_contents(reader, list)) ? BL_FAILED : BL_OK;
}

static void verify_run(verification *v, const bl_run_key *key, const bl_identity *now, const char *list) {
    const char *path = bl_run_path(v->arena, key), *how;
    bl_container_reader *reader = NULL;
    if (!bl_file_exists(path)) path = bl_run_beside(v->arena, path, ".ckpt");
    if (!bl_file_exists(path)) return;
    v->runs++;
    bl_text_add(v->said, "%s/%" PRIu64 ": ", key->cell->name, key->seed);
    const bool is_alike = !bl_container_reader_open(&reader, path) && !compare(reader, path, now, list, &how);
    v->changed += !is_alike;
    bl_text_add(v->said, "%s\n", is_alike ? how : bl_error());
    bl_container_reader_close(reader);
}

static int verify_cell(verification *v, const bl_cell *cell) {
    const char *list = NULL;
    bl_dataset *dataset = NULL;
    if (bl_dataset_facts_of(cell->data.name)->is_drawn) {
        bl_text_add(v->said, "%s: %s is drawn: there are no files\n", cell->name, cell->data.name);
        return BL_OK;
    }
    const int status = bl_open_data(cell, &dataset) || read_once(v, cell, dataset, &list) ? BL_FAILED : BL_OK;
    bl_identity now = {.dataset = dataset};
    if (!status) bl_dataset_digest(dataset, now.dataset_digest);
    for (int k = 0; k < v->experiment->seed_count && !status; k++)
        verify_run(v, &(bl_run_key){v->experiment, cell, v->experiment->seeds[k], v->results_folder}, &now, list);
    bl_dataset_close(dataset);
    return status;
}

int bl_data_verify(const bl_experiment *experiment, const bl_cell *only, const char *results_folder, bl_text *said) {
    verification v = {.experiment = experiment, .results_folder = results_folder, .arena = bl_arena_create(), .said = said};
    v.cells = bl_arena_take(v.arena, (size_t)experiment->cell_count * sizeof *v.cells);
    v.lists = bl_arena_take(v.arena, (size_t)experiment->cell_count * sizeof *v.lists);
    int status = bl_pool_create(&v.pool, experiment->machine.loader_threads);
    for (int c = 0; c < experiment->cell_count && !status; c++)
        if (!only || only == &experiment->cells[c]) status = verify_cell(&v, &experiment->cells[c]);
    bl_pool_free(v.pool);
    if (!status && !v.runs) bl_text_add(said, "no run of %s is there to compare them with\n", experiment->study);
    if (!status && v.changed) status = bl_fail("%d of %d runs were made from other data than are there now, or cannot be read", v.changed, v.runs);
    bl_arena_free(v.arena);
    return status;
}
