// report.h - from the run files of a study to tables and plots. Everything is rebuilt from run files alone, the same bytes each time.
//
// results/<study>/: measurements.csv (tidy: a row a measurement; `counted` says whether it is part of any mean), steps.csv (loss,
// std), collapse.csv (a row a diagnosis), verdicts.csv (each run's last one), aggregate.csv (n, mean, sd, 95 % Student interval over
// seeds), differences.csv (between cells, paired by seed), published.csv, manifest.yaml (every run's), report.md ("published | ours |
// difference"), curves.gp and curves.svg (gnuplot, from those CSV files). More than three cells: bars.gp, bars.svg. Several shares
// of the labels: labels.csv, labels_needed.csv, labels_published.csv, labels.gp, labels.svg. Segmentation: segmentation.csv (each row's
// scores at its last look and, where val was watched, its best), classes.csv (IoU by class and seed), pictures.png (picture_sheet.h).
//
// The room report/ holds the study as run files tell it (study, statistics, label_efficiency), its tables (report_*, csv), figures (plot_*)
// and pictures (picture_sheet, lettering). It sees experiment/, record/ and datasets/ alone, and alone knows libcsv. Its door: this header.

#ifndef BL_REPORT_REPORT_H
#define BL_REPORT_REPORT_H

#include "base/memory.h"        // bl_text
#include "experiment/options.h" // bl_experiment

// A difference reads "higher" or "lower" where its interval lies on one side of 0, else "inconclusive": so it reads too where all
// pairs differ by the same (no spread seen in n pairs), as an interval of no width says nothing of the next pair.
//
// Reads results_folder/<study>/<cell>/seed-<k>.<backend>.h5 of every cell and seed that is finished, and .ckpt of those that are not:
// unfinished runs are marked (`finished` 0), have a section of their own and dashed curves, and enter averages only where
// `counts_unfinished`, as many as `unfinished` says. Missing ones, and those of seeds that were not asked for, are named in the Markdown
// table. *summary receives the Markdown table and the paths written. *written is false, without failure, where no run is finished or
// under way: then whatever stood there still stands. *summary then says why files that are there were not read, where any is.
BL_CHECK int bl_report_write(const bl_experiment *experiment, const char *results_folder, bool counts_unfinished, bl_text *summary,
                             bool *written);

#endif
