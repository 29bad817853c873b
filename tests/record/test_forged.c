// Run files that somebody made: their digest is right, and what they say of themselves is not. Whatever a run file never holds is refused
// before memory is taken for it, and no reader of one believes a count that cannot be.

#include <math.h>
#include <stdio.h>

#include "forged.h"
#include "record/container.h"
#include "record/history_file.h"
#include "record/stretches.h"

static char path[512];

static int set_up(void **state) {
    (void)state;
    snprintf(path, sizeof path, "%s/seed-0.reference.h5", bl_test_here());
    return 0;
}

// ---- data sets as no writer makes them ----

enum { MANY = 3000 };

static void write_plain(void) {
    static double many[MANY];
    bl_container_writer *writer;
    assert_ok(bl_container_writer_create(&writer));
    assert_ok(bl_container_put_text(writer, "/group/text", "a text"));
    assert_ok(bl_container_put_i64(writer, "/group/steps", (int64_t[]){1, 2, 3}, (int64_t[]){3}, 1));
    assert_ok(bl_container_put_f64(writer, "/group/many", many, (int64_t[]){MANY}, 1));
    assert_ok(bl_container_writer_save(writer, path));
    bl_container_writer_free(writer);
}

// Makes /group/x, of nothing but zeros.
typedef struct forgery {
    const char *name, *says; // behind "FILE: damaged: /group/x "
    hid_t type;              // 0: f64
    int rank;                // -1: no space at all
    hsize_t extent[5], chunk[5];
    hid_t (*type_of)(void);
    void (*plan)(hid_t plan);
    bool is_written;
} forgery;

static hid_t text_of(size_t size, H5T_str_t padding) {
    const hid_t type = H5Tcopy(H5T_C_S1);
    assert_true(type >= 0 && H5Tset_size(type, size) >= 0 && H5Tset_strpad(type, padding) >= 0);
    return type;
}

static hid_t fixed_text(void) { return text_of(500, H5T_STR_NULLTERM); }
static hid_t variable_text(void) { return text_of(H5T_VARIABLE, H5T_STR_NULLTERM); }
static hid_t spaced_text(void) { return text_of(7, H5T_STR_SPACEPAD); }
static hid_t long_text(void) { return text_of((size_t)1 << 30, H5T_STR_NULLTERM); }
static hid_t pair(void) {
    const hid_t type = H5Tcreate(H5T_COMPOUND, 16);
    assert_true(H5Tinsert(type, "a", 0, H5T_IEEE_F64LE) >= 0 && H5Tinsert(type, "b", 8, H5T_IEEE_F64LE) >= 0);
    return type;
}
static hid_t row_of_numbers(void) { return H5Tarray_create2(H5T_IEEE_F64LE, 1, (hsize_t[]){4}); }
static hid_t byte_signed(void) { return H5Tcopy(H5T_STD_I8LE); }
static hid_t big_endian(void) { return H5Tcopy(H5T_IEEE_F64BE); }
static hid_t one_byte(void) { return H5Tcopy(H5T_STD_U8LE); }

static void compressed(hid_t plan) { assert_true(H5Pset_deflate(plan, 9) >= 0); }
static void shuffled(hid_t plan) { assert_true(H5Pset_shuffle(plan) >= 0 && H5Pset_fletcher32(plan) >= 0); }
static void checked(hid_t plan) { assert_true(H5Pset_fletcher32(plan) >= 0); }
static void compact(hid_t plan) { assert_true(H5Pset_layout(plan, H5D_COMPACT) >= 0); }
static void in_another_file(hid_t plan) { assert_true(H5Pset_external(plan, "/etc/passwd", 0, 24) >= 0); }

static const char wrong_type[] = "is of a type that no run file holds", too_many[] = "claims more values than the file has bytes for",
                  stored_otherwise[] = "is not stored as a run file stores it";

static const forgery forgeries[] = {
    {"a text of many elements", NULL, .rank = 1, .extent = {300}, .type_of = fixed_text, .is_written = true},
    {"a text without an end", wrong_type, .type_of = spaced_text, .is_written = true},
    {"a text elsewhere in the file", wrong_type, .type_of = variable_text, .is_written = false},
    {"a text of a gibibyte", too_many, .type_of = long_text},
    {"pairs", wrong_type, .rank = 1, .extent = {2}, .type_of = pair, .is_written = true},
    {"rows", wrong_type, .rank = 1, .extent = {2}, .type_of = row_of_numbers, .is_written = true},
    {"signed bytes", wrong_type, .rank = 1, .extent = {2}, .type_of = byte_signed, .is_written = true},
    {"the other byte order", wrong_type, .rank = 1, .extent = {2}, .type_of = big_endian, .is_written = true},
    {"no space", too_many, .rank = -1},
    {"five dimensions", too_many, .rank = 5, .extent = {1, 1, 1, 1, 1}, .is_written = true},
    {"64 GiB", too_many, .rank = 1, .extent = {(hsize_t)1 << 33}, .chunk = {1024}},
    {"a size that wraps around", too_many, .rank = 1, .extent = {(hsize_t)1 << 61}, .chunk = {1024}, .type_of = one_byte},
    {"a product that wraps around", too_many, .rank = 4, .extent = {1 << 16, 1 << 16, 1 << 16, 1 << 16}, .chunk = {1, 1, 1, 1024}},
    {"chunks that are not there", stored_otherwise, .rank = 1, .extent = {1024}, .chunk = {512}, .plan = checked},
    {"chunks without a checksum", stored_otherwise, .rank = 1, .extent = {1024}, .chunk = {512}, .is_written = true},
    {"compressed", stored_otherwise, .rank = 1, .extent = {1024}, .chunk = {512}, .plan = compressed, .is_written = true},
    {"shuffled", stored_otherwise, .rank = 1, .extent = {1024}, .chunk = {512}, .plan = shuffled, .is_written = true},
    {"chunks of parts of rows", stored_otherwise, .rank = 2, .extent = {16, 16}, .chunk = {8, 8}, .plan = checked, .is_written = true},
    {"in its own header", stored_otherwise, .rank = 1, .extent = {3}, .plan = compact, .is_written = true},
    {"in another file", stored_otherwise, .rank = 1, .extent = {3}, .plan = in_another_file},
    {"never written", stored_otherwise, .rank = 1, .extent = {3}},
};

static void make(hid_t file, const forgery *f) {
    static double zeros[1 << 15];
    const hid_t plan = H5Pcreate(H5P_DATASET_CREATE), type = f->type_of ? f->type_of() : H5Tcopy(H5T_IEEE_F64LE);
    const hid_t space = f->rank < 0 ? H5Screate(H5S_NULL) : f->rank ? H5Screate_simple(f->rank, f->extent, NULL) : H5Screate(H5S_SCALAR);
    if (f->chunk[0]) assert_true(H5Pset_chunk(plan, f->rank, f->chunk) >= 0);
    if (f->plan) f->plan(plan);
    const hid_t set = H5Dcreate2(file, "/group/x", type, space, H5P_DEFAULT, plan, H5P_DEFAULT);
    assert_true(set >= 0);
    if (f->is_written) assert_true(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, zeros) >= 0);
    H5Dclose(set);
    H5Sclose(space);
    H5Tclose(type);
    H5Pclose(plan);
}

static bl_container_reader *opened(void) {
    bl_container_reader *reader;
    assert_ok(bl_container_reader_open(&reader, path));
    return reader;
}

// By every way of reading it.
static void assert_refused(const char *name, const char *says) {
    bl_container_reader *reader = opened();
    char *text;
    double *values, one;
    int64_t *integers, whole, count, dims[4];
    int rank;
    const int refused[] = {bl_container_get_text(reader, name, &text),           bl_container_get_f64(reader, name, &values, &count),
                           bl_container_get_i64(reader, name, &integers, &count), bl_container_read_f64(reader, name, &one, 1),
                           bl_container_read_i64(reader, name, &whole, 1)};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) assert_int_not_equal(refused[i], BL_OK);
    if (says) {
        char expected[1024];
        snprintf(expected, sizeof expected, "%s: damaged: %s %s", path, name, says);
        assert_int_not_equal(bl_container_dims(reader, name, dims, &rank), BL_OK);
        bl_test_holds(bl_error(), expected);
    }
    bl_container_reader_close(reader);
}

static void what_no_run_file_holds_is_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof forgeries / sizeof *forgeries; i++) {
        print_message("    %s\n", forgeries[i].name);
        write_plain();
        const hid_t file = forge(path);
        make(file, &forgeries[i]);
        pass_off(file, path);
        assert_refused("/group/x", forgeries[i].says);
    }
}

static void a_virtual_data_set_is_refused(void **state) {
    (void)state;
    write_plain();
    const hid_t file = forge(path), plan = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(1, (hsize_t[]){3}, NULL);
    assert_true(H5Pset_virtual(plan, space, ".", "/group/steps", space) >= 0);
    const hid_t set = H5Dcreate2(file, "/group/x", H5T_IEEE_F64LE, space, H5P_DEFAULT, plan, H5P_DEFAULT);
    assert_true(set >= 0);
    H5Dclose(set);
    H5Sclose(space);
    H5Pclose(plan);
    pass_off(file, path);
    assert_refused("/group/x", stored_otherwise);
}

// HDF5 takes a chunk's size from the file, and the room for it from the data set.
static void a_chunk_that_is_shorter_than_its_values_is_refused(void **state) {
    (void)state;
    static const unsigned char bytes[4096];
    const forgery without = {.rank = 1, .extent = {1024}, .chunk = {512}, .plan = checked, .type_of = NULL};
    for (size_t size = 20; size <= 4096; size *= 2) { // 4100 would be right
        write_plain();
        const hid_t file = forge(path);
        make(file, &without);
        const hid_t set = H5Dopen2(file, "/group/x", H5P_DEFAULT);
        for (hsize_t at = 0; at < 1024; at += 512) assert_true(H5Dwrite_chunk(set, H5P_DEFAULT, 0, &at, size, bytes) >= 0);
        H5Dclose(set);
        pass_off(file, path);
        assert_refused("/group/x", stored_otherwise);
    }
}

static void links_lead_nowhere_else(void **state) {
    (void)state;
    static const char link[] = "is a link to elsewhere";
    write_plain();
    const hid_t file = forge(path);
    assert_true(H5Lcreate_soft("/group/steps", file, "/group/soft", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    assert_true(H5Lcreate_soft("/group/nothing", file, "/group/dangling", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    assert_true(H5Lcreate_soft("/group", file, "/other", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    assert_true(H5Lcreate_external("other.h5", "/group/steps", file, "/group/external", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    pass_off(file, path);
    assert_refused("/group/soft", link);
    assert_refused("/group/dangling", link);
    assert_refused("/group/external", link);
    assert_refused("/other/steps", link);
}

static int count_name(void *context, const char *name) {
    (void)name;
    ++*(int *)context;
    return BL_OK;
}

static void names_that_no_run_file_has_are_not_listed(void **state) {
    (void)state;
    char name[300] = "/group/";
    memset(name + 7, 'x', 200);
    const char *const names[] = {"/group/a name", "/group/two\nlines", "/group/\xff", name, "/group/soft"};
    for (int i = 0; i < 5; i++) {
        int visits = 0;
        write_plain();
        const hid_t file = forge(path);
        if (i == 4) assert_true(H5Lcreate_soft("/group/steps", file, names[i], H5P_DEFAULT, H5P_DEFAULT) >= 0);
        else {
            const hid_t group = H5Gcreate2(file, names[i], H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
            assert_true(group >= 0);
            H5Gclose(group);
        }
        pass_off(file, path);
        bl_container_reader *reader = opened();
        assert_int_not_equal(bl_container_list(reader, "/group", count_name, &visits), BL_OK);
        bl_test_holds(bl_error(), "damaged: it holds a name that no run file has");
        bl_container_reader_close(reader);
    }
}

static void a_text_ends_where_it_says(void **state) {
    (void)state;
    write_plain();
    const hid_t type = text_of(7, H5T_STR_NULLTERM);
    assert_true(H5Tset_cset(type, H5T_CSET_UTF8) >= 0);
    forge_values(path, "/group/text", type, "a\0text"); // whoever reads it would see "a"
    H5Tclose(type);
    bl_container_reader *reader = opened();
    char *text;
    assert_int_not_equal(bl_container_get_text(reader, "/group/text", &text), BL_OK);
    bl_test_holds(bl_error(), "damaged: /group/text ends before its end");
    bl_container_reader_close(reader);
}

static void exactly_as_many_values_as_are_asked_for(void **state) {
    (void)state;
    write_plain();
    bl_container_reader *reader = opened();
    int64_t steps[3];
    double numbers[3];
    assert_ok(bl_container_read_i64(reader, "/group/steps", steps, 3));
    assert_ok(bl_container_read_f64(reader, "/group/steps", numbers, 3));
    assert_true(steps[2] == 3 && numbers[1] == 2);
    assert_int_not_equal(bl_container_read_i64(reader, "/group/steps", steps, 2), BL_OK);
    bl_test_holds(bl_error(), "damaged: /group/steps holds 3 values, not 2");
    bl_container_reader_close(reader);
}

// ---- counts that cannot be ----

static void write_run(void) {
    bl_history history = {0};
    bl_stretch past[1] = {{.first = 1, .last = 20, .threads = 2, .until = 1796060040, .hours = .5, .commit = "abc"}};
    const bl_stretches stretches = {.past = past, .past_count = 1};
    bl_container_writer *writer;
    assert_ok(bl_history_add_step(&history, &(bl_step_row){.step = 10, .epoch = 1, .loss = 2, .std = .5, .std_ratio = 1, .learning_rate = .1, .tau = .9}));
    assert_ok(bl_history_add_collapse(&history, &(bl_collapse_row){.step = 10, .epoch = 1, .loss = 2}));
    assert_ok(bl_history_add_measurement(&history, &(bl_measurement){.row = "knn/k1/test", .id = "0123456789abcdef", .epoch = 2, .value = 50}));
    assert_ok(bl_history_add_look(&history, &(bl_look){.row = "segmentation/random/val", .id = "0123456789abcdef", .step = 5}));
    bl_scene_picture picture = {.row = "segmentation/random/val", .id = "0123456789abcdef", .scene = "val/a/b", .width = 1, .height = 1};
    picture.image = bl_alloc(3);
    picture.truth = bl_alloc(1);
    picture.prediction = bl_alloc(1);
    assert_ok(bl_history_add_picture(&history, &picture));
    assert_ok(bl_container_writer_create(&writer));
    assert_ok(bl_history_put(&history, writer));
    assert_ok(bl_stretches_put(&stretches, 20, 1, writer));
    assert_ok(bl_container_writer_save(writer, path));
    bl_container_writer_free(writer);
    bl_history_free(&history);
}

static int read_run(void) {
    bl_history history = {0};
    bl_stretches stretches = {0};
    bl_container_reader *reader = opened();
    const int status = bl_history_get(&history, reader) || bl_history_check(&history, reader, 2, 20) || bl_stretches_get(&stretches, reader);
    bl_container_reader_close(reader);
    bl_history_free(&history);
    bl_stretches_free(&stretches);
    return status;
}

static void counts_that_cannot_be_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *name, *says;
        bool is_whole;
        double value;
    } cases[] = {
        {"/step/step", "row 0 of /step is no step of a run", true, -1},
        {"/step/step", "steps beyond the end of its run", true, 21},
        {"/step/epoch", "row 0 of /step is no step of a run", false, NAN},
        {"/step/epoch", "row 0 of /step is no step of a run", false, -1},
        {"/step/epoch", "steps beyond the end of its run", false, 2.5},
        {"/step/loss", "row 0 of /step is no step of a run", false, NAN},
        {"/collapse/step", "row 0 of /collapse is no diagnosis of a run", true, -1},
        {"/collapse/step", "steps beyond the end of its run", true, 1e15},
        {"/collapse/epoch", "row 0 of /collapse is no diagnosis of a run", false, INFINITY},
        {"/collapse/verdict", "which is no verdict", true, BL_VERDICTS},
        {"/collapse/verdict", "which is no verdict", true, -1},
        {"/evaluation/epoch", "/evaluation/epoch holds -1", true, -1},
        {"/evaluation/epoch", "/evaluation/epoch holds 4294967298", true, 4294967298}, // 2, cut to 32 bits
        {"/evaluation/epoch", "a measurement after epoch 3 of 2", true, 3},
        {"/evaluation/value", "row 0 of /evaluation holds no percentage", false, 101},
        {"/evaluation/value", "row 0 of /evaluation holds no percentage", false, -1},
        {"/evaluation/validation", "row 0 of /evaluation holds no percentage", false, INFINITY},
        {"/segmentation/look/step", "row 0 of /segmentation/look is no look of a fit", true, -1},
        {"/segmentation/look/held_out", "row 0 of /segmentation/look is no look of a fit", true, 2},
        {"/segmentation/look/accuracy", "row 0 of /segmentation/look holds what no look sees", false, INFINITY},
        {"/segmentation/picture/0/truth", "which is no class", true, BL_SCENE_CLASSES},
        {"/segmentation/picture/0/prediction", "which is no class", true, 254},
        {"/timing/stretches/first", "row 0 of /timing/stretches is no stretch of a run", true, 0},
        {"/timing/stretches/last", "row 0 of /timing/stretches is no stretch of a run", true, 0},
        {"/timing/stretches/threads", "row 0 of /timing/stretches is no stretch of a run", true, -1},
        {"/timing/stretches/hours", "row 0 of /timing/stretches is no stretch of a run", false, NAN},
    };
    write_run();
    assert_ok(read_run());
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        print_message("    %s: %g\n", cases[i].name, cases[i].value);
        write_run();
        if (cases[i].is_whole) forge_i64(path, cases[i].name, (int64_t)cases[i].value);
        else forge_f64(path, cases[i].name, cases[i].value);
        assert_int_not_equal(read_run(), BL_OK);
        bl_test_holds(bl_error(), ".h5: damaged: ");
        bl_test_holds(bl_error(), cases[i].says);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_no_run_file_holds_is_refused, set_up, bl_test_leave),
        cmocka_unit_test_setup_teardown(a_virtual_data_set_is_refused, set_up, bl_test_leave),
        cmocka_unit_test_setup_teardown(a_chunk_that_is_shorter_than_its_values_is_refused, set_up, bl_test_leave),
        cmocka_unit_test_setup_teardown(links_lead_nowhere_else, set_up, bl_test_leave),
        cmocka_unit_test_setup_teardown(names_that_no_run_file_has_are_not_listed, set_up, bl_test_leave),
        cmocka_unit_test_setup_teardown(a_text_ends_where_it_says, set_up, bl_test_leave),
        cmocka_unit_test_setup_teardown(exactly_as_many_values_as_are_asked_for, set_up, bl_test_leave),
        cmocka_unit_test_setup_teardown(counts_that_cannot_be_are_refused, set_up, bl_test_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
