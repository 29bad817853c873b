#include "experiment/yaml.h"

#include <libfyaml.h>
#include <string.h>

#include "base/file.h"
#include "base/utf8.h"
#include "experiment/yaml_text.h"

enum {
    MOST_DEPTH = 32,         // of maps and lists in each other; a study's keys go 6 deep
    MOST_VALUES = 20000,     // of a YAML text, each alias counted as all that it stands for
    MOST_JSON_VALUES = 1 << 20, // without aliases there are no more than characters
    MOST_BYTES = 1 << 20,    // of a YAML text
};

// The parser's events become the tree: so nothing is built from a text that is not read to its end, and an alias is worth its values.
typedef struct anchor {
    const char *name;
    bl_value *value; // NULL: not read to its end yet
    struct anchor *before;
} anchor;

typedef struct reader {
    bl_arena *arena;
    const bl_source *source;
    const char *text;
    size_t bytes;
    int layer;
    bool is_json;
    int values, most; // so far, and allowed
    anchor *anchors;  // the latest first
    struct fy_diag *diag;
    struct fy_parser *parser;
    struct fy_event *event; // the latest
} reader;

static const char merge_key[] = "<<"; // as it stands in a map before its maps are merged; a quoted one is a key like any other

// ---- events ----

static int syntax_error(const reader *in) {
    void *position = NULL;
    const struct fy_diag_error *error = fy_diag_errors_iterate(in->diag, &position);
    const bl_spot spot = {in->source, error && error->line > 0 ? error->line : 1, error && error->column > 0 ? error->column : 1};
    const char *reason = error ? error->msg : "not to be read";
    if (in->is_json) return bl_refuse(spot, "", "%s", reason);
    return bl_yaml_refuse_syntax(in->source, in->text, in->bytes, spot, reason);
}

static void forget(reader *in) {
    if (in->event) fy_parser_event_free(in->parser, in->event);
    in->event = NULL;
}

static int next(reader *in) {
    forget(in);
    in->event = fy_parser_parse(in->parser);
    return in->event && !fy_diag_got_error(in->diag) ? BL_OK : syntax_error(in);
}

static bl_spot spot_of_token(const reader *in, struct fy_token *token, bl_spot otherwise) {
    const struct fy_mark *mark = token ? fy_token_start_mark(token) : NULL;
    return mark ? (bl_spot){in->source, mark->line + 1, mark->column + 1} : otherwise;
}

static bl_spot spot_of_event(const reader *in, bl_spot otherwise) {
    return spot_of_token(in, fy_event_get_token(in->event), otherwise);
}

static int text_of_token(const reader *in, struct fy_token *token, bl_spot spot, const char **text) {
    size_t length = 0;
    const char *chars = token ? fy_token_get_text(token, &length) : NULL;
    if (!chars) return bl_fail("%s: out of memory", in->source->name);
    uint32_t character = 0;
    for (size_t at = 0; at < length;) { // an escape makes any number
        const int size = bl_utf8_next(chars + at, length - at, &character);
        if (!size) return bl_refuse(spot, "leave it out", "an escape that stands for no character");
        if (!character) return bl_refuse(spot, "leave the \\0 out", "a zero byte in a text");
        at += (size_t)size;
    }
    *text = bl_arena_format(in->arena, "%.*s", (int)length, chars);
    return BL_OK;
}

// ---- values ----

static bool is_null(const char *text) {
    return !*text || !strcmp(text, "~") || !strcmp(text, "null") || !strcmp(text, "Null") || !strcmp(text, "NULL");
}

static int count_values(reader *in, bl_spot spot, int count) {
    in->values += count;
    if (in->values <= in->most) return BL_OK;
    return bl_refuse(spot, in->is_json ? "" : "write fewer, or fewer aliases: each counts as all that it stands for",
                     "more than %d values in one text", in->most);
}

static int size_of(const bl_value *value) {
    int size = 1;
    for (int i = 0; i < value->count; i++) size += size_of(value->entries[i].value);
    return size;
}

static int read_scalar(reader *in, bl_spot around, bl_value **out) {
    struct fy_token *token = fy_event_get_token(in->event);
    const enum fy_node_style style = fy_event_get_node_style(in->event);
    const bool quoted = style == FYNS_SINGLE_QUOTED || style == FYNS_DOUBLE_QUOTED, is_text = quoted || style == FYNS_LITERAL || style == FYNS_FOLDED;
    const char *text = "";
    bl_spot spot = spot_of_event(in, around);
    if (quoted) spot.column--; // the token begins behind its quote
    if (token && text_of_token(in, token, spot, &text)) return BL_FAILED;
    if (!*text && !is_text) spot = around;
    const bool nothing = !is_text && is_null(text);
    *out = bl_value_new(in->arena, nothing ? BL_VALUE_NULL : BL_VALUE_SCALAR, spot, in->layer);
    (*out)->text = nothing ? NULL : text;
    (*out)->quoted = is_text;
    return BL_OK;
}

static int read_alias(reader *in, bl_spot around, bl_value **out) {
    const char *name = NULL;
    const bl_spot spot = spot_of_event(in, around);
    if (text_of_token(in, fy_event_get_token(in->event), spot, &name)) return BL_FAILED;
    const anchor *found = in->anchors;
    while (found && strcmp(found->name, name) != 0) found = found->before;
    if (!found)
        return bl_refuse(spot, bl_arena_format(in->arena, "write `&%s` before the value that is meant, further up", name),
                         "*%s: nothing above is called so", name);
    if (!found->value) return bl_refuse(spot, "write the value out", "*%s stands inside of what it stands for", name);
    if (count_values(in, spot, size_of(found->value))) return BL_FAILED;
    *out = bl_value_copy(in->arena, found->value);
    if (found->value->kind == BL_VALUE_MAP || found->value->kind == BL_VALUE_LIST) (*out)->spot = around;
    return BL_OK;
}

static int read_value(reader *in, bl_spot around, int depth, bl_value **out);

static const bl_entry *entry_of(const bl_value *map, const char *key) {
    for (int i = 0; i < map->count; i++)
        if (map->entries[i].key != merge_key && !strcmp(map->entries[i].key, key)) return &map->entries[i];
    return NULL;
}

static int read_key(reader *in, bl_spot around, const bl_value *map, const char **key, bl_spot *spot) {
    *spot = spot_of_event(in, around);
    bl_value *value = NULL;
    if (in->event->type != FYET_SCALAR) return bl_refuse(*spot, "write `key: value`", "a key must be one word, written out");
    if (fy_event_get_tag_token(in->event) || fy_event_get_anchor_token(in->event))
        return bl_refuse(*spot, "write `key: value`", "a key with a tag or an anchor");
    if (read_scalar(in, around, &value)) return BL_FAILED;
    if (value->kind == BL_VALUE_NULL && !in->is_json) return bl_refuse(*spot, "write `key: value`", "a value without a key");
    *key = value->kind == BL_VALUE_NULL ? "" : value->text;
    *spot = value->spot;
    if (in->is_json) return BL_OK;
    if (!value->quoted && !strcmp(*key, merge_key)) *key = merge_key;
    for (int i = 0; i < map->count; i++) {
        const bl_entry *other = &map->entries[i];
        if (*key == merge_key || other->key == merge_key ? other->key != *key : strcmp(other->key, *key) != 0) continue;
        const char *where = in->source->text ? bl_arena_format(in->arena, ", first in line %d", other->key_spot.line) : "";
        return bl_refuse(*spot, *key == merge_key ? "write `<<: [*one, *other]`" : "leave one of them out", "%s stands there twice%s", *key, where);
    }
    return BL_OK;
}

static int check_merged(const bl_entry *merge) {
    const bl_value *value = merge->value;
    bool fits = value->kind == BL_VALUE_MAP || value->kind == BL_VALUE_LIST;
    for (int i = 0; value->kind == BL_VALUE_LIST && i < value->count; i++) fits &= value->entries[i].value->kind == BL_VALUE_MAP;
    return fits ? BL_OK : bl_refuse(value->spot, "write `<<: *name` or `<<: [*one, *other]`", "<<: expected a map, or a list of maps");
}

// What `<<` brings stands where the `<<` does, in its order. A key of the map itself wins, and of several maps the first; the place of a
// key is where it was written first.
static void add_merged(reader *in, const bl_value *written, const bl_value *from, bl_value *map) {
    for (int i = 0; from->kind == BL_VALUE_LIST && i < from->count; i++) add_merged(in, written, from->entries[i].value, map);
    for (int i = 0; from->kind == BL_VALUE_MAP && i < from->count; i++) {
        const bl_entry *entry = &from->entries[i], *own = entry_of(written, entry->key);
        if (entry_of(map, entry->key)) continue;
        if (own) entry = own;
        bl_value_append(in->arena, map, entry->key, entry->key_spot, entry->value);
    }
}

static int read_map(reader *in, bl_spot around, int depth, bl_value **out) {
    bl_value *written = bl_value_new(in->arena, BL_VALUE_MAP, around, in->layer);
    bool merges = false;
    *out = written;
    for (;;) {
        const char *key = NULL;
        bl_spot spot;
        bl_value *value = NULL;
        if (next(in)) return BL_FAILED;
        if (in->event->type == FYET_MAPPING_END) break;
        if (read_key(in, around, written, &key, &spot) || next(in) || read_value(in, spot, depth, &value)) return BL_FAILED;
        bl_value_append(in->arena, written, key, spot, value);
        if (key != merge_key) continue;
        merges = true;
        if (check_merged(&written->entries[written->count - 1])) return BL_FAILED;
    }
    if (!merges) return BL_OK;
    *out = bl_value_new(in->arena, BL_VALUE_MAP, around, in->layer);
    for (int i = 0; i < written->count; i++) {
        const bl_entry *entry = &written->entries[i];
        if (entry->key == merge_key) add_merged(in, written, entry->value, *out);
        else if (!entry_of(*out, entry->key)) bl_value_append(in->arena, *out, entry->key, entry->key_spot, entry->value);
    }
    return BL_OK;
}

static int read_list(reader *in, bl_spot around, int depth, bl_value **out) {
    *out = bl_value_new(in->arena, BL_VALUE_LIST, around, in->layer);
    for (;;) {
        bl_value *item = NULL;
        if (next(in)) return BL_FAILED;
        if (in->event->type == FYET_SEQUENCE_END) return BL_OK;
        if (read_value(in, around, depth, &item)) return BL_FAILED;
        if (item->kind == BL_VALUE_MAP && item->count) item->spot = item->entries[0].key_spot;
        bl_value_append(in->arena, *out, NULL, item->spot, item);
    }
}

// The value that the latest event begins, to its end. `around` is where the surrounding key stands: maps and lists are shown there.
static int read_value(reader *in, bl_spot around, int depth, bl_value **out) {
    struct fy_token *name = fy_event_get_anchor_token(in->event), *tag = fy_event_get_tag_token(in->event);
    const bl_spot spot = spot_of_event(in, around);
    const enum fy_event_type type = in->event->type;
    anchor *made = NULL;
    if (tag)
        return bl_refuse(spot_of_token(in, tag, around), "leave it out; what is text whatever it looks like stands between quotes",
                         "a tag: tags are not read");
    if (count_values(in, spot, type != FYET_ALIAS)) return BL_FAILED;
    if (depth == MOST_DEPTH) return bl_refuse(spot, "", "more than %d maps and lists inside each other", MOST_DEPTH);
    if (name) {
        made = bl_arena_take(in->arena, sizeof *made);
        made->before = in->anchors;
        if (text_of_token(in, name, spot, &made->name)) return BL_FAILED;
        in->anchors = made;
    }
    const int status = type == FYET_SCALAR           ? read_scalar(in, around, out)
                       : type == FYET_ALIAS          ? read_alias(in, around, out)
                       : type == FYET_MAPPING_START  ? read_map(in, around, depth + 1, out)
                       : type == FYET_SEQUENCE_START ? read_list(in, around, depth + 1, out)
                                                     : syntax_error(in);
    if (!status && made) made->value = *out;
    return status;
}

// ---- the whole text ----

static int read_document(reader *in, bl_value **value) {
    if (next(in) || next(in)) return BL_FAILED; // the stream begins, and a document in it, unless it is empty
    if (in->event->type == FYET_STREAM_END) return BL_OK;
    if (next(in) || read_value(in, (*value)->spot, 0, value) || next(in) || next(in)) return BL_FAILED;
    if (in->event->type == FYET_STREAM_END) return BL_OK;
    return bl_refuse(spot_of_event(in, (*value)->spot), "leave it out: a text is one document", "something is left over behind the end");
}

static int parse(reader *in, bl_value **value) {
    int status = BL_FAILED;
    struct fy_diag_cfg diag_options;
    fy_diag_cfg_default(&diag_options);
    diag_options.fp = NULL; // nothing below main prints
    *value = bl_value_new(in->arena, BL_VALUE_NULL, (bl_spot){in->source, 1, 1}, in->layer);
    in->diag = fy_diag_create(&diag_options);
    if (!in->diag) return bl_fail("%s: out of memory", in->source->name);
    fy_diag_set_collect_errors(in->diag, true);
    const struct fy_parse_cfg options = {.flags = in->is_json ? FYPCF_JSON_FORCE : FYPCF_DEFAULT_VERSION_1_2, .diag = in->diag};
    in->parser = fy_parser_create(&options);
    if (!in->parser || fy_parser_set_string(in->parser, in->text, in->bytes)) bl_fail("%s: out of memory", in->source->name);
    else status = read_document(in, value);
    if (in->parser) {
        forget(in);
        fy_parser_destroy(in->parser);
    }
    fy_diag_destroy(in->diag);
    return status;
}

static int parse_yaml(bl_arena *arena, const bl_source *source, const char *text, size_t bytes, int layer, bl_value **value) {
    reader in = {.arena = arena, .source = source, .text = text, .bytes = bytes, .layer = layer, .most = MOST_VALUES};
    if (bytes > MOST_BYTES) return bl_fail("%s: %zu bytes, and at most %d are read", source->name, bytes, MOST_BYTES);
    return bl_yaml_check_text(source, text, bytes) ? BL_FAILED : parse(&in, value);
}

int bl_yaml_parse(bl_arena *arena, const bl_source *source, const char *text, int layer, bl_value **value) {
    return parse_yaml(arena, source, text, strlen(text), layer, value);
}

int bl_json_parse(bl_arena *arena, const bl_source *source, const char *text, size_t bytes, bl_value **value) {
    reader in = {.arena = arena, .source = source, .text = text, .bytes = bytes, .layer = BL_LAYER_FILE, .is_json = true, .most = MOST_JSON_VALUES};
    return bl_json_check_text(source, text, bytes) ? BL_FAILED : parse(&in, value);
}

static int read_file(bl_arena *arena, const char *path, int layer, bl_value **value) {
    void *data = NULL;
    size_t bytes = 0;
    if (bl_read_file_within(path, MOST_BYTES, &data, &bytes)) return BL_FAILED;
    const size_t mark = bytes >= 3 && !memcmp(data, "\xef\xbb\xbf", 3) ? 3 : 0; // a byte order mark that only says UTF-8
    char *text = bl_arena_take(arena, bytes + 1 - mark);
    memcpy(text, (const char *)data + mark, bytes + 1 - mark);
    bl_free(data);
    bl_source *source = bl_arena_take(arena, sizeof *source);
    *source = (bl_source){bl_arena_copy(arena, path), text};
    if (parse_yaml(arena, source, text, bytes - mark, layer, value)) return BL_FAILED;
    if ((*value)->kind != BL_VALUE_MAP)
        return bl_refuse((*value)->spot, "write `key: value` lines; `byolab check --schema` lists the keys",
                         "not an experiment: no keys");
    return BL_OK;
}

// `base` is relative to the file that names it: experiments/a/b.yaml and ../c.yaml make experiments/c.yaml.
static const char *path_of_base(bl_arena *arena, const char *path, const char *base) {
    const char *slash = strrchr(path, '/');
    if (*base == '/' || !slash) return base;
    char *folder = bl_arena_format(arena, "%.*s", (int)(slash - path), path);
    while (!strncmp(base, "../", 3) && (slash = strrchr(folder, '/')) && strcmp(slash, "/..")) {
        folder[slash - folder] = 0;
        base += 3;
    }
    return bl_arena_format(arena, "%s/%s", folder, base);
}

int bl_yaml_read_merged(bl_arena *arena, const char *path, bl_value **value) {
    bl_value *files[BL_LAYER_FILE + 1] = {0}; // the file, its base, and so on
    int count = 0;
    for (const char *next = path; next;) {
        int layer = BL_LAYER_FILE - count;
        bl_value *file = NULL, *base = NULL;
        bl_value *asking = count ? bl_value_get(files[count - 1], "base") : NULL;
        if (layer < 0)
            return bl_refuse(asking->spot, "write the keys of one base into the other", "more than %d bases, or a circle of them",
                             BL_LAYER_FILE);
        if (asking && !bl_file_exists(next))
            return bl_refuse(asking->spot, "write a path relative to this file", "base: no file %s", next);
        if (read_file(arena, next, layer, &file)) return BL_FAILED;
        files[count++] = file;
        base = bl_value_get(file, "base");
        bool is_path = base && base->kind == BL_VALUE_SCALAR && *base->text;
        if (base && !is_path)
            return bl_refuse(base->spot, "write `base: ../common/other.yaml`, or leave the key out", "base: expected the path of one file");
        next = is_path ? path_of_base(arena, next, base->text) : NULL;
    }
    *value = bl_value_new(arena, BL_VALUE_MAP, files[0]->spot, BL_LAYER_FILE);
    // What is not inherited is not merged either: a null inside a cell still has to take something back there.
    static const char *const own[] = {"cells", "sweep", "expect"};
    for (int i = count - 1; i >= 0; i--) {
        bl_value *kept[3] = {0};
        bl_value_detach(files[i], "base");
        for (int k = 0; k < 3; k++) kept[k] = bl_value_detach(files[i], own[k]);
        bl_value_merge(arena, *value, files[i]);
        for (int k = 0; k < 3 && !i; k++)
            if (kept[k]) bl_value_append(arena, *value, own[k], kept[k]->spot, kept[k]);
    }
    return BL_OK;
}
