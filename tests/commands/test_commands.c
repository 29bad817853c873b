// The program from outside: what each command takes, and what is said of a mistake before any work begins.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "backends/backend.h"
#include "base/file.h"
#include "base/host.h"    // bl_host_cpu
#include "base/threads.h" // bl_processors
#include "support.h"

enum { TEXT = 8192 };

static void a_command_takes_its_own_options_and_no_others(void **state) {
    (void)state;
    static const struct {
        const char *words, *says;
        const char *absent; // of a help; NULL: the command fails
    } cases[] = {
        {"run f.yaml --foo", "no such option --foo", NULL},
        {"run f.yaml --foo=1", "no such option --foo", NULL},
        {"run f.yaml --seeds", "--seeds: a value is missing", NULL},
        {"bench f.yaml --brief=1", "--brief takes no value", NULL},
        {"compare f.yaml --machine", "no such option --machine", NULL},
        {"bench --help", "--csv", "--out"},
        {"export run.h5 --seeds 0", "no such option --seeds", NULL},
        {"import e.safetensors --backend reference", "no such option --backend", NULL},
        {"export --help", "--what encoder", "--seeds"},
        {"import --help", "--cell NAME", "--seeds"},
        {"run --help", "--seeds LIST", "--brief"},
    };
    char says[TEXT];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(bl_test_byolab(cases[i].words, says, sizeof says), cases[i].absent ? 0 : 2);
        bl_test_holds(says, cases[i].says);
        if (cases[i].absent) assert_null(strstr(says, cases[i].absent));
    }
}

static void an_arm_whose_file_is_wrong_is_refused_before_anything_is_trained(void **state) {
    (void)state;
    static const char recipe[] =
        "data: {dataset: shapes, train: 40, test: 20}\n"
        "views: [{flip: 0.5, normalize: imagenet}]\n"
        "network: {encoder: resnet18, stem: cifar, width: 2, projector: {hidden: 8, out: 4}}\n"
        "train: {epochs: 1, batch: 5, optimizer: {kind: adam, lr: 1.0e-3}}\n"
        "machine: {threads: 1, loader_threads: 1, backend: %s}\n"
        "evaluate:\n"
        "  - finetune: {split: test, shares: [100], validation: 0.5, arms: {x: {%s: '%s'%s}}}\n";
    char encoder[512], missing[512], file[512], text[2000], words[1200], says[TEXT];
    snprintf(encoder, sizeof encoder, BYOLAB_SOURCE "/tests/golden/encoder.safetensors"); // of another width
    snprintf(missing, sizeof missing, "%s/nothing.h5", bl_test_here());
    snprintf(file, sizeof file, "%s/tiny.yaml", bl_test_here());
    const struct {
        const char *kind, *path, *keep;
        int check;
        const char *says;
    } cases[] = {
        {"run", missing, "", 0, "tiny.yaml:7:77: "}, // it may be made elsewhere
        {"run", encoder, "", 0, encoder}, // no run file
        {"weights", encoder, "", 0, "its weights saw images of mean"},
        {"weights", encoder, ", preprocessing: keep", 0, "the experiment's network has"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(text, sizeof text, recipe, bl_test_backend(), cases[i].kind, cases[i].path,
                 cases[i].keep);
        assert_ok(bl_atomic_write(file, text, strlen(text)));
        snprintf(words, sizeof words, "check '%s'", file);
        if (bl_test_byolab(words, says, sizeof says) != cases[i].check) fail_msg("%s", says);
        if (!i) bl_test_holds(says, "  warning: ");
        if (!i) bl_test_holds(says, cases[i].says);
        bl_test_holds(says, "1 cell x 1 seed,");
        snprintf(words, sizeof words, "run '%s' --results '%s/results'", file, bl_test_here());
        assert_int_equal(bl_test_byolab(words, says, sizeof says), 1);
        bl_test_holds(says, cases[i].says);
        assert_null(strstr(says, " steps, 1 epoch")); // nothing began
    }
}

// ---- backends ----

static const char tiny[] = "data: {dataset: shapes, train: 40, test: 20}\n"
                           "views: [{flip: 0.5, normalize: imagenet}]\n"
                           "network: {encoder: resnet18, stem: cifar, width: 2, projector: {hidden: 8, out: 4}}\n"
                           "method: {predictor: {kind: mlp, hidden: 8}}\n"
                           "train: {epochs: 1, batch: 4, optimizer: {kind: adam, lr: 1.0e-3}}\n"
                           "machine: {threads: 1, loader_threads: 2}\n";

// `byolab COMMAND tiny.yaml OPTIONS`.
static int ask_of_tiny(const char *command, const char *options, char says[], size_t size) {
    char file[512], words[1200];
    snprintf(file, sizeof file, "%s/tiny.yaml", bl_test_here());
    assert_ok(bl_atomic_write(file, tiny, strlen(tiny)));
    snprintf(words, sizeof words, "%s '%s' %s", command, file, options);
    return bl_test_byolab(words, says, size);
}

static void every_backend_has_a_block_and_one_that_is_not_there_says_why(void **state) {
    (void)state;
    char says[TEXT], line[256], cpu[128];
    assert_int_equal(bl_test_byolab("check --machine", says, sizeof says), 0);
    bl_host_cpu(cpu, sizeof cpu);
    snprintf(line, sizeof line, "\ncpu: %s\ncpu flags: ", cpu);
    bl_test_holds(says, line);
    snprintf(line, sizeof line, "\nthreads: %d, and %d that make views\n", bl_processors(), bl_processors());
    bl_test_holds(says, line);
    bl_test_holds(says, "reference:\n  backend: reference\n");
    for (const char *const *name = bl_backend_known(); *name; name++) {
        snprintf(line, sizeof line, "%s: not built\n", *name);
        const bool is_called_absent = strstr(says, line);
        if (is_called_absent == bl_backend_present(*name)) fail_msg("%s:\n%s", *name, says);
        snprintf(line, sizeof line, "%s:", *name);
        bl_test_holds(says, line);
    }
}

// What the machine offers a run of `tiny` under that cap, of the order in which oneDNN's sets grow.
static int rank_under(const char *cap) {
    static const char *const sets[] = {"generic", "sse41", "avx", "avx2", "avx2_vnni", "avx2_vnni_2", "avx512", "avx512_vnni", "avx512_bf16",
                                       "avx512_fp16", "avx512_amx", "avx512_amx_fp16"};
    char says[TEXT], options[64], set[32];
    snprintf(options, sizeof options, "--machine --set machine.isa=%s", cap);
    assert_int_equal(ask_of_tiny("check", options, says, sizeof says), 0);
    bl_test_holds(says, "\nthreads: 1, and 2 that make views\n");
    const char *line = strstr(says, "  instruction set: ");
    assert_true(line && sscanf(line, " instruction set: %31s", set) == 1);
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (!strcmp(sets[i], set)) return (int)i;
    fail_msg("no such set: %s", set);
    return 0;
}

static void a_machine_uses_no_more_than_the_instruction_set_it_is_held_to(void **state) {
    (void)state;
    static const struct {
        const char *cap;
        int rank;
    } cases[] = {{"avx2", 3}, {"avx512", 6}, {"avx512_bf16", 8}, {"avx512_amx", 10}};
    char says[TEXT];
    if (!bl_test_has_backend("onednn")) skip();
    const int own = rank_under("\\\"\\\"");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int used = rank_under(cases[i].cap);
        if (used > cases[i].rank || (own >= cases[i].rank && used != cases[i].rank)) fail_msg("%s: %d, without it %d", cases[i].cap, used, own);
    }
    assert_int_equal(ask_of_tiny("check", "--machine --set machine.isa=avx512_amxx", says, sizeof says), 1);
    bl_test_holds(says, "avx512_amx");
}

static void a_product_is_timed_on_the_backend_that_a_run_takes(void **state) {
    (void)state;
    char says[TEXT];
    int side;
    double gflops;
    assert_int_equal(ask_of_tiny("check", "--machine --backend reference", says, sizeof says), 0);
    assert_null(strstr(says, " product: "));
    if (!bl_test_has_backend("onednn")) skip();
    assert_int_equal(ask_of_tiny("check", "--machine", says, sizeof says), 0);
    const char *line = strstr(says, "  f32 product: ");
    assert_true(line && sscanf(line, " f32 product: %lf GFLOP/s (%d x", &gflops, &side) == 2 && gflops > 0 && side >= 512);
    bl_test_holds(line, "  bf16 product: "); // or why there is none
}

static void a_backend_that_cannot_be_used_is_told_with_those_that_can(void **state) {
    (void)state;
    char says[TEXT], expected[512], can[256] = "";
    for (const char *const *name = bl_backend_names(); *name; name++)
        snprintf(can + strlen(can), sizeof can - strlen(can), "%s%s", *can ? ", " : "", *name);
    assert_int_equal(ask_of_tiny("compare", "--backends reference,abacus", says, sizeof says), 1);
    snprintf(expected, sizeof expected, "byolab compare: backend 'abacus' does not exist; this program has %s: choose one with --backend\n", can);
    bl_test_holds(says, expected);
    assert_int_equal(ask_of_tiny("run", "--backend abacus", says, sizeof says), 1);
    assert_string_equal(says, "byolab run: --set machine.backend=abacus: machine.backend: no choice is called abacus\n"
                              "    --set machine.backend=abacus\n"
                              "                          ^\n"
                              "  write one of onednn, reference, cudnn\n");
    for (const char *const *name = bl_backend_known(); *name; name++) {
        char options[64];
        if (bl_backend_present(*name)) continue;
        snprintf(options, sizeof options, "--backend %s", *name);
        assert_int_equal(ask_of_tiny("bench", options, says, sizeof says), 1);
        snprintf(expected, sizeof expected, "backend '%s' was not built; this program has %s: choose one with --backend\n", *name, can);
        bl_test_holds(says, expected);
    }
}

static void a_step_says_what_memory_it_needs_before_anything_runs(void **state) {
    (void)state;
    char says[TEXT];
    if (!bl_test_has_backend("onednn")) skip();
    assert_int_equal(ask_of_tiny("check", "--memory --backend onednn", says, sizeof says), 0);
    bl_test_holds(says, "    a step needs 0.");
    bl_test_holds(says, " GiB: activations and workspace 0.");
    bl_test_holds(says, " are free beside the last\n");
    assert_int_equal(ask_of_tiny("check", "--memory --backend onednn --set train.accumulate=2", says, sizeof says), 0);
    bl_test_holds(says, "    a micro step needs 0.");

    const char *much = "--backend onednn --set network.encoder=resnet50 --set network.width=64 --set data.train=65536 --set train.batch=65536 "
                       "--set train.accumulate=1";
    char options[512];
    for (int runs = 0; runs < 2; runs++) { // the run says the same
        snprintf(options, sizeof options, runs ? "%s --results '%s/results'" : "%s --memory", much, bl_test_here());
        assert_int_equal(ask_of_tiny(runs ? "run" : "check", options, says, sizeof says), 1);
        bl_test_holds(says, "out of memory on this machine: this plan needs ");
        bl_test_holds(says, " would fit, or train.batch ");
    }
}

static int count_of(const char *text, char sign) {
    int count = 0;
    for (; *text; text++) count += *text == sign;
    return count;
}

static void a_bench_for_scripts_is_a_header_and_one_row(void **state) {
    (void)state;
    char says[TEXT];
    assert_int_equal(ask_of_tiny("bench", "--backend reference --steps 1 --brief --csv", says, sizeof says), 0);
    char *row = strchr(says, '\n');
    assert_int_equal(count_of(says, '\n'), 2);
    *row++ = '\0';
    assert_int_equal(count_of(says, ','), count_of(row, ','));
    bl_test_holds(says, "backend,precision,batch,threads,images_per_second_median,");
    if (strncmp(row, "reference,f32,4,1,", 18)) fail_msg("%s", row);
    assert_true(atof(row + 18) > 0);
}

static void a_plan_says_what_it_cannot_know_and_how_long_the_rest_takes(void **state) {
    (void)state;
    char says[TEXT];
    assert_int_equal(ask_of_tiny("plan", "--backend reference --points 0", says, sizeof says), 2);
    bl_test_holds(says, "--points 0: write a difference in points, such as 1.5");
    assert_int_equal(ask_of_tiny("plan", "--backend reference --brief", says, sizeof says), 0);
    bl_test_holds(says, "there is no spread to tell seeds from: no two seeds of ");
    assert_null(strstr(says, "Hours"));
    assert_int_equal(ask_of_tiny("plan", "--backend reference", says, sizeof says), 0);
    bl_test_holds(says, "Hours on this machine (reference, 1 thread), estimated from steps timed just now");
}

// Whether the machine is quiet is not this test's to say: a row is there, or the reason why there is none.
static void a_bench_records_a_quiet_machine_and_no_other(void **state) {
    (void)state;
    char says[TEXT], options[1024], path[512];
    void *record;
    size_t bytes;
    snprintf(path, sizeof path, "%s/record.csv", bl_test_here());
    snprintf(options, sizeof options, "--backend reference --steps 1 --brief --record '%s'", path);
    if (ask_of_tiny("bench", options, says, sizeof says)) {
        bl_test_holds(says, "the machine was not quiet but ");
        assert_false(bl_file_exists(path));
    } else {
        assert_ok(bl_read_file(path, &record, &bytes));
        assert_int_equal(count_of(record, '\n'), 2);
        bl_test_holds(record, ",\"tiny\",\"main\",\"training\",\"f32\",4,");
        bl_free(record);
    }
    assert_int_equal(ask_of_tiny("bench", "--record x.csv --turns", says, sizeof says), 2);
    bl_test_holds(says, "leave out --turns");
    assert_int_equal(ask_of_tiny("bench", "--backend reference --steps 1 --brief", says, sizeof says), 0);
    assert_int_equal(strncmp(says, "machine: ", 9), 0);
}

static void a_bench_of_the_plan_has_a_row_a_node(void **state) {
    (void)state;
    char *says = malloc(1 << 18);
    const char *backend = bl_test_has_backend("onednn") ? "onednn" : "reference";
    char options[64];
    snprintf(options, sizeof options, "--backend %s --steps 1 --plan", backend);
    if (ask_of_tiny("bench", options, says, 1 << 18)) fail_msg("%s", says);
    bl_test_holds(says, "views: ");
    bl_test_holds(says, " on 2\n"); // and all loader threads
    const char *table = strstr(says, "\nnode ");
    assert_non_null(table);
    bl_test_holds(table, "workspace MiB  implementation\n");
    for (const char *const *node = (const char *const[]){"\nonline/conv1 ", "\ntarget/layer4.1.bn2 ", "\nloss ", NULL}; *node; node++)
        bl_test_holds(table, *node);
    assert_true(count_of(table, '\n') > 200); // forward twice, backward, and what each segment adds
    free(says);
    assert_int_equal(ask_of_tiny("bench", "--plan --csv", options, sizeof options), 2);
}

// stdin of the program is the lines of a file that is made here.
static void a_bench_in_turns_times_the_steps_once_a_line(void **state) {
    (void)state;
    char says[TEXT], options[1024], path[512];
    double first, second;
    snprintf(path, sizeof path, "%s/turns", bl_test_here());
    assert_ok(bl_atomic_write(path, "\n\n", 2));
    snprintf(options, sizeof options, "--backend reference --steps 1 --brief --turns <'%s'", path);
    assert_int_equal(ask_of_tiny("bench", options, says, sizeof says), 0);
    assert_int_equal(sscanf(says, "ready %lf %lf reference", &first, &second), 2);
    assert_true(first > 0 && second > 0);
    assert_int_equal(ask_of_tiny("bench", "--backend reference --steps 1 --brief --turns </dev/null", says, sizeof says), 1);
    bl_test_holds(says, "no turn was taken");
}

// Three speeds and two parts, whatever they are; and the processes that made the load have ended.
static void a_bench_beside_loads_ends_them(void **state) {
    (void)state;
    char says[TEXT];
    double quiet, busy, spinning, part[2];
    assert_int_equal(ask_of_tiny("bench", "--backend reference --steps 1 --contended", says, sizeof says), 0);
    const char *table = strstr(says, "reference, f32, batch 4, 1 thread: images/s");
    assert_non_null(table);
    assert_int_equal(sscanf(strchr(table, '\n'), " beside nothing %lf beside one busy loop a core %lf %lf beside one OpenMP job, nice 10 %lf %lf",
                            &quiet, &busy, &part[0], &spinning, &part[1]), 5);
    assert_true(quiet > 0 && busy > 0 && spinning > 0 && part[0] > 0 && part[1] > 0);
    assert_int_equal(ask_of_tiny("bench", "--contended --csv", says, sizeof says), 2);
    bl_test_holds(says, "leave out --csv");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_takes_its_own_options_and_no_others),
        cmocka_unit_test(an_arm_whose_file_is_wrong_is_refused_before_anything_is_trained),
        cmocka_unit_test(every_backend_has_a_block_and_one_that_is_not_there_says_why),
        cmocka_unit_test(a_machine_uses_no_more_than_the_instruction_set_it_is_held_to),
        cmocka_unit_test(a_product_is_timed_on_the_backend_that_a_run_takes),
        cmocka_unit_test(a_backend_that_cannot_be_used_is_told_with_those_that_can),
        cmocka_unit_test(a_step_says_what_memory_it_needs_before_anything_runs),
        cmocka_unit_test(a_plan_says_what_it_cannot_know_and_how_long_the_rest_takes),
        cmocka_unit_test(a_bench_for_scripts_is_a_header_and_one_row),
        cmocka_unit_test(a_bench_records_a_quiet_machine_and_no_other),
        cmocka_unit_test(a_bench_of_the_plan_has_a_row_a_node),
        cmocka_unit_test(a_bench_in_turns_times_the_steps_once_a_line),
        cmocka_unit_test(a_bench_beside_loads_ends_them),
    };
    return cmocka_run_group_tests(tests, NULL, bl_test_leave);
}
