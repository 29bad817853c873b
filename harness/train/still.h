// still.h - a diagnosis of the network held still: projections of as many batches as its ranks need, none of which teaches it anything.
//
// So diagnosed are the untrained network, which is what all later rows are held against, and the one that training ends with, which is the
// one that is saved. Between them a window gathers its rows while the network learns (collapse.h): that costs no forward pass.

#ifndef BL_TRAIN_STILL_H
#define BL_TRAIN_STILL_H

#include "train/collapse.h"
#include "train/loop.h"  // bl_loop_options
#include "train/model.h" // bl_model

// The row of the network that has made `step` updates, all but its step and epoch, the verdict and what is relative to the first row. `training`: the loop that
// trains it, whose batches from that step on are taken, in their order and augmented as they will be for training: at the end those of an
// epoch that training has not seen. The loader is not training's, whose slots may be lent; it makes the same. Where the data set has fewer
// batches than are needed the next epochs' are taken. Store and training plan stay as they are; a graph and a plan of forward passes alone
// live as long as the call. What is not finite makes the row one of a network that diverged; it is no failure.
BL_CHECK int bl_still_diagnose(const bl_model *model, const bl_cell *cell, const bl_loop_options *training, bl_loader *loader, int64_t step,
                               bl_collapse_row *row);

#endif
