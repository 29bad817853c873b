// report_markdown.c - report.md: results, published figures beside ours, differences, and what is not counted.

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "experiment/protocol_facts.h"
#include "report/report_parts.h"
#include "report/report_text.h"

// ---- results ----

// "collapsed 3 of 3", "healthy 2, collapsing 1 of 3", "-".
static void add_verdicts(bl_report *report, bl_text *out, int cell) {
    int counts[BL_VERDICTS];
    const int sum = bl_study_verdicts(&report->study, cell, counts);
    const char *separator = "";
    for (int v = 0; v < BL_VERDICTS; v++) {
        if (!counts[v]) continue;
        bl_text_add(out, "%s%s %d", separator, bl_verdict_name((bl_verdict)v), counts[v]);
        separator = ", ";
    }
    if (sum) bl_text_add(out, " of %d", sum);
    else bl_text_add(out, "-");
}

static void add_spread(bl_report *report, bl_text *out, int cell) {
    bl_text_add(out, " | ");
    bl_report_value(out, bl_study_std_ratio(&report->study, cell), 3);
    bl_text_add(out, " | ");
    add_verdicts(report, out, cell);
    bl_text_add(out, " |\n");
}

// "| cell | row | seeds | before training"
static void add_line_start(bl_report *report, bl_text *out, int cell, const char *row, const char *mark, int n, int mixed, int unfinished,
                           bl_estimate before) {
    bl_text_add(out, "| ");
    bl_report_field(out, report->experiment->cells[cell].name);
    bl_text_add(out, " | %s%s | %d", row, mark, n);
    if (mixed) bl_text_add(out, " (%d mixed)", mixed);
    bl_report_mark(out, unfinished);
    bl_text_add(out, " | ");
    bl_report_value(out, before, 1);
}

// The rows of a label-efficiency curve have a table of their own.
static bool is_on_a_curve(const bl_report *report, int cell, const char *row) {
    for (int k = 0; k < report->curve_count; k++)
        for (int i = 0; report->curves[k].cell == cell && i < report->curves[k].point_count; i++)
            if (strcmp(report->curves[k].points[i]->row, row) == 0) return true;
    return false;
}

// A line for each epoch at which runs ended: those that were stopped have one of their own, and nothing is averaged over epochs.
// Whether one of them says how training ended: raw pixels and what was measured before training alone do not.
static bool add_row_lines(bl_report *report, bl_text *out, int cell, const bl_evaluation *evaluation, int mixed) {
    int count;
    bool has_end = false;
    const char *row = evaluation->row;
    const int *epochs = bl_study_epochs(&report->study, cell, row, &count);
    const bl_estimate before = bl_study_value(&report->study, cell, row, 0);
    for (int e = 0; e < count; e++) {
        const char *stopped;
        const bl_estimate end = bl_study_end(&report->study, cell, row, epochs[e], &stopped);
        if (!end.n) continue;
        add_line_start(report, out, cell, row, bl_evaluation_mark(evaluation), end.n, mixed, end.unfinished, before);
        if (!evaluation->knn.raw_pixels && (epochs[e] || stopped)) {
            has_end = true;
            bl_text_add(out, " | %d", epochs[e]);
            if (stopped) bl_text_add(out, " (stopped: %s)", stopped);
            bl_text_add(out, " | ");
            bl_report_value(out, end, 1);
            add_spread(report, out, cell);
        } else
            bl_text_add(out, " | - | - | - | - |\n");
    }
    return has_end;
}

static bool has_results(const bl_report *report) {
    int counts[BL_VERDICTS];
    for (int c = 0; c < report->experiment->cell_count; c++)
        if (bl_study_runs(&report->study, c, NULL) || bl_study_verdicts(&report->study, c, counts)) return true;
    return false;
}

static void add_results(bl_report *report, bl_text *out) {
    bool any_monitored = false, any_chosen = false, any_mixed = false, any_verdict = false, any_segmented = false;
    if (!has_results(report)) {
        bl_text_add(out, "No run is finished.\n");
        return;
    }
    bl_text_add(out, "| cell | row | seeds | before training | last epoch | after it | std ratio | verdict |\n"
                     "|---|---|---:|---:|---:|---:|---:|---|\n");
    for (int c = 0; c < report->experiment->cell_count; c++) {
        const bl_cell *cell = &report->experiment->cells[c];
        int mixed, counts[BL_VERDICTS];
        const int runs = bl_study_runs(&report->study, c, &mixed), verdicts = bl_study_verdicts(&report->study, c, counts);
        bool has_end = false;
        any_mixed |= mixed > 0;
        any_verdict |= verdicts > 0;
        for (int i = 0; i < report->row_count; i++) {
            const char *row = report->rows[i]->row;
            if (bl_study_last_epoch(&report->study, c, row) < 0 || is_on_a_curve(report, c, row)) continue;
            const bl_evaluation *own = bl_cell_row(cell, row);
            any_monitored |= own->monitor;
            any_chosen |= own->chosen_on;
            any_segmented |= bl_protocol_facts_of(own->kind)->of_scenes;
            if (add_row_lines(report, out, c, own, mixed)) has_end = true;
        }
        if (has_end || !(runs || verdicts)) continue;
        add_line_start(report, out, c, "-", "", runs, mixed, bl_study_std_ratio(&report->study, c).unfinished, (bl_estimate){0});
        bl_text_add(out, " | - | -");
        add_spread(report, out, c);
    }
    bl_text_add(out, "\n%s in percent, of %s runs on the backend `%s`. ± is half of the 95 %% Student interval over seeds. "
                     "The std ratio is the last std of the projection relative to step 0.\n",
                any_segmented ? "Accuracies, and mIoU of segmentations," : "Accuracies",
                report->study.counts_unfinished ? "finished and unfinished" : "finished", report->experiment->machine.backend);
    if (any_verdict) bl_text_add(out, "The verdict is the last diagnosis of collapse of each run; all of them stand in collapse.csv.\n");
    if (any_mixed)
        bl_text_add(out, "Mixed runs were continued on another machine, backend version or number of threads: they count, but cannot be "
                         "repeated bit for bit.\n");
    if (any_monitored)
        bl_text_add(out, "Monitored rows watch the test split while training goes on, as the recipe they repeat does; "
                         "nothing was chosen by them.\n");
    if (any_chosen)
        bl_text_add(out, "The learning rate of rows marked chosen on it was lowered by what was measured on the images that they report on: "
                         "they flatter.\n");
}

// ---- published figures ----

// Beside a figure of another set-up stands the last epoch of ours where theirs is none of ours.
static void add_expectation(bl_report *report, bl_text *out, const bl_expectation *expected, int cell) {
    int epoch = expected->epoch;
    bl_estimate ours = bl_study_value(&report->study, cell, expected->row, epoch);
    const int last = bl_study_last_epoch(&report->study, cell, expected->row);
    if (!ours.n && expected->context && last >= 0) ours = bl_study_value(&report->study, cell, expected->row, epoch = last);
    bl_text_add(out, "| ");
    bl_report_field(out, report->experiment->cells[cell].name);
    bl_text_add(out, " | %s | %d | ", expected->row, expected->epoch);
    bl_report_published(out, expected);
    bl_text_add(out, " | ");
    bl_report_value(out, ours, 1);
    bl_report_mark(out, ours.unfinished);
    if (epoch != expected->epoch) bl_text_add(out, " (epoch %d)", epoch);
    bl_text_add(out, " | ");
    bl_report_difference(out, expected, ours);
    bl_text_add(out, " | ");
    bl_report_source(out, expected);
    bl_text_add(out, " |\n");
}

// It stands in a table of label efficiency.
static bool is_beside_labels(const bl_report *report, const bl_expectation *expected) {
    for (int p = 0; p < report->published_count; p++)
        for (int i = 0; i < report->published[p].point_count; i++)
            if (report->published[p].points[i] == expected) return true;
    return false;
}

static void add_beside_published(bl_report *report, bl_text *out) {
    bool context = false, begun = false;
    for (int i = 0; i < report->experiment->expectation_count; i++) begun |= !is_beside_labels(report, &report->experiment->expectations[i]);
    if (!begun) return;
    bl_text_add(out, "\n## Beside published figures\n\n| cell | row | epoch | published | ours | difference | source |\n"
                     "|---|---|---:|---:|---:|---:|---|\n");
    for (int i = 0; i < report->experiment->expectation_count; i++) {
        const bl_expectation *expected = &report->experiment->expectations[i];
        if (is_beside_labels(report, expected)) continue;
        context |= expected->context;
        for (int c = 0; c < report->experiment->cell_count; c++)
            if (!expected->cell || strcmp(expected->cell, report->experiment->cells[c].name) == 0)
                add_expectation(report, out, expected, c);
    }
    bl_text_add(out, "\nEpochs are finished epochs; - where ours was not measured then.\n");
    if (context)
        bl_text_add(out, "A figure marked context is of another set-up (data, network, epochs, protocol or selection): it orients, and a "
                         "difference would mean nothing.\n");
}

// ---- differences, and what is missing ----

// Every cell against the first, at the last epoch both measured; all epochs and pairs are in differences.csv.
static void add_cell_differences(bl_report *report, bl_text *out) {
    bool begun = false;
    for (int c = 1; c < report->experiment->cell_count; c++)
        for (int i = 0; i < report->row_count; i++) {
            int epoch;
            const bl_estimate difference = bl_study_last_difference(&report->study, c, 0, report->rows[i]->row, &epoch);
            if (!difference.n || report->rows[i]->knn.raw_pixels) continue;
            if (!begun)
                bl_text_add(out, "\n## Differences between cells, paired by seed\n\n| cell | minus | row | epoch | pairs | difference | "
                                 "95 %% interval | resolves | reads |\n|---|---|---|---:|---:|---:|---:|---:|---|\n");
            begun = true;
            bl_text_add(out, "| ");
            bl_report_field(out, report->experiment->cells[c].name);
            bl_text_add(out, " | ");
            bl_report_field(out, report->experiment->cells[0].name);
            bl_text_add(out, " | %s | %d | %d", report->rows[i]->row, epoch, difference.n);
            bl_report_mark(out, difference.unfinished);
            bl_text_add(out, " | %+.1f | ", difference.mean);
            if (bl_report_has_spread(difference)) bl_text_add(out, "%+.1f to %+.1f", difference.low, difference.high);
            else if (difference.n > 1) bl_text_add(out, "no spread");
            else bl_text_add(out, "-");
            if (bl_report_has_spread(difference)) bl_text_add(out, " | %.1f", bl_resolution(difference.sd, difference.n));
            else bl_text_add(out, " | -");
            bl_text_add(out, " | %s |\n", bl_report_reads(difference));
        }
    if (begun) bl_text_add(out, "\nResolves: the smallest difference that these pairs could have told from none.\n");
}

// Measurements made with options that the experiment file has since changed.
static int64_t count_outdated(const bl_report *report) {
    int64_t count = 0;
    for (int r = 0; r < report->study.run_count; r++) {
        const bl_study_run *run = &report->study.runs[r];
        for (int64_t m = 0; m < run->history.measurement_count; m++) {
            const bl_evaluation *row = bl_cell_row(&report->experiment->cells[run->cell], run->history.measurements[m].row);
            count += !row || strcmp(row->id, run->history.measurements[m].id) != 0;
        }
    }
    return count;
}

void bl_report_markdown(bl_report *report, bl_text *out, const char *figures) {
    bl_text_add(out, "# %s\n\n", report->experiment->title ? report->experiment->title : report->experiment->study);
    if (report->experiment->title) bl_text_add(out, "Study `%s`.\n\n", report->experiment->study);
    add_results(report, out);
    bl_text_add(out, "%s", figures);
    bl_report_unfinished_markdown(report, out);
    bl_report_labels_markdown(report, out);
    bl_report_segmentation_markdown(report, out);
    add_beside_published(report, out);
    add_cell_differences(report, out);
    bl_report_makers_markdown(report, out);
    if (report->study.absent_count) bl_text_add(out, "\n## Not counted\n\n");
    for (int i = 0; i < report->study.absent_count; i++) bl_text_add(out, "- %s\n", report->study.absent[i]);
    if (report->experiment->skipped_count) bl_text_add(out, "\n## Cells left out\n\n");
    for (int i = 0; i < report->experiment->skipped_count; i++) bl_text_add(out, "- %s\n", report->experiment->skipped[i]);
    const int64_t outdated = count_outdated(report);
    if (outdated)
        bl_text_add(out, "\n%" PRId64 " measurements were made with other options than the file's evaluations now have, or from other files of "
                         "their arms; they are in measurements.csv alone.\n", outdated);
    if (report->neighbours) bl_text_add(out, "\n## Of another file\n\nNote that %s.\n", report->neighbours);
}
