// golden_marks.h - whole networks in small golden files, as tests/golden/marks.py writes them: tensors by name, and marks in place of
// a tensor's values (its products with two directions).

#ifndef BL_TESTS_GOLDEN_MARKS_H
#define BL_TESTS_GOLDEN_MARKS_H

#include <hdf5.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/backend.h"
#include "support.h"

#define GOLDEN_NAME 64
enum { MARKS = 2 };

// ---- reading ----

static inline double *golden_values(const char *file, int64_t *count, const char *format, ...) __attribute__((format(printf, 3, 4)));
static inline double *golden_values(const char *file, int64_t *count, const char *format, ...) {
    char path[256];
    int64_t ignored;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(path, sizeof path, format, arguments);
    va_end(arguments);
    return bl_test_golden(file, path, count ? count : &ignored);
}

typedef char golden_name[GOLDEN_NAME]; // "online/layer1.0.conv1.weight"

static inline golden_name *golden_names(const char *file, const char *group, int64_t *count) {
    char path[256];
    snprintf(path, sizeof path, "%s/tests/golden/%s", bl_test_source(), file);
    const hid_t opened = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    snprintf(path, sizeof path, "%s/names", group);
    const hid_t set = opened < 0 ? -1 : H5Dopen2(opened, path, H5P_DEFAULT);
    if (set < 0) fail_msg("%s has no data set %s", file, path);
    const hid_t space = H5Dget_space(set), text = H5Tcopy(H5T_C_S1);
    *count = H5Sget_simple_extent_npoints(space);
    golden_name *names = calloc((size_t)*count, sizeof *names);
    assert_non_null(names);
    const bool is_read = H5Tset_size(text, GOLDEN_NAME) >= 0 && H5Dread(set, text, H5S_ALL, H5S_ALL, H5P_DEFAULT, names) >= 0;
    if (!is_read) fail_msg("cannot read %s", path);
    H5Tclose(text);
    H5Sclose(space);
    H5Dclose(set);
    H5Fclose(opened);
    return names;
}

// ---- places ----

// Where "network/segment" lives: a parameter or a running statistic. false: there is no such network; a missing segment fails.
static inline bool golden_place(const bl_layout *layout, const char *name, bl_place *place) {
    char network[GOLDEN_NAME];
    const char *segment = strchr(name, '/') + 1;
    snprintf(network, sizeof network, "%.*s", (int)(segment - 1 - name), name);
    const int n = bl_layout_find_network(layout, network);
    if (n < 0) return false;
    for (int kind = 0; kind < 2; kind++) {
        const bl_block_kind block = kind ? BL_BUFFERS : BL_PARAMETERS;
        const int s = bl_segments_find(bl_network_segments(&layout->networks[n], block), segment);
        *place = (bl_place){n, block, s};
        if (s >= 0) return true;
    }
    fail_msg("network '%s' has no segment '%s'", network, segment);
    return false;
}

// Writes every tensor of a group whose network is there, and returns how many that were.
static inline int write_golden(bl_store *store, const char *file, const char *group) {
    int64_t names_count, values_count, at = 0;
    golden_name *names = golden_names(file, group, &names_count);
    double *counts = golden_values(file, NULL, "%s/counts", group), *values = golden_values(file, &values_count, "%s/values", group);
    int written = 0;
    for (int64_t i = 0; i < names_count; at += (int64_t)counts[i++]) {
        bl_place place;
        if (!golden_place(store->layout, names[i], &place)) continue;
        if ((int64_t)bl_place_count(store->layout, place) != (int64_t)counts[i])
            fail_msg("%s has %zu values, PyTorch's %g", names[i], bl_place_count(store->layout, place), counts[i]);
        assert_ok(bl_store_write(store, place, values + at));
        written++;
    }
    assert_int_equal(at, values_count);
    free(names);
    free(counts);
    free(values);
    return written;
}

// ---- marks ----

typedef struct golden_mark {
    double norm, products[MARKS];
} golden_mark;

static inline golden_mark mark_place(const bl_store *store, bl_place place) {
    const size_t count = bl_place_count(store->layout, place);
    double *values = malloc(count * sizeof *values);
    golden_mark mark = {0};
    assert_non_null(values);
    assert_ok(bl_store_read(store, place, values));
    for (size_t i = 0; i < count; i++) {
        mark.norm += values[i] * values[i];
        for (int j = 0; j < MARKS; j++) mark.products[j] += values[i] * cos((j + 1) * (double)(i + 1));
    }
    mark.norm = sqrt(mark.norm);
    free(values);
    return mark;
}

// Holds every tensor of a group against its marks; `gradients`: its gradient instead of its values. The error is relative to the tensor's
// norm, or to `floor` times all tensors' where that is more: a bias before batch norm has true gradient 0 and nothing but rounding
// to compare. Returns the number of tensors.
static inline int expect_marks(const bl_store *store, const char *file, const char *group, bool gradients, double floor, double allowed) {
    int64_t count;
    golden_name *names = golden_names(file, group, &count);
    double *truth = golden_values(file, NULL, "%s/marks", group), squares = 0;
    golden_mark *ours = malloc((size_t)count * sizeof *ours);
    assert_non_null(ours);
    for (int64_t i = 0; i < count; i++) {
        bl_place place;
        if (!golden_place(store->layout, names[i], &place)) fail_msg("there is no network of %s", names[i]);
        if (gradients) place.block = BL_GRADIENTS;
        ours[i] = mark_place(store, place);
        squares += ours[i].norm * ours[i].norm;
    }
    assert_true(squares > 0);
    for (int64_t i = 0; i < count; i++) {
        const double off = bl_test_worst(ours[i].products, truth + i * MARKS, MARKS), scale = fmax(ours[i].norm, floor * sqrt(squares));
        if (!(off <= allowed * scale))
            fail_msg("%s of %s is off by %.3g, at most %.0e", gradients ? "gradient" : "value", names[i], off / scale, allowed);
    }
    free(names);
    free(truth);
    free(ours);
    return (int)count;
}

// ---- the batch of a step, as step.py's views_at makes it ----

typedef struct golden_images {
    double *views[2]; // [count, S, S, 3]
    int64_t count;
    int size;
} golden_images;

static inline golden_images read_golden_images(const char *file, int size) {
    golden_images images = {.size = size};
    int64_t values;
    images.views[0] = golden_values(file, &values, "images/view1");
    images.views[1] = golden_values(file, &values, "images/view2");
    images.count = values / (3 * size * size);
    return images;
}

static inline void free_golden_images(golden_images *images) {
    for (int view = 0; view < 2; view++) free(images->views[view]);
}

// dst[r][c] = src[r - down][c - right], around the edges, as numpy.roll.
static inline void roll_image(const double *src, double *dst, int size, int down, int right) {
    for (int r = 0; r < size; r++)
        for (int c = 0; c < size; c++) {
            const int from_r = (r + size - down % size) % size, from_c = (c + size - right % size) % size;
            memcpy(dst + (r * size + c) * 3, src + (from_r * size + from_c) * 3, 3 * sizeof *dst);
        }
}

// The views of all images at a step, one after another: view 1 alone, or both.
static inline double *golden_batch(const golden_images *images, int views, int step) {
    const int64_t values = 3 * images->size * images->size;
    double *rows = malloc((size_t)(views * images->count * values) * sizeof *rows);
    assert_non_null(rows);
    for (int view = 0; view < views; view++)
        for (int64_t i = 0; i < images->count; i++)
            roll_image(images->views[view] + i * values, rows + (view * images->count + i) * values, images->size,
                       view ? 2 * step : step, view ? step : 3 * step);
    return rows;
}

// ---- programs of golden cases ----

typedef struct golden_option { // what a test assumes of its file
    const char *name;
    double value;
} golden_option;

static inline void assert_options(const char *file, const golden_option *options, size_t count) {
    for (size_t i = 0; i < count; i++) {
        double *value = golden_values(file, NULL, "options/%s", options[i].name);
        if (*value != options[i].value) fail_msg("%s is %g in the file, %g here", options[i].name, *value, options[i].value);
        free(value);
    }
}

#endif
