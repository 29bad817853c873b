// report_tables.c - the CSV files of a report and its manifest.

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "experiment/cell.h" // bl_cell_has_average
#include "experiment/protocol_facts.h"
#include "report/csv.h"
#include "report/report_parts.h"
#include "report/report_text.h"

enum { DIGITS = 7 }; // of what was computed in f32; the run file has all

static void add_measurements(bl_report *report, bl_text *csv) {
    bl_text_add(csv, "study,cell,seed,backend,run_id,row,evaluation_id,epoch,value,chosen,validation,counted,finished\n");
    for (int r = 0; r < report->study.run_count; r++) {
        const bl_study_run *run = &report->study.runs[r];
        const bl_cell *cell = &report->experiment->cells[run->cell];
        for (int64_t m = 0; m < run->history.measurement_count; m++) {
            const bl_measurement *measurement = &run->history.measurements[m];
            const bl_evaluation *row = bl_cell_row(cell, measurement->row);
            bl_csv_text(csv, report->experiment->study);
            bl_csv_text(csv, cell->name);
            bl_csv_integer(csv, (long long)run->seed);
            bl_csv_text(csv, report->experiment->machine.backend);
            bl_csv_text(csv, run->run_id);
            bl_csv_text(csv, measurement->row);
            bl_csv_text(csv, measurement->id);
            bl_csv_integer(csv, measurement->epoch);
            bl_csv_number(csv, measurement->value, 0);
            const double choice[] = {measurement->chosen, measurement->validation};
            for (int i = 0; i < 2; i++) {
                if (isnan(choice[i])) bl_csv_none(csv);
                else bl_csv_number(csv, choice[i], 0);
            }
            bl_csv_integer(csv, !run->left_out && row && strcmp(row->id, measurement->id) == 0);
            bl_csv_integer(csv, run->is_finished);
            bl_csv_end(csv);
        }
    }
}

static void add_steps(bl_report *report, bl_text *csv) {
    enum { STD = 2, STD_RATIO, TAU = 5 }; // among the values
    bl_text_add(csv, "cell,seed,step,epoch,loss,std,std_ratio,learning_rate,tau,finished\n");
    for (int r = 0; r < report->study.run_count; r++) {
        const bl_study_run *run = &report->study.runs[r];
        const bool has_average = bl_cell_has_average(&report->experiment->cells[run->cell]);
        for (int64_t i = 0; i < run->history.step_count; i++) {
            const bl_step_row *step = &run->history.steps[i];
            const double values[] = {step->epoch, step->loss, step->std, step->std_ratio, step->learning_rate, step->tau};
            bl_csv_text(csv, report->experiment->cells[run->cell].name);
            bl_csv_integer(csv, (long long)run->seed);
            bl_csv_integer(csv, step->step);
            for (int k = 0; k < (int)(sizeof values / sizeof *values); k++) {
                if (((k == STD || k == STD_RATIO) && !bl_run_has_std(run)) || (k == TAU && !has_average)) bl_csv_none(csv);
                else bl_csv_number(csv, values[k], DIGITS);
            }
            bl_csv_integer(csv, run->is_finished);
            bl_csv_end(csv);
        }
    }
}

static void add_collapse(bl_report *report, bl_text *csv) {
    bl_text_add(csv, "cell,seed,step,epoch,loss,std,std_ratio,mean_cosine,rank,rankme,alignment,uniformity,norm,prediction_norm,verdict,finished\n");
    for (int r = 0; r < report->study.run_count; r++) {
        const bl_study_run *run = &report->study.runs[r];
        const bool predicts = report->experiment->cells[run->cell].model.method.predictor != BL_PREDICTOR_NONE;
        for (int64_t i = 0; i < run->history.collapse_count; i++) {
            const bl_collapse_row *row = &run->history.collapse[i];
            const double values[] = {row->epoch, row->loss, row->std, row->std_ratio, row->mean_cosine, row->rank, row->rankme,
                                     row->alignment, row->uniformity, row->norm, row->prediction_norm};
            bl_csv_text(csv, report->experiment->cells[run->cell].name);
            bl_csv_integer(csv, (long long)run->seed);
            bl_csv_integer(csv, row->step);
            for (size_t k = 0; k < sizeof values / sizeof *values - !predicts; k++) bl_csv_number(csv, values[k], DIGITS);
            if (!predicts) bl_csv_none(csv); // prediction_norm: the projection stands in its place
            bl_csv_text(csv, bl_verdict_name(row->verdict));
            bl_csv_integer(csv, run->is_finished);
            bl_csv_end(csv);
        }
    }
}

static void add_verdicts(bl_report *report, bl_text *csv) {
    bl_text_add(csv, "cell,seed,verdict,std_ratio,rank,step,counted,finished\n");
    for (int r = 0; r < report->study.run_count; r++) {
        const bl_study_run *run = &report->study.runs[r];
        const bl_collapse_row *last = bl_run_diagnosis(run);
        if (!last) continue;
        bl_csv_text(csv, report->experiment->cells[run->cell].name);
        bl_csv_integer(csv, (long long)run->seed);
        bl_csv_text(csv, bl_verdict_name(last->verdict));
        bl_csv_number(csv, last->std_ratio, DIGITS);
        bl_csv_number(csv, last->rank, DIGITS);
        bl_csv_integer(csv, last->step);
        bl_csv_integer(csv, !run->left_out);
        bl_csv_integer(csv, run->is_finished);
        bl_csv_end(csv);
    }
}

static void add_aggregate(bl_report *report, bl_text *csv) {
    bl_text_add(csv, "cell,row,epoch,n,mean,sd,low,high,unfinished\n");
    for (int c = 0; c < report->experiment->cell_count; c++)
        for (int i = 0; i < report->row_count; i++) {
            int count;
            const int *epochs = bl_study_epochs(&report->study, c, report->rows[i]->row, &count);
            for (int e = 0; e < count; e++) {
                bl_csv_text(csv, report->experiment->cells[c].name);
                bl_csv_text(csv, report->rows[i]->row);
                bl_csv_integer(csv, epochs[e]);
                bl_report_estimate(csv, bl_study_value(&report->study, c, report->rows[i]->row, epochs[e]));
                bl_csv_end(csv);
            }
        }
}

static void add_differences(bl_report *report, bl_text *csv) {
    bl_text_add(csv, "row,epoch,cell,minus,n,mean,sd,low,high,unfinished,reads,resolves\n");
    for (int i = 0; i < report->row_count; i++) {
        if (report->rows[i]->knn.raw_pixels) continue; // no cell has a part in them
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
                    bl_report_estimate(csv, difference);
                    bl_csv_text(csv, bl_report_reads(difference));
                    if (bl_report_has_spread(difference)) bl_csv_number(csv, bl_resolution(difference.sd, difference.n), 0);
                    else bl_csv_none(csv);
                    bl_csv_end(csv);
                }
            }
    }
}

static void add_optional(bl_text *csv, const char *text) { bl_csv_text(csv, text ? text : ""); }

static void add_published(bl_report *report, bl_text *csv) {
    bl_text_add(csv, "cell,row,epoch,value,low,high,n,spread,spread_kind,selection,context,about,origin,source\n");
    for (int i = 0; i < report->experiment->expectation_count; i++) {
        const bl_expectation *expected = &report->experiment->expectations[i];
        const bool is_range = expected->low < expected->high;
        add_optional(csv, expected->cell);
        bl_csv_text(csv, expected->row);
        bl_csv_integer(csv, expected->epoch);
        if (is_range) bl_csv_none(csv);
        else bl_csv_number(csv, expected->value, 0);
        bl_csv_number(csv, is_range ? expected->low : expected->value, 0);
        bl_csv_number(csv, is_range ? expected->high : expected->value, 0);
        if (expected->n) bl_csv_integer(csv, expected->n);
        else bl_csv_none(csv);
        if (expected->spread > 0) bl_csv_number(csv, expected->spread, 0);
        else bl_csv_none(csv);
        add_optional(csv, expected->spread_kind);
        add_optional(csv, expected->selection);
        bl_csv_integer(csv, expected->context);
        add_optional(csv, expected->about);
        add_optional(csv, expected->origin);
        add_optional(csv, expected->source);
        bl_csv_end(csv);
    }
}

static void add_images(bl_text *csv, const bl_cell *cell, double share) {
    const int64_t images = bl_label_images(cell, share);
    if (images < 0) bl_csv_none(csv);
    else bl_csv_integer(csv, images);
}

static void add_labels(bl_report *report, bl_text *csv) {
    bl_text_add(csv, "curve,protocol,arm,cell,share,labels,n,mean,sd,low,high,unfinished\n");
    for (int k = 0; k < report->curve_count; k++) {
        const bl_label_curve *curve = &report->curves[k];
        const bl_cell *cell = &report->experiment->cells[curve->cell];
        for (int i = 0; i < curve->point_count; i++) {
            bl_csv_text(csv, curve->name);
            bl_csv_text(csv, bl_protocol_facts_of(curve->points[0]->kind)->name);
            bl_csv_text(csv, curve->arm);
            bl_csv_text(csv, cell->name);
            bl_csv_number(csv, curve->points[i]->fit.share, 0);
            add_images(csv, cell, curve->points[i]->fit.share);
            bl_report_estimate(csv, bl_label_value(&report->study, curve, i));
            bl_csv_end(csv);
        }
    }
}

// A number a source of a curve (`series`), by share: what the figure joins by a line.
static void add_labels_published(bl_report *report, bl_text *csv) {
    bl_text_add(csv, "series,curve,arm,cell,share,value,low,high,context,origin,source\n");
    for (int p = 0; p < report->published_count; p++) {
        const bl_label_published *published = &report->published[p];
        for (int i = 0; i < published->point_count; i++) {
            const bl_expectation *expected = published->points[i];
            bl_csv_integer(csv, p);
            bl_csv_text(csv, published->curve->name);
            bl_csv_text(csv, published->curve->arm);
            add_optional(csv, expected->cell);
            bl_csv_number(csv, published->shares[i], 0);
            const bool is_range = expected->low < expected->high;
            bl_csv_number(csv, expected->value, 0);
            bl_csv_number(csv, is_range ? expected->low : expected->value, 0);
            bl_csv_number(csv, is_range ? expected->high : expected->value, 0);
            bl_csv_integer(csv, expected->context);
            add_optional(csv, expected->origin);
            add_optional(csv, expected->source);
            bl_csv_end(csv);
        }
    }
}

static void add_labels_needed(bl_report *report, bl_text *csv) {
    bl_text_add(csv, "curve,arm,cell,to_match_arm,to_match_cell,pairs,reached,at_smallest_share,share,low,high,labels\n");
    for (int k = 0; k < report->needed_count; k++) {
        const bl_labels_needed *needed = &report->needed[k];
        const bl_cell *cell = &report->experiment->cells[needed->curve->cell];
        bl_csv_text(csv, needed->curve->name);
        bl_csv_text(csv, needed->curve->arm);
        bl_csv_text(csv, cell->name);
        bl_csv_text(csv, needed->against->arm);
        bl_csv_text(csv, report->experiment->cells[needed->against->cell].name);
        bl_csv_integer(csv, needed->pairs);
        bl_csv_integer(csv, needed->reached);
        bl_csv_integer(csv, needed->at_smallest);
        const double share[] = {needed->share.mean, needed->share.low, needed->share.high};
        for (int i = 0; i < 3; i++) {
            if (needed->share.n && !isnan(share[i])) bl_csv_number(csv, share[i], DIGITS);
            else bl_csv_none(csv);
        }
        if (needed->share.n) add_images(csv, cell, needed->share.mean);
        else bl_csv_none(csv);
        bl_csv_end(csv);
    }
}

// In YAML's double quotes, as far as names of machines and programs go.
static void add_quoted(bl_text *yaml, const char *key, const char *value) {
    if (!*value) return;
    bl_text_add(yaml, ", %s: \"", key);
    for (const char *c = value; *c; c++) bl_text_add(yaml, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
    bl_text_add(yaml, "\"");
}

static void add_stretches(bl_text *yaml, const bl_stretches *stretches) {
    if (stretches->past_count) bl_text_add(yaml, "  stretches:\n");
    for (int64_t i = 0; i < stretches->past_count; i++) {
        const bl_stretch *stretch = &stretches->past[i];
        bl_text_add(yaml, "    - {first: %" PRId64 ", last: %" PRId64 ", hours: %.4g, until: %" PRId64, stretch->first, stretch->last,
                    stretch->hours, stretch->until);
        add_quoted(yaml, "cpu", stretch->cpu);
        add_quoted(yaml, "device", stretch->device);
        add_quoted(yaml, "isa", stretch->isa);
        if (stretch->threads) bl_text_add(yaml, ", threads: %" PRId64, stretch->threads);
        add_quoted(yaml, "library", stretch->library);
        add_quoted(yaml, "version", stretch->version);
        add_quoted(yaml, "commit", stretch->commit);
        bl_text_add(yaml, "}\n");
    }
}

static void add_manifest(bl_report *report, bl_text *yaml) {
    for (int r = 0; r < report->study.run_count; r++) {
        const bl_study_run *run = &report->study.runs[r];
        bl_text_add(yaml, "\"%s/seed-%" PRIu64 ".%s\":\n%s", report->experiment->cells[run->cell].name, run->seed,
                    report->experiment->machine.backend, run->manifest);
        if (!run->is_finished) bl_text_add(yaml, "  step: %" PRId64 "\n", run->standing.step);
        add_stretches(yaml, &run->stretches);
    }
}

static bool has_labels(const bl_report *report) { return report->curve_count > 0; }
static bool has_published_labels(const bl_report *report) { return report->published_count > 0; }

const bl_report_table bl_report_tables[] = {
    {"measurements.csv", add_measurements, NULL},
    {"aggregate.csv", add_aggregate, NULL},
    {"differences.csv", add_differences, NULL},
    {"published.csv", add_published, NULL},
    {"steps.csv", add_steps, NULL},
    {"collapse.csv", add_collapse, NULL},
    {"verdicts.csv", add_verdicts, NULL},
    {"labels.csv", add_labels, has_labels},
    {"labels_needed.csv", add_labels_needed, has_labels},
    {"labels_published.csv", add_labels_published, has_published_labels},
    {"segmentation.csv", bl_report_add_segmentation, bl_report_has_segmentation},
    {"classes.csv", bl_report_add_classes, bl_report_has_segmentation},
    {"manifest.yaml", add_manifest, NULL},
};
const int bl_report_table_count = sizeof bl_report_tables / sizeof *bl_report_tables;
