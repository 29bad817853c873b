// arms.h - where the arms of a label-efficiency curve start from.

#ifndef BL_PROTOCOLS_ARMS_H
#define BL_PROTOCOLS_ARMS_H

#include "protocols/learner.h" // bl_learner, bl_evaluator

// The encoder that the arm starts from, and that as the start of every fit. `source`: of a file, its digest (bl_weights_digest).
BL_CHECK int bl_learner_take_arm(bl_learner *learner, const bl_arm *arm, char source[65]);

// The files that arms start from, looked at before hours are spent on what they are held against.
BL_CHECK int bl_arms_are_there(const bl_cell *cell); // refused at the path's line
// And each that a row still needs can be read, was prepared as our images are and fits the encoder; nothing is written.
BL_CHECK int bl_arms_fit(const bl_evaluator *evaluator, const bl_history *history);

// Rows that were measured from another encoder than the arm's file now holds: what is of them gets an id of its own, by what they started
// from, so that they are measured anew and stay; where that was done before, the row's measurement of then counts again. Fails where the
// file is there and cannot be read. `said` (NULL: nobody asks) gains a line a row, also where there is nothing to compare.
BL_CHECK int bl_arms_renew(const bl_cell *cell, bl_history *history, bl_text *said);

#endif
