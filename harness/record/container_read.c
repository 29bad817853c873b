// container_read.c - reading: see container.h.
//
// A digest tells of damage, not of intent: whoever changes a file can make it anew. So what a data set says of itself (its type, its
// extent, how it is stored) is held against what the writer writes and against the bytes that are there, before memory is taken and
// before HDF5 reads a value.

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "record/container.h"
#include "record/container_parts.h"

struct bl_container_reader {
    hid_t file;
    char *path;
    void *data;          // the whole file
    bl_hdf5_image image; // behind its user block, lent to HDF5
};

int bl_container_damaged(const bl_container_reader *reader, const char *format, ...) {
    char what[512];
    va_list values;
    va_start(values, format);
    vsnprintf(what, sizeof what, format, values);
    va_end(values);
    return bl_fail("%s: damaged: %s", reader->path, what);
}

// ---- opening ----

static uint64_t get_little_endian(const unsigned char *src, int bytes) {
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) value |= (uint64_t)src[i] << (8 * i);
    return value;
}

// Everything that can be known before HDF5 parses a byte.
static int check_block(const unsigned char *data, size_t bytes, const char *path) {
    const size_t head = bytes < sizeof bl_container_magic ? bytes : sizeof bl_container_magic;
    if (memcmp(data, bl_container_magic, head) != 0) return bl_fail("%s: not a run file of byolab", path);
    if (bytes < BL_USER_BLOCK)
        return bl_fail("%s: truncated: %zu bytes are there, a run file begins with %d", path, bytes, BL_USER_BLOCK);
    const uint32_t version = (uint32_t)get_little_endian(data + BL_AT_VERSION, 4);
    if (version > BL_FORMAT_VERSION)
        return bl_fail("%s: written in format version %u, this byolab (" BYOLAB_VERSION ") reads up to %d: update byolab", path, version,
                       BL_FORMAT_VERSION);
    const uint64_t length = get_little_endian(data + BL_AT_LENGTH, 8);
    const size_t there = bytes - BL_USER_BLOCK;
    if (length > there)
        return bl_fail("%s: truncated: %zu bytes are there of %llu", path, bytes, (unsigned long long)length + BL_USER_BLOCK);
    unsigned char digest[32];
    bl_container_digest(data + BL_USER_BLOCK, there, digest);
    bool zeros = get_little_endian(data + BL_AT_VERSION + 4, 4) == 0;
    for (size_t i = BL_AT_ZEROS; i < BL_USER_BLOCK; i++) zeros = zeros && data[i] == 0;
    if (version < 1 || length < there || !zeros || memcmp(digest, data + BL_AT_DIGEST, sizeof digest) != 0)
        return bl_fail("%s: damaged: its bytes do not match its digest", path);
    return BL_OK;
}

static int open_image(bl_container_reader *reader) {
    char name[32];
    snprintf(name, sizeof name, "reader %p", (void *)reader);
    bl_hdf5_enter();
    const hid_t access = bl_hdf5_memory(&reader->image);
    const bool is_open = access >= 0 && (reader->file = H5Fopen(name, H5F_ACC_RDONLY, access)) >= 0;
    const int status = is_open ? BL_OK : bl_hdf5_fail("cannot open it", reader->path);
    if (access >= 0) H5Pclose(access);
    bl_hdf5_leave();
    return status;
}

int bl_container_reader_open(bl_container_reader **out, const char *path) {
    size_t bytes = 0;
    bl_container_reader *reader = bl_alloc(sizeof *reader);
    if (!reader) return BL_FAILED;
    reader->file = H5I_INVALID_HID;
    if (!(reader->path = bl_alloc(strlen(path) + 1))) goto failed;
    strcpy(reader->path, path);
    if (bl_read_file(path, &reader->data, &bytes) || check_block(reader->data, bytes, path)) goto failed;
    reader->image = (bl_hdf5_image){(unsigned char *)reader->data + BL_USER_BLOCK, bytes - BL_USER_BLOCK};
    if (open_image(reader)) goto failed;
    *out = reader;
    return BL_OK;
failed:
    bl_container_reader_close(reader);
    return BL_FAILED;
}

void bl_container_reader_close(bl_container_reader *reader) {
    if (!reader) return;
    bl_hdf5_enter();
    if (reader->file >= 0) H5Fclose(reader->file);
    bl_hdf5_leave();
    bl_free(reader->data);
    bl_free(reader->path);
    bl_free(reader);
}

// ---- what a data set says of itself ----

// Whether something is there, and in *is_link whether a link that leads elsewhere (soft, or into another file) is on the way to it. What
// HDF5 cannot say (no memory, damage) is not absent: whoever then reads it is told.
static bool find(const bl_container_reader *reader, const char *path, bool *is_link) {
    char part[256];
    *is_link = false;
    if (strlen(path) >= sizeof part) return false;
    for (const char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
        const size_t length = slash ? (size_t)(slash - path) : strlen(path);
        H5L_info_t info;
        memcpy(part, path, length);
        part[length] = 0;
        const htri_t exists = H5Lexists(reader->file, part, H5P_DEFAULT); // which wants every group on the way to exist
        if (!exists) return false;
        if (exists < 0 || H5Lget_info(reader->file, part, &info, H5P_DEFAULT) < 0) return true;
        *is_link = info.type != H5L_TYPE_HARD;
        if (!slash || *is_link) return true;
    }
}

// What must be there is, and in this file.
static int require(const bl_container_reader *reader, const char *path) {
    bool is_link;
    if (!find(reader, path, &is_link)) return bl_fail("%s: there is no %s in it", reader->path, path);
    return is_link ? bl_container_damaged(reader, "%s is a link to elsewhere; a run file holds what it tells of", path) : BL_OK;
}

typedef struct opened { // a data set that is stored as the writer stores it
    hid_t set, type;
    bl_value_kind kind;
    int rank;
    hsize_t extent[4];
    size_t count, value_bytes; // values in all, of so many bytes; a text is one value
} opened;

static void close_set(opened *o) {
    if (o->type >= 0) H5Tclose(o->type);
    if (o->set >= 0) H5Dclose(o->set);
}

static bool find_kind(opened *o) {
    if (H5Tget_class(o->type) == H5T_STRING) {
        o->kind = BL_KIND_TEXT;
        return H5Tis_variable_str(o->type) == 0 && H5Tget_strpad(o->type) == H5T_STR_NULLTERM;
    }
    for (o->kind = BL_KIND_F64; o->kind < BL_KINDS; o->kind++)
        if (H5Tequal(o->type, bl_hdf5_file_type(o->kind)) > 0) return true;
    return false;
}

// Dimensions and their product, which the bytes of the file bound.
static bool find_extent(const bl_container_reader *reader, hid_t space, opened *o) {
    const H5S_class_t form = space < 0 ? H5S_NO_CLASS : H5Sget_simple_extent_type(space);
    const int rank = form == H5S_SIMPLE ? H5Sget_simple_extent_ndims(space) : 0;
    if ((form != H5S_SIMPLE && form != H5S_SCALAR) || rank < 0 || rank > 4) return false;
    if (rank && H5Sget_simple_extent_dims(space, o->extent, NULL) != rank) return false;
    const size_t most = o->value_bytes ? reader->image.size / o->value_bytes : 0;
    o->rank = rank;
    o->count = 1;
    for (int i = 0; i < rank; i++) {
        if (o->extent[i] > most || (o->count && o->extent[i] > most / o->count)) return false;
        o->count *= (size_t)o->extent[i];
    }
    return o->count <= most;
}

// Chunks of whole rows, each of them there, in its whole size behind one checksum. HDF5 would take a shorter one at its word.
static bool has_whole_chunks(const opened *o, hid_t plan) {
    hsize_t chunk[4], at[4] = {0}, bytes;
    unsigned flags;
    size_t parameters = 0;
    if (H5Pget_nfilters(plan) != 1 || H5Pget_filter2(plan, 0, &flags, &parameters, NULL, 0, NULL, NULL) != H5Z_FILTER_FLETCHER32) return false;
    if (H5Pget_chunk(plan, 4, chunk) != o->rank || !chunk[0] || chunk[0] > o->extent[0]) return false;
    hsize_t whole = chunk[0] * o->value_bytes;
    for (int i = 1; i < o->rank; i++) {
        if (chunk[i] != o->extent[i]) return false;
        whole *= chunk[i];
    }
    for (; at[0] < o->extent[0]; at[0] += chunk[0])
        if (H5Dget_chunk_storage_size(o->set, at, &bytes) < 0 || bytes != whole + 4) return false;
    return true;
}

static bool is_stored_here(const bl_container_reader *reader, const opened *o) {
    const hid_t plan = H5Dget_create_plist(o->set);
    bool is = false;
    if (plan >= 0 && H5Dget_storage_size(o->set) <= reader->image.size) switch (H5Pget_layout(plan)) {
        case H5D_CONTIGUOUS:
            is = H5Pget_external_count(plan) == 0 && H5Pget_nfilters(plan) == 0 && H5Dget_storage_size(o->set) == o->count * o->value_bytes;
            break;
        case H5D_CHUNKED: is = o->rank > 0 && o->count && has_whole_chunks(o, plan); break;
        default: break; // compact, virtual
        }
    if (plan >= 0) H5Pclose(plan);
    return is;
}

static int open_set(const bl_container_reader *reader, const char *path, opened *o) {
    *o = (opened){.set = H5I_INVALID_HID, .type = H5I_INVALID_HID};
    if (require(reader, path)) return BL_FAILED;
    if ((o->set = H5Dopen2(reader->file, path, H5P_DEFAULT)) < 0 || (o->type = H5Dget_type(o->set)) < 0) {
        bl_hdf5_fail(path, reader->path);
        goto failed;
    }
    const hid_t space = H5Dget_space(o->set);
    o->value_bytes = H5Tget_size(o->type);
    const bool is_of_kind = find_kind(o), is_bounded = find_extent(reader, space, o);
    if (space >= 0) H5Sclose(space);
    if (!is_of_kind) {
        bl_container_damaged(reader, "%s is of a type that no run file holds", path);
        goto failed;
    }
    if (!is_bounded) {
        bl_container_damaged(reader, "%s claims more values than the file has bytes for", path);
        goto failed;
    }
    if (!is_stored_here(reader, o)) {
        bl_container_damaged(reader, "%s is not stored as a run file stores it", path);
        goto failed;
    }
    return BL_OK;
failed:
    close_set(o);
    return BL_FAILED;
}

// ---- values ----

static int get_text(const bl_container_reader *reader, const char *path, char **text) {
    int status = BL_FAILED;
    char *chars = NULL;
    opened o;
    if (open_set(reader, path, &o)) return BL_FAILED;
    if (o.kind != BL_KIND_TEXT || o.rank) {
        bl_fail("%s: %s is not a text", reader->path, path);
        goto done;
    }
    chars = bl_alloc(o.value_bytes + 1);
    if (!chars) goto done;
    if (H5Dread(o.set, o.type, H5S_ALL, H5S_ALL, H5P_DEFAULT, chars) < 0) {
        bl_hdf5_fail(path, reader->path);
        goto done;
    }
    if (strlen(chars) + 1 != o.value_bytes) {
        bl_container_damaged(reader, "%s ends before its end", path);
        goto done;
    }
    *text = chars;
    chars = NULL;
    status = BL_OK;
done:
    bl_free(chars);
    close_set(&o);
    return status;
}

// Reads 8-byte numbers; `whole` refuses what would lose its fraction.
static int get_numbers(const bl_container_reader *reader, const char *path, bool whole, void **values, int64_t *count) {
    int status = BL_FAILED;
    void *data = NULL;
    opened o;
    if (open_set(reader, path, &o)) return BL_FAILED;
    if (o.kind == BL_KIND_TEXT || (whole && (o.kind == BL_KIND_F64 || o.kind == BL_KIND_F32))) {
        bl_fail("%s: %s does not hold %s", reader->path, path, whole ? "whole numbers" : "numbers");
        goto done;
    }
    data = bl_alloc(o.count * 8);
    if (!data) goto done;
    if (o.count && H5Dread(o.set, whole ? H5T_NATIVE_INT64 : H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0) {
        bl_hdf5_fail(path, reader->path);
        goto done;
    }
    *values = data;
    *count = (int64_t)o.count;
    data = NULL;
    status = BL_OK;
done:
    bl_free(data);
    close_set(&o);
    return status;
}

static int get_dims(const bl_container_reader *reader, const char *path, int64_t dims[4], int *rank) {
    opened o;
    if (open_set(reader, path, &o)) return BL_FAILED;
    *rank = o.rank;
    for (int i = 0; i < o.rank; i++) dims[i] = (int64_t)o.extent[i];
    close_set(&o);
    return BL_OK;
}

// ---- names ----

typedef struct name_visit {
    const bl_container_reader *reader;
    int (*visit)(void *context, const char *name);
    void *context;
} name_visit;

// Names become parts of paths and lines of a manifest.
static bool is_plain(const char *name) {
    size_t length = 0;
    for (; name[length]; length++)
        if (name[length] <= ' ' || name[length] > '~') return false;
    return length > 0 && length < 128;
}

static herr_t visit_link(hid_t group, const char *name, const H5L_info_t *info, void *context) {
    (void)group;
    const name_visit *names = context;
    if (info->type != H5L_TYPE_HARD || !is_plain(name)) {
        bl_container_damaged(names->reader, "it holds a name that no run file has");
        return 1;
    }
    return names->visit(names->context, name) ? 1 : 0; // a positive value ends the walk and comes back
}

static int list(const bl_container_reader *reader, const char *group, int (*visit)(void *context, const char *name), void *context) {
    if (require(reader, group)) return BL_FAILED;
    const hid_t opened_group = H5Gopen2(reader->file, group, H5P_DEFAULT);
    if (opened_group < 0) return bl_hdf5_fail(group, reader->path);
    name_visit names = {reader, visit, context};
    const herr_t result = H5Literate(opened_group, H5_INDEX_NAME, H5_ITER_INC, NULL, visit_link, &names);
    H5Gclose(opened_group);
    if (result < 0) return bl_hdf5_fail(group, reader->path);
    return result > 0 ? BL_FAILED : BL_OK;
}

// ---- one thread at a time ----

bool bl_container_has(const bl_container_reader *reader, const char *path) {
    bool is_link;
    bl_hdf5_enter();
    const bool there = find(reader, path, &is_link);
    bl_hdf5_leave();
    return there;
}

int bl_container_get_text(const bl_container_reader *reader, const char *path, char **text) {
    bl_hdf5_enter();
    const int status = get_text(reader, path, text);
    bl_hdf5_leave();
    return status;
}

int bl_container_get_f64(const bl_container_reader *reader, const char *path, double **values, int64_t *count) {
    bl_hdf5_enter();
    const int status = get_numbers(reader, path, false, (void **)values, count);
    bl_hdf5_leave();
    return status;
}

int bl_container_get_i64(const bl_container_reader *reader, const char *path, int64_t **values, int64_t *count) {
    bl_hdf5_enter();
    const int status = get_numbers(reader, path, true, (void **)values, count);
    bl_hdf5_leave();
    return status;
}

int bl_container_dims(const bl_container_reader *reader, const char *path, int64_t dims[4], int *rank) {
    bl_hdf5_enter();
    const int status = get_dims(reader, path, dims, rank);
    bl_hdf5_leave();
    return status;
}

int bl_container_list(const bl_container_reader *reader, const char *group, int (*visit)(void *context, const char *name), void *context) {
    bl_hdf5_enter();
    const int status = list(reader, group, visit, context);
    bl_hdf5_leave();
    return status;
}

// Both kinds are eight bytes.
static int move_exactly(const bl_container_reader *reader, const char *path, void *values, int64_t there, void *dst, int64_t count) {
    if (there == count && count) memcpy(dst, values, (size_t)count * 8);
    bl_free(values);
    return there == count ? BL_OK
                          : bl_container_damaged(reader, "%s holds %lld value%s, not %lld", path, (long long)there, bl_plural(there), (long long)count);
}

int bl_container_read_f64(const bl_container_reader *reader, const char *path, double *dst, int64_t count) {
    double *values;
    int64_t there;
    return bl_container_get_f64(reader, path, &values, &there) ? BL_FAILED : move_exactly(reader, path, values, there, dst, count);
}

int bl_container_read_i64(const bl_container_reader *reader, const char *path, int64_t *dst, int64_t count) {
    int64_t *values;
    int64_t there;
    return bl_container_get_i64(reader, path, &values, &there) ? BL_FAILED : move_exactly(reader, path, values, there, dst, count);
}
