#include "base/stop.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>

static volatile sig_atomic_t asked; // the signal; 0: none came

static const struct {
    int signal, exit_status;
    const char *name;
} known[] = {
        {SIGINT, 130, "SIGINT"},
        {SIGTERM, 143, "SIGTERM"},
        {SIGUSR1, 75, "SIGUSR1"}, // EX_TEMPFAIL of sysexits.h
};
enum { KNOWN = sizeof known / sizeof *known };

static void on_signal(int number) {
    if (asked) { // it takes its usual effect as soon as this returns
        signal(number, SIG_DFL);
        raise(number);
    }
    asked = number;
}

void bl_stop_listen(void) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    for (int i = 0; i < KNOWN; i++) sigaddset(&action.sa_mask, known[i].signal);
    for (int i = 0; i < KNOWN; i++) sigaction(known[i].signal, &action, NULL);
}

bool bl_stop_asked(void) { return asked != 0; }

// Told by its text, which travels from a pool's thread to its consumer as every message does.
static const char message[] = "stopped by a signal";

int bl_stop_here(void) { return asked ? bl_fail("%s", message) : BL_OK; }

bool bl_stopped(void) { return strcmp(bl_error(), message) == 0; }

static int which(void) {
    int i = 0;
    while (i < KNOWN - 1 && known[i].signal != asked) i++;
    return i;
}

int bl_stop_exit_status(void) { return known[which()].exit_status; }

const char *bl_stop_signal(void) { return known[which()].name; }
