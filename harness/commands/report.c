#include "report/report.h"

#include <stdio.h>

#include "commands/command.h"

static int run(int argc, char **argv) {
    bl_arguments arguments;
    bl_experiment *experiment = NULL;
    bl_text summary = {0};
    if (bl_arguments_parse(&arguments, argc, argv, bl_command_report.options) || bl_arguments_read_elsewhere(&arguments, &experiment)) return BL_FAILED;
    bool written;
    const bool counts_unfinished = bl_arguments_option(&arguments, "unfinished", NULL) != NULL;
    int status = bl_report_write(experiment, arguments.results, counts_unfinished, &summary, &written);
    if (!status && !written)
        status = bl_fail("no run of %s is finished or under way below %s; `byolab run %s` first", experiment->study, arguments.results, arguments.file);
    if (!status) fputs(summary.chars, stdout);
    bl_text_free(&summary);
    bl_experiment_free(experiment);
    return status;
}

const bl_command bl_command_report = {
        "report", "rebuild a study's tables and plots from its run files",
        "byolab report FILE [options]\n\n"
        "Writes into results/<study>/: measurements.csv (a row a measurement), steps.csv (loss and std by step), collapse.csv (a row\n"
        "a diagnosis) and verdicts.csv, aggregate.csv (mean, sd, 95 % interval over seeds), differences.csv (between cells, paired by\n"
        "seed), curves.svg with the published points, and report.md. A study of more than three cells has bars.svg too, one with\n"
        "several shares of the labels labels.csv, labels_needed.csv and labels.svg. Everything is rebuilt from the run files alone:\n"
        "the same bytes each time. Where no run is finished or under way nothing is written.\n\n"
        "A run that is not finished is read from its checkpoint as far as it is: it is marked everywhere (`finished` 0, a dashed\n"
        "curve, a section of its own) and enters no average.\n\n"
        "  --unfinished        averages take in unfinished runs too; how many of them each holds stands beside it\n",
        "set seeds backend results unfinished!", run}; // of all cells
