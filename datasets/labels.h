// labels.h - which images or scenes are labelled: nested fractions of a split.
//
// Every class of images has an order of its own, drawn from (seed, "labels", class); a share of s percent takes the first
// round(s n_c / 100) images of each class with n_c images. So 1 % lies inside 10 %, and both are balanced. A scene holds many classes:
// scenes have one order, drawn from (seed, "scenes"), and a share takes its first round(s n / 100), at least one.

#ifndef BL_DATASETS_LABELS_H
#define BL_DATASETS_LABELS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"       // BL_CHECK
#include "datasets/dataset.h" // bl_dataset

// The label of every image of a split, bl_free'd by the caller.
BL_CHECK int bl_labels_read(const bl_dataset *dataset, bl_split split, uint8_t **labels);

typedef struct bl_labelled {  // indices into the split, ascending; free with bl_labelled_free
    uint32_t *fitted;         // that are trained on
    uint32_t *held_out;       // that choices are made on
    uint32_t *all;            // both
    int64_t fitted_count, held_out_count, count;
} bl_labelled;

// `held_out` is a part (0 .. 1) of each class's labelled images, at least one where the part is above 0. One clear line where a
// class is empty, a share gives a class less than one image, or a class has none left to fit.
BL_CHECK int bl_labels_choose(bl_labelled *chosen, const uint8_t *labels, int64_t count, int classes, double share, double held_out,
                              uint64_t seed);
// Of `count` scenes. `listed`: the first ones as they are listed, (int)(share n) / 100 of them, as the hands-on review takes them.
// `held_out` is a part of them all, at least one where it is above 0; of listed ones they are drawn too, or one city would be held out.
BL_CHECK int bl_labels_choose_scenes(bl_labelled *chosen, int64_t count, double share, bool listed, double held_out, uint64_t seed);
// How many scenes that share is, and how many of so many labelled scenes, or images of a class, are held out.
int64_t bl_labels_count_scenes(int64_t count, double share, bool listed);
int64_t bl_labels_count_held_out(int64_t labelled, double held_out);
void bl_labelled_free(bl_labelled *chosen);

#endif
