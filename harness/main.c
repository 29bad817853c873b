// main.c - the table of subcommands, and the only place that decides how the program ends.

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/host.h" // bl_program_commit
#include "base/stop.h"
#include "commands/command.h"

static const bl_command *const commands[] = {
        &bl_command_run,   &bl_command_eval,    &bl_command_report, &bl_command_check, &bl_command_status,
        &bl_command_graph, &bl_command_compare, &bl_command_bench,  &bl_command_data,
        &bl_command_export, &bl_command_import,
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static void print_help(FILE *out) {
    fputs("byolab " BYOLAB_VERSION ": a laboratory for self-supervised learning with BYOL\n\n"
          "byolab COMMAND ...     (byolab COMMAND --help tells more)\n\n",
          out);
    for (int i = 0; i < COMMANDS; i++) fprintf(out, "  %-9s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\nStart with: byolab run experiments/shapes/quickstart.yaml\n", out);
}

static bool is_help(const char *word) {
    return !strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help");
}

int main(int argc, char **argv) {
    signal(SIGXFSZ, SIG_IGN); // a file that may not grow is a failed write (ulimit -f), with a message, as a full disk is
    if (argc < 2) {
        print_help(stderr);
        return EXIT_FAILURE;
    }
    if (is_help(argv[1])) {
        print_help(stdout);
        return EXIT_SUCCESS;
    }
    if (!strcmp(argv[1], "--version")) {
        printf("byolab " BYOLAB_VERSION ", commit %s\n", bl_program_commit());
        return EXIT_SUCCESS;
    }
    for (int i = 0; i < COMMANDS; i++) {
        if (strcmp(argv[1], commands[i]->name) != 0) continue;
        for (int a = 2; a < argc; a++)
            if (is_help(argv[a])) {
                fputs(commands[i]->help, stdout);
                bl_print_common_options(commands[i]->options);
                return EXIT_SUCCESS;
            }
        if (commands[i]->run(argc - 1, argv + 1) == BL_OK) return EXIT_SUCCESS;
        if (bl_stopped()) {
            fprintf(stderr, "byolab %s: stopped by %s; the same command continues\n", commands[i]->name, bl_stop_signal());
            return bl_stop_exit_status();
        }
        fprintf(stderr, "byolab %s: %s\n", commands[i]->name, bl_error());
        return EXIT_FAILURE;
    }
    fprintf(stderr, "byolab: no command '%s'; byolab --help lists them\n", argv[1]);
    return EXIT_FAILURE;
}
