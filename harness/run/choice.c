#include "run/choice.h"

#include <math.h>

#include "base/memory.h"

static int try_candidates(const bl_fitter *fitter, const double *candidates, int candidate_count, const bl_evaluator *evaluator,
                          const bl_evaluation *row, const bl_labelled *labels, bl_measurement *measurement) {
    const bool is_inside = row->fit.validation > 0; // the held-out images are part of the labelled ones
    const bl_split split = is_inside ? BL_TRAIN : BL_VALIDATION;
    if (!is_inside && !bl_dataset_count(evaluator->dataset, BL_VALIDATION))
        return bl_fail("%s: there is nothing to choose on: write `validation: 0.1` in the row, or `data.validation`, or one candidate",
                       row->row);
    double best = -1;
    for (int i = 0; i < candidate_count; i++) {
        const bl_trial trial = {candidates[i], labels->fitted, labels->held_out, labels->fitted_count, labels->held_out_count, false};
        bool is_finite = true;
        double score = -1;
        if (fitter->fit(fitter->context, &trial, &is_finite)) return BL_FAILED;
        if (!is_finite) continue;
        if (fitter->score(fitter->context, split, is_inside ? labels->held_out : NULL, labels->held_out_count, &score)) return BL_FAILED;
        if (score <= best) continue;
        best = score;
        measurement->chosen = candidates[i];
    }
    if (best < 0) return bl_fail("%s: every candidate diverged; write smaller learning rates", row->row);
    measurement->validation = 100 * best;
    return BL_OK;
}

// What a fit watches stays out of it.
static bool keeps_apart(const bl_fit_options *fit) { return !fit->refit || fit->watch == BL_WATCH_HELD_OUT; }

static int fit_and_measure(const bl_fitter *fitter, const bl_evaluation *row, const bl_labelled *labels, bl_measurement *measurement) {
    bl_trial trial = {measurement->chosen, labels->all, NULL, labels->count, 0, true};
    if (keeps_apart(&row->fit))
        trial = (bl_trial){measurement->chosen, labels->fitted, labels->held_out, labels->fitted_count, labels->held_out_count, true};
    bool is_finite = true;
    double score;
    if (fitter->fit(fitter->context, &trial, &is_finite)) return BL_FAILED;
    if (!is_finite) return bl_fail("%s: the last fit, at %g, diverged; write smaller learning rates", row->row, measurement->chosen);
    if (fitter->score(fitter->context, row->split, NULL, 0, &score)) return BL_FAILED;
    measurement->value = 100 * score;
    return BL_OK;
}

static uint64_t seed_of(const bl_evaluator *evaluator, const bl_fit_options *fit) {
    return fit->label_seed < 0 ? evaluator->seed : (uint64_t)fit->label_seed;
}

static int choose_images(bl_labelled *labels, const bl_evaluator *evaluator, const bl_fit_options *fit, const uint8_t *train_labels,
                         int64_t count, double held_out) {
    return bl_labels_choose(labels, train_labels, count, bl_dataset_classes(evaluator->dataset), fit->share, held_out,
                            seed_of(evaluator, fit));
}

// Without a choice nothing need be held out, unless the file wants it kept apart.
static double held_out_of(const bl_fit_options *fit, int candidate_count) {
    return candidate_count > 1 || keeps_apart(fit) ? fit->validation : 0;
}

static int choose_scenes(bl_labelled *labels, const bl_evaluator *evaluator, const bl_evaluation *row) {
    const bl_fit_options *fit = &row->fit;
    const bl_scenes *scenes = bl_dataset_labelled(evaluator->dataset);
    if (!scenes) return bl_fail("%s: this data set was opened without labelled scenes", row->row);
    if (!fit->validation && (fit->rate_count > 1 || fit->watch == BL_WATCH_HELD_OUT))
        return bl_fail("%s: there is nothing to %s: write `validation: 0.1` in the row%s", row->row,
                       fit->rate_count > 1 ? "choose on" : "watch", fit->rate_count > 1 ? ", or one learning rate" : "");
    return bl_labels_choose_scenes(labels, bl_scenes_count(scenes), fit->share, fit->listed, held_out_of(fit, fit->rate_count),
                                   seed_of(evaluator, fit));
}

int bl_shares_fit(const bl_evaluator *evaluator) {
    uint8_t *train_labels = NULL; // read where a row asks for images
    int status = BL_OK;
    for (int i = 0; !status && i < evaluator->cell->evaluation_count; i++) {
        const bl_evaluation *row = &evaluator->cell->evaluations[i];
        bl_labelled labels = {0};
        if (row->kind == BL_PROTOCOL_SEGMENTATION) {
            status = choose_scenes(&labels, evaluator, row);
        } else if (bl_protocol_has_shares(row->kind)) {
            if (!train_labels) status = bl_labels_read(evaluator->dataset, BL_TRAIN, &train_labels);
            if (!status)
                status = choose_images(&labels, evaluator, &row->fit, train_labels, bl_dataset_count(evaluator->dataset, BL_TRAIN),
                                       row->fit.validation);
        }
        bl_labelled_free(&labels);
    }
    bl_free(train_labels);
    return status;
}

static int choose_labels(bl_labelled *labels, int candidate_count, const bl_evaluator *evaluator, bl_feature_cache *cache,
                         const bl_evaluation *row) {
    const uint8_t *train_labels;
    int64_t count;
    if (row->kind == BL_PROTOCOL_SEGMENTATION) return choose_scenes(labels, evaluator, row);
    if (bl_cached_labels(cache, BL_TRAIN, &train_labels, &count)) return BL_FAILED;
    return choose_images(labels, evaluator, &row->fit, train_labels, count, held_out_of(&row->fit, candidate_count));
}

int bl_choose_and_measure(const bl_fitter *fitter, const double *candidates, int candidate_count, const bl_evaluator *evaluator,
                          bl_feature_cache *cache, const bl_evaluation *row, bl_measurement *measurement) {
    bl_labelled labels;
    if (choose_labels(&labels, candidate_count, evaluator, cache, row)) return BL_FAILED;
    int status = BL_FAILED;
    measurement->chosen = candidates[0];
    measurement->validation = NAN;
    if (candidate_count > 1 && try_candidates(fitter, candidates, candidate_count, evaluator, row, &labels, measurement)) goto done;
    status = fit_and_measure(fitter, row, &labels, measurement);
done:
    bl_labelled_free(&labels);
    return status;
}
