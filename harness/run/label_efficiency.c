#include "run/label_efficiency.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/cell.h" // bl_cell_images

enum { MOST_SEEDS = sizeof((bl_experiment *)0)->seeds / sizeof(uint64_t) };

int64_t bl_label_images(const bl_cell *cell, double share) {
    const int64_t images = bl_cell_images(cell, BL_TRAIN);
    return images < 0 ? -1 : llround((double)images * share / 100);
}

// A row's name without the part between slashes that is `word`.
static const char *without(bl_arena *arena, const char *row, const char *word) {
    bl_text name = {0};
    for (const char *part = row; *part;) {
        const size_t length = strcspn(part, "/");
        if (strlen(word) != length || strncmp(part, word, length) != 0)
            bl_text_add(&name, "%s%.*s", name.size ? "/" : "", (int)length, part);
        part += length + (part[length] == '/');
    }
    const char *copy = bl_arena_copy(arena, name.chars ? name.chars : "");
    bl_text_free(&name);
    return copy;
}

static bool has_share(const bl_evaluation *row) { return row->kind == BL_PROTOCOL_LINEAR || row->kind == BL_PROTOCOL_FINETUNE; }

static int by_share(const void *a, const void *b) {
    const double one = (*(const bl_evaluation *const *)a)->fit.share, other = (*(const bl_evaluation *const *)b)->fit.share;
    return (one > other) - (one < other);
}

const bl_label_curve *bl_label_curves(const bl_study *study, int *count) {
    const bl_experiment *experiment = study->experiment;
    size_t most = 0;
    for (int c = 0; c < experiment->cell_count; c++) most += (size_t)experiment->cells[c].evaluation_count;
    bl_label_curve *curves = bl_arena_take(study->arena, most * sizeof *curves);
    int found = 0;
    for (int c = 0; c < experiment->cell_count; c++)
        for (int e = 0; e < experiment->cells[c].evaluation_count; e++) {
            const bl_evaluation *row = &experiment->cells[c].evaluations[e];
            if (!has_share(row) || bl_study_last_epoch(study, c, row->row) < 0) continue;
            char share[40];
            snprintf(share, sizeof share, "%g%%", row->fit.share);
            const char *arm = row->fit.arm.name ? row->fit.arm.name : "pretrained", *name = without(study->arena, row->row, share);
            int k = 0;
            while (k < found && (curves[k].cell != c || strcmp(curves[k].name, name) != 0)) k++;
            if (k == found)
                curves[found++] = (bl_label_curve){.cell = c, .arm = arm, .name = name, .question = without(study->arena, name, arm),
                                                   .points = bl_arena_take(study->arena, most * sizeof(bl_evaluation *))};
            curves[k].points[curves[k].point_count++] = row;
        }
    *count = 0;
    for (int k = 0; k < found; k++) {
        qsort(curves[k].points, (size_t)curves[k].point_count, sizeof *curves[k].points, by_share);
        if (curves[k].point_count > 1) curves[(*count)++] = curves[k];
    }
    return curves;
}

static const bl_measurement *find_point(const bl_study *study, const bl_label_curve *curve, int point, uint64_t seed) {
    const char *row = curve->points[point]->row;
    return bl_study_find(study, curve->cell, seed, row, bl_study_last_epoch(study, curve->cell, row));
}

bl_estimate bl_label_difference(const bl_study *study, const bl_label_curve *curve, int point, const bl_label_curve *minus, int minus_point) {
    double values[MOST_SEEDS];
    int n = 0;
    for (int s = 0; s < study->experiment->seed_count; s++) {
        const bl_measurement *one = find_point(study, curve, point, study->experiment->seeds[s]);
        const bl_measurement *other = find_point(study, minus, minus_point, study->experiment->seeds[s]);
        if (one && other) values[n++] = one->value - other->value;
    }
    return n ? bl_estimate_of(values, n) : (bl_estimate){0};
}

bl_estimate bl_label_value(const bl_study *study, const bl_label_curve *curve, int point) {
    const char *row = curve->points[point]->row;
    return bl_study_value(study, curve->cell, row, bl_study_last_epoch(study, curve->cell, row));
}

void bl_label_title(const bl_label_curve *curve, bl_text *text) {
    const bl_evaluation *row = curve->points[0];
    const bool is_linear = row->kind == BL_PROTOCOL_LINEAR;
    bl_text_add(text, "%s%s, %s", is_linear ? "linear evaluation" : "fine-tuning", is_linear && !row->fit.cached ? ", augmented" : "",
                bl_split_name(row->split));
    if (row->monitor) bl_text_add(text, " (monitored)");
}

void bl_label_curve_name(const bl_study *study, const bl_label_curve *curves, int curve_count, const bl_label_curve *curve, bl_text *text) {
    bool is_shared = false;
    for (int k = 0; k < curve_count; k++)
        is_shared |= curves[k].cell != curve->cell && !strcmp(curves[k].arm, curve->arm) && !strcmp(curves[k].question, curve->question);
    bl_text_add(text, "%s", curve->arm);
    if (is_shared) bl_text_add(text, ", %s", study->experiment->cells[curve->cell].name);
}

double bl_share_reaching(const double *shares, const double *values, int count, double target) {
    for (int i = 0; i < count; i++) {
        if (values[i] < target) continue;
        if (i == 0 || values[i] == target) return shares[i];
        const double part = (target - values[i - 1]) / (values[i] - values[i - 1]);
        return exp(log(shares[i - 1]) + part * (log(shares[i]) - log(shares[i - 1])));
    }
    return NAN;
}

// The seed's own curve; how many of its points were measured.
static int curve_of_seed(const bl_study *study, const bl_label_curve *curve, uint64_t seed, double *shares, double *values) {
    int count = 0;
    for (int i = 0; i < curve->point_count; i++) {
        const bl_measurement *measurement = find_point(study, curve, i, seed);
        if (!measurement) continue;
        shares[count] = curve->points[i]->fit.share;
        values[count++] = measurement->value;
    }
    return count;
}

static bl_labels_needed needed_of(const bl_study *study, const bl_label_curve *curve, const bl_label_curve *against) {
    bl_labels_needed needed = {.curve = curve, .against = against};
    double logarithms[MOST_SEEDS];
    double *shares = bl_arena_take(study->arena, 2 * (size_t)curve->point_count * sizeof *shares), *values = shares + curve->point_count;
    for (int s = 0; s < study->experiment->seed_count; s++) {
        const uint64_t seed = study->experiment->seeds[s];
        const bl_measurement *target = find_point(study, against, against->point_count - 1, seed);
        const int count = curve_of_seed(study, curve, seed, shares, values);
        if (!target || count < curve->point_count) continue; // half a curve could reach it later than the whole one
        needed.pairs++;
        const double share = bl_share_reaching(shares, values, count, target->value);
        if (isnan(share)) continue;
        logarithms[needed.reached++] = log(share);
        needed.at_smallest += values[0] >= target->value;
    }
    if (needed.pairs && needed.reached == needed.pairs) {
        needed.share = bl_estimate_of(logarithms, needed.reached);
        needed.share.mean = exp(needed.share.mean);
        needed.share.low = exp(needed.share.low);
        needed.share.high = exp(needed.share.high);
    }
    return needed;
}

const bl_labels_needed *bl_labels_needed_of(const bl_study *study, const bl_label_curve *curves, int curve_count, int *count) {
    bl_labels_needed *needed = bl_arena_take(study->arena, (size_t)curve_count * (size_t)curve_count * sizeof *needed);
    *count = 0;
    for (int b = 0; b < curve_count; b++) {
        if (curves[b].points[curves[b].point_count - 1]->fit.share < 100) continue;
        for (int a = 0; a < curve_count; a++) {
            if (a == b || strcmp(curves[a].question, curves[b].question) != 0) continue;
            if (curves[a].cell != curves[b].cell && strcmp(curves[a].arm, curves[b].arm) != 0) continue;
            needed[*count] = needed_of(study, &curves[a], &curves[b]);
            *count += needed[*count].pairs > 0;
        }
    }
    return needed;
}
