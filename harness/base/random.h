// random.h - counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
//
// A stream is a pure function of its coordinates: key = seed, counter = (stream, sample, epoch and view, position). Nothing
// drawn from one stream moves another, so removing a transform or a network part changes no other draw, and any thread may
// draw any sample.

#ifndef BL_BASE_RANDOM_H
#define BL_BASE_RANDOM_H

#include <stdint.h>

typedef struct bl_random {
    uint32_t key[2], counter[4]; // counter[0] counts blocks of four values
    uint32_t block[4];
    int used;                    // values of `block` already given out
} bl_random;

// One block of Philox4x32-10.
void bl_philox(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4]);

// The stream called `name` (a transform, a parameter, "order") for one sample in one epoch and view.
bl_random bl_random_stream(uint64_t seed, const char *name, uint32_t sample, uint32_t epoch, uint32_t view);

// What a sample draws from that comes again in one epoch: the seed itself where `occurrence` is 0, and others for 1, 2, ...
uint64_t bl_random_seed_again(uint64_t seed, uint32_t occurrence);

uint32_t bl_random_bits(bl_random *random);                             // 32 uniform bits
double bl_random_uniform(bl_random *random);                            // [0, 1), 53 bits (two draws)
double bl_random_between(bl_random *random, double low, double high);   // [low, high)
uint32_t bl_random_below(bl_random *random, uint32_t bound);            // 0 .. bound-1, unbiased; bound >= 1
double bl_random_normal(bl_random *random);                             // standard normal (Box-Muller, four draws)
void bl_random_permutation(bl_random *random, uint32_t *out, uint32_t count); // Fisher-Yates of 0 .. count-1

#endif
