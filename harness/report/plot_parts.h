// plot_parts.h - what the figures share: colours, sizes, text, and how a row is called.

#ifndef BL_REPORT_PLOT_PARTS_H
#define BL_REPORT_PLOT_PARTS_H

#include <stdbool.h>

#include "report/label_efficiency.h" // bl_label_curve
#include "report/study.h"            // bl_evaluation

// Pixels. The text widths are estimates: gnuplot does not know the reader's font either.
enum {
    BL_PLOT_WIDTH = 500, BL_PLOT_LEFT = 78, BL_PLOT_TITLE = 34, BL_PLOT_PANEL_TITLE = 46, BL_PLOT_PANEL = 210, BL_PLOT_BELOW = 60,
    BL_PLOT_LEGEND_GAP = 14, BL_PLOT_LEGEND_SAMPLE = 58, BL_PLOT_LEGEND_ROW = 28, BL_PLOT_CHARACTER = 9,
    BL_PLOT_AXIS_LABEL = 16, // from the left and the lower edge
};

extern const char bl_plot_grey[];
const char *bl_plot_colour(int index);

void bl_plot_quoted(bl_text *script, const char *text); // in gnuplot's single quotes
void bl_plot_style(bl_text *script, int index);         // colour and dashes of a cell or an arm
void bl_plot_style_unfinished(bl_text *script, int index); // of a cell's run under way: thin and dashed
void bl_plot_next(bl_text *script, bool *begun);        // begins one more item of a plot command

// Terminal, borders, grid; the title above all panels (NULL: none) and what they share of the page: left and right edges in pixels.
void bl_plot_page(bl_text *script, const char *svg, const char *title, int width, int height, int left, int right);
// Places a panel `top` pixels above the page's lower edge, PANEL high, with its title.
void bl_plot_panel(bl_text *script, int height, int top, int panel_height, const char *title);

// `column` of `file` where its columns 1 and 2 are these.
void bl_plot_source(bl_text *script, const char *file, const char *first, const char *second, const char *column);

// The y range that takes in all there is, of accuracies from `lowest` to `highest`.
void bl_plot_accuracy_range(bl_text *script, double lowest, double highest);

bool bl_plot_is_label_row(const bl_label_curve *labels, int label_count, const char *row);

// One line of the legend: its sample ("lines lc ...") and its text.
typedef struct bl_plot_legend {
    bl_text items;
    int count;
    size_t longest; // characters
} bl_plot_legend;
void bl_plot_legend_add(bl_plot_legend *legend, const char *style, const char *label);
void bl_plot_legend_add_curve(bl_plot_legend *legend, int index, const char *label); // in the style of that cell or arm
int bl_plot_legend_width(const bl_plot_legend *legend);
// Right of all panels: a plot of its own, as gnuplot drops entries that are higher than their plot. Ends the page; frees the legend.
void bl_plot_legend_draw(bl_plot_legend *legend, bl_text *script, int width, int height, int left, int top);

#endif
