#include <stdio.h>
#include <string.h>

#include "commands/command.h"
#include "commands/progress.h"
#include "run/report.h"

// Every cell and seed; one that fails does not stop the others. `evaluate_only`: see bl_run_request.
static int run_all(const bl_arguments *arguments, const bl_experiment *experiment, bool evaluate_only) {
    bl_progress_bar bar = bl_progress_bar_create();
    int failed = 0, asked = 0;
    bl_text first = {0};
    for (int c = 0; c < experiment->cell_count; c++) {
        const bl_cell *cell = &experiment->cells[c];
        if (arguments->cell && strcmp(arguments->cell, cell->name) != 0) continue;
        for (int s = 0; s < experiment->seed_count; s++) {
            const bl_run_request request = {.experiment = experiment, .cell = cell, .seed = experiment->seeds[s],
                    .results_folder = arguments->results, .evaluate_only = evaluate_only, .sink = {bl_progress_show, &bar}};
            asked++;
            if (bl_run(&request) == BL_OK) continue;
            bl_progress_end(&bar);
            fprintf(stderr, "byolab: %s/%llu: %s\n", cell->name, (unsigned long long)request.seed, bl_error());
            if (!failed++) bl_text_add(&first, "%s", bl_error());
        }
    }
    bl_progress_end(&bar);
    if (!failed) return BL_OK;
    const int status = bl_fail("%d of %d runs failed; the first: %s", failed, asked, first.chars);
    bl_text_free(&first);
    return status;
}

static int run_and_report(int argc, char **argv, bool evaluate_only) {
    bl_arguments arguments;
    bl_experiment *experiment = NULL;
    const bl_cell *cell;
    bl_text summary = {0};
    if (bl_arguments_parse(&arguments, argc, argv, "") || bl_arguments_read(&arguments, &experiment)) return BL_FAILED;
    int status = bl_arguments_cell(&arguments, experiment, &cell);
    if (!status) {
        status = run_all(&arguments, experiment, evaluate_only);
        // What is finished is reported even when something failed; the first failure speaks.
        bl_text failure = {0};
        if (status) bl_text_add(&failure, "%s", bl_error());
        if (bl_report_write(experiment, arguments.results, &summary) == BL_OK) fputs(summary.chars, stdout);
        else if (!status) status = BL_FAILED;
        if (failure.chars) bl_error_set(failure.chars, bl_error_origin());
        bl_text_free(&failure);
    }
    bl_text_free(&summary);
    bl_experiment_free(experiment);
    return status;
}

static int run(int argc, char **argv) {
    return run_and_report(argc, argv, false);
}

static int eval(int argc, char **argv) {
    return run_and_report(argc, argv, true);
}

const bl_command bl_command_run = {
        "run", "train and evaluate what an experiment file describes, then report",
        "byolab run FILE [options]\n\n"
        "Does what is missing: trains every cell and seed of the study, evaluates, writes one run file each under\n"
        "results/<study>/<cell>/, and rebuilds the study's tables and plots. A run that was interrupted continues from its\n"
        "checkpoint bit for bit; a finished one is skipped. Several processes may share a folder.\n\n",
        run};

const bl_command bl_command_eval = {
        "eval", "measure rows that a finished run lacks, from its saved weights",
        "byolab eval FILE [options]\n\n"
        "Adds the rows under `evaluate:` that a finished run has not got yet, at its last epoch, without training again. Add a\n"
        "row to the experiment file, then call this. Runs that are not finished are an error.\n\n",
        eval};
