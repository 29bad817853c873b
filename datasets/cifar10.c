// CIFAR-10, binary version (Krizhevsky 2009; https://www.cs.toronto.edu/~kriz/cifar.html): six files of 10000 records of
// 3073 bytes: a label 0..9, then the red, the green and the blue plane of 32 x 32 bytes, row by row.

#include "datasets/dataset.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"

enum { SIDE = 32, AREA = SIDE * SIDE, RECORD = 1 + 3 * AREA, RECORDS = 10000, CLASSES = 10, BATCH_BYTES = RECORDS * RECORD };

static const char *const train_files[] = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
                                          "data_batch_5.bin"};
static const char *const test_files[] = {"test_batch.bin"};

// What to do about a file that is not there or not as it should be.
#define ADVICE "unpack cifar-10-binary.tar.gz again, and let data.root (or BYOLAB_DATA) lead to its folder"

static int check_size(const char *path, int64_t bytes) {
    int64_t difference = bytes - BATCH_BYTES;
    if (difference < 0) return bl_fail("%s: %lld bytes short of %d: " ADVICE, path, (long long)-difference, BATCH_BYTES);
    if (difference > 0) return bl_fail("%s: %lld bytes longer than %d: " ADVICE, path, (long long)difference, BATCH_BYTES);
    return BL_OK;
}

static int unpack(const char *path, const uint8_t *records, uint8_t *pixels, uint8_t *labels) {
    for (int i = 0; i < RECORDS; ++i) {
        const uint8_t *record = records + (size_t)i * RECORD;
        if (record[0] >= CLASSES) return bl_fail("%s: record %d: label %d is not below %d: " ADVICE, path, i, record[0], CLASSES);
        labels[i] = record[0];
        uint8_t *image = pixels + (size_t)i * 3 * AREA;
        for (int p = 0; p < AREA; ++p)
            for (int c = 0; c < 3; ++c) image[3 * p + c] = record[1 + c * AREA + p];
    }
    return BL_OK;
}

static int load_file(const char *root, const char *name, uint8_t *pixels, uint8_t *labels) {
    int status = BL_FAILED;
    bl_text path = {0};
    uint8_t *records = NULL;
    FILE *file = NULL;
    struct stat facts;
    bl_text_add(&path, "%s/%s", root, name);
    if (!(file = fopen(path.chars, "rb")) || fstat(fileno(file), &facts)) {
        bl_fail("%s: %s: " ADVICE, path.chars, strerror(errno));
        goto done;
    }
    if (!S_ISREG(facts.st_mode)) {
        bl_fail("%s: not a file: " ADVICE, path.chars);
        goto done;
    }
    if (check_size(path.chars, facts.st_size) || !(records = bl_alloc(BATCH_BYTES))) goto done;
    if (fread(records, 1, BATCH_BYTES, file) != BATCH_BYTES) {
        bl_fail("%s: reading stopped early: %s", path.chars, strerror(errno));
        goto done;
    }
    status = unpack(path.chars, records, pixels, labels);
done:
    if (file) fclose(file);
    bl_free(records);
    bl_text_free(&path);
    return status;
}

static int load_files(const char *root, const char *const *names, int count, bl_images *images) {
    *images = (bl_images){.size = SIDE, .classes = CLASSES, .count = (int64_t)count * RECORDS};
    images->pixels = bl_alloc((size_t)images->count * 3 * AREA);
    images->labels = bl_alloc((size_t)images->count);
    if (!images->pixels || !images->labels) return BL_FAILED;
    for (int i = 0; i < count; ++i) {
        size_t first = (size_t)i * RECORDS;
        if (load_file(root, names[i], images->pixels + first * 3 * AREA, images->labels + first)) return BL_FAILED;
    }
    return BL_OK;
}

static int load(const bl_dataset_options *options, bl_images *train, bl_images *test) {
    if (!options->root || !*options->root)
        return bl_fail("data.root: cifar10 needs the folder of data_batch_1.bin ... test_batch.bin: write it there, for example "
                       "\"${BYOLAB_DATA}/cifar10\" with BYOLAB_DATA set");
    // The test file first: when the folder is wrong, this says so before 150 MB are read.
    if (load_files(options->root, test_files, 1, test)) return BL_FAILED;
    return load_files(options->root, train_files, 5, train);
}

const bl_format bl_format_cifar10 = {"cifar10", load};
