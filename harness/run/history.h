// history.h - what a run has measured so far: scalars by step, evaluation rows by epoch. Kept in the checkpoint and the run file.

#ifndef BL_RUN_HISTORY_H
#define BL_RUN_HISTORY_H

#include <stdint.h>

#include "base/error.h"   // BL_CHECK
#include "run/run_file.h" // bl_run_writer, bl_run_reader

typedef struct bl_step_row { // one logged step
    int64_t step;            // finished steps; 0 is before training
    double epoch, loss, std, learning_rate, tau;
    double std_ratio;        // std relative to the first logged one (step 0): what collapse is judged on
} bl_step_row;

typedef struct bl_measurement { // one evaluation row
    char row[64];            // "knn/k1_cv/test"
    char id[17];             // of the evaluation's options
    int epoch;
    double value;            // in percent
} bl_measurement;

typedef struct bl_history {  // start from {0}
    bl_step_row *steps;
    int64_t step_count, step_capacity;
    bl_measurement *measurements;
    int64_t measurement_count, measurement_capacity;
} bl_history;

BL_CHECK int bl_history_add_step(bl_history *history, const bl_step_row *row);
BL_CHECK int bl_history_add_measurement(bl_history *history, const bl_measurement *row);
const bl_measurement *bl_history_find(const bl_history *history, const char *row, const char *id, int epoch); // NULL when absent
void bl_history_free(bl_history *history);

BL_CHECK int bl_history_put(const bl_history *history, bl_run_writer *writer);        // /step/*, /evaluation/*
BL_CHECK int bl_history_get(bl_history *history, const bl_run_reader *reader);

#endif
