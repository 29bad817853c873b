#include "base/digest.h"

#include <cpuid.h>
#include <immintrin.h>
#include <string.h>

// FIPS 180-4, 4.2.2: the first 32 bits of the fractional parts of the cube roots of the first 64 primes.
static const uint32_t round_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate(uint32_t x, int by) {
    return x >> by | x << (32 - by);
}

static void compress_block(uint32_t state[8], const unsigned char block[64]) {
    uint32_t w[64];
    for (int i = 0; i < 16; ++i) {
        const unsigned char *p = block + 4 * i;
        w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    }
    for (int i = 16; i < 64; ++i) {
        uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
    for (int i = 0; i < 64; ++i) {
        uint32_t s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
        uint32_t t1 = h + s1 + ((e & f) ^ (~e & g)) + round_constants[i] + w[i];
        uint32_t s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
        uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
        h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
    }
    const uint32_t sums[8] = {a, b, c, d, e, f, g, h};
    for (int i = 0; i < 8; ++i) state[i] += sums[i];
}

void bl_digest_compress_plain(uint32_t state[8], const unsigned char *blocks, size_t count) {
    for (; count; --count, blocks += 64) compress_block(state, blocks);
}

// CPUID leaf 7, EBX bit 29; not every compiler's __builtin_cpu_supports has a word for it.
bool bl_digest_has_instructions(void) {
    unsigned eax, ebx, ecx, edx;
    return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && ebx >> 29 & 1;
}

// The instructions hold the state as two rows, (a, b, e, f) and (c, d, g, h), the first in the highest lane, and do two rounds a piece.
__attribute__((target("sha"))) void bl_digest_compress_fast(uint32_t state[8], const unsigned char *blocks, size_t count) {
    const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    const __m128i badc = _mm_shuffle_epi32(_mm_loadu_si128((const void *)state), 0xb1);
    const __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128((const void *)(state + 4)), 0x1b);
    __m128i abef = _mm_alignr_epi8(badc, efgh, 8), cdgh = _mm_blend_epi16(efgh, badc, 0xf0), w[4];
    for (; count; --count, blocks += 64) {
        const __m128i abef_before = abef, cdgh_before = cdgh;
        for (int i = 0; i < 4; ++i) w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const void *)(blocks + 16 * i)), big_endian);
        for (int i = 0; i < 16; ++i) {
            const __m128i now = w[i % 4], next = w[(i + 1) % 4], third = w[(i + 2) % 4], last = w[(i + 3) % 4];
            const __m128i terms = _mm_add_epi32(now, _mm_loadu_si128((const void *)(round_constants + 4 * i)));
            cdgh = _mm_sha256rnds2_epu32(cdgh, abef, terms);
            abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(terms, 0x0e));
            w[i % 4] = _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(now, next), _mm_alignr_epi8(last, third, 4)), last);
        }
        abef = _mm_add_epi32(abef, abef_before);
        cdgh = _mm_add_epi32(cdgh, cdgh_before);
    }
    const __m128i feba = _mm_shuffle_epi32(abef, 0x1b), dchg = _mm_shuffle_epi32(cdgh, 0xb1);
    _mm_storeu_si128((void *)state, _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128((void *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

static void compress(uint32_t state[8], const unsigned char *blocks, size_t count) {
    if (bl_digest_has_instructions()) bl_digest_compress_fast(state, blocks, count);
    else bl_digest_compress_plain(state, blocks, count);
}

void bl_digest_begin(bl_digest *digest) {
    static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    memcpy(digest->state, start, sizeof start);
    digest->bytes = 0;
}

void bl_digest_add(bl_digest *digest, const void *data, size_t bytes) {
    const unsigned char *from = data;
    while (bytes) {
        size_t filled = digest->bytes % 64;
        if (!filled && bytes >= 64) { // whole blocks need no copy
            const size_t whole = bytes / 64;
            compress(digest->state, from, whole);
            from += 64 * whole, bytes -= 64 * whole, digest->bytes += 64 * whole;
            continue;
        }
        size_t take = 64 - filled < bytes ? 64 - filled : bytes;
        memcpy(digest->block + filled, from, take);
        from += take, bytes -= take, digest->bytes += take;
        if (filled + take == 64) compress(digest->state, digest->block, 1);
    }
}

void bl_digest_end(bl_digest *digest, unsigned char out[32]) {
    uint64_t bits = digest->bytes * 8;
    unsigned char length[8];
    for (int i = 0; i < 8; ++i) length[i] = (unsigned char)(bits >> (56 - 8 * i));
    static const unsigned char padding[64] = {0x80};
    size_t filled = digest->bytes % 64;
    bl_digest_add(digest, padding, filled < 56 ? 56 - filled : 120 - filled);
    bl_digest_add(digest, length, 8);
    for (int i = 0; i < 32; ++i) out[i] = (unsigned char)(digest->state[i / 4] >> (24 - 8 * (i % 4)));
}

void bl_digest_end_hex(bl_digest *digest, char out[65]) {
    static const char digits[] = "0123456789abcdef";
    unsigned char raw[32];
    bl_digest_end(digest, raw);
    for (int i = 0; i < 32; ++i) {
        out[2 * i] = digits[raw[i] >> 4];
        out[2 * i + 1] = digits[raw[i] & 15];
    }
    out[64] = 0;
}

void bl_digest_hex(const void *data, size_t bytes, char out[65]) {
    bl_digest digest;
    bl_digest_begin(&digest);
    bl_digest_add(&digest, data, bytes);
    bl_digest_end_hex(&digest, out);
}
