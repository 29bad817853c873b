// The figures of a report, judged by what a reader sees: curves, bars, intervals and published points where their values belong on the
// axes, in the colour that the legend names, and every word on the page.

#include "report_rig.h"
#include "svg_rig.h"

#define ACCURACY "k-NN accuracy (%)"

enum { ROOM = 2 }; // pixels by which a place may be off

static const svg_figure *figure_of(fixture *here, const char *name) {
    char *text = written_text(here, name);
    const svg_figure *figure = svg_read(text);
    free(text);
    svg_assert_page(figure);
    return figure;
}

static bool is_near(svg_point point, double x, double y) { return fabs(point.x - x) <= ROOM && fabs(point.y - y) <= ROOM; }

// A line through these points and no other, in the colour of that word in the legend.
static void assert_curve(const svg_figure *figure, const char *word, const svg_axis *axis, const double *x, const double *values, int count) {
    const unsigned colour = svg_sample(figure, word, SVG_LINE)->colour;
    for (int i = 0; i < figure->count; i++) {
        const svg_item *line = &figure->items[i];
        bool is_it = line->kind == SVG_LINE && line->colour == colour && line->count == count;
        for (int p = 0; p < count && is_it; p++) is_it = is_near(line->points[p], x[p], svg_pixel(axis, values[p]));
        if (is_it) return;
    }
    fail_msg("no curve of %s through %g, ..., %g", word, values[0], values[count - 1]);
}

// Where an area or a line of that colour ends above and below a place.
static bool reaches(const svg_figure *figure, svg_kind kind, unsigned colour, double x, double low, double high) {
    bool is_low = false, is_high = false;
    for (int i = 0; i < figure->count; i++) {
        const svg_item *item = &figure->items[i];
        for (int p = 0; p < item->count && item->kind == kind && item->colour == colour; p++) {
            is_low = is_low || is_near(item->points[p], x, low);
            is_high = is_high || is_near(item->points[p], x, high);
        }
    }
    return is_low && is_high;
}

// Markers that look like the one beside that word, inside the panel: left of its legend.
static int markers_like(const svg_figure *figure, const char *word, svg_point found[], int most) {
    const svg_item *sample = svg_sample(figure, word, SVG_MARKER);
    int count = 0;
    for (int i = 0; i < figure->count; i++)
        if (figure->items[i].kind == SVG_MARKER && &figure->items[i] != sample && !strcmp(figure->items[i].text, sample->text) && count < most)
            found[count++] = *figure->items[i].points;
    return count;
}

static void assert_marked(const svg_point *found, int count, double x, double y) {
    for (int i = 0; i < count; i++)
        if (is_near(found[i], x, y)) return;
    fail_msg("no marker at (%g, %g)", x, y);
}

// The 95 % interval of a mean of two or three runs reaches this many standard deviations of theirs to either side: t / sqrt(n).
static const double reach_of_two = 12.7062 / 1.41421, reach_of_three = 4.30265 / 1.73205;

static void curves_lie_where_their_values_are_with_intervals_published_points_and_raw_pixels(void **state) {
    fixture *here = *state;
    if (!has_gnuplot()) skip();
    here->experiment.title = "A study's figure & title";
    here->expectations[0] = (bl_expectation){.row = ROW, .cell = "byol", .epoch = 2, .value = 71.5};
    here->experiment.expectation_count = 1;
    leave_all_runs(here);
    free(report_of(here));
    const svg_figure *figure = figure_of(here, "curves.svg");
    const svg_axis accuracy = svg_y_axis(figure, ACCURACY), ratio = svg_y_axis(figure, "std ratio"), epochs = svg_x_axis(figure);
    const double x[] = {svg_pixel(&epochs, 0), svg_pixel(&epochs, 1), svg_pixel(&epochs, 2)};
    assert_true(svg_text(figure, "A study's figure & title")->points->y < svg_text(figure, "k = 1, 5-fold inside test")->points->y);
    assert_true(svg_text(figure, "finished epochs")->points->y > svg_text(figure, "std ratio")->points->y);

    assert_curve(figure, "byol", &accuracy, x, (const double[]){30, 52, 72}, 3);
    assert_curve(figure, "no_stop_gradient", &accuracy, x, (const double[]){30, 52, 42}, 3);
    const unsigned byol = svg_sample(figure, "byol", SVG_LINE)->colour;
    assert_int_not_equal(byol, svg_sample(figure, "no_stop_gradient", SVG_LINE)->colour);
    for (int epoch = 0; epoch <= 2; epoch++) { // 29, 30, 31; 50, 52, 54; 70, 72, 74
        const double mean = (const double[]){30, 52, 72}[epoch], away = (epoch ? 2 : 1) * reach_of_three;
        if (!reaches(figure, SVG_AREA, byol, x[epoch], svg_pixel(&accuracy, mean - away), svg_pixel(&accuracy, mean + away)))
            fail_msg("no band from %g to %g at epoch %d", mean - away, mean + away, epoch);
    }
    svg_sample(figure, "95 % interval, seeds", SVG_AREA);

    svg_point found[16];
    assert_int_equal(markers_like(figure, "published", found, 16), 1);
    assert_marked(found, 1, x[2], svg_pixel(&accuracy, 71.5));

    const svg_item *pixels = svg_sample(figure, "raw pixels", SVG_LINE);
    int lines = 0;
    for (int i = 0; i < figure->count; i++) {
        const svg_item *line = &figure->items[i];
        if (line == pixels || line->kind != SVG_LINE || !line->is_dashed) continue;
        assert_true(line->points[0].x <= x[0] && line->points[1].x >= x[2]);
        assert_true(fabs(svg_value(&accuracy, line->points[0].y) - 17) < .5 && line->points[0].y == line->points[1].y);
        lines++;
    }
    assert_true(pixels->is_dashed && lines > 0);

    const double halves[] = {x[0], svg_pixel(&epochs, .5), x[1], svg_pixel(&epochs, 1.5), x[2]};
    assert_curve(figure, "byol", &ratio, halves, (const double[]){1, 1. / 2, 1. / 3, 1. / 4, 1. / 5}, 5);
    assert_curve(figure, "no_stop_gradient", &ratio, halves, (const double[]){1, 1. / 2, 1. / 3, 1. / 4, 1. / 5}, 5);
}

static const svg_item *beside(const svg_figure *figure, const char *text, double y) {
    for (int i = 0; i < figure->count; i++)
        if (figure->items[i].kind == SVG_TEXT && !strcmp(figure->items[i].text, text) && fabs(figure->items[i].points->y - y) <= ROOM) return &figure->items[i];
    return NULL;
}

static void many_cells_have_bars_as_long_as_their_values(void **state) {
    fixture *here = *state;
    bl_cell cells[4];
    if (!has_gnuplot()) skip();
    static const char *const names[] = {"ema", "online", "no_predictor", "it's_frozen"};
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
            run.accuracy[2] -= 10 * c; // 70 and 74, 60 and 64, ...
            leave_run(here, &run);
        }
    free(report_of(here));
    assert_true(svg_find(figure_of(here, "curves.svg"), "effective rank of the projection (centred)"));
    assert_false(is_there(here, "labels.svg"));
    const svg_figure *figure = figure_of(here, "bars.svg");
    const svg_axis accuracy = svg_x_axis(figure);
    svg_text(figure, ACCURACY);
    for (int c = 0; c < 4; c++) {
        const double y = svg_text(figure, names[c])->points->y, mean = 72 - 10 * c, away = sqrt(8) * reach_of_two;
        const double low = fmax(mean - away, 0), high = fmin(mean + away, 100);
        char number[16];
        bool has_bar = false, has_interval = false;
        for (int i = 0; i < figure->count; i++) {
            const svg_item *item = &figure->items[i];
            double left = INFINITY, right = -INFINITY, top = INFINITY, bottom = -INFINITY;
            for (int p = 0; p < item->count; p++) {
                left = fmin(left, item->points[p].x), right = fmax(right, item->points[p].x);
                top = fmin(top, item->points[p].y), bottom = fmax(bottom, item->points[p].y);
            }
            if (top > y || bottom < y - 12) continue; // of another cell
            has_bar = has_bar || (item->kind == SVG_AREA && fabs(left - svg_pixel(&accuracy, 0)) <= ROOM && fabs(right - svg_pixel(&accuracy, mean)) <= ROOM);
            has_interval = has_interval || (item->kind == SVG_LINE && fabs(left - svg_pixel(&accuracy, low)) <= ROOM &&
                                            fabs(right - svg_pixel(&accuracy, high)) <= ROOM);
        }
        if (!has_bar || !has_interval) fail_msg("%s has %s to %g", names[c], has_bar ? "no interval" : "no bar", has_bar ? high : mean);
        snprintf(number, sizeof number, "%.1f", mean);
        const svg_item *written = beside(figure, number, y);
        assert_true(written && written->points->x > svg_pixel(&accuracy, high));
        assert_non_null(beside(figure, c == 1 ? "collapsed" : "healthy", y));
    }
    svg_sample(figure, "95 % interval, seeds", SVG_LINE);
    svg_point found[16];
    const double y = svg_text(figure, "ema")->points->y;
    assert_int_equal(markers_like(figure, "published, other set-up", found, 16), 2); // both ends of its range
    for (int i = 0; i < 2; i++) {
        assert_true(fabs(found[i].x - svg_pixel(&accuracy, i ? 5.5 : .3)) <= ROOM);
        assert_in_range(y - found[i].y, 0, 12);
    }
}

static void assert_label_curves(const svg_figure *figure, const char *const shares[SHARES]) {
    const svg_axis accuracy = svg_y_axis(figure, "accuracy (%)");
    static const char *const arms[] = {"pretrained", "random"};
    static const double means[ARMS][SHARES] = {{21, 40, 60.5}, {10.5, 22, 32.5}};
    for (int a = 0; a < ARMS; a++) {
        const unsigned colour = svg_sample(figure, arms[a], SVG_LINE)->colour;
        bool is_drawn = false;
        for (int i = 0; i < figure->count; i++) {
            const svg_item *line = &figure->items[i];
            bool is_it = line->kind == SVG_LINE && line->colour == colour && line->count == SHARES && line->points[0].x < line->points[1].x;
            for (int s = 0; s < SHARES && is_it; s++) {
                is_it = fabs(line->points[s].y - svg_pixel(&accuracy, means[a][s])) <= ROOM;
                // The arms of one share stand beside each other.
                if (is_it && shares[s]) is_it = fabs(line->points[s].x - svg_text(figure, shares[s])->points->x) <= 5;
            }
            is_drawn = is_drawn || is_it;
        }
        if (!is_drawn) fail_msg("no curve of %s", arms[a]);
    }
}

static void leave_label_runs(fixture *here) {
    leave_label_run(here, 0, 0, (const double[]){20, 40, 60, 10, 20, 30});
    leave_label_run(here, 0, 1, (const double[]){22, 40, 61, 11, 24, 35});
}

static void shares_have_a_figure_of_their_own_and_what_is_not_drawn_now_does_not_stay(void **state) {
    fixture *here = *state;
    label_fixture labels;
    if (!has_gnuplot()) skip();
    leave_all_runs(here);
    free(report_of(here));
    assert_true(is_there(here, "curves.svg"));
    make_label_study(here, &labels);
    leave_label_runs(here);
    free(report_of(here));
    const svg_figure *figure = figure_of(here, "labels.svg");
    static const char *const shares[SHARES] = {"1 %", "10 %", "100 %"}, *const images[SHARES] = {"5", "50", "500"};
    assert_label_curves(figure, shares);
    for (int s = 0; s < SHARES; s++) { // the images below their share
        const svg_point *share = svg_text(figure, shares[s])->points;
        bool is_below = false;
        for (int i = 0; i < figure->count; i++)
            is_below = is_below || (figure->items[i].kind == SVG_TEXT && !strcmp(figure->items[i].text, images[s]) &&
                                    figure->items[i].points->x == share->x && figure->items[i].points->y > share->y);
        if (!is_below) fail_msg("%s images do not stand below %s", images[s], shares[s]);
    }
    svg_text(figure, "fine-tuning, test");
    assert_false(is_there(here, "bars.svg") || is_there(here, "bars.gp") || is_there(here, "curves.svg"));
}

// Of 1, 95 and 100 % the second would lie on the third.
static void shares_that_lie_close_have_bands_for_intervals_and_one_label(void **state) {
    fixture *here = *state;
    label_fixture labels;
    static const double close[] = {1, 95, 100};
    static const char *const far[SHARES] = {"1 %", "10 %", "100 %"}, *const near[SHARES] = {"1 %", NULL, "100 %"};
    if (!has_gnuplot()) skip();
    make_label_study(here, &labels);
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < LABEL_ROWS && pass == 1; i++) {
            labels.rows[i].fit.share = close[i % SHARES];
            snprintf(labels.names[i], sizeof labels.names[i], "finetune/%s/%g%%/test", labels.rows[i].fit.arm.name, close[i % SHARES]);
        }
        leave_label_runs(here);
        free(report_of(here));
        const svg_figure *figure = figure_of(here, "labels.svg");
        const svg_axis accuracy = svg_y_axis(figure, "accuracy (%)");
        assert_label_curves(figure, pass ? near : far);
        assert_null(svg_find(figure, "95 %"));
        const unsigned colour = svg_sample(figure, "pretrained", SVG_LINE)->colour;
        const double away = sqrt(2) * reach_of_two, low = svg_pixel(&accuracy, 21 - away), high = svg_pixel(&accuracy, 21 + away);
        double at = svg_text(figure, "1 %")->points->x;
        for (int i = 0; i < figure->count && !pass; i++) { // beside the other arm's
            const svg_item *line = &figure->items[i];
            if (line->kind == SVG_LINE && line->colour == colour && line->count == SHARES && fabs(line->points->x - at) <= 5 &&
                fabs(line->points->y - svg_pixel(&accuracy, 21)) <= ROOM) at = line->points->x;
        }
        assert_int_equal(reaches(figure, SVG_AREA, colour, at, low, high), pass == 1);
        assert_int_equal(reaches(figure, SVG_LINE, colour, at, low, high), pass == 0);
        svg_sample(figure, "95 % interval, seeds", pass ? SVG_AREA : SVG_LINE);
    }
}

static void published_figures_that_name_no_cell_are_drawn_once_each(void **state) {
    fixture *here = *state;
    if (!has_gnuplot()) skip();
    leave_all_runs(here);
    free(report_of(here));
    assert_null(svg_find(figure_of(here, "curves.svg"), "published"));
    here->expectations[0] = (bl_expectation){.row = ROW, .epoch = 1, .value = 60};
    here->expectations[1] = (bl_expectation){.row = ROW, .epoch = 2, .value = 71.5};
    here->expectations[2] = (bl_expectation){.row = ROW, .cell = "byol", .epoch = 2, .value = 68};
    here->experiment.expectation_count = 3;
    free(report_of(here));
    const svg_figure *figure = figure_of(here, "curves.svg");
    const svg_axis accuracy = svg_y_axis(figure, ACCURACY), epochs = svg_x_axis(figure);
    svg_point found[16];
    assert_int_equal(markers_like(figure, "published", found, 16), 3);
    for (int i = 0; i < 3; i++)
        assert_marked(found, 3, svg_pixel(&epochs, here->expectations[i].epoch), svg_pixel(&accuracy, here->expectations[i].value));
}

static void a_flat_curve_lies_between_ticks_and_none_is_above_100(void **state) {
    fixture *here = *state;
    if (!has_gnuplot()) skip();
    here->evaluations[1].row = "pixels/other"; // which would widen the axis
    for (int i = 0; i < 2; i++) {
        const double value = i ? 100 : 12.55;
        const run_case run = {.cell = 0, .seed = 0, .accuracy = {value, value, value}};
        leave_run(here, &run);
        free(report_of(here));
        const svg_figure *figure = figure_of(here, "curves.svg"); // whose labels lie apart: the title above them too
        const svg_axis accuracy = svg_y_axis(figure, ACCURACY), epochs = svg_x_axis(figure);
        const svg_item *title = svg_text(figure, "k = 1, 5-fold inside test");
        assert_true(accuracy.labels >= 3 && accuracy.highest - accuracy.lowest >= (i ? .5 : 1));
        assert_true(accuracy.highest <= 100 && accuracy.lowest >= 0);
        assert_true(accuracy.lowest < value && (i ? accuracy.highest == 100 : accuracy.highest > value));
        assert_true(title->points->y < accuracy.top - 8);
        const double y = svg_pixel(&accuracy, value);
        bool is_drawn = false;
        for (int k = 0; k < figure->count; k++)
            is_drawn = is_drawn || (figure->items[k].kind == SVG_LINE && figure->items[k].count == 3 && 
                                    is_near(figure->items[k].points[0], svg_pixel(&epochs, 0), y) &&
                                    is_near(figure->items[k].points[2], svg_pixel(&epochs, 2), y));
        assert_true(is_drawn);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(many_cells_have_bars_as_long_as_their_values, open_study, close_study),
        cmocka_unit_test_setup_teardown(shares_have_a_figure_of_their_own_and_what_is_not_drawn_now_does_not_stay, open_study, close_study),
        cmocka_unit_test_setup_teardown(curves_lie_where_their_values_are_with_intervals_published_points_and_raw_pixels, open_study, close_study),
        cmocka_unit_test_setup_teardown(shares_that_lie_close_have_bands_for_intervals_and_one_label, open_study, close_study),
        cmocka_unit_test_setup_teardown(published_figures_that_name_no_cell_are_drawn_once_each, open_study, close_study),
        cmocka_unit_test_setup_teardown(a_flat_curve_lies_between_ticks_and_none_is_above_100, open_study, close_study),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
