// report_text.h - how the files of a report write a value, a published figure and a difference.

#ifndef BL_REPORT_REPORT_TEXT_H
#define BL_REPORT_REPORT_TEXT_H

#include "report/study.h" // bl_estimate, bl_expectation

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
