// team.h - the threads of own kernels: one parallel region lasts over many passes, and no pass waits for a thread that is not there.
//
// Opening and ending a region costs a meeting of all threads; on a machine that is not ours alone, each costs ticks of the scheduler.
// So own steps that follow one another share a region (bl_cpu_team_run), and within it a pass is posted to threads that are waiting
// already. What a share is depends on the number of threads alone, never on who does it: a thread does its own, then those that
// nobody has begun, so that the one that got no processor is waited for only where it has begun something. Whoever waits spins for a
// short time, the shorter the more often that was in vain, then sleeps.

#ifndef BL_BACKENDS_ONEDNN_TEAM_H
#define BL_BACKENDS_ONEDNN_TEAM_H

#include <stdint.h>

#include "base/error.h" // BL_CHECK

typedef struct bl_cpu_team bl_cpu_team;

typedef struct bl_cpu_waits { // that a plan reports
    int64_t regions;          // parallel regions: all threads come, and all are waited for
    int64_t barriers;         // passes within them
} bl_cpu_waits;

BL_CHECK int bl_cpu_team_create(bl_cpu_team **team, int threads);
void bl_cpu_team_free(bl_cpu_team *team);

// Runs `work` on the calling thread in one region, whose other threads take part in the passes that it makes. Returns its status.
BL_CHECK int bl_cpu_team_run(bl_cpu_team *team, int (*work)(void *context), void *context);
bl_cpu_waits bl_cpu_team_waits(const bl_cpu_team *team); // so far

// A pass: calls `body` once for each share 0 .. shares-1, and returns when all are done. Outside of bl_cpu_team_run, and within a
// body, the calling thread does all of them.
void bl_cpu_parallel(int shares, void (*body)(const void *context, int share, int shares), const void *context);

#endif
