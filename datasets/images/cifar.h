// cifar.h - what CIFAR-10 and CIFAR-100 share: files of fixed-size records, labels first, then three planes of 32 x 32 bytes.

#ifndef BL_DATASETS_CIFAR_H
#define BL_DATASETS_CIFAR_H

#include "datasets/images/images.h"

#define BL_CIFAR_LABELS 2
typedef struct bl_cifar {
    const char *name, *archive;   // "cifar10", the file it comes in
    const char *files;            // what to look for, as an error names it
    struct {
        const char *name;         // "label", "coarse label"
        int below;
    } labels[BL_CIFAR_LABELS];    // one byte each, as a record begins; the last one counts
    int label_count;
    const char *const *train_files, *const *test_files; // ended by NULL
    int train_records, test_records;                    // of each file
} bl_cifar;

// Sizes and labels are checked. On failure the caller frees what `train` and `test` hold.
BL_CHECK int bl_cifar_load(const bl_cifar *format, const bl_images_options *options, bl_images *train, bl_images *test);

#endif
