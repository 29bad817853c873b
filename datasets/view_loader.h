// view_loader.h - a loader of a data set's views, augmented as recipes say.

#ifndef BL_DATASETS_VIEW_LOADER_H
#define BL_DATASETS_VIEW_LOADER_H

#include "datasets/dataset.h"
#include "datasets/loader.h"
#include "datasets/views/views.h"

// `recipes[v]` makes view v; `views` of them. A slot's images are [views * count, out, out, 3], all of view 0, then view 1, and its labels
// [views * count]. Every view is a function of (seed, sample, epoch, occurrence, view). Dataset and recipes are borrowed.
BL_CHECK int bl_view_loader_create(bl_loader **loader, const bl_dataset *dataset, bl_split split, const bl_recipe *recipes, int views,
                                   uint64_t seed, int threads, int slots);

#endif
