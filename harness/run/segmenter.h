// segmenter.h - fine-tuning an encoder with FCN-8s on labelled scenes, and scoring it on whole ones.
//
// Arms, shares and choices are fine-tuning's (learner.h, choice.h, labels.h); a fit sees random crops, a score whole scenes.

#ifndef BL_RUN_SEGMENTER_H
#define BL_RUN_SEGMENTER_H

#include "datasets/scene_views.h" // bl_scene_recipe
#include "graph/segmentation.h"   // bl_segmentation_options
#include "run/experiment.h"       // bl_cell, bl_fit_options

// The network that a row of the cell fine-tunes.
bl_segmentation_options bl_segmentation_of(const bl_cell *cell, const bl_fit_options *fit);
// The training crop of a row, normalised as the cell's evaluation is.
bl_scene_recipe bl_segmentation_crop(const bl_cell *cell, const bl_fit_options *fit);

#endif
