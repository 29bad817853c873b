#include "datasets/scenes.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "base/stop.h"

// Names, ids and colours as in Cityscapes' own table of labels.
const bl_scene_class bl_scene_classes[BL_SCENE_CLASSES] = {
    {"road", 7, {128, 64, 128}},           {"sidewalk", 8, {244, 35, 232}},   {"building", 11, {70, 70, 70}},
    {"wall", 12, {102, 102, 156}},         {"fence", 13, {190, 153, 153}},    {"pole", 17, {153, 153, 153}},
    {"traffic light", 19, {250, 170, 30}}, {"traffic sign", 20, {220, 220, 0}}, {"vegetation", 21, {107, 142, 35}},
    {"terrain", 22, {152, 251, 152}},      {"sky", 23, {70, 130, 180}},       {"person", 24, {220, 20, 60}},
    {"rider", 25, {255, 0, 0}},            {"car", 26, {0, 0, 142}},          {"truck", 27, {0, 0, 70}},
    {"bus", 28, {0, 60, 100}},             {"train", 31, {0, 80, 100}},       {"motorcycle", 32, {0, 0, 230}},
    {"bicycle", 33, {119, 11, 32}},
};

struct bl_scenes {
    bl_scenes_options options; // its texts are not kept
    bool drawn;
    bl_scene_index index;
};

const char *bl_scene_split_name(bl_scene_split split) {
    static const char *const names[BL_SCENE_SPLITS] = {"train", "val", "test", "train_extra"};
    return names[split];
}

int bl_scene_index_add(bl_scene_index *index, const bl_scene_entry *entry) {
    if (index->count == index->capacity) {
        int64_t capacity = index->capacity ? 2 * index->capacity : 256;
        bl_scene_entry *entries = bl_alloc((size_t)capacity * sizeof *entries);
        if (!entries) return BL_FAILED;
        if (index->count) memcpy(entries, index->entries, (size_t)index->count * sizeof *entries);
        bl_free(index->entries);
        index->entries = entries;
        index->capacity = capacity;
    }
    index->entries[index->count++] = *entry;
    return BL_OK;
}

static int index_streets(const bl_scenes_options *options, bl_scene_index *index) {
    if (options->width < 32 || options->height < 32 || options->width > BL_PNG_SIDE || options->height > BL_PNG_SIDE)
        return bl_fail("streets: %d x %d pixels: between 32 and %d a side are drawn", options->width, options->height, BL_PNG_SIDE);
    if (options->count < 1) return bl_fail("streets: %d scenes: write at least 1", options->count);
    for (int s = 0; s < BL_SCENE_SPLITS; ++s)
        for (int i = 0; i < options->count && options->splits >> s & 1; ++i) {
            bl_scene_entry entry = {.width = options->width, .height = options->height, .split = (bl_scene_split)s, .number = (uint32_t)i};
            entry.name = bl_arena_format(index->names, "%s/streets/streets_000000_%06d", bl_scene_split_name(entry.split), i);
            if (bl_scene_index_add(index, &entry)) return BL_FAILED;
        }
    return BL_OK;
}

int bl_scenes_open(bl_scenes **out, const bl_scenes_options *options) {
    *out = NULL;
    bool drawn = !strcmp(options->name, "streets");
    if (!drawn && strcmp(options->name, "cityscapes"))
        return bl_fail("data.name: there are no scenes called \"%s\"; write cityscapes or streets", options->name);
    bl_scenes *scenes = bl_alloc(sizeof *scenes);
    if (!scenes) return BL_FAILED;
    scenes->options = *options;
    scenes->options.name = scenes->options.root = NULL;
    scenes->drawn = drawn;
    scenes->index.names = bl_arena_create();
    if (!scenes->index.names || (drawn ? index_streets(options, &scenes->index) : bl_cityscapes_index(options, &scenes->index))) {
        bl_scenes_close(scenes);
        return BL_FAILED;
    }
    *out = scenes;
    return BL_OK;
}

void bl_scenes_close(bl_scenes *scenes) {
    if (!scenes) return;
    for (int64_t i = 0; i < scenes->index.count; ++i) bl_free(scenes->index.entries[i].kept);
    bl_arena_free(scenes->index.names);
    bl_free(scenes->index.entries);
    bl_free(scenes);
}

int64_t bl_scenes_count(const bl_scenes *scenes) { return scenes->index.count; }
const char *bl_scenes_name(const bl_scenes *scenes, int64_t index) { return scenes->index.entries[index].name; }
void bl_scenes_size(const bl_scenes *scenes, int64_t index, int *width, int *height) {
    *width = scenes->index.entries[index].width;
    *height = scenes->index.entries[index].height;
}

int bl_scene_reserve(bl_scene *scene, int width, int height, bool labelled) {
    size_t area = (size_t)width * height, bytes = (labelled ? 4 : 3) * area;
    if (bytes > scene->capacity) {
        bl_scene_free(scene);
        if (!(scene->pixels = bl_alloc(bytes))) return BL_FAILED;
        scene->capacity = bytes;
    }
    scene->width = width;
    scene->height = height;
    scene->labels = labelled ? scene->pixels + 3 * area : NULL;
    return BL_OK;
}

void bl_scene_free(bl_scene *scene) {
    bl_free(scene->pixels);
    *scene = (bl_scene){0};
}

// Two threads may draw the same scene at once: one of the copies, which are alike, is kept.
static int read_street(const bl_scenes *scenes, bl_scene_entry *entry, bl_scene *scene) {
    size_t bytes = 4 * (size_t)entry->width * entry->height;
    uint8_t *kept = entry->kept, *none = NULL;
    if (kept) {
        if (bl_scene_reserve(scene, entry->width, entry->height, true)) return BL_FAILED;
        memcpy(scene->pixels, kept, bytes);
        return BL_OK;
    }
    if (bl_streets_draw(scenes->options.seed, entry->split, entry->number, entry->width, entry->height, scene)) return BL_FAILED;
    if ((int64_t)bytes > BL_STREETS_KEPT / scenes->index.count) return BL_OK;
    if (!(kept = bl_alloc(bytes))) return BL_FAILED;
    memcpy(kept, scene->pixels, bytes);
    if (!atomic_compare_exchange_strong(&entry->kept, &none, kept)) bl_free(kept);
    return BL_OK;
}

int bl_scenes_read(const bl_scenes *scenes, int64_t index, bl_scene *scene) {
    bl_scene_entry *entry = &scenes->index.entries[index];
    if (!scenes->drawn) return bl_cityscapes_read(entry, scene);
    if (read_street(scenes, entry, scene)) return BL_FAILED;
    if (!scenes->options.labelled) scene->labels = NULL;
    return BL_OK;
}

static int check_labels(void *context, int index) {
    const bl_scene_entry *entry = &((const bl_scenes *)context)->index.entries[index];
    if (bl_stop_here()) return BL_FAILED;
    uint8_t *labels = bl_alloc((size_t)entry->width * entry->height);
    const int status = labels ? bl_cityscapes_read_labels(entry, labels) : BL_FAILED;
    bl_free(labels);
    return status;
}

int bl_scenes_check_labels(const bl_scenes *scenes, bl_pool *pool) {
    if (scenes->drawn || !scenes->options.labelled) return BL_OK;
    return bl_pool_run(pool, (int)scenes->index.count, check_labels, (void *)scenes);
}

// ---- identity ----

// Of drawn scenes the first of each split stands for how they are drawn.
static int list_streets(const bl_scenes *scenes, bl_text *list) {
    bl_scene scene = {0};
    for (int64_t i = 0; i < scenes->index.count; ++i) {
        const bl_scene_entry *entry = &scenes->index.entries[i];
        if (entry->number) continue;
        if (bl_scenes_read(scenes, i, &scene)) {
            bl_scene_free(&scene);
            return BL_FAILED;
        }
        char sum[65];
        bl_digest_hex(scene.pixels, (scene.labels ? 4 : 3) * (size_t)scene.width * scene.height, sum);
        bl_text_add(list, "streets %s: %d scenes of %d x %d, seed %" PRIu64 ", the first %.16s\n", bl_scene_split_name(entry->split),
                    scenes->options.count, entry->width, entry->height, scenes->options.seed, sum);
    }
    bl_scene_free(&scene);
    return BL_OK;
}

static void list_file(const char *name, const char *path, const bl_png *file, bl_text *list) {
    const char *base = strrchr(path, '/') + 1; // "train/aachen/" of the scene's name, then the file's
    bl_text_add(list, "%.*s/%s %" PRIu64 " %016" PRIx64 "\n", (int)(strrchr(name, '/') - name), name, base, file->bytes, file->fingerprint);
}

int bl_scenes_list(const bl_scenes *scenes, bl_text *list) {
    if (scenes->drawn) return list_streets(scenes, list);
    for (int64_t i = 0; i < scenes->index.count; ++i) {
        const bl_scene_entry *entry = &scenes->index.entries[i];
        list_file(entry->name, entry->image, &entry->image_file, list);
        if (entry->labels) list_file(entry->name, entry->labels, &entry->labels_file, list);
    }
    return BL_OK;
}

int bl_scenes_digest(const bl_scenes *scenes, char out[65]) {
    bl_text list = {0};
    int status = bl_scenes_list(scenes, &list);
    if (!status) bl_digest_hex(list.chars, list.size, out);
    bl_text_free(&list);
    return status;
}

// Whether a line of `list` begins by the first `length` characters of `name`.
static bool lists(const char *list, const char *name, size_t length) {
    for (; *list; list += strcspn(list, "\n"), list += *list != 0)
        if (!strncmp(list, name, length) && list[length] == ' ') return true;
    return false;
}

// Both are in one order, so the first line that differs is a file that changed, came or went.
int bl_scenes_compare(const bl_scenes *scenes, const char *was) {
    bl_text list = {0};
    if (bl_scenes_list(scenes, &list)) return BL_FAILED;
    const char *now = list.chars;
    int status = BL_OK;
    size_t old_line, line;
    while (old_line = strcspn(was, "\n"), line = strcspn(now, "\n"), *was && old_line == line && !memcmp(was, now, line)) {
        was += line + (was[line] != 0);
        now += line + (now[line] != 0);
    }
    size_t old_name = strcspn(was, " \n"), name = strcspn(now, " \n");
    if (!*was && !*now) status = BL_OK;
    else if (scenes->drawn) status = bl_fail("data: \"%.*s\" was \"%.*s\" when the run began", (int)line, now, (int)old_line, was);
    else if (*was && !lists(now, was, old_name))
        status = bl_fail("%.*s: gone since the run began: put it back, or begin a new run", (int)old_name, was);
    else if (*now && !lists(was, now, name))
        status = bl_fail("%.*s: new since the run began: take it away, or begin a new run", (int)name, now);
    else status = bl_fail("%.*s: changed since the run began: put the old file back, or begin a new run", (int)name, now);
    bl_text_free(&list);
    return status;
}
