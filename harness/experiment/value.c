#include "experiment/value.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bl_value *bl_value_new(bl_arena *arena, bl_value_kind kind, bl_spot spot, int layer) {
    bl_value *value = bl_arena_take(arena, sizeof *value);
    value->kind = kind;
    value->spot = spot;
    value->layer = layer;
    return value;
}

void bl_value_append(bl_arena *arena, bl_value *container, const char *key, bl_spot key_spot, bl_value *value) {
    if (container->count == container->capacity) {
        container->capacity = container->capacity ? 2 * container->capacity : 8;
        bl_entry *entries = bl_arena_take(arena, (size_t)container->capacity * sizeof *entries);
        if (container->count) memcpy(entries, container->entries, (size_t)container->count * sizeof *entries);
        container->entries = entries;
    }
    container->entries[container->count++] = (bl_entry){key, key_spot, value};
}

bl_value *bl_value_copy(bl_arena *arena, const bl_value *value) {
    bl_value *copy = bl_value_new(arena, value->kind, value->spot, value->layer);
    copy->text = value->text;
    copy->quoted = value->quoted;
    copy->is_verbatim = value->is_verbatim;
    for (int i = 0; i < value->count; i++)
        bl_value_append(arena, copy, value->entries[i].key, value->entries[i].key_spot, bl_value_copy(arena, value->entries[i].value));
    return copy;
}

void bl_value_raise(bl_value *value, int layer) {
    value->layer = layer;
    for (int i = 0; i < value->count; i++) bl_value_raise(value->entries[i].value, layer);
}

static bl_entry *find(const bl_value *map, const char *key, size_t length) {
    for (int i = 0; map->kind == BL_VALUE_MAP && i < map->count; i++)
        if (!strncmp(map->entries[i].key, key, length) && !map->entries[i].key[length]) return &map->entries[i];
    return NULL;
}

bl_value *bl_value_get(const bl_value *map, const char *key) {
    bl_entry *entry = map ? find(map, key, strlen(key)) : NULL;
    return entry ? entry->value : NULL;
}

// The entry of a list called by its index, or of a map called by its key.
static bl_entry *step(const bl_value *container, const char *name, size_t length) {
    if (container->kind != BL_VALUE_LIST) return find(container, name, length);
    char *end;
    long index = strtol(name, &end, 10);
    bool is_index = length && end == name + length && index >= 0 && index < container->count;
    return is_index ? &container->entries[index] : NULL;
}

bl_value *bl_value_at(const bl_value *root, const char *path) {
    const bl_value *value = root;
    while (value && *path) {
        size_t length = strcspn(path, ".");
        bl_entry *entry = step(value, path, length);
        value = entry ? entry->value : NULL;
        path += length + (path[length] == '.');
    }
    return (bl_value *)value;
}

bl_spot bl_value_spot(bl_arena *arena, const bl_value *root, const char *path) {
    char *shorter = bl_arena_copy(arena, path);
    for (;;) {
        const bl_value *value = bl_value_at(root, shorter);
        if (value) return value->spot;
        char *dot = strrchr(shorter, '.');
        if (!dot) return root->spot;
        *dot = 0;
    }
}

bl_spot bl_value_latest_spot(bl_arena *arena, const bl_value *root, const char *first, const char *second) {
    const bl_value *a = bl_value_at(root, first), *b = bl_value_at(root, second);
    return b && (!a || b->layer > a->layer) ? b->spot : bl_value_spot(arena, root, first);
}

bl_value *bl_value_detach(bl_value *map, const char *key) {
    bl_entry *entry = find(map, key, strlen(key));
    if (!entry) return NULL;
    bl_value *value = entry->value;
    size_t behind = (size_t)(map->entries + map->count - (entry + 1));
    memmove(entry, entry + 1, behind * sizeof *entry);
    map->count--;
    return value;
}

static void merge_entry(bl_arena *arena, bl_value *onto, const bl_entry *from) {
    if (from->value->kind == BL_VALUE_NULL) {
        bl_value_detach(onto, from->key);
        return;
    }
    bl_entry *old = find(onto, from->key, strlen(from->key));
    if (from->value->kind == BL_VALUE_MAP) { // also where nothing is there yet: nulls inside must vanish
        bl_value *map = old && old->value->kind == BL_VALUE_MAP
                            ? old->value
                            : bl_value_new(arena, BL_VALUE_MAP, from->value->spot, from->value->layer);
        bl_value_merge(arena, map, from->value);
        if (!old)
            bl_value_append(arena, onto, from->key, from->key_spot, map);
        else
            old->value = map;
        return;
    }
    bl_value *copy = bl_value_copy(arena, from->value);
    if (!old)
        bl_value_append(arena, onto, from->key, from->key_spot, copy);
    else
        *old = (bl_entry){old->key, from->key_spot, copy};
}

void bl_value_merge(bl_arena *arena, bl_value *onto, const bl_value *from) {
    for (int i = 0; i < from->count; i++) merge_entry(arena, onto, &from->entries[i]);
}

int bl_value_assign(bl_arena *arena, bl_value *root, const char *path, bl_spot path_spot, const bl_value *value) {
    bl_value *container = root;
    for (;;) {
        size_t length = strcspn(path, ".");
        bool is_last = !path[length];
        bl_entry *entry = step(container, path, length);
        if (container->kind == BL_VALUE_LIST && !entry)
            return bl_refuse(path_spot, "write an index of the list, from 0", "%.*s: the list has %d entries", (int)length, path,
                             container->count);
        if (is_last && container->kind == BL_VALUE_MAP) {
            bl_entry last = {entry ? entry->key : bl_arena_format(arena, "%s", path), path_spot, (bl_value *)value};
            merge_entry(arena, container, &last);
            return BL_OK;
        }
        if (is_last) {
            entry->value = bl_value_copy(arena, value);
            return BL_OK;
        }
        if (!entry) {
            bl_value *map = bl_value_new(arena, BL_VALUE_MAP, path_spot, value->layer);
            bl_value_append(arena, container, bl_arena_format(arena, "%.*s", (int)length, path), path_spot, map);
            container = map;
        } else {
            if (entry->value->kind != BL_VALUE_MAP && entry->value->kind != BL_VALUE_LIST)
                entry->value = bl_value_new(arena, BL_VALUE_MAP, value->spot, value->layer);
            container = entry->value;
        }
        path += length + 1;
        path_spot.column += (int)length + 1;
    }
}

// Shows the line of a spot, its indentation cut, and a caret below. Lines nobody could read are left out.
static void show_line(bl_text *text, bl_spot spot) {
    const char *line = spot.source->text;
    for (int i = 1; line && i < spot.line; i++) {
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    if (!line) return;
    int length = (int)strcspn(line, "\r\n"), indent = (int)strspn(line, " \t");
    if (indent >= length || length > 300) return;
    bl_text_add(text, "\n    %.*s", length - indent, line + indent);
    int caret = spot.column - 1 - indent;
    if (caret >= 0) bl_text_add(text, "\n    %*s^", caret, "");
}

const char *bl_spot_name(bl_arena *arena, bl_spot spot) {
    if (!spot.source) return "";
    if (spot.source->text == spot.source->name) return spot.source->name;
    const char *slash = strrchr(spot.source->name, '/');
    return bl_arena_format(arena, "%s:%d:%d", slash ? slash + 1 : spot.source->name, spot.line, spot.column);
}

int bl_refuse_at(const char *file, int line, bl_spot spot, const char *advice, const char *format, ...) {
    bl_text text = {0};
    if (spot.source && spot.source->text && spot.source->text != spot.source->name)
        bl_text_add(&text, "%s:%d:%d: ", spot.source->name, spot.line, spot.column);
    else if (spot.source)
        bl_text_add(&text, "%s: ", spot.source->name);
    char message[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    bl_text_add(&text, "%s", message);
    if (spot.source) show_line(&text, spot);
    if (*advice) bl_text_add(&text, "\n  %s", advice);
    bl_fail_at(file, line, "%s", text.chars);
    bl_text_free(&text);
    return BL_FAILED;
}
