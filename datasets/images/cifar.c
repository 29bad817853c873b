// Files of fixed-size records (Krizhevsky 2009; https://www.cs.toronto.edu/~kriz/cifar.html, "binary version"): the labels, then
// the red, the green and the blue plane of 32 x 32 bytes, row by row.

#include "datasets/images/cifar.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/contents.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"
#include "datasets/file_list.h"

enum { SIDE = 32, AREA = SIDE * SIDE, PIXELS = 3 * AREA, PIECE = 1000 }; // PIECE: records read at once

// What to do about a file that is not there or not as it should be.
#define ADVICE "unpack %s again, and let data.root (or BYOLAB_DATA) lead to its folder"

static int record_bytes(const bl_cifar *format) { return format->label_count + PIXELS; }

static int check_size(const bl_cifar *format, const char *path, int64_t bytes, int64_t expected) {
    int64_t difference = bytes - expected;
    if (difference < 0)
        return bl_fail("%s: %lld bytes short of %lld: " ADVICE, path, (long long)-difference, (long long)expected, format->archive);
    if (difference > 0)
        return bl_fail("%s: %lld bytes longer than %lld: " ADVICE, path, (long long)difference, (long long)expected, format->archive);
    return BL_OK;
}

// `first` is the number of the first of these records in its file.
static int unpack(const bl_cifar *format, const char *path, const uint8_t *records, int first, int count, uint8_t *pixels,
                  uint8_t *labels) {
    for (int i = 0; i < count; ++i) {
        const uint8_t *record = records + (size_t)i * record_bytes(format), *planes = record + format->label_count;
        for (int k = 0; k < format->label_count; ++k)
            if (record[k] >= format->labels[k].below)
                return bl_fail("%s: record %d: %s %d is not below %d: " ADVICE, path, first + i, format->labels[k].name, record[k],
                               format->labels[k].below, format->archive);
        labels[i] = planes[-1];
        uint8_t *image = pixels + (size_t)i * PIXELS;
        for (int p = 0; p < AREA; ++p)
            for (int c = 0; c < 3; ++c) image[3 * p + c] = planes[c * AREA + p];
    }
    return BL_OK;
}

static int load_file(const bl_cifar *format, const char *root, const char *name, int records, uint8_t *pixels, uint8_t *labels, bl_text *list) {
    int status = BL_FAILED;
    bl_text path = {0};
    uint8_t *piece = NULL;
    FILE *file = NULL;
    int64_t size = 0;
    bl_stamp stamp;
    bl_digest digest;
    char sum[65];
    bl_text_add(&path, "%s/%s", root, name);
    const int descriptor = bl_open_file(path.chars, &size);
    if (descriptor < 0 || bl_stamp_of(path.chars, &stamp)) {
        if (descriptor >= 0) close(descriptor);
        bl_fail("%s: " ADVICE, bl_error(), format->archive);
        goto done;
    }
    if (!(file = fdopen(descriptor, "rb"))) {
        bl_fail("%s: cannot read: %s", path.chars, strerror(errno));
        close(descriptor);
        goto done;
    }
    const size_t bytes = (size_t)record_bytes(format);
    if (check_size(format, path.chars, size, (int64_t)records * record_bytes(format)) || !(piece = bl_alloc(PIECE * bytes)))
        goto done;
    bl_digest_begin(&digest);
    for (int first = 0; first < records; first += PIECE) {
        int count = records - first < PIECE ? records - first : PIECE;
        if (fread(piece, bytes, (size_t)count, file) != (size_t)count) {
            bl_fail("%s: reading stopped early: %s", path.chars, strerror(errno));
            goto done;
        }
        bl_digest_add(&digest, piece, bytes * (size_t)count);
        if (unpack(format, path.chars, piece, first, count, pixels + (size_t)first * PIXELS, labels + first)) goto done;
    }
    bl_digest_end_hex(&digest, sum);
    bl_contents_keep(path.chars, &stamp, BL_CONTENTS_BYTES, sum);
    bl_file_list_add(list, name, (long long)size, sum);
    status = BL_OK;
done:
    if (file) fclose(file);
    bl_free(piece);
    bl_text_free(&path);
    return status;
}

static int count_files(const char *const *names) {
    int count = 0;
    while (names[count]) ++count;
    return count;
}

static int load_files(const bl_cifar *format, const char *root, const char *const *names, int records, bl_images *images) {
    const int count = count_files(names);
    *images = (bl_images){.size = SIDE, .classes = format->labels[format->label_count - 1].below, .count = (int64_t)count * records};
    images->pixels = bl_alloc((size_t)images->count * PIXELS);
    images->labels = bl_alloc((size_t)images->count);
    if (!images->pixels || !images->labels) return BL_FAILED;
    for (int i = 0; i < count; ++i) {
        size_t first = (size_t)i * (size_t)records;
        if (load_file(format, root, names[i], records, images->pixels + first * PIXELS, images->labels + first, &images->files)) return BL_FAILED;
    }
    return BL_OK;
}

// ---- what is odd ----

typedef struct batch { // a file's images
    const char *name;
    const uint8_t *pixels, *labels;
    size_t records;
} batch;

static batch batch_of(const bl_cifar *format, const bl_images *train, const bl_images *test, int file) {
    const int of_train = count_files(format->train_files);
    const bool is_train = file < of_train;
    const bl_images *images = is_train ? train : test;
    const size_t records = (size_t)(is_train ? format->train_records : format->test_records), first = records * (size_t)(is_train ? file : file - of_train);
    return (batch){is_train ? format->train_files[file] : format->test_files[file - of_train], images->pixels + first * PIXELS,
                   images->labels + first, records};
}

// A download that was interrupted, or a copy under another's name.
static void remark_twins(const bl_cifar *format, bl_images *train, const bl_images *test) {
    const int count = count_files(format->train_files) + count_files(format->test_files);
    for (int i = 1; i < count; ++i)
        for (int j = 0; j < i; ++j) {
            const batch one = batch_of(format, train, test, j), other = batch_of(format, train, test, i);
            if (one.records != other.records || memcmp(one.pixels, other.pixels, one.records * PIXELS) ||
                memcmp(one.labels, other.labels, one.records))
                continue;
            bl_text_add(&train->remarks, "%s holds the images of %s again: unpack %s again unless that is meant\n", other.name, one.name,
                        format->archive);
            break;
        }
}

// The official files hold as many images of one class as of any other.
static void remark_classes(const bl_cifar *format, const bl_images *images, const char *set, bl_text *remarks) {
    int64_t of_class[256] = {0}, least = images->count, most = 0;
    for (int64_t i = 0; i < images->count; ++i) ++of_class[images->labels[i]];
    for (int c = 0; c < images->classes; ++c) {
        if (of_class[c] < least) least = of_class[c];
        if (of_class[c] > most) most = of_class[c];
    }
    if (least != most)
        bl_text_add(remarks, "%s: from %lld to %lld images of a class to %s on, and %lld of each in the official files\n", format->name,
                    (long long)least, (long long)most, set, (long long)(images->count / images->classes));
}

int bl_cifar_load(const bl_cifar *format, const bl_images_options *options, bl_images *train, bl_images *test) {
    if (!options->root || !*options->root)
        return bl_fail("data.root: %s needs the folder of %s: write it there, for example \"${BYOLAB_DATA}/%s\" with BYOLAB_DATA set",
                       format->name, format->files, format->name);
    // The test file first: when the folder is wrong, this says so before 150 MB are read.
    if (load_files(format, options->root, format->test_files, format->test_records, test) ||
        load_files(format, options->root, format->train_files, format->train_records, train))
        return BL_FAILED;
    remark_twins(format, train, test);
    remark_classes(format, train, "train", &train->remarks);
    remark_classes(format, test, "test", &train->remarks);
    return BL_OK;
}
