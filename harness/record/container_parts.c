#include "record/container_parts.h"

#include <pthread.h>
#include <stdio.h>

#include "base/digest.h"

enum { GROWTH_BYTES = 1 << 20 }; // of the core driver's buffer

const unsigned char bl_container_magic[8] = {'B', 'Y', 'O', 'L', 'A', 'B', '\r', '\n'};

void bl_container_digest(const unsigned char *image, size_t bytes, unsigned char out[32]) {
    bl_digest digest;
    bl_digest_begin(&digest);
    bl_digest_add(&digest, image, bytes);
    bl_digest_end(&digest, out);
}

hid_t bl_hdf5_file_type(bl_value_kind kind) {
    switch (kind) {
    case BL_KIND_F64: return H5T_IEEE_F64LE;
    case BL_KIND_F32: return H5T_IEEE_F32LE;
    case BL_KIND_I64: return H5T_STD_I64LE;
    case BL_KIND_U8: return H5T_STD_U8LE;
    default: return H5T_C_S1;
    }
}

// ---- HDF5's own messages ----

static herr_t keep_innermost(unsigned depth, const H5E_error2_t *error, void *context) {
    (void)depth;
    if (error->desc && error->desc[0]) snprintf(context, 256, "%s", error->desc);
    return 0;
}

int bl_hdf5_fail(const char *what, const char *path) {
    char reason[256] = "unknown";
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, keep_innermost, reason);
    return bl_fail("%s: HDF5 %s: %s", path, what, reason);
}

// Recursive: what bl_container_list visits reads.
static pthread_mutex_t hdf5_mutex = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

void bl_hdf5_enter(void) {
    pthread_mutex_lock(&hdf5_mutex);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL); // its messages are taken by bl_hdf5_fail
}

void bl_hdf5_leave(void) { pthread_mutex_unlock(&hdf5_mutex); }

// ---- a file in memory ----

// HDF5 would copy an image twice; these have it use the one there is.
static void *lend(size_t size, H5FD_file_image_op_t when, void *image) {
    (void)when;
    const bl_hdf5_image *lent = image;
    return size == lent->size ? lent->bytes : NULL;
}

static void *keep_in_place(void *dst, const void *src, size_t size, H5FD_file_image_op_t when, void *image) {
    (void)size, (void)when, (void)image;
    return dst == src ? dst : NULL;
}

static void *refuse_to_grow(void *bytes, size_t size, H5FD_file_image_op_t when, void *image) {
    (void)bytes, (void)size, (void)when, (void)image;
    return NULL; // what is only read stays as it is
}

static herr_t leave_to_owner(void *bytes, H5FD_file_image_op_t when, void *image) {
    (void)bytes, (void)when, (void)image;
    return 0;
}

static void *same(void *image) { return image; }
static herr_t not_ours(void *image) {
    (void)image;
    return 0;
}

hid_t bl_hdf5_memory(bl_hdf5_image *image) {
    H5FD_file_image_callbacks_t lending = {lend, keep_in_place, refuse_to_grow, leave_to_owner, same, not_ours, image};
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (access < 0) return access;
    // A low bound above EARLIEST gives, in 1.10, an image with a superblock checksum that no reader accepts.
    if (H5Pset_fapl_core(access, GROWTH_BYTES, 0) < 0 || H5Pset_libver_bounds(access, H5F_LIBVER_EARLIEST, H5F_LIBVER_V110) < 0 ||
        (image && (H5Pset_file_image_callbacks(access, &lending) < 0 || H5Pset_file_image(access, image->bytes, image->size) < 0))) {
        H5Pclose(access);
        return H5I_INVALID_HID;
    }
    return access;
}
