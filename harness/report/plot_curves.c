// plot_curves.c - accuracy, spread and rank by finished epochs.

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "experiment/protocol_facts.h"
#include "report/plot.h"
#include "report/plot_parts.h"

enum {
    CURVE_POINTS = 500, // of a curve by steps; more cannot be seen
    MOST_PANELS = 12,
};

typedef struct curve_figure {
    const bl_study *study;
    bl_text *script;
    const bl_evaluation *panels[MOST_PANELS], *pixels[MOST_PANELS];
    int panel_count, pixel_count;
    int epochs; // right end of every x axis
    bool bands, has_spread, has_ranks, has_pixels, has_published, has_context, has_apart;
} curve_figure;

static const bl_experiment *experiment_of(const curve_figure *figure) { return figure->study->experiment; }

// ---- what there is to draw ----

static bool has_runs(const bl_study *study, int cell) {
    for (int r = 0; r < study->run_count; r++)
        if (study->runs[r].cell == cell) return true;
    return false;
}

// A run under way that no average holds has a curve of its own.
static bool is_apart(const bl_study_run *run) { return !run->is_finished && run->left_out; }

// Its measurements of a row: how many, and the lowest and highest (left alone where there are none).
static int measured(const bl_study *study, const bl_study_run *run, const char *row, double *lowest, double *highest) {
    int count = 0;
    const bl_evaluation *own = bl_cell_row(&study->experiment->cells[run->cell], row);
    for (int64_t m = 0; own && m < run->history.measurement_count; m++) {
        const bl_measurement *measurement = &run->history.measurements[m];
        if (strcmp(measurement->row, row) != 0 || strcmp(measurement->id, own->id) != 0) continue;
        *lowest = fmin(*lowest, measurement->value);
        *highest = fmax(*highest, measurement->value);
        count++;
    }
    return count;
}

// The largest number of epochs at which one run measured the row.
static int most_epochs(const bl_study *study, const char *row) {
    int most = 0;
    double ignored = 0;
    for (int r = 0; r < study->run_count; r++) {
        const bl_study_run *run = &study->runs[r];
        const int count = run->left_out && !is_apart(run) ? 0 : measured(study, run, row, &ignored, &ignored);
        if (count > most) most = count;
    }
    return most;
}

// "pixels/k1_cv/test" stands beside "knn/k1_cv/test".
static bool asks_the_same(const bl_evaluation *a, const bl_evaluation *b) { return strcmp(strchr(a->row, '/'), strchr(b->row, '/')) == 0; }

static void choose_panels(curve_figure *figure, const bl_label_curve *labels, int label_count) {
    int row_count;
    const bl_evaluation **rows = bl_study_rows(figure->study, &row_count);
    for (int i = 0; i < row_count; i++) {
        const int most = most_epochs(figure->study, rows[i]->row);
        if (rows[i]->knn.raw_pixels) {
            if (most && figure->pixel_count < MOST_PANELS) figure->pixels[figure->pixel_count++] = rows[i];
        } else if (most > 1 && figure->panel_count < MOST_PANELS && !bl_plot_is_label_row(labels, label_count, rows[i]->row))
            figure->panels[figure->panel_count++] = rows[i];
    }
}

// Epochs that are drawn: those of the recipes; where no run is finished as many as any has begun.
static int epochs_of(const bl_study *study) {
    int all = 1, begun = 1;
    bool any_finished = false;
    for (int r = 0; r < study->run_count; r++) {
        const bl_study_run *run = &study->runs[r];
        const int epochs = study->experiment->cells[run->cell].train.epochs;
        const bl_history *history = &run->history;
        if (epochs > all) all = epochs;
        any_finished |= run->is_finished;
        if (run->standing.epoch > begun) begun = run->standing.epoch;
        if (history->step_count && history->steps[history->step_count - 1].epoch > begun)
            begun = (int)ceil(history->steps[history->step_count - 1].epoch);
    }
    return any_finished ? all : begun;
}

static void look_at_study(curve_figure *figure) {
    const bl_study *study = figure->study;
    const bl_experiment *experiment = study->experiment;
    figure->epochs = epochs_of(study);
    for (int c = 0; c < experiment->cell_count; c++) {
        for (int p = 0; p < figure->panel_count; p++) {
            int count;
            const int *epochs = bl_study_epochs(study, c, figure->panels[p]->row, &count);
            for (int i = 0; i < count; i++) figure->bands |= bl_study_value(study, c, figure->panels[p]->row, epochs[i]).n > 1;
        }
    }
    for (int r = 0; r < study->run_count; r++) {
        figure->has_apart |= is_apart(&study->runs[r]);
        figure->has_spread |= bl_run_has_std(&study->runs[r]);
        figure->has_ranks |= study->runs[r].history.collapse_count > 1;
    }
    for (int p = 0; p < figure->panel_count; p++) {
        for (int i = 0; i < figure->pixel_count; i++) figure->has_pixels |= asks_the_same(figure->panels[p], figure->pixels[i]);
        for (int i = 0; i < experiment->expectation_count; i++) {
            const bl_expectation *expected = &experiment->expectations[i];
            if (strcmp(expected->row, figure->panels[p]->row) != 0 || expected->epoch > figure->epochs) continue;
            if (expected->context) figure->has_context = true;
            else figure->has_published = true;
        }
    }
}

// "byol"; "byol (1 unfinished)" where averages hold such a run; and "byol (unfinished, step 4000)", "... (2 unfinished, steps 3000 to
// 4000)".
static void add_cell_to_legend(const curve_figure *figure, int cell, bl_plot_legend *legend) {
    const char *name = experiment_of(figure)->cells[cell].name;
    int counted = 0, unfinished = 0;
    bool has_curve = false;
    int64_t least = INT64_MAX, most = 0;
    bl_text label = {0}, style = {0};
    for (int r = 0; r < figure->study->run_count; r++) {
        const bl_study_run *run = &figure->study->runs[r];
        if (run->cell != cell) continue;
        has_curve |= !is_apart(run);
        if (run->is_finished) continue;
        counted += !run->left_out;
        unfinished++;
        if (run->standing.step < least) least = run->standing.step;
        if (run->standing.step > most) most = run->standing.step;
    }
    bl_text_add(&label, "%s", name);
    if (counted) bl_text_add(&label, " (%d unfinished)", counted);
    if (has_curve) bl_plot_legend_add_curve(legend, cell, label.chars);
    bl_text_free(&label);
    if (unfinished) {
        bl_text_add(&label, "%s (", name);
        if (unfinished > 1) bl_text_add(&label, "%d ", unfinished);
        bl_text_add(&label, "unfinished, step%s %" PRId64, most > least ? "s" : "", least);
        bl_text_add(&label, most > least ? " to %" PRId64 ")" : ")", most);
        bl_text_add(&style, "linespoints ");
        bl_plot_style_unfinished(&style, cell);
        bl_text_add(&style, " pt 7 ps 0.35");
        bl_plot_legend_add(legend, style.chars, label.chars);
    }
    bl_text_free(&label);
    bl_text_free(&style);
}

static void fill_legend(const curve_figure *figure, bl_plot_legend *legend) {
    for (int c = 0; c < experiment_of(figure)->cell_count; c++) add_cell_to_legend(figure, c, legend);
    const struct {
        bool shown;
        const char *style, *label;
    } rest[] = {
        {figure->bands, "filledcurves fs transparent solid 0.2 noborder", "95 % interval, seeds"},
        {figure->has_published, "points lw 1.5 pt 6 ps 1", "published"},
        {figure->has_context, "points lw 1.5 pt 12 ps 1.1", "published, other set-up"},
        {figure->has_pixels, "lines lw 1.5 dt 2", "raw pixels"},
    };
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++) {
        if (!rest[i].shown) continue;
        char style[100];
        snprintf(style, sizeof style, "%s lc rgb '%s'", rest[i].style, bl_plot_grey);
        bl_plot_legend_add(legend, style, rest[i].label);
    }
}

// ---- accuracy ----

// Published figures of one cell (NULL: of every cell) for one row, as open markers; where a source contradicts itself a line
// joins both its values.
static void add_published(const curve_figure *figure, const char *cell, const char *colour, const char *row, bool context, bool *begun) {
    bool any = false, any_range = false;
    for (int i = 0; i < experiment_of(figure)->expectation_count; i++) {
        const bl_expectation *expected = &experiment_of(figure)->expectations[i];
        const bool same_cell = cell ? expected->cell && strcmp(expected->cell, cell) == 0 : !expected->cell;
        if (!same_cell || expected->context != context || expected->epoch > figure->epochs || strcmp(expected->row, row) != 0) continue;
        any = true;
        any_range |= expected->low < expected->high;
    }
    const char *column = context ? "$11 == 1 ? $3 : NaN" : "$11 == 0 ? $3 : NaN";
    if (!any) return;
    if (any_range) {
        bl_plot_next(figure->script, begun);
        bl_plot_source(figure->script, "published.csv", cell ? cell : "", row, column);
        bl_text_add(figure->script, ":5:(0):($6 - $5) with vectors nohead lc rgb '%s' lw 1.5 notitle", colour);
    }
    for (int end = 5; end <= 5 + any_range; end++) {
        bl_plot_next(figure->script, begun);
        bl_plot_source(figure->script, "published.csv", cell ? cell : "", row, column);
        bl_text_add(figure->script, ":%d with points lc rgb '%s' lw 1.5 pt %s notitle", end, colour, context ? "12 ps 1.1" : "6 ps 1");
    }
}

static void add_pixels(const curve_figure *figure, const bl_evaluation *panel, bool *begun) {
    for (int p = 0; p < figure->pixel_count; p++) {
        if (!asks_the_same(panel, figure->pixels[p])) continue;
        for (int c = 0; c < experiment_of(figure)->cell_count; c++) {
            if (bl_study_last_epoch(figure->study, c, figure->pixels[p]->row) < 0) continue;
            bl_plot_next(figure->script, begun);
            bl_plot_source(figure->script, "aggregate.csv", experiment_of(figure)->cells[c].name, figure->pixels[p]->row, "x_min");
            bl_text_add(figure->script, ":5:(x_max - x_min):(0) with vectors nohead lc rgb '%s' lw 1.5 dt 2 notitle", bl_plot_grey);
        }
    }
}

// From measurements.csv, which has other rows between a run's own: bl_plot_curves has gnuplot draw on across them.
static void add_apart(const curve_figure *figure, const bl_evaluation *panel, bool *begun) {
    double ignored = 0;
    for (int r = 0; r < figure->study->run_count; r++) {
        const bl_study_run *run = &figure->study->runs[r];
        const bl_cell *cell = &experiment_of(figure)->cells[run->cell];
        if (!is_apart(run) || !measured(figure->study, run, panel->row, &ignored, &ignored)) continue;
        bl_plot_next(figure->script, begun);
        bl_text_add(figure->script, "'measurements.csv' using (strcol(2) eq ");
        bl_plot_quoted(figure->script, cell->name);
        bl_text_add(figure->script, " && strcol(3) eq '%" PRIu64 "' && strcol(6) eq ", run->seed);
        bl_plot_quoted(figure->script, panel->row);
        bl_text_add(figure->script, " && strcol(7) eq '%s' ? $8 : NaN):9 with linespoints ", bl_cell_row(cell, panel->row)->id);
        bl_plot_style_unfinished(figure->script, run->cell);
        bl_text_add(figure->script, " pt 7 ps 0.35 notitle");
    }
}

static void add_curves(const curve_figure *figure, const bl_evaluation *panel) {
    bool begun = false;
    const bl_study *study = figure->study;
    bl_text *script = figure->script;
    const int cell_count = experiment_of(figure)->cell_count;
    add_pixels(figure, panel, &begun);
    for (int pass = 0; pass < 2; pass++) // all bands lie below all curves
        for (int c = 0, count; c < cell_count; c++) {
            const char *cell = experiment_of(figure)->cells[c].name;
            const int *epochs = bl_study_epochs(study, c, panel->row, &count);
            bool has_band = false;
            for (int i = 0; i < count; i++) has_band |= bl_study_value(study, c, panel->row, epochs[i]).n > 1;
            if (!count || (pass == 0 && !has_band)) continue;
            bl_plot_next(script, &begun);
            bl_plot_source(script, "aggregate.csv", cell, panel->row, "$3");
            if (pass == 0)
                bl_text_add(script,
                            ":($7 < 0 ? 0 : $7):($8 > 100 ? 100 : $8) with filledcurves lc rgb '%s' fs transparent solid 0.2 noborder notitle",
                            bl_plot_colour(c)); // two seeds can reach beyond what an accuracy may be
            else {
                bl_text_add(script, ":5 with linespoints ");
                bl_plot_style(script, c);
                bl_text_add(script, " lw 2 pt 7 ps 0.6 notitle");
            }
        }
    add_apart(figure, panel, &begun);
    for (int context = 0; context < 2; context++) {
        add_published(figure, NULL, bl_plot_grey, panel->row, context, &begun);
        for (int c = 0; c < cell_count; c++)
            if (has_runs(study, c))
                add_published(figure, experiment_of(figure)->cells[c].name, bl_plot_colour(c), panel->row, context, &begun);
    }
}

// ---- spread and rank: a line for each run; seeds of a cell share its colour ----

// Collapse spans decades; a healthy study reads better on a plain axis. Ticks at 1, 2 and 5, as one decade alone has few others.
static void set_range(bl_text *script, double lowest, double highest) {
    if (lowest >= .2 * highest) {
        bl_text_add(script, "unset logscale y\nset ytics autofreq\nset yrange [0:%g]\n", highest * 1.05);
        return;
    }
    const double low = lowest * .8, high = highest * 1.25;
    const bool is_long = high / low > 1e4;
    bool begun = false;
    bl_text_add(script, "set logscale y\nset yrange [%g:%g]\nset ytics (", low, high);
    for (int decade = (int)floor(log10(low)); decade <= (int)ceil(log10(high)); decade++)
        for (int step = 0; step < (is_long ? 1 : 3); step++) {
            const double tick = (int[]){1, 2, 5}[step] * pow(10, decade);
            if (tick < low || tick > high) continue;
            bl_text_add(script, "%s%g", begun ? ", " : "", tick);
            begun = true;
        }
    bl_text_add(script, ")\n");
}

static void widen(double value, double *lowest, double *highest) {
    if (value > 0 && isfinite(value)) {
        if (value < *lowest) *lowest = value;
        if (value > *highest) *highest = value;
    }
}

static void add_runs(const curve_figure *figure, const char *file, int column, bool of_collapse, const char *style) {
    bool begun = false;
    double lowest = INFINITY, highest = 1;
    int64_t longest = 1;
    for (int r = 0; r < figure->study->run_count; r++) {
        const bl_history *history = &figure->study->runs[r].history;
        const int64_t count = of_collapse ? history->collapse_count : history->step_count;
        if (count > longest) longest = count;
        for (int64_t i = 0; i < count; i++)
            widen(of_collapse ? history->collapse[i].rank : history->steps[i].std_ratio, &lowest, &highest);
    }
    set_range(figure->script, lowest < highest ? lowest : highest, highest);
    for (int r = 0; r < figure->study->run_count; r++) {
        const bl_study_run *run = &figure->study->runs[r];
        if (!(of_collapse ? run->history.collapse_count > 0 : bl_run_has_std(run))) continue;
        char seed[24];
        snprintf(seed, sizeof seed, "%llu", (unsigned long long)run->seed);
        bl_plot_next(figure->script, &begun);
        bl_plot_source(figure->script, file, experiment_of(figure)->cells[run->cell].name, seed, "$4");
        bl_text_add(figure->script, ":%d every %lld with %s ", column, (long long)((longest + CURVE_POINTS - 1) / CURVE_POINTS), style);
        if (run->is_finished) bl_plot_style(figure->script, run->cell);
        else bl_plot_style_unfinished(figure->script, run->cell);
        bl_text_add(figure->script, "%s%s notitle", run->is_finished ? " lw 1.2" : "", of_collapse ? " pt 7 ps 0.35" : "");
    }
}

// ---- the script ----

static void set_accuracy_range(const curve_figure *figure, const bl_evaluation *panel) {
    double lowest = INFINITY, highest = -INFINITY;
    for (int c = 0, count; c < experiment_of(figure)->cell_count; c++) {
        const int *epochs = bl_study_epochs(figure->study, c, panel->row, &count);
        for (int i = 0; i < count; i++) {
            const double mean = bl_study_value(figure->study, c, panel->row, epochs[i]).mean;
            lowest = fmin(lowest, mean);
            highest = fmax(highest, mean);
        }
    }
    for (int r = 0; r < figure->study->run_count; r++)
        if (is_apart(&figure->study->runs[r])) measured(figure->study, &figure->study->runs[r], panel->row, &lowest, &highest);
    bl_text_add(figure->script, "set offsets 0, 0, graph 0.06, graph 0.06\n");
    bl_plot_accuracy_range(figure->script, lowest, highest);
}

static void add_panel(const curve_figure *figure, int panel, int panels, int width, int height, int top) {
    bl_text *script = figure->script, title = {0};
    const bool is_accuracy = panel < figure->panel_count, is_spread = !is_accuracy && figure->has_spread && panel == figure->panel_count;
    if (is_accuracy) bl_evaluation_title(figure->panels[panel], &title);
    else bl_text_add(&title, is_spread ? "std of the projection, relative to step 0" : "effective rank of the projection (centred)");
    bl_plot_panel(script, height, top, BL_PLOT_PANEL, title.chars);
    bl_text_free(&title);
    bl_text_add(script, "set label 3 '%s' at screen %.5f, graph 0.5 center rotate by 90\n",
                is_accuracy ? bl_protocol_facts_of(figure->panels[panel]->kind)->axis : is_spread ? "std ratio" : "rank", (double)BL_PLOT_AXIS_LABEL / width);
    if (panel == panels - 1)
        bl_text_add(script, "set format x '%%g'\nset xtics offset 0,0.5\nset label 4 'finished epochs' at graph 0.5, screen %.5f center\n",
                    (top - BL_PLOT_PANEL - BL_PLOT_BELOW + (double)BL_PLOT_AXIS_LABEL) / height);
    else bl_text_add(script, "set format x ''\n");
    if (is_accuracy) set_accuracy_range(figure, figure->panels[panel]);
    else bl_text_add(script, "unset offsets\n");
    if (is_accuracy) add_curves(figure, figure->panels[panel]);
    else if (is_spread) add_runs(figure, "steps.csv", 7, false, "lines");
    else add_runs(figure, "collapse.csv", 9, true, "linespoints");
    bl_text_add(script, "\nunset label 1\n");
}

void bl_plot_curves(const bl_study *study, const bl_label_curve *labels, int label_count, bl_text *script) {
    curve_figure figure = {.study = study, .script = script};
    bl_plot_legend legend = {0};
    choose_panels(&figure, labels, label_count);
    look_at_study(&figure);
    const int panels = figure.panel_count + figure.has_spread + figure.has_ranks;
    if (!panels) return;
    fill_legend(&figure, &legend);
    const char *title = study->experiment->title;
    const int title_height = title ? BL_PLOT_TITLE : 0, right = BL_PLOT_LEFT + BL_PLOT_WIDTH;
    const int width = right + bl_plot_legend_width(&legend), panels_height = panels * (BL_PLOT_PANEL_TITLE + BL_PLOT_PANEL) + BL_PLOT_BELOW;
    const int legend_height = BL_PLOT_PANEL_TITLE + BL_PLOT_LEGEND_ROW * legend.count;
    const int height = title_height + (panels_height > legend_height ? panels_height : legend_height);
    bl_text_add(script, "# Drawn from the CSV files beside it; `gnuplot curves.gp` in this folder writes curves.svg.\n");
    bl_plot_page(script, "curves.svg", title, width, height, BL_PLOT_LEFT, right);
    if (figure.has_apart) bl_text_add(script, "set datafile missing NaN\n");
    bl_text_add(script, "x_min = %g\nx_max = %g\nset xrange [x_min:x_max]\n", -.015 * figure.epochs, 1.015 * figure.epochs);
    if (figure.epochs <= 12) bl_text_add(script, "set xtics 1\n"); // no half epochs
    for (int p = 0; p < panels; p++)
        add_panel(&figure, p, panels, width, height, height - title_height - p * (BL_PLOT_PANEL_TITLE + BL_PLOT_PANEL) - BL_PLOT_PANEL_TITLE);
    bl_plot_legend_draw(&legend, script, width, height, right + BL_PLOT_LEGEND_GAP, title_height + BL_PLOT_PANEL_TITLE / 2);
}
