#include "datasets/file_list.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/contents.h"
#include "base/file.h" // bl_file_exists

int bl_file_list_name(const char *line) {
    int length = (int)strcspn(line, "\n");
    for (int field = 0; field < 2; field++) // the last two are others
        for (int at = length - 1; at > 0; at--)
            if (line[at] == ' ') {
                length = at;
                break;
            }
    return length;
}

static const char *next_line(const char *line) {
    line += strcspn(line, "\n");
    return line + (*line != 0);
}

static bool lists(const char *list, const char *line) {
    const int length = bl_file_list_name(line);
    for (; *list; list = next_line(list))
        if (bl_file_list_name(list) == length && !strncmp(list, line, (size_t)length)) return true;
    return false;
}

void bl_file_list_skip(const char **was, const char **now) {
    for (size_t length; length = strcspn(*was, "\n"), **was && length == strcspn(*now, "\n") && !memcmp(*was, *now, length);) {
        *was += length + ((*was)[length] != 0);
        *now += length + ((*now)[length] != 0);
    }
}

static int refuse_gone(const char *line) {
    return bl_fail("%.*s: gone since the run began: put it back, or begin a new run", bl_file_list_name(line), line);
}

static int refuse_changed(const char *line) {
    return bl_fail("%.*s: changed since the run began: put the old file back, or begin a new run", bl_file_list_name(line), line);
}

// Both are in one order, so the first line that differs is a file that changed, came or went.
int bl_file_list_compare(const char *was, const char *now) {
    bl_file_list_skip(&was, &now);
    if (!*was && !*now) return BL_OK;
    if (*was && !lists(now, was)) return refuse_gone(was);
    if (*now && !lists(was, now))
        return bl_fail("%.*s: new since the run began: take it away, or begin a new run", bl_file_list_name(now), now);
    return refuse_changed(now);
}

int bl_file_list_compare_part(const char *was, const char *now) {
    for (; *was; was = next_line(was)) {
        const size_t name = (size_t)bl_file_list_name(was), line = strcspn(was, "\n");
        if (*was == '#') continue;
        while (*now && ((size_t)bl_file_list_name(now) != name || strncmp(now, was, name) != 0)) now = next_line(now);
        if (!*now) return refuse_gone(was);
        if (strcspn(now, "\n") != line || strncmp(now, was, line) != 0) return refuse_changed(was);
    }
    return BL_OK;
}

void bl_file_list_add(bl_text *list, const char *name, long long bytes, const char *digest) {
    bl_text_add(list, "%s %lld %s\n", name, bytes, digest);
}

// A file of another length is another file, whatever it holds.
static int add_now(const char *root, const char *name, long long bytes, bl_text *now) {
    bl_text path = {0};
    bl_stamp stamp;
    char digest[65] = "-";
    int status = BL_OK;
    bl_text_add(&path, "%s/%s", root, name);
    if (bl_file_exists(path.chars)) {
        status = bl_stamp_of(path.chars, &stamp);
        if (!status && stamp.bytes == bytes) status = bl_contents_digest(path.chars, digest);
        if (!status) bl_file_list_add(now, name, (long long)stamp.bytes, digest);
    }
    bl_text_free(&path);
    return status;
}

int bl_file_list_now(const char *was, const char *root, bl_text *now) {
    int status = BL_OK;
    for (; *was && !status; was = next_line(was)) {
        bl_text name = {0};
        const int length = bl_file_list_name(was);
        bl_text_add(&name, "%.*s", length, was);
        status = add_now(root, name.chars, strtoll(was + length, NULL, 10), now);
        bl_text_free(&name);
    }
    return status;
}
