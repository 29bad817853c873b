#include "datasets/scenes/scenes.h"

#include <string.h>

#include "base/contents.h"
#include "base/digest.h"
#include "base/stop.h"
#include "datasets/file_list.h"
#include "datasets/scenes/scene_remarks.h"

struct bl_scenes {
    const bl_scene_format *format;
    bl_scene_index index;
};

int bl_scenes_open(bl_scenes **out, const bl_scenes_options *options) {
    *out = NULL;
    bl_scenes *scenes = bl_alloc(sizeof *scenes);
    if (!scenes) return BL_FAILED;
    scenes->format = options->format;
    scenes->index.options = *options;
    scenes->index.options.root = NULL;
    scenes->index.names = bl_arena_create();
    if (options->format->index(options, &scenes->index) || (options->format->check_labels && bl_remark_doubles(&scenes->index))) {
        bl_scenes_close(scenes);
        return BL_FAILED;
    }
    *out = scenes;
    return BL_OK;
}

void bl_scenes_close(bl_scenes *scenes) {
    if (!scenes) return;
    for (int i = 0; i < scenes->index.count; ++i) bl_free(scenes->index.entries[i].kept);
    bl_arena_free(scenes->index.names);
    bl_free(scenes->index.entries);
    bl_text_free(&scenes->index.remarks);
    bl_free(scenes);
}

int64_t bl_scenes_count(const bl_scenes *scenes) { return scenes->index.count; }
const char *bl_scenes_name(const bl_scenes *scenes, int64_t index) { return scenes->index.entries[index].name; }
void bl_scenes_size(const bl_scenes *scenes, int64_t index, int *width, int *height) {
    *width = scenes->index.entries[index].width;
    *height = scenes->index.entries[index].height;
}

int bl_scenes_read(const bl_scenes *scenes, int64_t index, bl_scene *scene) {
    return scenes->format->read(&scenes->index, index, scene);
}

static int check_labels(void *context, int index) {
    bl_scenes *scenes = context;
    bl_scene_entry *entry = &scenes->index.entries[index];
    if (bl_stop_here()) return BL_FAILED;
    uint8_t *labels = bl_alloc((size_t)entry->width * entry->height);
    const int status = labels ? scenes->format->check_labels(entry, labels) : BL_FAILED;
    bl_free(labels);
    return status;
}

int bl_scenes_check_labels(bl_scenes *scenes, bl_pool *pool) {
    const bl_scene_index *index = &scenes->index;
    uint32_t present = 0;
    if (!scenes->format->check_labels || !index->options.labelled) return BL_OK;
    if (bl_pool_run(pool, index->count, check_labels, scenes)) return BL_FAILED;
    for (int i = 0; i < index->count; ++i) present |= index->entries[i].present;
    if (!present)
        return bl_fail("%s: no pixel of it is of a class, nor of any of the %d label maps of its set: with all pixels ignored there is "
                       "nothing to learn or to score", index->entries[0].labels, index->count);
    bl_remark_labels(&scenes->index);
    return BL_OK;
}

uint32_t bl_scenes_classes(const bl_scenes *scenes, int64_t index) {
    return scenes->format->check_labels ? scenes->index.entries[index].present : (1u << BL_SCENE_CLASSES) - 1;
}

const char *bl_scenes_remarks(const bl_scenes *scenes) { return scenes->index.remarks.size ? scenes->index.remarks.chars : ""; }

// ---- identity ----

int bl_scenes_list(const bl_scenes *scenes, bl_text *list) { return scenes->format->list(&scenes->index, list); }

int bl_scenes_digest(const bl_scenes *scenes, char out[65]) {
    bl_text list = {0};
    int status = bl_scenes_list(scenes, &list);
    if (!status) bl_digest_hex(list.chars, list.size, out);
    bl_text_free(&list);
    return status;
}

int bl_scenes_compare(const bl_scenes *scenes, const char *was) {
    bl_text list = {0};
    if (bl_scenes_list(scenes, &list)) return BL_FAILED;
    const char *now = list.chars ? list.chars : "";
    int status = BL_OK;
    if (scenes->format->check_labels) {
        status = bl_file_list_compare(was, now);
    } else {
        bl_file_list_skip(&was, &now);
        if (*was || *now) status = bl_fail("data: \"%.*s\" was \"%.*s\" when the run began", (int)strcspn(now, "\n"), now, (int)strcspn(was, "\n"), was);
    }
    bl_text_free(&list);
    return status;
}

// ---- contents ----

typedef struct scene_file { // of an entry: its name in a list, and what it holds
    char *name;
    bl_stamp stamp;
    bool is_known;
    char digest[65];
} scene_file;

static scene_file look_at(bl_arena *arena, const bl_scene_entry *entry, bool is_labels) {
    const char *path = is_labels ? entry->labels : entry->image;
    scene_file file = {0};
    if (!path) return file;
    file.name = bl_arena_format(arena, "%.*s/%s", (int)(strrchr(entry->name, '/') - entry->name), entry->name, strrchr(path, '/') + 1);
    file.is_known = bl_stamp_of(path, &file.stamp) == BL_OK && bl_contents_find(&file.stamp, BL_CONTENTS_BYTES, file.digest);
    return file;
}

void bl_scenes_contents(const bl_scenes *scenes, bl_text *list) {
    bl_arena *arena = bl_arena_create();
    for (int i = 0; i < 2 * scenes->index.count; ++i) {
        const scene_file file = look_at(arena, &scenes->index.entries[i / 2], i % 2);
        if (file.is_known) bl_file_list_add(list, file.name, (long long)file.stamp.bytes, file.digest);
    }
    bl_arena_free(arena);
}

// Both are in one order, and the list may lack some.
int bl_scenes_compare_contents(const bl_scenes *scenes, const char *list, int64_t *unknown) {
    bl_arena *arena = bl_arena_create();
    int status = BL_OK;
    for (int i = 0; *list && !status && i < 2 * scenes->index.count; ++i) {
        const scene_file file = look_at(arena, &scenes->index.entries[i / 2], i % 2);
        const int length = bl_file_list_name(list), line = (int)strcspn(list, "\n");
        if (!file.name || strlen(file.name) != (size_t)length || memcmp(file.name, list, (size_t)length) != 0) continue;
        if (!file.is_known) ++*unknown;
        else if (line < 64 || memcmp(list + line - 64, file.digest, 64) != 0)
            status = bl_fail("%s: changed since the run began: put the old file back, or begin a new run", file.name);
        list += line + (list[line] != 0);
    }
    bl_arena_free(arena);
    return status;
}

typedef struct reading {
    const bl_scenes *scenes;
    scene_file *files; // two of each entry: its image, its label map
} reading;

static int read_file(void *context, int index) {
    const reading *all = context;
    const bl_scene_entry *entry = &all->scenes->index.entries[index / 2];
    scene_file *file = &all->files[index];
    if (bl_stop_here()) return BL_FAILED;
    return file->name ? bl_contents_read(index % 2 ? entry->labels : entry->image, file->digest) : BL_OK;
}

int bl_scenes_read_files(const bl_scenes *scenes, bl_pool *pool, bl_text *list) {
    const int count = 2 * scenes->index.count;
    bl_arena *arena = bl_arena_create();
    reading all = {scenes, bl_arena_take(arena, (size_t)count * sizeof *all.files)};
    for (int i = 0; i < count; ++i) all.files[i] = look_at(arena, &scenes->index.entries[i / 2], i % 2);
    const int status = bl_pool_run(pool, count, read_file, &all);
    for (int i = 0; i < count && !status; ++i)
        if (all.files[i].name) bl_file_list_add(list, all.files[i].name, (long long)all.files[i].stamp.bytes, all.files[i].digest);
    bl_arena_free(arena);
    return status;
}
