// plot.h - the figures of a study: gnuplot scripts that draw from the report's CSV files, and running them.
//
// A script stays empty where there is nothing to draw.

#ifndef BL_REPORT_PLOT_H
#define BL_REPORT_PLOT_H

#include <stdbool.h>

#include "report/label_efficiency.h"
#include "report/study.h"

// A panel for each evaluation row that was measured at several epochs (accuracy by finished epochs, a curve a cell, published
// figures as open markers, raw pixels dashed), above one for the std ratio and one for the effective rank. A run under way is a thin
// dashed line of its own. Reads aggregate.csv, measurements.csv, published.csv, steps.csv and collapse.csv beside it; writes curves.svg.
void bl_plot_curves(const bl_study *study, const bl_label_curve *labels, int label_count, bl_text *script);

// Where a study has more than three cells: a panel for each evaluation row, a bar a cell at its last epoch with its interval,
// its verdict and the published figure. Reads aggregate.csv and published.csv; writes bars.svg.
void bl_plot_bars(const bl_study *study, const bl_label_curve *labels, int label_count, bl_text *script);

// Accuracy or mIoU by the share of the labels, a panel for each protocol, a curve an arm, published figures as thin lines through
// open markers. Reads labels.csv and labels_published.csv; writes labels.svg.
void bl_plot_labels(const bl_study *study, const bl_label_curve *labels, int label_count, bl_text *script);

// Runs gnuplot on folder/script and writes what it draws to folder/svg, whole or not at all. *drawn is false, without
// failure, where gnuplot is not installed.
BL_CHECK int bl_plot_draw(const char *folder, const char *script, const char *svg, bool *drawn);

#endif
