// run_file.c - see run_file.h. The HDF5 image lives in the core driver without backing store; the user block is ours.
//
// HDF5 strips a user block of its own from a file image, and its old-style metadata carries no checksum: so the 512 bytes in
// front are written here, and their digest covers the whole image.

#include "run/run_file.h"

#include <errno.h>
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/file.h"

enum {
    USER_BLOCK = 512,         // the smallest HDF5 looks behind
    FORMAT_VERSION = 1,
    CHECKSUM_FROM = 64,       // values; below that a data set is stored whole, without the chunks fletcher32 needs
    CHUNK_BYTES = 1 << 20,
    GROWTH_BYTES = 1 << 20,   // of the core driver's buffer
};

static const unsigned char magic[8] = {'B', 'Y', 'O', 'L', 'A', 'B', '\r', '\n'};

// The user block: magic, version (u32), zero (u32), length of the image (u64), SHA-256 of the image, zeros. Little endian.
enum { AT_VERSION = 8, AT_LENGTH = 16, AT_DIGEST = 24, AT_ZEROS = 56 };

struct bl_run_writer {
    hid_t file, link_plan; // link_plan makes missing groups
};

struct bl_run_reader {
    hid_t file;
    char *path;
};

// ---- HDF5's own messages ----

static herr_t keep_innermost(unsigned depth, const H5E_error2_t *error, void *context) {
    (void)depth;
    if (error->desc && error->desc[0]) snprintf(context, 256, "%s", error->desc);
    return 0;
}

static int fail_hdf5(const char *what, const char *path) {
    char reason[256] = "unknown";
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, keep_innermost, reason);
    return bl_fail("%s: HDF5 %s: %s", path, what, reason);
}

static void silence_hdf5(void) { H5Eset_auto2(H5E_DEFAULT, NULL, NULL); }

// Access to a file that only memory holds. `image` may be NULL.
static hid_t memory_access(void *image, size_t bytes) {
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (access < 0) return access;
    // A low bound above EARLIEST gives, in 1.10, an image with a superblock checksum that no reader accepts.
    if (H5Pset_fapl_core(access, GROWTH_BYTES, 0) < 0 || H5Pset_libver_bounds(access, H5F_LIBVER_EARLIEST, H5F_LIBVER_V110) < 0 ||
        (image && H5Pset_file_image(access, image, bytes) < 0)) {
        H5Pclose(access);
        return H5I_INVALID_HID;
    }
    return access;
}

// ---- writing ----

int bl_run_writer_create(bl_run_writer **out) {
    int status = BL_FAILED;
    hid_t access = H5I_INVALID_HID, plan = H5I_INVALID_HID;
    bl_run_writer *writer = bl_alloc(sizeof *writer);
    if (!writer) return BL_FAILED;
    writer->file = writer->link_plan = H5I_INVALID_HID;
    silence_hdf5();
    char name[32]; // the core driver tells open files apart by their names
    snprintf(name, sizeof name, "writer %p", (void *)writer);
    access = memory_access(NULL, 0);
    plan = H5Pcreate(H5P_FILE_CREATE);
    writer->link_plan = H5Pcreate(H5P_LINK_CREATE);
    if (access < 0 || plan < 0 || writer->link_plan < 0 || H5Pset_obj_track_times(plan, 0) < 0 ||
        H5Pset_create_intermediate_group(writer->link_plan, 1) < 0 ||
        (writer->file = H5Fcreate(name, H5F_ACC_TRUNC, plan, access)) < 0) {
        fail_hdf5("cannot create a file in memory", "run file");
        goto done;
    }
    *out = writer;
    writer = NULL;
    status = BL_OK;
done:
    if (access >= 0) H5Pclose(access);
    if (plan >= 0) H5Pclose(plan);
    bl_run_writer_free(writer);
    return status;
}

void bl_run_writer_free(bl_run_writer *writer) {
    if (!writer) return;
    if (writer->file >= 0) H5Fclose(writer->file);
    if (writer->link_plan >= 0) H5Pclose(writer->link_plan);
    bl_free(writer);
}

// Chunks of whole rows, about CHUNK_BYTES each.
static int plan_chunks(hid_t plan, const hsize_t *extent, int rank, hsize_t count, size_t value_bytes) {
    hsize_t chunk[4];
    memcpy(chunk, extent, sizeof *extent * (size_t)rank);
    const hsize_t row = count / extent[0], rows = CHUNK_BYTES / (row * value_bytes);
    chunk[0] = rows < 1 ? 1 : rows < extent[0] ? rows : extent[0];
    return H5Pset_chunk(plan, rank, chunk) < 0 || H5Pset_fletcher32(plan) < 0;
}

static int put(bl_run_writer *writer, const char *path, hid_t file_type, hid_t memory_type, const void *values, const int64_t *dims,
               int rank) {
    if (writer->file < 0) return bl_fail("%s: this run file was saved already", path);
    if (rank < 0 || rank > 4) return bl_fail("%s: rank %d is not 0 .. 4", path, rank);
    int status = BL_FAILED;
    hsize_t extent[4], count = 1;
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 0) return bl_fail("%s: dimension %d is %lld", path, i, (long long)dims[i]);
        extent[i] = (hsize_t)dims[i];
        count *= extent[i];
    }
    hid_t set = H5I_INVALID_HID;
    const hid_t plan = H5Pcreate(H5P_DATASET_CREATE);
    const hid_t space = rank ? H5Screate_simple(rank, extent, NULL) : H5Screate(H5S_SCALAR);
    if (plan < 0 || space < 0 || H5Pset_obj_track_times(plan, 0) < 0 || H5Pset_fill_time(plan, H5D_FILL_TIME_NEVER) < 0 ||
        (rank && count >= CHECKSUM_FROM && plan_chunks(plan, extent, rank, count, H5Tget_size(file_type))) ||
        (set = H5Dcreate2(writer->file, path, file_type, space, writer->link_plan, plan, H5P_DEFAULT)) < 0 ||
        (count && H5Dwrite(set, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0))
        fail_hdf5("cannot write it", path);
    else
        status = BL_OK;
    if (set >= 0) H5Dclose(set);
    if (space >= 0) H5Sclose(space);
    if (plan >= 0) H5Pclose(plan);
    return status;
}

int bl_run_put_text(bl_run_writer *writer, const char *path, const char *text) {
    const hid_t type = H5Tcopy(H5T_C_S1);
    if (type < 0 || H5Tset_size(type, strlen(text) + 1) < 0 || H5Tset_cset(type, H5T_CSET_UTF8) < 0) {
        if (type >= 0) H5Tclose(type);
        return fail_hdf5("cannot describe a text", path);
    }
    const int status = put(writer, path, type, type, text, NULL, 0);
    H5Tclose(type);
    return status;
}

int bl_run_put_f64(bl_run_writer *writer, const char *path, const double *values, const int64_t *dims, int rank) {
    return put(writer, path, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, values, dims, rank);
}

int bl_run_put_f32(bl_run_writer *writer, const char *path, const float *values, const int64_t *dims, int rank) {
    return put(writer, path, H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, values, dims, rank);
}

int bl_run_put_i64(bl_run_writer *writer, const char *path, const int64_t *values, const int64_t *dims, int rank) {
    return put(writer, path, H5T_STD_I64LE, H5T_NATIVE_INT64, values, dims, rank);
}

int bl_run_put_u8(bl_run_writer *writer, const char *path, const uint8_t *values, const int64_t *dims, int rank) {
    return put(writer, path, H5T_STD_U8LE, H5T_NATIVE_UINT8, values, dims, rank);
}

static void put_little_endian(unsigned char *dst, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) dst[i] = (unsigned char)(value >> (8 * i));
}

static uint64_t get_little_endian(const unsigned char *src, int bytes) {
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) value |= (uint64_t)src[i] << (8 * i);
    return value;
}

static void digest_of(const unsigned char *image, size_t bytes, unsigned char out[32]) {
    bl_digest digest;
    bl_digest_begin(&digest);
    bl_digest_add(&digest, image, bytes);
    bl_digest_end(&digest, out);
}

int bl_run_writer_save(bl_run_writer *writer, const char *path) {
    if (writer->file < 0) return bl_fail("%s: this run file was saved already", path);
    int status = BL_FAILED;
    unsigned char *block = NULL;
    if (H5Fflush(writer->file, H5F_SCOPE_LOCAL) < 0) {
        fail_hdf5("cannot finish the file", path);
        goto done;
    }
    const ssize_t bytes = H5Fget_file_image(writer->file, NULL, 0);
    if (bytes < 0) {
        fail_hdf5("cannot give its image", path);
        goto done;
    }
    block = bl_alloc(USER_BLOCK + (size_t)bytes);
    if (!block) goto done;
    unsigned char *image = block + USER_BLOCK;
    if (H5Fget_file_image(writer->file, image, (size_t)bytes) != bytes) {
        fail_hdf5("cannot give its image", path);
        goto done;
    }
    memcpy(block, magic, sizeof magic);
    put_little_endian(block + AT_VERSION, FORMAT_VERSION, 4);
    put_little_endian(block + AT_LENGTH, (uint64_t)bytes, 8);
    digest_of(image, (size_t)bytes, block + AT_DIGEST);
    status = bl_atomic_write(path, block, USER_BLOCK + (size_t)bytes);
done:
    bl_free(block);
    H5Fclose(writer->file);
    writer->file = H5I_INVALID_HID;
    return status;
}

// ---- reading ----

// Everything that can be known before HDF5 parses a byte.
static int check_block(const unsigned char *data, size_t bytes, const char *path) {
    const size_t head = bytes < sizeof magic ? bytes : sizeof magic;
    if (memcmp(data, magic, head) != 0) return bl_fail("%s: not a run file of byolab", path);
    if (bytes < USER_BLOCK) return bl_fail("%s: truncated: %zu bytes are there, a run file begins with %d", path, bytes, USER_BLOCK);
    const uint32_t version = (uint32_t)get_little_endian(data + AT_VERSION, 4);
    if (version > FORMAT_VERSION)
        return bl_fail("%s: written in format version %u, this byolab (" BYOLAB_VERSION ") reads up to %d: update byolab", path, version,
                       FORMAT_VERSION);
    const uint64_t length = get_little_endian(data + AT_LENGTH, 8);
    const size_t there = bytes - USER_BLOCK;
    if (length > there)
        return bl_fail("%s: truncated: %zu bytes are there of %llu", path, bytes, (unsigned long long)length + USER_BLOCK);
    unsigned char digest[32];
    digest_of(data + USER_BLOCK, there, digest);
    bool zeros = get_little_endian(data + AT_VERSION + 4, 4) == 0;
    for (size_t i = AT_ZEROS; i < USER_BLOCK; i++) zeros = zeros && data[i] == 0;
    if (version < 1 || length < there || !zeros || memcmp(digest, data + AT_DIGEST, sizeof digest) != 0)
        return bl_fail("%s: damaged: its bytes do not match its digest", path);
    return BL_OK;
}

int bl_run_reader_open(bl_run_reader **out, const char *path) {
    int status = BL_FAILED;
    void *data = NULL;
    size_t bytes = 0;
    hid_t access = H5I_INVALID_HID;
    bl_run_reader *reader = bl_alloc(sizeof *reader);
    if (!reader) return BL_FAILED;
    reader->file = H5I_INVALID_HID;
    reader->path = bl_alloc(strlen(path) + 1);
    if (!reader->path) goto done;
    strcpy(reader->path, path);
    if (bl_read_file(path, &data, &bytes) || check_block(data, bytes, path)) goto done;
    silence_hdf5();
    char name[32];
    snprintf(name, sizeof name, "reader %p", (void *)reader);
    access = memory_access((unsigned char *)data + USER_BLOCK, bytes - USER_BLOCK);
    if (access < 0 || (reader->file = H5Fopen(name, H5F_ACC_RDONLY, access)) < 0) {
        fail_hdf5("cannot open it", path);
        goto done;
    }
    *out = reader;
    reader = NULL;
    status = BL_OK;
done:
    if (access >= 0) H5Pclose(access);
    bl_free(data);
    bl_run_reader_close(reader);
    return status;
}

int bl_run_reader_peek(bl_run_reader **out, const char *path) {
    unsigned char block[USER_BLOCK];
    int status = BL_FAILED;
    bl_run_reader *reader = NULL;
    FILE *file = fopen(path, "rb");
    if (!file) return bl_fail("%s: cannot read: %s", path, strerror(errno));
    const size_t there = fread(block, 1, sizeof block, file);
    const bool has_end = fseeko(file, 0, SEEK_END) == 0;
    const off_t bytes = ftello(file);
    fclose(file);
    if (there < sizeof block || memcmp(block, magic, sizeof magic) != 0) return bl_fail("%s: not a run file of byolab", path);
    if (!has_end || get_little_endian(block + AT_VERSION, 4) != FORMAT_VERSION ||
        get_little_endian(block + AT_LENGTH, 8) + USER_BLOCK != (uint64_t)bytes)
        return bl_fail("%s: truncated, damaged or of another format version", path);
    if (!(reader = bl_alloc(sizeof *reader))) return BL_FAILED;
    reader->file = H5I_INVALID_HID;
    if (!(reader->path = bl_alloc(strlen(path) + 1))) goto done;
    strcpy(reader->path, path);
    silence_hdf5();
    if ((reader->file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT)) < 0) {
        fail_hdf5("cannot open it", path);
        goto done;
    }
    *out = reader;
    reader = NULL;
    status = BL_OK;
done:
    bl_run_reader_close(reader);
    return status;
}

void bl_run_reader_close(bl_run_reader *reader) {
    if (!reader) return;
    if (reader->file >= 0) H5Fclose(reader->file);
    bl_free(reader->path);
    bl_free(reader);
}

bool bl_run_has(const bl_run_reader *reader, const char *path) {
    // H5Lexists wants every group on the way to exist.
    char part[256];
    if (strlen(path) >= sizeof part) return false;
    for (const char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
        const size_t length = slash ? (size_t)(slash - path) : strlen(path);
        memcpy(part, path, length);
        part[length] = 0;
        if (H5Lexists(reader->file, part, H5P_DEFAULT) <= 0) return false;
        if (!slash) return true;
    }
}

static hid_t open_set(const bl_run_reader *reader, const char *path) {
    if (!bl_run_has(reader, path)) {
        bl_fail("%s: there is no %s in it", reader->path, path);
        return H5I_INVALID_HID;
    }
    const hid_t set = H5Dopen2(reader->file, path, H5P_DEFAULT);
    if (set < 0) fail_hdf5(path, reader->path);
    return set;
}

int bl_run_get_text(const bl_run_reader *reader, const char *path, char **text) {
    int status = BL_FAILED;
    char *chars = NULL;
    const hid_t set = open_set(reader, path);
    if (set < 0) return BL_FAILED;
    const hid_t type = H5Dget_type(set);
    if (type < 0 || H5Tget_class(type) != H5T_STRING || H5Tis_variable_str(type) > 0) {
        bl_fail("%s: %s is not a text", reader->path, path);
        goto done;
    }
    chars = bl_alloc(H5Tget_size(type) + 1);
    if (!chars) goto done;
    if (H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, chars) < 0) {
        fail_hdf5(path, reader->path);
        goto done;
    }
    *text = chars;
    chars = NULL;
    status = BL_OK;
done:
    bl_free(chars);
    if (type >= 0) H5Tclose(type);
    H5Dclose(set);
    return status;
}

// Reads 8-byte numbers; `whole` refuses what would lose its fraction.
static int get_numbers(const bl_run_reader *reader, const char *path, hid_t memory_type, bool whole, void **values, int64_t *count) {
    int status = BL_FAILED;
    void *data = NULL;
    const hid_t set = open_set(reader, path);
    if (set < 0) return BL_FAILED;
    const hid_t type = H5Dget_type(set), space = H5Dget_space(set);
    const H5T_class_t class = type < 0 ? H5T_NO_CLASS : H5Tget_class(type);
    const hssize_t values_there = space < 0 ? -1 : H5Sget_simple_extent_npoints(space);
    if (values_there < 0 || (class != H5T_INTEGER && (whole || class != H5T_FLOAT))) {
        bl_fail("%s: %s does not hold %s", reader->path, path, whole ? "whole numbers" : "numbers");
        goto done;
    }
    data = bl_alloc((size_t)values_there * 8);
    if (!data) goto done;
    if (values_there && H5Dread(set, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0) {
        fail_hdf5(path, reader->path);
        goto done;
    }
    *values = data;
    *count = values_there;
    data = NULL;
    status = BL_OK;
done:
    bl_free(data);
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    H5Dclose(set);
    return status;
}

int bl_run_get_f64(const bl_run_reader *reader, const char *path, double **values, int64_t *count) {
    return get_numbers(reader, path, H5T_NATIVE_DOUBLE, false, (void **)values, count);
}

int bl_run_get_i64(const bl_run_reader *reader, const char *path, int64_t **values, int64_t *count) {
    return get_numbers(reader, path, H5T_NATIVE_INT64, true, (void **)values, count);
}

int bl_run_dims(const bl_run_reader *reader, const char *path, int64_t dims[4], int *rank) {
    const hid_t set = open_set(reader, path);
    if (set < 0) return BL_FAILED;
    int status = BL_OK;
    hsize_t extent[H5S_MAX_RANK];
    const hid_t space = H5Dget_space(set);
    const int dimensions = space < 0 ? -1 : H5Sget_simple_extent_dims(space, extent, NULL);
    if (dimensions < 0) status = fail_hdf5(path, reader->path);
    else if (dimensions > 4) status = bl_fail("%s: %s has %d dimensions, more than 4", reader->path, path, dimensions);
    else {
        *rank = dimensions;
        for (int i = 0; i < dimensions; i++) dims[i] = (int64_t)extent[i];
    }
    if (space >= 0) H5Sclose(space);
    H5Dclose(set);
    return status;
}

typedef struct name_visit {
    int (*visit)(void *context, const char *name);
    void *context;
} name_visit;

static herr_t visit_link(hid_t group, const char *name, const H5L_info_t *info, void *context) {
    (void)group, (void)info;
    const name_visit *names = context;
    return names->visit(names->context, name) ? 1 : 0; // a positive value ends the walk and comes back
}

int bl_run_list(const bl_run_reader *reader, const char *group, int (*visit)(void *context, const char *name), void *context) {
    if (!bl_run_has(reader, group)) return bl_fail("%s: there is no %s in it", reader->path, group);
    const hid_t opened = H5Gopen2(reader->file, group, H5P_DEFAULT);
    if (opened < 0) return fail_hdf5(group, reader->path);
    name_visit names = {visit, context};
    const herr_t result = H5Literate(opened, H5_INDEX_NAME, H5_ITER_INC, NULL, visit_link, &names);
    H5Gclose(opened);
    if (result < 0) return fail_hdf5(group, reader->path);
    return result > 0 ? BL_FAILED : BL_OK;
}
