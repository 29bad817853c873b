#include <stdio.h>

#include "commands/command.h"
#include "run/sweep.h"

static int run(int argc, char **argv) {
    bl_arguments arguments;
    bl_experiment *experiment = NULL;
    bl_text table = {0};
    if (bl_arguments_parse(&arguments, argc, argv, bl_command_status.options) || bl_arguments_read(&arguments, &experiment)) return BL_FAILED;
    const int status = bl_sweep_table(experiment, arguments.results, &table);
    if (!status) fputs(table.chars, stdout);
    bl_text_free(&table);
    bl_experiment_free(experiment);
    return status;
}

const bl_command bl_command_status = {
        "status", "say which runs of a study are finished, running, failed, interrupted or missing",
        "byolab status FILE [options]\n\n"
        "A table by cell, and what failed and why. Running: a living process on this machine, or on another one that shares the\n"
        "folder, is at it. Interrupted: a checkpoint is there and nobody at it; `byolab run` continues it. Other recipe: a run file is\n"
        "there, of other settings than the file and --set now give.\n\n",
        "set seeds backend results", run}; // of all cells
