// scene.h - one street scene with its label map, and what a format of scenes is.

#ifndef BL_DATASETS_SCENE_H
#define BL_DATASETS_SCENE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory.h" // bl_arena, bl_text
#include "datasets/scenes/png.h"

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

// One decoded scene. Start from {0}; reading another one reuses its memory.
typedef struct bl_scene {
    int width, height;
    uint8_t *pixels; // height x width x 3
    uint8_t *labels; // height x width: a class or BL_SCENE_IGNORED. NULL where the set is not labelled
    size_t capacity; // bytes behind `pixels`
} bl_scene;
BL_CHECK int bl_scene_reserve(bl_scene *scene, int width, int height, bool labelled);
void bl_scene_free(bl_scene *scene);

// ---- for the formats (one file each) ----

typedef struct bl_scene_format bl_scene_format;

typedef struct bl_scenes_options {
    const bl_scene_format *format;
    const char *root;         // folder of the files; drawn ones have none
    unsigned splits;          // 1u << BL_SCENE_TRAIN | ...: one after the other, in the order above
    bool labelled;            // every image has a label map, or opening fails; false: label maps are not looked for
    uint64_t seed;            // of drawn ones
    int count, width, height; // of drawn ones; count: of each split
    int extra;                // of drawn ones in train_extra; 0: count
} bl_scenes_options;

typedef struct bl_scene_entry {
    const char *name;
    int width, height;
    const char *image, *labels; // files; NULL: none
    bl_png image_file, labels_file;
    bool train_ids;             // the map holds classes, not label ids
    const char *label_ids;      // the map of label ids beside one of classes, which must say the same; NULL: none
    bl_png label_ids_file;
    uint32_t present;           // bit c: a pixel is of class c. Once bl_scenes_check_labels has looked; of files
    bool is_blended;            // the map looks as if a picture's resizing had mixed its ids; likewise
    bool is_of_classes;         // a map of label ids that looks as if it held classes; likewise
    bl_scene_split split;       // drawn
    uint32_t number;            // drawn: in its split
    _Atomic(uint8_t *) kept;    // drawn: pixels and labels, once they are
} bl_scene_entry;

typedef struct bl_scene_index { // the scenes of a set, in their order
    bl_scenes_options options;  // its texts are not kept
    bl_arena *names;
    bl_scene_entry *entries;
    int count, capacity;
    bl_text remarks;            // a line each: what was passed over, and what is odd
} bl_scene_index;
BL_CHECK int bl_scene_index_add(bl_scene_index *index, const bl_scene_entry *entry);

struct bl_scene_format {
    int (*index)(const bl_scenes_options *options, bl_scene_index *index); // adds the scenes that are asked for
    int (*read)(const bl_scene_index *index, int64_t at, bl_scene *scene);
    // Decodes a label map (height x width), notes what it holds (entry->present) and fails where it is none. NULL: drawn, so that no file
    // can be damaged.
    int (*check_labels)(bl_scene_entry *entry, uint8_t *labels);
    int (*list)(const bl_scene_index *index, bl_text *list);          // what the set is, in lines: of files a line each, its name first
};

// Every set of scenes: a row here, and a file that defines bl_<name>. They are of any size and of BL_SCENE_CLASSES classes.
//      name        drawn
#define BL_SCENE_SETS(ROW) \
    ROW(cityscapes, false) \
    ROW(streets,    true)

#define BL_DECLARE_FORMAT(name, ...) extern const bl_scene_format bl_##name;
BL_SCENE_SETS(BL_DECLARE_FORMAT)
#undef BL_DECLARE_FORMAT

#endif
