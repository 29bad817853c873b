#include <stdio.h>
#include <string.h>

#include "commands/command.h"
#include "commands/progress.h" // bl_print_remarks
#include "inspect/preview.h"

static int run(int argc, char **argv) {
    bl_arguments arguments;
    bl_experiment *experiment = NULL;
    const bl_cell *cell;
    if (argc < 2 || strcmp(argv[1], "preview") != 0) return bl_misused(bl_fail("write `byolab data preview FILE`"));
    if (bl_arguments_parse(&arguments, argc - 1, argv + 1, bl_command_data.options) || bl_arguments_read(&arguments, &experiment)) return BL_FAILED;
    const char *path = bl_arguments_option(&arguments, "out", "preview.png");
    bl_text remarks = {0};
    int status = bl_arguments_cell(&arguments, experiment, &cell);
    if (!status) status = bl_preview_write(cell, experiment->seeds[0], path, &remarks);
    if (!status) printf("%s: views of the first images, as epoch 0 of seed %llu sees them\n", path, (unsigned long long)experiment->seeds[0]);
    if (!status && remarks.size) bl_print_remarks(stdout, remarks.chars);
    bl_text_free(&remarks);
    bl_experiment_free(experiment);
    return status;
}

const bl_command bl_command_data = {
        "data", "look at what the network will see",
        "byolab data preview FILE [options]\n\n"
        "Writes a sheet of view pairs as PNG: each original beside its two views, drawn as the training run draws them.\n\n"
        "  --out PATH          the picture (default: preview.png)\n",
        BL_COMMON_OPTIONS " out", run};
