// container.c - writing: see container.h. The HDF5 image lives in the core driver without backing store; the user block is ours.
//
// What is put is kept until the writer is saved: only then does HDF5 see it.
//
// HDF5 strips a user block of its own from a file image, and its old-style metadata carries no checksum: so the 512 bytes in
// front are written here, and their digest covers the whole image.

#include "record/container.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "record/container_parts.h"

enum {
    CHECKSUM_FROM = 64,       // values; below that a data set is stored whole, without the chunks fletcher32 needs
    CHUNK_BYTES = 1 << 20,
};

typedef struct held { // one data set, as it was put
    struct held *next;
    char *path;
    bl_value_kind kind;
    int rank;
    hsize_t extent[4], count; // of a text: its bytes, with the end
    void *values;             // owned
} held;

struct bl_container_writer {
    held *first, **end;
    bool is_saved;
};

// ---- writing: what is put ----

int bl_container_writer_create(bl_container_writer **out) {
    bl_container_writer *writer = bl_alloc(sizeof *writer);
    if (!writer) return BL_FAILED;
    writer->end = &writer->first;
    *out = writer;
    return BL_OK;
}

static void free_first(bl_container_writer *writer) {
    held *set = writer->first;
    writer->first = set->next;
    bl_free(set->path);
    bl_free(set->values);
    bl_free(set);
}

void bl_container_writer_free(bl_container_writer *writer) {
    if (!writer) return;
    while (writer->first) free_first(writer);
    bl_free(writer);
}

static void *copy_of(const void *bytes, size_t size) {
    void *copy = bl_alloc(size);
    if (copy && size) memcpy(copy, bytes, size);
    return copy;
}

// A data set of zeros; NULL where there is none. A text is one value, of as many bytes as its one dimension says.
static held *hold(bl_container_writer *writer, const char *path, bl_value_kind kind, size_t value_bytes, const int64_t *dims, int rank) {
    if (writer->is_saved) return bl_fail("%s: this run file was saved already", path), NULL;
    if (rank < 0 || rank > 4) return bl_fail("%s: rank %d is not 0 .. 4", path, rank), NULL;
    held *set = bl_alloc(sizeof *set);
    if (!set) return NULL;
    *writer->end = set;
    writer->end = &set->next;
    *set = (held){.kind = kind, .rank = kind == BL_KIND_TEXT ? 0 : rank, .count = 1};
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 0) return bl_fail("%s: dimension %d is %lld", path, i, (long long)dims[i]), NULL;
        set->extent[i] = (hsize_t)dims[i];
        set->count *= set->extent[i];
    }
    return (set->path = copy_of(path, strlen(path) + 1)) && (set->values = bl_alloc(set->count * value_bytes)) ? set : NULL;
}

static int put(bl_container_writer *writer, const char *path, bl_value_kind kind, size_t value_bytes, const void *values, const int64_t *dims, int rank) {
    const held *set = hold(writer, path, kind, value_bytes, dims, rank);
    if (!set) return BL_FAILED;
    if (set->count) memcpy(set->values, values, set->count * value_bytes);
    return BL_OK;
}

int bl_container_put_text(bl_container_writer *writer, const char *path, const char *text) {
    return put(writer, path, BL_KIND_TEXT, 1, text, &(int64_t){(int64_t)strlen(text) + 1}, 1);
}

int bl_container_put_f64(bl_container_writer *writer, const char *path, const double *values, const int64_t *dims, int rank) {
    return put(writer, path, BL_KIND_F64, sizeof *values, values, dims, rank);
}

int bl_container_put_f32(bl_container_writer *writer, const char *path, const float *values, const int64_t *dims, int rank) {
    return put(writer, path, BL_KIND_F32, sizeof *values, values, dims, rank);
}

int bl_container_put_i64(bl_container_writer *writer, const char *path, const int64_t *values, const int64_t *dims, int rank) {
    return put(writer, path, BL_KIND_I64, sizeof *values, values, dims, rank);
}

int bl_container_put_u8(bl_container_writer *writer, const char *path, const uint8_t *values, const int64_t *dims, int rank) {
    return put(writer, path, BL_KIND_U8, sizeof *values, values, dims, rank);
}

int bl_container_make_f64(bl_container_writer *writer, const char *path, const int64_t *dims, int rank, double **values) {
    const held *set = hold(writer, path, BL_KIND_F64, sizeof **values, dims, rank);
    if (!set) return BL_FAILED;
    *values = set->values;
    return BL_OK;
}

int bl_container_make_f32(bl_container_writer *writer, const char *path, const int64_t *dims, int rank, float **values) {
    const held *set = hold(writer, path, BL_KIND_F32, sizeof **values, dims, rank);
    if (!set) return BL_FAILED;
    *values = set->values;
    return BL_OK;
}

// ---- writing: the file ----

static hid_t create_file(const bl_container_writer *writer) {
    char name[32]; // the core driver tells open files apart by their names
    snprintf(name, sizeof name, "writer %p", (const void *)writer);
    const hid_t access = bl_hdf5_memory(NULL), plan = H5Pcreate(H5P_FILE_CREATE);
    hid_t file = H5I_INVALID_HID;
    if (access >= 0 && plan >= 0 && H5Pset_obj_track_times(plan, 0) >= 0) file = H5Fcreate(name, H5F_ACC_TRUNC, plan, access);
    if (access >= 0) H5Pclose(access);
    if (plan >= 0) H5Pclose(plan);
    return file;
}

// Chunks of whole rows, about CHUNK_BYTES each.
static int plan_chunks(hid_t plan, const held *set, size_t value_bytes) {
    hsize_t chunk[4];
    memcpy(chunk, set->extent, sizeof *set->extent * (size_t)set->rank);
    const hsize_t row = set->count / set->extent[0], rows = CHUNK_BYTES / (row * value_bytes);
    chunk[0] = rows < 1 ? 1 : rows < set->extent[0] ? rows : set->extent[0];
    return H5Pset_chunk(plan, set->rank, chunk) < 0 || H5Pset_fletcher32(plan) < 0;
}

// The type in the file and the one in memory. A text's is its own: closed by the caller.
static int types_of(const held *set, hid_t *in_file, hid_t *in_memory) {
    *in_file = *in_memory = bl_hdf5_file_type(set->kind);
    switch (set->kind) {
    case BL_KIND_F64: *in_memory = H5T_NATIVE_DOUBLE; return 0;
    case BL_KIND_F32: *in_memory = H5T_NATIVE_FLOAT; return 0;
    case BL_KIND_I64: *in_memory = H5T_NATIVE_INT64; return 0;
    case BL_KIND_U8: *in_memory = H5T_NATIVE_UINT8; return 0;
    default: break;
    }
    *in_file = *in_memory = H5Tcopy(*in_file);
    return *in_file < 0 || H5Tset_size(*in_file, set->count) < 0 || H5Tset_cset(*in_file, H5T_CSET_UTF8) < 0;
}

static int write_set(hid_t file, hid_t link_plan, const held *set) {
    int status = BL_FAILED;
    hid_t made = H5I_INVALID_HID, in_file = H5I_INVALID_HID, in_memory = H5I_INVALID_HID;
    const hid_t plan = H5Pcreate(H5P_DATASET_CREATE);
    const hid_t space = set->rank ? H5Screate_simple(set->rank, set->extent, NULL) : H5Screate(H5S_SCALAR);
    if (plan < 0 || space < 0 || types_of(set, &in_file, &in_memory) || H5Pset_obj_track_times(plan, 0) < 0 ||
        H5Pset_fill_time(plan, H5D_FILL_TIME_NEVER) < 0 ||
        (set->rank && set->count >= CHECKSUM_FROM && plan_chunks(plan, set, H5Tget_size(in_file))) ||
        (made = H5Dcreate2(file, set->path, in_file, space, link_plan, plan, H5P_DEFAULT)) < 0 ||
        (set->count && H5Dwrite(made, in_memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, set->values) < 0))
        bl_hdf5_fail("cannot write it", set->path);
    else
        status = BL_OK;
    if (made >= 0) H5Dclose(made);
    if (set->kind == BL_KIND_TEXT && in_file >= 0) H5Tclose(in_file);
    if (space >= 0) H5Sclose(space);
    if (plan >= 0) H5Pclose(plan);
    return status;
}

// A data set is forgotten as soon as the file in memory has it.
static int write_sets(bl_container_writer *writer, hid_t file) {
    const hid_t link_plan = H5Pcreate(H5P_LINK_CREATE); // which makes missing groups
    int status = link_plan < 0 || H5Pset_create_intermediate_group(link_plan, 1) < 0 ? bl_hdf5_fail("cannot make groups", "run file") : BL_OK;
    for (; !status && writer->first; free_first(writer)) status = write_set(file, link_plan, writer->first);
    if (link_plan >= 0) H5Pclose(link_plan);
    return status;
}

static void put_little_endian(unsigned char *dst, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) dst[i] = (unsigned char)(value >> (8 * i));
}

// The HDF5 image, behind room for the user block.
static int make_image(bl_container_writer *writer, const char *path, unsigned char **block, size_t *bytes) {
    int status = BL_FAILED;
    bl_hdf5_enter();
    const hid_t file = create_file(writer);
    if (file < 0) {
        bl_hdf5_fail("cannot create a file in memory", path);
        goto done;
    }
    if (write_sets(writer, file)) goto done;
    if (H5Fflush(file, H5F_SCOPE_LOCAL) < 0) {
        bl_hdf5_fail("cannot finish the file", path);
        goto done;
    }
    const ssize_t size = H5Fget_file_image(file, NULL, 0);
    if (size >= 0 && !(*block = bl_alloc(BL_USER_BLOCK + (size_t)size))) goto done;
    if (size < 0 || H5Fget_file_image(file, *block + BL_USER_BLOCK, (size_t)size) != size) {
        bl_hdf5_fail("cannot give its image", path);
        goto done;
    }
    *bytes = (size_t)size;
    status = BL_OK;
done:
    if (file >= 0) H5Fclose(file);
    bl_hdf5_leave();
    return status;
}

int bl_container_writer_save(bl_container_writer *writer, const char *path) {
    if (writer->is_saved) return bl_fail("%s: this run file was saved already", path);
    unsigned char *block = NULL;
    size_t bytes;
    writer->is_saved = true;
    int status = make_image(writer, path, &block, &bytes);
    if (!status) {
        memcpy(block, bl_container_magic, sizeof bl_container_magic);
        put_little_endian(block + BL_AT_VERSION, BL_FORMAT_VERSION, 4);
        put_little_endian(block + BL_AT_LENGTH, (uint64_t)bytes, 8);
        bl_container_digest(block + BL_USER_BLOCK, bytes, block + BL_AT_DIGEST);
        status = bl_atomic_write(path, block, BL_USER_BLOCK + bytes);
    }
    bl_free(block);
    return status;
}
