#include "inspect/compare.h"

#include <stdio.h>
#include <string.h>

#include "commands/command.h"

static int run(int argc, char **argv) {
    bl_arguments arguments;
    bl_experiment *experiment = NULL;
    const bl_cell *cell;
    char names[128];
    int batch, status = BL_FAILED;
    bool pass = false;
    bl_text table = {0};
    if (bl_arguments_parse(&arguments, argc, argv, bl_command_compare.options) || bl_arguments_count(&arguments, "batch", 4, &batch) ||
        bl_arguments_read(&arguments, &experiment))
        return BL_FAILED;
    snprintf(names, sizeof names, "%s", bl_arguments_option(&arguments, "backends", "reference,onednn"));
    char *judged = strchr(names, ',');
    if (!judged || judged == names || !judged[1]) {
        status = bl_misused(bl_fail("--backends %s: write two, for example reference,onednn", names));
        goto done;
    }
    *judged++ = '\0';
    if (bl_arguments_cell(&arguments, experiment, &cell)) goto done;
    bl_cell small = *cell;
    small.train.batch = batch;
    const bl_comparison comparison = {
            .cell = &small, .seed = experiment->seeds[0], .right = names, .judged = judged,
            .machine = {.threads = experiment->machine.threads, .isa = experiment->machine.isa, .eager = experiment->machine.eager},
            .mode = bl_arguments_option(&arguments, "chained", NULL) ? BL_COMPARE_CHAINED : BL_COMPARE_ISOLATED};
    if (bl_compare(&comparison, &table, &pass)) goto done;
    fputs(table.chars, stdout);
    status = pass ? BL_OK : bl_fail("%s and %s differ by more than the precision allows", names, judged);
done:
    bl_text_free(&table);
    bl_experiment_free(experiment);
    return status;
}

const bl_command bl_command_compare = {
        "compare", "hold two backends against each other, node by node",
        "byolab compare FILE [options]\n\n"
        "Runs one step of a cell. By default each node alone: both backends get the first one's inputs, rounded to the node's\n"
        "precision; the worst error of every operator is printed, and the command fails where one exceeds what its precision allows.\n\n"
        "  --backends A,B      the judge, then the judged (default: reference,onednn; reference,cudnn)\n"
        "  --batch N           images (default 4; reference is slow)\n"
        "  --chained           both run freely, and the distance of every tensor is listed: information, not a verdict\n",
        BL_COMMON_OPTIONS " backends batch chained!", run};
