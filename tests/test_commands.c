// The program from outside: what each command takes, and what is said of a mistake before any work begins.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "backends/backend.h"
#include "base/file.h"
#include "support.h"

enum { TEXT = 8192 };
static char *folder;

static int set_up(void **state) {
    (void)state;
    folder = bl_test_folder();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    bl_test_folder_remove(folder);
    return 0;
}

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
        {"export run.h5 --seeds 0", "no such option --seeds", NULL},
        {"import e.safetensors --backend reference", "no such option --backend", NULL},
        {"export --help", "--what encoder", "--seeds"},
        {"import --help", "--cell NAME", "--seeds"},
        {"run --help", "--seeds LIST", "--brief"},
    };
    char says[TEXT];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(bl_test_byolab(cases[i].words, says, sizeof says), cases[i].absent ? 0 : 1);
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
    snprintf(missing, sizeof missing, "%s/nothing.h5", folder);
    snprintf(file, sizeof file, "%s/tiny.yaml", folder);
    const struct {
        const char *kind, *path, *keep;
        int check;
        const char *says;
    } cases[] = {
        {"run", missing, "", 1, "tiny.yaml:7:77: "},
        {"run", encoder, "", 0, encoder}, // no run file
        {"weights", encoder, "", 0, "its weights saw images of mean"},
        {"weights", encoder, ", preprocessing: keep", 0, "the experiment's network has"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(text, sizeof text, recipe, bl_backend_present("onednn") ? "onednn" : "reference", cases[i].kind, cases[i].path,
                 cases[i].keep);
        assert_ok(bl_atomic_write(file, text, strlen(text)));
        snprintf(words, sizeof words, "check '%s'", file);
        if (bl_test_byolab(words, says, sizeof says) != cases[i].check) fail_msg("%s", says);
        if (cases[i].check) bl_test_holds(says, cases[i].says);
        bl_test_holds(says, "1 cell x 1 seed,");
        snprintf(words, sizeof words, "run '%s' --results '%s/results'", file, folder);
        assert_int_equal(bl_test_byolab(words, says, sizeof says), 1);
        bl_test_holds(says, cases[i].says);
        assert_null(strstr(says, " steps, 1 epoch")); // nothing began
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_takes_its_own_options_and_no_others),
        cmocka_unit_test(an_arm_whose_file_is_wrong_is_refused_before_anything_is_trained),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
