// trainer.h - one run: a cell with one seed on one backend, from the experiment to its run file.
//
// The trainer emits events and never prints. It resumes from a checkpoint bit for bit, and does nothing where the run file is
// complete; evaluations that a finished run lacks are added from its saved weights (`eval`).
//
// The room run/ holds one run from start to end (trainer, checkpoint; longer: one that more epochs
// go on from; unchanged: whether its data are what they were) and the runs of a study as a list (sweep), with the files that they need (needed). It sees protocols/ and all
// below it. Its door: sweep.h, and this header's events.

#ifndef BL_RUN_TRAINER_H
#define BL_RUN_TRAINER_H

#include <stdbool.h>

#include "experiment/options.h" // bl_experiment, bl_cell
#include "record/history.h"     // bl_step_row, bl_measurement
#include "record/paths.h"       // bl_run_key

typedef enum bl_event_kind {
    BL_EVENT_DATA,       // the data set is open: `remarks` on it
    BL_EVENT_BEGIN,      // what is about to run; `resumed_from` steps
    BL_EVENT_STEP,       // after every step
    BL_EVENT_FIT,        // after every update of a fit; `row` says of what
    BL_EVENT_EVALUATION, // one measurement
    BL_EVENT_EPOCH,
    BL_EVENT_REMARK,     // `remarks` on what was there before: data, weights or rows that are not what they were, or could not be compared
    BL_EVENT_SKIPPED,    // the run file is complete
    BL_EVENT_BUSY,       // another process holds the run's lock
    BL_EVENT_COLLAPSED,  // training stops here, as `stop_on` asks
    BL_EVENT_STOPPED,    // a signal asked for it (base/stop.h); what there was is kept
    BL_EVENT_LEFT,       // training ends here for now, as stop_after_epoch asks
    BL_EVENT_END,
} bl_event_kind;

typedef struct bl_event {
    bl_event_kind kind;
    const char *cell;
    uint64_t seed;
    int epoch, epochs;              // finished epochs (STEP: the one in progress, from 1)
    int64_t step, steps, resumed_from;
    double images_per_second, seconds, seconds_left;
    const bl_step_row *scalars;     // STEP
    bl_verdict verdict;             // STEP, END: the last one
    const bl_measurement *measurement;
    const char *row;                // FIT: the evaluation in hand; STOPPED: the one that was interrupted, or NULL
    int64_t fit_step, fit_steps;    // FIT: finished updates
    const char *remarks;            // DATA: a line each (bl_dataset_remarks), or ""; REMARK: likewise
    const char *path;               // of the run file
} bl_event;

typedef struct bl_sink { // whoever shows the events
    void (*event)(void *context, const bl_event *event);
    void *context;
} bl_sink;

typedef struct bl_run_request {
    bl_run_key key;
    int64_t stop_after;      // steps; tests end a run early without a checkpoint of their own; 0: never
    int stop_after_epoch;    // ends with a checkpoint behind this many finished epochs: a later call continues; 0: never
    bool evaluate_only;      // never train: add missing evaluations to a finished run, or fail
    bl_sink sink;
} bl_run_request;

// Where a signal asks for it the run ends at the next boundary: it fails as bl_stopped tells, its checkpoint is on disk, and the same
// request continues bit for bit.
BL_CHECK int bl_run(const bl_run_request *request);
// Whether its run file is there and holds all that is asked for.
bool bl_run_is_finished(const bl_run_request *request);

#endif
