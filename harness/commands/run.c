#include <stdio.h>
#include <string.h>

#include "base/stop.h"
#include "commands/command.h"
#include "commands/progress.h"
#include "experiment/cell.h" // bl_cell_warn
#include "record/neighbours.h"
#include "report/report.h"
#include "run/sweep.h"

static void show_failure(void *context, const bl_cell *cell, uint64_t seed, const char *message) {
    bl_progress_end(context);
    fprintf(stderr, "byolab: %s/%llu: %s\n", cell->name, (unsigned long long)seed, message);
}

// What a file asks for and will not get, before hours are spent.
static void warn(const bl_experiment *experiment, const bl_cell *only) {
    for (int i = 0; i < experiment->cell_count; i++) {
        const bl_cell *cell = &experiment->cells[i];
        bl_text warnings = {0};
        if (!only || cell == only) bl_cell_warn(cell, &warnings);
        for (char *line = warnings.size ? strtok(warnings.chars, "\n") : NULL; line; line = strtok(NULL, "\n"))
            fprintf(stderr, "%s: warning: %s\n", cell->name, line);
        bl_text_free(&warnings);
    }
}

static void warn_of_neighbours(const bl_experiment *experiment, const char *results_folder) {
    bl_arena *arena = bl_arena_create();
    const char *neighbours = bl_neighbours(arena, experiment, results_folder);
    if (neighbours) fprintf(stderr, "byolab: warning: %s\n", neighbours);
    bl_arena_free(arena);
}

static int sweep_and_report(const bl_arguments *arguments, bl_experiment *experiment, bl_sweep_request request) {
    const bl_cell *cell;
    if (bl_arguments_cell(arguments, experiment, &cell)) return BL_FAILED;
    warn(experiment, arguments->cell ? cell : NULL);
    bl_progress_bar bar = bl_progress_bar_create();
    request.experiment = experiment;
    request.cell = arguments->cell ? cell : NULL;
    request.results_folder = arguments->results;
    request.sink = (bl_sink){bl_progress_show, &bar};
    request.failed = show_failure;
    for (int i = 0; !arguments->cell && i < experiment->skipped_count; i++) fprintf(stderr, "byolab: left out: %s\n", experiment->skipped[i]);
    warn_of_neighbours(experiment, arguments->results);
    bl_stop_listen();
    int status = bl_sweep(&request);
    bl_progress_end(&bar);
    if (status && bl_stopped()) return status; // the tables can wait: whoever sends a signal may not
    // What there is so far is reported even when something failed; the first failure speaks.
    bl_text failure = {0}, summary = {0};
    if (status) bl_text_add(&failure, "%s", bl_error());
    bool written;
    int told = bl_report_write(experiment, arguments->results, false, &summary, &written);
    const bool is_unread = !told && !written && summary.size; // runs are there, and none could be read
    if (!told && !written) bl_text_add(&summary, "%sNo run of %s is finished or under way: no report is written.\n", is_unread ? "\n" : "", experiment->study);
    if (!told) told = bl_sweep_table(experiment, arguments->results, &summary);
    if (!told) fputs(summary.chars, stdout);
    if (!told && is_unread) told = bl_fail("no report is written: %.*s", (int)strcspn(summary.chars, "\n"), summary.chars);
    // Runs that were left to other processes may be finished by now, as the table says.
    if (status && bl_sweep_is_finished(&request)) status = BL_OK;
    if (!status) status = told;
    else bl_error_set(failure.chars, bl_error_origin());
    bl_text_free(&failure);
    bl_text_free(&summary);
    return status;
}

static int sweep(int argc, char **argv, const bl_command *command) {
    bl_arguments arguments;
    bl_experiment *experiment = NULL;
    bl_sweep_request request = {.evaluate_only = command == &bl_command_eval};
    if (bl_arguments_parse(&arguments, argc, argv, command->options) ||
        bl_misused(bl_shard_read(&request.shard, bl_arguments_option(&arguments, "shard", "1/1"))) ||
        bl_arguments_count(&arguments, "stop-after-epoch", 0, &request.stop_after_epoch) || bl_arguments_read(&arguments, &experiment))
        return BL_FAILED;
    const int status = sweep_and_report(&arguments, experiment, request);
    bl_experiment_free(experiment);
    return status;
}

static int run(int argc, char **argv) {
    return sweep(argc, argv, &bl_command_run);
}

static int eval(int argc, char **argv) {
    return sweep(argc, argv, &bl_command_eval);
}

#define SHARD_HELP "  --shard I/N         only part I of N: run k of the list of cells and seeds, counted from 1, is of part (k - 1) mod N + 1\n"

const bl_command bl_command_run = {
        "run", "train and evaluate what an experiment file describes, then report",
        "byolab run FILE [options]\n\n"
        "Does what is missing: trains every cell and seed of the study, evaluates, writes one run file each under\n"
        "results/<study>/<cell>/, and rebuilds the study's tables and plots. A run that was interrupted continues from its\n"
        "checkpoint bit for bit; a finished one is skipped, or goes on where train.epochs have grown and its last checkpoint was kept\n"
        "(save.checkpoint: last) and no schedule looks at the end of training. Data that are missing end it before the first run. One\n"
        "that fails does not stop the others: its message stays beside its run file, and the next `byolab run` tries it again.\n\n"
        "Several processes, on one machine or many, may share a folder: each run is done by one of them, and one that another\n"
        "process is at is passed over and tried again at the end. The exit status is 0 when every run asked for is finished, and\n"
        "not 0 where some failed or other processes are still at them. experiments/slurm_array.sh gives each Slurm task a part.\n\n"
        "SIGINT, SIGTERM and SIGUSR1 end it after the step in hand, with a checkpoint: exit status 130, 143, 75. A second one ends it\n"
        "at once.\n\n"
        SHARD_HELP
        "  --stop-after-epoch N\n"
        "                      leaves each run, with a checkpoint, where N of its epochs are finished: another's turn comes before its\n"
        "                      end. Without it the same command continues the same run\n",
        BL_COMMON_OPTIONS " shard stop-after-epoch", run};

const bl_command bl_command_eval = {
        "eval", "measure rows that a finished run lacks, from its saved weights",
        "byolab eval FILE [options]\n\n"
        "Adds the rows under `evaluate:` that a finished run has not got yet, at its last epoch, without training again. Add a\n"
        "row to the experiment file, then call this. Runs that are not finished are an error.\n\n"
        SHARD_HELP,
        BL_COMMON_OPTIONS " shard", eval};
