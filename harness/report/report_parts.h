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
    const char *neighbours;           // bl_neighbours
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

#endif
