// choice.h - how a protocol that learns from labels measures: choose on held-out labels, fit again, and only then ask the split
// that the row is about, once. Linear evaluation, fine-tuning and segmentation differ in what fits, never in this order.

#ifndef BL_PROTOCOLS_CHOICE_H
#define BL_PROTOCOLS_CHOICE_H

#include "datasets/labels.h"          // bl_labelled
#include "protocols/evaluator.h"      // bl_evaluator, bl_evaluation, bl_measurement
#include "protocols/fit_checkpoint.h" // bl_fit_place

typedef struct bl_trial {              // one fit
    double candidate;                  // a learning rate, an l2
    const uint32_t *samples, *held_out; // images of the train split: that it learns from, and that are kept from it
    int64_t count, held_out_count;     // held_out_count 0: it learns from all that are labelled
    bool is_final;                     // after the choice: this one is asked about the row's split
} bl_trial;

typedef struct bl_fitter { // what learns; each fit begins where the first one began
    void *context;
    const bl_fitted *kept; // it learns by updates and is kept between them (fit_checkpoint.h); NULL: a stop loses the row
    // Goes on from *place. *is_finite false: it diverged, the candidate is out.
    int (*fit)(void *context, const bl_trial *trial, bl_fit_place *place, bool *is_finite);
    // Of what was fitted last, on images of a split (NULL: all of them), in [0, 1]: accuracy, mean IoU.
    int (*score)(void *context, bl_split split, const uint32_t *samples, int64_t count, double *score);
} bl_fitter;

// Whether the train split has the labels that every row asks for, before hours are spent on what they are held against.
BL_CHECK int bl_shares_fit(const bl_evaluator *evaluator);
// And whether the scenes of each share hold a pixel of a class, once their maps were checked (bl_dataset_check_labels): those that are
// learned from, and those that are held out.
BL_CHECK int bl_shares_are_labelled(const bl_evaluator *evaluator);

// Labels are a share of the train split. The best score on the held-out part decides (images with fit.validation 0: on the split
// `validation`, which is never fitted); at a tie the first candidate does, so the caller puts the careful one first. A single
// candidate is not tried: measurement->validation is then NaN.
BL_CHECK int bl_choose_and_measure(const bl_fitter *fitter, const double *candidates, int candidate_count, const bl_evaluator *evaluator,
                                   bl_feature_cache *cache, const bl_evaluation *row, bl_measurement *measurement);

#endif
