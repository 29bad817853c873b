// report.c - see report.h: the tables. study.c reads the runs, plot.c draws.

#include "run/report.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "run/csv.h"
#include "run/plot.h"
#include "run/study.h"

enum { MOST_ROWS = 64 };

typedef struct study_report {
    bl_study study;
    const bl_experiment *experiment;
    const bl_evaluation *rows[MOST_ROWS];
    int row_count;
    const char *folder;
    bl_text names; // of the files written, with commas
} study_report;

static int write_text(study_report *report, const char *name, const bl_text *text) {
    const char *path = bl_arena_format(report->study.arena, "%s/%s", report->folder, name);
    if (bl_atomic_write(path, text->chars ? text->chars : "", text->size)) return BL_FAILED;
    bl_text_add(&report->names, "%s%s", report->names.size ? "," : "", name);
    return BL_OK;
}

// ---- CSV ----

static void add_measurements(study_report *report, bl_text *csv) {
    bl_text_add(csv, "study,cell,seed,backend,run_id,row,evaluation_id,epoch,value\n");
    for (int r = 0; r < report->study.run_count; r++) {
        const bl_finished_run *run = &report->study.runs[r];
        for (int64_t m = 0; m < run->history.measurement_count; m++) {
            const bl_measurement *measurement = &run->history.measurements[m];
            bl_csv_text(csv, report->experiment->study);
            bl_csv_text(csv, report->experiment->cells[run->cell].name);
            bl_csv_integer(csv, (long long)run->seed);
            bl_csv_text(csv, report->experiment->machine.backend);
            bl_csv_text(csv, run->run_id);
            bl_csv_text(csv, measurement->row);
            bl_csv_text(csv, measurement->id);
            bl_csv_integer(csv, measurement->epoch);
            bl_csv_number(csv, measurement->value, 0);
            bl_csv_end(csv);
        }
    }
}

static void add_steps(study_report *report, bl_text *csv) {
    enum { DIGITS = 7 }; // what an f32 holds; the run file has all
    bl_text_add(csv, "cell,seed,step,epoch,loss,std,std_ratio,learning_rate,tau\n");
    for (int r = 0; r < report->study.run_count; r++) {
        const bl_finished_run *run = &report->study.runs[r];
        for (int64_t i = 0; i < run->history.step_count; i++) {
            const bl_step_row *step = &run->history.steps[i];
            bl_csv_text(csv, report->experiment->cells[run->cell].name);
            bl_csv_integer(csv, (long long)run->seed);
            bl_csv_integer(csv, step->step);
            bl_csv_number(csv, step->epoch, DIGITS);
            bl_csv_number(csv, step->loss, DIGITS);
            bl_csv_number(csv, step->std, DIGITS);
            bl_csv_number(csv, step->std_ratio, DIGITS);
            bl_csv_number(csv, step->learning_rate, DIGITS);
            bl_csv_number(csv, step->tau, DIGITS);
            bl_csv_end(csv);
        }
    }
}

static void add_estimate(bl_text *csv, bl_estimate estimate) {
    bl_csv_integer(csv, estimate.n);
    bl_csv_number(csv, estimate.mean, 0);
    const double spread[] = {estimate.sd, estimate.low, estimate.high};
    for (int i = 0; i < 3; i++) {
        if (estimate.n > 1) bl_csv_number(csv, spread[i], 0);
        else bl_csv_none(csv);
    }
}

static void add_aggregate(study_report *report, bl_text *csv) {
    bl_text_add(csv, "cell,row,epoch,n,mean,sd,low,high\n");
    for (int c = 0; c < report->experiment->cell_count; c++)
        for (int i = 0; i < report->row_count; i++) {
            int count;
            const int *epochs = bl_study_epochs(&report->study, c, report->rows[i]->row, &count);
            for (int e = 0; e < count; e++) {
                bl_csv_text(csv, report->experiment->cells[c].name);
                bl_csv_text(csv, report->rows[i]->row);
                bl_csv_integer(csv, epochs[e]);
                add_estimate(csv, bl_study_value(&report->study, c, report->rows[i]->row, epochs[e]));
                bl_csv_end(csv);
            }
        }
}

static const char *verdict(bl_estimate difference) {
    if (difference.n < 2) return "one pair";
    if (difference.low <= 0 && difference.high >= 0) return "inconclusive";
    return difference.mean > 0 ? "higher" : "lower";
}

static void add_differences(study_report *report, bl_text *csv) {
    bl_text_add(csv, "row,epoch,cell,minus,n,mean,sd,low,high,reads\n");
    for (int i = 0; i < report->row_count; i++) {
        if (report->rows[i]->raw_pixels) continue; // no cell has a part in them
        for (int minus = 0; minus < report->experiment->cell_count; minus++)
            for (int c = minus + 1; c < report->experiment->cell_count; c++) {
                int count;
                const int *epochs = bl_study_epochs(&report->study, c, report->rows[i]->row, &count);
                for (int e = 0; e < count; e++) {
                    const bl_estimate difference = bl_study_difference(&report->study, c, minus, report->rows[i]->row, epochs[e]);
                    if (!difference.n) continue;
                    bl_csv_text(csv, report->rows[i]->row);
                    bl_csv_integer(csv, epochs[e]);
                    bl_csv_text(csv, report->experiment->cells[c].name);
                    bl_csv_text(csv, report->experiment->cells[minus].name);
                    add_estimate(csv, difference);
                    bl_csv_text(csv, verdict(difference));
                    bl_csv_end(csv);
                }
            }
    }
}

static void add_published(study_report *report, bl_text *csv) {
    bl_text_add(csv, "cell,row,epoch,value,n,context,origin,source\n");
    for (int i = 0; i < report->experiment->expectation_count; i++) {
        const bl_expectation *expected = &report->experiment->expectations[i];
        bl_csv_text(csv, expected->cell ? expected->cell : "");
        bl_csv_text(csv, expected->row);
        bl_csv_integer(csv, expected->epoch);
        bl_csv_number(csv, expected->value, 0);
        if (expected->n) bl_csv_integer(csv, expected->n);
        else bl_csv_none(csv);
        bl_csv_integer(csv, expected->context);
        bl_csv_text(csv, expected->origin ? expected->origin : "");
        bl_csv_text(csv, expected->source ? expected->source : "");
        bl_csv_end(csv);
    }
}

// ---- Markdown ----

// A text inside a table's field.
static void add_field(bl_text *out, const char *text) {
    for (; *text; text++) bl_text_add(out, *text == '|' ? "\\|" : "%c", *text);
}

// "34.2", "34.2 ± 0.4" (half the interval), "-".
static void add_value(bl_text *out, bl_estimate estimate, int decimals) {
    if (!estimate.n) bl_text_add(out, "-");
    else bl_text_add(out, "%.*f", decimals, estimate.mean);
    if (estimate.n > 1) bl_text_add(out, " ± %.*f", decimals, (estimate.high - estimate.low) / 2);
}

static bool any_value(study_report *report, int cell, const char *row) {
    int count;
    bl_study_epochs(&report->study, cell, row, &count);
    return count > 0;
}

static void add_results(study_report *report, bl_text *out) {
    bool any_monitored = false;
    bl_text_add(out, "| cell | row | seeds | before training | last epoch | after it | std ratio |\n|---|---|---:|---:|---:|---:|---:|\n");
    for (int c = 0; c < report->experiment->cell_count; c++)
        for (int i = 0; i < report->row_count; i++) {
            const char *row = report->rows[i]->row;
            if (!any_value(report, c, row)) continue;
            int count;
            const int *epochs = bl_study_epochs(&report->study, c, row, &count), last = epochs[count - 1];
            const bl_estimate at_last = bl_study_value(&report->study, c, row, last);
            bl_text_add(out, "| ");
            add_field(out, report->experiment->cells[c].name);
            const bool monitored = bl_cell_row(&report->experiment->cells[c], row)->monitor;
            any_monitored |= monitored;
            bl_text_add(out, " | %s%s | %d | ", row, monitored ? " (monitored)" : "", at_last.n);
            add_value(out, bl_study_value(&report->study, c, row, 0), 1);
            if (last > 0) {
                bl_text_add(out, " | %d | ", last);
                add_value(out, at_last, 1);
                bl_text_add(out, " | ");
                add_value(out, bl_study_std_ratio(&report->study, c), 3);
                bl_text_add(out, " |\n");
            } else
                bl_text_add(out, " | - | - | - |\n");
        }
    bl_text_add(out, "\nAccuracies in percent, of finished runs on the backend `%s`. ± is half of the 95 %% Student interval over seeds. "
                     "The std ratio is the last logged std of the projection relative to step 0.\n",
                report->experiment->machine.backend);
    if (any_monitored)
        bl_text_add(out, "Monitored rows watch the test split while training goes on, as the recipe they repeat does; "
                         "nothing was chosen by them.\n");
}

static void add_expectation(study_report *report, bl_text *out, const bl_expectation *expected, int cell) {
    const bl_estimate ours = bl_study_value(&report->study, cell, expected->row, expected->epoch);
    bl_text_add(out, "| ");
    add_field(out, report->experiment->cells[cell].name);
    bl_text_add(out, " | %s | %d | %g", expected->row, expected->epoch, expected->value);
    if (expected->n) bl_text_add(out, " (n = %d)", expected->n);
    bl_text_add(out, " | ");
    add_value(out, ours, 1);
    if (expected->context) bl_text_add(out, " | context");
    else if (ours.n) bl_text_add(out, " | %+.1f", ours.mean - expected->value);
    else bl_text_add(out, " | -");
    bl_text_add(out, " | ");
    add_field(out, expected->source ? expected->source : "");
    if (expected->origin) bl_text_add(out, "%s%s", expected->source ? ", " : "", expected->origin);
    bl_text_add(out, " |\n");
}

static void add_beside_published(study_report *report, bl_text *out) {
    bool context = false;
    bl_text_add(out, "\n## Beside published figures\n\n| cell | row | epoch | published | ours | difference | source |\n"
                     "|---|---|---:|---:|---:|---:|---|\n");
    for (int i = 0; i < report->experiment->expectation_count; i++) {
        const bl_expectation *expected = &report->experiment->expectations[i];
        context |= expected->context;
        for (int c = 0; c < report->experiment->cell_count; c++)
            if (!expected->cell || strcmp(expected->cell, report->experiment->cells[c].name) == 0)
                add_expectation(report, out, expected, c);
    }
    bl_text_add(out, "\nEpochs are finished epochs; - where ours was not measured then.\n");
    if (context)
        bl_text_add(out, "A figure marked context is of another set-up (width, data, schedule): a difference would mean nothing.\n");
}

// Every cell against the first, at the last epoch both measured; all epochs and pairs are in differences.csv.
static void add_cell_differences(study_report *report, bl_text *out) {
    bool begun = false;
    for (int c = 1; c < report->experiment->cell_count; c++)
        for (int i = 0; i < report->row_count; i++) {
            int count;
            const int *epochs = bl_study_epochs(&report->study, c, report->rows[i]->row, &count);
            bl_estimate difference = {0};
            int e = count;
            while (!difference.n && e-- > 0) difference = bl_study_difference(&report->study, c, 0, report->rows[i]->row, epochs[e]);
            if (!difference.n || report->rows[i]->raw_pixels) continue;
            if (!begun)
                bl_text_add(out, "\n## Differences between cells, paired by seed\n\n| cell | minus | row | epoch | pairs | difference | "
                                 "95 %% interval | reads |\n|---|---|---|---:|---:|---:|---:|---|\n");
            begun = true;
            bl_text_add(out, "| ");
            add_field(out, report->experiment->cells[c].name);
            bl_text_add(out, " | ");
            add_field(out, report->experiment->cells[0].name);
            bl_text_add(out, " | %s | %d | %d | %+.1f | ", report->rows[i]->row, epochs[e], difference.n, difference.mean);
            if (difference.n > 1) bl_text_add(out, "%+.1f to %+.1f", difference.low, difference.high);
            else bl_text_add(out, "-");
            bl_text_add(out, " | %s |\n", verdict(difference));
        }
}

// Measurements made with options that the experiment file has since changed.
static int64_t count_outdated(const study_report *report) {
    int64_t count = 0;
    for (int r = 0; r < report->study.run_count; r++) {
        const bl_finished_run *run = &report->study.runs[r];
        for (int64_t m = 0; m < run->history.measurement_count; m++) {
            const bl_evaluation *row = bl_cell_row(&report->experiment->cells[run->cell], run->history.measurements[m].row);
            count += !row || strcmp(row->id, run->history.measurements[m].id) != 0;
        }
    }
    return count;
}

static void add_markdown(study_report *report, bl_text *out, const char *plot) {
    bl_text_add(out, "# %s\n\n", report->experiment->title ? report->experiment->title : report->experiment->study);
    if (report->experiment->title) bl_text_add(out, "Study `%s`.\n\n", report->experiment->study);
    if (report->study.run_count) add_results(report, out);
    else bl_text_add(out, "No run is finished.\n");
    if (plot) bl_text_add(out, "\n![accuracy and spread by epoch](%s)\n", plot);
    if (report->experiment->expectation_count) add_beside_published(report, out);
    add_cell_differences(report, out);
    if (report->study.absent_count) bl_text_add(out, "\n## Not counted\n\n");
    for (int i = 0; i < report->study.absent_count; i++) bl_text_add(out, "- %s\n", report->study.absent[i]);
    const int64_t outdated = count_outdated(report);
    if (outdated)
        bl_text_add(out, "\n%" PRId64 " measurements were made with other options than the file's evaluations now have; they are in "
                         "measurements.csv alone.\n", outdated);
}

static void add_manifest(study_report *report, bl_text *yaml) {
    for (int r = 0; r < report->study.run_count; r++) {
        const bl_finished_run *run = &report->study.runs[r];
        bl_text_add(yaml, "\"%s/seed-%" PRIu64 ".%s\":\n%s", report->experiment->cells[run->cell].name, run->seed,
                    report->experiment->machine.backend, run->manifest);
    }
}

// ---- all of it ----

// Draws the figure. *summary_note says so where it could not be drawn; *name is NULL where there is nothing to show.
static int write_plot(study_report *report, const char **name, const char **note) {
    bl_text script = {0};
    bool drawn = false;
    int status = BL_OK;
    *name = *note = NULL;
    bl_plot_curves(&report->study, &script);
    if (script.size) {
        status = write_text(report, "curves.gp", &script);
        if (!status) status = bl_plot_draw(report->folder, "curves.gp", "curves.svg", &drawn);
        *name = "curves.svg";
        if (!drawn) *note = "gnuplot is not installed: curves.svg is not drawn; `gnuplot curves.gp` in that folder draws it.\n";
    }
    bl_text_free(&script);
    return status;
}

int bl_report_write(const bl_experiment *experiment, const char *results_folder, bl_text *summary) {
    study_report report = {.experiment = experiment};
    bl_text markdown = {0};
    int status = BL_FAILED;
    if (bl_study_read(&report.study, experiment, results_folder)) return BL_FAILED;
    report.folder = bl_arena_format(report.study.arena, "%s/%s", results_folder, experiment->study);
    report.row_count = bl_study_rows(&report.study, report.rows, MOST_ROWS);
    if (bl_make_folders(report.folder)) goto done;

    static const struct {
        const char *name;
        void (*add)(study_report *, bl_text *);
    } tables[] = {
        {"measurements.csv", add_measurements}, {"aggregate.csv", add_aggregate}, {"differences.csv", add_differences},
        {"published.csv", add_published},       {"steps.csv", add_steps},         {"manifest.yaml", add_manifest},
    };
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        bl_text text = {0};
        tables[i].add(&report, &text);
        const int written = write_text(&report, tables[i].name, &text);
        bl_text_free(&text);
        if (written) goto done;
    }
    const char *plot, *note;
    if (write_plot(&report, &plot, &note)) goto done;
    add_markdown(&report, &markdown, plot);
    if (write_text(&report, "report.md", &markdown)) goto done;
    bl_text_add(summary, "%s\n", markdown.chars);
    if (plot && !note) bl_text_add(summary, "Plot:      %s/%s\n", report.folder, plot);
    bl_text_add(summary, "Tables:    %s/{%s}\n", report.folder, report.names.chars);
    bl_text_add(summary, "Run files: %s/<cell>/seed-<k>.%s.h5\n%s", report.folder, experiment->machine.backend, note ? note : "");
    status = BL_OK;
done:
    bl_text_free(&markdown);
    bl_text_free(&report.names);
    bl_study_free(&report.study);
    return status;
}
