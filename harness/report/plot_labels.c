// plot_labels.c - accuracy or mIoU by the share of the labels.

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "experiment/protocol_facts.h"
#include "report/plot.h"
#include "report/plot_parts.h"

enum {
    MOST_PANELS = 8,
    TICK = 46,  // pixels a tick's text takes
    DODGE = 7,  // pixels between the intervals of two arms at one share
    TWO_LINES = 76, // pixels below the last panel: ticks have two lines
    CLOSE = 3 * DODGE, // pixels between two shares: intervals become bands, in higher panels, and published markers small
    HIGH_PANEL = 300,
    MOST_TICKS = 128,
};

typedef struct label_figure {
    const bl_study *study;
    const bl_label_curve *curves;
    int curve_count;
    bl_text *script;
    const bl_label_curve *panels[MOST_PANELS]; // the first curve of each question
    int panel_count;
    const bl_label_published *published;
    int published_count;
    double shares[MOST_TICKS];                 // of all curves, ascending
    int share_count;
    double lowest, highest;                    // of them
    bool are_close;
    int panel_height;
    bool is_counted, has_intervals, has_published, has_context; // is_counted: how many labels a share is
} label_figure;

static bool is_in_panel(const bl_label_curve *curve, const bl_label_curve *panel) { return !strcmp(curve->question, panel->question); }

static double pixels_of(const label_figure *figure, double from, double to) {
    return BL_PLOT_WIDTH * log(to / from) / log(1.3 * figure->highest / figure->lowest);
}

static void add_share(label_figure *figure, double share) {
    int at = 0;
    while (at < figure->share_count && figure->shares[at] < share) at++;
    if ((at < figure->share_count && figure->shares[at] == share) || figure->share_count == MOST_TICKS) return;
    memmove(&figure->shares[at + 1], &figure->shares[at], (size_t)(figure->share_count++ - at) * sizeof share);
    figure->shares[at] = share;
}

static void look_at_shares(label_figure *figure) {
    for (int k = 0; k < figure->curve_count; k++)
        for (int i = 0; i < figure->curves[k].point_count; i++) add_share(figure, figure->curves[k].points[i]->fit.share);
    figure->lowest = figure->shares[0];
    figure->highest = figure->shares[figure->share_count - 1];
    for (int i = 1; i < figure->share_count; i++)
        figure->are_close |= pixels_of(figure, figure->shares[i - 1], figure->shares[i]) < CLOSE;
    figure->panel_height = figure->are_close ? HIGH_PANEL : BL_PLOT_PANEL;
}

static void look_at_curves(label_figure *figure) {
    look_at_shares(figure);
    for (int k = 0; k < figure->curve_count; k++) {
        const bl_label_curve *curve = &figure->curves[k];
        int known = 0;
        while (known < figure->panel_count && !is_in_panel(curve, figure->panels[known])) known++;
        if (known == figure->panel_count && known < MOST_PANELS) figure->panels[figure->panel_count++] = curve;
        for (int i = 0; i < curve->point_count; i++) figure->has_intervals |= bl_label_value(figure->study, curve, i).n > 1;
    }
    figure->is_counted = bl_label_images(&figure->study->experiment->cells[figure->curves[0].cell], 100) >= 0;
    figure->published = bl_label_published_of(figure->study, figure->curves, figure->curve_count, &figure->published_count);
    for (int p = 0; p < figure->published_count; p++) {
        if (figure->published[p].context) figure->has_context = true;
        else figure->has_published = true;
    }
}

// A curve's colour: the same arm of the same cell has it in every panel.
static int colour_of(const label_figure *figure, const bl_label_curve *curve) {
    int colours = 0;
    for (const bl_label_curve *k = figure->curves; k < curve; k++) {
        bool is_new = true;
        for (const bl_label_curve *j = figure->curves; j < k; j++) is_new &= j->cell != k->cell || strcmp(j->arm, k->arm) != 0;
        if (k->cell == curve->cell && !strcmp(k->arm, curve->arm)) return colour_of(figure, k);
        colours += is_new;
    }
    return colours;
}

// 1, 2, 5, 10, 20, ...
static bool is_round(double share) {
    const double digit = share / pow(10, floor(log10(share)));
    return digit == 1 || digit == 2 || digit == 5;
}

// Which shares have a text: the first and the last, then round ones, then any, where it touches none that has one.
static void choose_texts(const label_figure *figure, bool *has_text) {
    for (int pass = 0; pass < 3; pass++)
        for (int i = 0; i < figure->share_count; i++) {
            const double share = figure->shares[i];
            bool fits = pass == 2 || (pass == 1 ? is_round(share) : share == figure->lowest || share == figure->highest);
            for (int k = 0; k < figure->share_count; k++) fits &= !has_text[k] || fabs(pixels_of(figure, share, figure->shares[k])) >= TICK;
            has_text[i] |= fits;
        }
}

// A tick at each share, in percent and in images.
static void set_ticks(const label_figure *figure, bool with_text) {
    bool has_text[MOST_TICKS] = {false};
    choose_texts(figure, has_text);
    bl_text_add(figure->script, "set xtics (");
    for (int i = 0; i < figure->share_count; i++) {
        const double share = figure->shares[i];
        bl_text_add(figure->script, "%s\"", i ? ", " : "");
        if (with_text && has_text[i]) {
            bl_text_add(figure->script, "%g %%%%", share); // a tick's text is a format
            const int64_t images = bl_label_images(&figure->study->experiment->cells[figure->curves[0].cell], share);
            if (images >= 0) bl_text_add(figure->script, "\\n%lld", (long long)images);
        }
        bl_text_add(figure->script, "\" %g", share);
    }
    bl_text_add(figure->script, ") offset 0,0.5\n");
}

// column 5: share; 7 to 11: n, mean, sd, low, high
static void add_curve(const label_figure *figure, const bl_label_curve *curve, double dodge, bool intervals, bool *begun) {
    const char *cell = figure->study->experiment->cells[curve->cell].name;
    char column[40];
    bl_text *script = figure->script;
    bl_plot_next(script, begun);
    bl_text_add(script, "'labels.csv' using (strcol(1) eq ");
    bl_plot_quoted(script, curve->name);
    bl_text_add(script, " && strcol(4) eq ");
    bl_plot_quoted(script, cell);
    snprintf(column, sizeof column, "$5 * %.6g", dodge);
    bl_text_add(script, " ? %s : NaN)", column);
    if (intervals && figure->are_close)
        bl_text_add(script, ":($10 < 0 ? 0 : $10):($11 > 100 ? 100 : $11) with filledcurves lc rgb '%s' fs transparent solid 0.2 noborder notitle",
                    bl_plot_colour(colour_of(figure, curve)));
    else if (intervals)
        // No errorbars: gnuplot 5.4 draws them over a disk of the background.
        bl_text_add(script, ":($10 < 0 ? 0 : $10):(0):(($11 > 100 ? 100 : $11) - ($10 < 0 ? 0 : $10)) with vectors heads size screen 0.006,90 "
                            "lc rgb '%s' lw 1.5 notitle",
                    bl_plot_colour(colour_of(figure, curve)));
    else {
        bl_text_add(script, ":8 with linespoints ");
        bl_plot_style(script, colour_of(figure, curve));
        bl_text_add(script, " lw 2 pt 7 ps 0.5 notitle");
    }
}

// column 1: series; 5 to 8: share, value, low, high
static void add_published(const label_figure *figure, int index, bool *begun) {
    const bl_label_published *published = &figure->published[index];
    const char *colour = bl_plot_colour(colour_of(figure, published->curve));
    bl_text *script = figure->script;
    bool has_range = false;
    for (int i = 0; i < published->point_count; i++) has_range |= published->points[i]->low < published->points[i]->high;
    if (has_range) { // a line joins both the values of a source that contradicts itself
        bl_plot_next(script, begun);
        bl_text_add(script, "'labels_published.csv' using ($1 == %d ? $5 : NaN):7:(0):($8 - $7) with vectors nohead lc rgb '%s' lw 1.5 notitle",
                    index, colour);
    }
    bl_plot_next(script, begun);
    bl_text_add(script, "'labels_published.csv' using ($1 == %d ? $5 : NaN):6 with linespoints lc rgb '%s' lw 1 dt 3 pt %d ps %g notitle", index,
                colour, published->context ? 12 : 6, figure->are_close ? .5 : 1.);
}

// Pixels below the last panel.
static int below(const label_figure *figure) { return figure->is_counted ? TWO_LINES : BL_PLOT_BELOW; }

static void add_panel(const label_figure *figure, int panel, int width, int height, int top) {
    bl_text *script = figure->script, title = {0};
    bool begun = false;
    int arms = 0, arm = 0;
    double lowest = INFINITY, highest = -INFINITY;
    bl_label_title(figure->panels[panel], &title);
    bl_plot_panel(script, height, top, figure->panel_height, title.chars);
    bl_text_free(&title);
    bl_text_add(script, "set label 3 '%s (%%)' at screen %.5f, graph 0.5 center rotate by 90\n", bl_label_measure(figure->panels[panel]),
                (double)BL_PLOT_AXIS_LABEL / width);
    const bool is_last = panel == figure->panel_count - 1, are_scenes = bl_protocol_facts_of(figure->panels[panel]->points[0]->kind)->of_scenes;
    set_ticks(figure, is_last);
    if (is_last)
        bl_text_add(script, "set label 4 '%s: share of the train split%s' at graph 0.5, screen %.5f center\n",
                    are_scenes ? "labelled scenes" : "labels", !figure->is_counted ? "" : are_scenes ? ", and scenes" : ", and images",
                    (top - figure->panel_height - below(figure) + (double)BL_PLOT_AXIS_LABEL) / height);
    for (int k = 0; k < figure->curve_count; k++) {
        if (!is_in_panel(&figure->curves[k], figure->panels[panel])) continue;
        arms++;
        for (int i = 0; i < figure->curves[k].point_count; i++) {
            const double mean = bl_label_value(figure->study, &figure->curves[k], i).mean;
            lowest = fmin(lowest, mean);
            highest = fmax(highest, mean);
        }
    }
    bl_plot_accuracy_range(script, lowest, highest);
    for (int pass = 0; pass < 2; pass++) {
        arm = 0;
        for (int k = 0; k < figure->curve_count; k++) {
            if (!is_in_panel(&figure->curves[k], figure->panels[panel])) continue;
            // Side by side, that one interval does not hide another.
            const double pixels = figure->are_close ? 0 : DODGE * (arm++ - (arms - 1) / 2.);
            const double dodge = pow(1.3 * figure->highest / figure->lowest, pixels / BL_PLOT_WIDTH);
            if (pass == 1 || figure->has_intervals) add_curve(figure, &figure->curves[k], dodge, pass == 0, &begun);
        }
        for (int p = 0; pass == 0 && p < figure->published_count; p++)
            if (is_in_panel(figure->published[p].curve, figure->panels[panel])) add_published(figure, p, &begun);
    }
    bl_text_add(script, "\nunset label 1\n");
}

static void fill_legend(const label_figure *figure, bl_plot_legend *legend) {
    for (int k = 0; k < figure->curve_count; k++) {
        bl_text name = {0};
        bool is_known = false;
        for (int j = 0; j < k; j++) is_known |= colour_of(figure, &figure->curves[j]) == colour_of(figure, &figure->curves[k]);
        if (is_known) continue;
        bl_label_curve_name(figure->study, figure->curves, figure->curve_count, &figure->curves[k], &name);
        bl_plot_legend_add_curve(legend, colour_of(figure, &figure->curves[k]), name.chars);
        bl_text_free(&name);
    }
    char style[100];
    snprintf(style, sizeof style, "%s lc rgb '%s'",
             figure->are_close ? "filledcurves fs transparent solid 0.2 noborder" : "yerrorbars lw 1.5 pt 7 ps 0.01", bl_plot_grey);
    if (figure->has_intervals) bl_plot_legend_add(legend, style, "95 % interval, seeds");
    snprintf(style, sizeof style, "linespoints lw 1 dt 3 pt 6 ps 1 lc rgb '%s'", bl_plot_grey);
    if (figure->has_published) bl_plot_legend_add(legend, style, "published");
    snprintf(style, sizeof style, "linespoints lw 1 dt 3 pt 12 ps 1 lc rgb '%s'", bl_plot_grey);
    if (figure->has_context) bl_plot_legend_add(legend, style, "published, other set-up");
}

void bl_plot_labels(const bl_study *study, const bl_label_curve *labels, int label_count, bl_text *script) {
    label_figure figure = {.study = study, .curves = labels, .curve_count = label_count, .script = script};
    bl_plot_legend legend = {0};
    if (!label_count) return;
    look_at_curves(&figure);
    fill_legend(&figure, &legend);
    const char *title = study->experiment->title;
    const int title_height = title ? BL_PLOT_TITLE : 0, right = BL_PLOT_LEFT + BL_PLOT_WIDTH;
    const int width = right + bl_plot_legend_width(&legend);
    const int panels_height = figure.panel_count * (BL_PLOT_PANEL_TITLE + figure.panel_height) + below(&figure);
    const int legend_height = BL_PLOT_PANEL_TITLE + BL_PLOT_LEGEND_ROW * legend.count;
    const int height = title_height + (panels_height > legend_height ? panels_height : legend_height);
    bl_text_add(script, "# Drawn from the CSV files beside it; `gnuplot labels.gp` in this folder writes labels.svg.\n");
    bl_plot_page(script, "labels.svg", title, width, height, BL_PLOT_LEFT, right);
    bl_text_add(script, "set logscale x\nset xrange [%g:%g]\nset offsets 0, 0, graph 0.06, graph 0.06\n",
                figure.lowest / sqrt(1.3), figure.highest * sqrt(1.3));
    for (int p = 0; p < figure.panel_count; p++)
        add_panel(&figure, p, width, height, height - title_height - p * (BL_PLOT_PANEL_TITLE + figure.panel_height) - BL_PLOT_PANEL_TITLE);
    bl_plot_legend_draw(&legend, script, width, height, right + BL_PLOT_LEGEND_GAP, title_height + BL_PLOT_PANEL_TITLE / 2);
}
