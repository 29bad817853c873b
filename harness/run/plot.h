// plot.h - the figure of a study: a gnuplot script that draws from the report's CSV files, and running it.

#ifndef BL_RUN_PLOT_H
#define BL_RUN_PLOT_H

#include <stdbool.h>

#include "run/study.h"

// A panel for each evaluation row (accuracy by finished epochs, a curve a cell, published figures as open markers, raw pixels
// dashed) above one for the std ratio. Reads aggregate.csv, published.csv and steps.csv beside it; writes curves.svg. `script`
// stays empty where there is nothing to draw.
void bl_plot_curves(const bl_study *study, bl_text *script);

// Runs gnuplot on folder/script and writes what it draws to folder/svg, whole or not at all. *drawn is false, without
// failure, where gnuplot is not installed.
BL_CHECK int bl_plot_draw(const char *folder, const char *script, const char *svg, bool *drawn);

#endif
