// digest.h - SHA-256 (FIPS 180-4), for graph digests, run ids and file checksums.

#ifndef BL_BASE_DIGEST_H
#define BL_BASE_DIGEST_H

#include <stdbool.h>
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
void bl_digest_end_hex(bl_digest *digest, char out[65]); // lower-case hexadecimal, terminated

void bl_digest_hex(const void *data, size_t bytes, char out[65]); // of one piece

// What is done to whole blocks of 64 bytes: in C, and by the processor's own instructions where it has them, eight times as fast. Both do
// the same; bl_digest_add takes the fast one where it can.
void bl_digest_compress_plain(uint32_t state[8], const unsigned char *blocks, size_t count);
bool bl_digest_has_instructions(void);
void bl_digest_compress_fast(uint32_t state[8], const unsigned char *blocks, size_t count);

#endif
