#include "graph/layout.h"

#include <math.h>
#include <string.h>

#include "base/random.h" // bl_random_stream

int64_t bl_shape_count(const bl_shape *shape) {
    int64_t count = 1;
    for (int i = 0; i < shape->rank; i++) count *= shape->dims[i];
    return count;
}

int64_t bl_shape_rows(const bl_shape *shape) {
    int64_t rows = 1;
    for (int i = 0; i < shape->rank - 1; i++) rows *= shape->dims[i];
    return rows;
}

bool bl_shape_equal(const bl_shape *a, const bl_shape *b) {
    if (a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i]) return false;
    return true;
}

void bl_shape_print(bl_text *text, const bl_shape *shape) {
    bl_text_add(text, "[");
    for (int i = 0; i < shape->rank; i++) bl_text_add(text, "%s%lld", i ? ", " : "", (long long)shape->dims[i]);
    bl_text_add(text, "]");
}

int bl_layout_create(bl_layout **layout) {
    bl_layout *made = bl_alloc(sizeof *made);
    if (!made) return BL_FAILED;
    made->arena = bl_arena_create();
    *layout = made;
    return BL_OK;
}

static void free_segments(bl_segments *segments) {
    bl_free(segments->items);
}

void bl_layout_free(bl_layout *layout) {
    if (!layout) return;
    for (int n = 0; n < layout->network_count; n++) {
        free_segments(&layout->networks[n].parameters);
        free_segments(&layout->networks[n].buffers);
    }
    bl_arena_free(layout->arena);
    bl_free(layout);
}

int bl_layout_find_network(const bl_layout *layout, const char *name) {
    for (int n = 0; n < layout->network_count; n++)
        if (!strcmp(layout->networks[n].name, name)) return n;
    return -1;
}

int bl_segments_find(const bl_segments *segments, const char *name) {
    for (int s = 0; s < segments->count; s++)
        if (!strcmp(segments->items[s].name, name)) return s;
    return -1;
}

const bl_segments *bl_network_segments(const bl_network *network, bl_block_kind kind) {
    return kind == BL_BUFFERS ? &network->buffers : &network->parameters;
}

int bl_layout_network(bl_layout *layout, const char *name, bool trainable, int *index) {
    *index = bl_layout_find_network(layout, name);
    if (*index >= 0) return BL_OK;
    if (layout->sealed) return bl_fail("network '%s' is not part of this store's layout", name);
    if (layout->network_count == BL_MAX_NETWORKS) return bl_fail("more than %d networks", BL_MAX_NETWORKS);
    *index = layout->network_count++;
    layout->networks[*index] = (bl_network){.name = bl_arena_copy(layout->arena, name), .trainable = trainable};
    return BL_OK;
}

// Finds or adds a segment; an existing one must have the same shape.
static int find_or_add(bl_layout *layout, const char *network, bl_segments *segments, const bl_segment *segment, int *index) {
    *index = bl_segments_find(segments, segment->name);
    if (*index >= 0) {
        if (bl_shape_equal(&segments->items[*index].shape, &segment->shape)) return BL_OK;
        bl_text text = {0};
        bl_shape_print(&text, &segments->items[*index].shape);
        bl_text_add(&text, ", asked for ");
        bl_shape_print(&text, &segment->shape);
        const int status = bl_fail("%s/%s has shape %s", network, segment->name, text.chars);
        bl_text_free(&text);
        return status;
    }
    if (layout->sealed) return bl_fail("%s/%s is not part of this store's layout", network, segment->name);
    if (bl_grow((void **)&segments->items, segments->count, &segments->capacity, sizeof *segments->items)) return BL_FAILED;
    *index = segments->count++;
    bl_segment *added = &segments->items[*index];
    *added = *segment;
    added->name = bl_arena_copy(layout->arena, segment->name);
    added->offset = segments->floats;
    segments->floats += ((size_t)bl_shape_count(&segment->shape) + 15) / 16 * 16;
    return BL_OK;
}

int bl_layout_parameter(bl_layout *layout, int network, const bl_segment *segment, int *index) {
    return find_or_add(layout, layout->networks[network].name, &layout->networks[network].parameters, segment, index);
}

int bl_layout_buffer(bl_layout *layout, int network, const char *name, bl_shape shape, bl_init init, int *index) {
    const bl_segment segment = {.name = name, .shape = shape, .init = init};
    return find_or_add(layout, layout->networks[network].name, &layout->networks[network].buffers, &segment, index);
}

// Redrawn beyond two deviations; its own deviation is then .88, which Haiku does not make up for.
static double truncated_normal(bl_random *random) {
    double value;
    do value = bl_random_normal(random);
    while (fabs(value) > 2);
    return value;
}

void bl_segment_initial(const bl_segment *segment, uint64_t seed, double *dst) {
    const int64_t count = bl_shape_count(&segment->shape);
    bl_random random = bl_random_stream(seed, segment->name, 0, 0, 0);
    switch (segment->init.kind) {
    case BL_INIT_ZERO:
        for (int64_t i = 0; i < count; i++) dst[i] = 0;
        break;
    case BL_INIT_ONE:
        for (int64_t i = 0; i < count; i++) dst[i] = 1;
        break;
    case BL_INIT_KAIMING_FAN_OUT: {
        const double sd = sqrt(2.0 / (double)segment->init.fan);
        for (int64_t i = 0; i < count; i++) dst[i] = (float)(sd * bl_random_normal(&random));
        break;
    }
    case BL_INIT_UNIFORM_FAN_IN: {
        const double bound = 1 / sqrt((double)segment->init.fan);
        for (int64_t i = 0; i < count; i++) dst[i] = (float)bl_random_between(&random, -bound, bound);
        break;
    }
    case BL_INIT_TRUNCATED_FAN_IN: {
        const double sd = 1 / sqrt((double)segment->init.fan);
        for (int64_t i = 0; i < count; i++) dst[i] = (float)(sd * truncated_normal(&random));
        break;
    }
    case BL_INIT_CONSTANT:
        for (int64_t i = 0; i < count; i++) dst[i] = segment->init.value; // as exact as the store keeps it
        break;
    }
}
