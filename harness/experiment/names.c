#include "experiment/names.h"

#include <ctype.h>
#include <string.h>

#include "base/utf8.h"

static bool is_filler(char c) { return c == '_' || c == '-' || c == ' '; }

static bool differ_by_looks(const char *a, const char *b) {
    for (;; a++, b++) {
        while (is_filler(*a)) a++;
        while (is_filler(*b)) b++;
        if (tolower((unsigned char)*a) != tolower((unsigned char)*b)) return false;
        if (!*a) return true;
    }
}

// A slip of one letter: left out, put in, another, or two exchanged. A number is no slip (resnet152), nor is what goes on behind a whole name
// or before a whole name (adamw, nadam), or another short word (adan).
static bool is_slip(const char *typed, const char *name) {
    size_t a = strlen(typed), b = strlen(name), same = 0;
    while (same < a && same < b && typed[same] == name[same]) same++;
    while (a > same && b > same && typed[a - 1] == name[b - 1]) a--, b--;
    const char *x = typed + same, *y = name + same;
    const size_t shorter = strlen(typed) < strlen(name) ? strlen(typed) : strlen(name);
    a -= same, b -= same;
    if (shorter < 3 || a > 2 || b > 2) return false;
    for (size_t i = 0; i < a + b; i++)
        if (isdigit((unsigned char)(i < a ? x[i] : y[i - a]))) return false;
    if (a == 2 || b == 2) return a == b && x[0] == y[1] && x[1] == y[0];
    if (a + b == 1 && same && (x[a] || (a ? *x : *y) == typed[same - 1])) return true; // inside the word, or its last letter twice, or once
    return shorter >= 5 && (a <= b || (same && *x == 's'));
}

const char *bl_nearest_name(const char *name, const char *const *names, int count) {
    for (int i = 0; i < count; i++)
        if (differ_by_looks(name, names[i])) return names[i];
    for (int i = 0; i < count; i++)
        if (is_slip(name, names[i])) return names[i];
    return NULL;
}

const char *bl_name_advice(bl_arena *arena, const char *name, const char *const *names, int count) {
    const char *near = count == 1 ? names[0] : bl_nearest_name(name, names, count);
    if (near) return bl_arena_format(arena, "write `%s`", near);
    bl_text list = {0};
    bl_text_add(&list, "write one of ");
    for (int i = 0; i < count; i++) bl_text_add(&list, "%s%s", i ? ", " : "", *names[i] ? names[i] : "\"\"");
    const char *advice = bl_arena_copy(arena, list.chars);
    bl_text_free(&list);
    return advice;
}

const char *bl_strange_character(bl_arena *arena, const char *text) {
    uint32_t character = 0;
    for (size_t left = strlen(text); left;) {
        const int length = bl_utf8_next(text, left, &character);
        if (!length) break;
        if (character >= 0x80) return bl_arena_format(arena, ": its %.*s (U+%04X) is no letter of ours", length, text, character);
        text += length, left -= (size_t)length;
    }
    return "";
}
