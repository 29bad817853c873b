// digest.h - SHA-256 (FIPS 180-4), for graph digests, run ids and file checksums.

#ifndef BL_BASE_DIGEST_H
#define BL_BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

typedef struct bl_digest {
    uint32_t state[8];
    uint64_t bytes;
    unsigned char block[64];
} bl_digest;

void bl_digest_begin(bl_digest *digest);
void bl_digest_add(bl_digest *digest, const void *data, size_t bytes);
void bl_digest_end(bl_digest *digest, unsigned char out[32]);

void bl_digest_hex(const void *data, size_t bytes, char out[65]); // of one piece; lower-case hexadecimal, terminated

#endif
