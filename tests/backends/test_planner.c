#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "backends/planner.h"
#include "base/random.h"
#include "support.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

static int by_offset(const void *a, const void *b) {
    const bl_item *left = *(bl_item *const *)a, *right = *(bl_item *const *)b;
    return left->offset < right->offset ? -1 : left->offset > right->offset;
}

// Walks through the steps as the plan would run: whoever is alive lies behind whoever is alive below, and inside the arena.
static void assert_sound(bl_item *items, int count, int steps, size_t arena_bytes) {
    size_t sum = 0, end = 0;
    for (int i = 0; i < count; i++) {
        assert_int_equal(items[i].offset % 64, 0);
        const size_t bytes = (items[i].bytes + 63) / 64 * 64;
        sum += bytes;
        if (items[i].bytes && items[i].offset + bytes > end) end = items[i].offset + bytes;
    }
    assert_int_equal(arena_bytes, end); // and not more
    assert_true(arena_bytes <= sum);
    for (int step = 0; step < steps; step++) {
        bl_item *alive[512];
        int alive_count = 0;
        size_t free_from = 0;
        for (int i = 0; i < count; i++)
            if (items[i].bytes && items[i].first <= step && step <= items[i].last) alive[alive_count++] = &items[i];
        qsort(alive, (size_t)alive_count, sizeof *alive, by_offset);
        for (int i = 0; i < alive_count; i++) {
            if (alive[i]->offset < free_from) fail_msg("step %d: what begins at %zu overlaps what ends at %zu", step, alive[i]->offset, free_from);
            free_from = alive[i]->offset + alive[i]->bytes;
        }
    }
}

// The most bytes alive in one step: no plan can need less.
static size_t most_alive(const bl_item *items, int count, int steps) {
    size_t most = 0;
    for (int step = 0; step < steps; step++) {
        size_t alive = 0;
        for (int i = 0; i < count; i++)
            if (items[i].first <= step && step <= items[i].last) alive += (items[i].bytes + 63) / 64 * 64;
        if (alive > most) most = alive;
    }
    return most;
}

static void nothing_to_place_needs_no_memory(void **state) {
    (void)state;
    size_t bytes = 1;
    assert_ok(bl_plan_memory(NULL, 0, &bytes));
    assert_int_equal(bytes, 0);
    bl_item empty = {.bytes = 0, .first = 0, .last = 3};
    assert_ok(bl_plan_memory(&empty, 1, &bytes));
    assert_int_equal(bytes, 0);
}

static void items_that_never_meet_share_one_place(void **state) {
    (void)state;
    bl_item items[] = {{.bytes = 1000, .first = 0, .last = 1}, {.bytes = 1000, .first = 2, .last = 3}, {.bytes = 500, .first = 4, .last = 4}};
    size_t bytes;
    assert_ok(bl_plan_memory(items, COUNT(items), &bytes));
    assert_int_equal(bytes, 1024);
    for (int i = 0; i < COUNT(items); i++) assert_int_equal(items[i].offset, 0);
}

static void items_that_meet_in_one_step_lie_apart(void **state) {
    (void)state;
    bl_item items[] = {{.bytes = 64, .first = 0, .last = 2}, {.bytes = 64, .first = 2, .last = 4}};
    size_t bytes;
    assert_ok(bl_plan_memory(items, COUNT(items), &bytes));
    assert_sound(items, COUNT(items), 5, bytes);
    assert_int_equal(bytes, 128);
}

static void item_kept_to_the_end_meets_all_later_ones(void **state) {
    (void)state;
    bl_item items[] = {{.bytes = 10, .first = 1, .last = INT_MAX}, {.bytes = 700, .first = 5, .last = 6}, {.bytes = 700, .first = 90, .last = 91}};
    size_t bytes;
    assert_ok(bl_plan_memory(items, COUNT(items), &bytes));
    assert_sound(items, COUNT(items), 92, bytes);
    assert_int_equal(items[1].offset, items[2].offset);
}

static void life_that_ends_before_it_begins_is_refused(void **state) {
    (void)state;
    bl_item item = {.bytes = 64, .first = 3, .last = 2};
    size_t bytes;
    assert_int_not_equal(bl_plan_memory(&item, 1, &bytes), BL_OK);
}

// A chain of short lives with a few long ones, as in training: activations live from their forward to their backward node.
static void random_lives(bl_item *items, int count, int steps, uint32_t sample) {
    bl_random random = bl_random_stream(5, "lives", sample, 0, 0);
    for (int i = 0; i < count; i++) {
        const int first = (int)bl_random_below(&random, (uint32_t)steps);
        const int length = bl_random_below(&random, 4) ? (int)bl_random_below(&random, 4) : steps - 2 * (steps - first);
        const int last = first + (length > 0 ? length : 0);
        items[i] = (bl_item){.bytes = 1 + ((size_t)1 << bl_random_below(&random, 20)), .first = first, .last = last < steps ? last : steps - 1};
    }
}

static void random_lives_stay_apart_and_close_to_the_bound(void **state) {
    (void)state;
    enum { items_count = 300, steps = 200, samples = 40 };
    double excess = 0;
    for (uint32_t sample = 0; sample < samples; sample++) {
        bl_item items[items_count];
        random_lives(items, items_count, steps, sample);
        size_t bytes;
        assert_ok(bl_plan_memory(items, items_count, &bytes));
        assert_sound(items, items_count, steps, bytes);
        const double bound = (double)most_alive(items, items_count, steps);
        assert_true((double)bytes >= bound);
        assert_true((double)bytes <= 1.25 * bound);
        excess += (double)bytes / bound - 1;
    }
    print_message("mean excess over the bound: %.1f %%\n", 100 * excess / samples);
    assert_true(excess / samples <= 0.05);
}

// First fit by falling size, worked by hand; in units of 64 bytes.
static void worked_plans_come_out_as_by_hand(void **state) {
    (void)state;
    static const struct {
        const char *what;
        int count;
        struct { int units, first, last, at; } items[6];
        int arena;
    } cases[] = {
        {"the largest lies lowest, whoever comes first", 3, {{1, 0, 9, 5}, {2, 0, 9, 3}, {3, 0, 9, 0}}, 6},
        {"equals lie in the caller's order", 3, {{2, 0, 9, 0}, {2, 0, 9, 2}, {2, 0, 9, 4}}, 6},
        {"a gap that just fits is filled", 4, {{4, 0, 2, 0}, {3, 0, 9, 4}, {2, 3, 9, 0}, {2, 3, 9, 2}}, 7},
        {"a gap that is too narrow is passed over", 4, {{6, 0, 4, 0}, {5, 0, 9, 6}, {4, 5, 9, 0}, {3, 5, 9, 11}}, 14},
        {"a chain in which each meets its neighbour takes two places", 4, {{2, 0, 1, 0}, {2, 1, 2, 2}, {2, 2, 3, 0}, {2, 3, 4, 2}}, 4},
        {"a workspace of one step lies in what another step left", 3, {{8, 0, 0, 0}, {4, 1, 1, 0}, {1, 0, 1, 8}}, 9},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        bl_item items[6];
        size_t bytes;
        for (int i = 0; i < cases[c].count; i++)
            items[i] = (bl_item){.bytes = 64 * (size_t)cases[c].items[i].units, .first = cases[c].items[i].first, .last = cases[c].items[i].last};
        assert_ok(bl_plan_memory(items, cases[c].count, &bytes));
        assert_sound(items, cases[c].count, 10, bytes);
        for (int i = 0; i < cases[c].count; i++)
            if (items[i].offset != 64 * (size_t)cases[c].items[i].at)
                fail_msg("%s: item %d lies at %zu, not %d", cases[c].what, i, items[i].offset / 64, cases[c].items[i].at);
        if (bytes != 64 * (size_t)cases[c].arena) fail_msg("%s: %zu bytes", cases[c].what, bytes);
    }
}

// So a plan depends on what is placed, and not on the order in which a backend names it.
static void items_of_different_sizes_lie_alike_in_any_order(void **state) {
    (void)state;
    enum { count = 100, steps = 50 };
    bl_item items[count], turned[count];
    size_t bytes, turned_bytes;
    random_lives(items, count, steps, 77);
    for (int i = 0; i < count; i++) items[i].bytes = 64 * (items[i].bytes / 64 * count + (size_t)i);
    for (int i = 0; i < count; i++) turned[count - 1 - i] = items[i];
    assert_ok(bl_plan_memory(items, count, &bytes));
    assert_ok(bl_plan_memory(turned, count, &turned_bytes));
    assert_int_equal(bytes, turned_bytes);
    for (int i = 0; i < count; i++) assert_int_equal(items[i].offset, turned[count - 1 - i].offset);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(nothing_to_place_needs_no_memory),
            cmocka_unit_test(items_that_never_meet_share_one_place),
            cmocka_unit_test(items_that_meet_in_one_step_lie_apart),
            cmocka_unit_test(item_kept_to_the_end_meets_all_later_ones),
            cmocka_unit_test(life_that_ends_before_it_begins_is_refused),
            cmocka_unit_test(random_lives_stay_apart_and_close_to_the_bound),
            cmocka_unit_test(worked_plans_come_out_as_by_hand),
            cmocka_unit_test(items_of_different_sizes_lie_alike_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
