// report.c - see report.h: what is written, in which order. study.c reads the runs, report_tables.c, report_markdown.c
// and what else begins so write the tables, plot_*.c and picture_sheet.c draw.

#include "report/report.h"

#include <unistd.h>

#include "base/file.h"
#include "record/neighbours.h"
#include "report/picture_sheet.h"
#include "report/plot.h"
#include "report/report_parts.h"

static int write_text(bl_report *report, const char *name, const bl_text *text) {
    const char *path = bl_arena_format(report->study.arena, "%s/%s", report->folder, name);
    if (bl_atomic_write(path, text->chars ? text->chars : "", text->size)) return BL_FAILED;
    bl_text_add(&report->names, "%s%s", report->names.size ? "," : "", name);
    return BL_OK;
}

// What an earlier report left and this one has nothing to say of.
static void remove_stale(bl_report *report, const char *name) {
    unlink(bl_arena_format(report->study.arena, "%s/%s", report->folder, name));
}

static int write_tables(bl_report *report) {
    for (int i = 0; i < bl_report_table_count; i++) {
        const bl_report_table *table = &bl_report_tables[i];
        if (table->has && !table->has(report)) {
            remove_stale(report, table->name);
            continue;
        }
        bl_text text = {0};
        table->add(report, &text);
        const int status = write_text(report, table->name, &text);
        bl_text_free(&text);
        if (status) return BL_FAILED;
    }
    return BL_OK;
}

static const struct {
    const char *script, *svg, *caption;
    void (*plot)(const bl_study *study, const bl_label_curve *labels, int label_count, bl_text *script);
} figures[] = {
    {"curves.gp", "curves.svg", "accuracy and spread by epoch", bl_plot_curves},
    {"bars.gp", "bars.svg", "each cell at its last epoch", bl_plot_bars},
    {"labels.gp", "labels.svg", "by the share of the labels", bl_plot_labels},
};
enum { FIGURES = sizeof figures / sizeof *figures };

// "mIoU by the share of the labels"
static const char *caption_of(const bl_report *report, int index) {
    if (figures[index].plot != bl_plot_labels) return figures[index].caption;
    return bl_arena_format(report->study.arena, "%s %s", bl_label_measure(&report->curves[0]), figures[index].caption);
}

// *shown: the script was written; *drawn: and the picture is there.
static int write_figure(bl_report *report, int index, bool *shown, bool *drawn) {
    bl_text script = {0};
    int status = BL_OK;
    *drawn = false;
    figures[index].plot(&report->study, report->curves, report->curve_count, &script);
    *shown = script.size > 0;
    if (*shown) {
        status = write_text(report, figures[index].script, &script);
        if (!status) status = bl_plot_draw(report->folder, figures[index].script, figures[index].svg, drawn);
    } else
        remove_stale(report, figures[index].script);
    if (!*drawn) remove_stale(report, figures[index].svg);
    bl_text_free(&script);
    return status;
}

// `links`: and what it shows.
static int write_pictures(bl_report *report, bl_text *links, bool *drawn) {
    static const char name[] = "pictures.png";
    bl_text caption = {0};
    const int status = bl_picture_sheet_write(&report->study, bl_arena_format(report->study.arena, "%s/%s", report->folder, name), &caption, drawn);
    if (*drawn) bl_text_add(links, "\n![scenes and predictions](%s)\n\n%s", name, caption.chars);
    else remove_stale(report, name);
    bl_text_free(&caption);
    return status;
}

static int write_all(bl_report *report, bl_text *summary) {
    bl_text markdown = {0}, links = {0}, drawn = {0}, missing = {0};
    int status = BL_FAILED;
    bool has_pictures;
    if (write_tables(report)) goto done;
    for (int i = 0; i < FIGURES; i++) {
        bool is_shown, is_drawn;
        if (write_figure(report, i, &is_shown, &is_drawn)) goto done;
        if (is_shown) bl_text_add(&links, "\n![%s](%s)\n", caption_of(report, i), figures[i].svg);
        if (is_drawn) bl_text_add(&drawn, "%s/%s ", report->folder, figures[i].svg);
        else if (is_shown) bl_text_add(&missing, "`gnuplot %s` ", figures[i].script);
    }
    if (write_pictures(report, &links, &has_pictures)) goto done;
    if (has_pictures) bl_text_add(&drawn, "%s/pictures.png ", report->folder);
    bl_report_markdown(report, &markdown, links.chars ? links.chars : "");
    if (write_text(report, "report.md", &markdown)) goto done;
    bl_text_add(summary, "%s\n", markdown.chars);
    if (drawn.size) bl_text_add(summary, "Plots:     %.*s\n", (int)drawn.size - 1, drawn.chars);
    bl_text_add(summary, "Tables:    %s/{%s}\n", report->folder, report->names.chars);
    bl_text_add(summary, "Run files: %s/<cell>/seed-<k>.%s.h5\n", report->folder, report->experiment->machine.backend);
    if (missing.size)
        bl_text_add(summary, "gnuplot is not installed: no figure is drawn; %sin that folder draws them.\n", missing.chars);
    status = BL_OK;
done:
    bl_text_free(&markdown);
    bl_text_free(&links);
    bl_text_free(&drawn);
    bl_text_free(&missing);
    return status;
}

// Two processes that end together must not leave the report of the one that read fewer runs: they take turns, and whoever comes
// last has read everything. Where a report takes longer than anyone's patience, ours is written all the same.
static int take_turn(bl_lock *lock, const char *path, bool *held) {
    enum { PATIENCE = 120 }; // seconds
    const double start = bl_seconds();
    do {
        if (bl_lock_try(lock, path, held)) return BL_FAILED;
        if (*held) return BL_OK;
        usleep(50000);
    } while (bl_seconds() - start < PATIENCE);
    return BL_OK;
}

int bl_report_write(const bl_experiment *experiment, const char *results_folder, bool counts_unfinished, bl_text *summary, bool *written) {
    bl_report report = {.experiment = experiment};
    bl_arena *arena = bl_arena_create();
    const bool has_locks = !experiment->machine.without_locks;
    bl_lock lock = {-1};
    bool held = !has_locks;
    int status = BL_FAILED;
    report.folder = bl_arena_format(arena, "%s/%s", results_folder, experiment->study);
    const char *lock_path = bl_arena_format(arena, "%s/report.lock", report.folder);
    *written = false;
    if (!bl_file_exists(report.folder)) {
        status = BL_OK;
        goto done;
    }
    if (has_locks && take_turn(&lock, lock_path, &held)) goto done;
    if (held) bl_remove_leftovers(bl_arena_format(arena, "%s/", report.folder));
    if (!bl_study_read(&report.study, experiment, results_folder, counts_unfinished)) {
        report.rows = bl_study_rows(&report.study, &report.row_count);
        report.curves = bl_label_curves(&report.study, &report.curve_count);
        report.needed = bl_labels_needed_of(&report.study, report.curves, report.curve_count, &report.needed_count);
        report.published = bl_label_published_of(&report.study, report.curves, report.curve_count, &report.published_count);
        report.neighbours = bl_neighbours(arena, experiment, results_folder);
        *written = report.study.run_count > 0;
        status = *written ? write_all(&report, summary) : BL_OK;
        if (!*written && report.study.unreadable) bl_text_add(summary, "%s", report.study.unreadable);
        bl_study_free(&report.study);
    }
    if (held && has_locks) unlink(lock_path);
    bl_lock_release(&lock);
done:
    bl_text_free(&report.names);
    bl_arena_free(arena);
    return status;
}
