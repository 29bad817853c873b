// The command line and the streams: how a mistake in it is told from a failure, and what cannot be printed.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/file.h"
#include "support.h"

enum { TEXT = 8192 };

static const char tiny[] = "data: {dataset: shapes, train: 40, test: 20}\n"
                           "views: [{flip: 0.5, normalize: imagenet}]\n"
                           "network: {encoder: resnet18, stem: cifar, width: 2, projector: {hidden: 8, out: 4}}\n"
                           "method: {predictor: {kind: mlp, hidden: 8}}\n"
                           "train: {epochs: 1, batch: 4, optimizer: {kind: adam, lr: 1.0e-3}}\n"
                           "machine: {threads: 1, loader_threads: 2}\n";

static int set_up(void **state) {
    (void)state;
    char file[600];
    snprintf(file, sizeof file, "%s/tiny.yaml", bl_test_here());
    assert_ok(bl_atomic_write(file, tiny, strlen(tiny)));
    assert_int_equal(setenv("F", file, 1), 0);
    snprintf(file, sizeof file, "%s/byolab", bl_test_build());
    assert_int_equal(setenv("B", file, 1), 0);
    return 0;
}

// The exit status of a line of the shell, in which $B is the program and $F a small experiment; what it printed on stderr in `says`.
static int shell(const char *line, char says[TEXT]) {
    char *whole;
    if (asprintf(&whole, "exec 3>&1; { %s; } 2>&3 3>&- >/dev/null", line) < 0) fail_msg("out of memory");
    FILE *output = popen(whole, "r");
    assert_non_null(output);
    says[fread(says, 1, TEXT - 1, output)] = '\0';
    free(whole);
    return WEXITSTATUS(pclose(output));
}

static void a_command_line_that_is_wrong_ends_in_2_and_says_what_to_write(void **state) {
    (void)state;
    static const struct {
        const char *words, *says;
    } cases[] = {
        {"", "byolab COMMAND ..."},
        {"rnu \"$F\"", "byolab: no such command rnu; did you mean run?\n"},
        {"checks", "did you mean check?"},
        {"frobnicate", "byolab: no such command frobnicate; --help lists what there is\n"},
        {"help rnu", "did you mean run?"},
        {"--hlep", "no such command --hlep"},
        {"run", "an experiment file is missing"},
        {"status", "an experiment file is missing"},
        {"export", "write the run file to export"},
        {"import", "write the file to import"},
        {"import e.safetensors", "--experiment is missing"},
        {"data", "byolab data preview FILE"},
        {"data preview", "an experiment file is missing"},
        {"run \"$F\" \"$F\"", "one word too many"},
        {"run ''", "an empty word"},
        {"run \"$F\" --sheeds 1", "no such option --sheeds; did you mean --seeds?"},
        {"run \"$F\" --frobnicate", "no such option --frobnicate; --help lists what there is"},
        {"run \"$F\" -x", "no such option -x"},
        {"run \"$F\" --results", "--results: a value is missing"},
        {"run \"$F\" --results=", "--results: a value is missing"},
        {"run \"$F\" --results --cell main", "--results: a value is missing"},
        {"run \"$F\" --set train.epochs", "write --set key=value"},
        {"run \"$F\" --set =3", "write --set key=value"},
        {"run \"$F\" --set train.epochs=", "a value is missing"},
        {"run \"$F\" --set train.epochs=1 --set train.epochs=2", "train.epochs is set twice: to 1 and to 2"},
        {"run \"$F\" --seeds one", "--seeds one: write whole numbers"},
        {"run \"$F\" --shard 0/4", "counted from 1 to 4"},
        {"run \"$F\" --shard 1/2 --shard 2/2", "--shard is given twice: 1/2 and 2/2"},
        {"run \"$F\" --stop-after-epoch 0", "write a whole number from 1"},
        {"compare \"$F\" --backends reference", "write two"},
        {"compare \"$F\" --backends reference,", "write two"},
        {"check \"$F\" --memory --resolved", "--resolved beside --memory: write one of them"},
        {"export run.h5 --what heads", "write encoder or all"},
        {"bench \"$F\" --steps many", "write a whole number from 1"},
        {"bench \"$F\" --contended --csv", "leave out --csv"},
        {"bench \"$F\" --brief=1", "--brief takes no value"},
    };
    char line[300], says[TEXT];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(line, sizeof line, "\"$B\" %s", cases[i].words);
        const int status = shell(line, says);
        if (status != 2 || !strstr(says, cases[i].says)) fail_msg("%s: %d, %s", cases[i].words, status, says);
    }
}

// What the command line asks for is understood: it cannot be done.
static void what_cannot_be_done_ends_in_1(void **state) {
    (void)state;
    static const struct {
        const char *words, *says;
    } cases[] = {
        {"run nothing.yaml", "nothing.yaml: cannot read: No such file or directory"},
        {"check /", "/: not a regular file"},
        {"export nothing.h5", "nothing.h5: "},
        {"run \"$F\" --cell other", "--cell other: the study has main"},
        {"run \"$F\" --set train.epoch=3", "write `epochs`"},
        {"status \"$F\" --results \"$F\"", "it is a file, where runs lie in a folder"},
        {"run \"$F\" --results \"$F\"", "it is a file, where runs lie in a folder"},
        {"run \"$F\" --seeds 99999999999999999", "a list of whole numbers from 0 to 9007199254740992\n"},
        {"run \"$F\" --seeds 1,1", "1 stands there twice"},
        {"data preview \"$F\" --out /nowhere/p.png", "/nowhere"},
        {"report \"$F\" --results /nowhere", "no run of tiny is finished or under way below /nowhere"},
    };
    char line[300], says[TEXT];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(line, sizeof line, "\"$B\" %s", cases[i].words);
        const int status = shell(line, says);
        if (status != 1 || !strstr(says, cases[i].says)) fail_msg("%s: %d, %s", cases[i].words, status, says);
    }
}

static void help_of_a_command_is_one_text_however_it_is_asked_for(void **state) {
    (void)state;
    static const char *const ways[] = {"help run", "run --help", "run help", "run -h", "--help run", "run tiny.yaml --shard 1/2 --help"};
    char first[TEXT], says[TEXT];
    assert_int_equal(bl_test_byolab(ways[0], first, sizeof first), 0);
    bl_test_holds(first, "byolab run FILE [options]");
    bl_test_holds(first, "--seeds LIST");
    for (size_t i = 1; i < sizeof ways / sizeof *ways; i++) {
        assert_int_equal(bl_test_byolab(ways[i], says, sizeof says), 0);
        assert_string_equal(says, first);
    }
    assert_int_equal(bl_test_byolab("--help", first, sizeof first), 0);
    bl_test_holds(first, "Exit status: 0 ");
    assert_int_equal(bl_test_byolab("help", says, sizeof says), 0);
    assert_string_equal(says, first);
}

static const char *const printing[] = {"check --schema", "check \"$F\"", "check \"$F\" --resolved", "graph \"$F\"", "status \"$F\" --results .",
                                       "--version", "--help", "help run", "compare \"$F\" --backends reference,reference --batch 4",
                                       "bench \"$F\" --backend reference --steps 1 --brief"};
enum { PRINTING = sizeof printing / sizeof *printing };

static void what_cannot_be_printed_is_a_failure_that_is_said(void **state) {
    (void)state;
    char line[300], says[TEXT];
    for (int i = 0; i < PRINTING; i++) {
        snprintf(line, sizeof line, "\"$B\" %s >/dev/full", printing[i]);
        if (shell(line, says) != 1 || !strstr(says, "byolab: standard output: not all could be written: No space left on device\n"))
            fail_msg("%s: %s", line, says);
        snprintf(line, sizeof line, "\"$B\" %s >&-", printing[i]);
        if (shell(line, says) != 1 || !strstr(says, "byolab: standard output: ")) fail_msg("%s: %s", line, says);
    }
}

// As of a program that SIGPIPE ends, but that nothing is cut off before its end.
static void a_reader_that_goes_away_is_no_word_but_141(void **state) {
    (void)state;
    char line[300], says[TEXT];
    for (int i = 0; i < PRINTING; i++) {
        snprintf(line, sizeof line, "{ sleep 0.2; \"$B\" %s; echo $? >\"$F.status\"; } | true; read -r status <\"$F.status\"; exit $status", printing[i]);
        assert_int_equal(shell(line, says), 141);
        assert_string_equal(says, "");
    }
}

static void a_closed_stream_is_no_file_that_the_program_opens(void **state) {
    (void)state;
    char says[TEXT], file[600];
    void *text;
    size_t bytes;
    assert_int_equal(shell("\"$B\" data preview \"$F\" --out \"$F.png\" <&- >&-", says), 1);
    snprintf(file, sizeof file, "%s.png", getenv("F"));
    assert_ok(bl_read_file(file, &text, &bytes));
    assert_true(bytes > 100 && !memcmp(text, "\x89PNG", 4) && !memcmp((char *)text + bytes - 8, "IEND", 4));
    bl_free(text);
    assert_int_equal(shell("\"$B\" check \"$F\" 2>&-", says), 0);
    assert_int_equal(shell("\"$B\" check nothing.yaml 2>&-", says), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_line_that_is_wrong_ends_in_2_and_says_what_to_write),
        cmocka_unit_test(what_cannot_be_done_ends_in_1),
        cmocka_unit_test(help_of_a_command_is_one_text_however_it_is_asked_for),
        cmocka_unit_test(what_cannot_be_printed_is_a_failure_that_is_said),
        cmocka_unit_test(a_reader_that_goes_away_is_no_word_but_141),
        cmocka_unit_test(a_closed_stream_is_no_file_that_the_program_opens),
    };
    return cmocka_run_group_tests(tests, set_up, bl_test_leave);
}
