// The run file: what is put comes back, any HDF5 program opens it, nothing damaged is ever read.

#include <dirent.h>
#include <hdf5.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "record/container.h"
#include "record/history_file.h"
#include "support.h"

typedef struct fixture {
    char *folder, path[512];
} fixture;

static int set_up(void **state) {
    fixture *here = calloc(1, sizeof *here);
    here->folder = bl_test_folder();
    snprintf(here->path, sizeof here->path, "%s/seed-0.reference.h5", here->folder);
    *state = here;
    return 0;
}

static int tear_down(void **state) {
    fixture *here = *state;
    bl_test_folder_remove(here->folder);
    free(here);
    return 0;
}

enum { MANY = 3000 };

// One data set of each kind, small and large, with and without dimensions.
static bl_container_writer *filled_writer(void) {
    bl_container_writer *writer;
    assert_ok(bl_container_writer_create(&writer));
    static float many[MANY];
    for (int i = 0; i < MANY; i++) many[i] = (float)i / 7;
    assert_ok(bl_container_put_text(writer, "/manifest/study", "cifar10/\xc3\xa9tude"));
    assert_ok(bl_container_put_text(writer, "/manifest/empty", ""));
    assert_ok(bl_container_put_f64(writer, "/timing/seconds", (double[]){1.0 / 3}, NULL, 0));
    assert_ok(bl_container_put_f64(writer, "/step/loss", (double[]){4, NAN, -INFINITY}, (int64_t[]){3}, 1));
    assert_ok(bl_container_put_f32(writer, "/weights/online/layer1.0.conv1.weight", many, (int64_t[]){100, 2, 3, 5}, 4));
    assert_ok(bl_container_put_i64(writer, "/step/step", (int64_t[]){0, INT64_MAX, INT64_MIN}, (int64_t[]){3}, 1));
    assert_ok(bl_container_put_u8(writer, "/features/labels", (uint8_t[]){0, 255}, (int64_t[]){2}, 1));
    double *two;
    float *three;
    assert_ok(bl_container_make_f64(writer, "/made/f64", (int64_t[]){2}, 1, &two));
    assert_ok(bl_container_make_f32(writer, "/made/f32", (int64_t[]){1, 3}, 2, &three));
    two[0] = 1.0 / 3, two[1] = -2;
    three[1] = 1.0f / 3;
    assert_ok(bl_container_put_f64(writer, "/step/none", NULL, (int64_t[]){0}, 1));
    return writer;
}

static void write_file(const char *path) {
    bl_container_writer *writer = filled_writer();
    assert_ok(bl_container_writer_save(writer, path));
    bl_container_writer_free(writer);
}

static void assert_refused(const char *path, const char *with) {
    bl_container_reader *reader;
    assert_int_not_equal(bl_container_reader_open(&reader, path), BL_OK);
    if (!strstr(bl_error(), with) || !strstr(bl_error(), path)) fail_msg("\"%s\" is not in \"%s\"", with, bl_error());
}

static void what_is_put_comes_back(void **state) {
    fixture *here = *state;
    write_file(here->path);
    bl_container_reader *reader;
    assert_ok(bl_container_reader_open(&reader, here->path));
    char *text;
    assert_ok(bl_container_get_text(reader, "/manifest/study", &text));
    assert_string_equal(text, "cifar10/\xc3\xa9tude");
    bl_free(text);
    assert_ok(bl_container_get_text(reader, "/manifest/empty", &text));
    assert_string_equal(text, "");
    bl_free(text);

    double *values;
    int64_t *integers, count;
    assert_ok(bl_container_get_f64(reader, "/timing/seconds", &values, &count));
    assert_int_equal(count, 1);
    assert_true(values[0] == 1.0 / 3);
    bl_free(values);
    assert_ok(bl_container_get_f64(reader, "/step/loss", &values, &count));
    assert_int_equal(count, 3);
    assert_true(values[0] == 4 && isnan(values[1]) && values[2] == -INFINITY);
    bl_free(values);
    assert_ok(bl_container_get_i64(reader, "/step/step", &integers, &count));
    assert_true(count == 3 && integers[0] == 0 && integers[1] == INT64_MAX && integers[2] == INT64_MIN);
    bl_free(integers);
    assert_ok(bl_container_get_f64(reader, "/features/labels", &values, &count)); // bytes widen
    assert_true(count == 2 && values[0] == 0 && values[1] == 255);
    bl_free(values);
    assert_ok(bl_container_get_f64(reader, "/made/f64", &values, &count));
    assert_true(count == 2 && values[0] == 1.0 / 3 && values[1] == -2);
    bl_free(values);
    assert_ok(bl_container_get_f64(reader, "/made/f32", &values, &count));
    assert_true(count == 3 && values[0] == 0 && values[1] == (double)(1.0f / 3) && values[2] == 0);
    bl_free(values);
    assert_ok(bl_container_get_f64(reader, "/step/none", &values, &count));
    assert_int_equal(count, 0);
    bl_free(values);

    int64_t dims[4];
    int rank;
    assert_ok(bl_container_dims(reader, "/weights/online/layer1.0.conv1.weight", dims, &rank));
    assert_true(rank == 4 && dims[0] == 100 && dims[1] == 2 && dims[2] == 3 && dims[3] == 5);
    assert_ok(bl_container_get_f64(reader, "/weights/online/layer1.0.conv1.weight", &values, &count));
    assert_int_equal(count, MANY);
    for (int i = 0; i < MANY; i++) assert_true(values[i] == (double)((float)i / 7));
    bl_free(values);
    bl_container_reader_close(reader);
}

static void what_is_absent_or_of_another_type_is_named(void **state) {
    fixture *here = *state;
    write_file(here->path);
    bl_container_reader *reader;
    assert_ok(bl_container_reader_open(&reader, here->path));
    assert_true(bl_container_has(reader, "/step") && bl_container_has(reader, "/step/loss"));
    assert_false(bl_container_has(reader, "/step/los") || bl_container_has(reader, "/absent/loss") || bl_container_has(reader, "/absent"));
    char *text;
    double *values;
    int64_t *integers, count;
    assert_int_not_equal(bl_container_get_f64(reader, "/absent/loss", &values, &count), BL_OK);
    assert_non_null(strstr(bl_error(), "/absent/loss"));
    assert_int_not_equal(bl_container_get_f64(reader, "/manifest/study", &values, &count), BL_OK);
    assert_non_null(strstr(bl_error(), "does not hold numbers"));
    assert_int_not_equal(bl_container_get_i64(reader, "/step/loss", &integers, &count), BL_OK);
    assert_non_null(strstr(bl_error(), "does not hold whole numbers"));
    assert_int_not_equal(bl_container_get_text(reader, "/step/loss", &text), BL_OK);
    assert_non_null(strstr(bl_error(), "is not a text"));
    bl_container_reader_close(reader);
}

static int append_name(void *context, const char *name) {
    strcat(strcat(context, name), " ");
    return BL_OK;
}

static int refuse_name(void *context, const char *name) {
    ++*(int *)context;
    return bl_fail("no %s", name);
}

static void names_are_listed_in_order_until_a_visit_fails(void **state) {
    fixture *here = *state;
    write_file(here->path);
    bl_container_reader *reader;
    assert_ok(bl_container_reader_open(&reader, here->path));
    char names[100] = "";
    assert_ok(bl_container_list(reader, "/step", append_name, names));
    assert_string_equal(names, "loss none step ");
    int visits = 0;
    assert_int_not_equal(bl_container_list(reader, "/step", refuse_name, &visits), BL_OK);
    assert_int_equal(visits, 1);
    assert_string_equal(bl_error(), "no loss");
    assert_int_not_equal(bl_container_list(reader, "/absent", append_name, names), BL_OK);
    bl_container_reader_close(reader);
}

static void plain_hdf5_opens_it_behind_the_user_block(void **state) {
    fixture *here = *state;
    write_file(here->path);
    const hid_t file = H5Fopen(here->path, H5F_ACC_RDONLY, H5P_DEFAULT);
    assert_true(file >= 0);
    const hid_t plan = H5Fget_create_plist(file);
    hsize_t user_block;
    H5Pget_userblock(plan, &user_block);
    assert_int_equal(user_block, 512);
    H5Pclose(plan);
    const hid_t set = H5Dopen2(file, "/weights/online/layer1.0.conv1.weight", H5P_DEFAULT);
    assert_true(set >= 0);
    const hid_t how = H5Dget_create_plist(set);
    assert_true(H5Pget_filter_by_id2(how, H5Z_FILTER_FLETCHER32, NULL, NULL, NULL, 0, NULL, NULL) >= 0);
    H5Pclose(how);
    H5Dclose(set);
    H5Fclose(file);
}

static void equal_contents_give_equal_bytes_at_another_time(void **state) {
    fixture *here = *state;
    void *first, *second;
    size_t first_bytes, second_bytes;
    write_file(here->path);
    assert_ok(bl_read_file(here->path, &first, &first_bytes));
    usleep(1100000); // HDF5's times have seconds
    write_file(here->path);
    assert_ok(bl_read_file(here->path, &second, &second_bytes));
    assert_int_equal(first_bytes, second_bytes);
    assert_memory_equal(first, second, first_bytes);
    bl_free(first);
    bl_free(second);
}

// Every position of the user block, a sample of the image, the last byte.
static size_t next_position(size_t at, size_t bytes) {
    if (at < 600) return at + 1;
    return at + 1 < bytes && at + 127 >= bytes ? bytes - 1 : at + 127;
}

static void truncated_at_any_length_is_refused(void **state) {
    fixture *here = *state;
    void *data;
    size_t bytes;
    write_file(here->path);
    assert_ok(bl_read_file(here->path, &data, &bytes));
    for (size_t length = 0; length < bytes; length = next_position(length, bytes)) {
        assert_ok(bl_atomic_write(here->path, data, length));
        assert_refused(here->path, "truncated");
    }
    bl_free(data);
}

static void one_flipped_bit_anywhere_is_refused(void **state) {
    fixture *here = *state;
    void *data;
    size_t bytes;
    write_file(here->path);
    assert_ok(bl_read_file(here->path, &data, &bytes));
    for (size_t at = 0; at < bytes; at = next_position(at, bytes)) {
        ((unsigned char *)data)[at] ^= 1u << at % 8;
        assert_ok(bl_atomic_write(here->path, data, bytes));
        assert_refused(here->path, at < 8 ? "not a run file" : at < 12 ? "" : at < 16 ? "damaged" : at < 24 ? "" : "damaged");
        ((unsigned char *)data)[at] ^= 1u << at % 8;
    }
    bl_free(data);
}

static void what_is_no_run_file_of_this_version_is_told_apart(void **state) {
    fixture *here = *state;
    void *data;
    size_t bytes;
    assert_refused(here->path, "");
    assert_ok(bl_atomic_write(here->path, "seed,value\n0,1\n", 15));
    assert_refused(here->path, "not a run file");
    write_file(here->path);
    assert_ok(bl_read_file(here->path, &data, &bytes));
    assert_ok(bl_atomic_write(here->path, (char *)data + 512, bytes - 512)); // HDF5, but without the block
    assert_refused(here->path, "not a run file");
    ((unsigned char *)data)[8] = 2;
    assert_ok(bl_atomic_write(here->path, data, bytes));
    assert_refused(here->path, "format version 2");
    ((unsigned char *)data)[8] = 1;
    char *longer = calloc(1, bytes + 1);
    memcpy(longer, data, bytes);
    assert_ok(bl_atomic_write(here->path, longer, bytes + 1));
    assert_refused(here->path, "damaged");
    free(longer);
    bl_free(data);
}

static int count_files(const char *folder) {
    int count = 0;
    DIR *opened = opendir(folder);
    for (struct dirent *entry; (entry = readdir(opened));) count += entry->d_name[0] != '.' || strlen(entry->d_name) > 2;
    closedir(opened);
    return count;
}

static void failed_save_keeps_the_old_file_and_leaves_nothing(void **state) {
    fixture *here = *state;
    void *before, *after;
    size_t before_bytes, after_bytes;
    write_file(here->path);
    assert_ok(bl_read_file(here->path, &before, &before_bytes));

    struct rlimit limit, small;
    getrlimit(RLIMIT_FSIZE, &limit);
    small = limit;
    small.rlim_cur = 1000; // a disk that is full after 1000 bytes
    signal(SIGXFSZ, SIG_IGN);
    bl_container_writer *writer = filled_writer();
    assert_ok(bl_container_put_text(writer, "/manifest/more", "another content"));
    setrlimit(RLIMIT_FSIZE, &small);
    const int status = bl_container_writer_save(writer, here->path);
    setrlimit(RLIMIT_FSIZE, &limit);
    assert_int_not_equal(status, BL_OK);
    bl_container_writer_free(writer);

    assert_ok(bl_read_file(here->path, &after, &after_bytes));
    assert_int_equal(before_bytes, after_bytes);
    assert_memory_equal(before, after, before_bytes);
    assert_int_equal(count_files(here->folder), 1);
    bl_free(before);
    bl_free(after);
}

static void history_comes_back_and_is_found_by_row_id_and_epoch(void **state) {
    fixture *here = *state;
    bl_history history = {0}, back = {0};
    for (int i = 0; i < 200; i++) {
        const bl_step_row row = {.step = i * 10, .epoch = i * .25, .loss = 4. / (i + 1), .std = .8, .learning_rate = 3e-4,
                                 .tau = .99, .std_ratio = i ? .5 : 1};
        assert_ok(bl_history_add_step(&history, &row));
    }
    for (int epoch = 0; epoch < 70; epoch++) {
        bl_measurement row = {.row = "knn/k1_cv/test", .id = "0123456789abcdef", .epoch = epoch, .value = 20 + epoch};
        assert_ok(bl_history_add_measurement(&history, &row));
        strcpy(row.id, "fedcba9876543210");
        row.value = 0;
        assert_ok(bl_history_add_measurement(&history, &row));
    }
    bl_container_writer *writer;
    assert_ok(bl_container_writer_create(&writer));
    assert_ok(bl_history_put(&history, writer));
    assert_ok(bl_container_writer_save(writer, here->path));
    bl_container_writer_free(writer);

    bl_container_reader *reader;
    assert_ok(bl_container_reader_open(&reader, here->path));
    assert_ok(bl_history_get(&back, reader));
    bl_container_reader_close(reader);
    assert_int_equal(back.step_count, 200);
    for (int i = 0; i < 200; i++) assert_memory_equal(&back.steps[i], &history.steps[i], sizeof *back.steps);
    assert_int_equal(back.measurement_count, 140);
    for (int i = 0; i < 140; i++) {
        const bl_measurement *read = &back.measurements[i], *put = &history.measurements[i];
        assert_string_equal(read->row, put->row);
        assert_string_equal(read->id, put->id);
        assert_true(read->epoch == put->epoch && read->value == put->value);
    }

    const bl_measurement *found = bl_history_find(&back, "knn/k1_cv/test", "0123456789abcdef", 13);
    assert_non_null(found);
    assert_true(found->value == 33);
    assert_null(bl_history_find(&back, "knn/k1_cv/test", "0123456789abcdef", 70));
    assert_null(bl_history_find(&back, "knn/k1_cv/train", "0123456789abcdef", 13));
    bl_history_free(&history);
    bl_history_free(&back);
}

static void empty_history_comes_back_empty(void **state) {
    fixture *here = *state;
    bl_history none = {0};
    bl_container_writer *writer;
    assert_ok(bl_container_writer_create(&writer));
    assert_ok(bl_history_put(&none, writer));
    assert_ok(bl_container_writer_save(writer, here->path));
    assert_int_not_equal(bl_container_put_text(writer, "/manifest/late", "x"), BL_OK); // spent
    bl_container_writer_free(writer);
    bl_container_reader *reader;
    assert_ok(bl_container_reader_open(&reader, here->path));
    assert_ok(bl_history_get(&none, reader));
    assert_int_equal(none.step_count, 0);
    assert_int_equal(none.measurement_count, 0);
    bl_container_reader_close(reader);
    bl_history_free(&none);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_put_comes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_absent_or_of_another_type_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_are_listed_in_order_until_a_visit_fails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(plain_hdf5_opens_it_behind_the_user_block, set_up, tear_down),
        cmocka_unit_test_setup_teardown(equal_contents_give_equal_bytes_at_another_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(truncated_at_any_length_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_flipped_bit_anywhere_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_run_file_of_this_version_is_told_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(failed_save_keeps_the_old_file_and_leaves_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(history_comes_back_and_is_found_by_row_id_and_epoch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(empty_history_comes_back_empty, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
