// report_parts.h - what the files of the report share: report.c runs, report_tables.c and report_markdown.c write.

#ifndef BL_RUN_REPORT_PARTS_H
#define BL_RUN_REPORT_PARTS_H

#include "run/label_efficiency.h"
#include "run/study.h"

typedef struct bl_report {
    bl_study study;
    const bl_experiment *experiment;
    const bl_evaluation **rows;       // bl_study_rows
    int row_count;
    const bl_label_curve *curves;     // bl_label_curves
    int curve_count;
    const bl_labels_needed *needed;
    int needed_count;
    const char *folder;
    bl_text names;                    // of the files written, with commas
} bl_report;

typedef struct bl_report_table {
    const char *name;
    void (*add)(bl_report *report, bl_text *text);
    bool only_labels;                 // written where label-efficiency curves are
} bl_report_table;
extern const bl_report_table bl_report_tables[];
extern const int bl_report_table_count;

// `figures`: Markdown's links to them.
void bl_report_markdown(bl_report *report, bl_text *out, const char *figures);

// Whether pairs differ by more than rounding.
bool bl_report_has_spread(bl_estimate difference);
// "higher", "lower", "inconclusive" where the interval holds 0 or there is no spread, "one pair".
const char *bl_report_reads(bl_estimate difference);

#endif
