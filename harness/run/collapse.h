// collapse.h - is the representation collapsing? Judged on the online projection in train mode, relative to step 0.
//
// Why there: in a study of collapsed and healthy arms the encoder's own std and k-NN accuracy could not tell them apart; the
// projection in train mode, relative to its start, could (experiments/cifar10/ablation_collapse.yaml and its results).
//
// Every `every` steps a window opens: the projections of that step and of the next ones are gathered until at least 8 D rows are
// there (the rank of one batch is capped by its rows), then one row of bl_collapse_row comes out of it.
//   rank    eigenvalues l_i of the centred covariance of the raw projections: exp(-sum p_i log p_i), p_i = l_i / sum l
//   rankme  singular values s_i of the raw projections (roots of the eigenvalues of the uncentred second moment x rows):
//           the same with p_i = s_i / sum s + 1e-7. All values 0: rank 1.
// What has no spread reads std 0, mean cosine 1, rank 1, uniformity 0: collapsed, never NaN.

#ifndef BL_RUN_COLLAPSE_H
#define BL_RUN_COLLAPSE_H

#include "run/history.h"  // bl_collapse_row, bl_verdict
#include "run/run_file.h" // bl_run_writer

// The thresholds, in one place. results/cifar10/ablation_collapse shows the runs they were set on.
#define BL_COLLAPSED_STD 0.10    // std_ratio below: collapsed
#define BL_COLLAPSING_STD 0.30   // std_ratio below: collapsing
#define BL_DIMENSIONAL_RANK 0.10 // rank / first rank below, while std_ratio is not: dimensional
#define BL_STUCK_LOSS 0.90       // the loss has not fallen below this share of the first after BL_STUCK_STEPS steps: stuck
#define BL_STUCK_STEPS 100
#define BL_DIVERGED_NORM 1e4     // projection norm / first norm above, or anything not finite: diverged
#define BL_JUDGED_STEPS 20       // fewer steps than this behind the last row: undetermined

// Of all rows so far, the last one included. Diverged comes before collapsed, collapsed before collapsing, and so on in the order
// of the enum's severity; healthy is what remains.
bl_verdict bl_collapse_judge(const bl_collapse_row *rows, int64_t count);

typedef struct bl_collapse bl_collapse; // the window in the making

// For projections and predictions of `rows` = 2B rows (views stacked) and `width` columns.
BL_CHECK int bl_collapse_create(bl_collapse **collapse, int64_t rows, int width, int every);
void bl_collapse_free(bl_collapse *collapse);

// Whether this step's projections are wanted: a window is open, or `step` opens one.
bool bl_collapse_wants(const bl_collapse *collapse, int64_t step);

// Takes one batch: projection and prediction [rows, width]. When the window is full, *complete is true and *row holds all but the
// verdict and what is relative to the first row.
BL_CHECK int bl_collapse_observe(bl_collapse *collapse, int64_t step, const double *projection, const double *prediction, bool *complete,
                                 bl_collapse_row *row);

// Half a window in a checkpoint: /trainer/collapse/*.
BL_CHECK int bl_collapse_put(const bl_collapse *collapse, bl_run_writer *writer);
BL_CHECK int bl_collapse_get(bl_collapse *collapse, const bl_run_reader *reader);

// What the rows above are made of, for the tests' hand-worked cases: `values` are `count` rows of `width`.
double bl_entropy_rank(const double *spectrum, int count, double added); // exp(-sum p log p), p = spectrum / sum + added; all 0: 1
double bl_alignment(const double *x, const double *y, int64_t count, int width);
double bl_uniformity(const double *values, int64_t count, int width);

#endif
