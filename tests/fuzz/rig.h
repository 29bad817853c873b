// rig.h - what the fuzz targets share. A target is a file fuzz_<name>.c with one function, which reads bytes as byolab would read them from a
// stranger; libFuzzer calls it with what it makes up (tests/fuzz/run), replay.c with what lies in corpus/<name>/ and small changes of it.
//
// A target must not crash, leak, hang or touch memory that is not its own, whatever it is given, and what fails must say so.

#ifndef BL_TESTS_FUZZ_RIG_H
#define BL_TESTS_FUZZ_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// A folder of this process, removed when it ends: the working directory, and the home of what byolab caches. No program is found from it.
const char *bl_fuzz_here(void);
// Its file `name` with these bytes; the path stays good until the next call.
const char *bl_fuzz_file(const char *name, const uint8_t *data, size_t size);
// Removes all that is in it.
void bl_fuzz_clear(void);

// Whether it went well. Aborts where it failed and no word tells why.
bool bl_fuzz_told(int status);
// Forgets what was said before: each call of bl_fuzz_told is about the one before it.
void bl_fuzz_ask(void);
#define FUZZ(call) (bl_fuzz_ask(), bl_fuzz_told(call))

#endif
