// identity.h - what makes a run this run: the manifest that stands in its checkpoint and its run file.

#ifndef BL_RECORD_IDENTITY_H
#define BL_RECORD_IDENTITY_H

#include "backends/backend.h" // bl_backend
#include "datasets/dataset.h" // bl_dataset
#include "record/container.h" // bl_container_writer, bl_container_reader
#include "record/paths.h"     // bl_run_key

typedef struct bl_identity { // strings owned by the arena of bl_identity_of
    const char *run_id;      // SHA-256 of train id and seed
    const char *graph_digest, *version; // of a finished run that rows are added to; NULL: this program's
    const char *machine;     // what `describe` says, the host code's instruction set, the processor and its flags
    const char *choices;     // of a finished run that rows are added to; NULL: the backend's
    char dataset_digest[65];
    const bl_dataset *dataset; // borrowed
} bl_identity;

// What a run keeps of its data: bl_dataset_files and bl_dataset_contents, which stand for themselves as they may be long; and where they lay.
#define BL_DATA_FILES "/data/files"
#define BL_DATA_CONTENTS "/data/contents"
#define BL_DATA_ROOT "/host/data_root"

// The run's id alone, 64 hexadecimal digits.
void bl_run_id(const bl_cell *cell, uint64_t seed, char out[65]);

void bl_identity_of(bl_identity *identity, bl_arena *arena, const bl_run_key *key, const bl_backend *backend,
                    const bl_dataset *dataset);

// /manifest/*, /host/*, /data/*. `status` is "complete" or "incomplete".
BL_CHECK int bl_identity_put(const bl_identity *identity, const bl_run_key *key, const bl_backend *backend, const char *graph_digest,
                             const char *status, bl_container_writer *writer);

// Fails where the file is another recipe's; the message names the keys in which the recipes differ, with both values.
BL_CHECK int bl_identity_check(const bl_run_key *key, const bl_container_reader *reader, const char *path);

// Fails where the file's run saw other images or labels than these; the message names the first file that changed, came or went.
BL_CHECK int bl_identity_check_data(const bl_identity *identity, const bl_container_reader *reader, const char *path);

// What was chosen for the plans of the file's run, for those to come: before anything is compiled.
BL_CHECK int bl_identity_recall(bl_backend *backend, const bl_container_reader *reader);

// Who trained the run of a finished file: rows that are added later change nothing of that.
BL_CHECK int bl_identity_keep(bl_identity *identity, bl_arena *arena, const bl_container_reader *reader);

// Whether the file was written by the same machine kind, backend and threads as `machine` says: bit for bit only there.
BL_CHECK int bl_identity_same_machine(const char *machine, const bl_container_reader *reader, bool *same);

#endif
