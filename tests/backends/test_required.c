// Backends that must be there: where one is not, what would have used it is not skipped. This program starts itself (and a test of
// oneDNN) on the libraries of <build>/without_cudnn, where no oneDNN was built and cuDNN's module lacks its library.

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "support.h"

static int start(const char *program, const char *required, const char *named, const char *asks, char *says, size_t size) {
    char line[4096];
    snprintf(line, sizeof line, "LD_LIBRARY_PATH='%s/without_cudnn' BYOLAB_TEST_REQUIRED='%s' BYOLAB_TEST_BACKEND='%s' '%s/tests/%s' %s 2>&1",
             bl_test_build(), required, named, bl_test_build(), program, asks);
    FILE *output = popen(line, "r");
    assert_non_null(output);
    says[fread(says, 1, size - 1, output)] = '\0';
    return WEXITSTATUS(pclose(output));
}

static void what_would_have_used_a_backend_that_must_be_there_fails(void **state) {
    (void)state;
    static const struct {
        const char *required, *asks, *says; // NULL: it is left out, and that is all
    } cases[] = {
        {"", "backends", NULL},
        {"", "whether", NULL},
        {"", "any", NULL},
        {"reference", "backends", NULL},
        {"onednn", "backends", "BYOLAB_TEST_REQUIRED asks for backend 'onednn', which was not built"},
        {"onednn", "whether", "BYOLAB_TEST_REQUIRED asks for backend 'onednn', which was not built"},
        {"onednn", "any", "BYOLAB_TEST_REQUIRED asks for backend 'onednn', which was not built"},
        {"reference,onednn", "any", "BYOLAB_TEST_REQUIRED asks for backend 'onednn', which was not built"},
        {"cudnn", "backends", "BYOLAB_TEST_REQUIRED asks for backend 'cudnn', which does not open: backend 'cudnn' needs libcudnn_absent"},
        {"onednm", "backends", "BYOLAB_TEST_REQUIRED: there is no backend 'onednm'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char says[4096];
        const int status = start("test_required", cases[i].required, "", cases[i].asks, says, sizeof says);
        if (!status != !cases[i].says) fail_msg("'%s', %s: exit status %d\n%s", cases[i].required, cases[i].asks, status, says);
        bl_test_holds(says, cases[i].says ? cases[i].says : "reference");
    }
}

static void where_one_is_named_no_other_is_asked_for(void **state) {
    (void)state;
    char says[4096];
    for (const char *const *asks = (const char *const[]){"backends", "any", NULL}; *asks; asks++) {
        assert_int_equal(start("test_required", "onednn", "reference", *asks, says, sizeof says), 0);
        assert_string_equal(says, "reference\n");
    }
}

static void a_test_of_onednn_is_skipped_without_it_and_fails_where_it_must_be_there(void **state) {
    (void)state;
    char says[4096];
    assert_int_equal(start("test_onednn", "", "", "", says, sizeof says), 77);
    const int status = start("test_onednn", "onednn", "", "", says, sizeof says);
    assert_true(status != 0 && status != 77);
    bl_test_holds(says, "'onednn', which was not built");
}

// What a test asks: the backends to hold against the reference, whether oneDNN is there, any backend for a run.
static int ask(const char *what) {
    if (!strcmp(what, "backends"))
        for (const char *const *name = bl_test_backends(); *name; name++) puts(*name);
    if (!strcmp(what, "whether")) puts(bl_test_has_backend("onednn") ? "onednn" : "reference");
    if (!strcmp(what, "any")) puts(bl_test_backend());
    return 0;
}

int main(int argc, char **argv) {
    if (argc > 1) return ask(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_would_have_used_a_backend_that_must_be_there_fails),
        cmocka_unit_test(where_one_is_named_no_other_is_asked_for),
        cmocka_unit_test(a_test_of_onednn_is_skipped_without_it_and_fails_where_it_must_be_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
