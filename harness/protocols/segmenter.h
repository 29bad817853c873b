// segmenter.h - fine-tuning an encoder with FCN-8s on labelled scenes, and scoring it on whole ones.
//
// Arms, shares and choices are fine-tuning's (learner.h, choice.h, labels.h); a fit sees random crops, a score whole scenes.

#ifndef BL_PROTOCOLS_SEGMENTER_H
#define BL_PROTOCOLS_SEGMENTER_H

#include "backends/backend.h"               // bl_store
#include "datasets/scenes/scene_views.h"    // bl_scene_recipe
#include "experiment/options.h"             // bl_cell, bl_fit_options
#include "graph/segmentation.h"             // bl_segmentation_options
#include "protocols/segmentation_metrics.h" // bl_segmentation_scores

// The network that a row of the cell fine-tunes.
bl_segmentation_options bl_segmentation_of(const bl_cell *cell, const bl_fit_options *fit);
// Whether a row is a segmentation whose training step no row before it has: arms and shares of an entry take the same one.
bool bl_segmentation_has_own_step(const bl_cell *cell, int row);
// The training crop of a row, normalised as the cell's evaluation is.
bl_scene_recipe bl_segmentation_crop(const bl_cell *cell, const bl_evaluation *row);

// Whole scenes through a network that lies in a store: a plan for each of their sizes, the two that were used last are kept.
typedef struct bl_scorer bl_scorer;
typedef struct bl_scorer_options {
    const bl_cell *cell;
    const bl_evaluation *row;  // segmentation.score_batch scenes a step
    bl_layout *layout;         // of the training step; all four are borrowed
    bl_store *store;
    int loader_threads;
} bl_scorer_options;
BL_CHECK int bl_scorer_create(bl_scorer **scorer, const bl_scorer_options *options);
void bl_scorer_free(bl_scorer *scorer);

typedef struct bl_onlooker { // who is shown each scene's prediction, in the order of the samples
    void *context;
    int (*see)(void *context, int64_t scene, int width, int height, const uint8_t *predicted);
} bl_onlooker;

// Of these scenes (NULL: all). Consecutive scenes of one size share batches; what fills a short one counts nowhere. `onlooker`: may be NULL.
BL_CHECK int bl_scorer_score(bl_scorer *scorer, const bl_scenes *scenes, const uint32_t *samples, int64_t count,
                             const bl_onlooker *onlooker, bl_segmentation_scores *scores);

#endif
