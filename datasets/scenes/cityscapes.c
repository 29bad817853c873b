// "cityscapes": the folders of the Cityscapes data set.
//
//   leftImg8bit/<split>/<city>/<frame>_leftImg8bit.png           8-bit RGB
//   gtFine/<split>/<city>/<frame>_gtFine_labelTrainIds.png       8-bit grey: classes; taken where it is there, else
//   gtFine/<split>/<city>/<frame>_gtFine_labelIds.png            8-bit grey: label ids, of which 19 are classes
//
// Other files in these folders (polygons, colours, instances) are left alone.

#include "datasets/scenes/cityscapes.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"

enum { LABEL_IDS = 34, UNKNOWN = 254 }; // label ids are 0 .. 33; -1 (a licence plate) is stored as 255

#define IMAGE_END "_leftImg8bit.png"
#define CLASSES_END "_gtFine_labelTrainIds.png"
#define IDS_END "_gtFine_labelIds.png"

// ---- listing ----

static bool is_folder(const char *path) {
    struct stat facts;
    return !stat(path, &facts) && S_ISDIR(facts.st_mode);
}

static int compare_names(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

// The names in `folder` that do not begin with a dot, sorted; owned by the arena but for *names (bl_free).
static int list_folder(const char *folder, bl_arena *arena, char ***names, int *count) {
    int status = BL_FAILED, capacity = 0;
    *names = NULL;
    *count = 0;
    DIR *directory = opendir(folder);
    if (!directory) return bl_fail("%s: cannot read the folder: %s", folder, strerror(errno));
    for (struct dirent *entry; errno = 0, entry = readdir(directory);) {
        if (entry->d_name[0] == '.') continue;
        if (bl_grow((void **)names, *count, &capacity, sizeof **names)) goto done;
        (*names)[(*count)++] = bl_arena_copy(arena, entry->d_name);
    }
    if (errno) {
        bl_fail("%s: cannot read the folder: %s", folder, strerror(errno));
        goto done;
    }
    if (*count) qsort(*names, (size_t)*count, sizeof **names, compare_names);
    status = BL_OK;
done:
    closedir(directory);
    if (status) {
        bl_free(*names);
        *names = NULL;
    }
    return status;
}

// Length of the frame's name when `name` ends by `end`, else 0.
static int frame_length(const char *name, const char *end) {
    size_t length = strlen(name), tail = strlen(end);
    return length > tail && !strcmp(name + length - tail, end) ? (int)(length - tail) : 0;
}

// ---- pairing ----

static int look_at_labels(bl_scene_entry *entry) {
    if (bl_png_look(entry->labels, &entry->labels_file)) return BL_FAILED;
    const bl_png *image = &entry->image_file, *labels = &entry->labels_file;
    if (labels->channels != 1) return bl_fail("%s: an RGB PNG: label maps are 8-bit grey (..." IDS_END ")", entry->labels);
    if (labels->width != image->width || labels->height != image->height)
        return bl_fail("%s: %d x %d pixels, and its image has %d x %d: %s", entry->labels, labels->width, labels->height, image->width,
                       image->height, entry->image);
    return BL_OK;
}

static int add_scene(const bl_scenes_options *options, const char *split, const char *city, const char *file, int length,
                     bl_scene_index *index) {
    bl_arena *arena = index->names;
    bl_scene_entry entry = {.name = bl_arena_format(arena, "%s/%s/%.*s", split, city, length, file)};
    entry.image = bl_arena_format(arena, "%s/leftImg8bit/%s/%s/%s", options->root, split, city, file);
    if (bl_png_look(entry.image, &entry.image_file)) return BL_FAILED;
    if (entry.image_file.channels != 3) return bl_fail("%s: a grey PNG: images are 8-bit RGB", entry.image);
    entry.width = entry.image_file.width;
    entry.height = entry.image_file.height;
    if (options->labelled) {
        const char *labels = bl_arena_format(arena, "%s/gtFine/%s", options->root, entry.name);
        entry.labels = bl_arena_format(arena, "%s" CLASSES_END, labels);
        entry.train_ids = bl_file_exists(entry.labels);
        if (!entry.train_ids) entry.labels = bl_arena_format(arena, "%s" IDS_END, labels);
        if (!bl_file_exists(entry.labels)) return bl_fail("%s: it has no label map: %s is missing", entry.image, entry.labels);
        if (look_at_labels(&entry)) return BL_FAILED;
    }
    return bl_scene_index_add(index, &entry);
}

// Every label map must have its image.
static int check_city(const bl_scenes_options *options, const char *split, const char *city, bl_scene_index *index) {
    bl_arena *arena = index->names;
    const char *folder = bl_arena_format(arena, "%s/gtFine/%s/%s", options->root, split, city);
    char **files;
    int count;
    int status = BL_OK;
    if (list_folder(folder, arena, &files, &count)) return BL_FAILED;
    for (int i = 0; i < count && !status; ++i) {
        int length = frame_length(files[i], CLASSES_END);
        if (!length) length = frame_length(files[i], IDS_END);
        if (!length) continue;
        const char *image = bl_arena_format(arena, "%s/leftImg8bit/%s/%s/%.*s" IMAGE_END, options->root, split, city, length, files[i]);
        if (!bl_file_exists(image)) status = bl_fail("%s/%s: it has no image: %s is missing", folder, files[i], image);
    }
    bl_free(files);
    return status;
}

static int add_city(const bl_scenes_options *options, const char *split, const char *city, bl_scene_index *index) {
    char **files;
    int count;
    int status = BL_OK;
    if (list_folder(bl_arena_format(index->names, "%s/leftImg8bit/%s/%s", options->root, split, city), index->names, &files, &count))
        return BL_FAILED;
    for (int i = 0; i < count && !status; ++i) {
        int length = frame_length(files[i], IMAGE_END);
        if (length) status = add_scene(options, split, city, files[i], length, index);
    }
    bl_free(files);
    return status;
}

// Cities of one tree, leftImg8bit or gtFine; a file between them is left alone.
typedef int (*city_task)(const bl_scenes_options *options, const char *split, const char *city, bl_scene_index *index);

static int for_each_city(const bl_scenes_options *options, const char *tree, const char *split, city_task task, bl_scene_index *index) {
    const char *folder = bl_arena_format(index->names, "%s/%s/%s", options->root, tree, split);
    char **cities;
    int count;
    int status = BL_OK;
    if (!is_folder(folder))
        return bl_fail("%s: no such folder: data.root must be the folder that holds leftImg8bit/ and gtFine/ as Cityscapes' archives "
                       "unpack, with the split \"%s\" in both%s", folder, split, options->labelled ? "" : " (gtFine only for labels)");
    if (list_folder(folder, index->names, &cities, &count)) return BL_FAILED;
    for (int i = 0; i < count && !status; ++i)
        if (is_folder(bl_arena_format(index->names, "%s/%s", folder, cities[i]))) status = task(options, split, cities[i], index);
    bl_free(cities);
    return status;
}

static int index_folders(const bl_scenes_options *options, bl_scene_index *index) {
    if (!options->root || !*options->root) return bl_fail("data.root: write the folder that holds leftImg8bit/ and gtFine/");
    for (int s = 0; s < BL_SCENE_SPLITS; ++s) {
        const char *split = bl_scene_split_name((bl_scene_split)s);
        const int before = index->count;
        if (!(options->splits >> s & 1)) continue;
        if (for_each_city(options, "leftImg8bit", split, add_city, index)) return BL_FAILED;
        if (index->count == before)
            return bl_fail("%s/leftImg8bit/%s: empty: no image <city>/*" IMAGE_END " in it", options->root, split);
        if (options->labelled && for_each_city(options, "gtFine", split, check_city, index)) return BL_FAILED;
    }
    return BL_OK;
}

// ---- reading ----

static void class_table(bool train_ids, uint8_t table[256]) {
    for (int id = 0; id < 256; ++id) table[id] = !train_ids && id < LABEL_IDS ? BL_SCENE_IGNORED : UNKNOWN;
    for (int c = 0; c < BL_SCENE_CLASSES; ++c) table[train_ids ? c : bl_scene_classes[c].id] = (uint8_t)c;
    table[255] = BL_SCENE_IGNORED;
}

static int read_labels(const bl_scene_entry *entry, uint8_t *labels) {
    if (bl_png_read(entry->labels, &entry->labels_file, labels)) return BL_FAILED;
    uint8_t table[256];
    class_table(entry->train_ids, table);
    for (size_t i = 0, area = (size_t)entry->width * entry->height; i < area; ++i) {
        uint8_t id = labels[i];
        if (table[id] == UNKNOWN)
            return bl_fail("%s: the pixel in column %zu, row %zu holds %d, which is no %s", entry->labels, i % (size_t)entry->width,
                           i / (size_t)entry->width, id, entry->train_ids ? "class (0 .. 18, or 255)" : "label id (0 .. 33, or 255)");
        labels[i] = table[id];
    }
    return BL_OK;
}

static int read(const bl_scene_index *index, int64_t at, bl_scene *scene) {
    const bl_scene_entry *entry = &index->entries[at];
    if (bl_scene_reserve(scene, entry->width, entry->height, entry->labels != NULL)) return BL_FAILED;
    if (bl_png_read(entry->image, &entry->image_file, scene->pixels)) return BL_FAILED;
    return entry->labels ? read_labels(entry, scene->labels) : BL_OK;
}

// ---- identity ----

static void list_file(const char *name, const char *path, const bl_png *file, bl_text *list) {
    const char *base = strrchr(path, '/') + 1; // "train/aachen/" of the scene's name, then the file's
    bl_text_add(list, "%.*s/%s %" PRIu64 " %016" PRIx64 "\n", (int)(strrchr(name, '/') - name), name, base, file->bytes, file->fingerprint);
}

static int list_files(const bl_scene_index *index, bl_text *list) {
    for (int i = 0; i < index->count; ++i) {
        const bl_scene_entry *entry = &index->entries[i];
        list_file(entry->name, entry->image, &entry->image_file, list);
        if (entry->labels) list_file(entry->name, entry->labels, &entry->labels_file, list);
    }
    return BL_OK;
}

const bl_scene_format bl_cityscapes = {.index = index_folders, .read = read, .read_labels = read_labels, .list = list_files};

// ---- writing ----

int bl_scene_save(const bl_scene *scene, const char *root, bl_scene_split split, const char *city, int number) {
    static const char *const trees[2] = {"leftImg8bit", "gtFine"}, *const ends[2] = {IMAGE_END, IDS_END};
    size_t area = (size_t)scene->width * scene->height;
    uint8_t *ids = bl_alloc(area);
    if (!ids) return BL_FAILED;
    for (size_t i = 0; i < area; ++i)
        ids[i] = scene->labels[i] < BL_SCENE_CLASSES ? bl_scene_classes[scene->labels[i]].id : 0;
    int status = BL_OK;
    for (int t = 0; t < 2 && !status; ++t) {
        bl_text path = {0};
        bl_text_add(&path, "%s/%s/%s/%s", root, trees[t], bl_scene_split_name(split), city);
        status = bl_make_folders(path.chars);
        bl_text_add(&path, "/%s_000000_%06d%s", city, number, ends[t]);
        if (!status) status = bl_png_save(path.chars, t ? ids : scene->pixels, scene->width, scene->height, t ? 1 : 3);
        bl_text_free(&path);
    }
    bl_free(ids);
    return status;
}
