// Label efficiency: how many labels one arm saves another, as the report tells it.

#include "report/resolution.h"
#include "report_rig.h"

static void shares_are_read_between_points_on_a_logarithmic_axis(void **state) {
    (void)state;
    const double shares[] = {1, 10, 100}, rising[] = {20, 40, 60}, early[] = {50, 55, 60}, falling[] = {30, 50, 45};
    const struct {
        const double *values;
        double target, share; // NaN: never
    } cases[] = {{rising, 30, 3.16227766016838}, {rising, 40, 10}, {rising, 45, 17.7827941003892}, {rising, 60, 100}, {rising, 61, NAN},
                 {rising, 20, 1},                {early, 10, 1},   {falling, 48, 7.94328234724281}, {falling, 51, NAN}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const double share = bl_share_reaching(shares, cases[i].values, 3, cases[i].target);
        if (isnan(cases[i].share)) assert_true(isnan(share));
        else if (cases[i].share == 10) assert_true(share == 10); // a point itself, to the last bit
        else assert_true(fabs(share - cases[i].share) < 1e-12 * cases[i].share);
    }
}

static void label_efficiency_says_how_many_labels_one_arm_saves(void **state) {
    fixture *here = *state;
    label_fixture labels;
    make_label_study(here, &labels);
    // The pretrained arm reaches the other's 100 % at 10^0.5, 10 and 10^1.5 percent: 10 in the geometric mean.
    leave_label_run(here, 0, 0, (const double[]){20, 40, 60, 10, 20, 30});
    leave_label_run(here, 0, 1, (const double[]){20, 40, 60, 10, 20, 40});
    leave_label_run(here, 0, 7, (const double[]){20, 40, 60, 10, 20, 50});
    char *summary = report_of(here);
    bl_test_holds(summary, "## Label efficiency: fine-tuning, test\n\n| labels (images) | pretrained | random | difference |\n|---:|---:|---:|---:|\n"
                          "| 1 % (5) | 20.0 ± 0.0 | 10.0 ± 0.0 | +10.0 (no spread) |\n");
    bl_test_holds(summary, "| 100 % (500) | 60.0 ± 0.0 | 40.0 ± 24.8 | +20.0 ± 24.8 (inconclusive) |\n");
    bl_test_holds(summary, "| pretrained | random | 3 | 10 % (50) | 0.573 % to 100 % |\n");
    bl_test_holds(summary, "| random | pretrained | 3 | never | - |\n");
    bl_test_holds(summary, "| main | - | 3 | - | - | - | - | - |\n"); // no line a share in the table of results
    assert_written(here, "labels.csv", "\"finetune/pretrained/test\",\"finetune\",\"pretrained\",\"main\",10,50,3,40,0,40,40,0\n");
    assert_written(here, "labels_needed.csv", "\"finetune/random/test\",\"random\",\"main\",\"pretrained\",\"main\",3,0,0,,,,\n");
    free(summary);
}

// Differences of arms of 1, 2 and 3 points at 1 %, of 10 each at 10 %, of 10, 20 and 30 with all labels: sd 1, none, 10.
static void a_pilot_tells_which_differences_seeds_resolve(void **state) {
    fixture *here = *state;
    label_fixture labels;
    bl_study study;
    bl_text table = {0};
    make_label_study(here, &labels);
    leave_label_run(here, 0, 0, (const double[]){21, 40, 60, 20, 30, 50});
    leave_label_run(here, 0, 1, (const double[]){22, 41, 60, 20, 31, 40});
    leave_label_run(here, 0, 7, (const double[]){23, 42, 60, 20, 32, 30});
    assert_ok(bl_study_read(&study, &here->experiment, here->folder, false));
    bl_resolution_table(&study, 8, 1, &table);
    bl_test_holds(table.chars, "finetune/test, 1 %: pretrained - random ");
    bl_test_holds(table.chars, "     3    1.00           0.84               7\n"); // 2.3646 / sqrt 8; 2.4469 / sqrt 7 = 0.92, 2.5706 / sqrt 6 = 1.05
    bl_test_holds(table.chars, "     3 no spread\n");
    bl_test_holds(table.chars, "     3   10.00           8.36             387\n");
    bl_text_free(&table);
    bl_study_free(&study);
}

static void an_arm_that_not_every_seed_reaches_has_no_mean_share(void **state) {
    fixture *here = *state;
    label_fixture labels;
    make_label_study(here, &labels);
    leave_label_run(here, 0, 0, (const double[]){20, 40, 60, 10, 20, 30});
    leave_label_run(here, 0, 1, (const double[]){20, 40, 60, 10, 20, 61});
    char *summary = report_of(here);
    bl_test_holds(summary, "| pretrained | random | 2 | in 1 of 2 seeds alone | - |\n");
    free(summary);
    leave_label_run(here, 0, 1, (const double[]){32, 40, 60, 10, 20, 31}); // with fewer labels than were tried
    leave_label_run(here, 0, 0, (const double[]){31, 40, 60, 10, 20, 30});
    summary = report_of(here);
    bl_test_holds(summary, "| pretrained | random | 2 | 1 % (5) or less | - |\n");
    assert_written(here, "labels_needed.csv", "\"pretrained\",\"main\",\"random\",\"main\",2,2,2,1,,,5\n");
    free(summary);
}

// One seed needs 10 %, the other 1 % or less: their mean is a bound, and no interval is known.
static void a_seed_that_is_there_with_its_smallest_share_leaves_no_interval(void **state) {
    fixture *here = *state;
    label_fixture labels;
    make_label_study(here, &labels);
    leave_label_run(here, 0, 0, (const double[]){20, 30, 60, 10, 20, 30});
    leave_label_run(here, 0, 1, (const double[]){32, 40, 60, 10, 20, 31});
    char *summary = report_of(here);
    bl_test_holds(summary, "| pretrained | random | 2 | 3.16 % (16) or less | none: 1 of 2 seeds with the smallest share |\n");
    assert_written(here, "labels_needed.csv", "\"pretrained\",\"main\",\"random\",\"main\",2,2,1,3.162278,,,16\n");
    free(summary);
}

static void across_cells_an_arm_is_matched_to_itself_alone(void **state) {
    fixture *here = *state;
    label_fixture labels;
    bl_cell cells[2];
    const double values[] = {20, 40, 60, 10, 20, 40};
    make_label_study(here, &labels);
    cells[0] = cells[1] = labels.cell;
    cells[1].name = "other";
    here->experiment.cells = cells;
    here->experiment.cell_count = 2;
    leave_label_run(here, 0, 0, values);
    leave_label_run(here, 1, 0, values);
    free(report_of(here));
    char *table = written_text(here, "labels_needed.csv");
    int lines = 0;
    for (const char *c = table; *c; c++) lines += *c == '\n';
    assert_int_equal(lines, 1 + 2 * 2 + 2 * 2); // two arms in each of two cells, two cells for each of two arms
    bl_test_holds(table, "\"pretrained\",\"main\",\"random\",\"main\",1,1,0,10,,,50\n");
    bl_test_holds(table, "\"pretrained\",\"main\",\"pretrained\",\"other\",1,1,0,100,,,500\n");
    free(table);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_are_read_between_points_on_a_logarithmic_axis),
        cmocka_unit_test_setup_teardown(label_efficiency_says_how_many_labels_one_arm_saves, open_study, close_study),
        cmocka_unit_test_setup_teardown(across_cells_an_arm_is_matched_to_itself_alone, open_study, close_study),
        cmocka_unit_test_setup_teardown(a_seed_that_is_there_with_its_smallest_share_leaves_no_interval, open_study, close_study),
        cmocka_unit_test_setup_teardown(a_pilot_tells_which_differences_seeds_resolve, open_study, close_study),
        cmocka_unit_test_setup_teardown(an_arm_that_not_every_seed_reaches_has_no_mean_share, open_study, close_study),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
