#include "report/plot_parts.h"

#include <math.h>
#include <string.h>

// Okabe & Ito 2008: told apart with any kind of colour vision. The eighth cell begins again, dashed.
static const char *const colours[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"};
enum { COLOURS = sizeof colours / sizeof *colours };
const char bl_plot_grey[] = "#444444";

const char *bl_plot_colour(int index) { return colours[index % COLOURS]; }

// In gnuplot's single quotes only the quote itself is special.
void bl_plot_quoted(bl_text *script, const char *text) {
    bl_text_add(script, "'");
    for (; *text; text++) bl_text_add(script, *text == '\'' ? "''" : "%c", *text);
    bl_text_add(script, "'");
}

void bl_plot_style(bl_text *script, int index) {
    bl_text_add(script, "lc rgb '%s' dt %d", bl_plot_colour(index), 1 + index / COLOURS % 4);
}

void bl_plot_style_unfinished(bl_text *script, int index) {
    bl_text_add(script, "lc rgb '%s' lw 1.2 dt (7,4)", bl_plot_colour(index));
}

void bl_plot_next(bl_text *script, bool *begun) {
    bl_text_add(script, *begun ? ", \\\n     " : "plot ");
    *begun = true;
}

void bl_plot_page(bl_text *script, const char *svg, const char *title, int width, int height, int left, int right) {
    bl_text_add(script,
                "set terminal svg size %d,%d font 'Helvetica,15' noenhanced background '#ffffff'\n"
                "if (!exists('to_stdout')) set output '%s'\n"
                "set datafile separator comma\n"
                "set datafile columnheaders\n"
                "set border 3 lc rgb '%s'\nset tics nomirror out scale 0.5 textcolor rgb '#000000'\nset format y '%%g'\n"
                "set grid lt 1 lc rgb '#e4e4e4' lw 1\nunset key\n"
                "set lmargin at screen %.5f\nset rmargin at screen %.5f\n"
                "set multiplot\n",
                width, height, svg, bl_plot_grey, (double)left / width, (double)right / width);
    if (!title) return;
    bl_text_add(script, "set label 1 ");
    bl_plot_quoted(script, title);
    bl_text_add(script, " at screen %.5f,%.5f left font 'Helvetica,17'\n", (double)left / width, 1 - 22. / height);
}

// Labels at places of their own: gnuplot's would move with the width of the numbers.
void bl_plot_panel(bl_text *script, int height, int top, int panel_height, const char *title) {
    bl_text_add(script, "\nset tmargin at screen %.5f\nset bmargin at screen %.5f\nset label 2 ", (double)top / height,
                (double)(top - panel_height) / height);
    bl_plot_quoted(script, title);
    bl_text_add(script, " at graph 0, screen %.5f left\n", (top + 18.) / height);
}

// At least two points high: the ticks of a flat curve would have so many decimals that they reach into the axis's title.
void bl_plot_accuracy_range(bl_text *script, double lowest, double highest) {
    const double middle = (lowest + highest) / 2;
    if (highest - lowest < 2) bl_text_add(script, "set yrange [0<*<%.6g:%.6g<*<100]\n", fmax(middle - 1, 0), fmin(middle + 1, 100));
    else bl_text_add(script, "set yrange [0<*:*<100]\n");
}

void bl_plot_source(bl_text *script, const char *file, const char *first, const char *second, const char *column) {
    bl_text_add(script, "'%s' using (", file);
    if (*first) {
        bl_text_add(script, "strcol(1) eq ");
        bl_plot_quoted(script, first);
    } else bl_text_add(script, "(strcol(1) eq '' || strcol(1) eq ',')"); // gnuplot 5.4 reads the field "" as a comma
    bl_text_add(script, " && strcol(2) eq ");
    bl_plot_quoted(script, second);
    bl_text_add(script, " ? %s : NaN)", column);
}

bool bl_plot_is_label_row(const bl_label_curve *labels, int label_count, const char *row) {
    for (int k = 0; k < label_count; k++)
        for (int i = 0; i < labels[k].point_count; i++)
            if (strcmp(labels[k].points[i]->row, row) == 0) return true;
    return false;
}

// ---- the legend ----

void bl_plot_legend_add(bl_plot_legend *legend, const char *style, const char *label) {
    bl_text_add(&legend->items, ", \\\n     keyentry with %s title ", style);
    bl_plot_quoted(&legend->items, label);
    legend->count++;
    if (strlen(label) > legend->longest) legend->longest = strlen(label);
}

void bl_plot_legend_add_curve(bl_plot_legend *legend, int index, const char *label) {
    bl_text style = {0};
    bl_text_add(&style, "linespoints ");
    bl_plot_style(&style, index);
    bl_text_add(&style, " lw 2 pt 7 ps 0.6");
    bl_plot_legend_add(legend, style.chars, label);
    bl_text_free(&style);
}

int bl_plot_legend_width(const bl_plot_legend *legend) {
    return BL_PLOT_LEGEND_GAP + BL_PLOT_LEGEND_SAMPLE + BL_PLOT_CHARACTER * (int)legend->longest + 10;
}

void bl_plot_legend_draw(bl_plot_legend *legend, bl_text *script, int width, int height, int left, int top) {
    bl_text_add(script, "\nset tmargin at screen %.5f\nset bmargin at screen 0\n", 1 - (double)top / height);
    bl_text_add(script, "unset border\nunset tics\nunset grid\nunset label\nunset logscale\n");
    bl_text_add(script, "set key at screen %.5f,%.5f left top Left reverse samplen 2.2 spacing 1.25\nplot [0:1] [0:1] NaN notitle%s\n",
                (double)left / width, 1 - (double)top / height, legend->items.chars ? legend->items.chars : "");
    bl_text_add(script, "unset multiplot\n");
    bl_text_free(&legend->items);
    *legend = (bl_plot_legend){0};
}
