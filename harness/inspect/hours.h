// hours.h - how long a cell's runs will take on this machine, as far as its steps tell: a few steps of its training and of each kind of fit
// are timed. An estimate: views, which are made beside the steps, features and scores are not in it.

#ifndef BL_INSPECT_HOURS_H
#define BL_INSPECT_HOURS_H

#include "experiment/options.h" // bl_cell, bl_machine

typedef struct bl_hours { // of one seed
    int64_t training_steps, fit_steps;
    double training, fits; // hours
    int fit_count;         // fits in all: a row's candidates, and the one after the choice
} bl_hours;

// Opens the data where the file does not tell how many images or scenes there are.
BL_CHECK int bl_hours_of(const bl_cell *cell, const bl_machine *machine, bl_hours *hours);

#endif
