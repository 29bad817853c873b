// evaluate.h - the rows under `evaluate:` of a cell, measured on a model's store as it stands. protocol.h: one file a protocol.
//
// The room protocols/ holds a file a protocol (protocol.h says what one is), what they share (evaluator, pass, choice, learner, arms), what
// they count with (knn, logistic, segmenter, segmentation_metrics), and fits between two updates (fit_checkpoint). It sees weights/ and all
// below it. Its door: this header.

#ifndef BL_PROTOCOLS_EVALUATE_H
#define BL_PROTOCOLS_EVALUATE_H

#include "protocols/evaluator.h" // bl_evaluator

// Every row due after `epoch` finished epochs that the history lacks is measured and added to it. Every row is due at the last. Where
// a stop interrupts a row (base/stop.h), the history holds nothing of it, and evaluator->fits->row names it.
BL_CHECK int bl_evaluate(const bl_evaluator *evaluator, int epoch, bool is_last, bl_history *history);

// Whether any row is due after `epoch` finished epochs that are not the last.
bool bl_evaluates(const bl_cell *cell, int epoch);

// Whether the history holds every row due at `epoch`, where training ended.
bool bl_is_evaluated(const bl_cell *cell, int epoch, const bl_history *history);
bool bl_is_measured(const bl_evaluation *row, int epoch, const bl_history *history); // the same of one of its rows

#endif
