// weights_apply.c - weights into a store: every tensor of an encoder in its place, or a word which is not. See weights.h.

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "weights/prefix.h"

// OHWI, as a store has a convolution, as OIHW, as files have it.
static bl_shape exchanged_shape(const bl_shape *s) {
    if (s->rank != 4) return *s;
    return (bl_shape){4, {s->dims[0], s->dims[3], s->dims[1], s->dims[2]}};
}

static int refuse_shape(const bl_weights *weights, const bl_weight *weight, const bl_shape *expected) {
    bl_text text = {0};
    bl_text_add(&text, "%s is ", weight->name);
    bl_shape_print(&text, &weight->shape);
    bl_text_add(&text, ", the experiment's network has ");
    bl_shape_print(&text, expected);
    bl_shape coloured = weight->shape;
    if (coloured.rank == 4) coloured.dims[1] = expected->dims[1];
    const bool is_of_channels = expected->rank == 4 && expected->dims[1] == 3 && bl_shape_equal(&coloured, expected);
    bl_text_add(&text, is_of_channels ? ": these weights saw images of another number of channels, and ours have 3"
                                      : ": write the `network` (encoder, stem, width) that these weights were trained in");
    const int status = bl_fail("%s: %s", weights->path, text.chars);
    bl_text_free(&text);
    return status;
}

// What a network that is not ours has in its place: "conv1.0.weight" for "conv1.weight".
static int refuse_missing(const bl_weights *weights, const bl_prefix *prefix, const char *segment) {
    const char *parent = bl_arena_format(weights->arena, "%.*s%.*s", prefix->length, prefix->text, (int)(strrchr(segment, '.') + 1 - segment), segment);
    const char *other = NULL;
    for (int i = 0; i < weights->count && !other; i++)
        if (!strncmp(weights->items[i].name, parent, strlen(parent))) other = weights->items[i].name;
    return bl_fail("%s: %.*s%s is missing%s%s: write the `network` (encoder, stem) that these weights were trained in", weights->path,
                   prefix->length, prefix->text, segment, other ? ", there is " : "", other ? other : "");
}

static int check_segment(const bl_weights *weights, const bl_prefix *prefix, const bl_segment *segment) {
    const bl_weight *weight = bl_prefix_find(prefix, weights, segment->name);
    const bl_shape shape = exchanged_shape(&segment->shape);
    if (!weight) return refuse_missing(weights, prefix, segment->name);
    if (weight->dtype) return bl_fail("%s: %s: dtype %s: weights are F32, F16, BF16 or F64", weights->path, weight->name, weight->dtype);
    if (!bl_shape_equal(&weight->shape, &shape)) return refuse_shape(weights, weight, &shape);
    const bool is_variance = bl_prefix_ends_with(segment->name, ".running_var");
    const int64_t count = bl_shape_count(&shape);
    for (int64_t i = 0; i < count; i++) {
        if (!isfinite(weight->values[i])) return bl_fail("%s: %s holds a value that is not finite in F32", weights->path, weight->name);
        if (is_variance && weight->values[i] < 0)
            return bl_fail("%s: %s holds %g, and no variance is below 0: the file is damaged, or was not written by a batch norm", weights->path,
                           weight->name, weight->values[i]);
    }
    return BL_OK;
}

// Fails with what is wrong; then `prefix` is the one of what goes in.
static int check(const bl_weights *weights, const bl_layout *layout, const char *network, bl_prefix *prefix) {
    const int n = bl_layout_find_network(layout, network);
    if (n < 0) return bl_fail("there is no network '%s' to load weights into", network);
    if (bl_prefix_choose(prefix, weights, &layout->networks[n])) return BL_FAILED;
    for (int k = 0; k < 2; k++) {
        const bl_segments *segments = bl_network_segments(&layout->networks[n], k ? BL_BUFFERS : BL_PARAMETERS);
        for (int s = 0; s < segments->count; s++)
            if (bl_prefix_is_encoders(segments->items[s].name) && check_segment(weights, prefix, &segments->items[s])) return BL_FAILED;
    }
    return bl_prefix_check_rest(prefix, weights, &layout->networks[n]);
}

int bl_weights_check_encoder(const bl_weights *weights, const bl_layout *layout, const char *network) {
    bl_prefix prefix;
    return check(weights, layout, network, &prefix);
}

// Checked before.
static int apply_segment(const bl_weights *weights, const bl_prefix *prefix, bl_store *store, bl_place place, const bl_segment *segment) {
    const bl_weight *weight = bl_prefix_find(prefix, weights, segment->name);
    const bl_shape *shape = &weight->shape;
    const int64_t count = bl_shape_count(shape);
    double *values = bl_alloc((size_t)count * sizeof *values);
    if (!values) return BL_FAILED;
    if (shape->rank == 4) {
        const int64_t in = shape->dims[1], area = shape->dims[2] * shape->dims[3];
        for (int64_t o = 0; o < shape->dims[0]; o++)
            for (int64_t i = 0; i < in; i++)
                for (int64_t p = 0; p < area; p++) values[(o * area + p) * in + i] = weight->values[(o * in + i) * area + p];
    } else {
        for (int64_t i = 0; i < count; i++) values[i] = weight->values[i];
    }
    const int status = bl_store_write(store, place, values);
    bl_free(values);
    return status;
}

int bl_weights_apply_encoder(const bl_weights *weights, bl_store *store, const char *network) {
    bl_prefix prefix;
    if (check(weights, store->layout, network, &prefix)) return BL_FAILED;
    const int n = bl_layout_find_network(store->layout, network);
    for (int k = 0; k < 2; k++) {
        const bl_block_kind kind = k ? BL_BUFFERS : BL_PARAMETERS;
        const bl_segments *segments = bl_network_segments(&store->layout->networks[n], kind);
        for (int s = 0; s < segments->count; s++)
            if (bl_prefix_is_encoders(segments->items[s].name) && apply_segment(weights, &prefix, store, (bl_place){n, kind, s}, &segments->items[s]))
                return BL_FAILED;
    }
    return BL_OK;
}
