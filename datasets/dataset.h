// dataset.h - labelled images, read where they lie. One file a format; a row of the table in dataset.c each.
//
// Images are 8-bit RGB, HWC. A dataset is read-only after opening and may be read from any thread.

#ifndef BL_DATASETS_DATASET_H
#define BL_DATASETS_DATASET_H

#include <stdint.h>

#include "base/error.h" // BL_CHECK

typedef enum bl_split { BL_TRAIN, BL_VALIDATION, BL_TEST, BL_SPLITS } bl_split;
const char *bl_split_name(bl_split split); // "train", "validation", "test"

typedef struct bl_dataset_options {
    const char *name;      // "cifar10", "cifar100", "shapes"
    const char *root;      // folder of the files; unused by procedural sets
    uint64_t seed;         // of a procedural set
    int train, test;       // images of a procedural set (0: its default)
    int validation;        // images taken from train, seeded and stratified by class; 0: none. Train keeps its file order
    uint64_t split_seed;   // which images those are
    int limit;             // at most this many train images (after the split; the first in file order); 0: all
} bl_dataset_options;

typedef struct bl_dataset bl_dataset;

// Sizes and labels of every file are checked here: "data_batch_3.bin: 12 bytes short ...", "record 17: label 10 is not below 10".
BL_CHECK int bl_dataset_open(bl_dataset **dataset, const bl_dataset_options *options);
void bl_dataset_close(bl_dataset *dataset);

int bl_dataset_classes(const bl_dataset *dataset);
int bl_dataset_size(const bl_dataset *dataset); // pixels a side (square)
int64_t bl_dataset_count(const bl_dataset *dataset, bl_split split);
// Borrowed: size * size * 3 bytes, HWC.
const uint8_t *bl_dataset_image(const bl_dataset *dataset, bl_split split, int64_t index);
int bl_dataset_label(const bl_dataset *dataset, bl_split split, int64_t index);
// SHA-256 over the images and labels of all splits: identity in a run's manifest. 64 hexadecimal digits.
void bl_dataset_digest(const bl_dataset *dataset, char out[65]);

// ---- for the formats (one file each) ----
// A format fills whole sets; dataset.c makes the splits. Pixels are owned by the dataset afterwards (bl_free).
typedef struct bl_images {
    int size, classes;
    int64_t count;
    uint8_t *pixels; // count x size x size x 3, HWC
    uint8_t *labels; // count
} bl_images;
typedef struct bl_format {
    const char *name;
    int (*load)(const bl_dataset_options *options, bl_images *train, bl_images *test);
} bl_format;
extern const bl_format bl_format_cifar10, bl_format_cifar100, bl_format_shapes;

#endif
