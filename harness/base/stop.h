// stop.h - a wish to stop, made by a signal and granted where nothing is lost.
//
// After bl_stop_listen SIGINT, SIGTERM and SIGUSR1 only ask. Whoever works looks at every boundary where it could end, and gives up
// there with bl_stop_here: a failure like any other on its way up, but one that bl_stopped tells from a fault. A second signal ends
// the process at once, as the first one does where nobody listens.

#ifndef BL_BASE_STOP_H
#define BL_BASE_STOP_H

#include <stdbool.h>

#include "base/error.h" // BL_CHECK

void bl_stop_listen(void);
bool bl_stop_asked(void);
BL_CHECK int bl_stop_here(void);     // BL_FAILED where a stop was asked for, else BL_OK; from any thread
bool bl_stopped(void);               // whether the last failure of this thread was a stop
int bl_stop_exit_status(void);       // what the process ends with: 130 (SIGINT), 143 (SIGTERM), 75 (SIGUSR1: "try again", as Slurm's requeue wants)
const char *bl_stop_signal(void);    // "SIGTERM"

#endif
