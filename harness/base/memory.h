// memory.h - allocation that reports failure, and an arena for objects that live and die together.

#ifndef BL_BASE_MEMORY_H
#define BL_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

// Zeroed, aligned to 64 bytes. NULL with the error set when memory is short; `bytes` 0 gives a valid pointer. Free with bl_free.
void *bl_alloc(size_t bytes);
void bl_free(void *pointer);

// Room for one more in a list of `count` items: *items is replaced by a larger copy when *capacity is reached. Fails as bl_alloc does.
int bl_grow(void **items, int count, int *capacity, size_t item_bytes) __attribute__((warn_unused_result));

// The one way below main to end the process, with a message and exit status 1: nothing sensible is left to do when a name does not fit in
// memory, and whoever asks for one need not look.
void bl_out_of_memory(void) __attribute__((noreturn));

// An arena owns everything taken from it; the pieces are freed together. Pieces are zeroed and aligned to 16 bytes.
// Small objects only (names, nodes): where memory is short for those, bl_out_of_memory.
typedef struct bl_arena bl_arena;
bl_arena *bl_arena_create(void);
void bl_arena_free(bl_arena *arena);
void *bl_arena_take(bl_arena *arena, size_t bytes);
char *bl_arena_format(bl_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *bl_arena_copy(bl_arena *arena, const char *text);

// Growable text. Start from {0}; `chars` is always terminated once something was added. Free with bl_text_free. Where memory
// is short: bl_out_of_memory, so that no text is ever a part of one.
typedef struct bl_text {
    char *chars;
    size_t size, capacity; // bytes without the terminator; bytes allocated
} bl_text;
void bl_text_add(bl_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline const char *bl_plural(long long count) { return count == 1 ? "" : "s"; } // "%d step%s"
void bl_text_free(bl_text *text);

#endif
