// report_unfinished.c - in report.md: the runs under way, as far as they are, and who made runs that several made.

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "report/report_parts.h"
#include "report/report_text.h"

static const bl_cell *cell_of(const bl_report *report, const bl_study_run *run) { return &report->experiment->cells[run->cell]; }

// "| crossed | 0"
static void add_run(bl_report *report, bl_text *out, const bl_study_run *run) {
    bl_text_add(out, "| ");
    bl_report_field(out, cell_of(report, run)->name);
    bl_text_add(out, " | %" PRIu64, run->seed);
}

// ---- how far they are ----

// "4000 of 19500 | 20 of 100"
static void add_place(bl_text *out, const bl_standing *standing) {
    bl_text_add(out, " | %" PRId64, standing->step);
    if (standing->steps) bl_text_add(out, " of %" PRId64, standing->steps);
    bl_text_add(out, " | %d of %d", standing->epoch, standing->epochs);
    if (standing->steps && standing->step >= standing->steps) bl_text_add(out, " (trained; its last rows are missing)");
}

// The last one of each row, raw pixels left out: "knn/k1_cv/test 45.3 (epoch 20), ..."
static void add_last_measurements(bl_report *report, bl_text *out, const bl_study_run *run) {
    const char *separator = "";
    for (int i = 0; i < report->row_count; i++) {
        const bl_evaluation *own = bl_cell_row(cell_of(report, run), report->rows[i]->row);
        const bl_measurement *last = NULL;
        for (int64_t m = 0; own && !own->knn.raw_pixels && m < run->history.measurement_count; m++) {
            const bl_measurement *measurement = &run->history.measurements[m];
            if (!strcmp(measurement->row, own->row) && !strcmp(measurement->id, own->id) && (!last || measurement->epoch >= last->epoch))
                last = measurement;
        }
        if (!last) continue;
        bl_text_add(out, "%s%s %.1f (epoch %d)", separator, last->row, last->value, last->epoch);
        separator = ", ";
    }
    if (!*separator) bl_text_add(out, "-");
}

// "2026-11-30 17:34 UTC"
static void add_time(bl_text *out, int64_t seconds) {
    const time_t when = (time_t)seconds;
    struct tm parts;
    char text[40];
    if (!gmtime_r(&when, &parts) || !strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &parts)) return;
    bl_text_add(out, "%s", text);
}

static void add_last_stretch(bl_text *out, const bl_stretches *stretches) {
    if (!stretches->past_count) {
        bl_text_add(out, "- | -");
        return;
    }
    bl_text maker = {0};
    const bl_stretch *last = &stretches->past[stretches->past_count - 1];
    add_time(out, last->until);
    bl_text_add(out, " | ");
    bl_stretch_maker(last, &maker);
    bl_report_field(out, maker.chars);
    bl_text_free(&maker);
}

static void add_line(bl_report *report, bl_text *out, const bl_study_run *run) {
    add_run(report, out, run);
    add_place(out, &run->standing);
    bl_text_add(out, " | %s | ", run->standing.is_diagnosed ? bl_verdict_name(run->standing.verdict) : "-");
    add_last_measurements(report, out, run);
    bl_text_add(out, " | ");
    add_last_stretch(out, &run->stretches);
    bl_text_add(out, " |\n");
}

// ---- beside published figures of the same epoch ----

static bool add_beside(bl_report *report, bl_text *out, const bl_study_run *run, const bl_expectation *expected, bool begun) {
    const bl_cell *cell = cell_of(report, run);
    const bl_evaluation *own = bl_cell_row(cell, expected->row);
    if (!own || (expected->cell && strcmp(expected->cell, cell->name) != 0)) return begun;
    const bl_measurement *measured = bl_history_find(&run->history, own->row, own->id, expected->epoch);
    if (!measured) return begun;
    const bl_estimate ours = bl_estimate_of(&measured->value, 1);
    if (!begun)
        bl_text_add(out, "\nBeside published figures of the epochs they have reached, one run each:\n\n"
                         "| cell | seed | row | epoch | published | so far | difference | source |\n|---|---:|---|---:|---:|---:|---:|---|\n");
    add_run(report, out, run);
    bl_text_add(out, " | %s | %d | ", expected->row, expected->epoch);
    bl_report_published(out, expected);
    bl_text_add(out, " | ");
    bl_report_value(out, ours, 1);
    bl_text_add(out, " (unfinished) | ");
    bl_report_difference(out, expected, ours);
    bl_text_add(out, " | ");
    bl_report_source(out, expected);
    bl_text_add(out, " |\n");
    return true;
}

static void add_published(bl_report *report, bl_text *out) {
    bool begun = false;
    for (int i = 0; i < report->experiment->expectation_count; i++)
        for (int r = 0; r < report->study.run_count; r++)
            if (!report->study.runs[r].is_finished)
                begun = add_beside(report, out, &report->study.runs[r], &report->experiment->expectations[i], begun);
}

void bl_report_unfinished_markdown(bl_report *report, bl_text *out) {
    bool begun = false;
    for (int r = 0; r < report->study.run_count; r++) {
        if (report->study.runs[r].is_finished) continue;
        if (!begun)
            bl_text_add(out, "\n## Unfinished\n\n| cell | seed | step | epoch | verdict so far | last measurements | as of | made by |\n"
                             "|---|---:|---:|---:|---|---|---|---|\n");
        begun = true;
        add_line(report, out, &report->study.runs[r]);
    }
    if (!begun) return;
    bl_text_add(out, "\nRead from checkpoints; `byolab run` continues them. ");
    if (report->study.counts_unfinished)
        bl_text_add(out, "As was asked for (`--unfinished`) they count in the tables, at the epochs they have reached: \"(1 unfinished)\" "
                         "stands where one of the runs is such a one. Std ratio and verdict are of where each run stands.\n");
    else {
        bl_text_add(out, "They enter no average, and none of the other tables here; `byolab report --unfinished` takes them in.\n");
        add_published(report, out);
    }
}

// ---- who made them ----

static void add_steps(bl_text *out, int64_t first, int64_t last, const char *separator) {
    bl_text_add(out, "%s %" PRId64 "-%" PRId64 " ", separator, first, last);
}

// Neighbours of one maker are one. The list may begin late: a program that kept none trained what was before.
static void add_makers(bl_text *out, const bl_stretches *stretches) {
    const bl_stretch *first = &stretches->past[0];
    const char *separator = ": steps";
    if (first->first > 1) {
        add_steps(out, 1, first->first - 1, separator);
        bl_text_add(out, "by a program that did not record it");
        separator = ";";
    }
    for (int64_t i = 0, next; i < stretches->past_count; i = next) {
        for (next = i + 1; next < stretches->past_count && bl_stretch_same_maker(&stretches->past[i], &stretches->past[next]); next++) {}
        bl_text maker = {0};
        bl_stretch_maker(&stretches->past[i], &maker);
        add_steps(out, stretches->past[i].first, stretches->past[next - 1].last, separator);
        bl_text_add(out, "on %s", maker.chars);
        bl_text_free(&maker);
        separator = ";";
    }
    bl_text_add(out, "\n");
}

static bool has_several_makers(const bl_stretches *stretches) {
    for (int64_t i = 1; i < stretches->past_count; i++)
        if (!bl_stretch_same_maker(&stretches->past[0], &stretches->past[i])) return true;
    return stretches->past_count && stretches->past[0].first > 1;
}

void bl_report_makers_markdown(bl_report *report, bl_text *out) {
    bool begun = false;
    for (int r = 0; r < report->study.run_count; r++) {
        const bl_study_run *run = &report->study.runs[r];
        if (!has_several_makers(&run->stretches)) continue;
        if (!begun) bl_text_add(out, "\n## Made by several machines or programs\n\n");
        begun = true;
        bl_text_add(out, "- %s, seed %" PRIu64 "%s", cell_of(report, run)->name, run->seed, run->is_finished ? "" : " (unfinished)");
        add_makers(out, &run->stretches);
    }
}
