// report_labels.c - label efficiency in report.md: a table for each question, and how many labels one arm saves another.

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "experiment/protocol_facts.h"
#include "report/report_parts.h"
#include "report/report_text.h"

static void add_curve_name(bl_report *report, bl_text *out, const bl_label_curve *curve) {
    bl_text name = {0};
    bl_label_curve_name(&report->study, report->curves, report->curve_count, curve, &name);
    bl_report_field(out, name.chars);
    bl_text_free(&name);
}

static bool asks(const bl_label_curve *curve, const char *question) { return strcmp(curve->question, question) == 0; }

static const bl_evaluation *point_at(const bl_label_curve *curve, double share, int *point) {
    for (*point = 0; *point < curve->point_count; ++*point)
        if (curve->points[*point]->fit.share == share) return curve->points[*point];
    return NULL;
}

// The next larger share of any curve that asks this; 0: there is none.
static double next_share(const bl_report *report, const char *question, double above) {
    double next = 0;
    for (int k = 0; k < report->curve_count; k++)
        for (int i = 0; asks(&report->curves[k], question) && i < report->curves[k].point_count; i++) {
            const double share = report->curves[k].points[i]->fit.share;
            if (share > above && (next == 0 || share < next)) next = share;
        }
    return next;
}

static void add_share(bl_text *out, double share, const bl_cell *cell) {
    const int64_t images = bl_label_images(cell, share);
    bl_text_add(out, "%.3g %%", share);
    if (images >= 0) bl_text_add(out, " (%" PRId64 ")", images);
}

// Of a share: what the first of two arms is ahead of the second, paired by seed.
static void add_lead(bl_report *report, bl_text *out, const bl_label_curve *const pair[2], double share) {
    int points[2];
    bl_estimate lead = {0};
    if (point_at(pair[0], share, &points[0]) && point_at(pair[1], share, &points[1]))
        lead = bl_label_difference(&report->study, pair[0], points[0], pair[1], points[1]);
    if (!lead.n) bl_text_add(out, " - |");
    else if (lead.n < 2) bl_text_add(out, " %+.1f (one pair) |", lead.mean);
    else if (!bl_report_has_spread(lead)) bl_text_add(out, " %+.1f (no spread) |", lead.mean);
    else bl_text_add(out, " %+.1f ± %.1f (%s) |", lead.mean, (lead.high - lead.low) / 2, bl_report_reads(lead));
}

// Of a share: "59.2", and how far ours is from it where the two can be compared.
static void add_label_published(bl_report *report, bl_text *out, const bl_label_published *published, double share) {
    int point, i = 0;
    while (i < published->point_count && published->shares[i] != share) i++;
    if (i == published->point_count) {
        bl_text_add(out, " - |");
        return;
    }
    const bl_expectation *expected = published->points[i];
    const bool is_range = expected->low < expected->high;
    if (is_range) bl_text_add(out, " %g to %g", expected->low, expected->high);
    else bl_text_add(out, " %g", expected->value);
    if (expected->spread > 0) bl_text_add(out, " ± %g", expected->spread);
    if (!expected->context && !is_range && point_at(published->curve, share, &point))
        bl_text_add(out, " (ours %+.1f)", bl_label_value(&report->study, published->curve, point).mean - expected->value);
    bl_text_add(out, " |");
}

// A line a source below the table of its figures.
static void add_label_sources(bl_report *report, bl_text *out, const char *question) {
    for (int p = 0; p < report->published_count; p++) {
        const bl_label_published *published = &report->published[p];
        const bl_expectation *expected = published->points[0];
        bool is_known = !asks(published->curve, question);
        for (int q = 0; q < p; q++)
            is_known |= asks(report->published[q].curve, question) && !strcmp(report->published[q].source, published->source) &&
                        report->published[q].context == published->context;
        if (is_known) continue;
        bl_text_add(out, "\nPublished: ");
        bl_report_field(out, published->source);
        if (expected->origin) bl_text_add(out, ", %s", expected->origin);
        if (expected->n) bl_text_add(out, ", n = %d", expected->n);
        if (published->curve->best) { // context by its selection, which is that of this table
            const char *about = expected->about ? expected->about : "";
            bl_text_add(out, "; chosen on val, as ours are here%s", *about ? "; context: " : "");
            bl_report_field(out, about);
        } else if (expected->context) {
            bl_text_add(out, "; ");
            bl_report_context(out, expected);
        }
        bl_text_add(out, ".\n");
    }
}

static void add_label_header(bl_report *report, bl_text *out, const bl_label_curve *first, bool has_difference) {
    int columns = has_difference;
    const bool is_counted = bl_label_images(&report->experiment->cells[first->cell], 100) >= 0;
    bl_text_add(out, "\n\n| labels%s |", !is_counted ? "" : bl_protocol_facts_of(first->points[0]->kind)->of_scenes ? " (scenes)" : " (images)");
    for (int k = 0; k < report->curve_count; k++) {
        if (!asks(&report->curves[k], first->question)) continue;
        bl_text_add(out, " ");
        add_curve_name(report, out, &report->curves[k]);
        bl_text_add(out, " |");
        columns++;
        for (int p = 0; p < report->published_count; p++) {
            if (report->published[p].curve != &report->curves[k]) continue;
            bl_text_add(out, " published |");
            columns++;
        }
    }
    bl_text_add(out, "%s\n|---:|", has_difference ? " difference |" : "");
    for (int i = 0; i < columns; i++) bl_text_add(out, "---:|");
}

static void add_label_table(bl_report *report, bl_text *out, const bl_label_curve *first) {
    const bl_label_curve *asked[2] = {0};
    int count = 0;
    bl_text_add(out, "\n## Label efficiency: ");
    bl_label_title(first, out);
    for (int k = 0; k < report->curve_count; k++) {
        if (!asks(&report->curves[k], first->question)) continue;
        if (count < 2) asked[count] = &report->curves[k];
        count++;
    }
    add_label_header(report, out, first, count == 2);
    for (double share = 0; (share = next_share(report, first->question, share)) > 0;) {
        bl_text_add(out, "\n| ");
        add_share(out, share, &report->experiment->cells[first->cell]);
        bl_text_add(out, " |");
        for (int k = 0, point; k < report->curve_count; k++) {
            if (!asks(&report->curves[k], first->question)) continue;
            bl_text_add(out, " ");
            const bool is_there = point_at(&report->curves[k], share, &point);
            bl_report_value(out, is_there ? bl_label_value(&report->study, &report->curves[k], point) : (bl_estimate){0}, 1);
            bl_text_add(out, " |");
            for (int p = 0; p < report->published_count; p++)
                if (report->published[p].curve == &report->curves[k]) add_label_published(report, out, &report->published[p], share);
        }
        if (count == 2) add_lead(report, out, asked, share);
    }
    bl_text_add(out, "\n%s", count == 2 ? "\nThe difference is paired by seed; one smaller than what stands behind its ± could not have been told from none.\n" : "");
    if (bl_protocol_facts_of(first->points[0]->kind)->of_scenes)
        bl_text_add(out, "\nmIoU in percent over the classes with truth in val, %s.\n",
                    first->best ? "of each run's best look there: chosen on the images it is reported on, so too high" : "of each run's last look");
    if (first->points[0]->chosen_on)
        bl_text_add(out, "\nThe learning rate was lowered by what was measured on the images that are reported on: these values flatter.\n");
    add_label_sources(report, out, first->question);
}

static void add_needed_share(bl_text *out, const bl_labels_needed *needed, const bl_cell *cell) {
    const double smallest = needed->curve->points[0]->fit.share;
    if (!needed->reached) bl_text_add(out, "never | - ");
    else if (needed->reached < needed->pairs) bl_text_add(out, "in %d of %d seeds alone | - ", needed->reached, needed->pairs);
    else if (needed->at_smallest == needed->pairs) {
        add_share(out, smallest, cell);
        bl_text_add(out, " or less | - ");
    } else {
        add_share(out, needed->share.mean, cell);
        if (needed->at_smallest) bl_text_add(out, " or less | none: %d of %d seeds with the smallest share ", needed->at_smallest, needed->pairs);
        else if (needed->share.n < 2) bl_text_add(out, " | - ");
        else bl_text_add(out, " | %.3g %% to %.3g %% ", needed->share.low, fmin(needed->share.high, 100));
    }
}

static void add_needed(bl_report *report, bl_text *out) {
    if (!report->needed_count) return;
    bl_text_add(out, "\n### Labels needed to match\n\n| by | arm | to match all labels of | seeds | share needed (labels) | 95 %% interval |\n"
                     "|---|---|---|---:|---:|---:|\n");
    for (int k = 0; k < report->needed_count; k++) {
        const bl_labels_needed *needed = &report->needed[k];
        bl_text_add(out, "| ");
        bl_label_title(needed->curve, out);
        bl_text_add(out, " | ");
        add_curve_name(report, out, needed->curve);
        bl_text_add(out, " | ");
        add_curve_name(report, out, needed->against);
        bl_text_add(out, " | %d | ", needed->pairs);
        add_needed_share(out, needed, &report->experiment->cells[needed->curve->cell]);
        bl_text_add(out, "|\n");
    }
    bl_text_add(out, "\nThe share is read for each seed between neighbouring points, on a logarithmic axis of shares; then its geometric mean "
                     "over seeds, and the Student interval of the logarithm. Where a seed is there with its smallest share, less might do, "
                     "and there is no interval.\n");
}

void bl_report_labels_markdown(bl_report *report, bl_text *out) {
    for (int k = 0; k < report->curve_count; k++) {
        int first = 0;
        while (!asks(&report->curves[first], report->curves[k].question)) first++;
        if (first == k) add_label_table(report, out, &report->curves[k]);
    }
    add_needed(report, out);
}
