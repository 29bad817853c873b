// utf8.h - text as characters.

#ifndef BL_BASE_UTF8_H
#define BL_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

// The character that `text` begins with, and its bytes; 0 where the first of `bytes` begin none (not the shortest form, half a pair, cut).
int bl_utf8_next(const char *text, size_t bytes, uint32_t *character);

#endif
