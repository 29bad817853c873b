// plot_bars.c - the last epoch of many cells beside each other.

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "run/plot_parts.h"

enum {
    FEWEST_CELLS = 4, // fewer stand well enough in the table
    MOST_PANELS = 8,
    BAR = 30,         // pixels a cell takes
    VALUE = 46,       // pixels a number takes
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

// The published figure of a cell's row at the latest epoch; -1: there is none.
static int published_of(const bl_experiment *experiment, int cell, const char *row) {
    int found = -1;
    for (int i = 0; i < experiment->expectation_count; i++) {
        const bl_expectation *expected = &experiment->expectations[i];
        if (strcmp(expected->row, row) != 0 || (expected->cell && strcmp(expected->cell, experiment->cells[cell].name) != 0)) continue;
        if (found < 0 || expected->epoch > experiment->expectations[found].epoch) found = i;
    }
    return found;
}

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
            const int published = published_of(study->experiment, c, row);
            add_verdict(study, c, &verdict);
            if (verdict.size > figure->verdict) figure->verdict = verdict.size;
            bl_text_free(&verdict);
            if (strlen(name) > longest) longest = strlen(name);
            figure->has_intervals |= value_of(study, c, row).n > 1;
            if (published < 0) continue;
            if (study->experiment->expectations[published].context) figure->has_context = true;
            else figure->has_published = true;
        }
    }
    figure->left = 24 + BL_PLOT_CHARACTER * (int)longest;
}

// The right end of the axis: room for the last number.
static double right_end(const bar_figure *figure, const char *row) {
    const bl_experiment *experiment = figure->study->experiment;
    double most = 1;
    for (int c = 0; c < experiment->cell_count; c++) {
        if (!is_in_panel(figure->study, c, row)) continue;
        const bl_estimate value = value_of(figure->study, c, row);
        const int published = published_of(experiment, c, row);
        most = fmax(most, value.n > 1 ? fmin(value.high, 100) : value.mean);
        if (published >= 0) most = fmax(most, fmax(experiment->expectations[published].value, experiment->expectations[published].high));
    }
    return most * BL_PLOT_WIDTH / (BL_PLOT_WIDTH - VALUE - MARKER);
}

// The number stands behind the bar, its interval and, where that would be in its way, the published marker.
static void add_number(const bar_figure *figure, int cell, const char *row, int place, double end) {
    const bl_study *study = figure->study;
    const bl_estimate value = value_of(study, cell, row);
    const int published = published_of(study->experiment, cell, row);
    const double marker = end * MARKER / BL_PLOT_WIDTH;
    double at = value.n > 1 ? fmin(value.high, 100) : value.mean;
    if (published >= 0) {
        const bl_expectation *expected = &study->experiment->expectations[published];
        const double low = fmin(expected->value, expected->low < expected->high ? expected->low : expected->value);
        const double high = fmax(expected->value, expected->low < expected->high ? expected->high : expected->value);
        if (low - marker < at + end * VALUE / BL_PLOT_WIDTH && high + marker > at) at = high + marker;
    }
    bl_text_add(figure->script, "set label %d '%.1f' at %.6g,%d left offset 0.6,0\n", 100 + place, value.mean, at, place);
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

static void add_marker(const bar_figure *figure, int cell, const char *row, int place, bool *begun) {
    const int published = published_of(figure->study->experiment, cell, row);
    if (published < 0) return;
    const bl_expectation *expected = &figure->study->experiment->expectations[published];
    char column[80];
    snprintf(column, sizeof column, "$11 == %d && $3 == %d ? $4 : NaN", expected->context, expected->epoch);
    if (expected->low < expected->high) {
        bl_plot_next(figure->script, begun);
        bl_plot_source(figure->script, "published.csv", expected->cell ? expected->cell : "", row, column);
        bl_text_add(figure->script, ":(%d):5:6 with xerrorbars lc rgb '%s' lw 1.5 pt 7 ps 0.01 notitle", place, bl_plot_grey);
    }
    bl_plot_next(figure->script, begun);
    bl_plot_source(figure->script, "published.csv", expected->cell ? expected->cell : "", row, column);
    bl_text_add(figure->script, ":(%d) with points lc rgb '#000000' lw 1.5 pt %s notitle", place, expected->context ? "12 ps 1.1" : "6 ps 1");
}

// "last epoch", or "epoch 13", where all cells agree.
static void add_epoch(const bar_figure *figure, const char *row, bl_text *title) {
    int epoch = -1;
    for (int c = 0; c < figure->study->experiment->cell_count; c++) {
        const int last = bl_study_last_epoch(figure->study, c, row);
        if (last >= 0) epoch = epoch == -1 || epoch == last ? last : -2;
    }
    if (epoch >= 0) bl_text_add(title, ", epoch %d", epoch);
    else bl_text_add(title, ", each cell's last epoch");
}

static void add_panel(const bar_figure *figure, const bl_evaluation *panel, int width, int height, int top, int panel_height) {
    bl_text *script = figure->script, title = {0};
    const bl_experiment *experiment = figure->study->experiment;
    const int cells = cells_in(figure->study, panel->row);
    const double end = right_end(figure, panel->row);
    bool begun = false;
    bl_plot_row_title(&title, panel);
    add_epoch(figure, panel->row, &title);
    bl_plot_panel(script, height, top, panel_height, title.chars);
    bl_text_free(&title);
    bl_text_add(script, "set label 4 '%s' at graph 0.5, screen %.5f center\n", bl_plot_row_axis(panel),
                (top - panel_height - BL_PLOT_BELOW + 22.) / height);
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
        if (is_in_panel(figure->study, c, panel->row)) add_marker(figure, c, panel->row, ++place, &begun);
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
    const int legend_height = BL_PLOT_LEGEND_ROW * legend.count; // below all panels' titles would hide bars: it stands below them
    int height = title_height + legend_height;
    for (int p = 0; p < figure.panel_count; p++)
        height += BL_PLOT_PANEL_TITLE + BAR * cells_in(study, figure.panels[p]->row) + BL_PLOT_BELOW;
    bl_text_add(script, "# Drawn from aggregate.csv and published.csv; `gnuplot bars.gp` in this folder writes bars.svg.\n");
    bl_plot_page(script, "bars.svg", title, width, height, figure.left, right);
    bl_text_add(script, "unset grid\nset grid x lt 1 lc rgb '#e4e4e4' lw 1\nset bars 0.7\n");
    for (int p = 0, top = height - title_height; p < figure.panel_count; p++) {
        const int panel_height = BAR * cells_in(study, figure.panels[p]->row);
        add_panel(&figure, figure.panels[p], width, height, top - BL_PLOT_PANEL_TITLE, panel_height);
        top -= BL_PLOT_PANEL_TITLE + panel_height + BL_PLOT_BELOW;
    }
    bl_plot_legend_draw(&legend, script, width, height, figure.left, height - legend_height);
}
