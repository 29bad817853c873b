// container.c - see container.h. The HDF5 image lives in the core driver without backing store; the user block is ours.
//
// What is put is kept until the writer is saved: only then does HDF5 see it. The library is entered by one thread at a
// time, since Debian's and many others' are built without a lock of their own.
//
// HDF5 strips a user block of its own from a file image, and its old-style metadata carries no checksum: so the 512 bytes in
// front are written here, and their digest covers the whole image.

#include "record/container.h"

#include <hdf5.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

typedef enum value_kind { TEXT, F64, F32, I64, U8 } value_kind;

typedef struct held { // one data set, as it was put
    struct held *next;
    char *path;
    value_kind kind;
    int rank;
    hsize_t extent[4], count; // of a text: its bytes, with the end
    void *values;             // owned
} held;

struct bl_container_writer {
    held *first, **end;
    bool is_saved;
};

struct bl_container_reader {
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

// Recursive: what bl_container_list visits reads.
static pthread_mutex_t hdf5_mutex = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

static void enter_hdf5(void) {
    pthread_mutex_lock(&hdf5_mutex);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL); // its messages are taken by fail_hdf5
}

static void leave_hdf5(void) { pthread_mutex_unlock(&hdf5_mutex); }

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
static held *hold(bl_container_writer *writer, const char *path, value_kind kind, size_t value_bytes, const int64_t *dims, int rank) {
    if (writer->is_saved) return bl_fail("%s: this run file was saved already", path), NULL;
    if (rank < 0 || rank > 4) return bl_fail("%s: rank %d is not 0 .. 4", path, rank), NULL;
    held *set = bl_alloc(sizeof *set);
    if (!set) return NULL;
    *writer->end = set;
    writer->end = &set->next;
    *set = (held){.kind = kind, .rank = kind == TEXT ? 0 : rank, .count = 1};
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 0) return bl_fail("%s: dimension %d is %lld", path, i, (long long)dims[i]), NULL;
        set->extent[i] = (hsize_t)dims[i];
        set->count *= set->extent[i];
    }
    return (set->path = copy_of(path, strlen(path) + 1)) && (set->values = bl_alloc(set->count * value_bytes)) ? set : NULL;
}

static int put(bl_container_writer *writer, const char *path, value_kind kind, size_t value_bytes, const void *values, const int64_t *dims, int rank) {
    const held *set = hold(writer, path, kind, value_bytes, dims, rank);
    if (!set) return BL_FAILED;
    if (set->count) memcpy(set->values, values, set->count * value_bytes);
    return BL_OK;
}

int bl_container_put_text(bl_container_writer *writer, const char *path, const char *text) {
    return put(writer, path, TEXT, 1, text, &(int64_t){(int64_t)strlen(text) + 1}, 1);
}

int bl_container_put_f64(bl_container_writer *writer, const char *path, const double *values, const int64_t *dims, int rank) {
    return put(writer, path, F64, sizeof *values, values, dims, rank);
}

int bl_container_put_f32(bl_container_writer *writer, const char *path, const float *values, const int64_t *dims, int rank) {
    return put(writer, path, F32, sizeof *values, values, dims, rank);
}

int bl_container_put_i64(bl_container_writer *writer, const char *path, const int64_t *values, const int64_t *dims, int rank) {
    return put(writer, path, I64, sizeof *values, values, dims, rank);
}

int bl_container_put_u8(bl_container_writer *writer, const char *path, const uint8_t *values, const int64_t *dims, int rank) {
    return put(writer, path, U8, sizeof *values, values, dims, rank);
}

int bl_container_make_f64(bl_container_writer *writer, const char *path, const int64_t *dims, int rank, double **values) {
    const held *set = hold(writer, path, F64, sizeof **values, dims, rank);
    if (!set) return BL_FAILED;
    *values = set->values;
    return BL_OK;
}

int bl_container_make_f32(bl_container_writer *writer, const char *path, const int64_t *dims, int rank, float **values) {
    const held *set = hold(writer, path, F32, sizeof **values, dims, rank);
    if (!set) return BL_FAILED;
    *values = set->values;
    return BL_OK;
}

// ---- writing: the file ----

static hid_t create_file(const bl_container_writer *writer) {
    char name[32]; // the core driver tells open files apart by their names
    snprintf(name, sizeof name, "writer %p", (const void *)writer);
    const hid_t access = memory_access(NULL, 0), plan = H5Pcreate(H5P_FILE_CREATE);
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
    switch (set->kind) {
    case F64: *in_file = H5T_IEEE_F64LE, *in_memory = H5T_NATIVE_DOUBLE; return 0;
    case F32: *in_file = H5T_IEEE_F32LE, *in_memory = H5T_NATIVE_FLOAT; return 0;
    case I64: *in_file = H5T_STD_I64LE, *in_memory = H5T_NATIVE_INT64; return 0;
    case U8: *in_file = H5T_STD_U8LE, *in_memory = H5T_NATIVE_UINT8; return 0;
    case TEXT: break;
    }
    *in_file = *in_memory = H5Tcopy(H5T_C_S1);
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
        fail_hdf5("cannot write it", set->path);
    else
        status = BL_OK;
    if (made >= 0) H5Dclose(made);
    if (set->kind == TEXT && in_file >= 0) H5Tclose(in_file);
    if (space >= 0) H5Sclose(space);
    if (plan >= 0) H5Pclose(plan);
    return status;
}

// A data set is forgotten as soon as the file in memory has it.
static int write_sets(bl_container_writer *writer, hid_t file) {
    const hid_t link_plan = H5Pcreate(H5P_LINK_CREATE); // which makes missing groups
    int status = link_plan < 0 || H5Pset_create_intermediate_group(link_plan, 1) < 0 ? fail_hdf5("cannot make groups", "run file") : BL_OK;
    for (; !status && writer->first; free_first(writer)) status = write_set(file, link_plan, writer->first);
    if (link_plan >= 0) H5Pclose(link_plan);
    return status;
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

// The HDF5 image, behind room for the user block.
static int make_image(bl_container_writer *writer, const char *path, unsigned char **block, size_t *bytes) {
    int status = BL_FAILED;
    enter_hdf5();
    const hid_t file = create_file(writer);
    if (file < 0) {
        fail_hdf5("cannot create a file in memory", path);
        goto done;
    }
    if (write_sets(writer, file)) goto done;
    if (H5Fflush(file, H5F_SCOPE_LOCAL) < 0) {
        fail_hdf5("cannot finish the file", path);
        goto done;
    }
    const ssize_t size = H5Fget_file_image(file, NULL, 0);
    if (size >= 0 && !(*block = bl_alloc(USER_BLOCK + (size_t)size))) goto done;
    if (size < 0 || H5Fget_file_image(file, *block + USER_BLOCK, (size_t)size) != size) {
        fail_hdf5("cannot give its image", path);
        goto done;
    }
    *bytes = (size_t)size;
    status = BL_OK;
done:
    if (file >= 0) H5Fclose(file);
    leave_hdf5();
    return status;
}

int bl_container_writer_save(bl_container_writer *writer, const char *path) {
    if (writer->is_saved) return bl_fail("%s: this run file was saved already", path);
    unsigned char *block = NULL;
    size_t bytes;
    writer->is_saved = true;
    int status = make_image(writer, path, &block, &bytes);
    if (!status) {
        memcpy(block, magic, sizeof magic);
        put_little_endian(block + AT_VERSION, FORMAT_VERSION, 4);
        put_little_endian(block + AT_LENGTH, (uint64_t)bytes, 8);
        digest_of(block + USER_BLOCK, bytes, block + AT_DIGEST);
        status = bl_atomic_write(path, block, USER_BLOCK + bytes);
    }
    bl_free(block);
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

static int open_image(bl_container_reader *reader, void *image, size_t bytes, const char *path) {
    char name[32];
    snprintf(name, sizeof name, "reader %p", (void *)reader);
    enter_hdf5();
    const hid_t access = memory_access(image, bytes);
    const bool is_open = access >= 0 && (reader->file = H5Fopen(name, H5F_ACC_RDONLY, access)) >= 0;
    const int status = is_open ? BL_OK : fail_hdf5("cannot open it", path);
    if (access >= 0) H5Pclose(access);
    leave_hdf5();
    return status;
}

int bl_container_reader_open(bl_container_reader **out, const char *path) {
    int status = BL_FAILED;
    void *data = NULL;
    size_t bytes = 0;
    bl_container_reader *reader = bl_alloc(sizeof *reader);
    if (!reader) return BL_FAILED;
    reader->file = H5I_INVALID_HID;
    if (!(reader->path = copy_of(path, strlen(path) + 1)) || bl_read_file(path, &data, &bytes) || check_block(data, bytes, path) ||
        open_image(reader, (unsigned char *)data + USER_BLOCK, bytes - USER_BLOCK, path))
        goto done;
    *out = reader;
    reader = NULL;
    status = BL_OK;
done:
    bl_free(data);
    bl_container_reader_close(reader);
    return status;
}

static int open_on_disk(bl_container_reader *reader) {
    enter_hdf5();
    reader->file = H5Fopen(reader->path, H5F_ACC_RDONLY, H5P_DEFAULT);
    const int status = reader->file < 0 ? fail_hdf5("cannot open it", reader->path) : BL_OK;
    leave_hdf5();
    return status;
}

int bl_container_reader_peek(bl_container_reader **out, const char *path) {
    unsigned char block[USER_BLOCK];
    bl_container_reader *reader = NULL;
    int64_t bytes = 0;
    const int descriptor = bl_open_file(path, &bytes);
    if (descriptor < 0) return BL_FAILED;
    const ssize_t there = pread(descriptor, block, sizeof block, 0);
    close(descriptor);
    if (there < (ssize_t)sizeof block || memcmp(block, magic, sizeof magic) != 0) return bl_fail("%s: not a run file of byolab", path);
    if (get_little_endian(block + AT_VERSION, 4) != FORMAT_VERSION ||
        get_little_endian(block + AT_LENGTH, 8) + USER_BLOCK != (uint64_t)bytes)
        return bl_fail("%s: truncated, damaged or of another format version", path);
    if (!(reader = bl_alloc(sizeof *reader))) return BL_FAILED;
    reader->file = H5I_INVALID_HID;
    if (!(reader->path = copy_of(path, strlen(path) + 1)) || open_on_disk(reader)) {
        bl_container_reader_close(reader);
        return BL_FAILED;
    }
    *out = reader;
    return BL_OK;
}

void bl_container_reader_close(bl_container_reader *reader) {
    if (!reader) return;
    enter_hdf5();
    if (reader->file >= 0) H5Fclose(reader->file);
    leave_hdf5();
    bl_free(reader->path);
    bl_free(reader);
}

static bool has(const bl_container_reader *reader, const char *path) {
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

static hid_t open_set(const bl_container_reader *reader, const char *path) {
    if (!has(reader, path)) {
        bl_fail("%s: there is no %s in it", reader->path, path);
        return H5I_INVALID_HID;
    }
    const hid_t set = H5Dopen2(reader->file, path, H5P_DEFAULT);
    if (set < 0) fail_hdf5(path, reader->path);
    return set;
}

static int get_text(const bl_container_reader *reader, const char *path, char **text) {
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
static int get_numbers(const bl_container_reader *reader, const char *path, hid_t memory_type, bool whole, void **values, int64_t *count) {
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

static int get_dims(const bl_container_reader *reader, const char *path, int64_t dims[4], int *rank) {
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

static int list(const bl_container_reader *reader, const char *group, int (*visit)(void *context, const char *name), void *context) {
    if (!has(reader, group)) return bl_fail("%s: there is no %s in it", reader->path, group);
    const hid_t opened = H5Gopen2(reader->file, group, H5P_DEFAULT);
    if (opened < 0) return fail_hdf5(group, reader->path);
    name_visit names = {visit, context};
    const herr_t result = H5Literate(opened, H5_INDEX_NAME, H5_ITER_INC, NULL, visit_link, &names);
    H5Gclose(opened);
    if (result < 0) return fail_hdf5(group, reader->path);
    return result > 0 ? BL_FAILED : BL_OK;
}

// ---- reading, one thread at a time ----

bool bl_container_has(const bl_container_reader *reader, const char *path) {
    enter_hdf5();
    const bool there = has(reader, path);
    leave_hdf5();
    return there;
}

int bl_container_get_text(const bl_container_reader *reader, const char *path, char **text) {
    enter_hdf5();
    const int status = get_text(reader, path, text);
    leave_hdf5();
    return status;
}

int bl_container_get_f64(const bl_container_reader *reader, const char *path, double **values, int64_t *count) {
    enter_hdf5();
    const int status = get_numbers(reader, path, H5T_NATIVE_DOUBLE, false, (void **)values, count);
    leave_hdf5();
    return status;
}

int bl_container_get_i64(const bl_container_reader *reader, const char *path, int64_t **values, int64_t *count) {
    enter_hdf5();
    const int status = get_numbers(reader, path, H5T_NATIVE_INT64, true, (void **)values, count);
    leave_hdf5();
    return status;
}

int bl_container_dims(const bl_container_reader *reader, const char *path, int64_t dims[4], int *rank) {
    enter_hdf5();
    const int status = get_dims(reader, path, dims, rank);
    leave_hdf5();
    return status;
}

int bl_container_list(const bl_container_reader *reader, const char *group, int (*visit)(void *context, const char *name), void *context) {
    enter_hdf5();
    const int status = list(reader, group, visit, context);
    leave_hdf5();
    return status;
}
