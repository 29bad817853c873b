// main.c - the table of subcommands, and the only place that decides how the program ends.

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/host.h" // bl_program_commit
#include "base/stop.h"
#include "commands/command.h"

static const bl_command *const commands[] = {
        &bl_command_run,   &bl_command_eval,    &bl_command_report, &bl_command_check, &bl_command_plan, &bl_command_status,
        &bl_command_graph, &bl_command_compare, &bl_command_bench,  &bl_command_data,
        &bl_command_export, &bl_command_import,
};
enum { COMMANDS = sizeof commands / sizeof *commands };

// Beside 0, 1, and those of a stop (base/stop.h).
enum { MISUSED = 2, NOBODY_READS = 128 + SIGPIPE };

static int print_help(FILE *out) {
    fputs("byolab " BYOLAB_VERSION ": a laboratory for self-supervised learning with BYOL\n\n"
          "byolab COMMAND ...     (byolab COMMAND --help, or byolab help COMMAND, tells more)\n\n",
          out);
    for (int i = 0; i < COMMANDS; i++) fprintf(out, "  %-9s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\nExit status: 0 where all that was asked for is done; 1 where something failed; 2 where the command line itself is wrong; 130, 143\n"
          "and 75 after SIGINT, SIGTERM and SIGUSR1; 141 where whoever read the output has gone.\n"
          "\nStart with: byolab run experiments/shapes/quickstart.yaml\n", out);
    return EXIT_SUCCESS;
}

static bool is_help(const char *word) { return !strcmp(word, "--help") || !strcmp(word, "-h"); }

static const bl_command *find(const char *name) {
    for (int i = 0; i < COMMANDS; i++)
        if (!strcmp(name, commands[i]->name)) return commands[i];
    return NULL;
}

static int refuse(const char *name) {
    const char *names[COMMANDS];
    for (int i = 0; i < COMMANDS; i++) names[i] = commands[i]->name;
    if (bl_refuse_word("command ", name, names, COMMANDS)) fprintf(stderr, "byolab: %s\n", bl_error());
    return MISUSED;
}

static int help(const bl_command *command) {
    fputs(command->help, stdout);
    bl_print_common_options(command->options);
    return EXIT_SUCCESS;
}

static int do_command(const bl_command *command, int argc, char **argv) {
    for (int a = 1; a < argc; a++)
        if (is_help(argv[a]) || (a == 1 && !strcmp(argv[a], "help"))) return help(command);
    if (command->run(argc, argv) == BL_OK) return EXIT_SUCCESS;
    if (bl_stopped()) {
        fprintf(stderr, "byolab %s: stopped by %s; the same command continues\n", command->name, bl_stop_signal());
        return bl_stop_exit_status();
    }
    fprintf(stderr, "byolab %s: %s\n", command->name, bl_error());
    return bl_is_misused() ? MISUSED : EXIT_FAILURE;
}

static int do_all(int argc, char **argv) {
    if (argc < 2) {
        print_help(stderr);
        return MISUSED;
    }
    if (!strcmp(argv[1], "--version")) {
        printf("byolab " BYOLAB_VERSION ", commit %s\n", bl_program_commit());
        return EXIT_SUCCESS;
    }
    const bool asks_help = is_help(argv[1]) || !strcmp(argv[1], "help");
    if (asks_help && argc == 2) return print_help(stdout);
    const bl_command *command = find(argv[1 + asks_help]);
    if (!command) return refuse(argv[1 + asks_help]);
    return asks_help ? help(command) : do_command(command, argc - 1, argv + 1);
}

// A file that is opened where a standard stream was closed would get what is printed: its place is taken by what cannot be written, or
// read, as a closed one cannot.
static void hold_standard_streams(void) {
    static const int modes[] = {O_WRONLY, O_RDONLY, O_RDONLY};
    for (int stream = 0; stream < 3; stream++)
        if (fcntl(stream, F_GETFD) < 0 && errno == EBADF && open("/dev/null", modes[stream]) != stream) abort();
}

// What was printed has arrived, or the command has failed, whatever it did.
static int close_output(int status) {
    errno = 0;
    const bool was_lost = ferror(stdout);
    if (was_lost && !fflush(stdout)) fputs("\n", stdout); // the cause went with what was lost: it is asked for once more
    if (!fflush(stdout) && !was_lost && !fclose(stdout)) return status;
    if (errno == EPIPE) return status ? status : NOBODY_READS; // `| head` wants no more, and no word
    fprintf(stderr, "byolab: standard output: not all could be written%s%s\n", errno ? ": " : "", errno ? strerror(errno) : "");
    return status ? status : EXIT_FAILURE;
}

int main(int argc, char **argv) {
    hold_standard_streams();
    signal(SIGXFSZ, SIG_IGN); // a file that may not grow is a failed write (ulimit -f), with a message, as a full disk is
    signal(SIGPIPE, SIG_IGN); // a terminal or a pipe that goes away ends no training; close_output tells
    return close_output(do_all(argc, argv));
}
