// label_efficiency.h - accuracy or mIoU by the share of the labels: the curves of a study, and how many labels one arm saves another.

#ifndef BL_REPORT_LABEL_EFFICIENCY_H
#define BL_REPORT_LABEL_EFFICIENCY_H

#include "report/study.h"

typedef struct bl_label_curve { // one arm of one cell: rows that differ in the share alone
    int cell;
    const char *arm;                // "pretrained"
    const char *name;               // of its rows without the share: "finetune/pretrained/test"
    const char *question;           // without the arm too: "finetune/test"; curves of one question can be compared
    bool best;                      // a segmentation's best looks at val, not its last ones: a question of its own
    const bl_evaluation **points;   // by share, ascending; measured in at least one run
    int point_count;                // at least 2
} bl_label_curve;

typedef struct bl_label_published { // what one source says of a curve
    const bl_label_curve *curve;    // where the source names no cell the first one of these rows
    const char *source;
    bool context;
    const bl_expectation **points;  // by share, ascending
    double *shares;
    int point_count;                // at least 1
} bl_label_published;

typedef struct bl_labels_needed { // the share at which arm `curve` is as good as arm `against` with all labels
    const bl_label_curve *curve, *against;
    int pairs;                      // seeds that have both
    int reached;                    // of them: where it gets there at all
    int at_smallest;                // of them: where it is there already with its smallest share
    bl_estimate share;              // percent, over the seeds that reach it: geometric mean, Student interval of the logarithm;
                                    // n = 0 unless every pair reaches it; with at_smallest the mean is a bound, "or less", and
                                    // there is no interval: NaN
} bl_labels_needed;

// In the arena's memory. Linear evaluation, fine-tuning and segmentation, wherever two shares or more were measured.
const bl_label_curve *bl_label_curves(const bl_study *study, int *count);
// A figure that is the best of its run on val stands beside our best looks, where there are any.
const bl_label_published *bl_label_published_of(const bl_study *study, const bl_label_curve *curves, int curve_count, int *count);
// Every ordered pair of curves of one question whose second was measured with all labels: arms of one cell, and the same arm of two.
const bl_labels_needed *bl_labels_needed_of(const bl_study *study, const bl_label_curve *curves, int curve_count, int *count);

// At the last epoch that any run of the cell measured.
bl_estimate bl_label_value(const bl_study *study, const bl_label_curve *curve, int point);
// One curve's point minus another's, over the seeds that have both.
bl_estimate bl_label_difference(const bl_study *study, const bl_label_curve *curve, int point, const bl_label_curve *minus, int minus_point);
// Images or scenes that a share of the cell's labels is; -1: the file does not tell.
int64_t bl_label_images(const bl_cell *cell, double share);

const char *bl_label_measure(const bl_label_curve *curve); // "accuracy", "mIoU"
// "fine-tuning, test", of every curve of its question.
void bl_label_title(const bl_label_curve *curve, bl_text *text);
// The arm, with its cell where another curve of the question has the same arm.
void bl_label_curve_name(const bl_study *study, const bl_label_curve *curves, int curve_count, const bl_label_curve *curve, bl_text *text);

// The share where a curve first is as high as `target`: a straight line between neighbouring shares on a logarithmic axis.
// NaN: never. `shares` ascend.
double bl_share_reaching(const double *shares, const double *values, int count, double target);

#endif
