// load.h - how busy other processes keep the machine, from Linux's /proc: a speed means something only where nothing else runs, or
// beside a load that is known: one of this process's own.
//
// What counts is processor time between a mark and a later moment, that of every priority: work that gives way to others still takes
// caches and memory. What the host takes from a virtual machine counts too.

#ifndef BL_BASE_LOAD_H
#define BL_BASE_LOAD_H

#include <stdbool.h>

#include "base/error.h"  // BL_CHECK
#include "base/memory.h" // bl_text

typedef struct bl_process_time {
    int pid;
    char name[32];       // as the kernel cuts it
    double ticks;        // of processor time so far; of a bl_load: between the two moments
    bool yields;         // idle priority (SCHED_IDLE)
} bl_process_time;

typedef struct bl_load_mark { // the clocks of all processors together, and of each process
    bool is_known;            // false where there is no /proc to read
    int cores;
    double total, busy;       // ticks: of all processors, and of those not idle
    bl_process_time *processes;
    int count;
} bl_load_mark;

typedef struct bl_load {
    bool is_known;
    int cores;
    double busy;                // cores' worth of work by others than this process
    double ticks_a_core;        // between the two moments
    bl_process_time *processes; // those others that worked, falling by ticks
    int count;
} bl_load;

BL_CHECK int bl_load_take_mark(bl_load_mark *mark);
void bl_load_mark_free(bl_load_mark *mark);
BL_CHECK int bl_load_since(const bl_load_mark *mark, bl_load *load);
BL_CHECK int bl_load_watch(double seconds, bl_load *load); // waits meanwhile
void bl_load_free(bl_load *load);

bool bl_load_is_quiet(const bl_load *load); // known, and less than a twentieth of the machine
// "quiet", "loaded: 1.9 of 2 cores busy with byolab (pid 123, idle priority), cc1 (pid 5)" or "unknown: no /proc to read here".
void bl_load_describe(const bl_load *load, bl_text *text);

// ---- a load to measure beside ----

typedef enum bl_load_kind {
    BL_LOAD_BUSY_LOOPS,       // one a core
    BL_LOAD_SPINNING_THREADS, // one a core at nice 10: work of 50 us in turn with a barrier where they spin, as an OpenMP program does
} bl_load_kind;

typedef struct bl_load_made {
    int *pids; // processes of this one's, which end with it, however it ends
    int count;
    void *shared;
} bl_load_made;

// Makes the processes, which stand still until they are set going. Call it from the main thread, with whose end they end, and before
// much memory is in use: they have a copy of it.
BL_CHECK int bl_load_make(bl_load_made *made, bl_load_kind kind, int cores);
BL_CHECK int bl_load_go(const bl_load_made *made);
BL_CHECK int bl_load_halt(const bl_load_made *made); // returns when all stand still
void bl_load_end(bl_load_made *made);                // returns when all have ended; nothing to do where none was made

// The text of /proc/stat and of /proc/<pid>/stat; false where it is something else.
bool bl_load_parse_machine(const char *text, bl_load_mark *mark);
bool bl_load_parse_process(const char *text, bl_process_time *process);

#endif
