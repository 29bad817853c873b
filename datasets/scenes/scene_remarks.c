#include "datasets/scenes/scene_remarks.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// ---- doubles ----

static const char *frame_of(const bl_scene_entry *entry) { return strrchr(entry->name, '/') + 1; }

static int compare_pictures(const void *a, const void *b) {
    const bl_scene_entry *const *one = a, *const *other = b;
    const uint64_t x = (*one)->image_file.fingerprint, y = (*other)->image_file.fingerprint;
    return x < y ? -1 : x > y ? 1 : strcmp((*one)->name, (*other)->name);
}

static int compare_frames(const void *a, const void *b) {
    const bl_scene_entry *const *one = a, *const *other = b;
    const int order = strcmp(frame_of(*one), frame_of(*other));
    return order ? order : strcmp((*one)->name, (*other)->name);
}

static bool is_same_picture(const bl_scene_entry *a, const bl_scene_entry *b) { return a->image_file.fingerprint == b->image_file.fingerprint; }
static bool is_same_frame(const bl_scene_entry *a, const bl_scene_entry *b) { return !strcmp(frame_of(a), frame_of(b)); }

// "2 scenes are the same picture as another (train/aa/x as train/aa/y)"
static void remark_doubles(bl_scene_index *index, const bl_scene_entry **order, int (*compare)(const void *, const void *),
                           bool (*is_same)(const bl_scene_entry *, const bl_scene_entry *), const char *what) {
    int count = 0, first = 0;
    qsort(order, (size_t)index->count, sizeof *order, compare);
    for (int i = index->count - 1; i > 0; --i) {
        if (!is_same(order[i - 1], order[i])) continue;
        ++count;
        first = i;
    }
    if (count)
        bl_text_add(&index->remarks, "%d scene%s %s (%s as %s)\n", count, count == 1 ? " is" : "s are", what, order[first]->name,
                    order[first - 1]->name);
}

int bl_remark_doubles(bl_scene_index *index) {
    const bl_scene_entry **order = bl_alloc((size_t)index->count * sizeof *order);
    if (!order) return BL_FAILED;
    for (int i = 0; i < index->count; ++i) order[i] = &index->entries[i];
    remark_doubles(index, order, compare_pictures, is_same_picture, "the same picture as another");
    remark_doubles(index, order, compare_frames, is_same_frame, "called as one in another city");
    bl_free(order);
    return BL_OK;
}

// ---- label maps ----

static bool is_empty(const bl_scene_entry *entry) { return !entry->present; }
static bool is_blended(const bl_scene_entry *entry) { return entry->is_blended; }

static bool is_of_classes(const bl_scene_entry *entry) { return entry->is_of_classes; }

static void remark_maps(bl_scene_index *index, bool (*is_odd)(const bl_scene_entry *), const char *what) {
    const bl_scene_entry *first = NULL;
    int count = 0;
    for (int i = 0; i < index->count; ++i) {
        if (!is_odd(&index->entries[i])) continue;
        if (!count++) first = &index->entries[i];
    }
    if (count) bl_text_add(&index->remarks, "%d of %d label maps %s (%s%s)\n", count, index->count, what, first->labels, count > 1 ? ", ..." : "");
}

void bl_remark_labels(bl_scene_index *index) {
    remark_maps(index, is_empty, "without a pixel of a class");
    remark_maps(index, is_of_classes, "that are called label ids and look like classes: mostly ids that are ignored, and none above 18");
    remark_maps(index, is_blended, "whose ids run into each other as in a picture that was resized: to resize one, take the nearest pixel");
}
