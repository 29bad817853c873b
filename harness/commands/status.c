#include <stdio.h>

#include "base/file.h" // bl_file_exists
#include "commands/command.h"
#include "record/neighbours.h"
#include "run/sweep.h"

static int run(int argc, char **argv) {
    bl_arguments arguments;
    bl_experiment *experiment = NULL;
    bl_text table = {0};
    if (bl_arguments_parse(&arguments, argc, argv, bl_command_status.options) || bl_arguments_read_elsewhere(&arguments, &experiment)) return BL_FAILED;
    const int status = bl_sweep_table(experiment, arguments.results, &table);
    if (!status && !bl_file_exists(arguments.results)) printf("There is no folder %s yet.\n", arguments.results);
    if (!status) fputs(table.chars, stdout);
    bl_arena *arena = bl_arena_create();
    const char *neighbours = status ? NULL : bl_neighbours(arena, experiment, arguments.results);
    if (neighbours) printf("Others:    %s.\n", neighbours);
    bl_arena_free(arena);
    bl_text_free(&table);
    bl_experiment_free(experiment);
    return status;
}

const bl_command bl_command_status = {
        "status", "say which runs of a study are finished, running, failed, interrupted or missing",
        "byolab status FILE [options]\n\n"
        "A table by cell, what failed and why, and how far those are that are running or interrupted. Running: a living process on\n"
        "this machine, or on another one that shares the folder, is at it. Interrupted: a checkpoint is there and nobody at it;\n"
        "`byolab run` continues it. Other recipe: a run file or checkpoint is there, of other settings than the file and --set\n"
        "now give, which are named. Failed: the last attempt did, or what is there cannot be read. Nothing is changed or made.\n\n",
        "set seeds backend results", run}; // of all cells
