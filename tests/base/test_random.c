#include "support.h"

#include <math.h>

#include "base/random.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void philox_gives_its_published_answers(void **state) {
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], answer[4];
    } known[] = { // kat_vectors of Random123, philox4x32 with 10 rounds
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}, {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < COUNT(known); ++i) {
        uint32_t out[4];
        bl_philox(known[i].key, known[i].counter, out);
        assert_memory_equal(out, known[i].answer, sizeof out);
    }
}

// Changing what a stream gives would break every comparison with an earlier run. Computed by an independent program from
// key = seed, counter = (block, sample, 16 epoch + view, FNV-1a of the name).
static void stream_values_never_change(void **state) {
    (void)state;
    static const uint32_t expected[8] = {0xc8ddbd6d, 0x5d71f49d, 0x6dae0e90, 0xcd0a98a4, 0x7c91b165, 0x10dc9afd, 0x5e9ce2c7, 0x8367553c};
    bl_random random = bl_random_stream(0x123456789abcdef0u, "blur", 7, 3, 1);
    for (size_t i = 0; i < COUNT(expected); ++i) assert_int_equal(bl_random_bits(&random), expected[i]);
}

static void each_coordinate_makes_another_stream(void **state) {
    (void)state;
    bl_random streams[] = {
        bl_random_stream(1, "blur", 2, 3, 0),      bl_random_stream(2, "blur", 2, 3, 0), bl_random_stream(1 + (1ull << 32), "blur", 2, 3, 0),
        bl_random_stream(1, "grayscale", 2, 3, 0), bl_random_stream(1, "blur", 3, 3, 0), bl_random_stream(1, "blur", 2, 4, 0),
        bl_random_stream(1, "blur", 2, 3, 1),
    };
    uint32_t first[COUNT(streams)];
    for (size_t i = 0; i < COUNT(streams); ++i) {
        first[i] = bl_random_bits(&streams[i]);
        for (size_t k = 0; k < i; ++k) assert_int_not_equal(first[i], first[k]);
    }
}

static bl_random stream_of_extremes(uint32_t bits) {
    return (bl_random){.block = {bits, bits, bits, bits}};
}

static void uniform_stays_below_one(void **state) {
    (void)state;
    bl_random low = stream_of_extremes(0), high = stream_of_extremes(~0u), edge = stream_of_extremes(~0u);
    assert_true(bl_random_uniform(&low) == 0.0);
    assert_true(bl_random_uniform(&high) == 1.0 - 0x1p-53);
    assert_true(bl_random_between(&edge, 0.08, 1.0) < 1.0);
    assert_true(bl_random_between(&edge, 1e15, 1e15 + 1) < 1e15 + 1); // rounds up to the bound
}

static void normal_is_finite_at_the_extremes(void **state) {
    (void)state;
    bl_random low = stream_of_extremes(0), high = stream_of_extremes(~0u);
    assert_true(isfinite(bl_random_normal(&low)));
    assert_true(isfinite(bl_random_normal(&high)));
}

static void moments_are_those_of_the_distributions(void **state) {
    (void)state;
    enum { DRAWS = 200000 };
    bl_random random = bl_random_stream(0, "moments", 0, 0, 0);
    double uniform = 0, uniform_square = 0, normal = 0, normal_square = 0, normal_fourth = 0;
    for (int i = 0; i < DRAWS; ++i) {
        double u = bl_random_between(&random, -1, 3), z = bl_random_normal(&random);
        uniform += u / DRAWS;
        uniform_square += (u - 1) * (u - 1) / DRAWS;
        normal += z / DRAWS;
        normal_square += z * z / DRAWS;
        normal_fourth += z * z * z * z / DRAWS;
    }
    // Five standard errors of each mean.
    assert_true(fabs(uniform - 1) < 0.013);
    assert_true(fabs(uniform_square - 4.0 / 3) < 0.014);
    assert_true(fabs(normal) < 0.0112);
    assert_true(fabs(normal_square - 1) < 0.016);
    assert_true(fabs(normal_fourth - 3) < 0.11);
}

static void below_is_unbiased(void **state) {
    (void)state;
    // Of 3 x 2^30 values, a bare remainder of 32 bits would prefer the first third, a bare product the multiples of three.
    enum { DRAWS = 100000 };
    bl_random random = bl_random_stream(0, "below", 0, 0, 0);
    int first_third = 0, multiples = 0;
    for (int i = 0; i < DRAWS; ++i) {
        uint32_t value = bl_random_below(&random, 3u << 30);
        assert_true(value < 3u << 30);
        first_third += value < 1u << 30;
        multiples += value % 3 == 0;
    }
    assert_true(fabs(first_third / (double)DRAWS - 1.0 / 3) < 0.0075); // five standard errors
    assert_true(fabs(multiples / (double)DRAWS - 1.0 / 3) < 0.0075);
    assert_int_equal(bl_random_below(&random, 1), 0);
}

static void permutation_is_pinned_and_complete(void **state) {
    (void)state;
    static const uint32_t expected[8] = {7, 1, 4, 2, 5, 3, 6, 0};
    uint32_t order[1000];
    bl_random random = bl_random_stream(0, "order", 0, 0, 0);
    bl_random_permutation(&random, order, 8);
    assert_memory_equal(order, expected, sizeof expected);

    bl_random_permutation(&random, order, 1000);
    unsigned char seen[1000] = {0};
    for (int i = 0; i < 1000; ++i) {
        assert_true(order[i] < 1000);
        assert_int_equal(seen[order[i]]++, 0);
    }
}

static void every_permutation_is_equally_likely(void **state) {
    (void)state;
    enum { DRAWS = 60000 };
    int counts[27] = {0};
    for (uint32_t sample = 0; sample < DRAWS; ++sample) {
        bl_random random = bl_random_stream(0, "order of three", sample, 0, 0);
        uint32_t order[3];
        bl_random_permutation(&random, order, 3);
        ++counts[order[0] * 9 + order[1] * 3 + order[2]];
    }
    int kinds = 0;
    for (int i = 0; i < 27; ++i) {
        if (!counts[i]) continue;
        ++kinds;
        assert_in_range(counts[i], 10000 - 460, 10000 + 460); // five standard errors
    }
    assert_int_equal(kinds, 6);
}

static void sample_that_comes_again_draws_from_another_seed(void **state) {
    (void)state;
    enum { SEEDS = 3, TIMES = 100 };
    static const uint64_t seeds[SEEDS] = {0, 1, UINT64_MAX};
    uint64_t drawn[SEEDS * TIMES];
    for (int s = 0; s < SEEDS; ++s) {
        assert_true(bl_random_seed_again(seeds[s], 0) == seeds[s]);
        for (uint32_t k = 0; k < TIMES; ++k) drawn[s * TIMES + (int)k] = bl_random_seed_again(seeds[s], k);
    }
    for (int i = 0; i < SEEDS * TIMES; ++i)
        for (int j = 0; j < i; ++j) assert_true(drawn[i] != drawn[j]);
    assert_true(bl_random_seed_again(0, 1) == 0xac53cbd153e2a579u); // never changes
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_gives_its_published_answers),
        cmocka_unit_test(stream_values_never_change),
        cmocka_unit_test(each_coordinate_makes_another_stream),
        cmocka_unit_test(uniform_stays_below_one),
        cmocka_unit_test(normal_is_finite_at_the_extremes),
        cmocka_unit_test(moments_are_those_of_the_distributions),
        cmocka_unit_test(below_is_unbiased),
        cmocka_unit_test(permutation_is_pinned_and_complete),
        cmocka_unit_test(every_permutation_is_equally_likely),
        cmocka_unit_test(sample_that_comes_again_draws_from_another_seed),
    };
    return cmocka_run_group_tests_name("random numbers", tests, NULL, NULL);
}
