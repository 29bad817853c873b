// collapse.h - is the representation collapsing? Judged on the online projection in train mode, relative to step 0.
//
// Why there: in a study of collapsed and healthy arms the encoder's own std and k-NN accuracy could not tell them apart; the
// projection in train mode, relative to its start, could (experiments/cifar10/ablation_collapse.yaml and its results).
//
// The first row is the untrained network and the last one the network that training ends with, each held still while its projections are
// gathered (still.h). Between them a window opens every `every` steps. What is judged (std, alignment, uniformity, norms, the loss) is that
// of the batch that opens it. The ranks need more rows than a batch has (one batch caps them): the projections of the next steps are
// gathered too until at least 8 D rows are there; then one row of bl_collapse_row comes out of it. What was gathered while the network
// moved has a rank of its own movement in it: the first and the last row have none, and the verdict on a finished run is theirs. Runs of
// version 0.1 and before gathered the first window so too, and ended with the last full one.
//   rank    eigenvalues l_i of the centred covariance of the raw projections: exp(-sum p_i log p_i), p_i = l_i / sum l
//   rankme  singular values s_i of the raw projections (roots of the eigenvalues of the uncentred second moment x rows):
//           the same with p_i = s_i / sum s + 1e-7. All values 0: rank 1.
// What has no spread reads std 0, mean cosine 1, rank 1, uniformity 0: collapsed, never NaN. Spread below the rounding of f32 (1e-7
// of the projections' norm) is none to the ranks. A window ends at once with what is not finite; its row holds NaN: diverged.

#ifndef BL_TRAIN_COLLAPSE_H
#define BL_TRAIN_COLLAPSE_H

#include "record/container.h" // bl_container_writer
#include "record/history.h"   // bl_collapse_row, bl_verdict

// The thresholds, in one place, set where accuracy tells which runs learn: the 48 runs of results/cifar10/ablation_collapse,
// ablation_collapse_20_epochs and ablation_predictor_lr_narrow (untrained rank 17 to 42), and the quickstart's (untrained 15). Runs that
// learnt end with (rank - 1) / (first rank - 1) of 0.04 and more on CIFAR-10, and of 0.0018 (rank 1.025, k-NN from 21 to 33 %) in the
// quickstart; on the way they pass 0.006. Runs that did not learn end below 0.0002, and all of them have lost their spread: std tells
// them, rank is not needed for it. So a low rank alone is no sign that nothing is learnt: `dimensional` is kept for what no run that
// learnt was seen at.
#define BL_COLLAPSED_STD 0.10    // std_ratio below: collapsed
#define BL_COLLAPSING_STD 0.30   // std_ratio below: collapsing
#define BL_DIMENSIONAL_RANK 0.001 // (rank - 1) / (first rank - 1) below, while std_ratio is not low: dimensional
#define BL_STUCK_LOSS 0.90       // no loss, counted from the least it can be, below this share of the first after BL_STUCK_STEPS: stuck
#define BL_STUCK_STEPS 100
#define BL_DIVERGED_NORM 1e4     // projection norm / first norm above, or anything not finite: diverged
#define BL_NO_SPREAD 1e-7        // spread below this share of the norm is rounding of f32: collapsed, whatever the start; rank 1
#define BL_JUDGED_STEPS 20       // fewer steps than this behind the last row: undetermined

// All pairs of a view are many: uniformity takes them among the first rows of each view, at most this many.
#define BL_UNIFORMITY_ROWS 256

// Of all rows so far, the last one included. Diverged comes before all; then undetermined, collapsed, collapsing, dimensional, stuck;
// healthy is what remains. `least_loss`: what no loss can fall below: 0, or -1 where the reduction is `half`.
bl_verdict bl_collapse_judge(const bl_collapse_row *rows, int64_t count, double least_loss);

typedef struct bl_collapse bl_collapse; // the window in the making

// For projections and predictions of `rows` = 2B rows (views stacked) and `width` columns.
BL_CHECK int bl_collapse_create(bl_collapse **collapse, int64_t rows, int width, int every);
void bl_collapse_free(bl_collapse *collapse);

// Whether this step's projections are wanted: a window is open, or `step` opens one, which step 0 does not (still.h).
bool bl_collapse_wants(const bl_collapse *collapse, int64_t step);

// Batches of `rows` rows that a window gathers.
int64_t bl_collapse_batches(int64_t rows, int width);

// Takes one batch: projection and prediction [rows, width] of the step that `step` tells of. When the window is full, *complete is
// true and *row holds all but the verdict and what is relative to the first row; its step, epoch and loss are the opening one's.
BL_CHECK int bl_collapse_observe(bl_collapse *collapse, const bl_step_row *step, const double *projection, const double *prediction,
                                 bool *complete, bl_collapse_row *row);

// Half a window in a checkpoint: /trainer/collapse/*. A file without it leaves no window open.
BL_CHECK int bl_collapse_put(const bl_collapse *collapse, bl_container_writer *writer);
BL_CHECK int bl_collapse_get(bl_collapse *collapse, const bl_container_reader *reader);

// What the rows above are made of, for the tests' hand-worked cases: `values` are `count` rows of `width`, l2-normalised already.
double bl_entropy_rank(const double *spectrum, int count, double added); // exp(-sum p log p), p = spectrum / sum + added; all 0: 1
double bl_alignment(const double *x, const double *y, int64_t count, int width);
double bl_uniformity(const double *values, int64_t count, int width); // 0 where there is no pair
// Eigenvalues of the symmetric [n, n] matrix, rising; the matrix is spent.
BL_CHECK int bl_eigenvalues(double *matrix, int n, double *values);

#endif
