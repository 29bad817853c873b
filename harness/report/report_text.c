#include "report/report_text.h"

#include <string.h>

#include "report/csv.h"

// ---- Markdown ----

void bl_report_field(bl_text *out, const char *text) {
    for (; *text; text++) bl_text_add(out, *text == '|' ? "\\|" : *text == '\n' ? " " : "%c", *text);
}

void bl_report_value(bl_text *out, bl_estimate estimate, int decimals) {
    if (!estimate.n) bl_text_add(out, "-");
    else bl_text_add(out, "%.*f", decimals, estimate.mean);
    if (estimate.n > 1) bl_text_add(out, " ± %.*f", decimals, (estimate.high - estimate.low) / 2);
}

void bl_report_mark(bl_text *out, int unfinished) {
    if (unfinished) bl_text_add(out, " (%d unfinished)", unfinished);
}

// Or "0.3 to 5.5 (the source contradicts itself)".
void bl_report_published(bl_text *out, const bl_expectation *expected) {
    const bool is_range = expected->low < expected->high, has_spread = expected->spread > 0;
    if (is_range) {
        bl_text_add(out, "%g to %g (the source contradicts itself", expected->low, expected->high);
        if (expected->n) bl_text_add(out, "; n = %d", expected->n);
        bl_text_add(out, ")");
        return;
    }
    bl_text_add(out, "%g", expected->value);
    if (has_spread) bl_text_add(out, " ± %g", expected->spread);
    if (!has_spread && !expected->n) return;
    bl_text_add(out, " (");
    if (has_spread)
        for (const char *c = expected->spread_kind ? expected->spread_kind : "spread"; *c; c++) bl_text_add(out, "%c", *c == '_' ? ' ' : *c);
    if (expected->n) bl_text_add(out, "%sn = %d", has_spread ? ", " : "", expected->n);
    bl_text_add(out, ")");
}

static bool is_last(const bl_expectation *expected) { return !expected->selection || strcmp(expected->selection, "last") == 0; }

void bl_report_context(bl_text *out, const bl_expectation *expected) {
    const bool has_about = expected->about && *expected->about;
    bl_text_add(out, "context%s", has_about || !is_last(expected) ? ": " : "");
    if (has_about) bl_report_field(out, expected->about);
    if (is_last(expected)) return;
    bl_text_add(out, "%stheirs is ", has_about ? "; " : "");
    if (strcmp(expected->selection, "unknown") == 0) bl_text_add(out, "of an unknown epoch");
    else
        for (const char *c = expected->selection; *c; c++) bl_text_add(out, "%c", *c == '_' ? ' ' : *c);
}

void bl_report_difference(bl_text *out, const bl_expectation *expected, bl_estimate ours) {
    if (expected->context) bl_report_context(out, expected);
    else if (!ours.n) bl_text_add(out, "-");
    else if (expected->low < expected->high) bl_text_add(out, "%+.1f to %+.1f", ours.mean - expected->high, ours.mean - expected->low);
    else bl_text_add(out, "%+.1f", ours.mean - expected->value);
}

void bl_report_source(bl_text *out, const bl_expectation *expected) {
    bl_report_field(out, expected->source ? expected->source : "");
    if (expected->origin) bl_text_add(out, "%s%s", expected->source ? ", " : "", expected->origin);
}

// ---- CSV ----

void bl_report_estimate(bl_text *csv, bl_estimate estimate) {
    const double spread[] = {estimate.sd, estimate.low, estimate.high};
    bl_csv_integer(csv, estimate.n);
    if (estimate.n) bl_csv_number(csv, estimate.mean, 0);
    else bl_csv_none(csv);
    for (int i = 0; i < 3; i++) {
        if (estimate.n > 1) bl_csv_number(csv, spread[i], 0);
        else bl_csv_none(csv);
    }
    bl_csv_integer(csv, estimate.unfinished);
}

// ---- differences ----

bool bl_report_has_spread(bl_estimate difference) { return difference.n > 1 && difference.sd > 1e-9; }

const char *bl_report_reads(bl_estimate difference) {
    if (difference.n < 2) return "one pair";
    if (!bl_report_has_spread(difference) || (difference.low <= 0 && difference.high >= 0)) return "inconclusive";
    return difference.mean > 0 ? "higher" : "lower";
}
