#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// Long enough for a located message with its source line and advice; longer ones are cut.
static _Thread_local char message[4096];
static _Thread_local char origin[256];

int bl_fail_at(const char *file, int line, const char *format, ...) {
    // The arguments may hold the old message ("%s: %s", path, bl_error()), so the new one is built beside it.
    char fresh[sizeof message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fresh, sizeof fresh, format, arguments);
    va_end(arguments);
    memcpy(message, fresh, sizeof message);
    snprintf(origin, sizeof origin, "%s:%d", file, line);
    return BL_FAILED;
}

const char *bl_error(void) {
    return message;
}

const char *bl_error_origin(void) {
    return origin;
}

static void copy_text(char *to, size_t size, const char *from) {
    size_t length = strnlen(from, size - 1);
    memmove(to, from, length); // `from` may be this thread's own message
    to[length] = 0;
}

int bl_error_set(const char *text, const char *where) {
    copy_text(message, sizeof message, text);
    copy_text(origin, sizeof origin, where);
    return BL_FAILED;
}
