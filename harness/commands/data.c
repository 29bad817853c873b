#include <stdio.h>
#include <string.h>

#include "commands/command.h"
#include "commands/progress.h" // bl_print_remarks
#include "inspect/preview.h"
#include "run/verify.h"

static int preview(const bl_arguments *arguments, const bl_experiment *experiment, const bl_cell *cell) {
    const char *path = bl_arguments_option(arguments, "out", "preview.png");
    bl_text remarks = {0};
    const int status = bl_preview_write(cell, experiment->seeds[0], path, &remarks);
    if (!status) printf("%s: views of the first images, as epoch 0 of seed %llu sees them\n", path, (unsigned long long)experiment->seeds[0]);
    if (!status && remarks.size) bl_print_remarks(stdout, remarks.chars);
    bl_text_free(&remarks);
    return status;
}

static int verify(const bl_arguments *arguments, const bl_experiment *experiment, const bl_cell *cell) {
    bl_text said = {0};
    const int status = bl_data_verify(experiment, arguments->cell ? cell : NULL, arguments->results, &said);
    if (said.size) fputs(said.chars, stdout);
    bl_text_free(&said);
    return status;
}

// `byolab data preview FILE`, `byolab data FILE --verify`.
static int run(int argc, char **argv) {
    bl_arguments arguments;
    bl_experiment *experiment = NULL;
    const bl_cell *cell;
    const bool shows = argc > 1 && !strcmp(argv[1], "preview");
    if (bl_arguments_parse(&arguments, argc - shows, argv + shows, bl_command_data.options)) return BL_FAILED;
    const bool verifies = bl_arguments_option(&arguments, "verify", NULL) != NULL;
    if (shows == verifies) return bl_misused(bl_fail("write `byolab data preview FILE` or `byolab data FILE --verify`"));
    if (verifies && bl_arguments_option(&arguments, "out", NULL)) return bl_misused(bl_fail("--out beside --verify: it is the picture's of `byolab data preview FILE`"));
    if (bl_arguments_read(&arguments, &experiment)) return BL_FAILED;
    int status = bl_arguments_cell(&arguments, experiment, &cell);
    if (!status) status = (verifies ? verify : preview)(&arguments, experiment, cell);
    bl_experiment_free(experiment);
    return status;
}

const bl_command bl_command_data = {
        "data", "look at what the network will see, or read all of it again",
        "byolab data preview FILE [options]\n"
        "byolab data FILE --verify [options]\n\n"
        "preview writes a sheet of view pairs as PNG: each original beside its two views, drawn as the training run draws them.\n\n"
        "  --out PATH          the picture (default: preview.png)\n\n"
        "--verify reads every file of the data whole and says of each run whether it was made from them. A start of `byolab run`\n"
        "compares names and lengths, and what is known of contents without reading all of it again.\n\n",
        BL_COMMON_OPTIONS " out verify!", run};
