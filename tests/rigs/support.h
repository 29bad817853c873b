// support.h - what several tests share: CMocka in the right order, temporary folders, golden files, errors of vectors.

#ifndef BL_TESTS_SUPPORT_H
#define BL_TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backends/registry.h"
#include "base/error.h"

// Fails the test with the library's message when `call` fails.
#define assert_ok(call) \
    do { \
        if ((call) != BL_OK) fail_msg("%s: %s (%s)", #call, bl_error(), bl_error_origin()); \
    } while (0)

// A fresh folder under $TMPDIR, removed with everything in it by bl_test_folder_remove. Returns a malloc'ed path.
char *bl_test_folder(void);
void bl_test_folder_remove(char *path);
// The folder of the test program that runs, for the test and every rig it includes: made when it is first asked for. bl_test_leave, a
// tear-down of CMocka's, removes it.
const char *bl_test_here(void);
int bl_test_leave(void **state);

// Where the repository and this build lie: $BYOLAB_SOURCE and $BYOLAB_BUILD where the tests run on another machine than built them.
const char *bl_test_source(void);
const char *bl_test_build(void);

// "reference" and the backends to hold against it, NULL-terminated: those that open here. $BYOLAB_TEST_BACKEND names one instead, which
// must open, alone: what is the same whichever backend is named (the reference's own mathematics) is proved where none is.
const char *const *bl_test_backends(void);
bool bl_test_backend_is_named(void);
// Whether a backend was built. $BYOLAB_TEST_REQUIRED names those that must be there ("onednn", "onednn,cudnn"): a test that would have
// used one fails where it was not built, does not open or cannot run a step, in place of being skipped.
bool bl_test_has_backend(const char *name);
// Whether every node can run there; prints the reason where one cannot.
bool bl_test_can_run(const char *backend, const bl_graph *graph);
// Whether oneDNN finds AVX-512, without which it has no bf16: the processor may lack it, or ONEDNN_MAX_CPU_ISA forbid it.
const char *bl_test_instruction_set(void); // that oneDNN uses, as its backend describes itself: "avx512_bf16"
bool bl_test_has_avx512(void);
// What whole runs use where any backend will do: $BYOLAB_TEST_BACKEND, or the fastest that needs no GPU.
const char *bl_test_backend(void);

// A data set of an HDF5 file made by a script in tests/golden/: malloc'ed doubles (any numeric type converts). `file` is a name
// there, or an absolute path.
double *bl_test_golden(const char *file, const char *path, int64_t *count);

// sum (a - b)^2 / sum b^2; the largest |a - b|.
double bl_test_nmse(const double *a, const double *b, int64_t count);
double bl_test_worst(const double *a, const double *b, int64_t count);

// Runs `byolab WORDS` of this build; its exit status, and what it printed on either stream in `says`.
int bl_test_byolab(const char *words, char *says, size_t size);
// Fails the test with the text where `part` is not in it.
void bl_test_holds(const char *text, const char *part);

// Writes to *function, a pointer to one, the library's own function of a name that the test has put its own in front of.
void bl_test_next(const char *name, void *function);

#endif
