// Reading and writing recorded choices. The plans are cuDNN's own JSON, kept as they are: what is read here is only where they end.

#include <ctype.h>
#include <string.h>

#include "backends/cudnn/record.h"

#define DEPTH 64 // cuDNN's plans nest less than ten deep

typedef struct scanner {
    const char *at; // zero-terminated
    int depth;
} scanner;

static void skip_blanks(scanner *s) {
    s->at += strspn(s->at, " \t\r\n");
}

static bool take_char(scanner *s, char expected) {
    skip_blanks(s);
    if (*s->at != expected) return false;
    s->at++;
    return true;
}

static bool scan_string(scanner *s) {
    if (!take_char(s, '"')) return false;
    for (; *s->at != '"'; s->at++) {
        if ((unsigned char)*s->at < ' ') return false; // the end of the text, too
        if (*s->at != '\\') continue;
        s->at++;
        if (*s->at == 'u') {
            for (int i = 0; i < 4; i++)
                if (!isxdigit((unsigned char)*++s->at)) return false;
        } else if (!*s->at || !strchr("\"\\/bfnrt", *s->at)) {
            return false;
        }
    }
    s->at++;
    return true;
}

static bool scan_digits(scanner *s) {
    const size_t count = strspn(s->at, "0123456789");
    s->at += count;
    return count > 0;
}

static bool scan_number(scanner *s) {
    if (*s->at == '-') s->at++;
    if (*s->at == '0' ? (s->at++, false) : !scan_digits(s)) return false;
    if (*s->at == '.' && (s->at++, !scan_digits(s))) return false;
    if (*s->at != 'e' && *s->at != 'E') return true;
    s->at++;
    if (*s->at == '+' || *s->at == '-') s->at++;
    return scan_digits(s);
}

static bool scan_word(scanner *s, const char *word) {
    const size_t size = strlen(word);
    if (strncmp(s->at, word, size) != 0) return false;
    s->at += size;
    return true;
}

static bool scan_value(scanner *s);

static bool scan_members(scanner *s, char close, bool has_keys) {
    s->at++;
    if (take_char(s, close)) return true;
    do {
        if (has_keys && (!scan_string(s) || !take_char(s, ':'))) return false;
        if (!scan_value(s)) return false;
    } while (take_char(s, ','));
    return take_char(s, close);
}

static bool scan_value(scanner *s) {
    skip_blanks(s);
    if (++s->depth > DEPTH) return false;
    const bool is_whole = *s->at == '{'   ? scan_members(s, '}', true)
                          : *s->at == '[' ? scan_members(s, ']', false)
                          : *s->at == '"' ? scan_string(s)
                          : *s->at == 't' ? scan_word(s, "true")
                          : *s->at == 'f' ? scan_word(s, "false")
                          : *s->at == 'n' ? scan_word(s, "null")
                                          : scan_number(s);
    s->depth--;
    return is_whole;
}

static bool take_key(scanner *s, const char *key) {
    const size_t size = strlen(key);
    if (!take_char(s, '"') || strncmp(s->at, key, size) != 0 || s->at[size] != '"') return false;
    s->at += size + 1;
    return take_char(s, ':');
}

// A pattern's text has nothing that JSON would escape.
static bool scan_choice(scanner *s, bl_gpu_span *pattern, bl_gpu_span *plan) {
    if (!take_char(s, '{') || !take_key(s, "pattern")) return false;
    skip_blanks(s);
    pattern->chars = s->at + 1;
    if (!scan_string(s)) return false;
    pattern->size = (size_t)(s->at - pattern->chars) - 1;
    if (!pattern->size || memchr(pattern->chars, '\\', pattern->size)) return false;
    if (!take_char(s, ',') || !take_key(s, "plan")) return false;
    skip_blanks(s);
    plan->chars = s->at;
    if (*s->at != '{' || !scan_value(s)) return false;
    plan->size = (size_t)(s->at - plan->chars);
    return take_char(s, '}');
}

static int refuse(const char *text, const scanner *s) {
    return bl_fail("the recorded engines are damaged: at character %zu, '%.20s'", (size_t)(s->at - text) + 1, s->at);
}

int bl_gpu_record_read(const char *text, int (*take)(void *data, bl_gpu_span pattern, bl_gpu_span plan), void *data) {
    scanner s = {.at = text};
    bl_gpu_span pattern, plan;
    if (!take_char(&s, '[')) return refuse(text, &s);
    if (!take_char(&s, ']')) {
        do {
            if (!scan_choice(&s, &pattern, &plan)) return refuse(text, &s);
            if (take(data, pattern, plan)) return BL_FAILED;
        } while (take_char(&s, ','));
        if (!take_char(&s, ']')) return refuse(text, &s);
    }
    skip_blanks(&s);
    return *s.at ? refuse(text, &s) : BL_OK;
}

void bl_gpu_record_write(bl_text *text, bool is_first, const char *pattern, const char *plan) {
    bl_text_add(text, "%s\n{\"pattern\": \"%s\", \"plan\": %s}", is_first ? "" : ",", pattern, plan);
}
