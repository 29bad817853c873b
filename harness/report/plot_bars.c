// plot_bars.c - the last epoch of many cells beside each other.

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "experiment/protocol_facts.h"
#include "report/plot.h"
#include "report/plot_parts.h"

enum {
    FEWEST_CELLS = 4, // fewer stand well enough in the table
    MOST_PANELS = 8,
    BAR = 30,         // pixels a cell takes
    MARKER = 9,       // pixels, half of one
};

typedef struct bar_figure {
    const bl_study *study;
    bl_text *script;
    const bl_evaluation *panels[MOST_PANELS];
    int panel_count;
    int left;         // pixels: the cells' names
    size_t verdict;   // characters of the longest one
    bool has_intervals, has_published, has_context;
} bar_figure;

static bl_estimate value_of(const bl_study *study, int cell, const char *row) {
    return bl_study_value(study, cell, row, bl_study_last_epoch(study, cell, row));
}

static bool is_in_panel(const bl_study *study, int cell, const char *row) { return bl_study_last_epoch(study, cell, row) >= 0; }

static int cells_in(const bl_study *study, const char *row) {
    int count = 0;
    for (int c = 0; c < study->experiment->cell_count; c++) count += is_in_panel(study, c, row);
    return count;
}

// The next published figure of a cell's row after number `after`, of those at the latest epoch; -1: there is none.
static int next_published(const bl_experiment *experiment, int cell, const char *row, int after) {
    int latest = -1, next = -1;
    for (int i = experiment->expectation_count - 1; i >= 0; i--) {
        const bl_expectation *expected = &experiment->expectations[i];
        if (strcmp(expected->row, row) != 0 || (expected->cell && strcmp(expected->cell, experiment->cells[cell].name) != 0)) continue;
        if (expected->epoch > latest) {
            latest = expected->epoch;
            next = -1;
        }
        if (expected->epoch == latest && i > after) next = i;
    }
    return next;
}

static double low_of(const bl_expectation *expected) { return expected->low < expected->high ? expected->low : expected->value; }
static double high_of(const bl_expectation *expected) { return expected->low < expected->high ? expected->high : expected->value; }

static void add_verdict(const bl_study *study, int cell, bl_text *text) {
    int counts[BL_VERDICTS];
    const char *separator = "";
    const int sum = bl_study_verdicts(study, cell, counts);
    for (int v = 0; v < BL_VERDICTS; v++) {
        if (!counts[v]) continue;
        bl_text_add(text, "%s%s", separator, bl_verdict_name((bl_verdict)v));
        if (counts[v] < sum) bl_text_add(text, " %d", counts[v]);
        separator = ", ";
    }
}

static void look_at_study(bar_figure *figure, const bl_label_curve *labels, int label_count) {
    const bl_study *study = figure->study;
    int row_count;
    size_t longest = 0;
    const bl_evaluation **rows = bl_study_rows(study, &row_count);
    for (int i = 0; i < row_count && figure->panel_count < MOST_PANELS; i++) {
        const char *row = rows[i]->row;
        if (rows[i]->knn.raw_pixels || cells_in(study, row) < FEWEST_CELLS || bl_plot_is_label_row(labels, label_count, row)) continue;
        figure->panels[figure->panel_count++] = rows[i];
        for (int c = 0; c < study->experiment->cell_count; c++) {
            if (!is_in_panel(study, c, row)) continue;
            bl_text verdict = {0};
            const char *name = study->experiment->cells[c].name;
            add_verdict(study, c, &verdict);
            if (verdict.size > figure->verdict) figure->verdict = verdict.size;
            bl_text_free(&verdict);
            if (strlen(name) > longest) longest = strlen(name);
            figure->has_intervals |= value_of(study, c, row).n > 1;
            for (int k = -1; (k = next_published(study->experiment, c, row, k)) >= 0;) {
                if (study->experiment->expectations[k].context) figure->has_context = true;
                else figure->has_published = true;
            }
        }
    }
    figure->left = 24 + BL_PLOT_CHARACTER * (int)longest;
}

static int latest_epoch(const bl_study *study, const char *row) {
    int latest = -1;
    for (int c = 0; c < study->experiment->cell_count; c++) {
        const int last = bl_study_last_epoch(study, c, row);
        if (last > latest) latest = last;
    }
    return latest;
}

// "43.7"; "20.9 (epoch 2)" where others were trained for longer.
static int number_of(const bl_study *study, int cell, const char *row, char text[40]) {
    const int epoch = bl_study_last_epoch(study, cell, row), size = snprintf(text, 40, "%.1f", value_of(study, cell, row).mean);
    return epoch == latest_epoch(study, row) ? size : snprintf(text, 40, "%.1f (epoch %d)", value_of(study, cell, row).mean, epoch);
}

static double right_of_bar(bl_estimate value) { return value.n > 1 ? fmin(value.high, 100) : value.mean; }

// The right end of the axis: room for the numbers.
static double right_end(const bar_figure *figure, const char *row) {
    const bl_experiment *experiment = figure->study->experiment;
    double most = 1;
    for (int c = 0; c < experiment->cell_count; c++) {
        if (!is_in_panel(figure->study, c, row)) continue;
        char text[40];
        const int room = 2 * MARKER + BL_PLOT_CHARACTER * number_of(figure->study, c, row, text);
        double right = right_of_bar(value_of(figure->study, c, row));
        for (int i = -1; (i = next_published(experiment, c, row, i)) >= 0;) right = fmax(right, high_of(&experiment->expectations[i]));
        most = fmax(most, right * BL_PLOT_WIDTH / (BL_PLOT_WIDTH - room));
    }
    return most;
}

// The number stands behind the bar, its interval and the published markers that would be in its way.
static void add_number(const bar_figure *figure, int cell, const char *row, int place, double end) {
    const bl_experiment *experiment = figure->study->experiment;
    char text[40];
    const int characters = number_of(figure->study, cell, row, text);
    const double marker = end * MARKER / BL_PLOT_WIDTH, room = end * BL_PLOT_CHARACTER * (characters + 1) / BL_PLOT_WIDTH;
    double at = right_of_bar(value_of(figure->study, cell, row));
    for (bool moved = true; moved;) {
        moved = false;
        for (int i = -1; (i = next_published(experiment, cell, row, i)) >= 0;) {
            const double low = low_of(&experiment->expectations[i]) - marker, high = high_of(&experiment->expectations[i]) + marker;
            if (low >= at + room || high <= at) continue;
            at = high;
            moved = true;
        }
    }
    bl_text_add(figure->script, "set label %d '%s' at %.6g,%d left offset 0.6,0\n", 100 + place, text, at, place);
}

static void add_bar(const bar_figure *figure, int cell, const char *row, int place, bool *begun) {
    char column[80];
    bl_text *script = figure->script;
    const char *name = figure->study->experiment->cells[cell].name;
    const int epoch = bl_study_last_epoch(figure->study, cell, row);
    snprintf(column, sizeof column, "$3 == %d ? $5 : NaN", epoch);
    bl_plot_next(script, begun);
    bl_plot_source(script, "aggregate.csv", name, row, column);
    bl_text_add(script, ":(%d):(0):5:(%d - 0.32):(%d + 0.32) with boxxyerror lc rgb '%s' fs solid 0.75 noborder notitle", place, place, place,
                bl_plot_colour(cell));
    if (value_of(figure->study, cell, row).n < 2) return;
    bl_plot_next(script, begun);
    bl_plot_source(script, "aggregate.csv", name, row, column);
    bl_text_add(script, ":(%d):($7 < 0 ? 0 : $7):($8 > 100 ? 100 : $8) with xerrorbars lc rgb '#000000' lw 1.5 pt 7 ps 0.01 notitle", place);
}

static void add_markers(const bar_figure *figure, int cell, const char *row, int place, bool *begun) {
    const bl_experiment *experiment = figure->study->experiment;
    bl_text *script = figure->script;
    for (int i = -1; (i = next_published(experiment, cell, row, i)) >= 0;) {
        const bl_expectation *expected = &experiment->expectations[i];
        const double low = low_of(expected), high = high_of(expected);
        char column[120];
        // Other figures of the cell stand in the same file: the value picks this one.
        snprintf(column, sizeof column, "$11 == %d && $3 == %d && abs($5 - %.17g) < 1e-9 ? $5 : NaN", expected->context, expected->epoch, low);
        if (low < high) {
            bl_plot_next(script, begun);
            bl_plot_source(script, "published.csv", expected->cell ? expected->cell : "", row, column);
            bl_text_add(script, ":(%d):($6 - $5):(0) with vectors nohead lc rgb '#000000' lw 1.5 notitle", place);
        }
        for (int end = 0; end <= (low < high); end++) {
            bl_plot_next(script, begun);
            bl_plot_source(script, "published.csv", expected->cell ? expected->cell : "", row, column);
            bl_text_add(script, "%s:(%d) with points lc rgb '#000000' lw 1.5 pt %s notitle", end ? " + $6 - $5" : "", place,
                        expected->context ? "12 ps 1.1" : "6 ps 1");
        }
    }
}

static void add_panel(const bar_figure *figure, const bl_evaluation *panel, int width, int height, int top, int panel_height) {
    bl_text *script = figure->script, title = {0};
    const bl_experiment *experiment = figure->study->experiment;
    const int cells = cells_in(figure->study, panel->row);
    const double end = right_end(figure, panel->row);
    bool begun = false;
    bl_evaluation_title(panel, &title);
    bl_text_add(&title, ", epoch %d", latest_epoch(figure->study, panel->row));
    bl_plot_panel(script, height, top, panel_height, title.chars);
    bl_text_free(&title);
    bl_text_add(script, "set label 4 '%s' at graph 0.5, screen %.5f center\n", bl_protocol_facts_of(panel->kind)->axis,
                (top - panel_height - 44.) / height);
    bl_text_add(script, "set xrange [0:%.6g]\nset yrange [%.1f:0.5]\nset ytics (", end, cells + .5);
    for (int c = 0, place = 0; c < experiment->cell_count; c++) {
        if (!is_in_panel(figure->study, c, panel->row)) continue;
        bl_text_add(script, "%s", place ? ", " : "");
        bl_plot_quoted(script, experiment->cells[c].name);
        bl_text_add(script, " %d", ++place);
    }
    bl_text_add(script, ")\n");
    for (int c = 0, place = 0; c < experiment->cell_count; c++) {
        bl_text verdict = {0};
        if (!is_in_panel(figure->study, c, panel->row)) continue;
        add_number(figure, c, panel->row, ++place, end);
        add_verdict(figure->study, c, &verdict);
        if (verdict.size) bl_text_add(script, "set label %d '%s' at screen %.5f, first %d left\n", 200 + place, verdict.chars,
                                      (figure->left + BL_PLOT_WIDTH + (double)BL_PLOT_LEGEND_GAP) / width, place);
        bl_text_free(&verdict);
    }
    for (int c = 0, place = 0; c < experiment->cell_count; c++)
        if (is_in_panel(figure->study, c, panel->row)) add_bar(figure, c, panel->row, ++place, &begun);
    for (int c = 0, place = 0; c < experiment->cell_count; c++)
        if (is_in_panel(figure->study, c, panel->row)) add_markers(figure, c, panel->row, ++place, &begun);
    bl_text_add(script, "\nunset label\n");
}

void bl_plot_bars(const bl_study *study, const bl_label_curve *labels, int label_count, bl_text *script) {
    bar_figure figure = {.study = study, .script = script};
    bl_plot_legend legend = {0};
    char style[100];
    look_at_study(&figure, labels, label_count);
    if (!figure.panel_count) return;
    snprintf(style, sizeof style, "xerrorbars lw 1.5 pt 7 ps 0.01 lc rgb '#000000'");
    if (figure.has_intervals) bl_plot_legend_add(&legend, style, "95 % interval, seeds");
    snprintf(style, sizeof style, "points lw 1.5 pt 6 ps 1 lc rgb '#000000'");
    if (figure.has_published) bl_plot_legend_add(&legend, style, "published");
    snprintf(style, sizeof style, "points lw 1.5 pt 12 ps 1.1 lc rgb '#000000'");
    if (figure.has_context) bl_plot_legend_add(&legend, style, "published, other set-up");

    const char *title = study->experiment->title;
    const int title_height = title ? BL_PLOT_TITLE : 0, right = figure.left + BL_PLOT_WIDTH;
    const int verdict_width = figure.verdict ? 2 * BL_PLOT_LEGEND_GAP + BL_PLOT_CHARACTER * (int)figure.verdict : 0;
    const int legend_width = legend.count ? bl_plot_legend_width(&legend) : 0;
    const int width = right + (verdict_width > legend_width ? verdict_width : legend_width > 30 ? legend_width : 30);
    const int legend_height = legend.count ? BL_PLOT_LEGEND_ROW * (legend.count + 1) : 0; // it stands below all panels
    int height = title_height + legend_height;
    for (int p = 0; p < figure.panel_count; p++)
        height += BL_PLOT_PANEL_TITLE + BAR * cells_in(study, figure.panels[p]->row) + BL_PLOT_BELOW;
    bl_text_add(script, "# Drawn from aggregate.csv and published.csv; `gnuplot bars.gp` in this folder writes bars.svg.\n");
    bl_plot_page(script, "bars.svg", title, width, height, figure.left, right);
    bl_text_add(script, "unset grid\nset grid x lt 1 lc rgb '#e4e4e4' lw 1\nset bars 0.7\nset xtics offset 0,0.5\n");
    for (int p = 0, top = height - title_height; p < figure.panel_count; p++) {
        const int panel_height = BAR * cells_in(study, figure.panels[p]->row);
        add_panel(&figure, figure.panels[p], width, height, top - BL_PLOT_PANEL_TITLE, panel_height);
        top -= BL_PLOT_PANEL_TITLE + panel_height + BL_PLOT_BELOW;
    }
    bl_plot_legend_draw(&legend, script, width, height, figure.left, height - legend_height);
}
