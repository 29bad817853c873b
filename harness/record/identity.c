#include "record/identity.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"   // bl_digest_hex
#include "base/host.h"     // bl_host_cpu, bl_host_flags
#include "record/recipe.h" // bl_recipe_compare

void bl_run_id(const bl_cell *cell, uint64_t seed, char out[65]) {
    char text[128];
    const int size = snprintf(text, sizeof text, "%s %" PRIu64, cell->train_id, seed);
    bl_digest_hex(text, (size_t)size, out);
}

#define PROCESSOR "cpu: " // begins the machine's last lines

void bl_identity_of(bl_identity *identity, bl_arena *arena, const bl_run_key *key, const bl_backend *backend,
                    const bl_dataset *dataset) {
    char id[65], cpu[128], flags[512];
    bl_text machine = {0};
    bl_run_id(key->cell, key->seed, id);
    *identity = (bl_identity){.run_id = bl_arena_copy(arena, id)};
    backend->table->describe(backend, &machine);
    bl_host_cpu(cpu, sizeof cpu);
    bl_host_flags(flags, sizeof flags);
    bl_text_add(&machine, "host_isa: " BYOLAB_ISA "\n" PROCESSOR "%s\ncpu flags: %s\n", cpu, flags);
    identity->machine = bl_arena_copy(arena, machine.chars);
    bl_text_free(&machine);
    bl_dataset_digest(dataset, identity->dataset_digest);
    identity->dataset = dataset;
}

#define CHOICES "/host/choices"

// Nothing where the backend has no choices of its own.
static int put_choices(const bl_identity *identity, const bl_backend *backend, bl_container_writer *writer) {
    bl_text text = {0};
    if (!identity->choices) bl_backend_choices(backend, &text);
    const char *choices = identity->choices ? identity->choices : text.size ? text.chars : "";
    const int status = *choices ? bl_container_put_text(writer, CHOICES, choices) : BL_OK;
    bl_text_free(&text);
    return status;
}

// Nothing of what is drawn, but for scenes.
static int put_data(const bl_identity *identity, const bl_cell *cell, bl_container_writer *writer) {
    bl_text contents = {0};
    int status = BL_OK;
    if (!identity->dataset) return BL_OK;
    const char *files = bl_dataset_files(identity->dataset);
    char *root = cell->data.root ? realpath(cell->data.root, NULL) : NULL;
    bl_dataset_contents(identity->dataset, &contents);
    if (*files) status = bl_container_put_text(writer, BL_DATA_FILES, files);
    if (!status && contents.size) status = bl_container_put_text(writer, BL_DATA_CONTENTS, contents.chars);
    if (!status && *files && root) status = bl_container_put_text(writer, BL_DATA_ROOT, root);
    free(root);
    bl_text_free(&contents);
    return status;
}

int bl_identity_recall(bl_backend *backend, const bl_container_reader *reader) {
    char *choices;
    if (!bl_container_has(reader, CHOICES)) return BL_OK;
    if (bl_container_get_text(reader, CHOICES, &choices)) return BL_FAILED;
    const int status = bl_backend_recall(backend, choices);
    bl_free(choices);
    return status;
}

int bl_identity_put(const bl_identity *identity, const bl_run_key *key, const bl_backend *backend, const char *graph_digest,
                    const char *status,
                    bl_container_writer *writer) {
    const bl_experiment *experiment = key->experiment;
    const int64_t seed = (int64_t)key->seed;
    const struct {
        const char *path, *text;
    } rows[] = {
            {"/manifest/status", status},
            {"/manifest/study", experiment->study},
            {"/manifest/cell", key->cell->name},
            {"/manifest/backend", experiment->machine.backend},
            {"/manifest/run_id", identity->run_id},
            {"/manifest/train_id", key->cell->train_id},
            {"/manifest/graph_digest", identity->graph_digest ? identity->graph_digest : graph_digest},
            {"/manifest/dataset_digest", identity->dataset_digest},
            {"/manifest/resolved", key->cell->resolved},
            {"/manifest/version", identity->version ? identity->version : BYOLAB_VERSION},
            {"/host/machine", identity->machine},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (bl_container_put_text(writer, rows[i].path, rows[i].text)) return BL_FAILED;
    if (put_choices(identity, backend, writer) || put_data(identity, key->cell, writer)) return BL_FAILED;
    return bl_container_put_i64(writer, "/manifest/seed", &seed, (int64_t[]){1}, 1);
}

int bl_identity_check(const bl_run_key *key, const bl_container_reader *reader, const char *path) {
    char *theirs = NULL, ours[65];
    bl_text difference = {0};
    bool same, longer;
    int status = BL_FAILED;
    bl_run_id(key->cell, key->seed, ours);
    if (bl_container_get_text(reader, "/manifest/run_id", &theirs)) goto done;
    status = strcmp(theirs, ours) == 0 ? BL_OK : bl_recipe_compare(reader, key->cell, &same, &longer, &difference);
    if (status || strcmp(theirs, ours) == 0) goto done;
    if (same) status = bl_fail("%s: the file of another seed than its name says; give it back its name", path);
    else
        status = bl_fail("%s: this run was made by another recipe: %s\n  move the file away, choose another folder by --results, or give the "
                         "experiment another name; a fit can start from its weights: finetune: {arms: {earlier: {run: %s}}}",
                         path, difference.chars, path);
done:
    bl_text_free(&difference);
    bl_free(theirs);
    return status;
}

static int check_text(const bl_identity *identity, const bl_container_reader *reader, const char *path, bool of_contents) {
    char *list;
    int64_t unknown = 0; // will be known once it is read
    if (!bl_container_has(reader, path)) return BL_OK;
    if (bl_container_get_text(reader, path, &list)) return BL_FAILED;
    const int status = of_contents ? bl_dataset_compare_contents(identity->dataset, list, &unknown) : bl_dataset_compare(identity->dataset, list);
    bl_free(list);
    return status;
}

// Of scenes the digest of the whole differs where sets with labels came or went.
int bl_identity_check_data(const bl_identity *identity, const bl_container_reader *reader, const char *path) {
    char *digest;
    if (check_text(identity, reader, BL_DATA_FILES, false) || check_text(identity, reader, BL_DATA_CONTENTS, true)) return BL_FAILED;
    if (bl_container_has(reader, BL_DATA_FILES) && bl_dataset_is_decoded(identity->dataset)) return BL_OK;
    if (bl_container_get_text(reader, "/manifest/dataset_digest", &digest)) return BL_FAILED;
    const bool same = !strcmp(digest, identity->dataset_digest);
    const int status = same ? BL_OK
                            : bl_fail("%s: it was made from other images or labels than `data` now gives (digest %.12s, not %.12s); "
                                      "bring those back, or move the file away to start again",
                                      path, digest, identity->dataset_digest);
    bl_free(digest);
    return status;
}

static int keep_text(const char **kept, bl_arena *arena, const bl_container_reader *reader, const char *path) {
    char *text;
    if (bl_container_get_text(reader, path, &text)) return BL_FAILED;
    *kept = bl_arena_copy(arena, text);
    bl_free(text);
    return BL_OK;
}

int bl_identity_keep(bl_identity *identity, bl_arena *arena, const bl_container_reader *reader) {
    if (keep_text(&identity->graph_digest, arena, reader, "/manifest/graph_digest") ||
        keep_text(&identity->version, arena, reader, "/manifest/version"))
        return BL_FAILED;
    identity->choices = "";
    if (bl_container_has(reader, CHOICES) && keep_text(&identity->choices, arena, reader, CHOICES)) return BL_FAILED;
    return keep_text(&identity->machine, arena, reader, "/host/machine");
}

// What is said of the processor; "" in files of earlier versions.
static const char *processor_in(const char *machine) {
    const char *line = strstr(machine, "\n" PROCESSOR);
    return line ? line + 1 : machine + strlen(machine);
}

// A GPU's results do not depend on the processor beside it; where none is named nothing is known against it.
static bool is_same_machine(const char *a, const char *b) {
    const char *a_processor = processor_in(a), *b_processor = processor_in(b);
    if (a_processor - a != b_processor - b || memcmp(a, b, (size_t)(a_processor - a)) != 0) return false;
    return strstr(a, "\ndevice: ") || !*a_processor || !*b_processor || !strcmp(a_processor, b_processor);
}

int bl_identity_same_machine(const char *machine, const bl_container_reader *reader, bool *same) {
    char *theirs;
    if (bl_container_get_text(reader, "/host/machine", &theirs)) return BL_FAILED;
    *same = is_same_machine(machine, theirs);
    bl_free(theirs);
    return BL_OK;
}
