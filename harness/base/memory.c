#include "base/memory.h"

#include <limits.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

void *bl_alloc(size_t bytes) {
    size_t rounded = (bytes + 63) / 64 * 64;
    if (bytes > SIZE_MAX - 63) {
        bl_fail("out of memory: %zu bytes asked for", bytes);
        return NULL;
    }
    if (!rounded) rounded = 64;
    void *pointer = aligned_alloc(64, rounded);
    if (!pointer) {
        bl_fail("out of memory: %.1f MB asked for", (double)bytes / 1e6);
        return NULL;
    }
    return memset(pointer, 0, rounded);
}

void bl_free(void *pointer) {
    free(pointer);
}

int bl_grow(void **items, int count, int *capacity, size_t item_bytes) {
    if (count < *capacity) return BL_OK;
    if (*capacity > INT_MAX / 2) return bl_fail("a list of more than %d items", INT_MAX / 2);
    const int larger = *capacity ? 2 * *capacity : 64;
    void *grown = bl_alloc((size_t)larger * item_bytes);
    if (!grown) return BL_FAILED;
    if (count) memcpy(grown, *items, (size_t)count * item_bytes);
    bl_free(*items);
    *items = grown;
    *capacity = larger;
    return BL_OK;
}

// What was being written is not there yet, and the same command continues.
void bl_out_of_memory(void) {
    static const char message[] = "byolab: out of memory\n";
    if (write(STDERR_FILENO, message, sizeof message - 1) < 0) {} // there is no other way to tell it
    _exit(EXIT_FAILURE);
}

static void *must(void *pointer) {
    if (!pointer) bl_out_of_memory();
    return pointer;
}

#define CHUNK_BYTES ((size_t)16 * 1024)

typedef struct chunk {
    struct chunk *next;
    size_t used, capacity;
    alignas(16) unsigned char bytes[];
} chunk;

struct bl_arena {
    chunk *chunks; // the first is the one being filled
};

bl_arena *bl_arena_create(void) {
    return must(calloc(1, sizeof(bl_arena)));
}

void bl_arena_free(bl_arena *arena) {
    if (!arena) return;
    for (chunk *piece = arena->chunks; piece;) {
        chunk *next = piece->next;
        free(piece);
        piece = next;
    }
    free(arena);
}

void *bl_arena_take(bl_arena *arena, size_t bytes) {
    if (bytes > SIZE_MAX / 2) bl_out_of_memory();
    bytes = (bytes + 15) / 16 * 16;
    chunk *top = arena->chunks;
    if (!top || top->capacity - top->used < bytes) {
        size_t capacity = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
        chunk *fresh = must(calloc(1, sizeof(chunk) + capacity));
        fresh->capacity = capacity;
        fresh->next = top;
        arena->chunks = top = fresh;
    }
    void *piece = top->bytes + top->used;
    top->used += bytes;
    return piece;
}

char *bl_arena_format(bl_arena *arena, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0) bl_out_of_memory();
    char *text = bl_arena_take(arena, (size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

char *bl_arena_copy(bl_arena *arena, const char *text) {
    size_t bytes = strlen(text) + 1;
    return memcpy(bl_arena_take(arena, bytes), text, bytes);
}

void bl_text_add(bl_text *text, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0) bl_out_of_memory();
    size_t needed = text->size + (size_t)length + 1;
    if (needed > text->capacity) {
        size_t capacity = needed > 2 * text->capacity ? needed : 2 * text->capacity;
        text->chars = must(realloc(text->chars, capacity));
        text->capacity = capacity;
    }
    vsnprintf(text->chars + text->size, (size_t)length + 1, format, again);
    va_end(again);
    text->size += (size_t)length;
}

void bl_text_free(bl_text *text) {
    free(text->chars);
    *text = (bl_text){0};
}
