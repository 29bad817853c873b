// CIFAR-100, binary version: records of 3074 bytes, a coarse label 0..19 (which nothing here reads), a fine label 0..99, an image.

#include "datasets/images/cifar.h"

#include <stddef.h>

static const char *const train_files[] = {"train.bin", NULL};
static const char *const test_files[] = {"test.bin", NULL};

static const bl_cifar files = {
    .name = "cifar100",
    .archive = "cifar-100-binary.tar.gz",
    .files = "train.bin and test.bin",
    .labels = {{"coarse label", 20}, {"fine label", 100}},
    .label_count = 2,
    .train_files = train_files,
    .test_files = test_files,
    .train_records = 50000,
    .test_records = 10000,
};

int bl_cifar100_load(const bl_images_options *options, bl_images *train, bl_images *test) {
    return bl_cifar_load(&files, options, train, test);
}
