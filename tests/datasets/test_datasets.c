#include "support.h"

#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "datasets/dataset.h"
#include "datasets/facts.h"

// ---- cifar10 ----

enum { RECORD = 3073, RECORDS = 10000 };
static const char *const files[] = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                    "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"};

static char *path_of(const char *folder, const char *file) {
    char *path;
    if (asprintf(&path, "%s/%s", folder, file) < 0) fail_msg("out of memory");
    return path;
}

static void write_at(const char *folder, const char *file, int64_t offset, unsigned char byte) {
    char *path = path_of(folder, file);
    int descriptor = open(path, O_WRONLY);
    assert_true(descriptor >= 0 && pwrite(descriptor, &byte, 1, offset) == 1);
    close(descriptor);
    free(path);
}

// Files of the right size; zeros (label 0, black) that take no room on the disk.
static int make_folder(void **state) {
    char *folder = bl_test_folder();
    for (int f = 0; f < 6; ++f) {
        char *path = path_of(folder, files[f]);
        int descriptor = open(path, O_WRONLY | O_CREAT, 0600);
        assert_true(descriptor >= 0 && ftruncate(descriptor, (off_t)RECORD * RECORDS) == 0);
        close(descriptor);
        free(path);
    }
    *state = folder;
    return 0;
}

static int remove_folder(void **state) {
    bl_test_folder_remove(*state);
    return 0;
}

static bl_dataset_options cifar10_in(const char *folder) {
    return (bl_dataset_options){.name = "cifar10", .root = folder};
}

static void assert_refused(const bl_dataset_options *options, const char *reason) {
    bl_dataset *dataset = NULL;
    assert_int_equal(bl_dataset_open(&dataset, options), BL_FAILED);
    assert_null(dataset);
    if (!strstr(bl_error(), reason)) fail_msg("'%s' does not say '%s'", bl_error(), reason);
}

static void cifar10_reads_label_then_red_green_blue_planes_row_by_row(void **state) {
    const char *folder = *state;
    int64_t record = (int64_t)17 * RECORD;
    write_at(folder, "data_batch_3.bin", record, 7);
    write_at(folder, "data_batch_3.bin", record + 1 + 2 * 32 + 5, 200);        // red of row 2, column 5
    write_at(folder, "data_batch_3.bin", record + 1 + 1024 + 2 * 32 + 5, 150); // green
    write_at(folder, "data_batch_3.bin", record + 1 + 2048 + 1023, 99);        // blue of the last pixel
    write_at(folder, "test_batch.bin", (int64_t)9999 * RECORD, 9);

    bl_dataset_options options = cifar10_in(folder);
    bl_dataset *dataset;
    assert_ok(bl_dataset_open(&dataset, &options));
    assert_int_equal(bl_dataset_size(dataset), 32);
    assert_int_equal(bl_dataset_classes(dataset), 10);
    assert_int_equal(bl_dataset_count(dataset, BL_TRAIN), 50000);
    assert_int_equal(bl_dataset_count(dataset, BL_VALIDATION), 0);
    assert_int_equal(bl_dataset_count(dataset, BL_TEST), 10000);
    assert_int_equal(bl_dataset_label(dataset, BL_TRAIN, 20017), 7);
    assert_int_equal(bl_dataset_label(dataset, BL_TRAIN, 20016), 0);
    assert_int_equal(bl_dataset_label(dataset, BL_TEST, 9999), 9);
    const uint8_t *image = bl_dataset_image(dataset, BL_TRAIN, 20017);
    for (int i = 0; i < 3072; ++i) {
        int expected = i == 3 * (2 * 32 + 5) ? 200 : i == 3 * (2 * 32 + 5) + 1 ? 150 : i == 3071 ? 99 : 0;
        assert_int_equal(image[i], expected);
    }
    bl_dataset_close(dataset);
}

static void cifar10_names_the_missing_file(void **state) {
    char *path = path_of(*state, "data_batch_4.bin");
    assert_int_equal(unlink(path), 0);
    bl_dataset_options options = cifar10_in(*state);
    assert_refused(&options, "data_batch_4.bin: cannot read: No such file");
    assert_refused(&options, "BYOLAB_DATA");
    free(path);
}

static void cifar10_without_a_folder_says_what_to_write(void **state) {
    (void)state;
    bl_dataset_options options = cifar10_in(NULL);
    assert_refused(&options, "data.root: cifar10 needs the folder");
    options.root = "";
    assert_refused(&options, "BYOLAB_DATA");
    options.root = "/nowhere/at/all";
    assert_refused(&options, "/nowhere/at/all/test_batch.bin: cannot read: No such file");
}

static void cifar10_refuses_a_file_that_is_too_short_or_too_long(void **state) {
    char *path = path_of(*state, "data_batch_3.bin");
    bl_dataset_options options = cifar10_in(*state);
    assert_int_equal(truncate(path, (off_t)RECORD * RECORDS - 12), 0);
    assert_refused(&options, "data_batch_3.bin: 12 bytes short of 30730000");
    assert_int_equal(truncate(path, (off_t)RECORD * RECORDS + 1), 0);
    assert_refused(&options, "data_batch_3.bin: 1 bytes longer than 30730000");
    assert_int_equal(truncate(path, 0), 0);
    assert_refused(&options, "data_batch_3.bin: 30730000 bytes short");
    free(path);
}

static void cifar10_refuses_a_label_out_of_range(void **state) {
    write_at(*state, "test_batch.bin", (int64_t)17 * RECORD, 10);
    bl_dataset_options options = cifar10_in(*state);
    assert_refused(&options, "test_batch.bin: record 17: label 10 is not below 10");
}

static void cifar10_says_which_file_holds_what_another_does_and_that_classes_are_of_other_sizes(void **state) {
    bl_dataset_options options = cifar10_in(*state);
    bl_dataset *dataset;
    for (int f = 0; f < 6; ++f) // no two alike but the second and the fifth
        write_at(*state, files[f], (int64_t)RECORDS * RECORD - 1, (unsigned char)(f == 4 ? 1 : f));
    write_at(*state, "data_batch_1.bin", 0, 3);
    assert_ok(bl_dataset_open(&dataset, &options));
    assert_string_equal(bl_dataset_remarks(dataset),
                        "data_batch_5.bin holds the images of data_batch_2.bin again: unpack cifar-10-binary.tar.gz again unless that is meant\n"
                        "cifar10: from 0 to 49999 images of a class to train on, and 5000 of each in the official files\n"
                        "cifar10: from 0 to 10000 images of a class to test on, and 1000 of each in the official files\n");
    bl_dataset_close(dataset);
    write_at(*state, "test_batch.bin", (int64_t)RECORDS * RECORD - 1, 3); // as the fourth's last byte, but not its images
    write_at(*state, "test_batch.bin", 0, 1);
    assert_ok(bl_dataset_open(&dataset, &options));
    assert_null(strstr(bl_dataset_remarks(dataset), "test_batch.bin"));
    bl_dataset_close(dataset);
    write_at(*state, "test_batch.bin", 0, 0);
    assert_ok(bl_dataset_open(&dataset, &options));
    bl_test_holds(bl_dataset_remarks(dataset), "test_batch.bin holds the images of data_batch_4.bin again");
    bl_dataset_close(dataset);
}

static void cifar10_refuses_a_folder_where_a_file_should_be(void **state) {
    char *path = path_of(*state, "test_batch.bin");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    bl_dataset_options options = cifar10_in(*state);
    assert_refused(&options, "test_batch.bin: not a regular file (a folder)");
    free(path);
}

// The official files: their digest was computed apart, from the files with Python's hashlib.
static void cifar10_of_the_official_files_has_its_known_digest(void **state) {
    (void)state;
    const char *data = getenv("BYOLAB_DATA");
    if (!data || !*data) skip();
    char *folder = path_of(data, "cifar10"), digest[65];
    if (access(folder, F_OK)) {
        free(folder);
        skip();
    }
    bl_dataset_options options = cifar10_in(folder);
    bl_dataset *dataset;
    assert_ok(bl_dataset_open(&dataset, &options));
    bl_dataset_digest(dataset, digest);
    assert_string_equal(digest, "7a23f0d71f9055d6a9499a6d8502f7bd3a6c8e7f93f02faf1fb6d91bdcb48972");
    assert_string_equal(bl_dataset_remarks(dataset), "");
    bl_dataset_close(dataset);
    free(folder);
}

// ---- cifar100 ----

enum { RECORD_100 = 3074, TRAIN_100 = 50000 };

static int make_folder_100(void **state) {
    static const struct {
        const char *name;
        int records;
    } sizes[] = {{"train.bin", TRAIN_100}, {"test.bin", RECORDS}};
    char *folder = bl_test_folder();
    for (int f = 0; f < 2; ++f) {
        char *path = path_of(folder, sizes[f].name);
        int descriptor = open(path, O_WRONLY | O_CREAT, 0600);
        assert_true(descriptor >= 0 && ftruncate(descriptor, (off_t)RECORD_100 * sizes[f].records) == 0);
        close(descriptor);
        free(path);
    }
    *state = folder;
    return 0;
}

static bl_dataset_options cifar100_in(const char *folder) {
    return (bl_dataset_options){.name = "cifar100", .root = folder};
}

static void cifar100_reads_the_fine_label_and_then_the_planes(void **state) {
    const char *folder = *state;
    int64_t record = (int64_t)42017 * RECORD_100;
    write_at(folder, "train.bin", record, 19); // coarse
    write_at(folder, "train.bin", record + 1, 99);
    write_at(folder, "train.bin", record + 2, 200);               // red of the first pixel
    write_at(folder, "train.bin", record + 2 + 1024 + 33, 150);   // green of row 1, column 1
    write_at(folder, "train.bin", record + RECORD_100 - 1, 77);   // blue of the last pixel
    write_at(folder, "test.bin", (int64_t)9999 * RECORD_100 + 1, 55);

    bl_dataset_options options = cifar100_in(folder);
    options.validation = 100;
    bl_dataset *dataset;
    char digest[65];
    assert_ok(bl_dataset_open(&dataset, &options));
    assert_int_equal(bl_dataset_size(dataset), 32);
    assert_int_equal(bl_dataset_classes(dataset), 100);
    assert_int_equal(bl_dataset_count(dataset, BL_TRAIN), 49900);
    assert_int_equal(bl_dataset_count(dataset, BL_VALIDATION), 100);
    assert_int_equal(bl_dataset_count(dataset, BL_TEST), 10000);
    assert_int_equal(bl_dataset_label(dataset, BL_TEST, 9999), 55);
    int64_t found = -1;
    for (int64_t i = 0; i < 49900; ++i)
        if (bl_dataset_label(dataset, BL_TRAIN, i) == 99) found = i;
    assert_in_range(found, 42017 - 100, 42017); // one image of a class alone stays in train: its share rounds to 0
    const uint8_t *image = bl_dataset_image(dataset, BL_TRAIN, found);
    for (int i = 0; i < 3072; ++i) assert_int_equal(image[i], i == 0 ? 200 : i == 3 * 33 + 1 ? 150 : i == 3071 ? 77 : 0);
    bl_dataset_digest(dataset, digest);
    assert_int_equal(strlen(digest), 64);
    bl_dataset_close(dataset);
}

static void cifar100_says_what_is_wrong_with_a_file(void **state) {
    char *test = path_of(*state, "test.bin"), *train = path_of(*state, "train.bin");
    bl_dataset_options options = cifar100_in(*state);
    write_at(*state, "test.bin", (int64_t)1234 * RECORD_100 + 1, 100);
    assert_refused(&options, "test.bin: record 1234: fine label 100 is not below 100: unpack cifar-100-binary.tar.gz again");
    write_at(*state, "test.bin", (int64_t)17 * RECORD_100, 20);
    assert_refused(&options, "test.bin: record 17: coarse label 20 is not below 20");
    assert_int_equal(truncate(test, (off_t)RECORD_100 * RECORDS - 5), 0);
    assert_refused(&options, "test.bin: 5 bytes short of 30740000");
    assert_int_equal(truncate(test, 0) | truncate(test, (off_t)RECORD_100 * RECORDS) | unlink(train), 0);
    assert_refused(&options, "train.bin: cannot read: No such file");
    assert_refused(&options, "BYOLAB_DATA");
    options.root = NULL;
    assert_refused(&options, "data.root: cifar100 needs the folder of train.bin and test.bin: write it there");
    free(test), free(train);
}

// ---- shapes ----

static bl_dataset *open_shapes(bl_dataset_options options) {
    bl_dataset *dataset;
    options.name = "shapes";
    assert_ok(bl_dataset_open(&dataset, &options));
    return dataset;
}

static void shapes_of_seed_0_are_these_bytes(void **state) {
    (void)state;
    bl_dataset *dataset = open_shapes((bl_dataset_options){.train = 200, .test = 100});
    char digest[65];
    bl_dataset_digest(dataset, digest);
    assert_string_equal(digest, "71da1ba0183217695941e09f9b036ccc0682a3b7a2bb69fe3d126b733936ae69");
    bl_dataset_close(dataset);
}

static void shapes_have_ten_classes_of_equal_size(void **state) {
    (void)state;
    bl_dataset *dataset = open_shapes((bl_dataset_options){.train = 300, .test = 100});
    int counts[BL_SPLITS][10] = {0};
    for (int s = 0; s < BL_SPLITS; ++s)
        for (int64_t i = 0; i < bl_dataset_count(dataset, s); ++i) ++counts[s][bl_dataset_label(dataset, s, i)];
    for (int c = 0; c < 10; ++c) {
        assert_int_equal(counts[BL_TRAIN][c], 30);
        assert_int_equal(counts[BL_TEST][c], 10);
    }
    bl_dataset_close(dataset);
}

// An image depends on the seed, its split and its index alone: a longer set begins with the shorter one.
static void longer_shapes_begin_with_the_shorter_ones_and_other_seeds_differ(void **state) {
    (void)state;
    bl_dataset *longer = open_shapes((bl_dataset_options){.train = 60, .test = 20});
    bl_dataset *shorter = open_shapes((bl_dataset_options){.train = 20, .test = 20});
    bl_dataset *other = open_shapes((bl_dataset_options){.train = 20, .test = 20, .seed = 1});
    for (int i = 0; i < 20; ++i) {
        const uint8_t *image = bl_dataset_image(shorter, BL_TRAIN, i);
        assert_memory_equal(image, bl_dataset_image(longer, BL_TRAIN, i), 3072);
        assert_memory_not_equal(image, bl_dataset_image(other, BL_TRAIN, i), 3072);
        assert_memory_not_equal(image, bl_dataset_image(shorter, BL_TEST, i), 3072);
    }
    bl_dataset_close(longer), bl_dataset_close(shorter), bl_dataset_close(other);
}

// Leave-one-out nearest neighbour by cosine: neither pixels nor mean and spread of the colours may tell the class.
static double nearest_neighbour_accuracy(const float *features, const int *labels, int count, int width) {
    int hits = 0;
    for (int i = 0; i < count; ++i) {
        double best = -2;
        int found = -1;
        for (int j = 0; j < count; ++j) {
            double dot = 0, norm = 0;
            for (int k = 0; k < width; ++k) {
                dot += (double)features[i * width + k] * features[j * width + k];
                norm += (double)features[j * width + k] * features[j * width + k];
            }
            if (i != j && dot / sqrt(norm) > best) {
                best = dot / sqrt(norm);
                found = j;
            }
        }
        hits += labels[i] == labels[found];
    }
    return (double)hits / count;
}

static void neither_pixels_nor_colours_tell_the_class_of_shapes(void **state) {
    (void)state;
    enum { COUNT = 500, PIXELS = 3072 };
    bl_dataset *dataset = open_shapes((bl_dataset_options){.train = COUNT, .test = 10});
    float *pixels = malloc(sizeof *pixels * COUNT * PIXELS), *colours = calloc(COUNT * 6, sizeof *colours);
    int labels[COUNT];
    for (int i = 0; i < COUNT; ++i) {
        const uint8_t *image = bl_dataset_image(dataset, BL_TRAIN, i);
        labels[i] = bl_dataset_label(dataset, BL_TRAIN, i);
        for (int p = 0; p < PIXELS; ++p) {
            pixels[i * PIXELS + p] = image[p];
            colours[i * 6 + p % 3] += (float)image[p] / 1024;
            colours[i * 6 + 3 + p % 3] += (float)image[p] * image[p] / 1024;
        }
        for (int c = 0; c < 3; ++c) colours[i * 6 + 3 + c] = sqrtf(colours[i * 6 + 3 + c] - colours[i * 6 + c] * colours[i * 6 + c]);
    }
    double of_pixels = nearest_neighbour_accuracy(pixels, labels, COUNT, PIXELS);
    double of_colours = nearest_neighbour_accuracy(colours, labels, COUNT, 6);
    if (of_pixels > 0.25 || of_colours > 0.25) fail_msg("pixels %.3f, colours %.3f", of_pixels, of_colours);
    free(pixels), free(colours);
    bl_dataset_close(dataset);
}

// ---- splits ----

static void validation_is_a_stratified_part_of_train_and_both_keep_the_file_order(void **state) {
    (void)state;
    bl_dataset *all = open_shapes((bl_dataset_options){.train = 400, .test = 10});
    bl_dataset *split = open_shapes((bl_dataset_options){.train = 400, .test = 10, .validation = 55, .split_seed = 4});
    assert_int_equal(bl_dataset_count(split, BL_TRAIN), 345);
    assert_int_equal(bl_dataset_count(split, BL_VALIDATION), 55);
    int64_t next[2] = {0, 0};
    int of_class[10] = {0};
    for (int i = 0; i < 400; ++i) { // every image of the file is the next one of exactly one split
        const uint8_t *image = bl_dataset_image(all, BL_TRAIN, i);
        bl_split found = BL_SPLITS;
        for (int s = BL_TRAIN; s <= BL_VALIDATION; ++s)
            if (next[s] < bl_dataset_count(split, s) && !memcmp(image, bl_dataset_image(split, s, next[s]), 3072)) found = s;
        assert_true(found != BL_SPLITS);
        assert_int_equal(bl_dataset_label(split, found, next[found]), bl_dataset_label(all, BL_TRAIN, i));
        if (found == BL_VALIDATION) ++of_class[bl_dataset_label(all, BL_TRAIN, i)];
        ++next[found];
    }
    for (int c = 0; c < 10; ++c) assert_in_range(of_class[c], 5, 6);
    bl_dataset_close(all), bl_dataset_close(split);
}

static void split_seed_chooses_other_validation_images(void **state) {
    (void)state;
    char digests[3][65];
    for (int i = 0; i < 3; ++i) {
        bl_dataset *dataset =
            open_shapes((bl_dataset_options){.train = 100, .test = 10, .validation = 20, .split_seed = i == 2 ? 1 : 0});
        bl_dataset_digest(dataset, digests[i]);
        bl_dataset_close(dataset);
    }
    assert_string_equal(digests[0], digests[1]);
    assert_string_not_equal(digests[0], digests[2]);
}

static void limit_keeps_the_first_train_images_after_the_split(void **state) {
    (void)state;
    bl_dataset *whole = open_shapes((bl_dataset_options){.train = 100, .test = 10, .validation = 20});
    bl_dataset *limited = open_shapes((bl_dataset_options){.train = 100, .test = 10, .validation = 20, .limit = 33});
    assert_int_equal(bl_dataset_count(limited, BL_TRAIN), 33);
    assert_int_equal(bl_dataset_count(limited, BL_VALIDATION), 20);
    for (int i = 0; i < 33; ++i)
        assert_memory_equal(bl_dataset_image(limited, BL_TRAIN, i), bl_dataset_image(whole, BL_TRAIN, i), 3072);
    for (int i = 0; i < 20; ++i)
        assert_memory_equal(bl_dataset_image(limited, BL_VALIDATION, i), bl_dataset_image(whole, BL_VALIDATION, i), 3072);
    bl_dataset_close(whole), bl_dataset_close(limited);
}

static void options_that_mean_nothing_are_refused(void **state) {
    (void)state;
    static const struct {
        bl_dataset_options options;
        const char *reason;
    } cases[] = {
        {{.name = "shape"}, "no data set is called 'shape'; there are cifar10, cifar100, shapes"},
        {{.name = "shapes", .train = 50, .test = 10, .validation = 50}, "shapes: validation on 50 of 50 train images leaves none"},
        {{.name = "shapes", .train = -1}, "shapes: train -1 is below 0"},
        {{.name = "shapes", .limit = -3}, "shapes: limit -3 is below 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) assert_refused(&cases[i].options, cases[i].reason);
}

// What is said of a data set before it is opened is what is there then.
static void facts_are_those_of_the_opened_sets(void **state) {
    (void)state;
    void *folders[2];
    make_folder(&folders[0]), make_folder_100(&folders[1]);
    const char *const roots[] = {folders[0], folders[1], NULL};
    for (int i = 0; i < 3; ++i) {
        const bl_dataset_facts *facts = bl_dataset_facts_at(i);
        bl_dataset *dataset;
        assert_ok(bl_dataset_open(&dataset, &(bl_dataset_options){.name = facts->name, .root = roots[i], .train = 20, .test = 10}));
        assert_ptr_equal(bl_dataset_facts_of(facts->name), facts);
        assert_null(facts->scenes);
        assert_int_equal(facts->is_drawn, !roots[i]);
        assert_int_equal(bl_dataset_size(dataset), facts->side);
        assert_int_equal(bl_dataset_classes(dataset), facts->classes);
        assert_int_equal(bl_dataset_count(dataset, BL_TRAIN), facts->is_drawn ? 20 : facts->train);
        assert_int_equal(bl_dataset_count(dataset, BL_TEST), facts->is_drawn ? 10 : facts->test);
        bl_dataset_close(dataset);
    }
    for (int i = 3; bl_dataset_facts_at(i); ++i) assert_non_null(bl_dataset_facts_at(i)->scenes);
    assert_null(bl_dataset_facts_of("cifar"));
    remove_folder(&folders[0]), remove_folder(&folders[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(cifar10_reads_label_then_red_green_blue_planes_row_by_row, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(cifar10_names_the_missing_file, make_folder, remove_folder),
        cmocka_unit_test(cifar10_without_a_folder_says_what_to_write),
        cmocka_unit_test_setup_teardown(cifar10_refuses_a_file_that_is_too_short_or_too_long, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(cifar10_refuses_a_label_out_of_range, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(cifar10_refuses_a_folder_where_a_file_should_be, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(cifar10_says_which_file_holds_what_another_does_and_that_classes_are_of_other_sizes, make_folder,
                                        remove_folder),
        cmocka_unit_test(cifar10_of_the_official_files_has_its_known_digest),
        cmocka_unit_test_setup_teardown(cifar100_reads_the_fine_label_and_then_the_planes, make_folder_100, remove_folder),
        cmocka_unit_test_setup_teardown(cifar100_says_what_is_wrong_with_a_file, make_folder_100, remove_folder),
        cmocka_unit_test(shapes_of_seed_0_are_these_bytes),
        cmocka_unit_test(shapes_have_ten_classes_of_equal_size),
        cmocka_unit_test(longer_shapes_begin_with_the_shorter_ones_and_other_seeds_differ),
        cmocka_unit_test(neither_pixels_nor_colours_tell_the_class_of_shapes),
        cmocka_unit_test(validation_is_a_stratified_part_of_train_and_both_keep_the_file_order),
        cmocka_unit_test(split_seed_chooses_other_validation_images),
        cmocka_unit_test(limit_keeps_the_first_train_images_after_the_split),
        cmocka_unit_test(options_that_mean_nothing_are_refused),
        cmocka_unit_test(facts_are_those_of_the_opened_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
