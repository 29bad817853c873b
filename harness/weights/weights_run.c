// weights_run.c - the weights of a run file or a checkpoint, by the names and in the layout of exchange. See weights.h.

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiment/cell.h"
#include "experiment/yaml.h"
#include "record/container.h"
#include "train/model.h"
#include "weights/weights_table.h"

typedef struct source {
    const bl_container_reader *reader;
    const char *path;
    bool all;                // or the encoder alone
    bl_weights_table table;
    const char *network;     // whose names are listed
} source;

static bool begins_with(const char *text, const char *beginning) { return !strncmp(text, beginning, strlen(beginning)); }

// The name under which a segment travels; NULL where it stays at home.
static const char *name_of(const source *s, const char *network, const char *segment) {
    bl_arena *arena = s->table.weights->arena;
    const bool is_online = !strcmp(network, "online"), is_projector = begins_with(segment, "projector.");
    if (!s->all) return is_online && !is_projector ? segment : NULL;
    const bool has_encoder = is_online || !strcmp(network, "target");
    const char *part = has_encoder && !is_projector ? bl_arena_format(arena, "encoder.%s", segment) : segment;
    const char *prefix = bl_arena_format(arena, "%s.", network);
    return is_online || begins_with(part, prefix) ? part : bl_arena_format(arena, "%s%s", prefix, part);
}

// `stored` is OHWI where it has four dimensions.
static int add(source *s, const char *network, const char *segment, const bl_shape *stored, const double *values) {
    const char *name = name_of(s, network, segment);
    bl_shape shape = *stored;
    float *dst;
    if (!name) return BL_OK;
    if (shape.rank == 4) shape = (bl_shape){4, {stored->dims[0], stored->dims[3], stored->dims[1], stored->dims[2]}};
    if (bl_weights_add(&s->table, name, &shape, &dst)) return BL_FAILED;
    const int64_t count = bl_shape_count(&shape);
    if (shape.rank != 4) {
        for (int64_t i = 0; i < count; i++) dst[i] = (float)values[i];
        return BL_OK;
    }
    const int64_t in = shape.dims[1], area = shape.dims[2] * shape.dims[3];
    for (int64_t o = 0; o < shape.dims[0]; o++)
        for (int64_t i = 0; i < in; i++)
            for (int64_t p = 0; p < area; p++) dst[(o * in + i) * area + p] = (float)values[(o * area + p) * in + i];
    return BL_OK;
}

// ---- a run file: /weights/<network>/<name> ----

static int take_segment(void *context, const char *segment) {
    source *s = context;
    char path[256];
    bl_shape shape = {0};
    double *values = NULL;
    int64_t count;
    if (snprintf(path, sizeof path, "/weights/%s/%s", s->network, segment) >= (int)sizeof path)
        return bl_fail("%s: a name of %zu characters", s->path, strlen(segment));
    if (!name_of(s, s->network, segment)) return BL_OK;
    if (bl_container_dims(s->reader, path, shape.dims, &shape.rank) || bl_container_get_f64(s->reader, path, &values, &count)) return BL_FAILED;
    const int status = add(s, s->network, segment, &shape, values);
    bl_free(values);
    return status;
}

static int take_network(void *context, const char *network) {
    source *s = context;
    char path[128];
    if (!s->all && strcmp(network, "online") != 0) return BL_OK;
    if (snprintf(path, sizeof path, "/weights/%s", network) >= (int)sizeof path)
        return bl_fail("%s: a network's name of %zu characters", s->path, strlen(network));
    s->network = bl_arena_copy(s->table.weights->arena, network);
    return bl_container_list(s->reader, path, take_segment, s);
}

// ---- a checkpoint: /store/<network>/<block>, whole; the recipe in it says what lies where ----

static int layout_of(const source *s, bl_layout **layout) {
    bl_arena *arena = s->table.weights->arena;
    char *text = NULL;
    bl_value *tree;
    bl_cell *cell = bl_arena_take(arena, sizeof *cell);
    bl_source *where = bl_arena_take(arena, sizeof *where);
    bl_step_graph step = {0};
    if (bl_container_get_text(s->reader, "/manifest/resolved", &text)) return BL_FAILED;
    *where = (bl_source){bl_arena_format(arena, "%s: its recipe", s->path), bl_arena_copy(arena, text)};
    bl_free(text);
    cell->name = "main";
    if (bl_yaml_parse(arena, where, where->text, BL_LAYER_FILE, &tree)) return BL_FAILED;
    bl_value *data = bl_value_get(tree, "data");
    if (data) bl_value_detach(data, "root"); // the images are not asked for: BYOLAB_DATA may be unset
    if (bl_cell_fill(arena, tree, cell) || bl_layout_create(layout)) return BL_FAILED;
    const int status = bl_model_build_step(&step, *layout, cell);
    bl_graph_free(step.graph);
    return status;
}

static int take_block(source *s, const bl_network *network, bl_block_kind kind) {
    const bl_segments *segments = bl_network_segments(network, kind);
    char path[128];
    double *values = NULL;
    int64_t count;
    int status = BL_FAILED;
    if (!segments->count) return BL_OK;
    snprintf(path, sizeof path, "/store/%s/%s", network->name, kind == BL_BUFFERS ? "buffers" : "parameters");
    if (bl_container_get_f64(s->reader, path, &values, &count)) return BL_FAILED;
    if ((size_t)count != segments->floats) {
        bl_fail("%s: %s has %lld values, its recipe's network %zu: it was written by another version of byolab", s->path, path,
                (long long)count, segments->floats);
        goto done;
    }
    for (int i = 0; i < segments->count; i++)
        if (add(s, network->name, segments->items[i].name, &segments->items[i].shape, values + segments->items[i].offset)) goto done;
    status = BL_OK;
done:
    bl_free(values);
    return status;
}

static int take_store(source *s) {
    bl_layout *layout = NULL;
    int status = layout_of(s, &layout);
    for (int n = 0; !status && n < layout->network_count; n++) {
        const bl_network *network = &layout->networks[n];
        if (!s->all && strcmp(network->name, "online") != 0) continue;
        status = take_block(s, network, BL_PARAMETERS) || take_block(s, network, BL_BUFFERS) ? BL_FAILED : BL_OK;
    }
    bl_layout_free(layout);
    return status;
}

// ---- preprocessing ----

enum { LARGEST_IMAGE = 1 << 16 }; // its sides

static bool read_triple(const bl_value *list, double out[3]) {
    if (!list || list->kind != BL_VALUE_LIST || list->count != 3) return false;
    for (int c = 0; c < 3; c++) {
        const bl_value *item = list->entries[c].value;
        if (item->kind != BL_VALUE_SCALAR) return false;
        out[c] = strtod(item->text, NULL);
    }
    return true;
}

// Files of earlier versions, and checkpoints, say it in their recipe alone. Their images have 32 pixels; a crop to another size
// is what an evaluation resizes them to.
static int preprocessing_of_recipe(const source *s, bl_preprocessing *found) {
    bl_arena *arena = s->table.weights->arena;
    char *text = NULL;
    bl_value *tree;
    if (!bl_container_has(s->reader, "/manifest/resolved")) return BL_OK;
    if (bl_container_get_text(s->reader, "/manifest/resolved", &text)) return BL_FAILED;
    bl_source *where = bl_arena_take(arena, sizeof *where);
    *where = (bl_source){bl_arena_format(arena, "%s: its recipe", s->path), bl_arena_copy(arena, text)};
    bl_free(text);
    if (bl_yaml_parse(arena, where, where->text, BL_LAYER_FILE, &tree)) return BL_FAILED;
    const bl_value *normalize = bl_value_at(tree, "views.0.normalize"), *size = bl_value_at(tree, "views.0.random_resized_crop.size");
    *found = (bl_preprocessing){.known = true, .std = {1, 1, 1}, .image_size = size && size->text ? atoi(size->text) : 32};
    if (found->image_size != 32) found->resize = found->image_size;
    const bool is_read = !normalize || (read_triple(bl_value_get(normalize, "mean"), found->mean) &&
                                        read_triple(bl_value_get(normalize, "std"), found->std));
    if (!is_read) *found = (bl_preprocessing){0};
    return BL_OK;
}

static int read_preprocessing(const source *s, bl_preprocessing *found) {
    int64_t pixels, resize = 0;
    if (!bl_container_has(s->reader, "/preprocessing/mean")) return preprocessing_of_recipe(s, found);
    *found = (bl_preprocessing){.known = true};
    if (bl_container_read_f64(s->reader, "/preprocessing/mean", found->mean, 3) || bl_container_read_f64(s->reader, "/preprocessing/std", found->std, 3) ||
        bl_container_read_i64(s->reader, "/preprocessing/image_size", &pixels, 1) ||
        (bl_container_has(s->reader, "/preprocessing/resize") && bl_container_read_i64(s->reader, "/preprocessing/resize", &resize, 1)))
        return BL_FAILED;
    bool is_sound = pixels > 0 && pixels <= LARGEST_IMAGE && resize >= 0 && resize <= LARGEST_IMAGE;
    for (int c = 0; c < 3; c++) is_sound = is_sound && isfinite(found->mean[c]) && isfinite(found->std[c]) && found->std[c] > 0;
    if (!is_sound) return bl_container_damaged(s->reader, "/preprocessing tells of images that cannot be");
    found->image_size = (int)pixels;
    found->resize = (int)resize;
    return BL_OK;
}

// ---- all of it ----

static int read_run(bl_weights *weights, const char *path, bool all) {
    bl_container_reader *reader = NULL;
    int status = BL_FAILED;
    bl_weights_begin(weights, path);
    if (bl_container_reader_open(&reader, path)) goto done;
    source s = {.reader = reader, .path = path, .all = all, .table = {.weights = weights}};
    if (bl_container_has(reader, "/weights/online")) {
        if (bl_container_list(reader, "/weights", take_network, &s)) goto done;
    } else if (bl_container_has(reader, "/store/online")) {
        if (take_store(&s)) goto done;
    } else {
        bl_fail("%s holds no weights: its experiment says `save: {weights: none}`", path);
        goto done;
    }
    bl_weights_finish(&s.table);
    status = read_preprocessing(&s, &weights->preprocessing);
done:
    bl_container_reader_close(reader);
    if (status) bl_weights_free(weights);
    return status;
}

int bl_weights_read_run(bl_weights *weights, const char *path) { return read_run(weights, path, false); }
int bl_weights_read_run_all(bl_weights *weights, const char *path) { return read_run(weights, path, true); }
