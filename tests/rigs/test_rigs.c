// Rigs are there to be combined: all that run on the CPU, in one test file.

#include "asynchronous.h"
#include "encoder_file.h"
#include "evaluate_rig.h"
#include "experiment_rig.h"
#include "golden_marks.h"
#include "golden_spread.h"
#include "graph_rig.h"
#include "operator_cases.h"
#include "report_rig.h"
#include "run_rig.h"
#include "scenes_rig.h"
#include "segmentation_rig.h"
#include "step_rig.h"
#include "svg_rig.h"

static void forget(void) {}

static void rigs_of_one_test_share_its_folder(void **state) {
    (void)state;
    char *recipe = joined(bl_test_here(), "recipe.yaml"), *first = strdup(bl_test_here());
    write_recipe(minimal);                                                      // by the rig of runs,
    bl_experiment *experiment = read_text("base: recipe.yaml\nreport: {title: shared}\n"); // found by that of experiments
    assert_string_equal(experiment->title, "shared");
    bl_experiment_free(experiment);
    bl_test_leave(state);
    assert_false(bl_file_exists(recipe));
    assert_string_not_equal(bl_test_here(), first);
    free(recipe);
    free(first);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(rigs_of_one_test_share_its_folder)};
    return cmocka_run_group_tests(tests, set_environment, bl_test_leave);
}
