// container.h - what a run leaves: results/<study>/<cell>/seed-<k>.<backend>.h5, and the checkpoint of the same format beside it.
//
// HDF5 behind a 512-byte user block of ours (magic, format version, SHA-256 of everything behind it). A file is built in memory
// and written by one bl_atomic_write: no reader sees half of one. bl_container_reader_open refuses what is truncated, damaged or of
// another format version before HDF5 parses a byte.
//
// Groups: /manifest (strings), /data/files (what they were) and /data/contents (what is in them), /step/<scalar> and /epoch (log), /evaluation (rows),
// /weights/<network>/<name>, /features/<split>, /store (checkpoint: whole blocks), /trainer (checkpoint), /timing and /host (all that
// may differ between two equal runs; /timing/stretches: who trained which part).
//
// The room record/ holds what outlives a process: this container, what a run measured (history, history_file), who made it (identity,
// stretches) by what recipe (recipe), where it lies (paths), a store's values (blocks), the thread that writes (keeper), how far a run is (standing). It sees
// experiment/ and all below it, and alone knows HDF5. Its door: this header, history.h and paths.h.

#ifndef BL_RECORD_CONTAINER_H
#define BL_RECORD_CONTAINER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"  // BL_CHECK
#include "base/memory.h" // bl_text

// From any thread; a writer or reader is one thread's at a time.
//
// ---- writing: data sets that the writer holds, and that become a file when it is saved ----
typedef struct bl_container_writer bl_container_writer;
BL_CHECK int bl_container_writer_create(bl_container_writer **writer);
void bl_container_writer_free(bl_container_writer *writer);
// Copies the values. `path` is "/group/name"; missing groups are made. Data sets of 64 values or more carry fletcher32. What HDF5
// finds wrong with one (two of one name) is said by bl_container_writer_save.
BL_CHECK int bl_container_put_text(bl_container_writer *writer, const char *path, const char *text);
BL_CHECK int bl_container_put_f64(bl_container_writer *writer, const char *path, const double *values, const int64_t *dims, int rank);
BL_CHECK int bl_container_put_f32(bl_container_writer *writer, const char *path, const float *values, const int64_t *dims, int rank);
BL_CHECK int bl_container_put_i64(bl_container_writer *writer, const char *path, const int64_t *values, const int64_t *dims, int rank);
BL_CHECK int bl_container_put_u8(bl_container_writer *writer, const char *path, const uint8_t *values, const int64_t *dims, int rank);
// Without a copy: *values, the writer's own, are zeros to be overwritten before it is saved.
BL_CHECK int bl_container_make_f64(bl_container_writer *writer, const char *path, const int64_t *dims, int rank, double **values);
BL_CHECK int bl_container_make_f32(bl_container_writer *writer, const char *path, const int64_t *dims, int rank, float **values);
BL_CHECK int bl_container_writer_save(bl_container_writer *writer, const char *path); // the atomic write; the writer is then spent

// ---- reading ----
typedef struct bl_container_reader bl_container_reader;
BL_CHECK int bl_container_reader_open(bl_container_reader **reader, const char *path);
void bl_container_reader_close(bl_container_reader *reader);
bool bl_container_has(const bl_container_reader *reader, const char *path);
// Owned by the caller (bl_free). *count: values in all. Types convert (f32 widens).
BL_CHECK int bl_container_get_text(const bl_container_reader *reader, const char *path, char **text);
BL_CHECK int bl_container_get_f64(const bl_container_reader *reader, const char *path, double **values, int64_t *count);
BL_CHECK int bl_container_get_i64(const bl_container_reader *reader, const char *path, int64_t **values, int64_t *count);
// Exactly `count` values into dst.
BL_CHECK int bl_container_read_f64(const bl_container_reader *reader, const char *path, double *dst, int64_t count);
BL_CHECK int bl_container_read_i64(const bl_container_reader *reader, const char *path, int64_t *dst, int64_t count);
BL_CHECK int bl_container_dims(const bl_container_reader *reader, const char *path, int64_t dims[4], int *rank);
// Names below a group, one call each, in creation-independent (sorted) order.
BL_CHECK int bl_container_list(const bl_container_reader *reader, const char *group, int (*visit)(void *context, const char *name), void *context);
// Fails with "FILE: damaged: ...": for who finds in the file what cannot be.
int bl_container_damaged(const bl_container_reader *reader, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
