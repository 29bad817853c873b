#include "run/choice.h"

#include <math.h>

#include "run/labels.h" // bl_labels_choose

static int try_candidates(const bl_fitter *fitter, const double *candidates, int candidate_count, const bl_evaluator *evaluator,
                          const bl_evaluation *row, const bl_labelled *labels, bl_measurement *measurement) {
    const bool is_inside = row->fit.validation > 0; // the held-out images are part of the labelled ones
    const bl_split split = is_inside ? BL_TRAIN : BL_VALIDATION;
    if (!is_inside && !bl_dataset_count(evaluator->dataset, BL_VALIDATION))
        return bl_fail("%s: there is nothing to choose on: write `validation: 0.1` in the row, or `data.validation`, or one candidate",
                       row->row);
    double best = -1;
    for (int i = 0; i < candidate_count; i++) {
        bool is_finite = true;
        double accuracy = -1;
        if (fitter->fit(fitter->context, candidates[i], labels->fitted, labels->fitted_count, &is_finite)) return BL_FAILED;
        if (!is_finite) continue;
        if (fitter->accuracy(fitter->context, split, is_inside ? labels->held_out : NULL, labels->held_out_count, &accuracy))
            return BL_FAILED;
        if (accuracy <= best) continue;
        best = accuracy;
        measurement->chosen = candidates[i];
    }
    if (best < 0) return bl_fail("%s: every candidate diverged; write smaller learning rates", row->row);
    measurement->validation = 100 * best;
    return BL_OK;
}

static int fit_and_measure(const bl_fitter *fitter, const bl_evaluation *row, const bl_labelled *labels, bl_measurement *measurement) {
    const uint32_t *samples = row->fit.refit ? labels->all : labels->fitted;
    const int64_t count = row->fit.refit ? labels->count : labels->fitted_count;
    bool is_finite = true;
    double accuracy;
    if (fitter->fit(fitter->context, measurement->chosen, samples, count, &is_finite)) return BL_FAILED;
    if (!is_finite) return bl_fail("%s: the last fit, at %g, diverged; write smaller learning rates", row->row, measurement->chosen);
    if (fitter->accuracy(fitter->context, row->split, NULL, 0, &accuracy)) return BL_FAILED;
    measurement->value = 100 * accuracy;
    return BL_OK;
}

static int choose_labels(bl_labelled *labels, const bl_evaluator *evaluator, const bl_fit_options *fit, const uint8_t *train_labels,
                         int64_t count, double held_out) {
    const uint64_t seed = fit->label_seed < 0 ? evaluator->seed : (uint64_t)fit->label_seed;
    return bl_labels_choose(labels, train_labels, count, bl_dataset_classes(evaluator->dataset), fit->share, held_out, seed);
}

int bl_shares_fit(const bl_evaluator *evaluator) {
    const int64_t count = bl_dataset_count(evaluator->dataset, BL_TRAIN);
    uint8_t *train_labels;
    int status = bl_labels_read(evaluator->dataset, BL_TRAIN, &train_labels);
    for (int i = 0; !status && i < evaluator->cell->evaluation_count; i++) {
        const bl_evaluation *row = &evaluator->cell->evaluations[i];
        bl_labelled labels = {0};
        if (row->kind != BL_PROTOCOL_LINEAR && row->kind != BL_PROTOCOL_FINETUNE) continue;
        status = choose_labels(&labels, evaluator, &row->fit, train_labels, count, row->fit.validation);
        bl_labelled_free(&labels);
    }
    bl_free(train_labels);
    return status;
}

int bl_choose_and_measure(const bl_fitter *fitter, const double *candidates, int candidate_count, const bl_evaluator *evaluator,
                          bl_feature_cache *cache, const bl_evaluation *row, bl_measurement *measurement) {
    const bl_fit_options *fit = &row->fit;
    // Without a choice nothing need be held out, unless the file wants it kept apart.
    const double held_out = candidate_count > 1 || !fit->refit ? fit->validation : 0;
    const uint8_t *train_labels;
    int64_t count;
    bl_labelled labels;
    if (bl_cached_labels(cache, BL_TRAIN, &train_labels, &count) ||
        choose_labels(&labels, evaluator, fit, train_labels, count, held_out))
        return BL_FAILED;
    int status = BL_FAILED;
    measurement->chosen = candidates[0];
    measurement->validation = NAN;
    if (candidate_count > 1 && try_candidates(fitter, candidates, candidate_count, evaluator, row, &labels, measurement)) goto done;
    status = fit_and_measure(fitter, row, &labels, measurement);
done:
    bl_labelled_free(&labels);
    return status;
}
