// forged.h - run files that somebody changed and whose digest was made anew: what the digest cannot tell of.

#ifndef BL_TESTS_FORGED_H
#define BL_TESTS_FORGED_H

#include <hdf5.h>
#include <string.h>

#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"
#include "support.h"

// The file on disk, opened by HDF5 itself to be changed.
static inline hid_t forge(const char *path) {
    const hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    assert_true(file >= 0);
    return file;
}

// Closes it and makes length and digest those of its bytes (container_parts.h has the user block).
static inline void pass_off(hid_t file, const char *path) {
    void *data;
    size_t bytes;
    bl_digest digest;
    assert_true(H5Fclose(file) >= 0);
    assert_ok(bl_read_file(path, &data, &bytes));
    unsigned char *block = data;
    for (int i = 0; i < 8; i++) block[16 + i] = (unsigned char)((uint64_t)(bytes - 512) >> (8 * i));
    bl_digest_begin(&digest);
    bl_digest_add(&digest, block + 512, bytes - 512);
    bl_digest_end(&digest, block + 24);
    assert_ok(bl_atomic_write(path, data, bytes));
    bl_free(data);
}

// Puts other values of the same type and extent into a data set.
static inline void forge_values(const char *path, const char *name, hid_t type, const void *values) {
    const hid_t file = forge(path), set = H5Dopen2(file, name, H5P_DEFAULT);
    assert_true(set >= 0 && H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Dclose(set);
    pass_off(file, path);
}

static inline void forge_i64(const char *path, const char *name, int64_t value) { forge_values(path, name, H5T_NATIVE_INT64, &value); }
static inline void forge_f64(const char *path, const char *name, double value) { forge_values(path, name, H5T_NATIVE_DOUBLE, &value); }

#endif
