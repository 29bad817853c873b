// PNG files as other programs leave them, and damaged in every bit: a file is refused, or it decodes to the picture it holds.

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "datasets/scenes/png.h"
#include "support.h"

enum { SIDE = 12 };

static const char *path_in(const char *name) {
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", bl_test_here(), name);
    return path;
}

static void write_file(const char *name, const void *bytes, size_t count) {
    FILE *file = fopen(path_in(name), "wb"); // bl_atomic_write waits for the disk, thousands of times
    assert_true(file && fwrite(bytes, 1, count, file) == count && !fclose(file));
}

// A picture with something in it; its file's bytes are bl_free'd.
static uint8_t *make_file(int channels, uint8_t *pixels, size_t *bytes) {
    void *file;
    for (int i = 0; i < SIDE * SIDE * channels; i++) pixels[i] = (uint8_t)(i * i / 7 + i % 5);
    assert_ok(bl_png_save(path_in("whole.png"), pixels, SIDE, SIDE, channels));
    assert_ok(bl_read_file(path_in("whole.png"), &file, bytes));
    return file;
}

static bool is_read(const char *name, uint8_t *pixels) {
    bl_png png;
    return !bl_png_look(path_in(name), &png) && png.width == SIDE && png.height == SIDE && !bl_png_read(path_in(name), &png, pixels);
}

static void file_in_which_any_bit_changed_is_refused(void **state) {
    (void)state;
    for (int channels = 1; channels <= 3; channels += 2) {
        uint8_t pixels[3 * SIDE * SIDE], decoded[3 * SIDE * SIDE];
        size_t bytes;
        uint8_t *file = make_file(channels, pixels, &bytes);
        assert_true(is_read("whole.png", decoded));
        assert_memory_equal(decoded, pixels, (size_t)(SIDE * SIDE * channels));
        for (size_t bit = 0; bit < 8 * bytes; bit++) {
            file[bit / 8] ^= (uint8_t)(1 << bit % 8);
            write_file("changed.png", file, bytes);
            if (is_read("changed.png", decoded)) fail_msg("bit %zu of %zu changed, and nothing was said", bit, 8 * bytes);
            file[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        bl_free(file);
    }
}

static void file_that_is_cut_anywhere_is_refused(void **state) {
    (void)state;
    uint8_t pixels[SIDE * SIDE], decoded[SIDE * SIDE];
    size_t bytes;
    uint8_t *file = make_file(1, pixels, &bytes);
    for (size_t count = 0; count < bytes; count++) {
        write_file("cut.png", file, count);
        assert_false(is_read("cut.png", decoded));
        bl_test_holds(bl_error(), count < 65 ? "too few for a PNG file" : "truncated: it does not end as a PNG file does");
    }
    bl_free(file);
}

static void bytes_behind_the_end_are_no_part_of_the_picture(void **state) {
    (void)state;
    uint8_t pixels[SIDE * SIDE], decoded[SIDE * SIDE];
    size_t bytes;
    uint8_t *file = make_file(1, pixels, &bytes), *longer = calloc(1, 2 * bytes);
    static const size_t more[] = {1, 11, 12, 16, 33, 64};
    memcpy(longer, file, bytes);
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        memset(decoded, 0, sizeof decoded);
        write_file("longer.png", longer, bytes + more[i]);
        assert_true(is_read("longer.png", decoded));
        assert_memory_equal(decoded, pixels, sizeof pixels);
    }
    memcpy(longer + bytes, file, bytes); // another picture behind it
    write_file("longer.png", longer, 2 * bytes);
    assert_true(is_read("longer.png", decoded));
    longer[bytes / 2] ^= 4; // what is damaged is still found, and called so
    write_file("longer.png", longer, bytes + 16);
    assert_false(is_read("longer.png", decoded));
    bl_test_holds(bl_error(), "damaged");
    free(longer);
    bl_free(file);
}

static void file_of_another_kind_is_called_by_it(void **state) {
    (void)state;
    static const struct {
        const char *bytes, *says;
        int count;
    } cases[] = {
        {"\xff\xd8\xff\xe0\0\x10JFIF", "not a PNG file: it begins as a JPEG file does", 10},
        {"GIF89a", "begins as a GIF file does", 6},
        {"RIFF\x10\0\0\0WEBPVP8", "begins as a WebP file does", 15},
        {"version https://git-lfs.github.com/spec/v1\n", "begins as a Git LFS pointer file does", 43},
        {"<html>", "not a PNG file", 6},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char bytes[100] = {0};
        bl_png png;
        memcpy(bytes, cases[i].bytes, (size_t)cases[i].count);
        write_file("other.png", bytes, sizeof bytes);
        assert_int_equal(bl_png_look(path_in("other.png"), &png), BL_FAILED);
        bl_test_holds(bl_error(), cases[i].says);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(file_in_which_any_bit_changed_is_refused),
        cmocka_unit_test(file_that_is_cut_anywhere_is_refused),
        cmocka_unit_test(bytes_behind_the_end_are_no_part_of_the_picture),
        cmocka_unit_test(file_of_another_kind_is_called_by_it),
    };
    return cmocka_run_group_tests(tests, NULL, bl_test_leave);
}
