// The figures of a report: what stands in them, and how often.

#include "report_rig.h"

static void figure_shows_each_cell_with_the_published_points_and_raw_pixels(void **state) {
    fixture *here = *state;
    if (!has_gnuplot()) skip();
    here->experiment.title = "A study's figure & title";
    here->expectations[0] = (bl_expectation){.row = ROW, .cell = "byol", .epoch = 2, .value = 71.5};
    here->experiment.expectation_count = 1;
    leave_all_runs(here);
    free(report_of(here));
    const char *parts[] = {">byol</text>", ">no_stop_gradient</text>", ">published</text>", ">raw pixels</text>",
                           ">95 % interval, seeds</text>", "study's figure &amp; title", ">finished epochs</text>",
                           ">k-NN accuracy (%)</text>", ">std ratio</text>"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) assert_written(here, "curves.svg", parts[i]);
}

static void many_cells_have_bars_and_shares_have_a_figure_of_their_own(void **state) {
    fixture *here = *state;
    bl_cell cells[4];
    label_fixture labels;
    if (!has_gnuplot()) skip();
    const char *names[] = {"ema", "online", "no_predictor", "it's_frozen"};
    for (int c = 0; c < 4; c++) {
        cells[c] = here->cells[0];
        cells[c].name = names[c];
    }
    here->experiment.cells = cells;
    here->experiment.cell_count = 4;
    here->expectations[0] = (bl_expectation){.row = ROW, .cell = "ema", .epoch = 2, .value = 2.9, .low = .3, .high = 5.5, .context = true};
    here->experiment.expectation_count = 1;
    for (int c = 0; c < 4; c++)
        for (int i = 0; i < 2; i++) {
            run_case run = all_runs[i];
            run.cell = c;
            run.verdict = c == 1 ? BL_COLLAPSED : BL_HEALTHY;
            leave_run(here, &run);
        }
    free(report_of(here));
    const char *parts[] = {">ema</text>", ">it's_frozen</text>", ">72.0</text>", ">collapsed</text>", ">95 % interval, seeds</text>",
                           ">published, other set-up</text>"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) assert_written(here, "bars.svg", parts[i]);
    assert_written(here, "curves.svg", ">effective rank of the projection (centred)</text>");
    assert_false(is_there(here, "labels.svg"));

    // The study shrinks: what is not drawn now does not stay behind.
    here->experiment.expectation_count = 0;
    make_label_study(here, &labels);
    leave_label_run(here, 0, 0, (const double[]){20, 40, 60, 10, 20, 30});
    leave_label_run(here, 0, 1, (const double[]){22, 40, 61, 11, 24, 35});
    free(report_of(here));
    const char *label_parts[] = {">pretrained</text>", ">random</text>", ">10 %</text>", ">50</text>", ">fine-tuning, test</text>"};
    for (size_t i = 0; i < sizeof label_parts / sizeof *label_parts; i++) assert_written(here, "labels.svg", label_parts[i]);
    assert_false(is_there(here, "bars.svg") || is_there(here, "bars.gp") || is_there(here, "curves.svg"));
}

static void shares_that_lie_close_have_bands_for_intervals(void **state) {
    fixture *here = *state;
    label_fixture labels;
    static const double close[] = {1, 95, 100};
    make_label_study(here, &labels);
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < LABEL_ROWS && pass == 1; i++) {
            labels.rows[i].fit.share = close[i % SHARES];
            snprintf(labels.names[i], sizeof labels.names[i], "finetune/%s/%g%%/test", labels.rows[i].fit.arm.name, close[i % SHARES]);
        }
        leave_label_run(here, 0, 0, (const double[]){20, 40, 60, 10, 20, 30});
        leave_label_run(here, 0, 1, (const double[]){22, 40, 61, 11, 24, 35});
        free(report_of(here));
        assert_written(here, "labels.gp", pass ? ":($10 < 0 ? 0 : $10):($11 > 100 ? 100 : $11) with filledcurves" : "with vectors heads");
        assert_written(here, "labels.gp", pass ? "set xtics (\"1 %%\\n5\" 1, \"\" 95, \"100 %%\\n500\" 100)"
                                               : "set xtics (\"1 %%\\n5\" 1, \"10 %%\\n50\" 10, \"100 %%\\n500\" 100)");
    }
}

static int count_of(fixture *here, const char *name, const char *part) {
    int count = 0;
    char *text = written_text(here, name);
    for (const char *at = text; (at = strstr(at, part)); at++) count++;
    free(text);
    return count;
}

static void published_figures_that_name_no_cell_are_drawn_once_each(void **state) {
    fixture *here = *state;
    static const char circle[] = "<use xlink:href='#gpPt5' transform"; // pt 6
    if (!has_gnuplot()) skip();
    leave_all_runs(here);
    free(report_of(here));
    assert_int_equal(count_of(here, "curves.svg", circle), 0);
    here->expectations[0] = (bl_expectation){.row = ROW, .epoch = 1, .value = 60};
    here->expectations[1] = (bl_expectation){.row = ROW, .epoch = 2, .value = 71.5};
    here->expectations[2] = (bl_expectation){.row = ROW, .cell = "byol", .epoch = 2, .value = 68};
    here->experiment.expectation_count = 3;
    free(report_of(here));
    assert_int_equal(count_of(here, "curves.svg", circle), 3 + 1); // and one in the legend
}

static void a_flat_curve_has_ticks_that_leave_room_for_the_title(void **state) {
    fixture *here = *state;
    const run_case flat = {.cell = 0, .seed = 0, .accuracy = {12.55, 12.55, 12.55}}, full = {.cell = 0, .seed = 0, .accuracy = {100, 100, 100}};
    here->evaluations[1].row = "pixels/other"; // which would widen the axis
    leave_run(here, &flat);
    free(report_of(here));
    assert_written(here, "curves.gp", "set yrange [0<*<11.55:13.55<*<100]\n");
    if (!has_gnuplot()) skip();
    assert_int_equal(count_of(here, "curves.svg", ">12.55<"), 0);
    leave_run(here, &full);
    free(report_of(here));
    assert_written(here, "curves.svg", ">99.5</text>");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(many_cells_have_bars_and_shares_have_a_figure_of_their_own, open_study, close_study),
        cmocka_unit_test_setup_teardown(figure_shows_each_cell_with_the_published_points_and_raw_pixels, open_study, close_study),
        cmocka_unit_test_setup_teardown(shares_that_lie_close_have_bands_for_intervals, open_study, close_study),
        cmocka_unit_test_setup_teardown(published_figures_that_name_no_cell_are_drawn_once_each, open_study, close_study),
        cmocka_unit_test_setup_teardown(a_flat_curve_has_ticks_that_leave_room_for_the_title, open_study, close_study),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
