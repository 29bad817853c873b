// What a backend needs and this machine has not: the program starts all the same, and says what to do.

#include <stdio.h>
#include <stdlib.h>

#include "support.h"

static void a_library_that_is_not_found_is_named_with_what_to_install(void **state) {
    (void)state;
    char says[4096];
    char folder[4096];
    snprintf(folder, sizeof folder, "%s/without_cudnn", bl_test_build());
    setenv("LD_LIBRARY_PATH", folder, 1);
    assert_int_equal(bl_test_byolab("check --machine", says, sizeof says), 0);
    unsetenv("LD_LIBRARY_PATH");
    bl_test_holds(says, "arithmetic: f64"); // reference goes on
    bl_test_holds(says, "backend 'cudnn' needs libcudnn_absent.so.9, which is not found; install cuDNN 9 or name its folder in LD_LIBRARY_PATH");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_library_that_is_not_found_is_named_with_what_to_install)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
