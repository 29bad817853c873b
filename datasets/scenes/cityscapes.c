// "cityscapes": the folders of the Cityscapes data set.
//
//   leftImg8bit/<split>/<city>/<frame>_leftImg8bit.png           8-bit RGB
//   gtFine/<split>/<city>/<frame>_gtFine_labelTrainIds.png       8-bit grey: classes; taken where it is there, else
//   gtFine/<split>/<city>/<frame>_gtFine_labelIds.png            8-bit grey: label ids, of which 19 are classes
//
// Their partners (polygons, colours, instances) are left alone; of all else in these folders scene_tree.h tells what becomes.

#include "datasets/scenes/cityscapes.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "datasets/scenes/scene_tree.h"

enum { LABEL_IDS = 34, UNKNOWN = 254 }; // label ids are 0 .. 33; -1 (a licence plate) is stored as 255

#define IMAGE_END "_leftImg8bit.png"
#define CLASSES_END "_gtFine_labelTrainIds.png"
#define IDS_END "_gtFine_labelIds.png"

// ---- what files are called ----

static bool is_picture(const char *name) {
    static const char *const ends[] = {".png", ".jpg", ".jpeg", ".jpe", ".jp2", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".gif", ".heic"};
    const size_t length = strlen(name);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; ++i)
        if (length >= strlen(ends[i]) && !strcasecmp(name + length - strlen(ends[i]), ends[i])) return true;
    return false;
}

static bool holds(const char *name, const char *part) {
    for (; *name; ++name)
        if (!strncasecmp(name, part, strlen(part))) return true;
    return false;
}

static bl_tree_file kind_of_image(const char *name) {
    if (bl_name_ends(name, IMAGE_END)) return BL_TREE_TAKEN;
    return is_picture(name) || holds(name, "leftImg8bit") ? BL_TREE_ALIKE : BL_TREE_OTHER;
}

static bl_tree_file kind_of_labels(const char *name) {
    static const char *const partners[] = {"_gtFine_color.png", "_gtFine_instanceIds.png", "_gtFine_instanceTrainIds.png", "_gtFine_polygons.json"};
    if (bl_name_ends(name, CLASSES_END) || bl_name_ends(name, IDS_END)) return BL_TREE_TAKEN;
    for (size_t i = 0; i < sizeof partners / sizeof *partners; ++i)
        if (bl_name_ends(name, partners[i])) return BL_TREE_PARTNER;
    return holds(name, "labelIds") || holds(name, "labelTrainIds") ? BL_TREE_ALIKE : BL_TREE_OTHER;
}

static const bl_scene_tree images = {"leftImg8bit", "images are <city>/<frame>" IMAGE_END ", 8-bit RGB, in these letters", kind_of_image};
static const bl_scene_tree label_maps = {"gtFine", "label maps are <city>/<frame>" IDS_END " or ..." CLASSES_END ", 8-bit grey, in these letters",
                                         kind_of_labels};

// ---- listing ----

typedef struct listing {
    const bl_scenes_options *options;
    const char *split;
    bl_scene_index *index;
} listing;

static int add_scene(void *context, const char *city, const char *file) {
    const listing *l = context;
    bl_arena *arena = l->index->names;
    const int length = (int)(strlen(file) - strlen(IMAGE_END));
    const bl_scene_entry entry = {.name = bl_arena_format(arena, "%s/%s/%.*s", l->split, city, length, file),
                                  .image = bl_arena_format(arena, "%s/leftImg8bit/%s/%s/%s", l->options->root, l->split, city, file)};
    return bl_scene_index_add(l->index, &entry);
}

// Every label map must have its image.
static int check_partner(void *context, const char *city, const char *file) {
    const listing *l = context;
    bl_text image = {0};
    const size_t tail = strlen(bl_name_ends(file, CLASSES_END) ? CLASSES_END : IDS_END);
    bl_text_add(&image, "%s/leftImg8bit/%s/%s/%.*s" IMAGE_END, l->options->root, l->split, city, (int)(strlen(file) - tail), file);
    const int status = bl_file_exists(image.chars) ? BL_OK
                                                   : bl_fail("%s/gtFine/%s/%s/%s: it has no image: %s is missing", l->options->root, l->split,
                                                             city, file, image.chars);
    bl_text_free(&image);
    return status;
}

static int walk(const listing *l, const bl_scene_tree *tree, int (*take)(void *context, const char *city, const char *file)) {
    const bl_tree_visitor visitor = {(void *)l, take};
    const char *top = bl_arena_format(l->index->names, "%s/%s", l->options->root, tree->folder);
    const char *folder = bl_arena_format(l->index->names, "%s/%s", top, l->split);
    bool is_there;
    if (bl_look_for_folder(top, &is_there) || bl_look_for_folder(folder, &is_there)) return BL_FAILED;
    if (!is_there)
        return bl_fail("%s: no such folder: data.root must be the folder that holds leftImg8bit/ and gtFine/ as Cityscapes' archives "
                       "unpack, with the split \"%s\" in both%s", folder, l->split, l->options->labelled ? "" : " (gtFine only for labels)");
    return bl_scene_tree_walk(tree, l->options->root, l->split, &visitor, &l->index->remarks);
}

// ---- pairing ----

static int look_at_map(const char *path, const bl_scene_entry *entry, bl_png *labels) {
    const bl_png *image = &entry->image_file;
    if (bl_png_look(path, labels)) return BL_FAILED;
    if (labels->channels != 1) return bl_fail("%s: an RGB PNG: label maps are 8-bit grey (..." IDS_END ")", path);
    if (labels->width != image->width || labels->height != image->height)
        return bl_fail("%s: %d x %d pixels, and its image has %d x %d: %s", path, labels->width, labels->height, image->width,
                       image->height, entry->image);
    return BL_OK;
}

static int look_at_labels(const listing *l, bl_scene_entry *entry) {
    bl_arena *arena = l->index->names;
    const char *labels = bl_arena_format(arena, "%s/gtFine/%s", l->options->root, entry->name);
    const char *classes = bl_arena_format(arena, "%s" CLASSES_END, labels), *ids = bl_arena_format(arena, "%s" IDS_END, labels);
    const bool has_ids = bl_file_exists(ids);
    entry->train_ids = bl_file_exists(classes);
    entry->labels = entry->train_ids ? classes : ids;
    if (!entry->train_ids && !has_ids) return bl_fail("%s: it has no label map: %s is missing", entry->image, ids);
    if (entry->train_ids && has_ids) {
        entry->label_ids = ids;
        if (look_at_map(ids, entry, &entry->label_ids_file)) return BL_FAILED;
    }
    return look_at_map(entry->labels, entry, &entry->labels_file);
}

static int look_at_scene(const listing *l, bl_scene_entry *entry) {
    if (bl_png_look(entry->image, &entry->image_file)) return BL_FAILED;
    if (entry->image_file.channels != 3) return bl_fail("%s: a grey PNG: images are 8-bit RGB", entry->image);
    entry->width = entry->image_file.width;
    entry->height = entry->image_file.height;
    return l->options->labelled ? look_at_labels(l, entry) : BL_OK;
}

static int index_folders(const bl_scenes_options *options, bl_scene_index *index) {
    if (!options->root || !*options->root) return bl_fail("data.root: write the folder that holds leftImg8bit/ and gtFine/");
    for (int s = 0; s < BL_SCENE_SPLITS; ++s) {
        const listing l = {options, bl_scene_split_name((bl_scene_split)s), index};
        const int before = index->count;
        if (!(options->splits >> s & 1)) continue;
        if (walk(&l, &images, add_scene)) return BL_FAILED;
        if (index->count == before)
            return bl_fail("%s/leftImg8bit/%s: empty: no image <city>/*" IMAGE_END " in it", options->root, l.split);
        if (options->labelled && walk(&l, &label_maps, check_partner)) return BL_FAILED;
        for (int i = before; i < index->count; ++i)
            if (look_at_scene(&l, &index->entries[i])) return BL_FAILED;
    }
    return BL_OK;
}

// ---- reading ----

static void class_table(bool train_ids, uint8_t table[256]) {
    for (int id = 0; id < 256; ++id) table[id] = !train_ids && id < LABEL_IDS ? BL_SCENE_IGNORED : UNKNOWN;
    for (int c = 0; c < BL_SCENE_CLASSES; ++c) table[train_ids ? c : bl_scene_classes[c].id] = (uint8_t)c;
    table[255] = BL_SCENE_IGNORED;
}

// A map of classes that is called one of label ids: road, sidewalk and building are 0, 1 and 2 there, ids that stand for nothing here, and no
// id is above 18, as vegetation, sky and car have. One id alone may be all that is not ignored.
static bool is_of_classes(const bl_scene_entry *entry, const uint8_t *ids) {
    const int64_t area = (int64_t)entry->width * entry->height;
    uint8_t table[256];
    int64_t of_id[256] = {0}, ignored = 0;
    int kinds = 0;
    class_table(false, table);
    for (int64_t i = 0; i < area; ++i) ++of_id[ids[i]];
    for (int id = 0; id < 255; ++id) {
        if (of_id[id] && id >= BL_SCENE_CLASSES) return false;
        if (table[id] == BL_SCENE_IGNORED) ignored += of_id[id];
        kinds += of_id[id] > 0;
    }
    return kinds > 1 && 2 * ignored > area;
}

// Ids become classes.
static int classify(const bl_scene_entry *entry, const char *path, bool train_ids, uint8_t *labels) {
    uint8_t table[256];
    class_table(train_ids, table);
    for (size_t i = 0, area = (size_t)entry->width * entry->height; i < area; ++i) {
        uint8_t id = labels[i];
        if (table[id] == UNKNOWN)
            return bl_fail("%s: the pixel in column %zu, row %zu holds %d, which is no %s", path, i % (size_t)entry->width,
                           i / (size_t)entry->width, id, train_ids ? "class (0 .. 18, or 255)" : "label id (0 .. 33, or 255)");
        labels[i] = table[id];
    }
    return BL_OK;
}

static int read_labels(const bl_scene_entry *entry, uint8_t *labels) {
    return bl_png_read(entry->labels, &entry->labels_file, labels) || classify(entry, entry->labels, entry->train_ids, labels) ? BL_FAILED
                                                                                                                              : BL_OK;
}

// Between two classes bilinear resizing puts ids that run from one to the other: of the steps along rows, from 31 % up in CamVid's label
// maps at several scales. Where every id is one that was there, it takes an object one pixel wide with just such an id: 7 % at most.
static bool is_blended(const bl_scene_entry *entry, const uint8_t *ids) {
    enum { FEW = 32 };
    int64_t steps = 0, inside = 0;
    for (int y = 0; y < entry->height; ++y) {
        const uint8_t *row = ids + (size_t)y * entry->width;
        for (int x = 1; x < entry->width; ++x) {
            steps += row[x] != row[x - 1];
            if (x > 1) inside += (row[x] > row[x - 1] && row[x - 1] > row[x - 2]) || (row[x] < row[x - 1] && row[x - 1] < row[x - 2]);
        }
    }
    return steps >= FEW && 5 * inside > steps;
}

static const char *class_name(uint8_t class) { return class < BL_SCENE_CLASSES ? bl_scene_classes[class].name : "ignored"; }

// A map of classes is made from the one of label ids beside it: where they differ, one of them is of old.
static int compare_maps(const bl_scene_entry *entry, const uint8_t *labels) {
    const size_t area = (size_t)entry->width * entry->height;
    uint8_t *other = bl_alloc(area);
    int status = !other || bl_png_read(entry->label_ids, &entry->label_ids_file, other) || classify(entry, entry->label_ids, false, other)
                         ? BL_FAILED : BL_OK;
    for (size_t i = 0; i < area && !status; ++i)
        if (labels[i] != other[i])
            status = bl_fail("%s: the pixel in column %zu, row %zu is of %s, and of %s in %s: take the map away that is not meant", entry->labels,
                             i % (size_t)entry->width, i / (size_t)entry->width, class_name(labels[i]), class_name(other[i]), entry->label_ids);
    bl_free(other);
    return status;
}

static int check_labels(bl_scene_entry *entry, uint8_t *labels) {
    if (bl_png_read(entry->labels, &entry->labels_file, labels)) return BL_FAILED;
    entry->is_blended = is_blended(entry, labels);
    entry->is_of_classes = !entry->train_ids && is_of_classes(entry, labels);
    if (classify(entry, entry->labels, entry->train_ids, labels)) return BL_FAILED;
    entry->present = 0;
    for (size_t i = 0, area = (size_t)entry->width * entry->height; i < area; ++i)
        if (labels[i] < BL_SCENE_CLASSES) entry->present |= 1u << labels[i];
    return entry->label_ids ? compare_maps(entry, labels) : BL_OK;
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

const bl_scene_format bl_cityscapes = {.index = index_folders, .read = read, .check_labels = check_labels, .list = list_files};

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
