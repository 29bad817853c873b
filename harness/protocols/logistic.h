// logistic.h - multinomial logistic regression on cached features, by L-BFGS.
//
// Minimises  mean over the rows of cross-entropy(W x + b, label)  +  l2 / 2 |W|^2;  the intercept b is not penalised. That is
// scikit-learn's LogisticRegression with C = 1 / (l2 rows). All arithmetic in f64; the same bits with any number of threads.

#ifndef BL_PROTOCOLS_LOGISTIC_H
#define BL_PROTOCOLS_LOGISTIC_H

#include <stdbool.h>

#include "base/threads.h"  // bl_pool
#include "protocols/knn.h" // bl_features

typedef struct bl_logistic {   // weights [classes, width] and intercepts [classes], bl_free'd by bl_logistic_free
    double *weights, *intercepts;
    int classes, width;
    int iterations;
    bool converged;            // the largest gradient entry fell below the tolerance
} bl_logistic;

// `chosen` are the rows that are fitted (NULL: all). *model starts from what it holds (a warm start along a grid) or from {0}.
// Fails where a class has no row. Stops at `iterations` (converged says so) or where the largest gradient entry is below `tolerance`.
BL_CHECK int bl_logistic_fit(bl_logistic *model, const bl_features *features, const uint32_t *chosen, int64_t count, double l2,
                             int iterations, double tolerance, bl_pool *pool);
void bl_logistic_free(bl_logistic *model);

// Share of the rows whose largest logit is their label's; ties go to the lowest class.
BL_CHECK int bl_logistic_accuracy(const bl_logistic *model, const bl_features *features, const uint32_t *chosen, int64_t count,
                                  bl_pool *pool, double *accuracy);

#endif
