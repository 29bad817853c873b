#include "datasets/scenes/scenes.h"

#include <string.h>

#include "base/digest.h"
#include "base/stop.h"
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
    else if (!scenes->format->check_labels) status = bl_fail("data: \"%.*s\" was \"%.*s\" when the run began", (int)line, now, (int)old_line, was);
    else if (*was && !lists(now, was, old_name))
        status = bl_fail("%.*s: gone since the run began: put it back, or begin a new run", (int)old_name, was);
    else if (*now && !lists(was, now, name))
        status = bl_fail("%.*s: new since the run began: take it away, or begin a new run", (int)name, now);
    else status = bl_fail("%.*s: changed since the run began: put the old file back, or begin a new run", (int)name, now);
    bl_text_free(&list);
    return status;
}
