#include "report/resolution.h"

#include <math.h>
#include <string.h>

#include "report/label_efficiency.h"
#include "report/report_text.h" // bl_report_has_spread

enum { MOST_SEEDS = 1000, NAME = 60 }; // columns of a pair's name; a longer one pushes its line

typedef struct table {
    const bl_study *pilot;
    int seeds;
    double points;
    bl_text *out;
    bool has_lines;
} table;

static void add_line(table *t, const char *name, bl_estimate difference) {
    if (difference.n < 2) return;
    if (!t->has_lines)
        bl_text_add(t->out, "%-*s %5s %7s  %13s  %14s\n", NAME, "difference, paired by seed", "pairs", "sd", "resolved by", "seeds that");
    if (!t->has_lines) bl_text_add(t->out, "%-*s %5s %7s  %7d seeds  resolve %6.3g\n", NAME, "", "", "", t->seeds, t->points);
    t->has_lines = true;
    bl_text_add(t->out, "%-*s %5d ", NAME, name, difference.n);
    if (!bl_report_has_spread(difference)) {
        bl_text_add(t->out, "no spread\n");
        return;
    }
    const int needed = bl_pairs_that_resolve(difference.sd, t->points, MOST_SEEDS);
    const double resolved = bl_resolution(difference.sd, t->seeds);
    bl_text_add(t->out, "%7.2f  ", difference.sd);
    if (isnan(resolved)) bl_text_add(t->out, "%13s  ", "nothing");
    else bl_text_add(t->out, "%13.2f  ", resolved);
    if (needed) bl_text_add(t->out, "%14d\n", needed);
    else bl_text_add(t->out, "over %9d\n", MOST_SEEDS);
}

// Every cell against the first, as in report.md.
static void add_cells(table *t) {
    const bl_experiment *experiment = t->pilot->experiment;
    int row_count;
    const bl_evaluation **rows = bl_study_rows(t->pilot, &row_count);
    for (int i = 0; i < row_count; i++)
        for (int c = 1; c < experiment->cell_count && !rows[i]->knn.raw_pixels; c++) {
            int epoch;
            const bl_estimate difference = bl_study_last_difference(t->pilot, c, 0, rows[i]->row, &epoch);
            add_line(t, bl_arena_format(t->pilot->arena, "%s: %s - %s", rows[i]->row, experiment->cells[c].name, experiment->cells[0].name), difference);
        }
}

static const char *name_of(const table *t, const bl_label_curve *curves, int count, const bl_label_curve *curve) {
    bl_text name = {0};
    bl_label_curve_name(t->pilot, curves, count, curve, &name);
    const char *copy = bl_arena_copy(t->pilot->arena, name.chars);
    bl_text_free(&name);
    return copy;
}

// Every arm against each one before it.
static void add_arms(table *t) {
    int count;
    const bl_label_curve *curves = bl_label_curves(t->pilot, &count);
    for (int a = 0; a < count; a++)
        for (int b = 0; b < a; b++)
            for (int i = 0; !strcmp(curves[a].question, curves[b].question) && i < curves[a].point_count; i++)
                for (int k = 0; k < curves[b].point_count; k++) {
                    const double share = curves[a].points[i]->fit.share;
                    if (curves[b].points[k]->fit.share != share) continue;
                    add_line(t, bl_arena_format(t->pilot->arena, "%s%s, %g %%: %s - %s", curves[a].question, curves[a].best ? " (best look)" : "", share,
                                                name_of(t, curves, count, &curves[b]), name_of(t, curves, count, &curves[a])),
                             bl_label_difference(t->pilot, &curves[b], k, &curves[a], i));
                }
}

void bl_resolution_table(const bl_study *pilot, int seeds, double points, bl_text *out) {
    table t = {.pilot = pilot, .seeds = seeds, .points = points, .out = out};
    add_cells(&t);
    add_arms(&t);
}
