#include "experiment/yaml.h"

#include <libfyaml.h>
#include <string.h>

#include "base/file.h"

typedef struct reader {
    bl_arena *arena;
    const bl_source *source;
    int layer;
    const bl_value *cut; // of a text, or a key, with a zero byte in it, which would end ours; NULL: there is none
} reader;

static bl_spot spot_of_token(const reader *in, struct fy_token *token, bl_spot otherwise) {
    const struct fy_mark *mark = token ? fy_token_start_mark(token) : NULL;
    return mark ? (bl_spot){in->source, mark->line + 1, mark->column + 1} : otherwise;
}

static bool is_null(const char *text, size_t length) {
    return !length || (length == 1 && *text == '~') || (length == 4 && !memcmp(text, "null", 4));
}

// `around` is where the surrounding key stands: maps and lists are shown there.
static bl_value *convert(reader *in, struct fy_node *node, bl_spot around) {
    if (!node) return bl_value_new(in->arena, BL_VALUE_NULL, around, in->layer);
    if (fy_node_is_scalar(node)) {
        size_t length = 0;
        const char *text = fy_node_get_scalar(node, &length);
        enum fy_node_style style = fy_node_get_style(node);
        bool quoted = style == FYNS_SINGLE_QUOTED || style == FYNS_DOUBLE_QUOTED;
        bool nothing = !text || (!quoted && is_null(text, length));
        bl_spot spot = nothing && !length ? around : spot_of_token(in, fy_node_get_scalar_token(node), around);
        if (quoted) spot.column--; // the token begins behind its quote
        bl_value *value = bl_value_new(in->arena, nothing ? BL_VALUE_NULL : BL_VALUE_SCALAR, spot, in->layer);
        value->text = nothing ? NULL : bl_arena_format(in->arena, "%.*s", (int)length, text);
        value->quoted = quoted;
        if (text && memchr(text, 0, length)) in->cut = value;
        return value;
    }
    bool is_map = fy_node_is_mapping(node);
    bl_value *container = bl_value_new(in->arena, is_map ? BL_VALUE_MAP : BL_VALUE_LIST, around, in->layer);
    void *position = NULL;
    for (struct fy_node_pair *pair; is_map && (pair = fy_node_mapping_iterate(node, &position));) {
        size_t length = 0;
        struct fy_node *key = fy_node_pair_key(pair);
        const char *text = key && fy_node_is_scalar(key) ? fy_node_get_scalar(key, &length) : NULL;
        bl_spot spot = spot_of_token(in, text ? fy_node_get_scalar_token(key) : NULL, around);
        const char *name = bl_arena_format(in->arena, "%.*s", (int)length, text ? text : "");
        bl_value *value = convert(in, fy_node_pair_value(pair), spot);
        bl_value_append(in->arena, container, name, spot, value);
        if (text && memchr(text, 0, length)) in->cut = value;
    }
    for (struct fy_node *item; !is_map && (item = fy_node_sequence_iterate(node, &position));) {
        bl_value *value = convert(in, item, around);
        if (value->kind == BL_VALUE_MAP && value->count) value->spot = value->entries[0].key_spot;
        bl_value_append(in->arena, container, NULL, value->spot, value);
    }
    return container;
}

static int syntax_error(const bl_source *source, struct fy_diag *diag) {
    void *position = NULL;
    struct fy_diag_error *error = fy_diag_errors_iterate(diag, &position);
    if (!error) return bl_refuse(((bl_spot){source, 1, 1}), "", "not YAML that can be read");
    bl_spot spot = {source, error->line > 0 ? error->line : 1, error->column > 0 ? error->column : 1};
    return bl_refuse(spot, "", "%s", error->msg);
}

static int parse(bl_arena *arena, const bl_source *source, const char *text, size_t bytes, enum fy_parse_cfg_flags flags, int layer,
                 bl_value **value) {
    int status = BL_FAILED;
    struct fy_document *document = NULL;
    struct fy_diag_cfg diag_options;
    fy_diag_cfg_default(&diag_options);
    diag_options.fp = NULL; // nothing below main prints
    struct fy_diag *diag = fy_diag_create(&diag_options);
    if (!diag) return bl_fail("%s: out of memory", source->name);
    fy_diag_set_collect_errors(diag, true);

    reader in = {arena, source, layer, NULL};
    *value = bl_value_new(arena, BL_VALUE_NULL, (bl_spot){source, 1, 1}, layer);
    struct fy_parse_cfg options = {.flags = flags, .diag = diag};
    if (strspn(text, " \t\r\n") < bytes) {
        document = fy_document_build_from_string(&options, text, bytes);
        if (!document || fy_diag_got_error(diag)) {
            syntax_error(source, diag);
            goto done;
        }
        *value = convert(&in, fy_document_root(document), (*value)->spot);
    }
    status = in.cut ? bl_refuse(in.cut->spot, "leave the \\0 out", "a zero byte in a text") : BL_OK;
done:
    fy_document_destroy(document);
    fy_diag_destroy(diag);
    return status;
}

int bl_yaml_parse(bl_arena *arena, const bl_source *source, const char *text, int layer, bl_value **value) {
    return parse(arena, source, text, strlen(text), FYPCF_RESOLVE_DOCUMENT, layer, value);
}

int bl_json_parse(bl_arena *arena, const bl_source *source, const char *text, size_t bytes, bl_value **value) {
    return parse(arena, source, text, bytes, FYPCF_JSON_FORCE | FYPCF_ALLOW_DUPLICATE_KEYS, BL_LAYER_FILE, value);
}

static int read_file(bl_arena *arena, const char *path, int layer, bl_value **value) {
    void *data = NULL;
    size_t bytes = 0;
    if (bl_read_file(path, &data, &bytes)) return BL_FAILED;
    bl_source *source = bl_arena_take(arena, sizeof *source);
    *source = (bl_source){bl_arena_copy(arena, path), bl_arena_copy(arena, data)};
    bool is_text = strlen(data) == bytes;
    bl_free(data);
    if (!is_text) return bl_fail("%s: not a text file", path);
    if (bl_yaml_parse(arena, source, source->text, layer, value)) return BL_FAILED;
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
        if (base && !is_path && base->kind != BL_VALUE_NULL)
            return bl_refuse(base->spot, "write `base: ../common/other.yaml`", "base: expected the path of one file");
        next = is_path ? path_of_base(arena, next, base->text) : NULL;
    }
    *value = bl_value_new(arena, BL_VALUE_MAP, files[0]->spot, BL_LAYER_FILE);
    // What is not inherited is not merged either: a null inside a cell still has to delete something there.
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
