// An experiment file, as every command reads it. "#set KEY=VALUE" as its first line is an override beside it.

#include "experiment/cell.h"
#include "experiment/experiment.h"
#include "experiment/yaml.h"
#include "rig.h"

static void look_at(const bl_experiment *experiment) {
    bl_text warnings = {0};
    for (int c = 0; c < experiment->cell_count; c++) {
        bl_cell_warn(&experiment->cells[c], &warnings);
        if (!*experiment->cells[c].resolved || strlen(experiment->cells[c].train_id) != 64) abort();
    }
    bl_text_free(&warnings);
}

// What a cell resolves to is a file that resolves to the same.
static void read_again(const bl_experiment *experiment) {
    const char *resolved = experiment->cells[0].resolved;
    bl_experiment *again;
    const char *path = bl_fuzz_file("again.yaml", (const uint8_t *)resolved, strlen(resolved));
    if (bl_experiment_read_elsewhere(&again, path, NULL, 0)) return; // a value that only its cell may have
    if (strcmp(again->cells[0].train_id, experiment->cells[0].train_id) != 0) abort();
    bl_experiment_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    bl_experiment *experiment;
    bl_override override = {0};
    char line[256] = "";
    const size_t length = size < sizeof line - 1 ? size : sizeof line - 1;
    memcpy(line, data, length);
    line[strcspn(line, "\n")] = 0;
    if (!strncmp(line, "#set ", 5) && strchr(line, '=')) {
        char *equals = strchr(line, '=');
        *equals = 0;
        override = (bl_override){line + 5, equals + 1};
    }
    const char *path = bl_fuzz_file("input.yaml", data, size);
    if (FUZZ(bl_experiment_read_elsewhere(&experiment, path, &override, override.key != NULL))) {
        look_at(experiment);
        read_again(experiment);
        bl_experiment_free(experiment);
    }
    bl_arena *arena = bl_arena_create();
    bl_value *value;
    const bl_source source = {.name = "input.json"};
    if (FUZZ(bl_json_parse(arena, &source, (const char *)data, size, &value)) && !value) abort();
    bl_arena_free(arena);
    return 0;
}
