#include "record/blocks.h"

#include <stdio.h>

#include "base/memory.h"

// Straight into the writer. Without a shape: one row of values.
static int put_place(const bl_store *store, bl_place place, const char *path, const bl_shape *shape, bl_container_writer *writer) {
    const int64_t count = (int64_t)bl_place_count(store->layout, place), *dims = shape ? shape->dims : &count;
    const int rank = shape ? shape->rank : 1;
    double *values;
    float *single;
    const bool failed = bl_store_holds_f32(store)
                                ? bl_container_make_f32(writer, path, dims, rank, &single) || bl_store_read_f32(store, place, single)
                                : bl_container_make_f64(writer, path, dims, rank, &values) || bl_store_read(store, place, values);
    return failed ? BL_FAILED : BL_OK;
}

static int get_place(bl_store *store, bl_place place, const char *path, const char *file, const bl_container_reader *reader) {
    double *values;
    int64_t count;
    if (bl_container_get_f64(reader, path, &values, &count)) return BL_FAILED;
    int status;
    if ((size_t)count != bl_place_count(store->layout, place))
        status = bl_fail("%s: %s has %lld values, the network has %zu", file, path, (long long)count, bl_place_count(store->layout, place));
    else
        status = bl_store_write(store, place, values);
    bl_free(values);
    return status;
}

// ---- whole blocks ----

static bool is_kept(bl_optimizer_kind optimizer, const bl_network *network, bl_block_kind kind) {
    switch (kind) {
    case BL_PARAMETERS: return true;
    case BL_BUFFERS: return network->buffers.count > 0;
    case BL_MOMENT1: return network->trainable;
    case BL_MOMENT2: return network->trainable && optimizer == BL_OPTIMIZER_ADAM;
    default: return false;
    }
}

// Steps over blocks that are not kept; *place starts before the first.
static bool next_block(const bl_layout *layout, bl_optimizer_kind optimizer, bl_place *place, char path[128]) {
    static const char *const names[BL_BLOCK_KINDS] = {"parameters", "buffers", "gradients", "moment1", "moment2"};
    for (;;) {
        place->block = (bl_block_kind)(place->block + 1);
        if (place->block == BL_BLOCK_KINDS) {
            place->block = (bl_block_kind)0;
            place->network++;
        }
        if (place->network == layout->network_count) return false;
        const bl_network *network = &layout->networks[place->network];
        if (!is_kept(optimizer, network, place->block)) continue;
        snprintf(path, 128, "/store/%s/%s", network->name, names[place->block]);
        return true;
    }
}

static const bl_place before_first = {.network = 0, .block = (bl_block_kind)-1, .segment = BL_WHOLE_BLOCK};

int bl_blocks_put(const bl_store *store, bl_optimizer_kind optimizer, bl_container_writer *writer) {
    char path[128];
    for (bl_place place = before_first; next_block(store->layout, optimizer, &place, path);)
        if (put_place(store, place, path, NULL, writer)) return BL_FAILED;
    return BL_OK;
}

int bl_blocks_get(bl_store *store, bl_optimizer_kind optimizer, const char *file, const bl_container_reader *reader) {
    char path[128];
    for (bl_place place = before_first; next_block(store->layout, optimizer, &place, path);)
        if (get_place(store, place, path, file, reader)) return BL_FAILED;
    return BL_OK;
}

// ---- named segments ----

typedef struct transfer { // one of them is NULL
    bl_container_writer *writer;
    const bl_container_reader *reader;
    const char *file;
} transfer;

static int each_segment(bl_store *store, const transfer *t) {
    const bl_layout *layout = store->layout;
    for (int n = 0; n < layout->network_count; n++)
        for (int k = 0; k < 2; k++) {
            const bl_block_kind kind = k ? BL_BUFFERS : BL_PARAMETERS;
            const bl_segments *segments = bl_network_segments(&layout->networks[n], kind);
            for (int s = 0; s < segments->count; s++) {
                const bl_place place = {n, kind, s};
                char path[256];
                snprintf(path, sizeof path, "/weights/%s/%s", layout->networks[n].name, segments->items[s].name);
                if (t->writer ? put_place(store, place, path, &segments->items[s].shape, t->writer) : get_place(store, place, path, t->file, t->reader))
                    return BL_FAILED;
            }
        }
    return BL_OK;
}

int bl_blocks_put_weights(const bl_store *store, bl_container_writer *writer) {
    return each_segment((bl_store *)store, &(transfer){.writer = writer}); // which changes nothing of it
}

int bl_blocks_get_weights(bl_store *store, const char *file, const bl_container_reader *reader) {
    return each_segment(store, &(transfer){.reader = reader, .file = file});
}
