#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "commands/command.h"
#include "inspect/hours.h"
#include "report/resolution.h"
#include "report/statistics.h" // bl_sd_factor

// ---- how many seeds ----

static int read_points(const bl_arguments *arguments, double *points) {
    const char *text = bl_arguments_option(arguments, "points", "1");
    char *end;
    errno = 0;
    *points = strtod(text, &end);
    if (end == text || *end || errno || !(*points > 0) || *points > 100) return bl_misused(bl_fail("--points %s: write a difference in points, such as 1.5", text));
    return BL_OK;
}

static int least_pairs(const bl_study *pilot) {
    int least = 0;
    for (int c = 0; c < pilot->experiment->cell_count; c++) {
        const int runs = bl_study_runs(pilot, c, NULL);
        if (runs && (!least || runs < least)) least = runs;
    }
    return least;
}

static int print_resolution(const bl_arguments *arguments, const bl_experiment *experiment, const bl_experiment *pilot, double points) {
    bl_study study;
    bl_text table = {0};
    if (bl_study_read(&study, pilot, arguments->results, false)) return BL_FAILED;
    bl_resolution_table(&study, experiment->seed_count, points, &table);
    const int pairs = least_pairs(&study);
    if (table.size) {
        printf("%s, from the runs of %s in %s:\n\n%s\n", experiment->study, pilot->study, arguments->results, table.chars);
        printf("Resolved: half of the 95 %% Student interval; a smaller difference stays inconclusive.");
        if (pairs > 1) printf(" An sd of %d pairs is uncertain itself:\nit may lie too low by a factor of up to %.1f (95 %%).", pairs, bl_sd_factor(pairs));
        printf("\n");
    } else
        printf("%s: there is no spread to tell seeds from: no two seeds of %s are finished in %s. Run a few, or name others' by --pilot FILE\n",
               experiment->study, pilot->study, arguments->results);
    bl_text_free(&table);
    bl_study_free(&study);
    return BL_OK;
}

// ---- how long ----

static int print_hours(const bl_arguments *arguments, const bl_experiment *experiment, const bl_cell *only) {
    const int seeds = experiment->seed_count;
    double sum = 0;
    printf("\nHours on this machine (%s, %d thread%s), estimated from steps timed just now; views, features and scores are not in it:\n\n",
           experiment->machine.backend, experiment->machine.threads, bl_plural(experiment->machine.threads));
    printf("%-24s %10s %9s %8s %9s %12s\n", "cell", "steps", "hours", "fits", "hours", "of all seeds");
    for (int c = 0; c < experiment->cell_count; c++) {
        const bl_cell *cell = &experiment->cells[c];
        bl_hours hours;
        if (arguments->cell && cell != only) continue;
        if (bl_hours_of(cell, &experiment->machine, &hours)) return BL_FAILED;
        printf("%-24s %10lld %9.2f %8d %9.2f %12.2f\n", cell->name, (long long)hours.training_steps, hours.training, hours.fit_count, hours.fits,
               seeds * (hours.training + hours.fits));
        fflush(stdout);
        sum += seeds * (hours.training + hours.fits);
    }
    printf("%-24s %10s %9s %8s %9s %12.2f\n", "all", "", "", "", "", sum);
    return BL_OK;
}

static int run(int argc, char **argv) {
    bl_arguments arguments;
    bl_experiment *experiment = NULL, *pilot = NULL;
    const bl_cell *cell;
    double points;
    if (bl_arguments_parse(&arguments, argc, argv, bl_command_plan.options) || read_points(&arguments, &points) || bl_arguments_read(&arguments, &experiment))
        return BL_FAILED;
    const char *path = bl_arguments_option(&arguments, "pilot", NULL);
    int status = bl_arguments_cell(&arguments, experiment, &cell);
    if (!status && path) status = bl_experiment_read_elsewhere(&pilot, path, NULL, 0);
    if (!status) status = print_resolution(&arguments, experiment, pilot ? pilot : experiment, points);
    if (!status && !bl_arguments_option(&arguments, "brief", NULL)) status = print_hours(&arguments, experiment, cell);
    bl_experiment_free(pilot);
    bl_experiment_free(experiment);
    return status;
}

const bl_command bl_command_plan = {
        "plan", "say which differences a study's seeds can see, and how long it takes here",
        "byolab plan FILE [options]\n\n"
        "From how far paired differences spread in finished runs, the file's own or a pilot's: which difference the file's seeds resolve,\n"
        "and how many seeds resolve so many points. Then the hours of the study on this machine, from a few steps of each cell's training\n"
        "and fits.\n\n"
        "  --pilot FILE        whose runs tell the spread: another file, of other seeds than the final ones\n"
        "  --points P          a difference worth seeing (default: 1)\n"
        "  --brief             without the hours: nothing is timed\n",
        BL_COMMON_OPTIONS " pilot points brief!", run};
