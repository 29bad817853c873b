// golden_spread.h - whole steps in bf16, judged by how PyTorch spreads around f64 (tests/golden/spread.py).
//
// Rounding to bf16 moves a whole gradient, and what is learnt from it, at random: one distance from f64 says little, and on another
// processor it is another. So a backend takes the same steps as PyTorch from many draws (other weights, or other images), and it is only
// asked in how many it is further from f64 than most of PyTorch's variants are from the same draw.

#ifndef BL_TESTS_GOLDEN_SPREAD_H
#define BL_TESTS_GOLDEN_SPREAD_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "support.h"

enum { SPREAD_STEPS = 3, SPREAD_DISTANCES = 1 + SPREAD_STEPS };

typedef struct spread_distances { // from f64
    double of[SPREAD_DISTANCES];  // the first step's gradient (NMSE), then every step's loss
} spread_distances;

// The most draws in which a backend may be further away. One that is no further than PyTorch is further in half of them; more than this it
// is by chance once in ten thousand processors.
static inline int spread_most(int draws) {
    double ways = 1, tail = 0; // ways to choose `k` draws; the chance of k or more
    for (int k = draws; k >= 0; ways = ways * k / (draws - k + 1), k--) {
        tail += ldexp(ways, -draws);
        if (tail > 1e-4) return k;
    }
    return 0;
}

// How many of the recorded draws are taken: $BYOLAB_TEST_DRAWS of them at most, for a backend that is slow as a stand-in is.
static inline int spread_draws(int recorded) {
    const char *most = getenv("BYOLAB_TEST_DRAWS");
    return most && atoi(most) > 0 && atoi(most) < recorded ? atoi(most) : recorded;
}

// `ours` holds spread_draws(recorded) of them.
static inline void expect_within_spread(const char *backend, const spread_distances *ours, int recorded, const char *file, const char *group) {
    static const char *const what[SPREAD_DISTANCES] = {"first gradient", "first loss", "second loss", "third loss"};
    char path[64];
    int64_t count;
    snprintf(path, sizeof path, "%s/distances", group);
    double *theirs = bl_test_golden(file, path, &count); // [variants, recorded, SPREAD_DISTANCES]
    const int64_t variants = count / (recorded * SPREAD_DISTANCES);
    const int draws = spread_draws(recorded);
    assert_true(variants > 0 && count == variants * recorded * SPREAD_DISTANCES);
    assert_true(spread_most(draws) < draws); // else nothing could fail
    int further[SPREAD_DISTANCES] = {0};
    for (int d = 0; d < SPREAD_DISTANCES; d++)
        for (int draw = 0; draw < draws; draw++) {
            int64_t passed = 0; // variants that are nearer
            assert_true(isfinite(ours[draw].of[d])); // a comparison would lose a NaN
            for (int64_t v = 0; v < variants; v++) passed += ours[draw].of[d] > theirs[(v * recorded + draw) * SPREAD_DISTANCES + d];
            further[d] += 2 * passed > variants;
        }
    free(theirs);
    for (int d = 0; d < SPREAD_DISTANCES; d++)
        print_message("%s: %s further from f64 than most of PyTorch's %d variants in %d of %d draws, at most %d\n", backend, what[d],
                      (int)variants, further[d], draws, spread_most(draws));
    for (int d = 0; d < SPREAD_DISTANCES; d++)
        if (further[d] > spread_most(draws)) fail_msg("%s: the %s is too far from f64 in bf16", backend, what[d]);
}

#endif
