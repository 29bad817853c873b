// dataset.h - the images of an experiment, read where they lie. facts.h lists the data sets there are: a file and a row each.
//
// Two kinds: small square images with a label each, all in memory (cifar10, cifar100, shapes), and street scenes, which are large, of
// any size, decoded when they are wanted and labelled by pixel (cityscapes, streets; scenes/scenes.h). Pixels are 8-bit RGB, HWC. A dataset
// is read-only after opening and may be read from any thread.

#ifndef BL_DATASETS_DATASET_H
#define BL_DATASETS_DATASET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h" // BL_CHECK
#include "datasets/picture.h"
#include "datasets/scenes/scenes.h"

typedef enum bl_split { BL_TRAIN, BL_VALIDATION, BL_TEST, BL_SPLITS } bl_split;
const char *bl_split_name(bl_split split); // "train", "validation", "test"

typedef struct bl_dataset_options {
    const char *name;      // of facts.h: "cifar10"
    const char *root;      // folder of the files; unused by drawn sets
    uint64_t seed;         // of a drawn set
    int train, test;       // images of a drawn set (0: its default); of drawn scenes: of each split but val, and of val
    // of images alone
    int validation;        // taken from train, seeded and stratified by class; 0: none. Train keeps its file order
    uint64_t split_seed;   // which images those are
    int limit;             // at most this many train images (after the split; the first in file order); 0: all
    // of scenes alone
    unsigned scene_splits; // what BL_TRAIN is, without labels: 1u << BL_SCENE_TRAIN | ...
    int crop;              // pixels a side of the random square that all views of a scene are made from; 0: the whole scene
    int width, height;     // of drawn scenes (0: their default)
    int extra;             // drawn scenes in train_extra; 0: as many as in train
    bool labelled;         // a segmentation asks: the labelled splits train and val are opened too
} bl_dataset_options;

typedef struct bl_dataset bl_dataset;

// Sizes and labels of every file are checked here: "data_batch_3.bin: 12 bytes short ...", "record 17: label 10 is not below 10".
BL_CHECK int bl_dataset_open(bl_dataset **dataset, const bl_dataset_options *options);
void bl_dataset_close(bl_dataset *dataset);

int bl_dataset_classes(const bl_dataset *dataset);
int bl_dataset_size(const bl_dataset *dataset); // pixels a side (square) of what views are made from; 0: whole scenes, of any size
bool bl_dataset_is_decoded(const bl_dataset *dataset); // whether each picture is decoded when it is wanted: scenes are
int64_t bl_dataset_count(const bl_dataset *dataset, bl_split split);
// Of images, not of scenes. Borrowed: size * size * 3 bytes, HWC.
const uint8_t *bl_dataset_image(const bl_dataset *dataset, bl_split split, int64_t index);
int bl_dataset_label(const bl_dataset *dataset, bl_split split, int64_t index);
// SHA-256 over the images and labels of all splits, of scenes over bl_dataset_files: identity in a run's manifest. 64 hexadecimal digits.
void bl_dataset_digest(const bl_dataset *dataset, char out[65]);

// What all views of a sample are made from. The square of a scene is a function of (seed, "scene_square", sample, epoch).
BL_CHECK int bl_dataset_picture(const bl_dataset *dataset, bl_split split, uint32_t index, uint64_t seed, uint32_t epoch,
                                bl_picture *picture);

// Scenes with label maps, where they were opened (options.labelled), else NULL: what is fine-tuned on, and what is scored.
const bl_scenes *bl_dataset_labelled(const bl_dataset *dataset);
const bl_scenes *bl_dataset_scored(const bl_dataset *dataset);
// Every label map of both, before hours are spent on what is held against them (bl_scenes_check_labels), and before other threads read.
BL_CHECK int bl_dataset_check_labels(bl_dataset *dataset, bl_pool *pool);
// What a user should know of the set and is no fault: files that were passed over or are there twice, classes of which there are more or
// fewer images than in the official files, or that are scored and stand in no map to learn from.
// A line each, or "". bl_dataset_check_labels adds to it. Borrowed.
const char *bl_dataset_remarks(const bl_dataset *dataset);
// Every file of it, a line each: of images name, length and SHA-256 (datasets/file_list.h); of scenes below a heading a set (unlabelled,
// labelled, scored), as bl_scenes_list has them. Borrowed; empty where all is drawn but scenes. bl_dataset_compare names the first file that
// is not as such a list has it; sets with labels that only one of both has, for rows come and go, are left out.
const char *bl_dataset_files(const bl_dataset *dataset);
BL_CHECK int bl_dataset_compare(const bl_dataset *dataset, const char *list);
// Of scenes: what the files hold that were read, in lines as above, and whether that is what they hold (bl_scenes_compare_contents). Images
// have nothing to add.
void bl_dataset_contents(const bl_dataset *dataset, bl_text *list);
BL_CHECK int bl_dataset_compare_contents(const bl_dataset *dataset, const char *list, int64_t *unknown);
// Every file, read whole: of images bl_dataset_files, for opening has read them; of scenes as bl_dataset_contents, whatever is known of
// them. bl_dataset_compare_read holds what bl_dataset_contents gave before, of scenes, against such a list.
BL_CHECK int bl_dataset_read_files(const bl_dataset *dataset, bl_pool *pool, bl_text *list);
BL_CHECK int bl_dataset_compare_read(const char *was, const char *now);

#endif
