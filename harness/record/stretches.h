// stretches.h - who trained a run, and when: a stretch is what one process trained of it, without a break.
//
// Kept in the checkpoint and the run file under /timing/stretches, a data set a column, as equal runs may differ in it. Each process
// adds its own behind those it found; updates that were lost to a kill are the next one's. Files of earlier versions have none.

#ifndef BL_RECORD_STRETCHES_H
#define BL_RECORD_STRETCHES_H

#include <stdbool.h>
#include <stdint.h>

#include "record/container.h" // bl_container_writer, bl_container_reader

typedef struct bl_stretch {
    int64_t first, last;      // updates, counted from 1, both of them included
    int64_t threads;          // of the backend's own loops; 0: it does not say
    int64_t until;            // seconds since 1970, UTC: when the file was written that tells of it
    double hours;             // of training alone
    char cpu[96];             // "AMD EPYC 9654 96-Core Processor"; "unknown"
    char device[96];          // of a GPU backend: "NVIDIA H200"; ""
    char isa[48];             // the backend's own word: "avx512_bf16"; ""
    char library[160];        // "onednn 3.2.0"
    char version[24], commit[48]; // of byolab: "0.1.0", "2e14f59ab01c"
} bl_stretch;

typedef struct bl_stretches { // start from {0}. A copy shares `past`, which nothing changes, and owns nothing
    bl_stretch *past;         // those of earlier processes
    int64_t past_count;
    bl_stretch now;           // this process's; its commit is "" before bl_stretches_begin
    double seconds_before;    // of training, by earlier processes
} bl_stretches;

// This process trains on from `step` finished updates and `seconds` of training. `machine`: what the backend says of itself
// (bl_identity).
void bl_stretches_begin(bl_stretches *stretches, const char *machine, int64_t step, double seconds);
void bl_stretches_free(bl_stretches *stretches);

// `step` and `seconds`: where training stands now. A stretch without an update is not kept.
BL_CHECK int bl_stretches_put(const bl_stretches *stretches, int64_t step, double seconds, bl_container_writer *writer);
// As `past`. None is no failure.
BL_CHECK int bl_stretches_get(bl_stretches *stretches, const bl_container_reader *reader);

// Whether the file's last stretch, where it has any, was computed by this machine's processor as far as results may depend on it: the
// CPU backends' libraries choose by its caches too. (bl_identity_same_machine compares the rest, and the processor where the file's text
// of the machine names it; that of earlier versions does not.)
bool bl_stretches_same_cpu(const bl_stretches *stretches);

// Whether both were made by the same machine, library and program.
bool bl_stretch_same_maker(const bl_stretch *a, const bl_stretch *b);
// "AMD EPYC 9654 96-Core Processor, avx512_bf16, 2 threads, onednn 3.2.0, commit 2e14f59ab01c"
void bl_stretch_maker(const bl_stretch *stretch, bl_text *text);

#endif
