// knn.h - k-nearest-neighbour accuracy of frozen features.
//
// Similarity is the cosine. Ties of similarity go to the lowest bank index, ties of votes to the lowest class.

#ifndef BL_PROTOCOLS_KNN_H
#define BL_PROTOCOLS_KNN_H

#include <stdint.h>

#include "base/error.h"   // BL_CHECK
#include "base/threads.h" // bl_pool

typedef struct bl_features { // rows x width floats, one row an image; borrowed by all functions here
    const float *values;
    const uint8_t *labels;
    int64_t rows;
    int width, classes;
} bl_features;

// k neighbours in `bank` vote for each query with weight exp(cos / temperature), or 1 where temperature is 0. *accuracy in [0, 1].
// Wu et al. 2018 (InstDisc), with lightly's defaults k = 200, T = .1.
BL_CHECK int bl_knn_accuracy(const bl_features *bank, const bl_features *queries, int k, double temperature, bl_pool *pool, double *accuracy);

// Mean accuracy of `folds`-fold cross-validation inside one set: scikit-learn's cross_val_score(KNeighborsClassifier(k,
// metric="cosine")) with StratifiedKFold(folds), unshuffled. The blog's protocol with k = 1, folds = 5.
BL_CHECK int bl_knn_cross_validation(const bl_features *features, int k, double temperature, int folds, bl_pool *pool, double *accuracy);

// fold[i] of every row by StratifiedKFold(folds, shuffle=False).
BL_CHECK int bl_stratified_folds(const uint8_t *labels, int64_t rows, int classes, int folds, uint8_t *fold);

#endif
