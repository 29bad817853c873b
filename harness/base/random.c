#include "base/random.h"

#include <math.h>

// Philox4x32-10: the multipliers and the Weyl sequence of the key are those of Salmon et al. 2011, table 2.
void bl_philox(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4]) {
    uint32_t k0 = key[0], k1 = key[1];
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    for (int round = 0; round < 10; ++round) {
        uint64_t a = (uint64_t)0xD2511F53u * c0;
        uint64_t b = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)b;
        c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)a;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

static uint32_t fnv1a(const char *text) {
    uint32_t hash = 2166136261u;
    for (; *text; ++text) hash = (hash ^ (unsigned char)*text) * 16777619u;
    return hash;
}

bl_random bl_random_stream(uint64_t seed, const char *name, uint32_t sample, uint32_t epoch, uint32_t view) {
    return (bl_random){
        .key = {(uint32_t)seed, (uint32_t)(seed >> 32)},
        .counter = {0, sample, epoch * 16 + view, fnv1a(name)},
        .used = 4,
    };
}

uint32_t bl_random_bits(bl_random *random) {
    if (random->used == 4) {
        bl_philox(random->key, random->counter, random->block);
        ++random->counter[0];
        random->used = 0;
    }
    return random->block[random->used++];
}

uint64_t bl_random_seed_again(uint64_t seed, uint32_t occurrence) {
    if (!occurrence) return seed;
    bl_random random = bl_random_stream(seed, "occurrence", occurrence, 0, 0);
    const uint64_t high = bl_random_bits(&random);
    return high << 32 | bl_random_bits(&random);
}

double bl_random_uniform(bl_random *random) {
    uint64_t high = bl_random_bits(random) >> 5; // 27 bits
    uint64_t low = bl_random_bits(random) >> 6;  // 26 bits
    return (double)(high << 26 | low) * 0x1p-53;
}

double bl_random_between(bl_random *random, double low, double high) {
    double value = low + (high - low) * bl_random_uniform(random);
    return value < high ? value : low; // the product may round up to `high`
}

// The high half of a 64-bit product, redrawn where the low half falls into the uneven rest (Lemire, "Fast random integer
// generation in an interval", 2019).
uint32_t bl_random_below(bl_random *random, uint32_t bound) {
    uint32_t uneven = -bound % bound; // 2^32 mod bound
    uint64_t product;
    do {
        product = (uint64_t)bl_random_bits(random) * bound;
    } while ((uint32_t)product < uneven);
    return (uint32_t)(product >> 32);
}

double bl_random_normal(bl_random *random) {
    double radius = sqrt(-2 * log1p(-bl_random_uniform(random))); // 1 - u lies in (0, 1], so the logarithm is finite
    return radius * cos(6.283185307179586 * bl_random_uniform(random));
}

void bl_random_permutation(bl_random *random, uint32_t *out, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) {
        uint32_t j = bl_random_below(random, i + 1);
        out[i] = out[j];
        out[j] = i;
    }
}
