// command.h - a subcommand: its name, its help, its function. One file each; main.c holds the table.

#ifndef BL_COMMANDS_COMMAND_H
#define BL_COMMANDS_COMMAND_H

#include <stdbool.h>

#include "base/error.h"            // BL_CHECK
#include "experiment/experiment.h" // bl_experiment, bl_override
#include "weights/weights.h"       // bl_weights

typedef struct bl_command {
    const char *name, *summary; // one line of `byolab --help`
    const char *help;           // `byolab NAME --help`; the common options follow
    const char *options;        // it takes, without dashes: "out keep!"; those ending in '!' take no value
    int (*run)(int argc, char **argv); // argv[0] is the command's name; BL_OK or BL_FAILED with the error set
} bl_command;

extern const bl_command bl_command_run, bl_command_eval, bl_command_report, bl_command_check, bl_command_plan, bl_command_graph, bl_command_compare,
        bl_command_bench, bl_command_data, bl_command_status, bl_command_export, bl_command_import;

// What most commands take: an experiment file and options that change how it is read.
typedef struct bl_arguments {
    const char *file;
    const char *results;                // --results FOLDER
    const char *cell;                   // --cell NAME
    bl_override overrides[64];          // --set key=value, --backend NAME, --seeds LIST
    int override_count;
    char seeds[256];                    // the text of --seeds as a YAML list
    const char *options[16][2];         // the command's own: name without dashes, value
    int option_count;
} bl_arguments;

// Notes that a failure, where `status` is one, is the command line's own, whatever its files hold: the program ends with 2, not 1.
// Returns it: return bl_misused(bl_fail("--%s takes no value", name));
BL_CHECK int bl_misused(int status);
bool bl_is_misused(void);

// "no such command rnu; did you mean run?": `kind`, with what stands between it and the name, and the names there are. Misused.
BL_CHECK int bl_refuse_word(const char *kind, const char *name, const char *const *names, int count);

// `options`: the command's. The first free word is the file. An option given twice is refused, but for --set.
BL_CHECK int bl_arguments_parse(bl_arguments *arguments, int argc, char **argv, const char *options);
const char *bl_arguments_option(const bl_arguments *arguments, const char *name, const char *otherwise);
BL_CHECK int bl_arguments_count(const bl_arguments *arguments, const char *name, int otherwise, int *value); // a whole number >= 1
BL_CHECK int bl_arguments_read(const bl_arguments *arguments, bl_experiment **experiment);
BL_CHECK int bl_arguments_read_elsewhere(const bl_arguments *arguments, bl_experiment **experiment); // of what runs nothing
BL_CHECK int bl_arguments_cell(const bl_arguments *arguments, const bl_experiment *experiment, const bl_cell **cell); // --cell, or the first

#define BL_COMMON_OPTIONS "set seeds backend cell results"
void bl_print_common_options(const char *options); // the help of those that are in the list

// What export and import share: `path` with another ending, and what was written: its tensors, values and digest.
char *bl_path_with_ending(bl_arena *arena, const char *path, const char *ending);
BL_CHECK int bl_print_file(const char *path, const bl_weights *weights);

#endif
