// container_parts.h - what the container's writer and its reader share: the block in front of the image, the door into HDF5.

#ifndef BL_RECORD_CONTAINER_PARTS_H
#define BL_RECORD_CONTAINER_PARTS_H

#include <hdf5.h>
#include <stddef.h>

#include "base/error.h" // BL_CHECK

// The user block: magic, version (u32), zero (u32), length of the image (u64), SHA-256 of the image, zeros. Little endian.
enum { BL_USER_BLOCK = 512, BL_FORMAT_VERSION = 1 }; // the smallest HDF5 looks behind
enum { BL_AT_VERSION = 8, BL_AT_LENGTH = 16, BL_AT_DIGEST = 24, BL_AT_ZEROS = 56 };
extern const unsigned char bl_container_magic[8];
void bl_container_digest(const unsigned char *image, size_t bytes, unsigned char out[32]);

// What data sets of a run file hold.
typedef enum bl_value_kind { BL_KIND_TEXT, BL_KIND_F64, BL_KIND_F32, BL_KIND_I64, BL_KIND_U8, BL_KINDS } bl_value_kind;
hid_t bl_hdf5_file_type(bl_value_kind kind); // of one number in the file, HDF5's own; of a text the class alone

// HDF5 is entered by one thread at a time, since Debian's and many others' libraries are built without a lock of their own.
void bl_hdf5_enter(void);
void bl_hdf5_leave(void);
int bl_hdf5_fail(const char *what, const char *path); // with HDF5's own reason

// Access to a file that only memory holds. `image` (NULL: it is made) is lent until the file is closed, and only read.
typedef struct bl_hdf5_image {
    void *bytes;
    size_t size;
} bl_hdf5_image;
hid_t bl_hdf5_memory(bl_hdf5_image *image);

#endif
