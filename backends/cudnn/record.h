// record.h - choices as JSON text: [{"pattern": "...", "plan": {..}}, ..].

#ifndef BL_BACKENDS_CUDNN_RECORD_H
#define BL_BACKENDS_CUDNN_RECORD_H

#include <stddef.h>

#include "base/error.h"  // BL_CHECK
#include "base/memory.h" // bl_text

typedef struct bl_gpu_span { // inside a longer text
    const char *chars;
    size_t size;
} bl_gpu_span;

// Calls `take` for each choice of the text, in order; the text is refused, with the place, where it is no such list.
BL_CHECK int bl_gpu_record_read(const char *text, int (*take)(void *data, bl_gpu_span pattern, bl_gpu_span plan), void *data);

// One choice of the list; `is_first` of them.
void bl_gpu_record_write(bl_text *text, bool is_first, const char *pattern, const char *plan);

#endif
