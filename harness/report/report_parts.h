// report_parts.h - what the files of the report share: report.c runs, the others write.

#ifndef BL_REPORT_REPORT_PARTS_H
#define BL_REPORT_REPORT_PARTS_H

#include "report/label_efficiency.h"
#include "report/study.h"

typedef struct bl_report {
    bl_study study;
    const bl_experiment *experiment;
    const bl_evaluation **rows;       // bl_study_rows
    int row_count;
    const bl_label_curve *curves;     // bl_label_curves
    int curve_count;
    const bl_labels_needed *needed;
    int needed_count;
    const bl_label_published *published;
    int published_count;
    const char *folder;
    bl_text names;                    // of the files written, with commas
} bl_report;

typedef struct bl_report_table {
    const char *name;
    void (*add)(bl_report *report, bl_text *text);
    bool (*has)(const bl_report *report); // whether there is something to say; NULL: always
} bl_report_table;
extern const bl_report_table bl_report_tables[];
extern const int bl_report_table_count;

// Label efficiency: where there are curves.
void bl_report_labels_markdown(bl_report *report, bl_text *out);

// `figures`: Markdown's links to them.
void bl_report_markdown(bl_report *report, bl_text *out, const char *figures);

// Those under way; and which runs were made by more than one machine or program.
void bl_report_unfinished_markdown(bl_report *report, bl_text *out);
void bl_report_makers_markdown(bl_report *report, bl_text *out);

// Segmentation: where a row of it was measured.
bool bl_report_has_segmentation(const bl_report *report);
void bl_report_add_segmentation(bl_report *report, bl_text *csv);
void bl_report_add_classes(bl_report *report, bl_text *csv);
void bl_report_segmentation_markdown(bl_report *report, bl_text *out);

// A text inside a Markdown table's field.
void bl_report_field(bl_text *out, const char *text);
// "34.2", "34.2 ± 0.4" (half the interval), "-".
void bl_report_value(bl_text *out, bl_estimate estimate, int decimals);
// "context: ImageNet, ResNet-50; theirs is best on test"
void bl_report_context(bl_text *out, const bl_expectation *expected);
// A published figure: "72.5 ± 0.5 (half range, n = 3)"; ours minus it, or why none is printed: "+0.5", "context: ...", "-"; and its source.
void bl_report_published(bl_text *out, const bl_expectation *expected);
void bl_report_difference(bl_text *out, const bl_expectation *expected, bl_estimate ours);
void bl_report_source(bl_text *out, const bl_expectation *expected);
// " (1 unfinished)" where there are any.
void bl_report_mark(bl_text *out, int unfinished);
// CSV: n, mean, sd, low, high, unfinished; without an interval for one value, without a mean for none.
void bl_report_estimate(bl_text *csv, bl_estimate estimate);

// Whether pairs differ by more than rounding.
bool bl_report_has_spread(bl_estimate difference);
// "higher", "lower", "inconclusive" where the interval holds 0 or there is no spread, "one pair".
const char *bl_report_reads(bl_estimate difference);

#endif
