#include "protocols/choice.h"

#include <math.h>

#include "base/memory.h"
#include "base/stop.h"       // bl_stopped
#include "experiment/cell.h" // bl_fit_check_length
#include "experiment/protocol_facts.h"

typedef struct choice { // a row in the making
    const bl_fitter *fitter;
    const double *candidates;
    int candidate_count;
    const bl_evaluator *evaluator;
    const bl_evaluation *row;
    bl_labelled labels;
    bl_fit_place place;
} choice;

// ---- one fit ----

// Fits and scores, where the fit is finite. What a stop interrupts, also while it is scored, goes on from here.
static int fit_and_score(choice *c, const bl_trial *trial, bl_split split, const uint32_t *samples, int64_t count, bool *is_finite,
                         double *score) {
    const bl_fitter *fitter = c->fitter;
    *is_finite = true;
    if (fitter->fit(fitter->context, trial, &c->place, is_finite) == BL_OK &&
        (!*is_finite || fitter->score(fitter->context, split, samples, count, score) == BL_OK))
        return BL_OK;
    if (!bl_stopped() || !fitter->kept || bl_fit_keep(c->evaluator->fits, fitter->kept, &c->place)) return BL_FAILED;
    return bl_stop_here();
}

// ---- the choice ----

static int try_candidates(choice *c, bl_measurement *measurement) {
    const bl_labelled *labels = &c->labels;
    const bl_evaluation *row = c->row;
    bl_fit_place *place = &c->place;
    const bool is_inside = row->fit.validation > 0; // the held-out images are part of the labelled ones
    const bl_split split = is_inside ? BL_TRAIN : BL_VALIDATION;
    if (!is_inside && !bl_dataset_count(c->evaluator->dataset, BL_VALIDATION))
        return bl_fail("%s: there is nothing to choose on: write `validation: 0.1` in the row, or `data.validation`, or one candidate",
                       row->row);
    for (; place->trial < c->candidate_count; bl_fit_place_begin(place, place->trial + 1)) {
        const double candidate = c->candidates[place->trial];
        const bl_trial trial = {candidate, labels->fitted, labels->held_out, labels->fitted_count, labels->held_out_count, false};
        bool is_finite;
        double score = -1;
        if (fit_and_score(c, &trial, split, is_inside ? labels->held_out : NULL, labels->held_out_count, &is_finite, &score)) return BL_FAILED;
        if (!is_finite || score <= place->best) continue;
        place->best = score;
        place->chosen = candidate;
    }
    if (place->best < 0) return bl_fail("%s: every candidate diverged; write smaller learning rates", row->row);
    measurement->validation = 100 * place->best;
    return BL_OK;
}

// What a fit watches stays out of it.
static bool keeps_apart(const bl_fit_options *fit) { return !fit->refit || fit->watch == BL_WATCH_HELD_OUT; }

static int fit_and_measure(choice *c, bl_measurement *measurement) {
    const bl_labelled *labels = &c->labels;
    const double chosen = c->place.chosen;
    bl_trial trial = {chosen, labels->all, NULL, labels->count, 0, true};
    if (keeps_apart(&c->row->fit))
        trial = (bl_trial){chosen, labels->fitted, labels->held_out, labels->fitted_count, labels->held_out_count, true};
    bool is_finite;
    double score = 0;
    if (fit_and_score(c, &trial, c->row->split, NULL, 0, &is_finite, &score)) return BL_FAILED;
    if (!is_finite) return bl_fail("%s: the last fit, at %g, diverged; write smaller learning rates", c->row->row, chosen);
    measurement->chosen = chosen;
    measurement->value = 100 * score;
    return BL_OK;
}

// ---- the images ----

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
        if (bl_protocol_facts_of(row->kind)->of_scenes) {
            status = choose_scenes(&labels, evaluator, row);
        } else if (bl_protocol_facts_of(row->kind)->has_shares) {
            if (!train_labels) status = bl_labels_read(evaluator->dataset, BL_TRAIN, &train_labels);
            if (!status)
                status = choose_images(&labels, evaluator, &row->fit, train_labels, bl_dataset_count(evaluator->dataset, BL_TRAIN),
                                       row->fit.validation);
        }
        if (!status && labels.count) status = bl_fit_check_length(row, labels.fitted_count);
        bl_labelled_free(&labels);
    }
    bl_free(train_labels);
    return status;
}

static int check_part(const bl_scenes *scenes, const bl_evaluation *row, const uint32_t *part, int64_t count, const char *use,
                      const char *key) {
    for (int64_t i = 0; i < count; i++)
        if (bl_scenes_classes(scenes, part[i])) return BL_OK;
    if (!count) return BL_OK;
    return bl_fail("%s: no pixel is of a class in the %lld scene%s that it %s (%s%s): write a larger %s, or put label maps there that "
                   "hold classes", row->row, (long long)count, bl_plural(count), use, bl_scenes_name(scenes, part[0]),
                   count > 1 ? ", ..." : "", key);
}

int bl_shares_are_labelled(const bl_evaluator *evaluator) {
    const bl_scenes *scenes = bl_dataset_labelled(evaluator->dataset);
    int status = BL_OK;
    for (int i = 0; !status && i < evaluator->cell->evaluation_count; i++) {
        const bl_evaluation *row = &evaluator->cell->evaluations[i];
        bl_labelled labels = {0};
        if (!bl_protocol_facts_of(row->kind)->of_scenes) continue;
        status = choose_scenes(&labels, evaluator, row) ||
                                 check_part(scenes, row, labels.fitted, labels.fitted_count, "learns from", "share") ||
                                 check_part(scenes, row, labels.held_out, labels.held_out_count, "holds out", "validation")
                         ? BL_FAILED
                         : BL_OK;
        bl_labelled_free(&labels);
    }
    return status;
}

static int choose_labels(bl_labelled *labels, int candidate_count, const bl_evaluator *evaluator, bl_feature_cache *cache,
                         const bl_evaluation *row) {
    const uint8_t *train_labels;
    int64_t count;
    if (bl_protocol_facts_of(row->kind)->of_scenes) return choose_scenes(labels, evaluator, row);
    if (bl_cached_labels(cache, BL_TRAIN, &train_labels, &count)) return BL_FAILED;
    return choose_images(labels, evaluator, &row->fit, train_labels, count, held_out_of(&row->fit, candidate_count));
}

int bl_choose_and_measure(const bl_fitter *fitter, const double *candidates, int candidate_count, const bl_evaluator *evaluator,
                          bl_feature_cache *cache, const bl_evaluation *row, bl_measurement *measurement) {
    choice c = {.fitter = fitter, .candidates = candidates, .candidate_count = candidate_count, .evaluator = evaluator, .row = row,
                .place = {.best = -1, .chosen = candidates[0]}};
    if (choose_labels(&c.labels, candidate_count, evaluator, cache, row)) return BL_FAILED;
    int status = BL_FAILED;
    measurement->validation = NAN;
    bl_fit_place_begin(&c.place, candidate_count > 1 ? 0 : candidate_count); // a single one needs no choice
    if (fitter->kept && bl_fit_restore(evaluator->fits, fitter->kept, candidate_count, &c.place)) goto done;
    if (candidate_count > 1 && try_candidates(&c, measurement)) goto done;
    status = fit_and_measure(&c, measurement);
done:
    bl_labelled_free(&c.labels);
    return status;
}
