#include "report/label_efficiency.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/facts.h"  // bl_dataset_facts
#include "experiment/cell.h" // bl_cell_images
#include "experiment/protocol_facts.h"

// Labels are those of the split train alone, whatever else an encoder was trained on.
int64_t bl_label_images(const bl_cell *cell, double share) {
    const bl_dataset_facts *facts = bl_dataset_facts_of(cell->data.name);
    const int64_t images = facts->scenes && facts->is_drawn ? cell->data.train : bl_cell_images(cell, BL_TRAIN);
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

static bool has_point(const bl_study *study, int cell, const char *row, bool best) {
    if (!best) return bl_study_last_epoch(study, cell, row) >= 0;
    for (int s = 0; s < study->experiment->seed_count; s++)
        if (bl_study_look(study, cell, study->experiment->seeds[s], row, true)) return true;
    return false;
}

static int by_share(const void *a, const void *b) {
    const double one = (*(const bl_evaluation *const *)a)->fit.share, other = (*(const bl_evaluation *const *)b)->fit.share;
    return (one > other) - (one < other);
}

typedef struct curve_list {
    const bl_study *study;
    bl_label_curve *curves;
    int count;
} curve_list;

static void add_point(curve_list *list, int cell, const bl_evaluation *row, bool best) {
    char share[40];
    bl_arena *arena = list->study->arena;
    snprintf(share, sizeof share, "%g%%", row->fit.share);
    const char *arm = bl_evaluation_arm(row), *name = without(arena, row->row, share);
    if (best) name = bl_arena_format(arena, "%s (best)", name);
    int k = 0;
    while (k < list->count && (list->curves[k].cell != cell || strcmp(list->curves[k].name, name) != 0)) k++;
    if (k == list->count) {
        const size_t most = (size_t)list->study->experiment->cells[cell].evaluation_count;
        list->curves[list->count++] = (bl_label_curve){.cell = cell, .arm = arm, .name = name, .question = without(arena, name, arm),
                                                       .best = best, .points = bl_arena_take(arena, most * sizeof(bl_evaluation *))};
    }
    list->curves[k].points[list->curves[k].point_count++] = row;
}

const bl_label_curve *bl_label_curves(const bl_study *study, int *count) {
    const bl_experiment *experiment = study->experiment;
    size_t most = 0;
    for (int c = 0; c < experiment->cell_count; c++) most += 2 * (size_t)experiment->cells[c].evaluation_count;
    curve_list list = {.study = study, .curves = bl_arena_take(study->arena, most * sizeof *list.curves)};
    for (int best = 0; best < 2; best++)
        for (int c = 0; c < experiment->cell_count; c++)
            for (int e = 0; e < experiment->cells[c].evaluation_count; e++) {
                const bl_evaluation *row = &experiment->cells[c].evaluations[e];
                if (bl_protocol_facts_of(row->kind)->has_shares && has_point(study, c, row->row, best)) add_point(&list, c, row, best);
            }
    bl_label_curve *curves = list.curves;
    const int found = list.count;
    *count = 0;
    for (int k = 0; k < found; k++) {
        qsort(curves[k].points, (size_t)curves[k].point_count, sizeof *curves[k].points, by_share);
        if (curves[k].point_count > 1) curves[(*count)++] = curves[k];
    }
    return curves;
}

// Whether the seed has it.
static bool value_at(const bl_study *study, const bl_label_curve *curve, int point, uint64_t seed, double *value) {
    const char *row = curve->points[point]->row;
    if (curve->best) {
        const bl_look *look = bl_study_look(study, curve->cell, seed, row, true);
        if (look) *value = look->miou_present;
        return look != NULL;
    }
    const bl_measurement *measured = bl_study_find(study, curve->cell, seed, row, bl_study_last_epoch(study, curve->cell, row));
    if (measured) *value = measured->value;
    return measured != NULL;
}

bl_estimate bl_label_difference(const bl_study *study, const bl_label_curve *curve, int point, const bl_label_curve *minus, int minus_point) {
    double values[BL_MOST_SEEDS], one, other;
    int n = 0, unfinished = 0;
    for (int s = 0; s < study->experiment->seed_count; s++) {
        const uint64_t seed = study->experiment->seeds[s];
        if (!value_at(study, curve, point, seed, &one) || !value_at(study, minus, minus_point, seed, &other)) continue;
        values[n++] = one - other;
        unfinished += !bl_study_is_finished(study, curve->cell, seed) || !bl_study_is_finished(study, minus->cell, seed);
    }
    bl_estimate estimate = bl_estimate_of(values, n);
    estimate.unfinished = unfinished;
    return estimate;
}

bl_estimate bl_label_value(const bl_study *study, const bl_label_curve *curve, int point) {
    double values[BL_MOST_SEEDS];
    int n = 0, unfinished = 0;
    for (int s = 0; s < study->experiment->seed_count; s++) {
        if (!value_at(study, curve, point, study->experiment->seeds[s], &values[n])) continue;
        n++;
        unfinished += !bl_study_is_finished(study, curve->cell, study->experiment->seeds[s]);
    }
    bl_estimate estimate = bl_estimate_of(values, n);
    estimate.unfinished = unfinished;
    return estimate;
}

const char *bl_label_measure(const bl_label_curve *curve) {
    return bl_protocol_facts_of(curve->points[0]->kind)->measure;
}

void bl_label_title(const bl_label_curve *curve, bl_text *text) {
    const bl_evaluation *row = curve->points[0];
    bl_evaluation_kind_title(row, text);
    bl_text_add(text, ", %s", bl_evaluation_split(row));
    bl_text_add(text, "%s", bl_evaluation_mark(row));
    if (curve->best) bl_text_add(text, ", best look");
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
        if (!value_at(study, curve, i, seed, &values[count])) continue;
        shares[count++] = curve->points[i]->fit.share;
    }
    return count;
}

static bl_labels_needed needed_of(const bl_study *study, const bl_label_curve *curve, const bl_label_curve *against) {
    bl_labels_needed needed = {.curve = curve, .against = against};
    double logarithms[BL_MOST_SEEDS], target;
    double *shares = bl_arena_take(study->arena, 2 * (size_t)curve->point_count * sizeof *shares), *values = shares + curve->point_count;
    for (int s = 0; s < study->experiment->seed_count; s++) {
        const uint64_t seed = study->experiment->seeds[s];
        const int count = curve_of_seed(study, curve, seed, shares, values);
        if (!value_at(study, against, against->point_count - 1, seed, &target)) continue;
        if (count < curve->point_count) continue; // half a curve could reach it later than the whole one
        needed.pairs++;
        const double share = bl_share_reaching(shares, values, count, target);
        if (isnan(share)) continue;
        logarithms[needed.reached++] = log(share);
        needed.at_smallest += values[0] >= target;
    }
    if (needed.pairs && needed.reached == needed.pairs) {
        needed.share = bl_estimate_of(logarithms, needed.reached);
        needed.share.mean = exp(needed.share.mean);
        needed.share.low = exp(needed.share.low);
        needed.share.high = exp(needed.share.high);
        // A seed that is there with its smallest share would be there with less: how far its share lies from the others' is not known.
        if (needed.at_smallest) needed.share.sd = needed.share.low = needed.share.high = NAN;
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

// ---- what others published ----

static bool speaks_of(const bl_study *study, const bl_expectation *expected, const bl_label_curve *curve, int point) {
    return !strcmp(expected->row, curve->points[point]->row) &&
           (!expected->cell || !strcmp(expected->cell, study->experiment->cells[curve->cell].name));
}

// The point of `curve` it belongs to: of the first curve where it names no cell, of the best looks where it is theirs; -1.
static int point_of(const bl_study *study, const bl_label_curve *curves, int curve_count, const bl_expectation *expected,
                    const bl_label_curve *curve) {
    const bool is_best = expected->selection && !strcmp(expected->selection, "best_on_test");
    const bl_label_curve *chosen = NULL;
    int point = -1;
    for (int k = 0; k < curve_count; k++)
        for (int i = 0; i < curves[k].point_count; i++)
            if (speaks_of(study, expected, &curves[k], i) && (!chosen || (is_best && curves[k].best && !chosen->best))) {
                chosen = &curves[k];
                point = i;
            }
    return chosen == curve ? point : -1;
}

static bool is_same_source(const bl_label_published *published, const bl_expectation *expected) {
    return published->context == expected->context && !strcmp(published->source, expected->source ? expected->source : "");
}

static void insert(bl_label_published *published, const bl_expectation *expected, double share) {
    int at = published->point_count++;
    for (; at > 0 && published->shares[at - 1] > share; at--) {
        published->points[at] = published->points[at - 1];
        published->shares[at] = published->shares[at - 1];
    }
    published->points[at] = expected;
    published->shares[at] = share;
}

const bl_label_published *bl_label_published_of(const bl_study *study, const bl_label_curve *curves, int curve_count, int *count) {
    const bl_experiment *experiment = study->experiment;
    const size_t most = (size_t)experiment->expectation_count;
    bl_label_published *published = bl_arena_take(study->arena, most * sizeof *published);
    *count = 0;
    for (int k = 0, first = 0; k < curve_count; k++, first = *count)
        for (int e = 0; e < experiment->expectation_count; e++) {
            const bl_expectation *expected = &experiment->expectations[e];
            const int point = point_of(study, curves, curve_count, expected, &curves[k]);
            if (point < 0) continue;
            int p = first;
            while (p < *count && !is_same_source(&published[p], expected)) p++;
            if (p == *count)
                published[(*count)++] = (bl_label_published){.curve = &curves[k], .source = expected->source ? expected->source : "",
                                                             .context = expected->context,
                                                             .points = bl_arena_take(study->arena, most * sizeof(bl_expectation *)),
                                                             .shares = bl_arena_take(study->arena, most * sizeof(double))};
            insert(&published[p], expected, curves[k].points[point]->fit.share);
        }
    return published;
}
