// error.h - the one success convention: int, 0 is success, anything else is failure.
//
// The message is set once, where the failure is detected, and passed up untouched. It belongs to the thread;
// a worker thread's message travels in its batch to the consumer, who makes it its own by bl_error_set.

#ifndef BL_BASE_ERROR_H
#define BL_BASE_ERROR_H

#define BL_OK 0
#define BL_FAILED (-1)
#define BL_CHECK __attribute__((warn_unused_result))
#define BL_PRINTF(text, first) __attribute__((format(printf, text, first)))

// Sets this thread's message and returns BL_FAILED: `return bl_fail("%s: truncated", path);`. The message is for the
// person who typed the command: what is wrong, where, and what to write instead. The source line is kept beside it.
#define bl_fail(...) bl_fail_at(__FILE__, __LINE__, __VA_ARGS__)
int bl_fail_at(const char *file, int line, const char *format, ...) BL_PRINTF(3, 4);

const char *bl_error(void);        // this thread's message; "" before the first failure; valid until the next one
const char *bl_error_origin(void); // "harness/protocols/knn.c:41", where it was detected

// Makes `message` (copied) this thread's message without touching its origin: used when a worker's error is handed over.
int bl_error_set(const char *message, const char *origin);

#endif
