#include "experiment/variables.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

// The next "${NAME}" in `text`; NULL: there is none. *name is in the arena, *end behind it.
static const char *next_variable(bl_arena *arena, const char *text, const char **name, const char **end) {
    const char *start = strstr(text, "${"), *close = start ? strchr(start, '}') : NULL;
    if (!close) return NULL;
    *name = bl_arena_format(arena, "%.*s", (int)(close - start - 2), start + 2);
    *end = close + 1;
    return start;
}

static void warn_once(bl_text *warnings, const char *line) {
    if (!warnings->size || !strstr(warnings->chars, line)) bl_text_add(warnings, "%s\n", line);
}

static bool is_path(const char *key) {
    return key && (!strcmp(key, "root") || !strcmp(key, "run") || !strcmp(key, "weights"));
}

// What looks like a variable and is none: "$NAME", "~/".
static const char *lookalike(bl_arena *arena, const char *text) {
    if (!strncmp(text, "~/", 2)) return "~ is not replaced: write ${HOME}";
    for (const char *at = text; (at = strchr(at, '$')); at++)
        if (isalpha((unsigned char)at[1]) || at[1] == '_') {
            const int length = 1 + (int)strspn(at + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
            return bl_arena_format(arena, "%.*s is not replaced: write ${%.*s}", length, at, length - 1, at + 1);
        }
    return NULL;
}

static void excuse(bl_arena *arena, bl_value *value, const char *key, bl_text *warnings) {
    for (int i = 0; i < value->count; i++) excuse(arena, value->entries[i].value, value->entries[i].key ? value->entries[i].key : key, warnings);
    if (value->kind != BL_VALUE_SCALAR) return;
    const char *name, *where = bl_spot_name(arena, value->spot), *wrong = is_path(key) ? lookalike(arena, value->text) : NULL;
    for (const char *at = value->text; next_variable(arena, at, &name, &at);) {
        if (getenv(name)) continue;
        value->is_verbatim = true;
        warn_once(warnings, bl_arena_format(arena, "the environment variable %s is not set here (%s)", name, where));
    }
    if (wrong) warn_once(warnings, bl_arena_format(arena, "%s: %s (%s)", key, wrong, where));
}

void bl_variables_excuse(const bl_value *tree, bl_text *warnings) {
    bl_arena *arena = bl_arena_create();
    excuse(arena, (bl_value *)tree, NULL, warnings);
    bl_arena_free(arena);
}

void bl_variables_tell(const char *written, bl_text *text) {
    bl_arena *arena = bl_arena_create();
    const char *name, *wrong = lookalike(arena, written), *separator = "";
    for (const char *at = written; next_variable(arena, at, &name, &at); separator = ", ")
        bl_text_add(text, "%s%s is %s", separator, name, getenv(name) ? getenv(name) : "not set");
    if (wrong) bl_text_add(text, "%s%s", separator, wrong);
    bl_arena_free(arena);
}
