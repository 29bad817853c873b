// history.h - what a run has measured so far: scalars by step, evaluation rows by epoch. history_file.h keeps it in files.

#ifndef BL_RECORD_HISTORY_H
#define BL_RECORD_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"            // BL_CHECK
#include "datasets/scenes/scene.h" // BL_SCENE_CLASSES

typedef struct bl_step_row { // one logged step
    int64_t step;            // finished steps; 0 is before training
    double epoch, loss, std, learning_rate, tau;
    double std_ratio;        // std relative to the first logged one (step 0): what collapse is judged on. Both NaN without a projection
} bl_step_row;

typedef struct bl_measurement { // one evaluation row
    char row[64];            // "knn/k1_cv/test"
    char id[17];             // of the evaluation's options
    int epoch;
    double value;            // in percent
    double chosen;           // the l2 or learning rate that was chosen; NaN: nothing was
    double validation;       // percent, of that choice on the held-out part; NaN
    char source[65];         // digest of the encoder in the file that its arm starts from; "": it starts from none, or an earlier version made it
} bl_measurement;

typedef enum bl_verdict {
    BL_UNDETERMINED, // too little was seen
    BL_HEALTHY,
    BL_COLLAPSING,   // on the way: the spread has lost much of its start
    BL_COLLAPSED,    // all projections point the same way
    BL_DIMENSIONAL,  // they are spread, over few dimensions
    BL_STUCK,        // spread, but the loss stays where it began: nothing is learned
    BL_DIVERGED,     // norms or loss grow beyond all bounds
    BL_VERDICTS
} bl_verdict;
const char *bl_verdict_name(bl_verdict verdict); // "collapsed"

// One diagnosis of the online projection in train mode (collapse.h says how each is computed); views together unless said.
typedef struct bl_collapse_row {
    int64_t step;            // that opened the window; the first row is the untrained network
    double epoch, loss;
    double std;              // RMS std of the l2-normalised channels x sqrt(D): sqrt(1 - mean_cosine), 0 .. 1
    double std_ratio;        // to the first row
    double mean_cosine;      // mean cosine of a view's rows, each with each and itself: the other face of `std`
    double rank;             // exp of the entropy of the covariance's eigenvalues (centred), 1 .. D
    double rankme;           // exp of the entropy of the singular values (uncentred; Garrido et al. 2023), 1 .. D
    double alignment;        // mean |x - y|^2 over pairs of views (Wang & Isola 2020), normalised rows, 0 .. 4
    double uniformity;       // log mean exp(-2 |x - y|^2) over pairs of a view's rows (Wang & Isola 2020)
    double norm;             // mean l2 norm of the projections
    double prediction_norm;  // of the predictions
    bl_verdict verdict;      // of all rows up to this one
} bl_collapse_row;

// One look of a segmentation at whole scenes: at val, or while it fits at the held-out part of its labels. Percent; NaN where nothing
// was counted (segmentation_metrics.h says how each is computed).
typedef struct bl_look {
    char row[64], id[17];    // of the evaluation, as in its measurement, whose value is the last look's miou_present
    int64_t step;            // finished updates of the fit; the last look is its last update
    bool held_out;
    double learning_rate;    // of the fit: its base
    double miou_present, miou_cityscapes, accuracy, batch_accuracy;
    double iou[BL_SCENE_CLASSES];
} bl_look;

// What a segmentation saw in one scene of val when its fit had ended, made smaller for a sheet of pictures.
typedef struct bl_scene_picture {
    char row[64], id[17];
    char scene[128];         // "val/aachen/aachen_000000_000019"
    int width, height;
    uint8_t *image;          // height x width x 3; owned, as are the next two
    uint8_t *truth, *prediction; // height x width: classes or BL_SCENE_IGNORED
} bl_scene_picture;

typedef struct bl_history {  // start from {0}
    bl_step_row *steps;
    int64_t step_count;
    int step_capacity;
    bl_measurement *measurements;
    int64_t measurement_count;
    int measurement_capacity;
    bl_collapse_row *collapse;
    int64_t collapse_count;
    int collapse_capacity;
    bl_look *looks;
    int64_t look_count;
    int look_capacity;
    bl_scene_picture *pictures;
    int64_t picture_count;
    int picture_capacity;
} bl_history;

BL_CHECK int bl_history_add_step(bl_history *history, const bl_step_row *row);
BL_CHECK int bl_history_add_measurement(bl_history *history, const bl_measurement *row);
BL_CHECK int bl_history_add_collapse(bl_history *history, const bl_collapse_row *row);
BL_CHECK int bl_history_add_look(bl_history *history, const bl_look *row);
BL_CHECK int bl_history_add_picture(bl_history *history, const bl_scene_picture *picture); // takes its memory, also when it fails
// Forgets the looks and pictures after the first ones: of a row that was not measured to its end.
void bl_history_forget(bl_history *history, int64_t looks, int64_t pictures);
// Gives all that is of a row's id another one: the row is measured anew, and what there was stays. False where nothing is.
bool bl_history_rename(bl_history *history, const char *row, const char *from, const char *to);
void bl_scene_picture_free(bl_scene_picture *picture);
// How often a row looked at val.
int bl_history_looks(const bl_history *history, const char *row, const char *id);
// The last look of a row at val, and the one with the highest miou_present; NULL when absent.
const bl_look *bl_history_last_look(const bl_history *history, const char *row, const char *id);
const bl_look *bl_history_best_look(const bl_history *history, const char *row, const char *id);
const bl_measurement *bl_history_find(const bl_history *history, const char *row, const char *id, int epoch); // NULL when absent
void bl_history_free(bl_history *history);

#endif
