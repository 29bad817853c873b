// report_segmentation.c - what segmentations reach: each row's scores, and its classes.

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "datasets/scenes/scene.h" // bl_scene_classes
#include "report/csv.h"
#include "report/report_parts.h"
#include "report/report_text.h"

static const struct {
    const char *name;
    size_t offset; // in a look
} scores[] = {
    {"miou_present", offsetof(bl_look, miou_present)},
    {"miou_cityscapes", offsetof(bl_look, miou_cityscapes)},
    {"accuracy", offsetof(bl_look, accuracy)},
    {"batch_accuracy", offsetof(bl_look, batch_accuracy)},
};
enum { SCORES = sizeof scores / sizeof *scores };

static double number_at(const bl_look *look, size_t offset) { return *(const double *)((const char *)look + offset); }

// What every seed's look of a row says: `best` or last.
typedef struct row_looks {
    const bl_look *of[BL_MOST_SEEDS];
    uint64_t seeds[BL_MOST_SEEDS];
    bool is_finished[BL_MOST_SEEDS];
    int count;
} row_looks;

static row_looks looks_of(const bl_study *study, int cell, const char *row, bool best) {
    row_looks looks = {0};
    for (int s = 0; s < study->experiment->seed_count; s++) {
        const bl_look *look = bl_study_look(study, cell, study->experiment->seeds[s], row, best);
        if (!look) continue;
        looks.seeds[looks.count] = study->experiment->seeds[s];
        looks.is_finished[looks.count] = bl_study_is_finished(study, cell, study->experiment->seeds[s]);
        looks.of[looks.count++] = look;
    }
    return looks;
}

// Over the seeds where it was counted.
static bl_estimate estimate_at(const row_looks *looks, size_t offset) {
    double values[BL_MOST_SEEDS];
    int n = 0, unfinished = 0;
    for (int i = 0; i < looks->count; i++) {
        values[n] = number_at(looks->of[i], offset);
        if (isnan(values[n])) continue;
        n++;
        unfinished += !looks->is_finished[i];
    }
    bl_estimate estimate = bl_estimate_of(values, n);
    estimate.unfinished = unfinished;
    return estimate;
}

static bl_estimate estimate_of_updates(const row_looks *looks) {
    double values[BL_MOST_SEEDS];
    int unfinished = 0;
    for (int i = 0; i < looks->count; i++) {
        values[i] = (double)looks->of[i]->step;
        unfinished += !looks->is_finished[i];
    }
    bl_estimate estimate = bl_estimate_of(values, looks->count);
    estimate.unfinished = unfinished;
    return estimate;
}

// Calls `add` for the last and for the best looks of every row of the study.
static void each_row(bl_report *report, bl_text *text,
                     void (*add)(bl_report *report, bl_text *text, int cell, const bl_evaluation *row, bool best, const row_looks *looks)) {
    for (int c = 0; c < report->experiment->cell_count; c++)
        for (int e = 0; e < report->experiment->cells[c].evaluation_count; e++)
            for (int best = 0; best < 2; best++) {
                const bl_evaluation *row = &report->experiment->cells[c].evaluations[e];
                const row_looks looks = looks_of(&report->study, c, row->row, best);
                if (looks.count) add(report, text, c, row, best, &looks);
            }
}

bool bl_report_has_segmentation(const bl_report *report) {
    for (int c = 0; c < report->experiment->cell_count; c++)
        for (int e = 0; e < report->experiment->cells[c].evaluation_count; e++)
            if (looks_of(&report->study, c, report->experiment->cells[c].evaluations[e].row, false).count) return true;
    return false;
}

// ---- tables ----

static void add_row(bl_report *report, bl_text *csv, int cell, const bl_evaluation *row, bool best) {
    bl_csv_text(csv, report->experiment->cells[cell].name);
    bl_csv_text(csv, row->row);
    bl_csv_text(csv, bl_evaluation_arm(row));
    bl_csv_number(csv, row->fit.share, 0);
    bl_csv_text(csv, best ? "best" : "last");
}

static void add_scores(bl_report *report, bl_text *csv, int cell, const bl_evaluation *row, bool best, const row_looks *looks) {
    for (int k = 0; k <= SCORES; k++) {
        add_row(report, csv, cell, row, best);
        bl_csv_text(csv, k < SCORES ? scores[k].name : "update");
        bl_report_estimate(csv, k < SCORES ? estimate_at(looks, scores[k].offset) : estimate_of_updates(looks));
        bl_csv_end(csv);
    }
}

void bl_report_add_segmentation(bl_report *report, bl_text *csv) {
    bl_text_add(csv, "cell,row,arm,share,look,score,n,mean,sd,low,high,unfinished\n");
    each_row(report, csv, add_scores);
}

static void add_classes(bl_report *report, bl_text *csv, int cell, const bl_evaluation *row, bool best, const row_looks *looks) {
    for (int i = 0; i < looks->count; i++)
        for (int k = 0; k < BL_SCENE_CLASSES; k++) {
            add_row(report, csv, cell, row, best);
            bl_csv_integer(csv, (long long)looks->seeds[i]);
            bl_csv_integer(csv, looks->of[i]->step);
            bl_csv_text(csv, bl_scene_classes[k].name);
            if (isnan(looks->of[i]->iou[k])) bl_csv_none(csv); // neither truth nor prediction
            else bl_csv_number(csv, looks->of[i]->iou[k], 0);
            bl_csv_end(csv);
        }
}

void bl_report_add_classes(bl_report *report, bl_text *csv) {
    bl_text_add(csv, "cell,row,arm,share,look,seed,update,class,iou\n");
    each_row(report, csv, add_classes);
}

// ---- Markdown ----

// "2000"; "1200 to 1900" where seeds differ.
static void add_updates(bl_text *out, const row_looks *looks) {
    int64_t first = looks->of[0]->step, last = first;
    for (int i = 1; i < looks->count; i++) {
        if (looks->of[i]->step < first) first = looks->of[i]->step;
        if (looks->of[i]->step > last) last = looks->of[i]->step;
    }
    bl_text_add(out, "%" PRId64, first);
    if (last > first) bl_text_add(out, " to %" PRId64, last);
}

static void add_line(bl_report *report, bl_text *out, int cell, const bl_evaluation *row, bool best, const row_looks *looks) {
    bl_text_add(out, "| ");
    bl_report_field(out, report->experiment->cells[cell].name);
    bl_text_add(out, " | ");
    bl_report_field(out, bl_evaluation_arm(row));
    bl_text_add(out, " | %.3g %% | %s | ", row->fit.share, best ? "best on val" : "last");
    add_updates(out, looks);
    bl_text_add(out, " | %d |", looks->count);
    for (int k = 0; k < SCORES; k++) {
        bl_text_add(out, " ");
        bl_report_value(out, estimate_at(looks, scores[k].offset), 1);
        bl_text_add(out, " |");
    }
    bl_text_add(out, "\n");
}

// Each arm's row of its largest share.
typedef struct class_table {
    struct class_column {
        int cell;
        const bl_evaluation *row;
    } *columns;
    int count;
} class_table;

static class_table columns_of(bl_report *report) {
    size_t most = 0;
    for (int c = 0; c < report->experiment->cell_count; c++) most += (size_t)report->experiment->cells[c].evaluation_count;
    class_table table = {.columns = bl_arena_take(report->study.arena, most * sizeof *table.columns)};
    for (int c = 0; c < report->experiment->cell_count; c++)
        for (int e = 0; e < report->experiment->cells[c].evaluation_count; e++) {
            const bl_evaluation *row = &report->experiment->cells[c].evaluations[e];
            if (!looks_of(&report->study, c, row->row, false).count) continue;
            int k = 0;
            while (k < table.count && (table.columns[k].cell != c || strcmp(bl_evaluation_arm(table.columns[k].row), bl_evaluation_arm(row)) != 0))
                k++;
            if (k == table.count) table.count++;
            else if (table.columns[k].row->fit.share >= row->fit.share) continue;
            table.columns[k] = (struct class_column){c, row};
        }
    return table;
}

static void add_class_table(bl_report *report, bl_text *out) {
    const class_table table = columns_of(report);
    bl_text_add(out, "\n### IoU by class\n\n| class |");
    for (int k = 0; k < table.count; k++) {
        const struct class_column *column = &table.columns[k];
        bl_text_add(out, " ");
        bl_report_field(out, bl_evaluation_arm(column->row));
        if (report->experiment->cell_count > 1) {
            bl_text_add(out, ", ");
            bl_report_field(out, report->experiment->cells[column->cell].name);
        }
        bl_text_add(out, ", %.3g %% |", column->row->fit.share);
    }
    bl_text_add(out, "\n|---|");
    for (int k = 0; k < table.count; k++) bl_text_add(out, "---:|");
    for (int class = 0; class < BL_SCENE_CLASSES; class++) {
        bl_text_add(out, "\n| %s |", bl_scene_classes[class].name);
        for (int k = 0; k < table.count; k++) {
            const row_looks looks = looks_of(&report->study, table.columns[k].cell, table.columns[k].row->row, false);
            bl_text_add(out, " ");
            bl_report_value(out, estimate_at(&looks, offsetof(bl_look, iou) + (size_t)class * sizeof(double)), 1);
            bl_text_add(out, " |");
        }
    }
    bl_text_add(out, "\n\nOf the last look, over the seeds where the class has truth or predictions; - where it has neither.\n");
}

static bool has_best(bl_report *report) {
    for (int c = 0; c < report->experiment->cell_count; c++)
        for (int e = 0; e < report->experiment->cells[c].evaluation_count; e++)
            if (looks_of(&report->study, c, report->experiment->cells[c].evaluations[e].row, true).count) return true;
    return false;
}

void bl_report_segmentation_markdown(bl_report *report, bl_text *out) {
    if (!bl_report_has_segmentation(report)) return;
    bl_text_add(out, "\n## Segmentation of val\n\n"
                     "| cell | arm | labels | look | update | seeds | mIoU | mIoU, Cityscapes' scripts | pixel accuracy | by batch |\n"
                     "|---|---|---:|---|---:|---:|---:|---:|---:|---:|\n");
    each_row(report, out, add_line);
    bl_text_add(out, "\nIn percent, on whole scenes. mIoU is the mean over the classes with truth in val; Cityscapes' scripts count a class that was "
                     "predicted and has no truth as 0. Pixel accuracy is over all pixels; by batch, as the hands-on review has it, each batch's own is "
                     "averaged.\n");
    if (has_best(report))
        bl_text_add(out, "Best on val: chosen on the images it is reported on, so too high.\n");
    add_class_table(report, out);
}
