// CIFAR-10, binary version: six files of 10000 records of 3073 bytes, a label 0..9 and an image.

#include "datasets/images/cifar.h"

#include <stddef.h>

static const char *const train_files[] = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                          "data_batch_4.bin", "data_batch_5.bin", NULL};
static const char *const test_files[] = {"test_batch.bin", NULL};

static const bl_cifar files = {
    .name = "cifar10",
    .archive = "cifar-10-binary.tar.gz",
    .files = "data_batch_1.bin ... test_batch.bin",
    .labels = {{"label", 10}},
    .label_count = 1,
    .train_files = train_files,
    .test_files = test_files,
    .train_records = 10000,
    .test_records = 10000,
};

int bl_cifar10_load(const bl_images_options *options, bl_images *train, bl_images *test) {
    return bl_cifar_load(&files, options, train, test);
}
