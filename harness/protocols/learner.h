// learner.h - a network that learns from labels, beside a model and on its backend: fine-tuning, linear evaluation by SGD,
// segmentation.
//
// A learner has a layout and a store of its own, so the model it starts from stays as it is. Every fit begins at the same start:
// candidates, and the fit after the choice, differ in nothing but the learning rate and the images.

#ifndef BL_PROTOCOLS_LEARNER_H
#define BL_PROTOCOLS_LEARNER_H

#include "graph/segmentation.h"       // bl_segmentation_options
#include "protocols/choice.h"         // bl_trial
#include "protocols/evaluator.h"      // bl_evaluator, bl_feature_cache
#include "protocols/fit_checkpoint.h" // bl_fit_place
#include "protocols/logistic.h"       // bl_logistic
#include "train/loop.h"               // bl_loop

enum { BL_START_BLOCKS = 2 }; // parameters and buffers

typedef struct bl_learner { // start from {0}
    const bl_evaluator *evaluator; // borrowed, as is `fit`
    const bl_fit_options *fit;
    bl_recipe view;                // what is trained on, where images are
    bl_layout *layout;
    bl_step_graph step, inference; // inference: of images; whole scenes have other sizes (segmenter.h)
    bl_store *store;
    bl_plan *training, *inferring;
    bool tf32;                         // training may round to it
    bool of_scenes;
    int64_t steps;                     // of the last fit
    double *start[BL_MAX_NETWORKS][BL_START_BLOCKS]; // where every fit begins
    char start_digest[65];             // of that; "" until it is asked for
} bl_learner;

// The classifier that a row of fine-tuning or of linear evaluation trains.
bl_classifier_options bl_classifier_of(const bl_cell *cell, const bl_evaluation *row);
// Encoder and head, trained on views (fit.view, then the evaluation's normalisation) and asked by the inference graph. `tf32`: training
// may round to it.
BL_CHECK int bl_learner_create(bl_learner *learner, const bl_evaluator *evaluator, const bl_fit_options *fit,
                               const bl_classifier_options *options, bool tf32);
// The head alone, on features of `width` that lie ready. The initial weights are its start.
BL_CHECK int bl_learner_create_head(bl_learner *learner, const bl_evaluator *evaluator, const bl_fit_options *fit,
                                    const bl_classifier_options *options, int width);
// Encoder and FCN-8s, trained on crops of row->segmentation.crop pixels a side. The row is borrowed.
BL_CHECK int bl_learner_create_segmentation(bl_learner *learner, const bl_evaluator *evaluator, const bl_evaluation *row,
                                            const bl_segmentation_options *options, bool tf32);
void bl_learner_free(bl_learner *learner);

// The encoder of the evaluator's model as it stands; the head keeps its initial weights.
BL_CHECK int bl_learner_take_encoder(bl_learner *learner);
// What the store holds now is the start of every fit.
BL_CHECK int bl_learner_keep_start(bl_learner *learner);

// What is kept of it between updates; borrowed from the learner.
bl_fitted bl_learner_fitted(bl_learner *learner);

typedef struct bl_watcher { // who looks at a network while it learns
    void *context;
    int every;              // updates between looks, 0: a pass over the samples; the last update is followed by one too
    int (*look)(void *context, int64_t step, double *value); // after `step` updates; PLATEAU wants a higher value
} bl_watcher;

// For the budget of `fit`, at the rate `trial->candidate`, from the start; or from place->step > 0 with what the store holds. *place
// moves on with it, and is kept on disk as often as the evaluator's owner wants (fit_checkpoint.h). `watcher`: may be NULL. *is_finite
// false: a step was not, and the rest was left out.
BL_CHECK int bl_learner_fit(bl_learner *learner, bl_loader *loader, const bl_trial *trial, bl_fit_place *place, const bl_watcher *watcher,
                            bool *is_finite);

// A whole row (choice.h) over fit.learning_rates, from views of the train split.
BL_CHECK int bl_learner_measure(bl_learner *learner, bl_feature_cache *cache, const bl_evaluation *row, bl_measurement *measurement);

// Share of a split's images (NULL: all) that the inference graph puts into their class. `plan` observes inference->correct.
BL_CHECK int bl_inference_accuracy(const bl_evaluator *evaluator, bl_plan *plan, const bl_step_graph *inference, bl_split split,
                                   const uint32_t *samples, int64_t count, double *accuracy);

// The linear head "fc" of a network as a model that bl_logistic_accuracy can ask.
BL_CHECK int bl_read_head(const bl_store *store, const char *network, bl_logistic *head);

#endif
