// scenes.h - street scenes with label maps: large images of any size, decoded when they are wanted.
//
// Opening a set lists its scenes and looks at the ends of every file: a missing partner, another size, a truncated file or one of
// another kind is named before anything is trained. Pixels and ids are checked as they are decoded, and those of every label map at
// once by bl_scenes_check_labels. A set is read-only after opening and may be read from any thread.
//
// Files are decoded each time, and each time compared with what they were. Streets are drawn once where the whole set fits in
// BL_STREETS_KEPT bytes.

#ifndef BL_DATASETS_SCENES_H
#define BL_DATASETS_SCENES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"  // bl_arena, bl_text
#include "base/threads.h" // bl_pool
#include "datasets/png.h"

#define BL_STREETS_KEPT ((int64_t)1 << 29)

// The classes that are trained and scored, in Cityscapes' order. A pixel of no class holds BL_SCENE_IGNORED.
enum { BL_SCENE_CLASSES = 19, BL_SCENE_IGNORED = 255 };
typedef struct bl_scene_class {
    const char *name;
    uint8_t id;        // in files of label ids
    uint8_t colour[3]; // in pictures of label maps
} bl_scene_class;
extern const bl_scene_class bl_scene_classes[BL_SCENE_CLASSES];

typedef enum bl_scene_split { BL_SCENE_TRAIN, BL_SCENE_VAL, BL_SCENE_TEST, BL_SCENE_TRAIN_EXTRA, BL_SCENE_SPLITS } bl_scene_split;
const char *bl_scene_split_name(bl_scene_split split); // "train", "val", "test", "train_extra": the folders' names

typedef struct bl_scenes_options {
    const char *name;         // "cityscapes": files under `root`; "streets": drawn
    const char *root;
    unsigned splits;          // 1u << BL_SCENE_TRAIN | ...: one after the other, in the order above
    bool labelled;            // every image has a label map, or opening fails; false: label maps are not looked for
    uint64_t seed;            // of streets
    int count, width, height; // of streets; count: of each split
} bl_scenes_options;

typedef struct bl_scenes bl_scenes;
BL_CHECK int bl_scenes_open(bl_scenes **scenes, const bl_scenes_options *options);
void bl_scenes_close(bl_scenes *scenes);

// Scenes come in the order of their names: split, city, frame.
int64_t bl_scenes_count(const bl_scenes *scenes);
const char *bl_scenes_name(const bl_scenes *scenes, int64_t index); // "train/aachen/aachen_000000_000019"
void bl_scenes_size(const bl_scenes *scenes, int64_t index, int *width, int *height);

// One decoded scene. Start from {0}; reading another one reuses its memory.
typedef struct bl_scene {
    int width, height;
    uint8_t *pixels; // height x width x 3
    uint8_t *labels; // height x width: a class or BL_SCENE_IGNORED. NULL where the set is not labelled
    size_t capacity; // bytes behind `pixels`
} bl_scene;
BL_CHECK int bl_scenes_read(const bl_scenes *scenes, int64_t index, bl_scene *scene);
void bl_scene_free(bl_scene *scene);

// Decodes every label map: the first one that is damaged or holds an unknown id is named.
BL_CHECK int bl_scenes_check_labels(const bl_scenes *scenes, bl_pool *pool);

// What the set is: a line a file with its name, length and fingerprint, the same wherever the folder lies; and the SHA-256 of these
// lines. A run keeps both: bl_scenes_compare names the first file that is not as it was.
BL_CHECK int bl_scenes_list(const bl_scenes *scenes, bl_text *list);
BL_CHECK int bl_scenes_digest(const bl_scenes *scenes, char out[65]);
BL_CHECK int bl_scenes_compare(const bl_scenes *scenes, const char *list);

// Writes a labelled scene as Cityscapes' files: <root>/leftImg8bit/<split>/<city>/<city>_000000_<number>_leftImg8bit.png and its map of
// label ids under gtFine, where pixels of no class get id 0.
BL_CHECK int bl_scene_save(const bl_scene *scene, const char *root, bl_scene_split split, const char *city, int number);

// ---- for the formats (one file each) ----

typedef struct bl_scene_entry {
    const char *name;
    int width, height;
    const char *image, *labels; // files; NULL: none
    bl_png image_file, labels_file;
    bool train_ids;             // the map holds classes, not label ids
    bl_scene_split split;       // streets
    uint32_t number;            // streets: in its split
    _Atomic(uint8_t *) kept;    // streets: pixels and labels, once drawn
} bl_scene_entry;
typedef struct bl_scene_index {
    bl_arena *names;
    bl_scene_entry *entries;
    int64_t count, capacity;
} bl_scene_index;
BL_CHECK int bl_scene_index_add(bl_scene_index *index, const bl_scene_entry *entry);
BL_CHECK int bl_scene_reserve(bl_scene *scene, int width, int height, bool labelled);

BL_CHECK int bl_cityscapes_index(const bl_scenes_options *options, bl_scene_index *index);
BL_CHECK int bl_cityscapes_read(const bl_scene_entry *entry, bl_scene *scene);
BL_CHECK int bl_cityscapes_read_labels(const bl_scene_entry *entry, uint8_t *labels); // height x width

// "streets": scene `number` of a split; pixels and labels are a function of the arguments alone.
BL_CHECK int bl_streets_draw(uint64_t seed, bl_scene_split split, uint32_t number, int width, int height, bl_scene *scene);

#endif
