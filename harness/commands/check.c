#include <stdio.h>
#include <string.h>

#include "backends/backend.h"
#include "commands/command.h"
#include "run/cell.h"     // bl_cell_steps, bl_cell_warn
#include "run/evaluate.h" // bl_arms_are_there

static void print_machine(void) {
    for (const char *const *name = bl_backend_known(); *name; name++) {
        bl_backend *backend;
        bl_text text = {0};
        const bl_backend_options options = {.threads = 1, .isa = ""};
        if (!bl_backend_present(*name)) {
            printf("%s: not built\n", *name);
            continue;
        }
        if (bl_backend_open(&backend, *name, &options)) {
            printf("%s: not usable here: %s\n", *name, bl_error());
            continue;
        }
        backend->table->describe(backend, &text);
        printf("%s:\n", *name);
        for (char *line = strtok(text.chars, "\n"); line; line = strtok(NULL, "\n")) printf("  %s\n", line);
        bl_text_free(&text);
        bl_backend_close(backend);
    }
}

static void print_cell(const bl_cell *cell) {
    bl_text warnings = {0};
    printf("  %-24s ", cell->name);
    if (cell->train.steps)
        printf("%lld step%s", (long long)cell->train.steps, bl_plural(cell->train.steps));
    else
        printf("%d epoch%s", cell->train.epochs, bl_plural(cell->train.epochs));
    printf(", batch %d, %d evaluation row%s, recipe %.12s\n", cell->train.batch, cell->evaluation_count, bl_plural(cell->evaluation_count),
           cell->train_id);
    bl_cell_warn(cell, &warnings);
    for (char *line = warnings.size ? strtok(warnings.chars, "\n") : NULL; line; line = strtok(NULL, "\n")) printf("    warning: %s\n", line);
    bl_text_free(&warnings);
}

static int run(int argc, char **argv) {
    bl_arguments arguments;
    bl_experiment *experiment = NULL;
    const bl_cell *cell;
    if (bl_arguments_parse(&arguments, argc, argv, bl_command_check.options)) return BL_FAILED;
    if (bl_arguments_option(&arguments, "schema", NULL)) {
        bl_text text = {0};
        bl_schema_print(&text);
        fputs(text.chars, stdout);
        bl_text_free(&text);
        return BL_OK;
    }
    if (bl_arguments_option(&arguments, "machine", NULL)) return print_machine(), BL_OK;
    if (bl_arguments_read(&arguments, &experiment)) return BL_FAILED;
    int status = bl_arguments_cell(&arguments, experiment, &cell);
    if (!status && bl_arguments_option(&arguments, "resolved", NULL)) {
        fputs(cell->resolved, stdout);
    } else if (!status) {
        printf("%s: study %s, %d cell%s x %d seed%s, backend %s\n", experiment->path, experiment->study, experiment->cell_count,
               bl_plural(experiment->cell_count), experiment->seed_count, bl_plural(experiment->seed_count), experiment->machine.backend);
        for (int i = 0; i < experiment->cell_count; i++) print_cell(&experiment->cells[i]);
        for (int i = 0; i < experiment->skipped_count; i++) printf("  left out: %s\n", experiment->skipped[i]);
        for (int i = 0; !status && i < experiment->cell_count; i++) status = bl_arms_are_there(&experiment->cells[i]);
    }
    bl_experiment_free(experiment);
    return status;
}

const bl_command bl_command_check = {
        "check", "read an experiment file and say what it asks for, or what is wrong with it",
        "byolab check FILE [options]     cells, seeds and recipes of the study; nothing runs\n"
        "byolab check FILE --resolved    one cell with every key, defaults included\n"
        "byolab check --schema           every key: type, default, range, meaning\n"
        "byolab check --machine          the backends, and what this machine can use of them\n\n",
        BL_COMMON_OPTIONS " schema! machine! resolved!", run};
