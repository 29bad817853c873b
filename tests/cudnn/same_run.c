// Whether two run files hold the same run: every data set but /timing, /host, and the resolved file, which names the machine's settings.
//
//     same_run A.h5 B.h5

#include "run_rig.h"

static const char *files[2];

static void the_runs_are_equal(void **state) {
    (void)state;
    assert_same_run_but(files[0], files[1], "manifest/resolved");
}

int main(int argc, char **argv) {
    if (argc != 3) return fputs("same_run A.h5 B.h5\n", stderr), EXIT_FAILURE;
    files[0] = argv[1];
    files[1] = argv[2];
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_runs_are_equal)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
